//! Bytes of a string that are written in JSON as they are.

/// How many bytes there are before the first that means something in a string of JSON: a quote, a backslash, a control character.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    plain_run(bytes).0
}

/// The same, and whether all of them are ASCII; what is not may be one of those behind them.
pub(crate) fn plain_run(bytes: &[u8]) -> (usize, bool) {
    // Names and most values end in the first word.
    if let Some(first) = bytes.first_chunk() {
        let word = u64::from_le_bytes(*first);
        let found = marks(word);
        if found != 0 {
            return (found.trailing_zeros() as usize / 8, word & HIGHS == 0);
        }
    }
    let (mut passed, mut high) = (0, false);
    for block in bytes.as_chunks::<BLOCK>().0 {
        // Without a branch in it this becomes a few instructions over all of them.
        if block.iter().fold(false, |any, byte| any | (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20)) {
            break;
        }
        high |= block.iter().fold(false, |any, byte| any | (*byte >= 0x80));
        passed += BLOCK;
    }
    let (words, rest) = bytes[passed..].as_chunks::<8>();
    for (at, eight) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        high |= word & HIGHS != 0;
        let found = marks(word);
        if found != 0 {
            return (passed + at * 8 + found.trailing_zeros() as usize / 8, !high);
        }
    }
    let found = rest.iter().position(|byte| means(*byte));
    (found.map_or(bytes.len(), |found| bytes.len() - rest.len() + found), !high && rest.is_ascii())
}

/// So many bytes are passed over at once.
const BLOCK: usize = 32;
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

fn means(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// The high bit of each of eight bytes that means something. A borrow can only mark bytes behind the first one that is meant.
fn marks(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let backslash = zero(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for length in 0..80 {
                for at in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    bytes[length - 1] = if at + 1 == length { byte } else { b'"' };
                    let expected = bytes.iter().position(|byte| means(*byte)).unwrap_or(length);
                    let (found, ascii) = plain_run(&bytes);
                    assert_eq!(found, expected, "byte {byte} at {at} of {length}");
                    assert_eq!(plain_len(&bytes), expected);
                    assert!(!ascii || bytes[..found].is_ascii(), "byte {byte} at {at} of {length}");
                    assert!(ascii || !bytes.is_ascii(), "byte {byte} at {at} of {length}");
                }
            }
        }
    }
}
