//! Which row made a refresh fail, and which record of its source brought that row.
//!
//! A refresh is a function of the rows that came: it is tried with the first half of them, and so on, until one row is found
//! with which it fails as it did, and without which it does not. Nothing of this is staged. A row of a source table is looked
//! for among the epoch's records, decoded again; that of a stream table is named as it is, unless there is but one record that
//! it can come from. What cannot be found is not guessed.

use std::collections::BTreeMap;

use api::Record;
use dataflow::FlowError;
use plan::{Outcome, TableId, TableKind};
use state::StateError;
use zset::{Delta, Op, RowCodec, RowError, RowOrigin, RowRecord};

use crate::dead_letter::first_chars;
use crate::stage::{ERROR_CHARS_MAX, Staged};
use crate::table::{Table, Work};
use crate::{Engine, EngineError};

/// Of more rows none is looked for: the epoch would wait for it.
const ROWS_MAX: usize = 64 * 1024;

/// The input row that a refresh failed at.
pub(crate) struct Blamed {
    /// The table that has it.
    pub table: TableId,
    /// The row, alone.
    pub row: Delta,
}

impl Engine {
    /// The words for a refresh that failed; the row that it failed at is looked for, unless it is the one of the time before.
    pub(crate) fn blamed(
        &mut self,
        staged: &mut Staged,
        id: TableId,
        inputs: &BTreeMap<TableId, Delta>,
        error: &RowError,
    ) -> String {
        let text = first_chars(error.to_string(), ERROR_CHARS_MAX);
        let Some(table) = self.tables.get_mut(&id) else { return text };
        if let Some(known) = table.error.as_ref().filter(|known| known.starts_with(&text)) {
            return known.clone();
        }
        match table.blame(inputs, error) {
            Ok(Some(blamed)) => drop(staged.blamed.insert(id, blamed)),
            Ok(None) => {}
            Err(unreadable) => tracing::warn!("cannot find the row that a refresh failed at: {unreadable}"),
        }
        text
    }

    /// Adds to the errors of an epoch where their rows came from.
    pub(crate) fn name_origins(
        &mut self,
        staged: &mut Staged,
        input: &BTreeMap<TableId, Vec<Record>>,
    ) -> Result<(), EngineError> {
        for (id, blamed) in std::mem::take(&mut staged.blamed) {
            let origin = self.origin(&blamed, input)?.to_string();
            let Some(Outcome::Error(text) | Outcome::Suspended(text)) = staged.outcomes.get_mut(&id) else { continue };
            *text = first_chars(std::mem::take(text), ERROR_CHARS_MAX.saturating_sub(origin.chars().count()));
            text.push_str(&origin);
            if let Some(table) = self.tables.get_mut(&id) {
                table.reword(text);
            }
        }
        Ok(())
    }

    /// Says which refreshes failed of an epoch that is committed, before it is published.
    pub(crate) fn tell_failures(&self, staged: &Staged) {
        for (id, outcome) in &staged.outcomes {
            let (error, next) = match outcome {
                Outcome::Error(error) => (error, "is tried again when its input changes"),
                Outcome::Suspended(error) => {
                    (error, "is SUSPENDED: mend the cause, then resume it: ALTER STREAM TABLE ... RESUME")
                }
                Outcome::Digest(_) => continue,
            };
            if let Some(table) = self.tables.get(id) {
                let name = &table.def.name;
                tracing::error!(
                    table = %name, epoch = %self.chain.epoch.next(),
                    "cannot refresh stream table {name}: {error}; it keeps its contents and {next}"
                );
            }
        }
    }

    fn origin(&self, blamed: &Blamed, input: &BTreeMap<TableId, Vec<Record>>) -> Result<RowOrigin, EngineError> {
        let def = &self.tables[&blamed.table].def;
        let record = match &def.kind {
            TableKind::Source(source) => match input.get(&blamed.table) {
                Some(records) => {
                    self.new_source(def.clone(), source)?.record_of(records, &blamed.row).map(|at| &records[at])
                }
                None => None,
            },
            TableKind::Stream(_) => {
                let mut records = self.sources_of(blamed.table).into_iter().filter_map(|id| input.get(&id)).flatten();
                records.next().filter(|_| records.next().is_none())
            }
        };
        let record = record.map(|record| RowRecord {
            topic: record.at.topic.to_string(),
            partition: record.at.partition,
            offset: record.offset,
        });
        Ok(RowOrigin { table: def.name.clone(), record })
    }

