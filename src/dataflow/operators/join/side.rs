//! One side of a join: its keys, its state (key -> rows), and a step's changes sorted by key, as state is.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use state::Arrangement;
use zset::{Delta, RowBytes, RowCodec, key_hash, sorted_by};

use crate::rows::{batch, empty_rows, eval_all, net};
use crate::{Eval, FlowError};

pub(crate) struct Side {
    keys: Vec<Arc<dyn Eval>>,
    pub(super) codec: RowCodec,
    pub(super) arrangement: Arrangement,
}

/// The consolidated changes of a side, in the order (hash of the key, key, row).
pub(super) struct Changed {
    /// Each key once.
    pub keys: RowBytes,
    /// Their hashes.
    pub hashes: Vec<u64>,
    /// For each key, where its rows end.
    ends: Vec<usize>,
    /// The rows.
    pub rows: RecordBatch,
    /// Their bytes.
    pub bytes: RowBytes,
    /// Their weights, none zero.
    pub weights: Vec<i64>,
}

impl Changed {
    /// Where the rows of a key are.
    pub fn range(&self, key: usize) -> Range<usize> {
        let start = if key == 0 { 0 } else { self.ends[key - 1] };
        start..self.ends[key]
    }
}

impl Side {
    pub fn new(keys: &[Arc<dyn Eval>], schema: SchemaRef, arrangement: Arrangement) -> Self {
        Self { keys: keys.to_vec(), codec: RowCodec::new(schema), arrangement }
    }

    /// Evaluates the keys, drops rows that match nothing, sorts and sums.
    pub(super) fn changed(&self, delta: &Delta, codec: &mut Option<RowCodec>) -> Result<Changed, FlowError> {
        if delta.is_empty() {
            let rows = RecordBatch::new_empty(Arc::clone(self.codec.schema()));
            return Ok(Changed {
                keys: RowBytes::default(),
                hashes: vec![],
                ends: vec![],
                rows,
                bytes: RowBytes::default(),
                weights: vec![],
            });
        }
        let columns = eval_all(&self.keys, delta.batch())?;
        let keys = encode_keys(&columns, delta.len(), codec)?;
        let bytes = delta.bytes(&self.codec);
        let null = |at: u32| columns.iter().any(|column| column.is_null(at as usize));
        let (kept, weights): (Vec<u32>, Vec<i64>) =
            (0..delta.len() as u32).filter(|&at| !null(at)).map(|at| (at, delta.weights().value(at as usize))).unzip();
        let key = |at: usize| keys.row(kept[at] as usize);
        let row = |at: usize| bytes.row(kept[at] as usize);
        let hashes: Vec<u64> = (0..kept.len()).map(|at| key_hash(key(at))).collect();
        let number = |at: usize| u128::from(hashes[at]) << 64;
        let sorted = sorted_by(kept.len(), number, |a, b| key(a).cmp(key(b)).then_with(|| row(a).cmp(row(b))));
        let sums = net(&weights, &sorted, |a, b| key(a) == key(b) && row(a) == row(b))?;
        let (mut distinct, mut of_distinct, mut ends) = (RowBytes::default(), Vec::new(), Vec::new());
        for (place, (at, _)) in sums.iter().enumerate() {
            let key = key(*at as usize);
            if place > 0 && distinct.row(distinct.len() - 1) == key {
                ends.pop();
            } else {
                distinct.push(key);
                of_distinct.push(hashes[*at as usize]);
            }
            ends.push(place + 1);
        }
        let (at, weights): (Vec<u32>, Vec<i64>) = sums.iter().map(|(at, sum)| (kept[*at as usize], *sum)).unzip();
        let sorted = delta.gather(at, weights.clone());
        let bytes = sorted.bytes(&self.codec).clone();
        let rows = batch(self.codec.schema(), sorted.batch().columns().to_vec(), sorted.len())?;
        Ok(Changed { keys: distinct, hashes: of_distinct, ends, rows, bytes, weights })
    }

    /// Stages the changes.
    pub(super) fn stage(&mut self, changed: &Changed) {
        if changed.weights.is_empty() {
            return;
        }
        let keys = (0..changed.keys.len()).flat_map(|key| changed.range(key).map(move |_| changed.keys.row(key)));
        self.arrangement.stage(&keys.collect(), &changed.bytes, &changed.weights);
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
