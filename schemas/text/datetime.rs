//! Dates and times from text, and what of them a column can hold.
//!
//! All results are in the units of the columns: days, microseconds of the day, microseconds since 1970 in UTC.
//! A date is `2024-02-29` (also with slashes, or as `20240229`), with `BC` behind it if need be; a year with a sign
//! (`-0043`, `+294276`) is astronomical, as Java and Debezium write it.

use super::civil::{days_from_civil, days_in_month};
use super::{Misfit, misfit, misfit_with, trim};

/// Microseconds in a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 4714-11-24 BC, the first day of PostgreSQL's calendar.
const DAY_MIN: i64 = -2_440_588;
/// 5874897-12-31, the last day of PostgreSQL's `date`.
const DATE_MAX: i64 = 2_145_042_905;
/// 294247-01-01: the year that 64 bits of microseconds do not hold whole. PostgreSQL's infinities lie behind it.
const TIMESTAMP_END: i64 = 106_751_982 * MICROS_PER_DAY;
/// 2000-01-01, from which PostgreSQL counts, and away from which it rounds halves.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A day of PostgreSQL's `date`.
pub fn check_date(days: i64) -> Result<i32, Misfit> {
    match i32::try_from(days) {
        Ok(day) if (DAY_MIN..=DATE_MAX).contains(&days) => Ok(day),
        _ => misfit("is out of the range of date (4714-11-24 BC to 5874897-12-31; infinity cannot be kept)"),
    }
}

/// An instant that a timestamp column holds.
pub fn check_timestamp(micros: i128) -> Result<i64, Misfit> {
    match i64::try_from(micros) {
        Ok(micros) if (DAY_MIN * MICROS_PER_DAY..TIMESTAMP_END).contains(&micros) => Ok(micros),
        _ => misfit("is out of the range of timestamp (4714-11-24 BC to 294246-12-31; infinity cannot be kept)"),
    }
}

/// Rounds to `digits` digits of a second as PostgreSQL does: halves away from 2000-01-01.
pub fn round_timestamp(micros: i64, digits: u8) -> Result<i64, Misfit> {
    if digits >= 6 {
        return Ok(micros);
    }
    let unit = 10i128.pow(6 - u32::from(digits));
    let from_epoch = i128::from(micros) - i128::from(POSTGRES_EPOCH);
    let size = (from_epoch.abs() + unit / 2) / unit * unit;
    check_timestamp(i128::from(POSTGRES_EPOCH) + if from_epoch < 0 { -size } else { size })
}

/// A `date`; a time of day behind it is dropped, as PostgreSQL does.
pub fn date(text: &str) -> Result<i32, Misfit> {
    check_date(Parts::parse(text, "date")?.days())
}

/// A `timestamp(digits)`; a zone behind it is dropped, as PostgreSQL does.
pub fn timestamp(text: &str, digits: u8) -> Result<i64, Misfit> {
    let parts = Parts::parse(text, "timestamp")?;
    round_timestamp(check_timestamp(parts.micros())?, digits)
}

/// A `timestamptz(digits)`; without a zone it is UTC, which is the session's.
pub fn timestamptz(text: &str, digits: u8) -> Result<i64, Misfit> {
    let parts = Parts::parse(text, "timestamptz")?;
    let offset = i128::from(parts.offset.unwrap_or(0)) * 1_000_000;
    round_timestamp(check_timestamp(parts.micros() - offset)?, digits)
}

/// A `time`, up to and with 24:00:00; a zone behind it, or a date before it, is dropped, as PostgreSQL does.
pub fn time(text: &str) -> Result<i64, Misfit> {
    let mut scan = Scan(trim(text));
    let alone = clock(&mut scan).and_then(|clock| zone(&mut scan).map(|_| clock));
    match alone {
        Some(micros) if scan.0.is_empty() => time_in_range(micros),
        _ => match Parts::parse(text, "time") {
            Ok(Parts { time: Some(micros), .. }) => time_in_range(micros),
            _ => misfit("is not a time (13:14:15.123456)"),
        },
    }
}

fn time_in_range(micros: i64) -> Result<i64, Misfit> {
    match micros <= MICROS_PER_DAY {
        true => Ok(micros),
        false => misfit("is out of the range of time (00:00:00 to 24:00:00)"),
    }
}

/// A date and what may follow it.
struct Parts {
    year: i64,
    month: u32,
    day: u32,
    /// Microseconds of the day.
    time: Option<i64>,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
}

impl Parts {
    fn parse(text: &str, name: &'static str) -> Result<Self, Misfit> {
        let text = trim(text);
        if text.eq_ignore_ascii_case("infinity") || text.eq_ignore_ascii_case("-infinity") {
            return misfit("cannot be kept: a date or time here is always finite");
        }
        match Self::scan(text) {
            Some(parts) => parts.checked(),
            None => misfit_with(format!("is not a {name} ({})", example(name))),
        }
    }

