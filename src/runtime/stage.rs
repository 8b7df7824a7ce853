//! One epoch's work, up to the point where all its output is staged: nothing of it has left the process yet.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use api::{OutRecord, Record};
use plan::{
    InputRange, Mended, Outcome, Release, SequenceMark, SinkFailure, SinkId, SourceHalt, TableDef, TableId, TableKind,
    TableOutcome,
};
use zset::{Delta, Digest, RowCodec, RowError, TimestampMs, sqlstate};

use crate::blame::Blamed;
use crate::dead_letter::dead_letter;
use crate::group::Input;
use crate::sink::Output;
use crate::table::{Refresh, Turn};
use crate::{Engine, EngineError, alter, letters, range};

/// An error in an epoch record has no more characters than this: it may quote a row, and a record has its limit.
pub(crate) const ERROR_CHARS_MAX: usize = 1000;

/// A worker hashes no fewer rows at a time.
const DIGEST_ROWS_MIN: usize = 16_384;

/// An epoch whose output is staged.
#[derive(Default)]
pub(crate) struct Staged {
    pub timestamp: TimestampMs,
    pub inputs: Vec<InputRange>,
    /// Consolidated, by table; none is empty.
    pub deltas: BTreeMap<TableId, Delta>,
    pub outcomes: BTreeMap<TableId, Outcome>,
    /// What was read again for a stream table that is made.
    pub backfill: Vec<InputRange>,
    /// The stream table that was made in pieces, and how many rows that gave: there is no delta of it.
    pub in_pieces: Option<(TableId, u64)>,
    /// The records of statements, which are inputs as soon as they have offsets.
    pub statements: Vec<StatementRecords>,
    /// How far sequences are with it.
    pub sequences: Vec<SequenceMark>,
    /// The source that this brings together with its topic again.
    pub mended: Option<Mended>,
    pub dead: Vec<OutRecord>,
    pub outputs: Vec<(SinkId, Output)>,
    /// What of `outputs` was in backlogs.
    pub released: Vec<Release>,
    /// Nothing else is in it: if that is refused, there is no epoch.
    pub releases_only: bool,
    /// Sinks that get nothing more.
    pub given_up: Vec<SinkFailure>,
    /// Tables with something staged.
    pub touched: BTreeSet<TableId>,
    /// Tables whose refresh failed.
    failed: BTreeSet<TableId>,
    /// Those of them that are not tried again.
    suspended: BTreeSet<TableId>,
    /// The input row that a refresh failed at, where it was found: the table that has it, and the row.
    pub blamed: BTreeMap<TableId, Blamed>,
    /// The first of them that was well before, and why.
    pub newly_failed: Option<(TableId, RowError)>,
    /// Tables that were in error and are not any more.
    healed: BTreeSet<TableId>,
    pub missing_retractions: u64,
    /// How often keys of sources came from another partition than before.
    pub moves: BTreeMap<TableId, u64>,
    /// Whether a record is replayed: where its sources stop was decided then.
    pub replays: bool,
    /// Sources of which only some columns were decoded.
    pub narrow: BTreeSet<TableId>,
    /// The tables of which the record that is replayed says something.
    pub told: BTreeSet<TableId>,
    /// Sources that stop.
    pub halts: Vec<SourceHalt>,
    /// What came for keys that dead letters wait for.
    pub seen: Vec<(TableId, letters::Seen)>,
    /// The dead letters that are replayed.
    pub replayed: Option<letters::Replayed>,
    /// Whether the state has it already: its commit was on its way while the next epoch was processed.
    pub applied: bool,
}

/// What one statement writes into the topic of its table.
pub(crate) struct StatementRecords {
    /// Its place among the statements of the epoch.
    pub statement: usize,
    pub table: TableId,
    pub records: Vec<OutRecord>,
}

impl Staged {
    /// Nothing yet.
    pub fn at(timestamp: TimestampMs) -> Self {
        Self { timestamp, ..Self::default() }
    }

