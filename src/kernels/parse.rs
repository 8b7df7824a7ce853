//! Text as values, as PostgreSQL's input functions read it; the many spellings of dates and times are cut to ISO 8601.

use arrow::datatypes::i256;
use zset::{RowError, sqlstate};

use super::Result;
use super::civil::{Civil, DATE_DAYS, DAY, TIMESTAMP_DAYS, date_out_of_range, days, month_days};
use super::decimal::{Rounding, power_of_ten, round_to};

/// White space of C's isspace.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}'))
}

fn invalid(ty: &str, text: &str) -> RowError {
    RowError::new(sqlstate::INVALID_TEXT, format!("invalid input syntax for type {ty}: \"{text}\""))
}

fn beyond(ty: &str, text: &str) -> RowError {
    RowError::new(sqlstate::OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {ty}"))
}

/// A whole number within bounds.
pub(super) fn integer(text: &str, ty: &str, least: i64, most: i64) -> Result<i64> {
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(ty, text));
    }
    match trimmed.parse::<i64>() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(beyond(ty, text)),
    }
}

/// A numeric at a scale: rounded half away from zero, or, if it must be exact, refused where digits would go.
pub(super) fn numeric(text: &str, scale: i8, exact: bool) -> Result<i256> {
    let wrong = || invalid("numeric", text);
    let trimmed = trim(text);
    let (negative, unsigned) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, &trimmed[1..]),
        Some(b'+') => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    if ["nan", "inf", "infinity"].contains(&unsigned.to_ascii_lowercase().as_str()) {
        return Err(RowError::new(
            sqlstate::OUT_OF_RANGE,
            format!("numeric \"{text}\" cannot be kept; use double precision for NaN and Infinity"),
        ));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let behind = fraction.len() as i64 - i64::from(exponent);
    if exact && lasting(&digits, behind) > i64::from(scale) {
        return Err(RowError::new(
            sqlstate::OUT_OF_RANGE,
            format!("\"{text}\" does not fit NUMERIC(38,10) exactly; cast to numeric(p,s) to have it rounded"),
        ));
    }
    let value = rounded(&digits, behind, scale)
        .ok_or_else(|| RowError::new(sqlstate::OUT_OF_RANGE, format!("numeric field overflow: \"{text}\"")))?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

/// The digits behind the point, without zeros at the end.
fn lasting(digits: &str, behind: i64) -> i64 {
    let kept = digits.trim_end_matches('0').len();
    if digits.bytes().all(|b| b == b'0') { 0 } else { behind - (digits.len() - kept) as i64 }
}

/// Digits with so many behind the point, at a scale.
fn rounded(digits: &str, behind: i64, scale: i8) -> Option<i256> {
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some(i256::ZERO);
    }
    let drop = behind - i64::from(scale);
    if drop > significant.len() as i64 {
        return Some(i256::ZERO);
    }
    if drop > 60 || significant.len() > 76 {
        // more than any numeric holds: all but two of the digits that go are cut first, which rounds the same
        let cut = (drop - 2).clamp(0, significant.len() as i64) as usize;
        let kept = &significant[..significant.len() - cut];
        let value = if kept.is_empty() { i256::ZERO } else { i256::from_string(kept)? };
        return round_to(value, (behind - cut as i64) as i32, i32::from(scale), Rounding::HalfAway);
    }
    let value = i256::from_string(significant)?;
    if drop <= 0 {
        return value.checked_mul(power_of_ten(u32::try_from(-drop).ok()?)?);
    }
    round_to(value, behind as i32, i32::from(scale), Rounding::HalfAway)
}

/// A double, as C's strtod reads decimal forms.
pub(super) fn double(text: &str) -> Result<f64> {
    float(text, "double precision")
}

/// A real.
pub(super) fn real(text: &str) -> Result<f32> {
    let wide = float(text, "real")?;
    let value: f32 = trim(text).parse().unwrap_or(wide as f32);
    let lost = (value.is_infinite() && wide.is_finite()) || (value == 0.0 && wide != 0.0);
    if lost {
        Err(RowError::new(sqlstate::OUT_OF_RANGE, format!("\"{text}\" is out of range for type real")))
    } else {
        Ok(value)
    }
}

fn float(text: &str, ty: &str) -> Result<f64> {
    let trimmed = trim(text);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let word = unsigned.to_ascii_lowercase();
    let special = matches!(word.as_str(), "nan" | "inf" | "infinity");
    let decimal = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if unsigned.is_empty() || !(special || decimal) {
        return Err(invalid(ty, text));
    }
    let value: f64 = trimmed.parse().map_err(|_| invalid(ty, text))?;
    let digits = unsigned.split(['e', 'E']).next().unwrap_or_default().bytes().any(|b| (b'1'..=b'9').contains(&b));
    if !special && (value.is_infinite() || (value == 0.0 && digits)) {
        return Err(RowError::new(sqlstate::OUT_OF_RANGE, format!("\"{text}\" is out of range for type {ty}")));
    }
    Ok(value)
}

