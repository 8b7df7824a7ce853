//! Values of parameters, as the client sends them, in PostgreSQL's text forms.

use super::calendar;
use super::error::PgError;
use super::numeric;
use super::types as oid;

/// The text form of a parameter. `format` is 0 for text, 1 for binary, which is read by the type's oid.
pub(crate) fn text(oid: u32, format: i16, bytes: &[u8], number: usize) -> Result<String, PgError> {
    match format {
        0 => utf8(bytes),
        1 => binary(oid, bytes, number),
        _ => Err(PgError::new("22023", format!("unsupported format code: {format}"))),
    }
}

/// Text is UTF-8 without zero bytes.
pub(crate) fn utf8(bytes: &[u8]) -> Result<String, PgError> {
    let invalid = |at: usize| {
        let wrong = bytes.get(at).copied().unwrap_or(0);
        PgError::new("22021", format!("invalid byte sequence for encoding \"UTF8\": 0x{wrong:02x}"))
    };
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(invalid(at));
    }
    std::str::from_utf8(bytes).map(str::to_string).map_err(|error| invalid(error.valid_up_to()))
}

fn binary(oid: u32, bytes: &[u8], number: usize) -> Result<String, PgError> {
    let wrong = || PgError::new("22P03", format!("incorrect binary data format in bind parameter {number}"));
    Ok(match oid {
        oid::BOOL => match bytes {
            [0] => "f".to_string(),
            [_] => "t".to_string(),
            _ => return Err(wrong()),
        },
        oid::INT2 => i16::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).to_string(),
        oid::INT4 => i32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).to_string(),
        oid::INT8 => i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).to_string(),
        oid::OID | oid::REGCLASS | oid::REGTYPE => u32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).to_string(),
        oid::FLOAT4 => float(f32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)),
        oid::FLOAT8 => float(f64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)),
        oid::NUMERIC => numeric::read(bytes).ok_or_else(wrong)?,
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::CHAR | oid::JSON | oid::UNKNOWN => utf8(bytes)?,
        oid::JSONB => match bytes {
            [1, json @ ..] => utf8(json)?,
            [version, ..] => return Err(PgError::new("XX000", format!("unsupported jsonb version number {version}"))),
            [] => return Err(wrong()),
        },
        oid::BYTEA => hex(bytes),
        oid::DATE => calendar::date(i32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)),
        oid::TIME => calendar::time(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)),
        oid::TIMESTAMP => calendar::timestamp(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?), ""),
        oid::TIMESTAMPTZ => calendar::timestamp(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?), "+00"),
        oid::UUID => uuid(fixed(bytes).ok_or_else(wrong)?),
        _ => {
            let message = format!("parameter ${number} has a type (oid {oid}) that is not taken in binary form");
            return Err(PgError::new("0A000", message).hint("send it as text, or cast it: $1::text"));
        }
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// All digits that tell it from its neighbours.
fn float<F: std::fmt::Debug + Copy + Into<f64>>(value: F) -> String {
    let wide: f64 = value.into();
    if wide.is_nan() {
        return "NaN".to_string();
    }
    if wide.is_infinite() {
        return if wide > 0.0 { "Infinity".to_string() } else { "-Infinity".to_string() };
    }
    format!("{value:?}")
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn binary_values_have_their_text() {
        for (ty, bytes, expected) in [
            (oid::BOOL, &[1][..], "t"),
            (oid::INT2, &[0x80, 0], "-32768"),
            (oid::INT8, &[0x7f, 255, 255, 255, 255, 255, 255, 255], "9223372036854775807"),
            (oid::OID, &[255, 255, 255, 255], "4294967295"),
            (oid::FLOAT4, &0.1f32.to_be_bytes(), "0.1"),
            (oid::FLOAT8, &f64::NEG_INFINITY.to_be_bytes(), "-Infinity"),
            (oid::FLOAT8, &1e300f64.to_be_bytes(), "1e300"),
            (oid::BYTEA, &[0, 0xde, 0xad], "\\x00dead"),
            (oid::JSONB, b"\x01{}", "{}"),
            (oid::DATE, &8780i32.to_be_bytes(), "2024-01-15"),
            (oid::TIMESTAMPTZ, &1i64.to_be_bytes(), "2000-01-01 00:00:00.000001+00"),
            (oid::UUID, &[0xab; 16], "abababab-abab-abab-abab-abababababab"),
        ] {
            assert_eq!(text(ty, 1, bytes, 1).unwrap(), expected);
        }
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let state = |ty, format, bytes: &[u8]| text(ty, format, bytes, 1).unwrap_err().sqlstate;
        assert_eq!(state(oid::INT4, 1, &[0, 0, 1]), "22P03");
        assert_eq!(state(oid::NUMERIC, 1, &[0; 3]), "22P03");
        assert_eq!(state(oid::TEXT, 0, &[b'a', 0xff]), "22021");
        assert_eq!(state(oid::TEXT, 1, &[b'a', 0]), "22021");
        assert_eq!(state(oid::JSONB, 1, b"{}"), "XX000");
        assert_eq!(state(oid::INT4, 2, &[0; 4]), "22023");
        assert_eq!(state(oid::INTERVAL, 1, &[0; 16]), "0A000");
    }
}