    /// Whether it is of topics alone, and changes nothing but the tables.
    pub fn is_plain(&self) -> bool {
        self.statements.is_empty()
            && self.sequences.is_empty()
            && self.backfill.is_empty()
            && self.mended.is_none()
            && self.released.is_empty()
            && self.given_up.is_empty()
            && self.halts.is_empty()
            && self.replayed.is_none()
    }

    /// How many records the statements have: they are the first of the epoch's transaction.
    pub fn first_records(&self) -> usize {
        self.statements.iter().map(|statement| statement.records.len()).sum()
    }

    /// Which sink a record of the epoch's transaction comes from, by its place behind those of the statements; `None` if from
    /// none.
    pub fn sink_of(&self, index: usize) -> Option<SinkId> {
        let mut end = 0;
        self.outputs.iter().find_map(|(sink, output)| {
            end += output.in_transaction().len();
            (index < end).then_some(*sink)
        })
    }

    /// The outcomes as the record keeps them.
    pub fn table_outcomes(&self) -> Vec<TableOutcome> {
        self.outcomes.iter().map(|(&table, outcome)| TableOutcome { table, outcome: outcome.clone() }).collect()
    }
}

impl Engine {
    /// Processes the records of an epoch. `obeyed` are the outcomes of the record that is replayed: a refresh that
    /// failed then is not tried again.
    pub(crate) fn stage_epoch(
        &mut self,
        mut input: BTreeMap<TableId, Vec<Record>>,
        timestamp: TimestampMs,
        obeyed: Option<&BTreeMap<TableId, Outcome>>,
    ) -> Result<Staged, EngineError> {
        input.values_mut().for_each(|records| range::put_in_order(records));
        let mut staged = Staged { replays: obeyed.is_some(), told: told(obeyed), ..Staged::at(timestamp) };
        self.stage_input(&mut staged, &input)?;
        self.stage_refreshes(&mut staged, obeyed, Some(&input))?;
        Ok(staged)
    }

    /// Stages records that are in order.
    pub(crate) fn stage_input(
        &mut self,
        staged: &mut Staged,
        input: &BTreeMap<TableId, Vec<Record>>,
    ) -> Result<(), EngineError> {
        let workers = self.parts.workers.clone();
        workers.run(|| input.iter().try_for_each(|(table, records)| self.stage_source(staged, *table, records)))
    }

    fn stage_source(&mut self, staged: &mut Staged, id: TableId, records: &[Record]) -> Result<(), EngineError> {
        let own = self.tables.get(&id).is_some_and(|table| table.def.is_own());
        let next = self.next_epoch();
        // What others put between our records of our own topics is not read: such a range begins with its first record.
        let positions = self.positions_of(id).filter(|_| !own);
        let starts: BTreeMap<_, _> = positions.map(|(partition, position)| (partition, position.next)).collect();
        let partitions = starts.len();
        let read = self.columns_read(id, staged);
        let Some(table) = self.tables.get_mut(&id) else { return Ok(()) };
        staged.touched.insert(id);
        if partitions > 1 {
            table.contents.watch_homes();
        }
        let (decoded, records) = letters::stage(staged, id, table, records, read.as_deref())?;
        let mut ranges = range::ranges(id, &records, &starts);
        if ranges.iter().any(|range| range.range.end.0 - range.range.start.0 != range.count as i64) {
            self.parts.faults.reach("input-gap")?;
        }
        let at = (self.chain.incarnation.as_str(), next, staged.timestamp);
        let source = table.source_def().expect("records are for source tables");
        for (index, cause) in decoded.dead {
            let record = &records[index];
            tracing::warn!(
                table = %table.def.name, topic = %record.at.topic, partition = %record.at.partition,
                offset = %record.offset, column = cause.column.as_deref().unwrap_or_default(),
                "dead letter: {}", cause.reason
            );
            if let Some(range) = ranges.iter_mut().find(|range| range.partition == record.at.partition) {
                range.dead_letters += 1;
            }
            staged.dead.push(dead_letter(&table.def.name, &source.dlq_topic, record, cause, at));
        }
        staged.missing_retractions += decoded.missing_retractions;
        if let Some(moved) = &decoded.moved {
            staged.moves.insert(id, moved.times);
            if let Some(warning) = table.first_move(moved) {
                tracing::warn!(table = %table.def.name, "{warning}");
            }
        }
        staged.inputs.extend(ranges);
        // Where a source stops all columns were decoded.
        if read.is_some() && matches!(records, Cow::Borrowed(_)) {
            staged.narrow.insert(id);
        }
        staged.keep_source(&table.def, decoded.delta);
        Ok(())
    }

