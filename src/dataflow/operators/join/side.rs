//! One side of a join: its keys, its state (key -> rows), and a step's changes in the order of their keys, as state is.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Field, Schema, SchemaRef};
use state::Arrangement;
use zset::{Delta, RowBytes, RowCodec, key_hash, sorted_by_key};

use crate::rows::{empty_rows, eval_all, summed, under};
use crate::{Eval, FlowError};

pub(crate) struct Side {
    keys: Vec<Arc<dyn Eval>>,
    pub(super) codec: RowCodec,
    pub(super) arrangement: Arrangement,
}

static NOTHING: RowBytes = RowBytes::new();

/// The consolidated changes of a side, in the order (hash of the key, key, row). The rows themselves stay where they are.
pub(super) struct Changed<'a> {
    /// Each key once.
    pub keys: RowBytes,
    /// Their hashes.
    pub hashes: Vec<u64>,
    /// For each key, where its rows end in `places` and `weights`.
    ends: Vec<usize>,
    /// Where each row is in `delta`.
    pub places: Vec<u32>,
    /// Their weights, none zero.
    pub weights: Vec<i64>,
    /// The rows, as they came.
    pub delta: &'a Delta,
    /// Their bytes.
    bytes: &'a RowBytes,
}

impl<'a> Changed<'a> {
    /// Where the rows of a key are.
    pub fn range(&self, key: usize) -> Range<usize> {
        let start = if key == 0 { 0 } else { self.ends[key - 1] };
        start..self.ends[key]
    }

    /// The bytes of a row.
    #[inline]
    pub fn bytes(&self, row: usize) -> &[u8] {
        self.bytes.row(self.places[row] as usize)
    }

    fn nothing(delta: &'a Delta) -> Self {
        let keys = RowBytes::new();
        Self { keys, hashes: vec![], ends: vec![], places: vec![], weights: vec![], delta, bytes: &NOTHING }
    }
}

impl Side {
    pub fn new(keys: &[Arc<dyn Eval>], schema: SchemaRef, arrangement: Arrangement) -> Self {
        Self { keys: keys.to_vec(), codec: RowCodec::new(schema), arrangement }
    }

    /// The rows of a delta as this side's.
    pub(super) fn given(&self, delta: &Delta) -> Result<Delta, FlowError> {
        under(self.codec.schema(), delta)
    }

    /// Evaluates the keys of what it was given, drops rows that match nothing, sorts and sums.
    pub(super) fn changed<'a>(&self, delta: &'a Delta, codec: &mut Option<RowCodec>) -> Result<Changed<'a>, FlowError> {
        if delta.is_empty() {
            return Ok(Changed::nothing(delta));
        }
        let columns = eval_all(&self.keys, delta.batch())?;
        let keys = encode_keys(&columns, delta.len(), codec)?;
        let bytes = delta.bytes(&self.codec);
        let hashes: Vec<u64> = keys.iter().map(key_hash).collect();
        let null = |at: u32| columns.iter().any(|column| column.is_null(at as usize));
        let nulls = columns.iter().any(|column| column.null_count() > 0);
        let kept = (0..delta.len() as u32).filter(|&at| !nulls || !null(at));
        let hashed = kept.map(|at| (hashes[at as usize], at));
        let sorted = sorted_by_key(hashed, |at| keys.row(at), |at| bytes.row(at));
        let mut changed = Changed { bytes, ..Changed::nothing(delta) };
        let same_key = |a: usize, b: usize| hashes[a] == hashes[b] && keys.row(a) == keys.row(b);
        for of_key in sorted.chunk_by(|&a, &b| same_key(a as usize, b as usize)) {
            let before = changed.places.len();
            let same_row = |a: usize, b: usize| !delta.is_distinct() && bytes.row(a) == bytes.row(b);
            for of_row in of_key.chunk_by(|&a, &b| same_row(a as usize, b as usize)) {
                let weight = summed(of_row, delta.weights().values())?;
                if weight != 0 {
                    changed.places.push(of_row[0]);
                    changed.weights.push(weight);
                }
            }
            if changed.places.len() > before {
                let first = of_key[0] as usize;
                changed.keys.push(keys.row(first));
                changed.hashes.push(hashes[first]);
                changed.ends.push(changed.places.len());
            }
        }
        Ok(changed)
    }

    /// Stages the changes.
    pub(super) fn stage(&mut self, changed: &Changed<'_>) {
        let of_keys = (0..changed.keys.len()).map(|key| changed.range(key).len() * changed.keys.row(key).len());
        let bytes = changed.bytes.data_len() + of_keys.sum::<usize>();
        let entries = (0..changed.keys.len()).flat_map(|key| {
            let (hash, bytes) = (changed.hashes[key], changed.keys.row(key));
            changed.range(key).map(move |row| (hash, bytes, changed.bytes(row), changed.weights[row]))
        });
        self.arrangement.stage_sorted(changed.weights.len(), bytes, entries);
    }
}

/// The bytes of the keys. Both sides use one codec, so that bytes are equal only if types are.
fn encode_keys(columns: &[ArrayRef], rows: usize, codec: &mut Option<RowCodec>) -> Result<RowBytes, FlowError> {
    if columns.is_empty() {
        return Ok(empty_rows(rows));
    }
    let codec = codec.get_or_insert_with(|| {
        let field = |(at, column): (usize, &ArrayRef)| Field::new(format!("k{at}"), column.data_type().clone(), true);
        RowCodec::new(Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>())))
    });
    let known = codec.schema().fields().iter().map(|field| field.data_type());
    if !known.eq(columns.iter().map(|column| column.data_type())) {
        let types: Vec<String> = columns.iter().map(|column| column.data_type().to_string()).collect();
        let message = format!("the keys of a join: {} on one side, {} on the other", codec.schema(), types.join(", "));
        return Err(FlowError::invariant(message));
    }
    Ok(codec.encode(columns))
}
