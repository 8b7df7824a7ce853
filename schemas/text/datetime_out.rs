//! Dates and times to text: PostgreSQL's ISO output with `T` between date and time, always six digits behind the point,
//! ` BC` behind years before 1. PostgreSQL reads all of it.

use super::civil::civil_from_days;
use super::datetime::MICROS_PER_DAY;

/// `2024-01-15`
pub fn write_date(days: i32, out: &mut Vec<u8>) {
    if write_day(i64::from(days), out) {
        out.extend_from_slice(b" BC");
    }
}

/// `13:14:15.123456`
pub fn write_time(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros.div_euclid(1_000_000);
    digits(seconds / 3600, 2, out);
    out.push(b':');
    digits(seconds / 60 % 60, 2, out);
    out.push(b':');
    digits(seconds % 60, 2, out);
    out.push(b'.');
    digits(micros.rem_euclid(1_000_000), 6, out);
}

/// `2024-01-15T10:00:00.123456`, with `Z` if the instant is in UTC.
pub fn write_timestamp(micros: i64, utc: bool, out: &mut Vec<u8>) {
    let bc = write_day(micros.div_euclid(MICROS_PER_DAY), out);
    out.push(b'T');
    write_time(micros.rem_euclid(MICROS_PER_DAY), out);
    if utc {
        out.push(b'Z');
    }
    if bc {
        out.extend_from_slice(b" BC");
    }
}

/// Whether it was before year 1.
fn write_day(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil_from_days(days);
    let bc = year <= 0;
    digits(if bc { 1 - year } else { year }, 4, out);
    out.push(b'-');
    digits(i64::from(month), 2, out);
    out.push(b'-');
    digits(i64::from(day), 2, out);
    bc
}

/// At least `least` digits of a number that is not negative.
fn digits(number: i64, least: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let (mut at, mut rest) = (text.len(), number);
    while rest > 0 {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[at.min(text.len() - least)..]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::text::{date, time, timestamp};

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for day in [0, -1, 19_782, -719_162, -719_163, -735_160, 2_932_896, 2_932_897, 106_762_939, -2_440_588] {
            let written = text(|out| write_date(day, out));
            assert_eq!(date(&written), Ok(day), "{written}");
        }
        for micros in [0, -1, 1_705_312_800_000_001, -62_135_596_800_000_001, 253_402_300_800_000_000] {
            let written = text(|out| write_timestamp(micros, false, out));
            assert_eq!(timestamp(&written, 6), Ok(micros), "{written}");
        }
        for micros in [0, 1, 47_655_123_456, 86_400_000_000] {
            let written = text(|out| write_time(micros, out));
            assert_eq!(time(&written), Ok(micros), "{written}");
        }
    }

    #[test]
    fn the_pinned_forms() {
        assert_eq!(text(|out| write_date(19_737, out)), "2024-01-15");
        assert_eq!(text(|out| write_time(47_655_123_456, out)), "13:14:15.123456");
        assert_eq!(text(|out| write_timestamp(1_705_312_800_000_000, true, out)), "2024-01-15T10:00:00.000000Z");
        assert_eq!(text(|out| write_timestamp(-1, false, out)), "1969-12-31T23:59:59.999999");
        assert_eq!(text(|out| write_date(-735_160, out)), "0044-03-15 BC");
        assert_eq!(text(|out| write_timestamp(-63_517_780_800_000_000, true, out)), "0044-03-15T12:00:00.000000Z BC");
        assert_eq!(text(|out| write_date(106_762_939, out)), "294276-12-31");
    }
}
