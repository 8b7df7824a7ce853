//! A feed: the values of one argument under one filter, evaluated once for all calls that have both.
//!
//! A feed of distinct values keeps (group, value) -> count and passes on only that a value comes or goes; one for min and
//! max keeps group -> values, unless they only come. Both are state shared by the calls.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use plan::{AggregateCall, AggregateFunction};
use state::Arrangement;
use zset::{Column, ColumnType, Delta, RowBytes, RowCodec, RowType, sorted_by_key};

use super::accumulator::{Ordered, Part};
use crate::operators::distinct::transitions;
use crate::rows::{Interned, eval, gather, net, where_true};
use crate::{Eval, FlowError};

/// What a feed passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every value.
    All,
    /// Every value once.
    Distinct,
    /// Values for min and max.
    Ordered,
}

impl Kind {
    /// What a call needs. A distinct min is a min.
    pub fn of(call: &AggregateCall<Arc<dyn Eval>>) -> Self {
        match call.function {
            AggregateFunction::Min | AggregateFunction::Max => Self::Ordered,
            _ if call.distinct => Self::Distinct,
            _ => Self::All,
        }
    }
}

pub(super) struct Feed {
    kind: Kind,
    argument: Option<Arc<dyn Eval>>,
    ty: ColumnType,
    filter: Option<Arc<dyn Eval>>,
    codec: RowCodec,
    pub state: Option<Arrangement>,
}

/// The codec of single values of a type.
pub(super) fn value_codec(ty: ColumnType) -> RowCodec {
    let schema: SchemaRef = RowType(vec![Column::new("value", ty, true)]).schema();
    RowCodec::new(schema)
}

impl Feed {
    pub fn new(call: &AggregateCall<Arc<dyn Eval>>, state: Option<Arrangement>) -> Self {
        Self {
            kind: Kind::of(call),
            argument: call.argument.clone(),
            ty: call.argument_type,
            filter: call.filter.clone(),
            codec: value_codec(call.argument_type),
            state,
        }
    }

    /// Whether a call can be fed by it: the same argument, filter and kind. Their text is what a plan's fingerprint is made
    /// of, so equal text of equal types is the same expression.
    pub fn serves(&self, call: &AggregateCall<Arc<dyn Eval>>) -> bool {
        let text = |eval: &Option<Arc<dyn Eval>>| eval.as_ref().map(ToString::to_string);
        self.kind == Kind::of(call)
            && self.ty == call.argument_type
            && text(&self.argument) == text(&call.argument)
            && text(&self.filter) == text(&call.filter)
    }

    /// The values of a delta whose rows are in the groups `of`. The filter comes first: the argument is only evaluated on rows
    /// that pass, as PostgreSQL does.
    pub fn step(&mut self, input: &Delta, of: &Interned) -> Result<Part, FlowError> {
        let (rows, chosen) = self.filtered(input.batch())?;
        let mut groups = chosen.as_ref().map_or_else(|| of.ids.clone(), |at| pick(&of.ids, at));
        let weights = input.weights().values();
        let mut weights = chosen.as_ref().map_or_else(|| weights.to_vec(), |at| pick(weights, at));
        let Some(argument) = &self.argument else {
            return Ok(Part { groups, values: None, weights, ordered: None });
        };
        let mut values = eval(argument, &rows)?;
        if *values.data_type() != self.ty.arrow() {
            let message = format!("an aggregate: {argument} is {}, not {}", values.data_type(), self.ty);
            return Err(FlowError::invariant(message));
        }
        if values.null_count() > 0 {
            let valid: Vec<u32> = (0..values.len() as u32).filter(|&at| values.is_valid(at as usize)).collect();
            groups = pick(&groups, &valid);
            weights = pick(&weights, &valid);
            values = gather(&values, &UInt32Array::from(valid))?;
        }
        match self.kind {
            Kind::All => Ok(Part { groups, values: Some(values), weights, ordered: None }),
            Kind::Distinct => self.distinct(&groups, &values, &weights, of),
            Kind::Ordered => self.ordered(&groups, &values, &weights, of),
        }
    }

    fn filtered(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<Vec<u32>>), FlowError> {
        let Some(filter) = &self.filter else { return Ok((batch.clone(), None)) };
        let chosen = where_true(&eval(filter, batch)?)?;
        if chosen.len() == batch.num_rows() {
            return Ok((batch.clone(), None));
        }
        let rows = Delta::inserts(batch.clone()).gather(chosen.clone(), vec![1; chosen.len()]);
        Ok((rows.batch().clone(), Some(chosen)))
    }

