//! Finding a key hash in a sorted column of hashes.
//!
//! Hashes are uniform, so their top bits say where one must be: a directory holds, for every value of the top bits, where
//! its entries start. There is a value for about four entries, so a search reads two cache lines, whatever the length
//! of the column. A directory is made of a column that grows in order, at no cost per entry to speak of, and is nothing
//! that is stored. `examples/probe_cost.rs` measures it against interpolation and a hash table.

use std::ops::Range;

/// Entries per value of the top bits, on average.
const ENTRIES_PER_START: usize = 4;
/// Up to this many hashes are looked at one by one.
const LINEAR: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Directory {
    /// How far a hash is shifted for its top bits.
    shift: u32,
    /// Where the entries of each value start; one more at the end, for the end.
    starts: Vec<u32>,
}

impl Directory {
    /// A directory for a column of at most `capacity` hashes, none of which is there yet.
    pub fn with_capacity(capacity: usize) -> Self {
        let bits = (capacity / ENTRIES_PER_START).max(2).ilog2();
        Self { shift: u64::BITS - bits, starts: Vec::with_capacity((1 << bits) + 1) }
    }

    /// Says that the column's next hash, not less than the one before, is at `at`.
    pub fn push(&mut self, hash: u64, at: u32) {
        let bits = (hash >> self.shift) as usize;
        while self.starts.len() <= bits {
            self.starts.push(at);
        }
    }

    /// Says that the column has `len` hashes and no more will come.
    pub fn finish(&mut self, len: u32) {
        let values = 1usize << (u64::BITS - self.shift);
        self.starts.resize(values + 1, len);
    }

    /// The bytes it takes.
    pub fn bytes(&self) -> usize {
        self.starts.len() * size_of::<u32>()
    }

    /// The first place of a hash in the column.
    pub fn find(&self, hashes: &[u64], hash: u64) -> Option<usize> {
        let bits = (hash >> self.shift) as usize;
        let (start, end) = (self.starts[bits] as usize, self.starts[bits + 1] as usize);
        let candidates = &hashes[start..end];
        let at = match candidates.len() {
            // More only where keys have many rows.
            LINEAR.. => candidates.partition_point(|&at| at < hash),
            _ => candidates.iter().position(|&at| at >= hash)?,
        };
        (candidates.get(at) == Some(&hash)).then_some(start + at)
    }
}

/// The index after the last that has the hash of `start`.
pub fn run_end(hashes: &[u64], start: usize) -> usize {
    let hash = hashes[start];
    let (mut known, mut step) = (start, 1);
    while known + step < hashes.len() && hashes[known + step] == hash {
        known += step;
        step *= 2;
    }
    let end = (known + step).min(hashes.len());
    known + 1 + hashes[known + 1..end].partition_point(|&at| at == hash)
}

/// The first index of the range that does not satisfy a predicate that holds for a prefix of it.
pub(crate) fn partition(range: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn agrees_with_binary_search_on_uniform_and_skewed_columns() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for len in [0usize, 1, 2, 7, 8, 9, 10, 63, 64, 65, 1000, 5000] {
            for shape in 0..4 {
                let mut hashes: Vec<u64> = (0..len)
                    .map(|_| match shape {
                        0 => random.random(),
                        1 => random.random_range(0..5u64) << 60,
                        2 => u64::MAX - random.random_range(0..20u64),
                        _ => random.random_range(0..20u64),
                    })
                    .collect();
                hashes.sort_unstable();
                let mut wanted: Vec<u64> = (0..200).map(|_| random.random()).collect();
                wanted.extend([0, 1, u64::MAX, u64::MAX - 1]);
                wanted.extend(hashes.iter().flat_map(|&h| [h, h.saturating_sub(1), h.saturating_add(1)]));
                // A merge that cancels much leaves fewer than there was room for.
                for capacity in [len, 3 * len + 50] {
                    let mut directory = Directory::with_capacity(capacity);
                    hashes.iter().zip(0..).for_each(|(&hash, at)| directory.push(hash, at));
                    directory.finish(len as u32);
                    for &hash in &wanted {
                        let expected = hashes.partition_point(|&at| at < hash);
                        let expected = (hashes.get(expected) == Some(&hash)).then_some(expected);
                        assert_eq!(directory.find(&hashes, hash), expected, "len {len} shape {shape} hash {hash}");
                        if let Some(start) = expected {
                            assert_eq!(run_end(&hashes, start), hashes.partition_point(|&at| at <= hash));
                        }
                    }
                }
            }
        }
    }
}
