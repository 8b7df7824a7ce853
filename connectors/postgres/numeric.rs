//! Decimals in PostgreSQL's binary form: groups of four digits.

/// Writes a decimal, as its text (`-12.50`), in binary form.
pub(crate) fn write(text: &[u8], out: &mut Vec<u8>) {
    let (sign, text) = match text.strip_prefix(b"-") {
        Some(text) => (0x4000u16, text),
        None => (0, text),
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (before, behind) = (&text[..point], text.get(point + 1..).unwrap_or_default());
    // Digits before the point are filled up in front, those behind it at the end.
    let digit = |part: &[u8], at: isize| {
        usize::try_from(at).ok().and_then(|at| part.get(at)).map_or(0, |d| i16::from(d - b'0'))
    };
    let group = |part: &[u8], start: isize| (start..start + 4).fold(0i16, |sum, at| sum * 10 + digit(part, at));
    let whole = before.len().div_ceil(4);
    let shift = before.len() as isize - 4 * whole as isize;
    let mut groups: Vec<i16> = (0..whole).map(|at| group(before, shift + 4 * at as isize)).collect();
    groups.extend((0..behind.len().div_ceil(4)).map(|at| group(behind, 4 * at as isize)));
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups[leading..].iter().rev().take_while(|group| **group == 0).count();
    let kept = &groups[leading..groups.len() - trailing];
    let weight = if kept.is_empty() { 0 } else { whole as i16 - 1 - leading as i16 };
    let sign = if kept.is_empty() { 0 } else { sign };
    out.extend((kept.len() as i16).to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend((behind.len() as i16).to_be_bytes());
    kept.iter().for_each(|group| out.extend(group.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let bytes = |text: &str| {
            let mut out = Vec::new();
            write(text.as_bytes(), &mut out);
            out.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
        };
        // Count of groups, weight of the first, sign, digits behind the point, groups: as numeric_send gives them.
        assert_eq!(bytes("0"), [0, 0, 0, 0]);
        assert_eq!(bytes("-0.00"), [0, 0, 0, 2]);
        assert_eq!(bytes("12.50"), [2, 0, 0, 2, 12, 5000]);
        assert_eq!(bytes("-10000"), [1, 1, 0x4000, 0, 1]);
        assert_eq!(bytes("123456789.000001"), [5, 2, 0, 6, 1, 2345, 6789, 0, 100]);
        assert_eq!(bytes("0.00005"), [1, -2, 0, 5, 5000]);
    }
}
