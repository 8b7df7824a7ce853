//! Aggregate: GROUP BY. One row per group that has rows; without group columns exactly one row, always.
//!
//! ```text
//! delta ─► groups ─► feeds (argument, filter; distinct and min/max keep values) ─► accumulators ─► -old +new
//!             └── one probe of: group key -> row count, accumulators, output row ──┘
//! ```
//! Work is per epoch and group, not per row. The old output is the row that state remembers, never computed again; where
//! the new one is the same bytes, nothing is said. Slot 0 is that state, slots from 1 those of feeds that keep values: min and max
//! have theirs, and leave it unused where no row of the input ever goes.

mod accumulator;
mod avg;
mod count;
mod division;
mod encoding;
mod exact;
mod extremum;
mod feed;
mod float;
mod sum;
mod totals;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::concat;
use arrow::datatypes::{Schema, SchemaRef};
use plan::{AggregateCall, AggregateFunction};
use state::{Arrangement, End, Law, Matches};
use zset::{ColumnType, Delta, RowBytes, RowCodec, sorted_by_key};

use super::{Operator, Slots};
use crate::rows::{Interned, batch, describe, empty_rows, eval_all, gather};
use crate::{Eval, FlowError};
use accumulator::{Accumulator, Failed, added};
pub use division::quotient;
use encoding::{Reader, put_i64};
pub use exact::Exact;
use feed::{Feed, Kind};

/// The quotient of avg, for the naive interpreter.
#[cfg(test)]
pub(crate) fn division_for_tests(
    units: arrow::datatypes::i256,
    scale: i8,
    count: i64,
) -> Result<arrow::datatypes::i256, zset::RowError> {
    division::quotient(units, scale, count, true, 38)
}

struct Call {
    feed: usize,
    accumulator: Box<dyn Accumulator>,
}

pub(crate) struct Aggregate {
    group: Vec<Arc<dyn Eval>>,
    group_codec: RowCodec,
    /// Of the calls' columns.
    output_codec: RowCodec,
    schema: SchemaRef,
    feeds: Vec<Feed>,
    calls: Vec<Call>,
    groups: Arrangement,
    /// A global aggregate whose row is not there yet.
    due: bool,
}

/// What state has of the touched groups.
struct Old {
    matches: Matches,
    /// For each group that has an output row: which match, and where in it the row's bytes begin.
    outputs: Vec<Option<(usize, usize)>>,
}

impl Old {
    /// The output row of a group.
    fn output(&self, group: usize) -> Option<&[u8]> {
        self.outputs[group].map(|(row, start)| &self.matches.rows.row(row)[start..])
    }
}

fn accumulator(call: &AggregateCall<Arc<dyn Eval>>) -> Box<dyn Accumulator> {
    let (argument, output) = (call.argument_type, call.output_type);
    let float = matches!(argument, ColumnType::Real | ColumnType::Double);
    let extremum = |end| Box::new(extremum::Extremum::new(end, feed::value_codec(argument), argument));
    match call.function {
        AggregateFunction::Count => Box::new(count::Count::default()),
        AggregateFunction::Sum if argument == ColumnType::Real => Box::new(float::FloatSum::new(float::Of::SumReal)),
        AggregateFunction::Sum if float => Box::new(float::FloatSum::new(float::Of::SumDouble)),
        AggregateFunction::Sum => Box::new(sum::Sum::new(argument, output)),
        AggregateFunction::Avg if float => Box::new(float::FloatSum::new(float::Of::Avg)),
        AggregateFunction::Avg => Box::new(avg::Avg::new(argument, output)),
        AggregateFunction::Min => extremum(End::First),
        AggregateFunction::Max => extremum(End::Last),
    }
}

