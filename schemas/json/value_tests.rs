#![allow(clippy::unwrap_used)]
use super::*;
use crate::options::{BinaryMode, DecimalMode, Modes, TimeMode};
use arrow::datatypes::i256;

const PLAIN: Modes =
    Modes { decimal: DecimalMode::Text, time: TimeMode::Text, binary: BinaryMode::Base64, foreign: true };
const DEBEZIUM: Modes =
    Modes { decimal: DecimalMode::Precise, time: TimeMode::Adaptive, binary: BinaryMode::Base64, foreign: true };

fn with(modes: Modes, ty: &str, token: &str, check: impl FnOnce(Result<Cell<'_>, Problem>)) {
    let ty: ColumnType = ty.parse().unwrap();
    let mut cells = Cells::new(ty, 1);
    match read(ty, Wire::declared(ty, modes), token, &mut cells) {
        Ok(()) => check(Ok(cells.get(0).unwrap())),
        Err(problem) => check(Err(problem)),
    }
}

#[track_caller]
fn reads(modes: Modes, ty: &str, token: &str, expected: Cell<'_>) {
    with(modes, ty, token, |found| match found {
        Ok(found) => assert_eq!(found, expected, "{ty} {token}"),
        Err(problem) => panic!("{ty} {token}: {}", problem.why),
    });
}

#[track_caller]
fn refuses(modes: Modes, ty: &str, token: &str, why: &str) {
    with(modes, ty, token, |found| match found {
        Ok(found) => panic!("{ty} {token} was read as {found:?}"),
        Err(problem) => assert!(problem.why.to_string().contains(why), "{ty} {token}: {}", problem.why),
    });
}

#[test]
fn integers() {
    reads(PLAIN, "smallint", "-32768", Cell::SmallInt(-32768));
    reads(PLAIN, "integer", "\" 12 \"", Cell::Int(12));
    reads(PLAIN, "bigint", "9007199254740993", Cell::BigInt(9_007_199_254_740_993));
    refuses(PLAIN, "smallint", "32768", "is out of range (-32768 to 32767)");
    for token in ["1.0", "1e2", "1.5", "\"1.0\"", "\"\"", "\"abc\""] {
        refuses(PLAIN, "integer", token, "is not an integer");
    }
    refuses(PLAIN, "bigint", "true", "is a boolean");
    refuses(PLAIN, "bigint", "{}", "is an object");
    refuses(PLAIN, "bigint", "[1]", "is an array");
}

#[test]
fn booleans_and_floats() {
    reads(PLAIN, "boolean", "false", Cell::Boolean(false));
    reads(PLAIN, "boolean", "\"YES\"", Cell::Boolean(true));
    refuses(PLAIN, "boolean", "1", "is a number");
    reads(PLAIN, "real", "0.1", Cell::Real(0.1));
    reads(PLAIN, "real", "0.10000000149011612", Cell::Real(0.1));
    reads(PLAIN, "double precision", "\"-Infinity\"", Cell::Double(f64::NEG_INFINITY));
    reads(PLAIN, "double precision", "1e300", Cell::Double(1e300));
    reads(PLAIN, "double precision", "123456789012345680000", Cell::Double(123456789012345680000.0));
    reads(PLAIN, "double precision", "\"9007199254740993\"", Cell::Double(9007199254740992.0));
    refuses(PLAIN, "double precision", "9007199254740993", "cannot keep exactly");
    refuses(PLAIN, "real", "16777217", "cannot keep exactly");
    reads(PLAIN, "real", "16777216", Cell::Real(16777216.0));
    reads(PLAIN, "double precision", "1000000000000000000000", Cell::Double(1e21));
    refuses(PLAIN, "double precision", "1e400", "out of the range");
    refuses(PLAIN, "double precision", "\"abc\"", "is not a number");
}

#[test]
fn text_is_text() {
    reads(PLAIN, "text", r#""a\"\\\u00e9🎉\ud83c\udf89""#, Cell::Bytes("a\"\\é🎉🎉".as_bytes()));
    reads(PLAIN, "text", "\"\"", Cell::Bytes(b""));
    refuses(PLAIN, "text", "12", "is a number, and a string was expected");
    refuses(PLAIN, "text", "true", "is a boolean");
    refuses(PLAIN, "text", r#""a\u0000""#, "\\u0000");
    refuses(PLAIN, "text", r#""\ud800""#, "an escape");
    reads(PLAIN, "varchar(3)", "\"üöä   \"", Cell::Bytes("üöä".as_bytes()));
    reads(PLAIN, "varchar(3)", "\"a  \"", Cell::Bytes(b"a  "));
    refuses(PLAIN, "varchar(3)", "\"abcd\"", "has 4 characters");
}

#[test]
fn bytes_uuids_and_jsonb() {
    reads(PLAIN, "bytea", "\"AP8Q\"", Cell::Bytes(&[0, 255, 16]));
    reads(PLAIN, "bytea", r#""\\x00ff10""#, Cell::Bytes(&[0, 255, 16]));
    reads(Modes { binary: BinaryMode::Hex, ..DEBEZIUM }, "bytea", "\"00ff10\"", Cell::Bytes(&[0, 255, 16]));
    reads(Modes { binary: BinaryMode::Base64Url, ..DEBEZIUM }, "bytea", "\"_-8=\"", Cell::Bytes(&[255, 239]));
    refuses(PLAIN, "bytea", "1", "is a number");
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    reads(PLAIN, "uuid", &format!("\"{{{}}}\"", uuid.to_uppercase()), Cell::Bytes(uuid.as_bytes()));
    refuses(PLAIN, "uuid", "\"x\"", "is not a UUID");
    reads(PLAIN, "jsonb", r#"{"b":1,"a":[1e2]}"#, Cell::Bytes(br#"{"a": [100], "b": 1}"#));
    reads(PLAIN, "jsonb", r#""{\"b\":1}""#, Cell::Bytes(br#"{"b": 1}"#));
    reads(PLAIN, "jsonb", "true", Cell::Bytes(b"true"));
    reads(PLAIN, "jsonb", "\"null\"", Cell::Bytes(b"null"));
    refuses(PLAIN, "jsonb", "\"abc\"", "is not JSON: unexpected 'a' at byte 0");
}

#[test]
fn numerics() {
    reads(PLAIN, "numeric(12,2)", "12.50", Cell::Decimal(1250));
    reads(PLAIN, "numeric(12,2)", "\"12.5\"", Cell::Decimal(1250));
    reads(PLAIN, "numeric(40,2)", "12.5", Cell::WideDecimal(i256::from_i128(1250)));
    refuses(PLAIN, "numeric(12,2)", "12.345", "has more than 2 digits behind the point");
    refuses(PLAIN, "numeric(12,2)", "{\"scale\":1,\"value\":\"Dw==\"}", "is an object");
    reads(DEBEZIUM, "numeric(12,2)", "\"Th8=\"", Cell::Decimal(19_999));
    reads(DEBEZIUM, "numeric(12,2)", "\"tmn9Lg==\"", Cell::Decimal(-1_234_567_890));
    reads(DEBEZIUM, "numeric(12,2)", "199.99", Cell::Decimal(19_999));
    reads(DEBEZIUM, "numeric(38,10)", r#"{"scale":1,"value":"Dw=="}"#, Cell::Decimal(15_000_000_000));
    reads(DEBEZIUM, "numeric(76,0)", "\"tMSzV6V5O4X2dd3AAAAAAQ==\"", {
        Cell::WideDecimal(i256::from_i128(1 - 10i128.pow(38)))
    });
    refuses(DEBEZIUM, "numeric(38,10)", r#"{"scale":18,"value":"AQ=="}"#, "more than 10 digits behind the point");
    refuses(DEBEZIUM, "numeric(2,2)", "\"Th8=\"", "more than 0 digits before the point");
    refuses(DEBEZIUM, "numeric(12,2)", "\"199.99\"", "decimal_handling_mode 'precise'");
    refuses(DEBEZIUM, "numeric(12,2)", "\"\"", "decimal_handling_mode");
    refuses(DEBEZIUM, "numeric(12,2)", r#"{"scale":1}"#, "not one with");
}

#[test]
fn times_are_what_their_mode_says() {
    let mode = |time| Modes { time, ..DEBEZIUM };
    reads(DEBEZIUM, "date", "19782", Cell::Int(19_782));
    reads(DEBEZIUM, "timestamp(3)", "1709212455123", Cell::BigInt(1_709_212_455_123_000));
    reads(DEBEZIUM, "timestamp(6)", "1709212455123456", Cell::BigInt(1_709_212_455_123_456));
    reads(mode(TimeMode::Connect), "timestamp(6)", "1709212455123", Cell::BigInt(1_709_212_455_123_000));
    reads(mode(TimeMode::Micros), "timestamp(0)", "1709212455500000", Cell::BigInt(1_709_212_456_000_000));
    reads(mode(TimeMode::Nanos), "timestamp(6)", "1709212455123456000", Cell::BigInt(1_709_212_455_123_456));
    refuses(mode(TimeMode::Nanos), "timestamp(6)", "1709212455123456001", "whole microseconds");
    reads(mode(TimeMode::Text), "timestamp(6)", "\"2024-02-29T13:14:15.123456Z\"", {
        Cell::BigInt(1_709_212_455_123_456)
    });
    reads(mode(TimeMode::Text), "date", "\"2024-02-29Z\"", Cell::Int(19_782));
    reads(mode(TimeMode::Connect), "time", "47655123", Cell::BigInt(47_655_123_000));
    reads(DEBEZIUM, "time", "86400000000", Cell::BigInt(86_400_000_000));
    refuses(DEBEZIUM, "time", "86400000001", "out of the range of time");
    refuses(DEBEZIUM, "time", "-1", "out of the range of time");
    reads(DEBEZIUM, "timestamptz(6)", "\"2024-02-29T11:14:15.123456Z\"", Cell::BigInt(1_709_205_255_123_456));
    refuses(DEBEZIUM, "timestamptz(6)", "1709212455123456", "is a number");
    refuses(PLAIN, "timestamp(6)", "1709212455123456", "time_precision_mode");
    refuses(PLAIN, "date", "19782", "time_precision_mode");
    // PostgreSQL's infinities, as Debezium writes them, and the year that does not fit.
    refuses(DEBEZIUM, "date", "-2147472692", "infinity cannot be kept");
    refuses(DEBEZIUM, "timestamp(6)", "9223372036825200000", "infinity cannot be kept");
    refuses(DEBEZIUM, "timestamp(6)", "-9223372036832400000", "infinity cannot be kept");
    refuses(mode(TimeMode::Connect), "timestamp(6)", "9224318015999999", "out of the range of timestamp");
    refuses(DEBEZIUM, "timestamptz(6)", "\"infinity\"", "always finite");
}

#[test]
fn long_values_are_shortened_in_messages() {
    let shown = shorten(&"é".repeat(100));
    assert_eq!(shown, format!("{}… (200 bytes)", "é".repeat(80)));
}
