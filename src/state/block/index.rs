//! The index of a batch: the first hash and the number of entries of each block, where the blocks lie, and a filter of all hashes.
//!
//! An index of the second kind is of a batch whose blocks have keys in RocksDB; one of the third is of blocks that lie one behind the
//! other in a file, and has their lengths. One of the first kind is as the second, and has no filter.
//!
//! ```text
//! index  "MSI3" row_format:u32 blocks:u32 entries:u64 data_bytes:u64 hashes:u64 words:u32
//!        (first_hash:u64 count:u32 length:u32) x blocks, filter:u64 x words, checksum:u64
//!        "MSI2" row_format:u32 blocks:u32 entries:u64 data_bytes:u64 hashes:u64 words:u32
//!        (first_hash:u64 count:u32) x blocks, filter:u64 x words, checksum:u64
//!        "MSI1" row_format:u32 blocks:u32 entries:u64 data_bytes:u64
//!        (first_hash:u64 count:u32) x blocks, checksum:u64
//! ```

use std::ops::Range;

use zset::ROW_FORMAT;

use super::{BlockKey, CHECKSUM, put, seal, small, unseal};
use crate::tier::Filter;

const MAGIC: &[u8; 4] = b"MSI2";
const MAGIC_FILE: &[u8; 4] = b"MSI3";
const MAGIC_1: &[u8; 4] = b"MSI1";

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) entries: u64,
    /// What its keys and rows take in memory.
    pub(crate) data_bytes: u64,
    /// How many different hashes it has, or a number that is more.
    pub(crate) hashes: u64,
    /// The first hash and the number of entries of every block.
    pub(crate) blocks: Vec<(u64, u32)>,
    /// Where every block ends in the file; of blocks that are in none there is nothing.
    pub(crate) ends: Vec<u64>,
    /// Of all its hashes.
    pub(crate) filter: Option<Filter>,
}

impl Index {
    /// Bytes that it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let blocks = size_of_val(self.blocks.as_slice()) + size_of_val(self.ends.as_slice());
        blocks + self.filter.as_ref().map_or(0, Filter::bytes)
    }

    /// Where a block is in the file.
    pub(crate) fn place(&self, block: usize) -> Range<u64> {
        let start = if block == 0 { 0 } else { self.ends[block - 1] };
        start..self.ends[block]
    }
}

/// Appends the bytes of a batch's index.
pub(crate) fn encode_index(index: &Index, key: BlockKey, out: &mut Vec<u8>) {
    let (start, words) = (out.len(), index.filter.as_ref().map_or(&[][..], Filter::words));
    out.reserve(44 + index.blocks.len() * 16 + words.len() * 8 + CHECKSUM);
    out.extend_from_slice(if index.ends.is_empty() { MAGIC } else { MAGIC_FILE });
    out.extend_from_slice(&ROW_FORMAT.to_le_bytes());
    out.extend_from_slice(&small(index.blocks.len()).to_le_bytes());
    for number in [index.entries, index.data_bytes, index.hashes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&small(words.len()).to_le_bytes());
    for (block, (first, count)) in index.blocks.iter().enumerate() {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        if !index.ends.is_empty() {
            let place = index.place(block);
            out.extend_from_slice(&small((place.end - place.start) as usize).to_le_bytes());
        }
    }
    put(out, words.iter(), |word| word.to_le_bytes());
    seal(out, start, key);
}

/// Reads an index; the error says what is wrong with it.
pub(crate) fn decode_index(bytes: &[u8], key: BlockKey) -> Result<Index, String> {
    let (kind, mut bytes) = unseal(bytes, key, &[MAGIC_1, MAGIC, MAGIC_FILE])?;
    let (has_filter, is_file) = (kind > 0, kind == 2);
    let count = bytes.u32()?;
    let (entries, data_bytes) = (bytes.u64()?, bytes.u64()?);
    let (hashes, words) = if has_filter { (bytes.u64()?, bytes.u32()?) } else { (entries, 0) };
    let (mut blocks, mut ends, mut end) = (Vec::new(), Vec::new(), 0u64);
    for _ in 0..count {
        blocks.push((bytes.u64()?, bytes.u32()?));
        if is_file {
            end += u64::from(bytes.u32()?);
            ends.push(end);
        }
    }
    let words: Vec<u64> = bytes.words(words as usize)?.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let counted: u64 = blocks.iter().map(|&(_, count)| u64::from(count)).sum();
    let sorted = blocks.is_sorted_by_key(|&(first, _)| first);
    if counted != entries || !sorted || hashes > entries || !bytes.0.is_empty() {
        return Err("its lengths disagree".into());
    }
    let filter = match words.is_empty() {
        true => None,
        false => Some(Filter::of_words(words).ok_or("its filter is cut off")?),
    };
    Ok(Index { entries, data_bytes, hashes, blocks, ends, filter })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrangementId;

    const KEY: BlockKey = BlockKey { arrangement: ArrangementId { owner: 1, node: 2, slot: 3 }, batch: 4, block: 0 };

    /// What is stored stays readable.
    #[test]
    fn an_index_of_the_first_kind_is_read_and_has_no_filter() {
        let mut bytes = MAGIC_1.to_vec();
        [ROW_FORMAT, 2].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        [5u64, 77].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        for (first, count) in [(10u64, 3u32), (20, 2)] {
            bytes.extend(first.to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        seal(&mut bytes, 0, KEY);
        let index = decode_index(&bytes, KEY).expect("it is read");
        assert_eq!((index.entries, index.data_bytes, index.hashes), (5, 77, 5));
        assert_eq!(index.blocks, [(10, 3), (20, 2)]);
        assert_eq!((index.filter, index.ends), (None, Vec::new()));
    }

    #[test]
    fn an_index_says_where_blocks_are_if_they_are_in_a_file() {
        for ends in [Vec::new(), vec![700, 1500]] {
            let mut filter = Filter::for_hashes(5);
            filter.add(10);
            let blocks = vec![(10, 3), (20, 2)];
            let index = Index { entries: 5, data_bytes: 77, hashes: 4, blocks, ends, filter: Some(filter) };
            let mut bytes = Vec::new();
            encode_index(&index, KEY, &mut bytes);
            assert_eq!(decode_index(&bytes, KEY).as_ref(), Ok(&index));
            if !index.ends.is_empty() {
                assert_eq!([0, 1].map(|block| index.place(block)), [0..700, 700..1500]);
            }
        }
    }
}
