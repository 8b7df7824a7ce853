//! A filter of hashes: says of most that are not in a batch that they are not, so that they cost no block.
//!
//! A Bloom filter of 64-byte lines: a hash has a line and eight bits in it, so that looking costs one cache miss. At 12 bits a
//! hash about one absent hash in two hundred is let through.

/// Bits for each hash.
const BITS_PER_HASH: usize = 12;
/// Numbers in a line.
const WORDS: usize = 8;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// A whole number of lines.
    words: Vec<u64>,
}

impl Filter {
    /// For so many hashes, none of which is in it yet.
    pub(crate) fn for_hashes(hashes: usize) -> Self {
        let lines = (hashes * BITS_PER_HASH).div_ceil(WORDS * 64).max(1);
        Self { words: vec![0; lines * WORDS] }
    }

    /// Of numbers that a filter had; `None` if they can be of none.
    pub(crate) fn of_words(words: Vec<u64>) -> Option<Self> {
        (!words.is_empty() && words.len().is_multiple_of(WORDS)).then_some(Self { words })
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }

    /// Adds a hash.
    pub(crate) fn add(&mut self, hash: u64) {
        let line = self.line(hash);
        for (word, bit) in bits(hash) {
            self.words[line + word] |= bit;
        }
    }

    /// Whether the hash may be one of those that were added: if one was, it is so.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        let line = self.line(hash);
        bits(hash).all(|(word, bit)| self.words[line + word] & bit != 0)
    }

    /// Where the line of a hash begins. The hash's top bits say it, so that hashes in order go through the lines in order.
    fn line(&self, hash: u64) -> usize {
        let lines = (self.words.len() / WORDS) as u128;
        ((u128::from(hash) * lines) >> 64) as usize * WORDS
    }
}

/// One bit in each word of a line. Mixed, for the hash's top bits are those of its line.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (0..WORDS).map(move |word| (word, 1 << (mixed >> (word * 6 + 8) & 63)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn what_was_added_is_had_and_little_else() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for count in [1usize, 40, 1000, 50_000] {
            let added: Vec<u64> = (0..count).map(|_| random.random()).collect();
            let mut filter = Filter::for_hashes(count);
            added.iter().for_each(|&hash| filter.add(hash));
            assert!(added.iter().all(|&hash| filter.may_have(hash)));
            let let_through = (0..100_000).filter(|_| filter.may_have(random.random())).count();
            assert!(let_through < 1_500, "{let_through} of 100,000 absent hashes are let through at {count}");
            assert_eq!(Filter::of_words(filter.words().to_vec()), Some(filter));
        }
        assert_eq!((Filter::of_words(Vec::new()), Filter::of_words(vec![0; 7])), (None, None));
    }
}
