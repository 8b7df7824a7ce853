//! The epoch of statements: those that wait together are committed together, and one that fails is alone in that. A
//! transaction is as one statement, of several tables: all of it is in one epoch, or none.
//!
//! All of them are staged with what came from the topics. If a stream table that was well cannot take that, everything is
//! discarded and done again in parts: first what came from the topics, whose failure is the table's own, then each
//! statement in an epoch of its own, whose failure is the statement's: nothing of it is logged. A stream table that was in
//! ERROR before fails nobody.
//!
//! Whoever wrote is answered when the epoch is committed and can be read; also who was refused, so that a statement that
//! was not the first is evaluated again on what the first one left.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::Instant;

use api::{OutRecord, Record};
use dataflow::{RowChanges, StatementError};
use plan::{InputRange, TableId};
use schemas::SinkEpoch;
use zset::{Delta, Epoch, Offset, RowCodec, RowError, consolidate};

use crate::own::Checked;
use crate::phases::Phases;
use crate::stage::{Staged, StatementRecords};
use crate::{Engine, EngineError, WriteError, range};

/// Records of topics, by source table.
pub(crate) type Input = BTreeMap<TableId, Vec<Record>>;

/// A statement or transaction that waits for its epoch.
pub(crate) struct Waiting {
    /// What it changes, of each table once.
    pub changes: Vec<RowChanges>,
    pub reply: Sender<Result<Epoch, WriteError>>,
}

/// What became of statements, in their order; `None`: they are in the epoch.
type Verdicts = Vec<Option<WriteError>>;

/// What became of an attempt at an epoch. Only after `Committed` is anything of it there.
enum Attempt {
    Committed(Verdicts),
    /// A stream table that was well cannot take it.
    Fails(TableId, RowError),
    /// The log does not take a record of a statement.
    Refused {
        statement: usize,
        error: EngineError,
    },
}

impl Engine {
    /// Processes and commits records of topics and statements, and answers the statements.
    pub(crate) fn group(&mut self, mut input: Input, waiting: Vec<Waiting>) -> Result<(), EngineError> {
        input.retain(|_, records| !records.is_empty());
        input.values_mut().for_each(|records| range::put_in_order(records));
        if waiting.is_empty() {
            return if input.is_empty() { Ok(()) } else { self.stream(&input) };
        }
        let (changes, replies): (Vec<_>, Vec<_>) = waiting.into_iter().map(|w| (w.changes, w.reply)).unzip();
        let mut answers: Vec<_> = replies.into_iter().map(Some).collect();
        let result = self.land().and_then(|()| self.group_answered(&input, &changes, &mut answers));
        if let Err(error) = &result {
            for reply in answers.into_iter().flatten() {
                // Whoever asked may be gone.
                let _ = reply.send(Err(unfinished(error, self.committing).into()));
            }
        }
        result
    }

    fn group_answered(
        &mut self,
        input: &Input,
        changes: &[Vec<RowChanges>],
        replies: &mut [Option<Sender<Result<Epoch, WriteError>>>],
    ) -> Result<(), EngineError> {
        let mut answer = |at: usize, epoch: Epoch, refused: Option<WriteError>| {
            if let Some(reply) = replies[at].take() {
                let _ = reply.send(refused.map_or(Ok(epoch), Err));
            }
        };
        let mut together: Vec<usize> = (0..changes.len()).collect();
        let mut failed = Vec::new();
        loop {
            let statements: Vec<&[RowChanges]> = together.iter().map(|at| changes[*at].as_slice()).collect();
            match self.attempt(input, &statements)? {
                Attempt::Committed(verdicts) => {
                    together.iter().zip(verdicts).for_each(|(at, verdict)| answer(*at, self.chain.epoch, verdict));
                    break;
                }
                Attempt::Refused { statement, error } => failed.push((together.remove(statement), error)),
                Attempt::Fails(..) => {
                    self.attempt_alone(input, &[])?;
                    for at in together {
                        let verdict = self.attempt_alone(&Input::new(), &[&changes[at]])?;
                        answer(at, self.chain.epoch, verdict);
                    }
                    break;
                }
            }
        }
        failed.into_iter().for_each(|(at, error)| answer(at, self.chain.epoch, Some(error.into())));
        Ok(())
    }

