//! Values as text, as PostgreSQL prints them with DateStyle ISO, TimeZone UTC and shortest floats.

use std::fmt::Write;

use arrow::datatypes::i256;

use super::civil::{DAY, civil, split};

fn push(out: &mut String, args: std::fmt::Arguments) {
    // writing to a String cannot fail
    let _ = out.write_fmt(args);
}

/// A numeric with all digits of its scale.
pub(super) fn numeric(value: i256, scale: i8, out: &mut String) {
    let digits = value.wrapping_abs().to_string();
    if value.is_negative() {
        out.push('-');
    }
    let scale = usize::from(scale.unsigned_abs());
    if scale == 0 {
        out.push_str(&digits);
        return;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    push(out, format_args!("{whole}.{fraction}"));
}

/// A float by the shortest digits that give it back; scientific from 10^`fixed` on and below 10^-4.
pub(super) fn float(digits_of: &str, negative: bool, fixed: i32, out: &mut String) {
    // digits_of: Rust's shortest scientific form, d.ddde±x, of the absolute value
    if negative {
        out.push('-');
    }
    let (mantissa, exponent) = digits_of.split_once('e').unwrap_or((digits_of, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < -4 || exponent >= fixed {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        push(out, format_args!("{first}{point}{rest}e{sign}{:02}", exponent.abs()));
    } else if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1) as usize);
        push(out, format_args!("0.{zeros}{digits}"));
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            push(out, format_args!("{digits:0<whole$}"));
        } else {
            push(out, format_args!("{}.{}", &digits[..whole], &digits[whole..]));
        }
    }
}

/// A double.
pub(super) fn double(value: f64, out: &mut String) {
    any(value, || format!("{:e}", value.abs()), 15, out);
}

/// A real.
pub(super) fn real(value: f32, out: &mut String) {
    any(value.into(), || format!("{:e}", value.abs()), 6, out);
}

/// A float, by what `shortest` gives of a finite one: see [`float`].
fn any(value: f64, shortest: impl FnOnce() -> String, fixed: i32, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        float(&shortest(), value.is_sign_negative(), fixed, out);
    }
}

fn year(day: i64, out: &mut String) -> bool {
    let date = civil(day);
    let (shown, bc) = if date.year > 0 { (date.year, false) } else { (1 - date.year, true) };
    push(out, format_args!("{shown:04}-{:02}-{:02}", date.month, date.day));
    bc
}

/// A date.
pub(super) fn date(day: i64, out: &mut String) {
    if year(day, out) {
        out.push_str(" BC");
    }
}

/// A time of day.
pub(super) fn time(micros: i64, out: &mut String) {
    let seconds = micros / 1_000_000;
    push(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        push(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

/// A timestamp, with `+00` if it has a zone.
pub(super) fn timestamp(micros: i64, zone: bool, out: &mut String) {
    let (day, rest) = split(micros);
    debug_assert!(rest < DAY);
    let bc = year(day, out);
    out.push(' ');
    time(rest, out);
    if zone {
        out.push_str("+00");
    }
    if bc {
        out.push_str(" BC");
    }
}

/// Bytes in hex.
pub(super) fn bytea(bytes: &[u8], out: &mut String) {
    out.push_str("\\x");
    bytes.iter().for_each(|byte| push(out, format_args!("{byte:02x}")));
}
