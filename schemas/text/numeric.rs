//! Exact decimals: read without ever rounding, written with their scale.

use std::borrow::Cow;

use arrow::datatypes::i256;

use super::{Misfit, misfit, misfit_with, trim};

/// A decimal number taken apart: `digits` x 10^`exponent`, the digits from the first to the last that is not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits<'a> {
    negative: bool,
    /// May still hold the point.
    text: &'a [u8],
    count: i64,
    exponent: i64,
    /// The digits written behind the point, less the exponent: PostgreSQL's display scale.
    shown_scale: i64,
}

/// Exponents are cut here: far beyond every type, and far from overflow.
const EXPONENT_MAX: i64 = 1_000_000_000;

impl<'a> Digits<'a> {
    /// Takes a number apart: sign, digits, point, exponent. No NaN, no Infinity.
    pub fn parse(text: &'a str) -> Result<Self, Misfit> {
        let text = trim(text);
        let (negative, body) = match text.as_bytes().first() {
            Some(b'-') => (true, &text.as_bytes()[1..]),
            Some(b'+') => (false, &text.as_bytes()[1..]),
            _ => (false, text.as_bytes()),
        };
        let (mut first, mut last): (Option<(usize, i64)>, (usize, i64)) = (None, (0, 0));
        let (mut digits, mut point, mut exponent) = (0i64, None, 0i64);
        for (at, &byte) in body.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    if byte != b'0' {
                        first.get_or_insert((at, digits));
                        last = (at, digits);
                    }
                    digits += 1;
                }
                b'.' if point.is_none() => point = Some(digits),
                b'e' | b'E' if digits > 0 => {
                    exponent = exponent_of(&body[at + 1..])?;
                    break;
                }
                _ => return not_a_number(text),
            }
        }
        if digits == 0 {
            return not_a_number(text);
        }
        let point = point.unwrap_or(digits);
        let shown_scale = (digits - point - exponent).max(0);
        Ok(match first {
            None => Self { negative: false, text: &[], count: 0, exponent: 0, shown_scale },
            Some((start, index)) => Self {
                negative,
                text: &body[start..=last.0],
                count: last.1 - index + 1,
                exponent: point - 1 - last.1 + exponent,
                shown_scale,
            },
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.text.iter().filter(|byte| **byte != b'.').map(|byte| byte - b'0')
    }

    /// The zeros to append so that the last digit is the last of `scale`; refused if the number does not fit.
    fn zeros(&self, precision: u8, scale: i8) -> Result<u32, Misfit> {
        if self.count == 0 {
            return Ok(0);
        }
        let zeros = self.exponent + i64::from(scale);
        if zeros < 0 {
            return behind(scale);
        }
        if self.count + zeros > i64::from(precision) {
            return before(precision, scale);
        }
        Ok(zeros as u32)
    }

    /// PostgreSQL's `numeric` text of the number: no exponent, the scale it was written with. Refused beyond the range
    /// of `numeric`.
    pub fn write_postgres(&self, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let before_point = (self.count + self.exponent).max(0);
        if self.shown_scale > 16383 || before_point > 131_072 {
            return misfit("is out of the range of numeric");
        }
        if self.negative {
            out.push(b'-');
        }
        // `digit(position)`: the digit that stands for 10^position.
        let digits: Cow<'_, [u8]> = if self.text.contains(&b'.') {
            Cow::Owned(self.text.iter().copied().filter(|b| *b != b'.').collect())
        } else {
            Cow::Borrowed(self.text)
        };
        let digit = |position: i64| {
            let index = self.count - 1 - (position - self.exponent);
            usize::try_from(index).ok().and_then(|at| digits.get(at)).copied().unwrap_or(b'0')
        };
        if before_point == 0 {
            out.push(b'0');
        }
        out.extend((0..before_point).rev().map(digit));
        if self.shown_scale > 0 {
            out.push(b'.');
            out.extend((1..=self.shown_scale).map(|behind| digit(-behind)));
        }
        Ok(())
    }
}

fn exponent_of(text: &[u8]) -> Result<i64, Misfit> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return misfit("is not a number");
    }
    let size = digits.iter().fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Ok(if negative { -size } else { size })
}

fn not_a_number<T>(text: &str) -> Result<T, Misfit> {
    const SPECIALS: [&str; 8] =
        ["nan", "infinity", "+infinity", "-infinity", "inf", "-inf", "positive_infinity", "negative_infinity"];
    if SPECIALS.iter().any(|special| text.eq_ignore_ascii_case(special)) {
        return misfit("is not a finite number; a numeric column here holds no NaN and no Infinity");
    }
    misfit("is not a number")
}

fn behind<T>(scale: i8) -> Result<T, Misfit> {
    misfit_with(format!("has more than {scale} digits behind the point"))
}

fn before<T>(precision: u8, scale: i8) -> Result<T, Misfit> {
    misfit_with(format!("has more than {} digits before the point", i16::from(precision) - i16::from(scale)))
}

/// A `numeric(precision, scale)` of at most 38 digits, as its unscaled integer. Never rounded.
pub fn numeric128(text: &str, precision: u8, scale: i8) -> Result<i128, Misfit> {
    let number = Digits::parse(text)?;
    let zeros = number.zeros(precision.min(38), scale)?;
    let size = number.digits().fold(0i128, |sum, digit| sum * 10 + i128::from(digit)) * 10i128.pow(zeros);
    Ok(if number.negative { -size } else { size })
}