    /// What came from the topics, or one statement: what became of the statement.
    fn attempt_alone(&mut self, input: &Input, statement: &[&[RowChanges]]) -> Result<Option<WriteError>, EngineError> {
        Ok(match self.attempt(input, statement)? {
            Attempt::Committed(verdicts) => verdicts.into_iter().flatten().next(),
            Attempt::Fails(table, error) => Some(EngineError::Statement(self.cannot_take(table, error)).into()),
            Attempt::Refused { error, .. } => Some(error.into()),
        })
    }

    fn attempt(&mut self, input: &Input, statements: &[&[RowChanges]]) -> Result<Attempt, EngineError> {
        let mut phases = Phases::begin();
        let mut staged = Staged::at(self.now());
        self.stage_input(&mut staged, input)?;
        let verdicts = self.stage_statements(&mut staged, statements)?;
        if input.is_empty() && staged.statements.is_empty() && staged.sequences.is_empty() {
            // Nothing changes, and there is no epoch without input.
            self.discard(&staged);
            return Ok(Attempt::Committed(verdicts));
        }
        phases.decoded();
        if let Some((table, error)) = self.stage_results(&mut staged, input, &mut phases)? {
            self.discard(&staged);
            return Ok(Attempt::Fails(table, error));
        }
        self.note_input(&staged, input);
        let began = Instant::now();
        match self.commit_or_name(staged, None)? {
            Ok(()) => {
                self.shared.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
                self.tell_phases(&phases);
                Ok(Attempt::Committed(verdicts))
            }
            Err((staged, refused)) => {
                self.discard(&staged);
                let records = staged.statements.iter().map(|of| of.records.len());
                let ends = records.scan(0, |end, records| {
                    *end += records;
                    Some(*end)
                });
                let place = ends.filter(|end| *end <= refused.index).count();
                // Statements without records, or that were refused before, have no place among them.
                let statement = staged.statements[place].statement;
                Ok(Attempt::Refused { statement, error: refused.of_statement() })
            }
        }
    }

    /// Stages what follows from the staged input: the stream tables, and what the sinks make of them. If a stream table that was well
    /// cannot take what statements write, it is that and why, and the rest is not staged.
    pub(crate) fn stage_results(
        &mut self,
        staged: &mut Staged,
        input: &Input,
        phases: &mut Phases,
    ) -> Result<Option<(TableId, RowError)>, EngineError> {
        self.parts.faults.reach("epoch-process")?;
        self.stage_refreshes(staged, None, Some(input))?;
        phases.refreshed();
        if !staged.statements.is_empty()
            && let Some(failed) = staged.newly_failed.take()
        {
            return Ok(Some(failed));
        }
        self.name_origins(staged, input)?;
        self.stage_sinks(staged);
        self.stage_releases(staged, None);
        phases.encoded();
        self.parts.faults.reach("epoch-staged")?;
        Ok(None)
    }

    /// Stages statements, each on what those before it left. The others go on where one is refused.
    fn stage_statements(&mut self, staged: &mut Staged, statements: &[&[RowChanges]]) -> Result<Verdicts, EngineError> {
        let at = SinkEpoch { epoch: self.next_epoch(), timestamp: staged.timestamp, snapshot: false };
        let mut deltas: BTreeMap<TableId, Vec<Delta>> = BTreeMap::new();
        let mut verdicts = Verdicts::with_capacity(statements.len());
        for (statement, changes) in statements.iter().enumerate() {
            let checked = match self.check_statement(changes, &at)? {
                Ok(checked) => checked,
                Err(refused) => {
                    verdicts.push(Some(refused));
                    continue;
                }
            };
            staged.sequences.extend(changes.iter().flat_map(|of_table| &of_table.sequences));
            for (id, checked) in checked {
                let Some(table) = self.tables.get_mut(&id) else { continue };
                let delta = table.stage_statement(&checked)?;
                staged.touched.insert(id);
                deltas.entry(id).or_default().push(delta);
                if !checked.records.is_empty() {
                    staged.statements.push(StatementRecords { statement, table: id, records: checked.records });
                }
            }
            verdicts.push(None);
        }
        for (id, deltas) in deltas {
            let schema = self.tables[&id].def.columns.schema();
            let codec = RowCodec::new(schema.clone());
            staged.keep(id, consolidate(&Delta::sum(schema, &deltas), &codec), &codec, false);
        }
        Ok(verdicts)
    }

