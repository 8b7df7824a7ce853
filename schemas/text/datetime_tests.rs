#![allow(clippy::unwrap_used)]
use super::*;

const NOON: i64 = 1_705_312_800_000_000; // 2024-01-15 10:00:00

#[test]
fn dates() {
    for text in ["2024-02-29", "20240229", "2024/2/29", "2024-02-29Z", " 2024-02-29 13:14:15+05 ", "2024-02-29 AD"] {
        assert_eq!(date(text), Ok(19_782), "{text}");
    }
    assert_eq!(date("0044-03-15 BC"), Ok(-735_160));
    assert_eq!(date("-0043-03-15"), Ok(-735_160));
    assert_eq!(date("294276-12-31"), Ok(106_762_939));
    assert_eq!(date("+294276-12-31"), Ok(106_762_939));
    assert_eq!(date("5874897-12-31"), Ok(2_145_042_905));
    assert_eq!(date("4714-11-24 BC"), Ok(-2_440_588));
    for text in [
        "",
        "2023-02-29",
        "2024-13-01",
        "2024-00-01",
        "2024-01-00",
        "0000-01-01",
        "infinity",
        "today",
        "24-01-01",
        "2024-01",
        "2024-01-15x",
        "2024-01/15",
        "5874898-01-01",
        "4714-11-23 BC",
        "-0043-03-15 BC",
        "2024-01-15T",
    ] {
        assert!(date(text).is_err(), "{text}");
    }
}

#[test]
fn timestamps() {
    for text in [
        "2024-01-15 10:00:00",
        "2024-01-15T10:00",
        "2024-01-15T10:00:00.000000",
        "20240115 10:00:00",
        "2024-01-15 10:00:00+05",
        "2024-01-15T10:00:00Z",
        "2024-01-15 09:59:60",
        "2024-01-15T09:59:59.9999999",
    ] {
        assert_eq!(timestamp(text, 6), Ok(NOON), "{text}");
    }
    assert_eq!(timestamp("2024-01-15", 6), Ok(NOON - 10 * 3_600_000_000));
    assert_eq!(timestamp("2024-01-14 24:00:00", 6), Ok(NOON - 10 * 3_600_000_000));
    assert_eq!(timestamp("0001-01-01 00:00:00", 6), Ok(-62_135_596_800_000_000));
    assert_eq!(timestamp("294246-12-31 23:59:59.999999", 6), Ok(TIMESTAMP_END - 1));
    for text in [
        "294247-01-01 00:00:00",
        "infinity",
        "-infinity",
        "2024-01-15 24:00:01",
        "2024-01-15 10:60:00",
        "2024-01-15 10:00:61",
        "2024-01-15 1000",
        "2024-01-15 10:00:00 Mars",
    ] {
        assert!(timestamp(text, 6).is_err(), "{text}");
    }
}

#[test]
fn zones() {
    for text in [
        "2024-01-15 10:00:00",
        "2024-01-15T10:00:00Z",
        "2024-01-15 15:30:00+05:30",
        "2024-01-15 15:30:00+0530",
        "2024-01-15 05:00:00 -05",
        "2024-01-15T10:00:00.000000Z",
        "2024-01-15 10:00:00 utc",
        "2024-01-15 10:00:30+00:00:30",
    ] {
        assert_eq!(timestamptz(text, 6), Ok(NOON), "{text}");
    }
    assert_eq!(timestamptz("-0043-03-15T12:00:00.000000Z", 6), Ok(-63_517_780_800_000_000));
    assert_eq!(timestamptz("0044-03-15T12:00:00.000000Z BC", 6), Ok(-63_517_780_800_000_000));
    assert!(timestamptz("+294276-12-31T23:59:59.999999Z", 6).is_err());
    for text in ["2024-01-15 10:00:00+16", "2024-01-15 10:00:00+5:3", "2024-01-15 10:00:00 Europe/Paris", "infinity"] {
        assert!(timestamptz(text, 6).is_err(), "{text}");
    }
}

#[test]
fn precision_rounds_halves_away_from_2000() {
    assert_eq!(timestamp("2024-01-15 10:00:00.1235", 3), Ok(NOON + 124_000));
    assert_eq!(timestamp("2024-01-15 09:59:59.9995", 3), Ok(NOON));
    assert_eq!(timestamp("2024-01-15 10:00:00.5", 0), Ok(NOON + 1_000_000));
    // Before 2000 a half goes down: away from it.
    assert_eq!(timestamp("1999-12-31 23:59:58.5", 0), Ok(POSTGRES_EPOCH - 2_000_000));
    assert_eq!(timestamp("1970-01-01 00:00:00.0005", 3), Ok(0));
    assert_eq!(timestamp("1970-01-01 00:00:00.0006", 3), Ok(1000));
    assert!(timestamp("294246-12-31 23:59:59.9999", 3).is_err());
}

#[test]
fn times() {
    assert_eq!(time("13:14:15.123456"), Ok(47_655_123_456));
    assert_eq!(time("13:14:15.5+02"), Ok(47_655_500_000));
    assert_eq!(time("24:00:00"), Ok(86_400_000_000));
    assert_eq!(time(" 2024-01-15 13:14 "), Ok(47_640_000_000));
    assert_eq!(time("13:14:15.1234565"), Ok(47_655_123_456));
    assert_eq!(time("00:00:00.Z"), Ok(0));
    for text in ["", "25:00", "24:00:00.000001", "13:60", "13", "2024-01-15", "abc"] {
        assert!(time(text).is_err(), "{text}");
    }
}
