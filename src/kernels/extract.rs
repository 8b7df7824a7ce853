//! EXTRACT, date_part, date_trunc. timestamptz is UTC.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal256Type, Float64Type, Time64MicrosecondType, TimestampMicrosecondType, i256,
};
use zset::ColumnType as T;

use super::civil::{Civil, DAY, civil, days, iso_week, split};
use super::decimal::finish;
use super::{Result, primitive, valid};
use crate::DateField;

/// A moment, whatever type it came in.
struct Moments<'a> {
    array: &'a ArrayRef,
    ty: T,
}

impl Moments<'_> {
    /// Microseconds since 1970, or in the day.
    fn at(&self, row: usize) -> i64 {
        match self.ty {
            T::Date => i64::from(self.array.as_primitive::<Date32Type>().value(row)) * DAY,
            T::Time => self.array.as_primitive::<Time64MicrosecondType>().value(row),
            _ => self.array.as_primitive::<TimestampMicrosecondType>().value(row),
        }
    }

    fn day_and_time(&self, row: usize) -> (i64, i64) {
        match self.ty {
            T::Date => (i64::from(self.array.as_primitive::<Date32Type>().value(row)), 0),
            T::Time => (0, self.at(row)),
            _ => split(self.at(row)),
        }
    }
}

/// A field of the date, or a whole one of the time. Years count without 0: 1 BC is -1.
fn whole(field: DateField, day: i64, time: i64) -> i64 {
    use DateField as F;
    let date = civil(day);
    let bc = |year: i64| if year > 0 { year } else { year - 1 };
    match field {
        F::Minute => time / 60_000_000 % 60,
        F::Hour => time / 3_600_000_000,
        F::Day => date.day,
        F::Month => date.month,
        F::Quarter => (date.month - 1) / 3 + 1,
        F::Year => bc(date.year),
        F::Decade => date.year.div_euclid(10),
        F::Century => {
            if date.year > 0 {
                (date.year + 99) / 100
            } else {
                -((99 - (date.year - 1)) / 100)
            }
        }
        F::Millennium => {
            if date.year > 0 {
                (date.year + 999) / 1000
            } else {
                -((999 - (date.year - 1)) / 1000)
            }
        }
        F::Dow => (day + 4).rem_euclid(7),
        F::IsoDow => (day + 3).rem_euclid(7) + 1,
        F::Doy => day - days(Civil { year: date.year, month: 1, day: 1 }) + 1,
        F::Week => iso_week(day).1,
        F::IsoYear => bc(iso_week(day).0),
        // of the time, in microseconds of the minute
        _ => time % 60_000_000,
    }
}

/// EXTRACT: unscaled numerics of the output's scale.
pub(super) fn extract(field: DateField, array: &ArrayRef, ty: T, output: T) -> Result<ArrayRef> {
    use DateField as F;
    let moments = Moments { array, ty };
    let values = primitive::<Decimal256Type>(array.len(), valid(&[array.as_ref()]), |row| {
        let (day, time) = moments.day_and_time(row);
        Ok(match field {
            F::Epoch if ty == T::Date => i256::from(day).wrapping_mul(i256::from(86_400)),
            F::Epoch => i256::from(moments.at(row)),
            // 13.5 s: 13.500000, 13500.000, 13500000, all of them 13500000 unscaled
            _ => i256::from(whole(field, day, time)),
        })
    })?;
    finish(values, output)
}

/// date_part: the same as double precision, by PostgreSQL's float arithmetic.
pub(super) fn date_part(field: DateField, array: &ArrayRef) -> Result<ArrayRef> {
    use DateField as F;
    let moments = array.as_primitive::<TimestampMicrosecondType>();
    let values = primitive::<Float64Type>(array.len(), valid(&[moments]), |row| {
        let (day, time) = split(moments.value(row));
        let micros = time % 60_000_000;
        let (seconds, fraction) = ((micros / 1_000_000) as f64, (micros % 1_000_000) as f64);
        Ok(match field {
            F::Microseconds => micros as f64,
            F::Milliseconds => seconds * 1000.0 + fraction / 1000.0,
            F::Second => seconds + fraction / 1_000_000.0,
            F::Epoch => moments.value(row) as f64 / 1_000_000.0,
            _ => whole(field, day, time) as f64,
        })
    })?;
    Ok(Arc::new(values))
}

/// date_trunc.
pub(super) fn date_trunc(field: DateField, array: &ArrayRef, output: T) -> Result<ArrayRef> {
    use DateField as F;
    let moments = array.as_primitive::<TimestampMicrosecondType>();
    let of_time = |unit: i64| move |at: i64| at - at.rem_euclid(unit);
    // row by row where there is a value: what stands in the place of a NULL may be no moment at all
    let values = primitive::<TimestampMicrosecondType>(array.len(), valid(&[moments]), |row| {
        let at = moments.value(row);
        let (day, _) = split(at);
        let date = civil(day);
        let first = |month: i64| days(Civil { year: date.year, month, day: 1 }) * DAY;
        Ok(match field {
            F::Microseconds => at,
            F::Milliseconds => of_time(1000)(at),
            F::Second => of_time(1_000_000)(at),
            F::Minute => of_time(60_000_000)(at),
            F::Hour => of_time(3_600_000_000)(at),
            F::Day => day * DAY,
            F::Week => (day - (day + 3).rem_euclid(7)) * DAY,
            F::Month => first(date.month),
            F::Quarter => first((date.month - 1) / 3 * 3 + 1),
            _ => first(1),
        })
    })?;
    let zone = match output {
        T::TimestampTz(_) => Some("UTC"),
        _ => None,
    };
    Ok(Arc::new(values.with_timezone_opt(zone)))
}