    fn scan(text: &str) -> Option<Self> {
        let mut scan = Scan(text);
        let sign = scan.one_of(b"+-");
        let digits = scan.digits(4, 8)?;
        let (mut year, month, day): (i64, u32, u32) = match scan.one_of(b"-/") {
            Some(between) => {
                let month = scan.digits(1, 2)?.parse().ok()?;
                scan.one_of(&[between])?;
                (digits.parse().ok()?, month, scan.digits(1, 2)?.parse().ok()?)
            }
            None if digits.len() == 8 && sign.is_none() => {
                (digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?)
            }
            None => return None,
        };
        let mut time = None;
        if scan.one_of(b"Tt").is_some() || (scan.spaces() && scan.0.starts_with(|c: char| c.is_ascii_digit())) {
            time = Some(clock(&mut scan)?);
        }
        let offset = zone(&mut scan)?;
        scan.spaces();
        if scan.word("BC") {
            if sign.is_some() || year == 0 {
                return None;
            }
            year = 1 - year;
        } else {
            // Written or not, AD says nothing. There is no year 0, except with a sign.
            scan.word("AD");
            if year == 0 && sign.is_none() {
                return None;
            }
        }
        if sign == Some(b'-') {
            year = -year;
        }
        scan.0.is_empty().then_some(Self { year, month, day, time, offset })
    }

    fn checked(self) -> Result<Self, Misfit> {
        if !(1..=12).contains(&self.month) || self.day < 1 || self.day > days_in_month(self.year, self.month) {
            return misfit("is not a day of the calendar");
        }
        if self.time.is_some_and(|time| time > MICROS_PER_DAY) {
            return misfit("is not a time of the day");
        }
        Ok(self)
    }

    fn days(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    fn micros(&self) -> i128 {
        i128::from(self.days()) * i128::from(MICROS_PER_DAY) + i128::from(self.time.unwrap_or(0))
    }
}

fn example(name: &str) -> &'static str {
    match name {
        "date" => "2024-01-15",
        "timestamp" => "2024-01-15 10:00:00.123456",
        _ => "2024-01-15 10:00:00.123456+00",
    }
}

/// `13:14`, `13:14:15`, `13:14:15.123456`, up to 24:00:00 (and 23:59:60): microseconds, more than a day if it is more.
fn clock(scan: &mut Scan<'_>) -> Option<i64> {
    let hour: i64 = scan.digits(1, 2)?.parse().ok()?;
    scan.one_of(b":")?;
    let minute: i64 = scan.digits(2, 2)?.parse().ok()?;
    let (mut second, mut micros) = (0i64, 0i64);
    if scan.one_of(b":").is_some() {
        second = scan.digits(2, 2)?.parse().ok()?;
        if scan.one_of(b".").is_some() {
            micros = fraction(scan.digits(0, usize::MAX)?);
        }
    }
    let in_hour = minute < 60 && (second < 60 || (second == 60 && micros == 0));
    (hour <= 24 && in_hour).then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// The microseconds of the digits behind the point; more than six are rounded, as PostgreSQL rounds its double.
fn fraction(digits: &str) -> i64 {
    match digits.len() {
        0 => 0,
        1..=6 => digits.bytes().fold(0, |sum, b| sum * 10 + i64::from(b - b'0')) * 10i64.pow(6 - digits.len() as u32),
        _ => format!("0.{digits}").parse::<f64>().map_or(0, |seconds| (seconds * 1e6).round_ties_even() as i64),
    }
}

/// An optional zone: `Some(None)` if there is none, `None` if there is one that is not understood.
fn zone(scan: &mut Scan<'_>) -> Option<Option<i32>> {
    let before = scan.0;
    scan.spaces();
    if scan.word("UTC") || scan.word("GMT") || scan.word("Z") {
        return Some(Some(0));
    }
    let Some(sign) = scan.one_of(b"+-") else {
        scan.0 = before;
        return Some(None);
    };
    let digits = scan.digits(1, 4)?;
    let (hours, mut minutes): (i32, i32) = match digits.len() {
        1 | 2 => (digits.parse().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    let mut seconds = 0;
    if digits.len() <= 2 && scan.one_of(b":").is_some() {
        minutes = scan.digits(2, 2)?.parse().ok()?;
        if scan.one_of(b":").is_some() {
            seconds = scan.digits(2, 2)?.parse().ok()?;
        }
    }
    if hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    let offset = (hours * 60 + minutes) * 60 + seconds;
    Some(Some(if sign == b'-' { -offset } else { offset }))
}

/// The text that is left.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = *self.0.as_bytes().first().filter(|byte| bytes.contains(byte))?;
        self.0 = &self.0[1..];
        Some(byte)
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<&'a str> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        (count >= least).then_some(digits)
    }

    /// Whether there was any.
    fn spaces(&mut self) -> bool {
        let rest = self.0.trim_start_matches(' ');
        let any = rest.len() < self.0.len();
        self.0 = rest;
        any
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.0.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word));
        if found {
            self.0 = &self.0[word.len()..];
        }
        found
    }
}

#[cfg(test)]
#[path = "datetime_tests.rs"]
mod tests;
