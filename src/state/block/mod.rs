//! The durable form of a batch: blocks of 16 to 64 KiB (`entries`) and an index of them (`index`), each with a checksum of its own.
//!
//! A block is readable alone: a probe needs only the index to find it. The checksum is seeded with the block's key, so a block under
//! another block's key is damage too. All integers are little-endian. Where blocks lie, in RocksDB or in a file, is the tier's
//! business, and so is compression.

mod entries;
mod index;

use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
use zset::ROW_FORMAT;

pub(crate) use entries::{decode_block, encode_block};
pub(crate) use index::{Index, decode_index, encode_index};

use crate::ArrangementId;
use crate::columns::Columns;

/// A block is closed when it is this long.
pub(crate) const BLOCK_BYTES: usize = 32 << 10;
/// A block is closed before an entry that would make it longer than this; a longer entry is a block of its own.
pub(crate) const BLOCK_BYTES_MAX: usize = 64 << 10;
/// What an entry takes in a block beside its key and row, at most.
pub(crate) const ENTRY_BYTES: usize = 24;
/// The number under which a batch's index stands; blocks count from the next.
pub(crate) const INDEX: u32 = 0;

const CHECKSUM: usize = 8;

/// What a block, or a batch's index, is called in RocksDB: 24 bytes, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockKey {
    pub(crate) arrangement: ArrangementId,
    pub(crate) batch: u64,
    pub(crate) block: u32,
}

impl BlockKey {
    pub(crate) fn encode(self) -> [u8; 24] {
        let mut key = [0; 24];
        key[..4].copy_from_slice(&self.arrangement.owner.to_be_bytes());
        key[4..8].copy_from_slice(&self.arrangement.node.to_be_bytes());
        key[8..12].copy_from_slice(&self.arrangement.slot.to_be_bytes());
        key[12..20].copy_from_slice(&self.batch.to_be_bytes());
        key[20..].copy_from_slice(&self.block.to_be_bytes());
        key
    }

    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(key.get(at..at + 4)?.try_into().ok()?));
        let arrangement = ArrangementId { owner: word(0)?, node: word(4)?, slot: word(8)? };
        let batch = u64::from(word(12)?) << 32 | u64::from(word(16)?);
        (key.len() == 24).then_some(Self { arrangement, batch, block: word(20)? })
    }

    /// The first key of its batch, and the first after it.
    pub(crate) fn batch_range(arrangement: ArrangementId, batch: u64) -> (Self, Self) {
        (Self { arrangement, batch, block: INDEX }, Self { arrangement, batch: batch + 1, block: INDEX })
    }
}

impl std::fmt::Display for BlockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {} of batch {} of arrangement {}", self.block, self.batch, self.arrangement)
    }
}

/// Where a batch's blocks begin and end.
pub(crate) fn cut(batch: &Columns) -> Vec<Range<usize>> {
    let (mut blocks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for at in 0..batch.len() {
        let entry = batch.entry_len(at) + ENTRY_BYTES;
        if bytes >= BLOCK_BYTES || (bytes > 0 && bytes + entry > BLOCK_BYTES_MAX) {
            blocks.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += entry;
    }
    if start < batch.len() {
        blocks.push(start..batch.len());
    }
    blocks
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a row is shorter than 4 GiB and a batch has fewer than 2^32 blocks")
}

/// Appends numbers of `N` bytes, one for each of some things.
fn put<const N: usize, T>(out: &mut Vec<u8>, of: impl ExactSizeIterator<Item = T>, number: impl Fn(T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + N * of.len(), 0);
    out[start..].as_chunks_mut().0.iter_mut().zip(of).for_each(|(to, of)| *to = number(of));
}

/// Appends the checksum of what was written from `start` on.
fn seal(out: &mut Vec<u8>, start: usize, key: BlockKey) {
    let sum = checksum(&out[start..], key);
    out.extend_from_slice(&sum.to_le_bytes());
}

fn checksum(bytes: &[u8], key: BlockKey) -> u64 {
    xxh3_64_with_seed(bytes, xxh3_64(&key.encode()))
}

/// Checks checksum, magic and row format; gives which of the kinds it is and what is between.
fn unseal<'a>(bytes: &'a [u8], key: BlockKey, kinds: &[&[u8; 4]]) -> Result<(usize, Reader<'a>), String> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or("it is too short")?;
    let found = checksum(body, key);
    if found != u64::from_le_bytes(*sum) {
        return Err(format!("its checksum is {found:016x}, written was {:016x}", u64::from_le_bytes(*sum)));
    }
    let kind = kinds.iter().position(|magic| body.starts_with(*magic)).ok_or("it does not begin as it should")?;
    let mut rest = Reader(&body[kinds[kind].len()..]);
    match rest.u32()? {
        ROW_FORMAT => Ok((kind, rest)),
        other => Err(format!("its rows have format {other}, this program reads {ROW_FORMAT}")),
    }
}

/// Takes numbers off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, String> {
        let (taken, rest) = self.0.split_first_chunk::<4>().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*taken))
    }

    fn u64(&mut self) -> Result<u64, String> {
        let (taken, rest) = self.0.split_first_chunk::<8>().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*taken))
    }

    /// So many numbers of eight bytes.
    fn words(&mut self, count: usize) -> Result<&'a [[u8; 8]], String> {
        let bytes = count.checked_mul(8).ok_or("it ends too early")?;
        Ok(self.take(bytes)?.as_chunks().0)
    }

    /// So many numbers of four bytes.
    fn halves(&mut self, count: usize) -> Result<&'a [[u8; 4]], String> {
        let bytes = count.checked_mul(4).ok_or("it ends too early")?;
        Ok(self.take(bytes)?.as_chunks().0)
    }
}
