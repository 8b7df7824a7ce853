//! The calendar: days and microseconds since 1970 to years, months, days and back; date arithmetic.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Int32Type};
pub(super) use schemas::text::MICROS_PER_DAY as DAY;
use schemas::text::{civil_from_days, days_from_civil, days_in_month};
use zset::ColumnType as T;
use zset::{RowError, sqlstate};

use super::{Result, primitive, valid};
use crate::Op;

/// The days of date: 4714-11-24 BC to 5874897-12-31.
pub(super) const DATE_DAYS: std::ops::RangeInclusive<i64> = -2_440_588..=2_145_042_905;

/// The days of timestamp: 4714-11-24 BC, and the last whose microseconds fit.
pub(super) const TIMESTAMP_DAYS: std::ops::RangeInclusive<i64> = -2_440_588..=106_751_990;

/// A date in parts. Years are astronomical: 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

/// The date of a day.
pub(super) fn civil(days: i64) -> Civil {
    let (year, month, day) = civil_from_days(days);
    Civil { year, month: month.into(), day: day.into() }
}

/// The day of a date.
pub(super) fn days(date: Civil) -> i64 {
    days_from_civil(date.year, date.month as u32, date.day as u32)
}

/// The days of a month.
pub(super) fn month_days(year: i64, month: i64) -> i64 {
    days_in_month(year, month as u32).into()
}

/// A moment as its day and the microseconds in it.
pub(super) fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY), micros.rem_euclid(DAY))
}

/// The ISO year and week of a day.
pub(super) fn iso_week(day: i64) -> (i64, i64) {
    // the week is that of its Thursday
    let thursday = day - (day + 3).rem_euclid(7) + 3;
    let year = civil(thursday).year;
    let first = days(Civil { year, month: 1, day: 1 });
    (year, (thursday - first) / 7 + 1)
}

pub(super) fn date_out_of_range() -> RowError {
    RowError::new(sqlstate::DATETIME_OVERFLOW, "date out of range")
}

/// date + integer, date - integer, date - date.
pub(super) fn arithmetic(op: &Op, arrays: &[ArrayRef], output: T) -> Result<ArrayRef> {
    let a = arrays[0].as_primitive::<Date32Type>();
    if output == T::Int {
        let b = arrays[1].as_primitive::<Date32Type>();
        let difference = primitive::<Int32Type>(a.len(), valid(&[a, b]), |row| {
            a.value(row).checked_sub(b.value(row)).ok_or_else(date_out_of_range)
        })?;
        return Ok(Arc::new(difference));
    }
    let b = arrays[1].as_primitive::<Int32Type>();
    let dates = primitive::<Date32Type>(a.len(), valid(&[a, b]), |row| {
        let n = i64::from(b.value(row));
        let day = i64::from(a.value(row)) + if *op == Op::Add { n } else { -n };
        if DATE_DAYS.contains(&day) { Ok(day as i32) } else { Err(date_out_of_range()) }
    })?;
    Ok(Arc::new(dates))
}