impl Aggregate {
    /// `only_come`: no row of the input ever goes.
    pub fn new(
        group: &[Arc<dyn Eval>],
        calls: &[AggregateCall<Arc<dyn Eval>>],
        schema: SchemaRef,
        only_come: bool,
        slots: &mut Slots<'_>,
    ) -> Self {
        let part = |fields: &[Arc<arrow::datatypes::Field>]| RowCodec::new(Arc::new(Schema::new(fields.to_vec())));
        let (group_codec, output_codec) =
            (part(&schema.fields()[..group.len()]), part(&schema.fields()[group.len()..]));
        let groups = slots.arrangement(0, Law::Replace);
        let mut feeds: Vec<Feed> = Vec::new();
        let mut slot = 0;
        let calls = calls.iter().map(|call| {
            let feed = feeds.iter().position(|feed| feed.serves(call)).unwrap_or_else(|| {
                let kind = Kind::of(call);
                slot += u32::from(kind != Kind::All);
                let keeps = kind == Kind::Distinct || kind == Kind::Ordered && !only_come;
                let state = keeps.then(|| slots.arrangement(slot, Law::Add));
                feeds.push(Feed::new(call, state));
                feeds.len() - 1
            });
            Call { feed, accumulator: accumulator(call) }
        });
        let calls = calls.collect();
        let due = group.is_empty() && groups.committed().entries() == 0;
        Self { group: group.to_vec(), group_codec, output_codec, schema, feeds, calls, groups, due }
    }

    fn is_global(&self) -> bool {
        self.group.is_empty()
    }

    /// The groups of a delta's rows.
    fn grouped(&self, input: &Delta) -> Result<Interned, FlowError> {
        if self.is_global() {
            return Ok(Interned { ids: vec![0; input.len()], keys: empty_rows(1), hashes: vec![zset::key_hash(&[])] });
        }
        let columns = eval_all(&self.group, input.batch())?;
        let fields = &self.schema.fields()[..columns.len()];
        if let Some((field, column)) = fields.iter().zip(&columns).find(|(f, c)| f.data_type() != c.data_type()) {
            let message = format!("GROUP BY {}: it is {}, not {}", field.name(), column.data_type(), field.data_type());
            return Err(FlowError::invariant(message));
        }
        Ok(Interned::new(&self.group_codec.encode(&columns)))
    }

    /// Reads the touched groups' state into the accumulators. Returns it and the rows in each group.
    fn load(&mut self, groups: &Interned) -> Result<(Old, Vec<i64>), FlowError> {
        let keys = &groups.keys;
        let matches = self.groups.staged().probe_hashed(keys, &groups.hashes)?;
        self.calls.iter_mut().for_each(|call| call.accumulator.start(keys.len()));
        let (mut counts, mut outputs) = (vec![0; keys.len()], vec![None; keys.len()]);
        for group in 0..keys.len() {
            let Some(row) = matches.range(group).next() else { continue };
            let bytes = matches.rows.row(row);
            let mut reader = Reader(bytes);
            counts[group] = reader.i64()?;
            for call in &mut self.calls {
                call.accumulator.load(group, &mut reader)?;
            }
            outputs[group] = Some((row, bytes.len() - reader.0.len()));
        }
        Ok((Old { matches, outputs }, counts))
    }

    /// Feeds the delta to the accumulators.
    fn update(&mut self, input: &Delta, groups: &Interned, counts: &mut [i64]) -> Result<(), FlowError> {
        for (group, weight) in groups.ids.iter().zip(input.weights().values()) {
            let count = &mut counts[*group as usize];
            *count = added("the rows of a group", *count, *weight)?;
        }
        for (at, feed) in self.feeds.iter_mut().enumerate() {
            let part = feed.step(input, groups)?;
            for call in self.calls.iter_mut().filter(|call| call.feed == at) {
                call.accumulator.update(&part, &groups.keys)?;
            }
        }
        for (group, count) in counts.iter().enumerate() {
            let emptied = self.calls.iter().all(|call| call.accumulator.is_empty(group));
            if *count < 0 || *count == 0 && !emptied {
                let key = describe(self.group_codec.schema(), &self.key_columns(&groups.keys), group);
                return Err(FlowError::invariant(format!("GROUP BY: {count} rows are left in group {key}")));
            }
        }
        Ok(())
    }

    fn key_columns(&self, keys: &RowBytes) -> Vec<ArrayRef> {
        if self.is_global() { vec![] } else { self.group_codec.decode(keys.iter()) }
    }

