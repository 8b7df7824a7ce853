//! Sorting byte strings by words of them: most comparisons end at a number that lies in the array being sorted.

use std::cmp::Ordering;

use crate::RowBytes;

/// The positions 0 to `count`, sorted by a number, then by `tie`, equal ones in the order they stand.
pub fn sorted_by(count: usize, number: impl Fn(usize) -> u128, tie: impl Fn(usize, usize) -> Ordering) -> Vec<u32> {
    assert!(u32::try_from(count).is_ok(), "fewer than 2^32 rows in one delta");
    let mut order: Vec<(u128, u32)> = (0..count).map(|at| (number(at), at as u32)).collect();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| tie(a.1 as usize, b.1 as usize)).then_with(|| a.1.cmp(&b.1))
    });
    order.into_iter().map(|(_, at)| at).collect()
}

/// The positions of byte strings, sorted by them, equal ones in the order they stand.
pub fn sorted(rows: &RowBytes) -> Vec<u32> {
    sorted_by(rows.len(), |at| first_bytes(rows.row(at)), |a, b| rows.row(a).cmp(rows.row(b)))
}

/// A number that is smaller for one byte string than for another only if the byte string is.
pub fn first_bytes(bytes: &[u8]) -> u128 {
    if let Some(first) = bytes.first_chunk() {
        return u128::from_be_bytes(*first);
    }
    let mut padded = [0; 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    u128::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_their_order() {
        let mut seed = 1u64;
        let mut next = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let rows: Vec<Vec<u8>> =
            (0..3000).map(|_| (0..next(24)).map(|_| [0, 0, 1, 255][next(4) as usize]).collect()).collect();
        let bytes: RowBytes = rows.iter().map(Vec::as_slice).collect();
        let mut wanted: Vec<u32> = (0..3000).collect();
        wanted.sort_by_key(|at| &rows[*at as usize]);
        assert_eq!(sorted(&bytes), wanted);
    }
}
