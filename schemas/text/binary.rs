//! Bytes and UUIDs from text.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Misfit, misfit, trim};

const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, FORGIVING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, FORGIVING);

/// Base64, with or without padding.
pub fn base64(text: &str) -> Result<Vec<u8>, Misfit> {
    STANDARD.decode(text).or_else(|_| misfit("is not base64"))
}

/// Base64 with the alphabet of URLs, with or without padding.
pub fn base64_url(text: &str) -> Result<Vec<u8>, Misfit> {
    URL_SAFE.decode(text).or_else(|_| misfit("is not base64 (with - and _)"))
}

/// Hexadecimal digits, two a byte.
pub fn hex(text: &str) -> Result<Vec<u8>, Misfit> {
    let nibble = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    match text.as_bytes().chunks(2).map(pair).collect() {
        Some(bytes) => Ok(bytes),
        None => misfit("is not hexadecimal"),
    }
}

/// A `bytea`: base64, as our sinks write it, or PostgreSQL's `\x` and hexadecimal digits.
pub fn bytea(text: &str) -> Result<Vec<u8>, Misfit> {
    match text.strip_prefix("\\x") {
        Some(digits) => hex(digits),
        None => base64(text).or_else(|_| misfit("is neither base64 nor \\x and hexadecimal digits")),
    }
}

/// A UUID in any form that PostgreSQL reads (upper case, braces, a hyphen or none after each four digits), as its
/// canonical text.
pub fn uuid(text: &str) -> Result<[u8; 36], Misfit> {
    let text = trim(text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}'),
        None => Some(text),
    };
    inner.and_then(canonical_uuid).map_or_else(|| misfit("is not a UUID"), Ok)
}

fn canonical_uuid(text: &str) -> Option<[u8; 36]> {
    let mut out = [b'-'; 36];
    let (mut digits, mut at, mut hyphen) = (0, 0, false);
    for byte in text.bytes() {
        if byte == b'-' {
            if hyphen || digits == 0 || digits % 4 != 0 || digits == 32 {
                return None;
            }
            hyphen = true;
            continue;
        }
        if !byte.is_ascii_hexdigit() || digits == 32 {
            return None;
        }
        hyphen = false;
        if matches!(digits, 8 | 12 | 16 | 20) {
            at += 1;
        }
        out[at] = byte.to_ascii_lowercase();
        at += 1;
        digits += 1;
    }
    (digits == 32 && !hyphen).then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uuids() {
        let canonical = *b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(uuid(text).unwrap(), canonical, "{text}");
        }
        for text in [
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ] {
            assert!(uuid(text).is_err(), "{text}");
        }
    }

    #[test]
    fn byte_strings() {
        for text in ["AP8Q", "\\x00ff10", "\\x00FF10"] {
            assert_eq!(bytea(text).unwrap(), [0x00, 0xff, 0x10], "{text}");
        }
        assert_eq!(base64("/w").unwrap(), [0xff]);
        assert_eq!(base64_url("_-8=").unwrap(), [0xff, 0xef]);
        assert_eq!(hex("").unwrap(), [0u8; 0]);
        assert_eq!(bytea("").unwrap(), [0u8; 0]);
        for text in ["\\x0", "\\xgg", "a b", "%%%", "_-8="] {
            assert!(bytea(text).is_err(), "{text}");
        }
    }
}
