//! A block: entries that follow one another in a batch, as their columns are.
//!
//! Keys and rows lie side by side, a row that is its own key is there once, and weights that are all 1 are not there. Blocks of the
//! first kind have keys and rows apart, each whole; they are read.
//!
//! ```text
//! block  "MSB2" row_format:u32 count:u32 weights:u32 (count, or 0 if all are 1) data:u32
//!        hash:u64 x count, weight:i64 x weights, key_end:u32 x count (2^32-1: the row is the key), end:u32 x count, data, checksum:u64
//!        "MSB1" row_format:u32 count:u32 key_bytes:u32 row_bytes:u32
//!        hash:u64 x count, weight:i64 x count, key_end:u32 x count, row_end:u32 x count, keys, rows, checksum:u64
//! ```

use std::ops::Range;

use zset::ROW_FORMAT;

use super::{BlockKey, CHECKSUM, ENTRY_BYTES, Reader, put, seal, small, unseal};
use crate::columns::{Columns, ColumnsBuilder};

const MAGIC: &[u8; 4] = b"MSB2";
const MAGIC_1: &[u8; 4] = b"MSB1";
const HEAD: usize = 20;

/// Where a key would end whose row is the same.
const SAME: u32 = u32::MAX;

/// Appends the bytes of one block.
pub(crate) fn encode_block(batch: &Columns, range: Range<usize>, key: BlockKey, out: &mut Vec<u8>) {
    let (start, data) = (out.len(), batch.data(range.clone()));
    out.reserve(HEAD + range.len() * ENTRY_BYTES + data.len() + CHECKSUM);
    out.extend_from_slice(MAGIC);
    let weights = batch.weights(range.clone());
    let weights = if weights.iter().all(|&weight| weight == 1) { &[] } else { weights };
    for number in [ROW_FORMAT, small(range.len()), small(weights.len()), small(data.len())] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    put(out, batch.hashes_of(range.clone()).iter(), |hash| hash.to_le_bytes());
    put(out, weights.iter(), |weight| weight.to_le_bytes());
    let base = batch.data_start(range.start);
    let within = |end: u64| (end - base) as u32;
    put(out, range.clone(), |at| batch.key_end(at).map_or(SAME, within).to_le_bytes());
    put(out, range, |at| within(batch.end(at)).to_le_bytes());
    out.extend_from_slice(data);
    seal(out, start, key);
}

/// Reads a block and adds its entries to a batch; the error says what is wrong with it. `expected` is what the index
/// says: first hash and count.
pub(crate) fn decode_block(
    bytes: &[u8],
    key: BlockKey,
    expected: (u64, u32),
    out: &mut ColumnsBuilder,
) -> Result<(), String> {
    let (kind, mut bytes) = unseal(bytes, key, &[MAGIC, MAGIC_1])?;
    let count = bytes.u32()? as usize;
    let first = if kind == 0 { decode(count, &mut bytes, out)? } else { decode_1(count, &mut bytes, out)? };
    if !bytes.0.is_empty() || (first, count) != (Some(expected.0), expected.1 as usize) {
        return Err("it is not what its index says".into());
    }
    Ok(())
}

/// Adds so many entries; gives the hash of the first.
fn decode(count: usize, bytes: &mut Reader<'_>, out: &mut ColumnsBuilder) -> Result<Option<u64>, String> {
    let (weights, data) = (bytes.u32()? as usize, bytes.u32()? as usize);
    if weights != 0 && weights != count {
        return Err("its lengths disagree".into());
    }
    let (hashes, weights) = (bytes.words(count)?, bytes.words(weights)?);
    let (key_ends, ends) = (bytes.halves(count)?, bytes.halves(count)?);
    let data = bytes.take(data)?;
    let base = out.extend_data(data) as u64;
    let mut start = 0;
    for (at, (hash, (key_end, end))) in hashes.iter().zip(key_ends.iter().zip(ends)).enumerate() {
        let (key_end, end) = (u32::from_le_bytes(*key_end), u32::from_le_bytes(*end));
        if end < start || end as usize > data.len() || (key_end != SAME && !(start..=end).contains(&key_end)) {
            return Err("its ends disagree".into());
        }
        let key_end = (key_end != SAME).then(|| base + u64::from(key_end));
        let weight = weights.get(at).map_or(1, |weight| i64::from_le_bytes(*weight));
        out.end_in_data(u64::from_le_bytes(*hash), key_end, base + u64::from(end), weight);
        start = end;
    }
    if start as usize != data.len() {
        return Err("its ends disagree".into());
    }
    Ok(hashes.first().map(|hash| u64::from_le_bytes(*hash)))
}