    fn state(&mut self) -> Result<&mut Arrangement, FlowError> {
        self.state.as_mut().ok_or_else(|| FlowError::invariant("an aggregate's feed: it has no state"))
    }

    fn distinct(
        &mut self,
        groups: &[u32],
        values: &ArrayRef,
        weights: &[i64],
        of: &Interned,
    ) -> Result<Part, FlowError> {
        let bytes = self.codec.encode(&[Arc::clone(values)]);
        let (at, sums): (Vec<u32>, Vec<i64>) = net_groups(weights, groups, &bytes, of)?.into_iter().unzip();
        // Row bytes end themselves, so that the two together are one key.
        let mut both = RowBytes::default();
        let mut key = Vec::new();
        for &at in &at {
            key.clear();
            key.extend_from_slice(of.keys.row(groups[at as usize] as usize));
            key.extend_from_slice(bytes.row(at as usize));
            both.push(&key);
        }
        let shown = transitions(self.state()?, &both, &sums)?;
        let (at, weights): (Vec<u32>, Vec<i64>) = at.into_iter().zip(shown).filter(|(_, shown)| *shown != 0).unzip();
        let groups = pick(groups, &at);
        let values = gather(values, &UInt32Array::from(at))?;
        Ok(Part { groups, values: Some(values), weights, ordered: None })
    }

    fn ordered(
        &mut self,
        groups: &[u32],
        values: &ArrayRef,
        weights: &[i64],
        of: &Interned,
    ) -> Result<Part, FlowError> {
        let bytes = self.codec.encode(&[Arc::clone(values)]);
        let Some(state) = &mut self.state else { return extremes(groups, &bytes, weights, of.hashes.len()) };
        let (at, weights): (Vec<u32>, Vec<i64>) = net_groups(weights, groups, &bytes, of)?.into_iter().unzip();
        let groups = pick(groups, &at);
        let bytes = bytes.gather(&at);
        let key = |at: usize| of.keys.row(groups[at] as usize);
        let entries = (0..groups.len()).map(|at| (of.hashes[groups[at] as usize], key(at), bytes.row(at), weights[at]));
        let size = (0..groups.len()).map(|at| key(at).len()).sum::<usize>() + bytes.data_len();
        state.stage_sorted(groups.len(), size, entries);
        let ordered = Ordered { bytes, all: Some(state.staged()) };
        Ok(Part { groups, values: None, weights, ordered: Some(ordered) })
    }
}

/// The least and the greatest value of each group, of values that only come: all that min and max ask.
fn extremes(groups: &[u32], values: &RowBytes, weights: &[i64], count: usize) -> Result<Part, FlowError> {
    if weights.iter().any(|weight| *weight < 0) {
        return Err(FlowError::invariant("min or max: a value goes of those that only come"));
    }
    let mut ends: Vec<Option<(u32, u32)>> = vec![None; count];
    for (at, group) in groups.iter().enumerate().filter(|(at, _)| weights[*at] != 0) {
        let (value, at) = (values.row(at), at as u32);
        match &mut ends[*group as usize] {
            empty @ None => *empty = Some((at, at)),
            Some((least, _)) if value < values.row(*least as usize) => *least = at,
            Some((_, greatest)) if value > values.row(*greatest as usize) => *greatest = at,
            Some(_) => {}
        }
    }
    let (mut groups, mut bytes) = (Vec::new(), RowBytes::new());
    for (group, (least, greatest)) in (0..).zip(ends).filter_map(|(group, ends)| Some((group, ends?))) {
        for at in std::iter::once(least).chain((greatest != least).then_some(greatest)) {
            groups.push(group);
            bytes.push(values.row(at as usize));
        }
    }
    let weights = vec![1; groups.len()];
    Ok(Part { groups, values: None, weights, ordered: Some(Ordered { bytes, all: None }) })
}

/// Values in the order of their groups' hashes and keys, then of their bytes, equal ones of a group summed, zero gone.
fn net_groups(weights: &[i64], groups: &[u32], values: &RowBytes, of: &Interned) -> Result<Vec<(u32, i64)>, FlowError> {
    let hashed = groups.iter().zip(0..).map(|(group, at)| (of.hashes[*group as usize], at));
    let sorted = sorted_by_key(hashed, |at| of.keys.row(groups[at] as usize), |at| values.row(at));
    net(weights, &sorted, |a, b| groups[a] == groups[b] && values.row(a) == values.row(b))
}

fn pick<T: Copy>(from: &[T], at: &[u32]) -> Vec<T> {
    at.iter().map(|&at| from[at as usize]).collect()
}