    /// Refreshes every stream table that the staged deltas reach. Ids are in topological order. `records` are those of which only
    /// some columns may have been decoded.
    pub(crate) fn stage_refreshes(
        &mut self,
        staged: &mut Staged,
        obeyed: Option<&BTreeMap<TableId, Outcome>>,
        records: Option<&Input>,
    ) -> Result<(), EngineError> {
        let workers = self.parts.workers.clone();
        let ids: Vec<TableId> = self.tables.keys().copied().collect();
        for id in ids {
            let TableKind::Stream(stream) = &self.tables[&id].def.kind else { continue };
            // It is made anew when it is resumed.
            if self.tables[&id].suspended {
                continue;
            }
            let sources = stream.inputs.clone();
            let inputs: BTreeMap<TableId, Delta> = sources
                .iter()
                .filter_map(|input| Some((*input, alter::seen_by(stream, *input, staged.deltas.get(input)?))))
                .collect();
            let in_error = |input: &TableId| self.tables.get(input).is_some_and(|table| table.error.is_some());
            let blocked = sources
                .iter()
                .find(|input| staged.failed.contains(input) || (in_error(input) && !staged.healed.contains(input)));
            let blocked = blocked.map(|input| (*input, self.tables[input].def.name.clone()));
            let healed_above = sources.iter().any(|input| staged.healed.contains(input));
            let was_in_error = in_error(&id);
            if let Some((input, name)) = blocked {
                if staged.suspended.contains(&input) {
                    self.stage_suspended(staged, id, format!("table {name}, which it reads, is SUSPENDED"));
                } else if !inputs.is_empty() || (staged.failed.contains(&input) && !was_in_error) {
                    let error = format!("table {name}, which it reads, is in ERROR");
                    let inputs = self.whole(staged, id, inputs, records)?;
                    self.stage_failed(staged, id, &inputs, Turn::Blocked(error.clone()), error);
                }
                continue;
            }
            if inputs.is_empty() && !(was_in_error && healed_above) {
                continue;
            }
            match obeyed.and_then(|outcomes| outcomes.get(&id)) {
                Some(Outcome::Error(error)) => {
                    let inputs = self.whole(staged, id, inputs, records)?;
                    self.stage_failed(staged, id, &inputs, Turn::Failed(error.clone()), error.clone());
                    continue;
                }
                Some(Outcome::Suspended(error)) => {
                    self.stage_suspended(staged, id, error.clone());
                    continue;
                }
                Some(Outcome::Digest(_)) | None => {}
            }
            workers.run(|| self.stage_refresh(staged, id, (inputs, records), was_in_error))?;
        }
        Ok(())
    }

    fn stage_refresh(
        &mut self,
        staged: &mut Staged,
        id: TableId,
        (inputs, records): (BTreeMap<TableId, Delta>, Option<&Input>),
        was_in_error: bool,
    ) -> Result<(), EngineError> {
        let table = self.tables.get_mut(&id).expect("the table is there");
        staged.touched.insert(id);
        let refreshed = match self.parts.faults.reach("refresh") {
            Ok(()) => table.stage_refresh(inputs.clone())?,
            Err(fault) => Refresh::Failed(RowError::new(sqlstate::DATA_EXCEPTION, fault.to_string())),
        };
        match refreshed {
            Refresh::Done(delta) => {
                if was_in_error {
                    staged.healed.insert(id);
                }
                let codec = RowCodec::new(table.def.columns.schema());
                staged.keep(id, delta, &codec, was_in_error);
            }
            Refresh::Failed(error) => {
                let inputs = self.whole(staged, id, inputs, records)?;
                let text = self.blamed(staged, id, &inputs, &error);
                if !was_in_error {
                    staged.newly_failed.get_or_insert((id, error));
                }
                if self.tables[&id].fails_for_good() {
                    self.stage_suspended(staged, id, text);
                } else {
                    self.stage_failed(staged, id, &inputs, Turn::Failed(text.clone()), text);
                }
            }
        }
        Ok(())
    }

