//! Join: inner equi-join, bilinear, exact when both sides change in one epoch.
//!
//! ```text
//! dA x B_old + A_new x dB     per key; both from state: the old and the new contents are two snapshots
//! ```
//! A row with a NULL in its key matches nothing and is not kept. Without key columns every row has the empty key: a cross
//! join. Where both sides of a key changed, that sum holds pairs that were in neither the old nor the new result (a new
//! left row with a right row deleted in the same epoch); they cancel, but an expression may fail on them, so the weight of
//! each pair is computed first, as new x new - old x old, and a pair of weight zero is never made (`pairs`).

mod pairs;
mod side;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use state::{Arrangement, Matches, Snapshot};
use zset::{Delta, DeltaBuilder, RowBytes, RowCodec};

use super::Operator;
use crate::rows::{batch, eval, gather, where_true};
use crate::{Eval, FlowError};
use pairs::{Group, Pairs};
use side::Changed;
pub(crate) use side::Side;

/// Keys probed at once: bounds the matches in memory.
const KEYS_MAX: usize = 2048;
/// Pairs made into rows at once: bounds what a residual that drops most of them costs in memory.
const PAIRS_MAX: usize = 1 << 16;

pub(crate) struct Join {
    left: Side,
    right: Side,
    residual: Option<Arc<dyn Eval>>,
    schema: SchemaRef,
    /// Of the keys, known when the first are evaluated; the same for both sides.
    key_codec: Option<RowCodec>,
}

/// What one step works with.
struct Step<'a> {
    left: &'a Changed,
    right: &'a Changed,
    left_new: Snapshot,
    right_old: Snapshot,
}

/// The rows of one side that a chunk of keys needs: the changed ones, then those found in state.
struct Pool {
    rows: RecordBatch,
    /// Where in the side's changed rows the pool begins.
    start: usize,
    /// How many of them it has: matches follow.
    changed: usize,
}

impl Join {
    pub fn new(left: Side, right: Side, residual: Option<Arc<dyn Eval>>, schema: SchemaRef) -> Self {
        Self { left, right, residual, schema, key_codec: None }
    }

    /// The keys of a chunk: how each side has them.
    fn chunk(&self, step: &Step<'_>, keys: &[Key], out: &mut DeltaBuilder) -> Result<(), FlowError> {
        let left_matches = probe(&step.left_new, step.right, keys.iter().map(|key| key.right))?;
        let right_matches = probe(&step.right_old, step.left, keys.iter().map(|key| key.left))?;
        let left = pool(&self.left, step.left, keys.iter().filter_map(|key| key.left), &left_matches)?;
        let right = pool(&self.right, step.right, keys.iter().filter_map(|key| key.right), &right_matches)?;
        let mut pairs = Pairs::default();
        let (mut probed_left, mut probed_right) = (0, 0);
        for key in keys {
            let group = Group {
                left: key.left.map_or(0..0, |at| step.left.range(at)),
                right: key.right.map_or(0..0, |at| step.right.range(at)),
                left_matches: key.right.map_or(0..0, |_| next(&left_matches, &mut probed_left)),
                right_matches: key.left.map_or(0..0, |_| next(&right_matches, &mut probed_right)),
            };
            let sides = pairs::Sides {
                left: step.left,
                right: step.right,
                left_new: &left_matches,
                right_old: &right_matches,
                left_base: (left.start, left.changed),
                right_base: (right.start, right.changed),
            };
            let mut full = |pairs: &mut Pairs| self.flush(&left.rows, &right.rows, pairs, out);
            pairs.of(&group, &sides, PAIRS_MAX, &mut full)?;
        }
        self.flush(&left.rows, &right.rows, &mut pairs, out)
    }