/// The same of the first kind.
fn decode_1(count: usize, bytes: &mut Reader<'_>, out: &mut ColumnsBuilder) -> Result<Option<u64>, String> {
    let (key_bytes, row_bytes) = (bytes.u32()? as usize, bytes.u32()? as usize);
    let (hashes, weights) = (bytes.words(count)?, bytes.words(count)?);
    let (key_ends, row_ends) = (bytes.halves(count)?, bytes.halves(count)?);
    let (keys, rows) = (bytes.take(key_bytes)?, bytes.take(row_bytes)?);
    out.reserve(key_bytes + row_bytes);
    let (mut key_start, mut row_start) = (0, 0);
    for ((hash, weight), (key_end, row_end)) in hashes.iter().zip(weights).zip(key_ends.iter().zip(row_ends)) {
        let (key_end, row_end) = (u32::from_le_bytes(*key_end) as usize, u32::from_le_bytes(*row_end) as usize);
        let key = keys.get(key_start..key_end).ok_or("its key ends disagree")?;
        let row = rows.get(row_start..row_end).ok_or("its row ends disagree")?;
        out.push(u64::from_le_bytes(*hash), key, row, i64::from_le_bytes(*weight));
        (key_start, row_start) = (key_end, row_end);
    }
    Ok(hashes.first().map(|hash| u64::from_le_bytes(*hash)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrangementId;

    const KEY: BlockKey = BlockKey { arrangement: ArrangementId { owner: 1, node: 2, slot: 3 }, batch: 4, block: 5 };

    /// Entries of all sorts: a row that is its key, an empty key, an empty row, both empty.
    fn batch(weights: [i64; 4]) -> Columns {
        let entries: [(&[u8], &[u8]); 4] = [(b"same", b"same"), (b"", b"row"), (b"key", b""), (b"", b"")];
        let mut builder = ColumnsBuilder::with_capacity(0, 0);
        for ((n, (key, row)), weight) in (10u64..).zip(entries).zip(weights) {
            builder.push(n, key, row, weight);
        }
        builder.finish()
    }

    fn all(columns: &Columns) -> Vec<(u64, &[u8], &[u8], i64)> {
        (0..columns.len()).map(|at| (columns.hash(at), columns.key(at), columns.row(at), columns.weight(at))).collect()
    }

    #[test]
    fn what_is_written_is_read_with_and_without_weights() {
        for (weights, bytes) in [([1, 1, 1, 1], 0), ([1, -2, i64::MAX, 0], 4 * 8)] {
            let batch = batch(weights);
            let mut block = b"what was there before".to_vec();
            let start = block.len();
            encode_block(&batch, 1..4, KEY, &mut block);
            assert_eq!(block.len() - start, HEAD + 3 * 16 + bytes / 4 * 3 + 6 + CHECKSUM, "{weights:?}");
            let mut out = ColumnsBuilder::for_block(0, 0);
            out.push(1, b"other", b"entry", 7);
            decode_block(&block[start..], KEY, (11, 3), &mut out).expect("it is read");
            let out = out.finish();
            assert_eq!((out.entry_len(0), all(&out)[1..].to_vec()), (10, all(&batch)[1..].to_vec()));
        }
        let mut block = Vec::new();
        encode_block(&batch([1; 4]), 0..1, KEY, &mut block);
        let mut out = ColumnsBuilder::for_block(0, 0);
        decode_block(&block, KEY, (10, 1), &mut out).expect("it is read");
        assert_eq!(out.finish().entry_len(0), 4, "a row that is its key is there once");
    }

    /// What is stored stays readable.
    #[test]
    fn a_block_of_the_first_kind_is_read() {
        let batch = batch([1, -2, 3, 0]);
        let mut block = MAGIC_1.to_vec();
        [ROW_FORMAT, 4, 7, 7].iter().for_each(|number| block.extend(number.to_le_bytes()));
        (0..4).for_each(|at| block.extend(batch.hash(at).to_le_bytes()));
        (0..4).for_each(|at| block.extend(batch.weight(at).to_le_bytes()));
        for ends in [[4u32, 4, 7, 7], [4, 7, 7, 7]] {
            ends.iter().for_each(|end| block.extend(end.to_le_bytes()));
        }
        block.extend(b"samekeysamerow");
        seal(&mut block, 0, KEY);
        let mut out = ColumnsBuilder::for_block(0, 0);
        decode_block(&block, KEY, (10, 4), &mut out).expect("it is read");
        assert_eq!(all(&out.finish()), all(&batch));
    }

    #[test]
    fn ends_that_disagree_are_damage() {
        let columns = batch([1; 4]);
        let mut good = Vec::new();
        encode_block(&columns, 0..4, KEY, &mut good);
        good.truncate(good.len() - CHECKSUM);
        // Of four entries with 10 bytes: where a key or an entry ends, and what is written there instead.
        let (key_end, end) = (HEAD + 4 * 8, HEAD + 4 * 12);
        for (at, number) in [(key_end, 5), (key_end + 4, 3), (key_end + 8, 11), (end, 11), (end + 4, 3), (end + 12, 9)]
        {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&u32::to_le_bytes(number));
            seal(&mut bad, 0, KEY);
            let read = decode_block(&bad, KEY, (10, 4), &mut ColumnsBuilder::for_block(0, 0));
            assert_eq!(read, Err("its ends disagree".into()), "{number} at {at}");
        }
    }
}