    /// A table is not tried again, nor are those that read it.
    fn stage_suspended(&mut self, staged: &mut Staged, id: TableId, error: String) {
        let table = self.tables.get_mut(&id).expect("the table is there");
        table.stage_suspended(error.clone());
        staged.touched.insert(id);
        staged.failed.insert(id);
        staged.suspended.insert(id);
        staged.outcomes.insert(id, Outcome::Suspended(error));
    }

    fn stage_failed(
        &mut self,
        staged: &mut Staged,
        id: TableId,
        inputs: &BTreeMap<TableId, Delta>,
        turn: Turn,
        error: String,
    ) {
        let table = self.tables.get_mut(&id).expect("the table is there");
        table.stage_waiting(inputs, turn);
        staged.touched.insert(id);
        staged.failed.insert(id);
        staged.outcomes.insert(id, Outcome::Error(error));
    }

    /// Makes a staged epoch never have been.
    pub(crate) fn discard(&mut self, staged: &Staged) {
        for id in &staged.touched {
            if let Some(table) = self.tables.get_mut(id) {
                table.discard();
            }
        }
    }

    /// What the sinks make of the staged deltas.
    pub(crate) fn stage_sinks(&mut self, staged: &mut Staged) {
        let epoch = self.next_epoch();
        for (id, sink) in &mut self.sinks {
            let Some(delta) = staged.deltas.get(&sink.def.input) else { continue };
            if !sink.is_out() {
                let timestamp = staged.timestamp;
                let output = self.parts.workers.run(move || sink.encode(delta, epoch, timestamp, false));
                staged.outputs.push((*id, output));
            }
        }
    }
}

impl Staged {
    /// Keeps what the records of a source say. One that is not stored has no digest: its ranges have a hash, and each table that
    /// reads it has its digest. A record that tells one all the same is obeyed.
    pub fn keep_source(&mut self, def: &TableDef, delta: Delta) {
        if def.is_stored() || self.told.contains(&def.id) {
            self.keep(def.id, delta, &RowCodec::new(def.columns.schema()), false);
        } else if !delta.is_empty() {
            self.deltas.insert(def.id, delta);
        }
    }

    /// Keeps a table's delta and its digest. A table that did not change is not in the record, unless it must say that
    /// an error is over.
    pub fn keep(&mut self, id: TableId, delta: Delta, codec: &RowCodec, always: bool) {
        if delta.is_empty() && !always {
            return;
        }
        self.outcomes.insert(id, Outcome::Digest(digest(&delta, codec)));
        if !delta.is_empty() {
            self.deltas.insert(id, delta);
        }
    }
}

/// The tables that outcomes are told of.
pub(crate) fn told(obeyed: Option<&BTreeMap<TableId, Outcome>>) -> BTreeSet<TableId> {
    obeyed.into_iter().flatten().map(|(id, _)| *id).collect()
}

/// The digest of a delta.
pub(crate) fn digest(delta: &Delta, codec: &RowCodec) -> Digest {
    let (rows, weights) = (delta.bytes(codec), delta.weights().values());
    let parts = workers::map_pieces(delta.len(), DIGEST_ROWS_MIN, |piece| {
        let mut digest = Digest::default();
        piece.for_each(|at| digest.add(rows.row(at), weights[at]));
        digest
    });
    parts.into_iter().fold(Digest::default(), Digest::plus)
}