/// A boolean: unique beginnings of true, false, yes, no, on, off; 1, 0.
pub(super) fn boolean(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        return Ok(true);
    }
    if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        return Ok(false);
    }
    Err(invalid("boolean", text))
}

/// A UUID: 32 hex digits, a dash after every fourth allowed, braces around allowed.
pub(super) fn uuid(text: &str, out: &mut String) -> Result<()> {
    let wrong = || invalid("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(wrong)?,
        None => text,
    };
    let mut digits = 0;
    let mut dashed = true;
    for c in inner.chars() {
        if c == '-' && digits % 4 == 0 && digits > 0 && digits < 32 && !dashed {
            dashed = true;
        } else if c.is_ascii_hexdigit() && digits < 32 {
            if matches!(digits, 8 | 12 | 16 | 20) {
                out.push('-');
            }
            out.push(c.to_ascii_lowercase());
            digits += 1;
            dashed = false;
        } else {
            return Err(wrong());
        }
    }
    if digits == 32 { Ok(()) } else { Err(wrong()) }
}

/// Bytes: `\x` and hex digits, or text with `\\` and `\ooo`.
pub(super) fn bytea(text: &str) -> Result<Vec<u8>> {
    let wrong = || invalid("bytea", text);
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        if !digits.len().is_multiple_of(2) {
            return Err(RowError::new("22023", "invalid hexadecimal data: odd number of digits"));
        }
        let nibble = |b: u8| char::from(b).to_digit(16);
        let bytes = digits.chunks(2).map(|pair| Some((nibble(pair[0])? * 16 + nibble(pair[1])?) as u8));
        return bytes.collect::<Option<Vec<u8>>>().ok_or_else(|| RowError::new("22023", "invalid hexadecimal digit"));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let octal = |b: Option<u8>, most: u8| b.filter(|b| (b'0'..=most).contains(b)).map(|b| u32::from(b - b'0'));
        match bytes.next() {
            Some(b'\\') => out.push(b'\\'),
            first => {
                let value = octal(first, b'3').ok_or_else(wrong)? * 64
                    + octal(bytes.next(), b'7').ok_or_else(wrong)? * 8
                    + octal(bytes.next(), b'7').ok_or_else(wrong)?;
                out.push(value as u8);
            }
        }
    }
    Ok(out)
}

fn invalid_moment(ty: &str, text: &str) -> RowError {
    RowError::new(
        sqlstate::INVALID_DATETIME,
        format!("invalid input syntax for type {ty}: \"{text}\"; write ISO 8601, as 2024-01-15 or 2024-01-15 10:00:00"),
    )
}

fn field_out_of_range(text: &str) -> RowError {
    RowError::new(sqlstate::DATETIME_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
}

/// Reads digits: how many are there, and their value.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `YYYY-MM-DD` at the start; the rest.
fn date_part<'a>(text: &'a str, whole: &str, ty: &str) -> Result<(Civil, &'a str)> {
    let wrong = || invalid_moment(ty, whole);
    let (year, rest) = digits(text);
    let (month, rest) = digits(rest.strip_prefix('-').ok_or_else(wrong)?);
    let (day, rest) = digits(rest.strip_prefix('-').ok_or_else(wrong)?);
    if !(4..=7).contains(&year.len()) || !(1..=2).contains(&month.len()) || !(1..=2).contains(&day.len()) {
        return Err(wrong());
    }
    let number = |digits: &str| digits.parse::<i64>().map_err(|_| wrong());
    Ok((Civil { year: number(year)?, month: number(month)?, day: number(day)? }, rest))
}

/// ` BC` at the end, then the checks of the fields.
fn day_of(mut date: Civil, bc: bool, whole: &str) -> Result<i64> {
    if date.year == 0 {
        return Err(field_out_of_range(whole));
    }
    if bc {
        date.year = 1 - date.year;
    }
    let in_range = (1..=12).contains(&date.month) && date.day >= 1 && date.day <= month_days(date.year, date.month);
    if in_range { Ok(days(date)) } else { Err(field_out_of_range(whole)) }
}

fn bc(text: &str) -> (&str, bool) {
    let cut =
        text.len().checked_sub(2).filter(|at| text.is_char_boundary(*at) && text[*at..].eq_ignore_ascii_case("bc"));
    match cut {
        Some(at) => (trim(&text[..at]), true),
        None => (text, false),
    }
}