/// A `numeric(precision, scale)` of at most 76 digits, as its unscaled integer. Never rounded.
pub fn numeric256(text: &str, precision: u8, scale: i8) -> Result<i256, Misfit> {
    let number = Digits::parse(text)?;
    let zeros = number.zeros(precision.min(76), scale)?;
    let ten = i256::from_i128(10);
    let size = number
        .digits()
        .fold(i256::ZERO, |sum, digit| sum.wrapping_mul(ten).wrapping_add(i256::from_i128(i128::from(digit))));
    let size = size.wrapping_mul(ten.wrapping_pow(zeros));
    Ok(if number.negative { size.wrapping_neg() } else { size })
}

/// The unscaled integer of `unscaled` x 10^-`from` as a `numeric(precision, scale)`. Never rounded.
pub fn rescale(unscaled: i256, from: i32, precision: u8, scale: i8) -> Result<i256, Misfit> {
    let ten = i256::from_i128(10);
    let up = i64::from(scale) - i64::from(from);
    let value = if unscaled == i256::ZERO {
        unscaled
    } else if up >= 0 {
        let factor = u32::try_from(up).ok().filter(|up| *up <= 76).and_then(|up| ten.checked_pow(up));
        match factor.and_then(|factor| unscaled.checked_mul(factor)) {
            Some(value) => value,
            None => return before(precision, scale),
        }
    } else {
        // More than 76 places: no value but zero is a multiple.
        let Some(factor) = u32::try_from(-up).ok().filter(|down| *down <= 76).and_then(|down| ten.checked_pow(down))
        else {
            return behind(scale);
        };
        if unscaled.wrapping_rem(factor) != i256::ZERO {
            return behind(scale);
        }
        unscaled.wrapping_div(factor)
    };
    let limit = ten.wrapping_pow(u32::from(precision.min(76)));
    if value >= limit || value <= limit.wrapping_neg() {
        return before(precision, scale);
    }
    Ok(value)
}

/// Writes a whole number in decimal.
pub fn write_i64(value: i64, out: &mut Vec<u8>) {
    static PAIRS: [[u8; 2]; 100] = {
        let (mut pairs, mut at) = ([[0; 2]; 100], 0);
        while at < 100 {
            pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
            at += 1;
        }
        pairs
    };
    // Two digits at a time from the end; the longest is -9223372036854775808.
    let (mut text, mut at) = ([0u8; 20], 20);
    let mut rest = value.unsigned_abs();
    while rest >= 10 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || at == text.len() {
        at -= 1;
        text[at] = b'0' + rest as u8;
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&text[at..]);
}

/// Writes an unscaled integer with its scale: 1250 with 2 is `12.50`.
pub fn write_numeric128(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let mut digits = [0u8; 40];
    let mut at = digits.len();
    let mut rest = unscaled.unsigned_abs();
    // In pieces of 64 bits, whose division is a single instruction.
    const PIECE: u128 = 10_000_000_000_000_000_000;
    while rest >= PIECE {
        let mut piece = (rest % PIECE) as u64;
        rest /= PIECE;
        for _ in 0..19 {
            at -= 1;
            digits[at] = b'0' + (piece % 10) as u8;
            piece /= 10;
        }
    }
    let mut rest = rest as u64;
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    with_point(unscaled < 0, &digits[at..], scale, out);
}

/// As [`write_numeric128`].
pub fn write_numeric256(unscaled: i256, scale: i8, out: &mut Vec<u8>) {
    if let Some(small) = unscaled.to_i128() {
        return write_numeric128(small, scale, out);
    }
    let negative = unscaled < i256::ZERO;
    let size = if negative { unscaled.wrapping_neg() } else { unscaled };
    let mut limbs = [0u64; 4];
    for (limb, bytes) in limbs.iter_mut().zip(size.to_le_bytes().chunks_exact(8)) {
        *limb = bytes.iter().rev().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    // The most are 77 digits, which are five pieces of 19.
    const PIECE: u128 = 10_000_000_000_000_000_000;
    let (mut digits, mut at) = ([0u8; 95], 95);
    while limbs != [0; 4] {
        let mut piece = 0u64;
        for limb in limbs.iter_mut().rev() {
            let both = u128::from(piece) << 64 | u128::from(*limb);
            *limb = (both / PIECE) as u64;
            piece = (both % PIECE) as u64;
        }
        for _ in 0..19 {
            at -= 1;
            digits[at] = b'0' + (piece % 10) as u8;
            piece /= 10;
        }
    }
    let zeros = digits[at..].iter().take_while(|digit| **digit == b'0').count();
    with_point(negative, &digits[at + zeros..], scale, out);
}

/// As [`write_numeric256`], without the zeros at the end behind the point, which in a derived numeric mean nothing.
pub fn write_i256_trimmed(unscaled: i256, scale: i8, out: &mut Vec<u8>) {
    write_numeric256(unscaled, scale, out);
    if scale > 0 {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

/// `digits` has no zeros in front; none at all is zero.
fn with_point(negative: bool, digits: &[u8], scale: i8, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let scale_digits = usize::try_from(scale).unwrap_or(0);
    let whole = digits.len().saturating_sub(scale_digits);
    match whole {
        0 => out.push(b'0'),
        _ => out.extend_from_slice(&digits[..whole]),
    }
    if scale < 0 && whole > 0 {
        out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
    }
    if scale_digits > 0 {
        out.push(b'.');
        out.resize(out.len() + scale_digits.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[whole..]);
    }
}

#[cfg(test)]
#[path = "numeric_tests.rs"]
mod tests;
