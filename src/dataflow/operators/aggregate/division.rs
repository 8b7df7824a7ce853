//! A numeric divided by a count as PostgreSQL divides: `select_div_scale` and round half away from zero.
//!
//! PostgreSQL keeps numerics in digits of base 10000. The quotient gets so many digits behind the point that at least 16
//! are significant, counted in whole base-10000 digits from a guess of its weight, and never fewer than either operand
//! shows.

use arrow::datatypes::i256;
use zset::RowError;

use super::totals::{divide_rounded, out_of_range, power_of_ten};

/// NUMERIC_MIN_SIG_DIGITS.
const SIGNIFICANT_DIGITS_MIN: i32 = 16;
/// DEC_DIGITS: decimal digits in one of base 10000.
const DIGITS: i32 = 4;
/// Decimal digits that are left out at a time where only the first ones matter.
const DROPPED: u32 = 18;

/// `units` x 10^-scale / count at the scale `output`, after rounding at PostgreSQL's scale. `shown`: all digits of the scale
/// count as shown, also trailing zeros.
pub fn quotient(units: i256, scale: i8, count: i64, shown: bool, output: i8) -> Result<i256, RowError> {
    let (units, scale) = if shown { (units, scale) } else { stripped(units, scale) };
    let digits = result_scale(units, scale.into(), count).min(output.into());
    let negative = units.is_negative();
    let magnitude = units.checked_abs().ok_or_else(|| out_of_range("numeric"))?;
    let divisor = i256::from(count);
    let more = digits - i32::from(scale);
    let rounded = if more < 0 {
        let power = power_of_ten(more.unsigned_abs()).and_then(|power| power.checked_mul(divisor));
        divide_rounded(magnitude, power.ok_or_else(|| out_of_range("numeric"))?)
    } else {
        long_division(magnitude, count, more as u32)?
    };
    let fill = power_of_ten((i32::from(output) - digits).unsigned_abs());
    let filled = fill.and_then(|power| rounded.checked_mul(power)).ok_or_else(|| out_of_range("numeric"))?;
    Ok(if negative { filled.wrapping_neg() } else { filled })
}

/// Digit by digit, so that nothing larger than the result is ever formed.
fn long_division(dividend: i256, count: i64, digits: u32) -> Result<i256, RowError> {
    let divisor = i256::from(count);
    let mut quotient = dividend.wrapping_div(divisor);
    let mut rest = dividend.wrapping_rem(divisor).as_i128();
    for _ in 0..digits {
        rest *= 10;
        let digit = i256::from_i128(rest / i128::from(count));
        rest %= i128::from(count);
        let more = quotient.checked_mul(i256::from(10)).and_then(|quotient| quotient.checked_add(digit));
        quotient = more.ok_or_else(|| out_of_range("numeric"))?;
    }
    Ok(if rest * 2 >= i128::from(count) { quotient.wrapping_add(i256::ONE) } else { quotient })
}

/// The same number without trailing zeros behind the point.
fn stripped(mut units: i256, mut scale: i8) -> (i256, i8) {
    let ten = i256::from(10);
    while scale > 0 && units.wrapping_rem(ten) == i256::ZERO {
        units = units.wrapping_div(ten);
        scale -= 1;
    }
    (units, scale)
}

/// PostgreSQL's `select_div_scale`.
fn result_scale(units: i256, scale: i32, count: i64) -> i32 {
    let (weight, first) = leading(units, scale);
    let (count_weight, count_first) = leading(i256::from(count), 0);
    let quotient_weight = weight - count_weight - i32::from(first <= count_first);
    (SIGNIFICANT_DIGITS_MIN - quotient_weight * DIGITS).max(scale).clamp(0, 1000)
}

/// The weight and value of the first base-10000 digit that is not zero; of zero both are 0.
fn leading(units: i256, scale: i32) -> (i32, i32) {
    // Of a wide number the first 20 digits or more.
    let (mut top, mut dropped) = (units, 0);
    while top.to_i128().is_none() {
        top = top.wrapping_div(i256::from_i128(10i128.pow(DROPPED)));
        dropped += DROPPED as i32;
    }
    let top = top.as_i128().unsigned_abs();
    if top == 0 {
        return (0, 0);
    }
    let length = top.ilog10() as i32 + 1;
    // The power of ten of the first decimal digit, and how many decimal digits the first base-10000 digit has.
    let exponent = length + dropped - 1 - scale;
    let digits = exponent.rem_euclid(DIGITS) + 1;
    let power = 10u128.pow((length - digits).unsigned_abs());
    let first = if length < digits { top * power } else { top / power };
    (exponent.div_euclid(DIGITS), first as i32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// units, scale, count -> what `SELECT avg(...)` shows in PostgreSQL 15.
    const POSTGRES: [(i64, i8, i64, &str); 16] = [
        (1, 0, 2, "0.50000000000000000000"),
        (1, 0, 3, "0.33333333333333333333"),
        (5, 0, 3, "1.6666666666666667"),
        (55, 0, 3, "18.3333333333333333"),
        (37037, 0, 3, "12345.6666666666666667"),
        (501, 0, 3, "167.0000000000000000"),
        (-7, 0, 3, "-2.3333333333333333"),
        (100000, 0, 7, "14285.714285714286"),
        (99999999, 0, 10000, "9999.9999000000000000"),
        (12345, 2, 7, "17.6357142857142857"),
        (1, 10, 3, "0.0000000000333333333333333333"),
        (9223372036854775807, 0, 2, "4611686018427387904"),
        (0, 0, 3, "0.00000000000000000000"),
        (0, 5, 3, "0.00000000000000000000"),
        (20000, 0, 2, "10000.0000000000000000"),
        (12345678901234, 4, 9, "137174210.01371111"),
    ];

    fn shown(units: i64, scale: i8, count: i64) -> String {
        let digits = result_scale(i256::from(units), scale.into(), count).min(38);
        let all = quotient(i256::from(units), scale, count, true, 38).unwrap();
        let text = format!("{:0>39}", all.wrapping_abs().to_string());
        let (whole, behind) = text.split_at(text.len() - 38);
        let sign = if all.is_negative() { "-" } else { "" };
        assert!(behind[digits as usize..].bytes().all(|digit| digit == b'0'));
        let point = if digits == 0 { "" } else { "." };
        format!("{sign}{whole}{point}{}", &behind[..digits as usize])
    }

    #[test]
    fn the_first_digits_are_those_of_the_text() {
        let mut values: Vec<i256> = (0..255).map(|at| i256::from(2).wrapping_pow(at)).collect();
        values.extend((0..77).flat_map(|at| [-1, 0, 1].map(|one| i256::from(10).wrapping_pow(at) + i256::from(one))));
        for (value, scale) in values.iter().flat_map(|value| [0, 1, 2, 3, 38].map(|scale| (*value, scale))) {
            let text = value.to_string();
            let exponent = text.len() as i32 - 1 - scale;
            let digits = exponent.rem_euclid(DIGITS) as usize + 1;
            let first = format!("{text:0<4}")[..digits].parse().unwrap();
            let expected = if value == i256::ZERO { (0, 0) } else { (exponent.div_euclid(DIGITS), first) };
            assert_eq!((leading(value, scale), leading(-value, scale)), (expected, expected), "{value}e-{scale}");
        }
    }

    #[test]
    fn digits_are_those_of_postgresql() {
        for (units, scale, count, expected) in POSTGRES {
            assert_eq!(shown(units, scale, count), expected, "{units}e-{scale} / {count}");
        }
    }
}
