//! `numeric` on the wire: four 16-bit numbers (digits, weight, sign, scale) and digits to the base 10,000.

use bytes::{BufMut, BytesMut};

use super::error::PgError;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Writes a number that is given as text: digits with a sign and a point at most.
pub(crate) fn write(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(INFINITY),
        "-Infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        [0, 0, sign, 0].into_iter().for_each(|n| out.put_u16(n));
        return Ok(());
    }
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |digits| (NEGATIVE, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return Err(PgError::internal(format!("{text} is not the text of a number")));
    }
    let whole = whole.trim_start_matches('0');
    let mut groups: Vec<u16> = Vec::with_capacity(whole.len() / 4 + fraction.len() / 4 + 2);
    let lead = whole.len() % 4;
    if lead > 0 {
        groups.push(group(&whole.as_bytes()[..lead], lead));
    }
    groups.extend(whole.as_bytes()[lead..].chunks(4).map(|digits| group(digits, 4)));
    let mut weight = groups.len() as i16 - 1;
    groups.extend(fraction.as_bytes().chunks(4).map(|digits| group(digits, 4)));
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= leading as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let is_zero = groups.is_empty();
    out.put_u16(groups.len() as u16);
    out.put_i16(if is_zero { 0 } else { weight });
    out.put_u16(if is_zero { 0 } else { sign });
    out.put_u16(fraction.len() as u16);
    groups.into_iter().for_each(|group| out.put_u16(group));
    Ok(())
}

/// Digits as a number to the base 10,000; missing ones on the right are zeros.
fn group(digits: &[u8], width: usize) -> u16 {
    (0..width).fold(0, |sum, at| sum * 10 + digits.get(at).map_or(0, |digit| u16::from(digit - b'0')))
}

/// The text of a number on the wire; `None` if it is none.
pub(crate) fn read(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight, sign, scale) = (words.next()?, words.next()? as i16, words.next()?, words.next()?);
    let groups: Vec<u16> = words.collect();
    if groups.len() != usize::from(count) || bytes.len() != 8 + 2 * groups.len() || groups.iter().any(|g| *g > 9999) {
        return None;
    }
    let sign = match sign {
        0 => "",
        NEGATIVE => "-",
        NAN => return Some("NaN".to_string()),
        INFINITY => return Some("Infinity".to_string()),
        NEGATIVE_INFINITY => return Some("-Infinity".to_string()),
        _ => return None,
    };
    let at = |place: i32| groups.get(usize::try_from(i32::from(weight) - place).ok()?).copied();
    let mut whole: String =
        (0..=i32::from(weight)).rev().map(|place| format!("{:04}", at(place).unwrap_or(0))).collect();
    whole = whole.trim_start_matches('0').to_string();
    if whole.is_empty() {
        whole.push('0');
    }
    let places = i32::from(scale.div_ceil(4));
    let mut fraction: String = (1..=places).map(|place| format!("{:04}", at(-place).unwrap_or(0))).collect();
    fraction.truncate(usize::from(scale));
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(text, &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn numbers_come_back() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "123456789",
            "0.0001",
            "0.00001",
            "12.50",
            "-0.5",
            "9999.9999",
            "100000000.000000001",
            "99999999999999999999999999999999999999",
            "0.00000000000000000000000000000000000001",
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            assert_eq!(read(&bytes(text)).unwrap(), text);
        }
        assert_eq!(read(&bytes("-0.00")).unwrap(), "0.00", "there is one zero");
    }

    /// The bytes are those of `SELECT numeric_send(...)` in PostgreSQL.
    #[test]
    fn bytes_are_postgresqls() {
        assert_eq!(bytes("12.50"), [0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88]);
        assert_eq!(bytes("-10000"), [0, 1, 0, 1, 0x40, 0, 0, 0, 0, 1]);
        assert_eq!(bytes("0.00001"), [0, 1, 0xff, 0xfe, 0, 0, 0, 5, 0x03, 0xe8]);
        assert_eq!(bytes("0"), [0; 8]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in
            [&[0u8; 7][..], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff], &[0, 0, 0, 0, 1, 0, 0, 0]]
        {
            assert_eq!(read(wrong), None);
        }
        write("1e5", &mut BytesMut::new()).unwrap_err();
    }
}