    /// The calls' columns of the touched groups.
    fn results(&self, keys: &RowBytes) -> Result<RecordBatch, FlowError> {
        let mut columns = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            columns.push(call.accumulator.finish().map_err(|failed| match failed {
                Failed::Flow(error) => error,
                Failed::Row(_, error) if self.is_global() => error.into(),
                Failed::Row(group, error) => {
                    error.at_row(describe(self.group_codec.schema(), &self.key_columns(keys), group)).into()
                }
            })?);
        }
        batch(self.output_codec.schema(), columns, keys.len())
    }

    /// Stages the new state; of a group without rows none.
    fn stage(&mut self, groups: &Interned, counts: &[i64], outputs: &RowBytes) {
        let mut values = RowBytes::new();
        let mut value = Vec::new();
        for (group, count) in counts.iter().enumerate() {
            value.clear();
            if *count > 0 || self.is_global() {
                put_i64(&mut value, *count);
                self.calls.iter().for_each(|call| call.accumulator.store(group, &mut value));
                value.extend_from_slice(outputs.row(group));
            }
            values.push(&value);
        }
        let keys = &groups.keys;
        let order = sorted_by_key(groups.hashes.iter().copied().zip(0..), |at| keys.row(at), |_| &[]);
        // The state of a group begins with its count, so that it is never empty.
        let entries = order.iter().map(|&at| {
            let at = at as usize;
            (groups.hashes[at], keys.row(at), Some(values.row(at)).filter(|value| !value.is_empty()))
        });
        self.groups.stage_replace_sorted(order.len(), keys.data_len() + values.data_len(), entries);
    }

    /// What changes of the output: old rows go, new ones come, the same are not mentioned.
    fn changes(
        &self,
        keys: &RowBytes,
        counts: &[i64],
        old: &Old,
        new: (&RecordBatch, &RowBytes),
    ) -> Result<Delta, FlowError> {
        let (results, outputs) = new;
        let (mut groups, mut rows, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut gone: Vec<&[u8]> = Vec::new();
        for (group, count) in counts.iter().enumerate() {
            let stays = *count > 0 || self.is_global();
            if stays && old.output(group) == Some(outputs.row(group)) {
                continue;
            }
            if let Some(output) = old.output(group) {
                groups.push(group as u32);
                rows.push((results.num_rows() + gone.len()) as u32);
                weights.push(-1);
                gone.push(output);
            }
            if stays {
                groups.push(group as u32);
                rows.push(group as u32);
                weights.push(1);
            }
        }
        let (groups, rows) = (UInt32Array::from(groups), UInt32Array::from(rows));
        let mut columns =
            self.key_columns(keys).iter().map(|column| gather(column, &groups)).collect::<Result<Vec<_>, _>>()?;
        let gone = self.output_codec.decode_batch(gone);
        for (result, gone) in results.columns().iter().zip(gone.columns()) {
            let both = concat(&[result.as_ref() as &dyn Array, gone.as_ref()])
                .map_err(|error| FlowError::invariant(format!("an aggregate's old and new rows: {error}")))?;
            columns.push(gather(&both, &rows)?);
        }
        Ok(Delta::new(batch(&self.schema, columns, weights.len())?, weights.into()))
    }
}

impl Operator for Aggregate {
    fn name(&self) -> &'static str {
        "aggregate"
    }

    fn due(&self) -> bool {
        self.due
    }

    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError> {
        let input = &inputs[0];
        let groups = self.grouped(input)?;
        let (old, mut counts) = self.load(&groups)?;
        if !input.is_empty() {
            self.update(input, &groups, &mut counts)?;
        }
        let results = self.results(&groups.keys)?;
        let outputs = self.output_codec.encode_batch(&results);
        self.stage(&groups, &counts, &outputs);
        self.due = false;
        self.changes(&groups.keys, &counts, &old, (&results, &outputs))
    }

    fn arrangements(&self) -> Vec<&Arrangement> {
        std::iter::once(&self.groups).chain(self.feeds.iter().filter_map(|feed| feed.state.as_ref())).collect()
    }

    fn commit(&mut self) {
        self.groups.commit();
        self.feeds.iter_mut().filter_map(|feed| feed.state.as_mut()).for_each(Arrangement::commit);
    }

    fn discard(&mut self) {
        self.groups.discard();
        self.feeds.iter_mut().filter_map(|feed| feed.state.as_mut()).for_each(Arrangement::discard);
        self.due = self.is_global() && self.groups.committed().entries() == 0;
    }
}
