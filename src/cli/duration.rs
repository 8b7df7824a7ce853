//! Durations as flags have them: `50ms`, `10s`, `5m`, `1h`.

use std::time::Duration;

/// Reads a duration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("it is a whole number with a unit: 50ms, 10s, 5m or 1h".to_string());
    }
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "" => return Err(format!("it has no unit; write {number}ms, {number}s, {number}m or {number}h")),
        other => return Err(format!("\"{other}\" is not a unit; the units are ms, s, m and h, as in 50ms")),
    };
    let number: u64 = number.parse().map_err(|_| "it is too long".to_string())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "it is too long".to_string())
}

/// Reads a duration that is not nothing.
pub(super) fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than nothing".to_string()),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [("50ms", 50), ("10s", 10_000), ("5m", 300_000), ("2min", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("0ms"), Ok(Duration::ZERO));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, why) in [
            ("10", "write 10ms, 10s"),
            ("", "whole number"),
            ("-5s", "whole number"),
            ("1.5s", "not a unit"),
            ("5 s", "not a unit"),
            ("5d", "ms, s, m and h"),
            ("99999999999999999999s", "too long"),
            ("9999999999999999h", "too long"),
        ] {
            let error = duration(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        positive("0s").unwrap_err();
    }
}
