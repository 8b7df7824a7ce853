//! Splits of a history into epochs.

use std::ops::Range;

use rand::{Rng, RngExt};

/// Every way to cut `len` changes into epochs of at least one: 2^(len - 1) of them, so for short histories only.
pub fn every_split(len: usize) -> impl Iterator<Item = Vec<Range<usize>>> {
    assert!(len <= 16, "2^{len} splits are too many");
    let cuts = len.saturating_sub(1);
    (0..1u32 << cuts).map(move |chosen| split(len, |at| chosen >> (at - 1) & 1 == 1))
}

/// A random way to cut `len` changes into about `epochs` epochs.
pub fn random_split(rng: &mut impl Rng, len: usize, epochs: usize) -> Vec<Range<usize>> {
    let chance = (epochs.saturating_sub(1) as f64 / len.max(1) as f64).min(1.0);
    split(len, |_| rng.random_bool(chance))
}

fn split(len: usize, mut cut: impl FnMut(usize) -> bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for at in 1..len {
        if cut(at) {
            ranges.push(start..at);
            start = at;
        }
    }
    ranges.push(start..len);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_splits_as_sets_of_cuts() {
        let all: Vec<Vec<Range<usize>>> = every_split(4).collect();
        assert_eq!(all.len(), 8);
        assert!(all.contains(&vec![0..1, 1..2, 2..3, 3..4]) && all.iter().any(|ranges| ranges.len() == 1));
        assert!(all.iter().all(|ranges| ranges.iter().map(ExactSizeIterator::len).sum::<usize>() == 4));
    }
}