    /// Makes rows of pairs, keeps those for which the residual is true.
    fn flush(
        &self,
        left: &RecordBatch,
        right: &RecordBatch,
        pairs: &mut Pairs,
        out: &mut DeltaBuilder,
    ) -> Result<(), FlowError> {
        let Pairs { left: left_at, right: right_at, weights } = std::mem::take(pairs);
        if weights.is_empty() {
            return Ok(());
        }
        let (left_at, right_at) = (UInt32Array::from(left_at), UInt32Array::from(right_at));
        let left = left.columns().iter().map(|column| gather(column, &left_at));
        let right = right.columns().iter().map(|column| gather(column, &right_at));
        let columns = left.chain(right).collect::<Result<Vec<_>, _>>()?;
        let rows = batch(&self.schema, columns, weights.len())?;
        let Some(residual) = &self.residual else {
            out.push(Delta::new(rows, weights.into()));
            return Ok(());
        };
        let chosen = where_true(&eval(residual, &rows)?)?;
        if !chosen.is_empty() {
            let kept = chosen.iter().map(|&at| weights[at as usize]).collect();
            out.push(Delta::new(rows, weights.into()).gather(chosen, kept));
        }
        Ok(())
    }
}

impl Operator for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError> {
        let left = self.left.changed(&inputs[0], &mut self.key_codec)?;
        let right = self.right.changed(&inputs[1], &mut self.key_codec)?;
        let right_old = self.right.arrangement.staged();
        self.left.stage(&left);
        self.right.stage(&right);
        let left_new = self.left.arrangement.staged();
        let step = Step { left: &left, right: &right, left_new, right_old };
        let mut out = DeltaBuilder::new(Arc::clone(&self.schema));
        for keys in merged(&left, &right).chunks(KEYS_MAX) {
            self.chunk(&step, keys, &mut out)?;
        }
        Ok(out.finish())
    }

    fn arrangements(&self) -> Vec<&Arrangement> {
        vec![&self.left.arrangement, &self.right.arrangement]
    }

    fn commit(&mut self) {
        self.left.arrangement.commit();
        self.right.arrangement.commit();
    }

    fn discard(&mut self) {
        self.left.arrangement.discard();
        self.right.arrangement.discard();
    }
}

/// A key that changed: its place among the changed keys of each side.
#[derive(Debug, Clone, Copy)]
struct Key {
    left: Option<usize>,
    right: Option<usize>,
}

/// The keys of both sides, each once, in their order.
fn merged(left: &Changed, right: &Changed) -> Vec<Key> {
    let (mut a, mut b) = (0, 0);
    let mut keys = Vec::with_capacity(left.hashes.len().max(right.hashes.len()));
    while a < left.hashes.len() || b < right.hashes.len() {
        let order = match (left.hashes.get(a), right.hashes.get(b)) {
            (Some(x), Some(y)) => x.cmp(y).then_with(|| left.keys.row(a).cmp(right.keys.row(b))),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        keys.push(Key { left: order.is_le().then_some(a), right: order.is_ge().then_some(b) });
        a += usize::from(order.is_le());
        b += usize::from(order.is_ge());
    }
    keys
}

/// What the other side has for the keys that this side changed.
fn probe(
    snapshot: &Snapshot,
    changed: &Changed,
    keys: impl Iterator<Item = Option<usize>>,
) -> Result<Matches, FlowError> {
    let keys: RowBytes = keys.flatten().map(|at| changed.keys.row(at)).collect();
    if keys.is_empty() {
        return Ok(Matches::default());
    }
    let matches = snapshot.probe(&keys)?;
    if matches.weights.iter().any(|weight| *weight < 0) {
        return Err(FlowError::invariant(format!("arrangement {}: a row with a weight below zero", snapshot.id())));
    }
    Ok(matches)
}

/// The matches of the next probed key.
fn next(matches: &Matches, probed: &mut usize) -> Range<usize> {
    *probed += 1;
    matches.range(*probed - 1)
}

/// The changed rows of a chunk's keys (adjacent, as they are sorted by key) and the matches.
fn pool(
    side: &Side,
    changed: &Changed,
    keys: impl Iterator<Item = usize> + Clone,
    matches: &Matches,
) -> Result<Pool, FlowError> {
    let start = keys.clone().next().map_or(0, |first| changed.range(first).start);
    let end = keys.last().map_or(start, |last| changed.range(last).end);
    let parts = [changed.rows.slice(start, end - start), side.codec.decode_batch(matches.rows.iter())];
    let rows = concat_batches(side.codec.schema(), &parts)
        .map_err(|error| FlowError::invariant(format!("the rows of a join's side: {error}")))?;
    Ok(Pool { rows, start, changed: end - start })
}
