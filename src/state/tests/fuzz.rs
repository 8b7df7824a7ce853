//! Fuzzed: blocks and their index, as a damaged disk may give them back. What is taken is what was written; nothing panics.
#![allow(clippy::unwrap_used)]

use testkit::{Choices, spoil};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::ArrangementId;
use crate::block::{BlockKey, INDEX, Index, cut, decode_block, decode_index, encode_block, encode_index};
use crate::columns::ColumnsBuilder;
use crate::tier::Filter;

const KEY: BlockKey =
    BlockKey { arrangement: ArrangementId { owner: 7, node: 3, slot: 1 }, batch: 9, block: INDEX + 1 };

/// A batch of rows whose length is all sorts.
fn batch() -> crate::columns::Columns {
    let mut builder = ColumnsBuilder::with_capacity(100, 0);
    for n in 0..100u64 {
        let row = vec![n as u8; (n * n % 71) as usize];
        builder.push(n * 1000, &n.to_be_bytes(), &row, if n % 3 == 0 { -2 } else { 1 });
    }
    builder.finish()
}

/// The index of those blocks.
fn index(batch: &crate::columns::Columns, ranges: &[std::ops::Range<usize>]) -> Index {
    let mut filter = Filter::for_hashes(batch.len());
    (0..batch.len()).for_each(|at| filter.add(batch.hash(at)));
    Index {
        entries: batch.len() as u64,
        data_bytes: batch.data_len() as u64,
        hashes: batch.hashes() as u64,
        blocks: ranges.iter().map(|range| (batch.hash(range.start), range.len() as u32)).collect(),
        ends: (1..=ranges.len() as u64).map(|block| block * 1000).collect(),
        filter: Some(filter),
    }
}

/// With the checksum that its changed bytes have, so that what is behind the checksum is reached too.
fn resealed(mut bytes: Vec<u8>, key: BlockKey) -> Vec<u8> {
    if let Some((body, _)) = bytes.split_last_chunk::<8>() {
        let (length, sum) = (body.len(), xxh3_64_with_seed(body, xxh3_64(&key.encode())));
        bytes.truncate(length);
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    bytes
}

#[test]
fn fuzz_block_reader() {
    let batch = batch();
    let ranges = cut(&batch);
    let index_key = BlockKey { block: INDEX, ..KEY };
    let (mut block, mut encoded) = (Vec::new(), Vec::new());
    encode_block(&batch, ranges[0].clone(), KEY, &mut block);
    encode_index(&index(&batch, &ranges), index_key, &mut encoded);
    let index = encoded;
    let expected = (batch.hash(0), ranges[0].len() as u32);
    bolero::check!().with_iterations(4_000).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let reseal = choices.byte().is_multiple_of(2);
        let of = |sample: &[u8], key: BlockKey, choices: &mut Choices<'_>| {
            let spoilt = spoil(sample, &[], choices);
            if reseal { resealed(spoilt, key) } else { spoilt }
        };
        if choices.byte().is_multiple_of(2) {
            let spoilt = of(&block, KEY, &mut choices);
            let mut out = ColumnsBuilder::with_capacity(100, 0);
            if decode_block(&spoilt, KEY, expected, &mut out).is_ok() && !reseal {
                assert_eq!(spoilt, block, "only what was written is taken");
            }
        } else {
            let spoilt = of(&index, index_key, &mut choices);
            if decode_index(&spoilt, index_key).is_ok() && !reseal {
                assert_eq!(spoilt, index, "only what was written is taken");
            }
        }
    });
}
