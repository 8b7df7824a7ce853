//! The durable form of a batch: blocks of 16 to 64 KiB and an index of them, each with a checksum of its own.
//!
//! A block is readable alone: a later probe needs only the index (first hash and count of every block) to find it.
//! The checksum is seeded with the block's key, so a block under another block's key is damage too. All integers are
//! little-endian; lz4 is RocksDB's business.
//!
//! ```text
//! block  "MSB1" row_format:u32 count:u32 key_bytes:u32 row_bytes:u32
//!        hash:u64 x count, weight:i64 x count, key_end:u32 x count, row_end:u32 x count, keys, rows, checksum:u64
//! index  "MSI1" row_format:u32 blocks:u32 entries:u64 data_bytes:u64
//!        (first_hash:u64 count:u32) x blocks, checksum:u64
//! ```

use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
use zset::ROW_FORMAT;

use crate::ArrangementId;
use crate::batch::{Batch, BatchBuilder};

/// A block is closed when it is this long.
const BLOCK_BYTES: usize = 32 << 10;
/// A block is closed before an entry that would make it longer than this; a longer entry is a block of its own.
const BLOCK_BYTES_MAX: usize = 64 << 10;
/// What an entry takes in a block beside its key and row.
const ENTRY_BYTES: usize = 24;
/// The number under which a batch's index stands; blocks count from the next.
pub(crate) const INDEX: u32 = 0;

const BLOCK_MAGIC: &[u8; 4] = b"MSB1";
const INDEX_MAGIC: &[u8; 4] = b"MSI1";
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
pub(crate) fn cut(batch: &Batch) -> Vec<Range<usize>> {
    let (mut blocks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for at in 0..batch.len() {
        let entry = batch.key(at).len() + batch.row(at).len() + ENTRY_BYTES;
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

/// The bytes of one block.
pub(crate) fn encode_block(batch: &Batch, range: Range<usize>, key: BlockKey) -> Vec<u8> {
    let total = |len: &dyn Fn(usize) -> usize| range.clone().map(len).sum::<usize>();
    let (keys, rows) = (total(&|at| batch.key(at).len()), total(&|at| batch.row(at).len()));
    let mut out = Vec::with_capacity(20 + range.len() * ENTRY_BYTES + keys + rows + CHECKSUM);
    out.extend_from_slice(BLOCK_MAGIC);
    for number in [ROW_FORMAT, small(range.len()), small(keys), small(rows)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    range.clone().for_each(|at| out.extend_from_slice(&batch.hash(at).to_le_bytes()));
    range.clone().for_each(|at| out.extend_from_slice(&batch.weight(at).to_le_bytes()));
    let mut end = 0;
    for at in range.clone() {
        end += batch.key(at).len();
        out.extend_from_slice(&small(end).to_le_bytes());
    }
    end = 0;
    for at in range.clone() {
        end += batch.row(at).len();
        out.extend_from_slice(&small(end).to_le_bytes());
    }
    range.clone().for_each(|at| out.extend_from_slice(batch.key(at)));
    range.for_each(|at| out.extend_from_slice(batch.row(at)));
    seal(out, key)
}

/// The bytes of a batch's index.
pub(crate) fn encode_index(batch: &Batch, blocks: &[Range<usize>], key: BlockKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(28 + blocks.len() * 12 + CHECKSUM);
    out.extend_from_slice(INDEX_MAGIC);
    out.extend_from_slice(&ROW_FORMAT.to_le_bytes());
    out.extend_from_slice(&small(blocks.len()).to_le_bytes());
    for number in [batch.len(), batch.data_len()] {
        out.extend_from_slice(&(number as u64).to_le_bytes());
    }
    for range in blocks {
        out.extend_from_slice(&batch.hash(range.start).to_le_bytes());
        out.extend_from_slice(&small(range.len()).to_le_bytes());
    }
    seal(out, key)
}

/// A batch's index, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) entries: u64,
    /// What its keys and rows take in memory.
    pub(crate) data_bytes: u64,
    /// The first hash and the number of entries of every block.
    pub(crate) blocks: Vec<(u64, u32)>,
}

/// Reads an index; the error says what is wrong with it.
pub(crate) fn decode_index(bytes: &[u8], key: BlockKey) -> Result<Index, String> {
    let mut bytes = Reader(unseal(bytes, key, INDEX_MAGIC)?);
    let blocks = bytes.u32()?;
    let (entries, data_bytes) = (bytes.u64()?, bytes.u64()?);
    let blocks = (0..blocks).map(|_| Ok((bytes.u64()?, bytes.u32()?))).collect::<Result<Vec<_>, String>>()?;
    let counted: u64 = blocks.iter().map(|&(_, count)| u64::from(count)).sum();
    if counted != entries || !bytes.0.is_empty() {
        return Err("its lengths disagree".into());
    }
    Ok(Index { entries, data_bytes, blocks })
}

/// Reads a block and adds its entries to a batch; the error says what is wrong with it. `expected` is what the index
/// says: first hash and count.
pub(crate) fn decode_block(
    bytes: &[u8],
    key: BlockKey,
    expected: (u64, u32),
    out: &mut BatchBuilder,
) -> Result<(), String> {
    let mut bytes = Reader(unseal(bytes, key, BLOCK_MAGIC)?);
    let count = bytes.u32()? as usize;
    let (key_bytes, row_bytes) = (bytes.u32()? as usize, bytes.u32()? as usize);
    let mut hashes = Reader(bytes.take(count * 8)?);
    let mut weights = Reader(bytes.take(count * 8)?);
    let mut key_ends = Reader(bytes.take(count * 4)?);
    let mut row_ends = Reader(bytes.take(count * 4)?);
    let keys = bytes.take(key_bytes)?;
    let rows = bytes.take(row_bytes)?;
    let (mut key_start, mut row_start, mut first) = (0, 0, None);
    for _ in 0..count {
        let hash = hashes.u64()?;
        let (key_end, row_end) = (key_ends.u32()? as usize, row_ends.u32()? as usize);
        let key = keys.get(key_start..key_end).ok_or("its key ends disagree")?;
        let row = rows.get(row_start..row_end).ok_or("its row ends disagree")?;
        out.push(hash, key, row, weights.u64()? as i64);
        (key_start, row_start) = (key_end, row_end);
        first.get_or_insert(hash);
    }
    if !bytes.0.is_empty() || (first, count) != (Some(expected.0), expected.1 as usize) {
        return Err("it is not what its index says".into());
    }
    Ok(())
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a row is shorter than 4 GiB and a batch has fewer than 2^32 blocks")
}

/// Appends the checksum.
fn seal(mut bytes: Vec<u8>, key: BlockKey) -> Vec<u8> {
    let sum = checksum(&bytes, key);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8], key: BlockKey) -> u64 {
    xxh3_64_with_seed(bytes, xxh3_64(&key.encode()))
}

/// Checks checksum, magic and row format; gives what is between.
fn unseal<'a>(bytes: &'a [u8], key: BlockKey, magic: &[u8; 4]) -> Result<&'a [u8], String> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or("it is too short")?;
    let found = checksum(body, key);
    if found != u64::from_le_bytes(*sum) {
        return Err(format!("its checksum is {found:016x}, written was {:016x}", u64::from_le_bytes(*sum)));
    }
    let mut rest = Reader(body.strip_prefix(magic).ok_or("it does not begin as it should")?);
    match rest.u32()? {
        ROW_FORMAT => Ok(rest.0),
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
}
