//! Booleans, integers and floats from text.

use super::{Misfit, misfit, misfit_with, trim};

/// A boolean: `true`, `yes`, `on`, `1`, their opposites, and every unambiguous beginning of the words, in any case.
pub fn boolean(text: &str) -> Result<bool, Misfit> {
    let text = trim(text);
    let begins = |word: &str, least: usize| {
        text.len() >= least
            && text.len() <= word.len()
            && word.as_bytes()[..text.len()].eq_ignore_ascii_case(text.as_bytes())
    };
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || text == "1" {
        return Ok(true);
    }
    if begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0" {
        return Ok(false);
    }
    misfit("is not true or false")
}

/// An integer of `min` to `max`: an optional sign and digits; no point, no exponent.
pub fn integer(text: &str, min: i64, max: i64) -> Result<i64, Misfit> {
    let text = trim(text);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return misfit("is not an integer");
    }
    let digits = digits.trim_start_matches('0');
    let size = match digits.len() {
        0 => Some(0),
        1..=19 => digits.parse::<u64>().ok(),
        _ => None,
    };
    let value = size.map(i128::from).map(|size| if negative { -size } else { size });
    match value.and_then(|value| i64::try_from(value).ok()).filter(|value| (min..=max).contains(value)) {
        Some(value) => Ok(value),
        None => misfit_with(format!("is out of range ({min} to {max})")),
    }
}

/// A `double precision`; a number beyond the type's range, or too small for it, is refused as PostgreSQL does.
pub fn double(text: &str) -> Result<f64, Misfit> {
    let text = trim(text);
    if let Some(special) = special(text) {
        return Ok(special);
    }
    let value = plain(text)?.parse::<f64>().or_else(|_| misfit("is not a number"))?;
    in_range(text, value.is_infinite(), value == 0.0, "double precision").map(|()| value)
}

/// A `real`, rounded once, to the nearest.
pub fn real(text: &str) -> Result<f32, Misfit> {
    let text = trim(text);
    if let Some(special) = special(text) {
        return Ok(special as f32);
    }
    let value = plain(text)?.parse::<f32>().or_else(|_| misfit("is not a number"))?;
    in_range(text, value.is_infinite(), value == 0.0, "real").map(|()| value)
}

fn special(text: &str) -> Option<f64> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["nan"]) {
        Some(f64::NAN)
    } else if is(&["infinity", "+infinity", "inf", "+inf"]) {
        Some(f64::INFINITY)
    } else if is(&["-infinity", "-inf"]) {
        Some(f64::NEG_INFINITY)
    } else {
        None
    }
}

/// Rust's parser also reads words: only digits, signs, points and exponents get to it.
fn plain(text: &str) -> Result<&str, Misfit> {
    match text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
        true => Ok(text),
        false => misfit("is not a number"),
    }
}

fn in_range(text: &str, infinite: bool, zero: bool, name: &str) -> Result<(), Misfit> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    if infinite || (zero && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))) {
        return misfit_with(format!("is out of the range of {name}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn booleans_are_postgresqls() {
        for text in ["t", "TRUE", "tru", "y", "yes", "on", "1", " true "] {
            assert!(boolean(text).unwrap(), "{text}");
        }
        for text in ["f", "False", "n", "no", "of", "off", "0"] {
            assert!(!boolean(text).unwrap(), "{text}");
        }
        for text in ["", "o", "2", "truee", "wahr", "1.0"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_are_exact_and_checked() {
        let big = |text| integer(text, i64::MIN, i64::MAX);
        assert_eq!(big(" -9223372036854775808 "), Ok(i64::MIN));
        assert_eq!(big("+0009223372036854775807"), Ok(i64::MAX));
        assert_eq!(big("-0"), Ok(0));
        for text in ["", "-", "1.0", "1e2", "0x1F", "1_000", "9223372036854775808", "99999999999999999999999", "١"] {
            assert!(big(text).is_err(), "{text}");
        }
        assert_eq!(integer("40000", -32768, 32767).unwrap_err().to_string(), "is out of range (-32768 to 32767)");
    }

    #[test]
    fn floats_keep_their_specials_and_their_range() {
        assert!(double("NaN").unwrap().is_nan());
        assert_eq!(double("-Infinity"), Ok(f64::NEG_INFINITY));
        assert_eq!(double("5e-324"), Ok(5e-324));
        assert_eq!(real("3.4E38"), Ok(3.4e38));
        assert_eq!(double("-0").map(f64::is_sign_negative), Ok(true));
        assert_eq!(double("0e-999"), Ok(0.0));
        for text in ["1e400", "1e-400", "", ".", "abc", "1,5", "infinit", "0x10"] {
            assert!(double(text).is_err(), "{text}");
        }
        assert!(real("1e39").is_err() && real("1e-50").is_err());
    }
}
