//! The laws of consolidation and of the digest, on random Z-sets. Break `consolidate` (keep zero sums) or `Digest::add`
//! (ignore the weight) and they fail.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Column, ColumnType, Delta, Digest, RowCodec, RowType, consolidate};

fn columns() -> RowType {
    RowType(vec![Column::new("a", ColumnType::Int, true), Column::new("b", ColumnType::Text, true)])
}

fn random(rng: &mut ChaCha8Rng) -> Delta {
    let rows = rng.random_range(0..20);
    let ints: Int32Array = (0..rows).map(|_| (!rng.random_bool(0.2)).then(|| rng.random_range(0..3))).collect();
    let texts: StringArray =
        (0..rows).map(|_| (!rng.random_bool(0.2)).then(|| ["", "x"][rng.random_range(0..2)])).collect();
    let weights: Int64Array = (0..rows).map(|_| Some(rng.random_range(-2i64..3))).collect();
    Delta::new(
        RecordBatch::try_new(columns().schema(), vec![Arc::new(ints) as ArrayRef, Arc::new(texts)]).unwrap(),
        weights,
    )
}

/// The Z-set itself: what a delta means.
fn meaning(delta: &Delta, codec: &RowCodec) -> BTreeMap<Vec<u8>, i64> {
    let mut sums = BTreeMap::new();
    for (row, weight) in codec.encode_batch(delta.batch()).iter().zip(delta.weights().values()) {
        *sums.entry(row.to_vec()).or_insert(0) += weight;
    }
    sums.retain(|_, weight| *weight != 0);
    sums
}

fn digest(delta: &Delta, codec: &RowCodec) -> Digest {
    let mut digest = Digest::default();
    let rows = codec.encode_batch(delta.batch());
    rows.iter().zip(delta.weights().values()).for_each(|(row, weight)| digest.add(row, *weight));
    digest
}

#[test]
fn consolidation_keeps_the_meaning_and_is_a_function_of_it() {
    let codec = RowCodec::new(columns().schema());
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (a, b) = (random(&mut rng), random(&mut rng));
        let both = Delta::sum(columns().schema(), &[a.clone(), b.clone()]);
        let turned = Delta::sum(columns().schema(), &[b, a]);
        let (one, other) = (consolidate(&both, &codec), consolidate(&turned, &codec));
        assert_eq!(meaning(&one, &codec), meaning(&both, &codec), "seed {seed}");
        assert_eq!(one.len(), meaning(&both, &codec).len(), "seed {seed}: each row once, none with weight zero");
        assert_eq!((one.batch(), one.weights()), (other.batch(), other.weights()), "seed {seed}: the order is lost");
        assert!(one.is_distinct() && !Delta::sum(columns().schema(), &[one.clone(), one.clone()]).is_distinct());
        assert!(consolidate(&Delta::sum(columns().schema(), &[one.clone(), one.negated()]), &codec).is_empty());
    }
}

#[test]
fn the_digest_is_linear_and_blind_to_order_and_consolidation() {
    let codec = RowCodec::new(columns().schema());
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (a, b) = (random(&mut rng), random(&mut rng));
        let both = Delta::sum(columns().schema(), &[b.clone(), a.clone()]);
        assert_eq!(digest(&both, &codec), digest(&a, &codec).plus(digest(&b, &codec)), "seed {seed}");
        assert_eq!(digest(&both, &codec), digest(&consolidate(&both, &codec), &codec), "seed {seed}");
        assert_eq!(digest(&a, &codec).plus(digest(&a.negated(), &codec)), Digest::default(), "seed {seed}");
    }
    let mut one = Digest::default();
    one.add(b"row", 3);
    assert_ne!(one, Digest::default());
    assert_eq!(one.to_string().parse(), Ok(one));
}

#[test]
fn rows_without_columns_are_counted() {
    let schema = RowType(vec![]).schema();
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
    let delta = Delta::new(batch, vec![1i64, 2, -1].into());
    let one = consolidate(&delta, &RowCodec::new(schema));
    assert_eq!((one.len(), one.weights().values().to_vec()), (1, vec![2]));
}

/// The bytes are made once: whoever asks with a codec of other types would be given bytes that mean other rows to it.
#[test]
fn the_bytes_of_rows_are_given_to_a_codec_of_their_types_alone() {
    let delta = Delta::inserts(
        RecordBatch::try_new(
            columns().schema(),
            vec![Arc::new(Int32Array::from(vec![1])) as ArrayRef, Arc::new(StringArray::from(vec!["x"]))],
        )
        .unwrap(),
    );
    let as_bigint = RowType(vec![Column::new("a", ColumnType::BigInt, true), Column::new("b", ColumnType::Text, true)]);
    let first = RowType(columns().0[..1].to_vec());
    let renamed = RowType(vec![Column::new("x", ColumnType::Int, false), Column::new("y", ColumnType::Text, true)]);
    let bytes = delta.bytes(&RowCodec::new(columns().schema())).clone();
    assert_eq!(delta.bytes(&RowCodec::new(renamed.schema())).row(0), bytes.row(0), "names do not matter");
    let panics = |does: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(does)).is_err();
    for other in [as_bigint, first] {
        let codec = RowCodec::new(other.schema());
        assert!(panics(&|| drop(delta.bytes(&codec).clone())), "{other:?}");
        let batch = RecordBatch::new_empty(other.schema());
        let empty = Delta::empty(columns().schema());
        assert!(panics(&|| drop(empty.in_batch(batch.clone()))), "{other:?}");
    }
}
