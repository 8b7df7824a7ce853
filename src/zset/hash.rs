//! The hash of keys, fixed for ever: xxh3 with a written seed. Blocks on disk are sorted by it.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The seed: "millstrm" in ASCII. Changing it makes every stored block unreadable.
pub const KEY_HASH_SEED: u64 = 0x6d69_6c6c_7374_726d;

/// The number of shards.
pub const SHARDS: u32 = 64;

/// The hash of a key's canonical bytes.
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, KEY_HASH_SEED)
}

/// The shard of a hash: its top six bits, so that a run sorted by hash is sorted by shard.
pub fn shard_of(hash: u64) -> u32 {
    (hash >> 58) as u32
}
