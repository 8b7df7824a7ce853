//! Changes of a source that is not stored: they are passed on as they are. Nothing is looked up, so that what is said of
//! rows that are not named (a truncate) cannot be passed on.

use arrow::array::Int64Array;
use zset::{Changes, Delta, Op, RowCodec, RowType, canonical};

use crate::rows::batch;

/// What is passed on.
#[derive(Debug, Clone)]
pub struct Passed {
    /// The change; consolidated, if it retracts anything.
    pub delta: Delta,
    /// The origins of truncates, which are not in it.
    pub truncates: Vec<u32>,
}

/// Passes on what keyless changes say of rows of these columns.
pub fn pass_on(changes: &Changes, columns: &RowType) -> Passed {
    let codec = RowCodec::new(columns.schema());
    let arrays = changes.rows.columns().iter().map(canonical).collect();
    let rows = batch(codec.schema(), arrays, changes.rows.num_rows()).expect("decoded rows of the source's type");
    let (mut weights, mut truncates) = (Vec::with_capacity(changes.ops.len()), Vec::new());
    for (op, origin) in changes.ops.iter().zip(&changes.origin) {
        weights.push(match op {
            Op::Insert | Op::Upsert => 1,
            Op::Retract | Op::Delete => -1,
            Op::Truncate => {
                truncates.push(*origin);
                0
            }
        });
    }
    let inserts = weights.iter().all(|weight| *weight == 1);
    let delta = Delta::new(rows, Int64Array::from(weights));
    let delta = if inserts { delta } else { zset::consolidate(&delta, &codec) };
    Passed { delta, truncates }
}