    /// Checks the rows of all tables of a statement before any of them is staged.
    fn check_statement(
        &mut self,
        changes: &[RowChanges],
        at: &SinkEpoch,
    ) -> Result<Result<BTreeMap<TableId, Checked>, WriteError>, EngineError> {
        let mut all = BTreeMap::new();
        for of_table in changes {
            let Some(table) = self.tables.get_mut(&of_table.table) else { return Ok(Err(gone().into())) };
            match table.check_statement(of_table, at)? {
                Ok(checked) => {
                    let before = all.insert(of_table.table, checked);
                    assert!(before.is_none(), "a statement says of each table once what it changes");
                }
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(all))
    }

    fn cannot_take(&self, table: TableId, error: RowError) -> StatementError {
        let name = self.tables.get(&table).map_or_else(|| table.to_string(), |table| table.def.name.clone());
        StatementError {
            sqlstate: error.sqlstate,
            message: format!("{} in stream table \"{name}\"", error.message),
            hint: Some(format!("write rows that the query of \"{name}\" can compute, or make it allow for them")),
            detail: error.row.map(|row| format!("It cannot be computed for the row {row}.")),
            position: None,
            about: None,
        }
    }
}

/// The ranges of what statements wrote, by the offsets of their records. A gap ends a range: inside of one transaction of ours it
/// is a record that somebody else put into the topic meanwhile, and that is none of ours.
pub(crate) fn ranges(statements: &[StatementRecords], offsets: &[Offset]) -> Vec<InputRange> {
    let mut tables: BTreeMap<TableId, Vec<Record>> = BTreeMap::new();
    let mut offsets = offsets.iter();
    for statement in statements {
        let records = statement.records.iter().zip(offsets.by_ref()).map(|(record, offset)| read_as(record, *offset));
        tables.entry(statement.table).or_default().extend(records);
    }
    let of_table = |(table, mut records): (TableId, Vec<Record>)| {
        range::put_in_order(&mut records);
        let runs = records.chunk_by(|a, b| a.at.partition == b.at.partition && a.offset.0 + 1 == b.offset.0);
        runs.flat_map(|run| range::ranges(table, run, &BTreeMap::new())).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(of_table).collect()
}

/// A record as it is read back.
fn read_as(record: &OutRecord, offset: Offset) -> Record {
    let OutRecord { to, timestamp, key, value, headers } = record.clone();
    Record { at: to, offset, timestamp, key, value, headers }
}

fn gone() -> EngineError {
    EngineError::Statement(StatementError {
        sqlstate: "42P01",
        message: "the table was dropped while the statement ran".to_string(),
        hint: None,
        detail: None,
        position: None,
        about: None,
    })
}

/// What a statement is told whose epoch the engine could not finish. Of a commit that was begun nobody here knows how it ended:
/// whoever has fenced us may have found it ready, and completed it.
pub(crate) fn unfinished(error: &EngineError, committing: bool) -> EngineError {
    match error {
        _ if committing => EngineError::Statement(StatementError {
            sqlstate: "08007",
            message: "it is not known whether the statement committed".to_string(),
            hint: Some("look when the pipeline runs again".to_string()),
            detail: Some(error.to_string()),
            position: None,
            about: None,
        }),
        EngineError::Fenced(why) => EngineError::Fenced(format!("{why}; the statement was not committed")),
        EngineError::Stopped(why) => EngineError::Stopped(format!("{why}; the statement was not committed")),
        other => EngineError::Log(format!("{other}; the statement was not committed")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use api::TopicPartition;
    use zset::{Partition, TimestampMs};

    use super::*;

    /// Replay reads whole ranges: with a stranger's record in one it would stop for good.
    #[test]
    fn what_others_put_between_our_records_is_in_no_range() {
        let record = |partition: i32| OutRecord {
            to: TopicPartition { topic: "p.k".into(), partition: Partition(partition) },
            timestamp: TimestampMs(1),
            key: Some("k".into()),
            value: None,
            headers: Vec::new(),
        };
        let of = |records: Vec<OutRecord>| StatementRecords { statement: 0, table: TableId(1), records };
        let statements = [of(vec![record(0), record(1), record(0)]), of(vec![record(0)])];
        let found = ranges(&statements, &[Offset(10), Offset(5), Offset(12), Offset(13)]);
        let shown: Vec<_> = found.iter().map(|r| (r.partition.0, r.range.start.0, r.range.end.0, r.count)).collect();
        assert_eq!(shown, [(0, 10, 11, 1), (0, 12, 14, 2), (1, 5, 6, 1)]);
    }
}
