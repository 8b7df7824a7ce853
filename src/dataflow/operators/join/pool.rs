//! The rows of one side that the pairs of a chunk of keys are made of: those of its delta, and behind them those found in state.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::interleave;
use state::Matches;
use zset::RowCodec;

use crate::FlowError;
use crate::rows::gather;

/// See the module.
pub(super) struct Pool<'a> {
    delta: &'a RecordBatch,
    found: RecordBatch,
}

impl<'a> Pool<'a> {
    pub fn new(delta: &'a RecordBatch, matches: &Matches, codec: &RowCodec) -> Self {
        let found = match matches.rows.is_empty() {
            true => RecordBatch::new_empty(codec.schema().clone()),
            false => codec.decode_batch(matches.rows.iter()),
        };
        Self { delta, found }
    }

    /// The columns of the rows at these places.
    pub fn columns(&self, at: Vec<u32>) -> Result<Vec<ArrayRef>, FlowError> {
        let base = self.delta.num_rows() as u32;
        let of_delta = at.iter().filter(|at| **at < base).count();
        if of_delta == at.len() {
            let at = UInt32Array::from(at);
            return self.delta.columns().iter().map(|column| gather(column, &at)).collect();
        }
        if of_delta == 0 {
            let at: UInt32Array = at.into_iter().map(|at| at - base).collect::<Vec<_>>().into();
            return self.found.columns().iter().map(|column| gather(column, &at)).collect();
        }
        let place = |at: u32| if at < base { (0, at as usize) } else { (1, (at - base) as usize) };
        let places: Vec<(usize, usize)> = at.into_iter().map(place).collect();
        let columns = self.delta.columns().iter().zip(self.found.columns());
        let columns = columns.map(|(delta, found)| interleave(&[delta.as_ref(), found.as_ref()], &places));
        columns
            .collect::<Result<_, _>>()
            .map_err(|error| FlowError::invariant(format!("the rows of a join's side: {error}")))
    }
}
