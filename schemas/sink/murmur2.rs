//! The hash by which Java's Kafka clients choose the partition of a record.

const M: i32 = 0x5bd1_e995;
const SEED: i32 = 0x9747_b28c_u32 as i32;

/// Kafka's murmur2 of a key.
pub fn murmur2(key: &[u8]) -> i32 {
    let mut hash = SEED ^ key.len() as i32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let word = i32::from_le_bytes(*word).wrapping_mul(M);
        let word = (word ^ shift(word, 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
    }
    // The bytes of the tail, little-endian.
    if !tail.is_empty() {
        let tail = tail.iter().rev().fold(0, |sum, byte| sum << 8 | i32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ shift(hash, 13)).wrapping_mul(M);
    hash ^ shift(hash, 15)
}

/// Java's `>>>`.
fn shift(word: i32, by: u32) -> i32 {
    (word as u32 >> by) as i32
}

/// The partition of a record with this hash among `partitions`, as Java clients choose it.
pub fn partition(hash: u32, partitions: u32) -> u32 {
    (hash & 0x7fff_ffff) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_kafkas_own_tests() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn a_negative_hash_has_a_partition() {
        let hash = murmur2(b"21") as u32;
        assert_eq!(partition(hash, 7), (-973_932_308i32 & 0x7fff_ffff) as u32 % 7);
        assert_eq!(partition(hash, 1), 0);
    }
}
