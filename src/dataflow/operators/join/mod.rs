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
mod pool;
mod side;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use state::{Arrangement, Matches, Snapshot};
use zset::{Delta, DeltaBuilder, RowBytes, RowCodec};

use super::Operator;
use crate::rows::{batch, eval, where_true};
use crate::{Eval, FlowError};
use pairs::{Group, Pairs, Sides};
use pool::Pool;
use side::Changed;
pub(crate) use side::Side;

/// Keys probed at once: bounds the matches in memory.
const KEYS_MAX: usize = 2048;
/// A worker joins no fewer keys at a time.
const KEYS_MIN: usize = 1024;
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
    left: &'a Changed<'a>,
    right: &'a Changed<'a>,
    left_new: Snapshot,
    right_old: Snapshot,
    codecs: (&'a RowCodec, &'a RowCodec),
    residual: Option<&'a Arc<dyn Eval>>,
    schema: &'a SchemaRef,
}

impl Join {
    pub fn new(left: Side, right: Side, residual: Option<Arc<dyn Eval>>, schema: SchemaRef) -> Self {
        Self { left, right, residual, schema, key_codec: None }
    }
}

impl Step<'_> {
    /// The result of some keys.
    fn of(&self, keys: &[Key]) -> Result<DeltaBuilder, FlowError> {
        let mut out = DeltaBuilder::new(Arc::clone(self.schema));
        keys.chunks(KEYS_MAX).try_for_each(|keys| self.chunk(keys, &mut out))?;
        Ok(out)
    }

    /// The keys of a chunk: how each side has them.
    fn chunk(&self, keys: &[Key], out: &mut DeltaBuilder) -> Result<(), FlowError> {
        let left_matches = probe(&self.left_new, self.right, keys.iter().map(|key| key.right))?;
        let right_matches = probe(&self.right_old, self.left, keys.iter().map(|key| key.left))?;
        let left = Pool::new(self.left.delta.batch(), &left_matches, self.codecs.0);
        let right = Pool::new(self.right.delta.batch(), &right_matches, self.codecs.1);
        let mut pairs = Pairs::default();
        let (mut probed_left, mut probed_right) = (0, 0);
        let sides = Sides { left: self.left, right: self.right, left_new: &left_matches, right_old: &right_matches };
        for key in keys {
            let group = Group {
                left: key.left.map_or(0..0, |at| self.left.range(at)),
                right: key.right.map_or(0..0, |at| self.right.range(at)),
                left_matches: key.right.map_or(0..0, |_| next(&left_matches, &mut probed_left)),
                right_matches: key.left.map_or(0..0, |_| next(&right_matches, &mut probed_right)),
            };
            let mut full = |pairs: &mut Pairs| self.flush(&left, &right, pairs, out);
            pairs.of(&group, &sides, PAIRS_MAX, &mut full)?;
        }
        self.flush(&left, &right, &mut pairs, out)
    }

    /// Makes rows of pairs, keeps those for which the residual is true.
    fn flush(
        &self,
        left: &Pool<'_>,
        right: &Pool<'_>,
        pairs: &mut Pairs,
        out: &mut DeltaBuilder,
    ) -> Result<(), FlowError> {
        let (left_at, right_at) = (std::mem::take(&mut pairs.left), std::mem::take(&mut pairs.right));
        let weights = std::mem::take(&mut pairs.weights);
        if weights.is_empty() {
            return Ok(());
        }
        let mut columns = left.columns(left_at)?;
        columns.extend(right.columns(right_at)?);
        let rows = batch(self.schema, columns, weights.len())?;
        let Some(residual) = self.residual else {
            out.push(Delta::new(rows, weights.into()));
            return Ok(());
        };
        let chosen = where_true(&eval(residual, &rows)?)?;
        if chosen.len() == weights.len() {
            out.push(Delta::new(rows, weights.into()));
        } else if !chosen.is_empty() {
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
        let (left, right) = (self.left.given(&inputs[0])?, self.right.given(&inputs[1])?);
        let left = self.left.changed(&left, &mut self.key_codec)?;
        let right = self.right.changed(&right, &mut self.key_codec)?;
        let right_old = self.right.arrangement.staged();
        self.left.stage(&left);
        self.right.stage(&right);
        let left_new = self.left.arrangement.staged();
        let step = Step {
            left: &left,
            right: &right,
            left_new,
            right_old,
            codecs: (&self.left.codec, &self.right.codec),
            residual: self.residual.as_ref(),
            schema: &self.schema,
        };
        let keys = merged(&left, &right);
        let mut out = DeltaBuilder::new(Arc::clone(&self.schema));
        for part in workers::map_pieces(keys.len(), KEYS_MIN, |piece| step.of(&keys[piece])) {
            out.append(part?);
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
fn merged(left: &Changed<'_>, right: &Changed<'_>) -> Vec<Key> {
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
    changed: &Changed<'_>,
    keys: impl Iterator<Item = Option<usize>>,
) -> Result<Matches, FlowError> {
    let mut probed = (RowBytes::new(), Vec::new());
    for at in keys.flatten() {
        probed.0.push(changed.keys.row(at));
        probed.1.push(changed.hashes[at]);
    }
    if probed.1.is_empty() {
        return Ok(Matches::default());
    }
    let matches = snapshot.probe_hashed(&probed.0, &probed.1)?;
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
