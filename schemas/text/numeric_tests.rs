#![allow(clippy::unwrap_used)]
use super::*;

fn shown(unscaled: i128, scale: i8) -> String {
    let mut out = Vec::new();
    write_numeric128(unscaled, scale, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn numbers_fit_exactly_or_not_at_all() {
    assert_eq!(numeric128("12.5", 12, 2), Ok(1250));
    assert_eq!(numeric128("-12.3400", 12, 2), Ok(-1234));
    assert_eq!(numeric128(" +1e3 ", 12, 2), Ok(100_000));
    assert_eq!(numeric128("-9.999999999E7", 10, 2), Ok(-9_999_999_999));
    assert_eq!(numeric128(".5", 2, 2), Ok(50));
    assert_eq!(numeric128("5.", 2, 0), Ok(5));
    assert_eq!(numeric128("000.000", 2, 2), Ok(0));
    assert_eq!(numeric128("0e999999999999", 2, 2), Ok(0));
    assert_eq!(numeric128("1E-15", 20, 15), Ok(1));
    let nines = "99999999999999999999999999999999999999";
    assert_eq!(numeric128(nines, 38, 0), Ok(10i128.pow(38) - 1));
    assert_eq!(numeric128("12.345", 12, 2).unwrap_err().to_string(), "has more than 2 digits behind the point");
    assert_eq!(numeric128("100", 4, 2).unwrap_err().to_string(), "has more than 2 digits before the point");
    assert_eq!(numeric128("1.0E38", 38, 0).unwrap_err().to_string(), "has more than 38 digits before the point");
    for text in ["", "-", ".", "1.2.3", "abc", "1e", "1e+", "e5", "NaN", "Infinity", "NAN", "1 2", "0x1"] {
        assert!(numeric128(text, 38, 10).is_err(), "{text}");
    }
    assert!(numeric128("POSITIVE_INFINITY", 12, 2).unwrap_err().to_string().contains("NaN"));
}

#[test]
fn wide_numbers_are_exact() {
    let text = "-1234567890123456789012345678901234567890.123456789012345678901234567890123456";
    let value = numeric256(text, 76, 36).unwrap();
    let mut out = Vec::new();
    write_numeric256(value, 36, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), text);
    assert!(numeric256(text, 76, 35).is_err());
    let mut out = Vec::new();
    write_i256_trimmed(i256::from_i128(-125_000), 4, &mut out);
    assert_eq!(out, b"-12.5");
    let mut out = Vec::new();
    write_i256_trimmed(i256::from_i128(1_200), 2, &mut out);
    assert_eq!(out, b"12");
    let mut out = Vec::new();
    write_i256_trimmed(i256::ZERO, 16, &mut out);
    assert_eq!(out, b"0");
}

/// As arrow writes them, of every length.
#[test]
fn wide_numbers_are_written_digit_by_digit() {
    let mut random = 7u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut values = vec![i256::MIN, i256::MAX, i256::ZERO, i256::MINUS_ONE, i256::from_i128(i128::MIN)];
    values.extend((0..76).flat_map(|power| {
        let ten = i256::from_string(&format!("1{}", "0".repeat(power))).unwrap();
        [ten, ten.wrapping_sub(i256::ONE), ten.wrapping_neg(), ten.wrapping_mul(i256::from_i128(7))]
    }));
    for bits in (0..256).chain(0..256) {
        let words: Vec<u8> = (0..4).flat_map(|_| next().to_le_bytes()).collect();
        values.push(i256::from_le_bytes(words.try_into().unwrap()) >> bits as u8);
    }
    for value in values {
        let mut out = Vec::new();
        write_numeric256(value, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }
}

#[test]
fn numerics_are_written_with_their_scale() {
    assert_eq!(shown(1250, 2), "12.50");
    assert_eq!(shown(-5, 2), "-0.05");
    assert_eq!(shown(0, 2), "0.00");
    assert_eq!(shown(0, 0), "0");
    assert_eq!(shown(7, 0), "7");
    assert_eq!(shown(10i128.pow(38) - 1, 38), format!("0.{}", "9".repeat(38)));
    assert_eq!(shown(-(10i128.pow(37)), 0), format!("-1{}", "0".repeat(37)));
}

#[test]
fn rescaling_never_rounds() {
    let n = i256::from_i128;
    assert_eq!(rescale(n(1234), 2, 12, 4), Ok(n(123_400)));
    assert_eq!(rescale(n(1200), 4, 12, 2), Ok(n(12)));
    assert_eq!(rescale(n(0), 500, 12, 2), Ok(n(0)));
    assert!(rescale(n(1234), 3, 12, 2).is_err());
    assert!(rescale(n(1), 400, 12, 2).is_err());
    assert!(rescale(n(1), -400, 12, 2).is_err());
    assert!(rescale(n(100), 2, 2, 2).is_err());
    assert_eq!(rescale(n(99), 2, 2, 2), Ok(n(99)));
}

#[test]
fn jsonb_numbers_are_postgresqls() {
    let text = |number: &str| {
        let mut out = Vec::new();
        Digits::parse(number).unwrap().write_postgres(&mut out).map(|()| String::from_utf8(out).unwrap())
    };
    for (from, to) in [
        ("1.0", "1.0"),
        ("1e2", "100"),
        ("1.5e1", "15"),
        ("1.50e1", "15.0"),
        ("1e-2", "0.01"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("0e-5", "0.00000"),
        ("0e5", "0"),
        ("-12.340", "-12.340"),
        ("123e-5", "0.00123"),
        ("10203.0405e2", "1020304.05"),
        ("12345678901234567890", "12345678901234567890"),
    ] {
        assert_eq!(text(from).unwrap(), to, "{from}");
    }
    assert_eq!(text("1e400").unwrap().len(), 401);
    assert!(text("1e131072").is_err());
    assert!(text("1e-16384").is_err());
    assert_eq!(text("1e131071").unwrap().len(), 131_072);
}

#[test]
fn whole_numbers_are_written() {
    let all = (0..64).flat_map(|bit| [1i64 << bit, (1i64 << bit).wrapping_sub(1), (1i64 << bit).wrapping_neg()]);
    let tens = (0..19).map(|power| 10i64.pow(power)).flat_map(|ten| [ten, ten - 1, -ten, 1 - ten]);
    for value in all.chain(tens).chain([0, i64::MIN, i64::MAX, 1_005]) {
        let mut out = b"x".to_vec();
        write_i64(value, &mut out);
        assert_eq!(out, format!("x{value}").into_bytes());
    }
}
