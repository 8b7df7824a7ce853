//! `interval` on the wire: microseconds, days, months. We have it as PostgreSQL prints it: `1 year 2 mons 3 days 04:05:06.7`.

use bytes::{BufMut, BytesMut};

use super::error::PgError;

/// Writes an interval that is given as text.
pub(crate) fn write(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    let (micros, days, months) =
        parse(text).ok_or_else(|| PgError::internal(format!("{text} is not the text of an interval")))?;
    out.put_i64(micros);
    out.put_i32(days);
    out.put_i32(months);
    Ok(())
}

fn parse(text: &str) -> Option<(i64, i32, i32)> {
    let (mut micros, mut days, mut months) = (0, 0, 0);
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if word.contains(':') {
            micros = clock(word)?;
            continue;
        }
        let count: i32 = word.parse().ok()?;
        match words.next()?.trim_end_matches('s') {
            "year" => months += count.checked_mul(12)?,
            "mon" => months += count,
            "day" => days += count,
            _ => return None,
        }
    }
    Some((micros, days, months))
}

fn clock(word: &str) -> Option<i64> {
    let (sign, word) = word.strip_prefix('-').map_or((1, word), |word| (-1, word));
    let (clock, fraction) = word.split_once('.').unwrap_or((word, ""));
    let mut parts = clock.split(':').map(|part| part.trim_start_matches('+').parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(sign * (((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_are_found() {
        assert_eq!(parse("1 year 2 mons 3 days 04:05:06.7").unwrap(), (14_706_700_000, 3, 14));
        assert_eq!(parse("-1 days +02:03:00").unwrap(), (7_380_000_000, -1, 0));
        assert_eq!(parse("-00:00:00.000001").unwrap(), (-1, 0, 0));
        assert_eq!(parse("00:00:00").unwrap(), (0, 0, 0));
        assert_eq!(parse("soon"), None);
    }
}
