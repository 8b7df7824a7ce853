//! Consolidation: equal rows become one, their weights summed, zero vanishes. The result is sorted by row bytes, so it
//! is a function of the Z-set alone.

use crate::{Delta, RowCodec, sorted};

/// The consolidated delta.
pub fn consolidate(delta: &Delta, codec: &RowCodec) -> Delta {
    if delta.is_empty() {
        return delta.clone().known_distinct();
    }
    let rows = delta.bytes(codec);
    let weights = delta.weights().values();
    let order = sorted(rows);
    let mut indices = Vec::with_capacity(order.len());
    let mut sums = Vec::with_capacity(order.len());
    for run in order.chunk_by(|&a, &b| rows.row(a as usize) == rows.row(b as usize)) {
        let sum = run.iter().fold(0i64, |sum, &at| sum + weights[at as usize]);
        if sum != 0 {
            indices.push(run[0]);
            sums.push(sum);
        }
    }
    let in_order = indices.len() == delta.len() && indices.is_sorted();
    if in_order { delta.clone() } else { delta.gather(indices, sums) }.known_distinct()
}