    /// The source tables that a table's rows come from.
    fn sources_of(&self, id: TableId) -> Vec<TableId> {
        let (mut found, mut at) = (vec![id], 0);
        while at < found.len() {
            if let TableKind::Stream(stream) = &self.tables[&found[at]].def.kind {
                let more = stream.inputs.iter().filter(|input| !found.contains(input)).copied();
                found.extend(more.collect::<Vec<_>>());
            }
            at += 1;
        }
        found
    }
}

impl Table {
    /// The row of `inputs` with which a refresh begins to fail in this way. Nothing is staged before, nor after.
    fn blame(&mut self, inputs: &BTreeMap<TableId, Delta>, error: &RowError) -> Result<Option<Blamed>, StateError> {
        let waiting = self.waiting()?;
        let total: usize = inputs.values().map(Delta::len).sum();
        if total == 0 || total + waiting.values().map(Delta::len).sum::<usize>() > ROWS_MAX {
            return Ok(None);
        }
        let mut fails = |count: usize| -> Result<bool, StateError> { self.fails_with(inputs, &waiting, count, error) };
        let (mut without, mut with) = (0, total);
        if fails(without)? || !fails(with)? {
            return Ok(None);
        }
        while with - without > 1 {
            let middle = without + (with - without) / 2;
            if fails(middle)? { with = middle } else { without = middle }
        }
        let mut before = 0;
        for (table, delta) in inputs {
            if without < before + delta.len() {
                let at = without - before;
                let row = delta.gather(vec![at as u32], vec![delta.weights().value(at)]);
                return Ok(Some(Blamed { table: *table, row }));
            }
            before += delta.len();
        }
        Ok(None)
    }

    /// Whether a refresh by what waits and the first `count` rows fails with this error.
    fn fails_with(
        &mut self,
        inputs: &BTreeMap<TableId, Delta>,
        waiting: &BTreeMap<TableId, Delta>,
        count: usize,
        error: &RowError,
    ) -> Result<bool, StateError> {
        let mut first = waiting.clone();
        let mut left = count;
        for (table, delta) in inputs {
            let rows = left.min(delta.len());
            left -= rows;
            let weights = delta.weights().values()[..rows].to_vec();
            let part = delta.gather((0..rows as u32).collect(), weights);
            let whole = match first.remove(table) {
                Some(before) => Delta::sum(part.schema(), &[before, part]),
                None => part,
            };
            first.insert(*table, whole);
        }
        let Work::Stream { flow, .. } = &mut self.work else { return Ok(false) };
        let failed = match flow.step(&first) {
            Ok(delta) => self.contents.apply_delta(&delta).err(),
            Err(failed) => Some(failed),
        };
        let same = match failed {
            None => false,
            Some(FlowError::Row(found)) => found == *error,
            Some(FlowError::Invariant(what)) => self.blind && error.message.contains(&what),
            Some(FlowError::State(unreadable)) => return Err(unreadable),
        };
        if let Work::Stream { flow, .. } = &mut self.work {
            flow.discard();
        }
        self.contents.discard();
        Ok(same)
    }

    /// The place of the record that brought a row, or took it: the last one that has the whole row, else the last one that has
    /// its key.
    fn record_of(&mut self, records: &[Record], row: &Delta) -> Option<usize> {
        let decoded = self.changes(records, None);
        let (rows, wanted) = (&decoded.changes.rows, row.batch());
        let place = |columns: &[usize]| -> Option<usize> {
            let (of_all, of_one) = (rows.project(columns).ok()?, wanted.project(columns).ok()?);
            let codec = RowCodec::new(of_one.schema());
            let (of_all, of_one) = (codec.encode_batch(&of_all), codec.encode_batch(&of_one));
            let same = |at: &usize| decoded.changes.ops[*at] != Op::Truncate && of_all.row(*at) == of_one.row(0);
            let at = (0..of_all.len()).rev().find(same)?;
            Some(decoded.changes.origin[at] as usize)
        };
        let all: Vec<usize> = (0..wanted.num_columns()).collect();
        place(&all).or_else(|| if self.def.key.is_empty() { None } else { place(&self.def.key) })
    }
}
