//! One stage's changes, in any order and not consolidated, made into a batch.

use std::cmp::Ordering;

use zset::{RowBytes, key_hash};

use crate::batch::{Batch, BatchBuilder, MARKER};

/// The batch of a Z-set: equal (key, row) become one, zero vanishes.
pub(crate) fn added(keys: &RowBytes, rows: &RowBytes, weights: &[i64]) -> Batch {
    assert!(keys.len() == rows.len() && rows.len() == weights.len(), "a key and a weight for every row");
    let order = sorted(keys, |a, b| rows.row(a).cmp(rows.row(b)));
    let mut out = BatchBuilder::with_capacity(order.len(), keys.data_len() + rows.data_len());
    let same = |a: &(u64, u32), b: &(u64, u32)| {
        let (x, y) = (a.1 as usize, b.1 as usize);
        a.0 == b.0 && keys.row(x) == keys.row(y) && rows.row(x) == rows.row(y)
    };
    for run in order.chunk_by(same) {
        let (hash, at) = (run[0].0, run[0].1 as usize);
        let mut sum: i128 = run.iter().map(|&(_, at)| i128::from(weights[at as usize])).sum();
        while sum != 0 {
            let part = sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            out.push(hash, keys.row(at), rows.row(at), part);
            sum -= i128::from(part);
        }
    }
    out.finish()
}

/// The batch of the newest word on every key: the last of equal keys wins; not present is a delete marker.
pub(crate) fn replaced(keys: &RowBytes, values: &RowBytes, present: &[bool]) -> Batch {
    assert!(keys.len() == values.len() && values.len() == present.len(), "a key and a presence for every value");
    let order = sorted(keys, |a, b| a.cmp(&b));
    let mut out = BatchBuilder::with_capacity(order.len(), keys.data_len() + values.data_len());
    let same = |a: &(u64, u32), b: &(u64, u32)| a.0 == b.0 && keys.row(a.1 as usize) == keys.row(b.1 as usize);
    for run in order.chunk_by(same) {
        let (hash, at) = run[run.len() - 1];
        let at = at as usize;
        if present[at] {
            out.push(hash, keys.row(at), values.row(at), 1);
        } else {
            out.push(hash, keys.row(at), &[], MARKER);
        }
    }
    out.finish()
}

/// The hash and the index of every entry, sorted by (hash, key, `then`).
fn sorted(keys: &RowBytes, then: impl Fn(usize, usize) -> Ordering) -> Vec<(u64, u32)> {
    let mut order: Vec<(u64, u32)> = keys.iter().zip(0u32..).map(|(key, at)| (key_hash(key), at)).collect();
    assert_eq!(order.len(), keys.len(), "fewer than 2^32 changes in one stage");
    order.sort_unstable_by(|a, b| {
        let (x, y) = (a.1 as usize, b.1 as usize);
        a.0.cmp(&b.0).then_with(|| keys.row(x).cmp(keys.row(y))).then_with(|| then(x, y))
    });
    order
}