/// A date; a time behind it is read and left out, as PostgreSQL does.
pub(super) fn date(text: &str) -> Result<i32> {
    let (body, bc) = bc(trim(text));
    let (civil, rest) = date_part(body, text, "date")?;
    let day = day_of(civil, bc, text)?;
    if !rest.is_empty() {
        moment_rest(rest, text, "date")?;
    }
    if DATE_DAYS.contains(&day) { Ok(day as i32) } else { Err(date_out_of_range()) }
}

/// `[T ]HH:MM[:SS[.f]][zone]`: microseconds in the day, and the zone's offset in seconds.
fn moment_rest(rest: &str, whole: &str, ty: &str) -> Result<(i64, Option<i64>)> {
    let wrong = || invalid_moment(ty, whole);
    let rest = rest.strip_prefix(['T', 't']).unwrap_or_else(|| rest.trim_start_matches(' '));
    if rest.is_empty() {
        return Err(wrong());
    }
    let (micros, rest) = clock(rest, whole, ty)?;
    let zone = zone(trim(rest), whole, ty)?;
    Ok((micros, zone))
}

/// `HH:MM[:SS[.f]]` at the start; the rest. 24:00:00 is the end of the day, a second of 60 the next minute.
fn clock<'a>(text: &'a str, whole: &str, ty: &str) -> Result<(i64, &'a str)> {
    let wrong = || invalid_moment(ty, whole);
    let number = |digits: &str| -> Result<i64> {
        if digits.is_empty() || digits.len() > 2 { Err(wrong()) } else { digits.parse().map_err(|_| wrong()) }
    };
    let (hour, rest) = digits(text);
    let (minute, mut rest) = digits(rest.strip_prefix(':').ok_or_else(wrong)?);
    let (hour, minute) = (number(hour)?, number(minute)?);
    let (mut second, mut fraction) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        let (seconds, after) = digits(after);
        second = number(seconds)?;
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (digits, after) = digits(after);
            rest = after;
            // as PostgreSQL does it: by a double, rounded half to even
            let part: f64 = format!("0.{digits}0").parse().map_err(|_| wrong())?;
            fraction = (part * 1_000_000.0).round_ties_even() as i64;
        }
    }
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    if hour > 24 || minute > 59 || second > 60 || micros > DAY {
        return Err(field_out_of_range(whole));
    }
    Ok((micros, rest))
}

/// `Z`, `UTC`, `+hh`, `+hh:mm`, `+hhmm`, `+hh:mm:ss`: the offset in seconds.
fn zone(text: &str, whole: &str, ty: &str) -> Result<Option<i64>> {
    let wrong = || invalid_moment(ty, whole);
    if text.is_empty() {
        return Ok(None);
    }
    if ["z", "utc", "gmt", "zulu"].contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(Some(0));
    }
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return Err(wrong()),
    };
    let rest = &text[1..];
    let parts: Vec<&str> = match rest.len() {
        4 if rest.bytes().all(|b| b.is_ascii_digit()) => vec![&rest[..2], &rest[2..]],
        _ => rest.split(':').collect(),
    };
    if parts.len() > 3 || parts.iter().any(|p| p.is_empty() || p.len() > 2 || !p.bytes().all(|b| b.is_ascii_digit())) {
        return Err(wrong());
    }
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        let n: i64 = part.parse().map_err(|_| wrong())?;
        if n > if unit == 3600 { 15 } else { 59 } {
            return Err(RowError::new("22009", format!("time zone displacement out of range: \"{whole}\"")));
        }
        seconds += n * unit;
    }
    Ok(Some(sign * seconds))
}

/// A timestamp; with `zoned`, an offset in the text counts, else it is read and left out, as PostgreSQL does.
pub(super) fn timestamp(text: &str, zoned: bool) -> Result<i64> {
    let ty = if zoned { "timestamp with time zone" } else { "timestamp" };
    let (body, bc) = bc(trim(text));
    let (civil, rest) = date_part(body, text, ty)?;
    let day = day_of(civil, bc, text)?;
    let (micros, offset) = if rest.is_empty() { (0, None) } else { moment_rest(rest, text, ty)? };
    let beyond = || RowError::new(sqlstate::DATETIME_OVERFLOW, format!("timestamp out of range: \"{text}\""));
    if !TIMESTAMP_DAYS.contains(&day) {
        return Err(beyond());
    }
    let shift = if zoned { offset.unwrap_or(0) * 1_000_000 } else { 0 };
    (day * DAY).checked_add(micros).and_then(|at| at.checked_sub(shift)).ok_or_else(beyond)
}

/// A time of day.
pub(super) fn time(text: &str) -> Result<i64> {
    let trimmed = trim(text);
    let (micros, rest) = clock(trimmed, text, "time")?;
    zone(trim(rest), text, "time")?;
    Ok(micros)
}
