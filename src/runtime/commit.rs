//! The commit: one transaction with the records of statements, those of sinks, the dead letters and the epoch record, in
//! this order; only when it is committed does the epoch become visible.

use std::sync::Arc;
use std::time::Duration;

use api::{CommitError, EPOCH_PARTITION, LogError, OutRecord, TopicKind, TopicPartition, TopicSpec};
use bytes::Bytes;
use dataflow::StatementError;
use plan::{CatalogChange, EpochRecord, RECORD_VERSION, SinkFailure};
use schemas::SinkEpoch;
use zset::Offset;

use crate::engine::Chain;
use crate::engine::Position;
use crate::sink::Way;
use crate::stage::Staged;
use crate::{Engine, EngineError, dead_letter, group};

/// The first pause after an aborted transaction; each further one is twice as long, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// A record that the log refuses, by its place among the records of the transaction.
pub(crate) struct Refused {
    pub index: usize,
    pub topic: String,
    pub reason: String,
}

impl Engine {
    /// Commits a staged epoch and makes it visible.
    pub(crate) fn commit(&mut self, staged: Staged, catalog: Option<CatalogChange>) -> Result<(), EngineError> {
        self.commit_or_name(staged, catalog)?.map_err(|(staged, refused)| {
            self.discard(&staged);
            refused.of_statement()
        })
    }

    /// Commits a staged epoch and makes it visible, or answers the record of a statement that the log refuses: nothing is
    /// committed then, and the epoch is still staged.
    pub(crate) fn commit_or_name(
        &mut self,
        mut staged: Staged,
        catalog: Option<CatalogChange>,
    ) -> Result<Result<(), (Staged, Refused)>, EngineError> {
        self.place_dead_letters(&mut staged)?;
        if catalog.is_some() {
            self.parts.faults.reach("catalog-before")?;
        }
        let failures = std::mem::take(&mut staged.given_up);
        self.conclude(staged, catalog, failures, None)
    }

    /// Brings the commit of a staged epoch to its end, from what its first attempt came to, if there was one.
    pub(crate) fn conclude(
        &mut self,
        mut staged: Staged,
        catalog: Option<CatalogChange>,
        mut failures: Vec<SinkFailure>,
        mut tried: Option<Result<Committed, CommitError>>,
    ) -> Result<Result<(), (Staged, Refused)>, EngineError> {
        let committed = loop {
            match self.commit_records(&staged, catalog.as_ref(), &failures, tried.take())? {
                Ok(committed) => break committed,
                Err(refused) if catalog.is_some() || staged.releases_only || refused.index < staged.first_records() => {
                    return Ok(Err((staged, refused)));
                }
                Err(refused) => {
                    failures.push(self.detach(&mut staged, refused)?);
                    self.parts.faults.reach("sink-refused")?;
                }
            }
        };
        self.parts.faults.reach("commit-after")?;
        if catalog.is_some() {
            self.parts.faults.reach("catalog-after")?;
        }
        for failure in &failures {
            self.fail_sink(failure);
        }
        self.trim()?;
        self.tell_failures(&staged);
        let Committed { record, bytes, offset } = committed;
        staged.inputs.clone_from(&record.inputs);
        self.publish(staged, &record, &bytes, offset)?;
        self.committing = false;
        Ok(Ok(()))
    }

    /// Commits, again and again while the log aborts: the outputs are kept until the commit is known.
    fn commit_records(
        &mut self,
        staged: &Staged,
        catalog: Option<&CatalogChange>,
        failures: &[SinkFailure],
        mut tried: Option<Result<Committed, CommitError>>,
    ) -> Result<Result<Committed, Refused>, EngineError> {
        let mut pause = PAUSE_FIRST;
        loop {
            let result = match tried.take() {
                Some(result) => result,
                None => self.try_commit(staged, catalog, failures),
            };
            let error = match result {
                Ok(committed) => return Ok(Ok(committed)),
                Err(error) => error,
            };
            match error {
                CommitError::Aborted(reason) => {
                    self.committing = false;
                    self.shared.metrics.transactions_aborted.inc();
                    self.parts.faults.reach("commit-retry")?;
                    self.pause(&mut pause, &format!("transaction aborted: {reason}"))?;
                }
                CommitError::Refused { index, topic, reason } => {
                    self.committing = false;
                    return Ok(Err(Refused { index, topic, reason }));
                }
                CommitError::Fenced(_) => {
                    self.parts.faults.reach("fenced")?;
                    return Err(EngineError::Fenced(error.to_string()));
                }
                CommitError::InDoubt(_) => {
                    return Err(EngineError::InDoubt(format!("{error}; start again: recovery finds out")));
                }
            }
        }
    }

    /// One transaction. The epoch record is made when the offsets of the statements' records are known, anew for every attempt.
    fn try_commit(
        &mut self,
        staged: &Staged,
        catalog: Option<&CatalogChange>,
        failures: &[SinkFailure],
    ) -> Result<Committed, CommitError> {
        let first: Vec<OutRecord> = staged.statements.iter().flat_map(|s| s.records.iter().cloned()).collect();
        let topic: Arc<str> = self.config.epoch_topic().into();
        let mut made = None;
        self.committing = true;
        let mut rest = |offsets: &[Offset]| {
            let record = record(&self.chain, staged, offsets, catalog.cloned(), failures);
            let bytes = record.encode();
            let records = following(staged, &topic, &bytes);
            made = Some((record, bytes));
            records
        };
        let writer = self.writer.as_mut().expect("no commit is on its way");
        let offsets = writer.commit(&first, &mut rest)?;
        let (record, bytes) = made.expect("what follows was asked for");
        Ok(Committed::of(record, bytes, &offsets))
    }

    /// Waits a little longer each time, until the log may take the epoch; not when asked to stop: the epoch is then
    /// processed again at the next start.
    fn pause(&self, pause: &mut Duration, reason: &str) -> Result<(), EngineError> {
        let epoch = self.chain.epoch.next();
        tracing::warn!("epoch {epoch} waits to be committed: {reason}");
        let mut left = *pause;
        while !left.is_zero() {
            if self.shared.stop_asked() {
                return Err(EngineError::Stopped(format!(
                    "asked to stop while epoch {epoch} could not be committed: {reason}; it is processed again at the next \
                     start"
                )));
            }
            // It waits, and does not hang.
            self.shared.turn();
            let slept = left.min(PAUSE_FIRST);
            self.parts.scheduler.sleep(slept);
            left -= slept;
        }
        *pause = (*pause * 2).min(PAUSE_LONGEST);
        Ok(())
    }

    /// Marks a sink as failed: it gets nothing more, or its records wait.
    pub(crate) fn fail_sink(&mut self, failure: &SinkFailure) {
        let Some(sink) = self.sinks.get_mut(&failure.sink) else { return };
        let (name, reason) = (&sink.def.name, &failure.reason);
        let before = sink.error.replace(reason.clone());
        match &sink.way {
            Way::Topic(_) if !failure.for_good => {
                if before.as_ref() != Some(reason) {
                    tracing::error!(
                        sink = %name,
                        "sink {name} is in ERROR: {reason}; the others go on, its records wait and are tried again: have its topic \
                         take them, or DROP SINK {name}"
                    );
                }
            }
            _ => tracing::error!(
                sink = %name,
                "sink {name} is in ERROR and gets no more changes: {reason}; the others go on; mend the cause, then DROP SINK and \
                 CREATE SINK again"
            ),
        }
        self.refuse_backlog(failure);
    }

    /// Takes what was refused of a sink, with all of its records, out of the epoch: it waits.
    fn detach(&self, staged: &mut Staged, refused: Refused) -> Result<SinkFailure, EngineError> {
        let Some(failure) = self.failure(staged, &refused) else {
            return Err(EngineError::Log(format!(
                "cannot write to topic \"{}\": {}; the epoch cannot be committed without it",
                refused.topic, refused.reason
            )));
        };
        let id = failure.sink;
        staged.released.retain(|release| release.sink != id);
        staged.outputs.retain(|(sink, output)| *sink != id || output.in_transaction().is_empty());
        let waits = staged.outputs.iter().any(|(sink, _)| *sink == id);
        let at = SinkEpoch { epoch: self.chain.epoch.next(), timestamp: staged.timestamp, snapshot: false };
        if !waits
            && let Some(sink) = self.sinks.get(&id)
            && let Some(delta) = staged.deltas.get(&sink.def.input)
        {
            staged.outputs.push((id, sink.waits(delta, &at)));
        }
        Ok(failure)
    }

    /// Makes the topics of dead letters, and puts each letter into its partition.
    pub(crate) fn place_dead_letters(&mut self, staged: &mut Staged) -> Result<(), EngineError> {
        for letter in &mut staged.dead {
            let topic = letter.to.topic.as_ref();
            let partitions = match self.dead_letter_partitions.get(topic) {
                Some(partitions) => *partitions,
                None => {
                    let partitions = self.make_dead_letter_topic(topic)?;
                    self.dead_letter_partitions.insert(topic.to_string(), partitions);
                    partitions
                }
            };
            dead_letter::place(letter, partitions);
        }
        Ok(())
    }

    fn make_dead_letter_topic(&self, topic: &str) -> Result<u32, EngineError> {
        let spec = TopicSpec { topic: topic.to_string(), partitions: 1, replication: None, kind: TopicKind::Plain };
        let mut pause = PAUSE_FIRST;
        loop {
            match self.parts.log.make_topic(&spec) {
                Ok(info) => return Ok(info.partitions),
                Err(LogError::Retriable(reason)) => self.pause(&mut pause, &reason)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a committed epoch visible. The same for an epoch that is replayed, whose outputs are not staged.
    pub(crate) fn publish(
        &mut self,
        mut staged: Staged,
        record: &EpochRecord,
        bytes: &[u8],
        offset: Offset,
    ) -> Result<(), EngineError> {
        if !staged.applied {
            self.apply(&mut staged, record);
        }
        self.chain.epoch = record.epoch;
        self.chain.hash = EpochRecord::hash(bytes);
        self.chain.offset = offset;
        self.chain.timestamp = record.timestamp;
        self.count(&staged);
        self.deliver(staged.outputs)?;
        self.publish_released(record, staged.replays)?;
        match record.catalog {
            // The statement publishes when the catalog has it: nobody sees the one without the other.
            Some(_) => self.catalog_seen = None,
            None => self.publish_status(),
        }
        Ok(())
    }

    /// Makes a staged epoch the state that the next one is processed on. Nobody sees it yet.
    pub(crate) fn apply(&mut self, staged: &mut Staged, record: &EpochRecord) {
        for id in &staged.touched {
            if let Some(table) = self.tables.get_mut(id) {
                self.parts.workers.run(|| table.commit());
                let last = self.chain.epoch;
                table.frontier = table.error.as_ref().map(|_| table.frontier.unwrap_or(last));
            }
        }
        for input in &staged.inputs {
            let position = self.positions.entry((input.table, input.partition));
            let position = position.or_insert_with(|| Position::at(input.range.start));
            position.next = input.range.end;
            position.last = Some(input.last.clone());
            position.absent = false;
            position.records += input.count;
            position.dead_letters += input.dead_letters;
        }
        record.mended.iter().for_each(|mended| self.move_positions(mended));
        self.publish_letters(staged, record);
        record.sequences.iter().for_each(|mark| self.mark_sequence(mark));
        staged.applied = true;
    }
}

/// The epoch record as it was written.
pub(crate) struct Committed {
    record: EpochRecord,
    bytes: Vec<u8>,
    offset: Offset,
}

impl Committed {
    /// A record that was the last of its transaction.
    pub fn of(record: EpochRecord, bytes: Vec<u8>, offsets: &[Offset]) -> Self {
        Self { record, bytes, offset: offsets.last().copied().expect("the epoch record has an offset") }
    }
}

/// The epoch record; `offsets` are those of the statements' records.
pub(crate) fn record(
    chain: &Chain,
    staged: &Staged,
    offsets: &[Offset],
    catalog: Option<CatalogChange>,
    failures: &[SinkFailure],
) -> EpochRecord {
    let mut inputs = staged.inputs.clone();
    inputs.extend(group::ranges(&staged.statements, offsets));
    inputs.sort_by_key(|input| (input.table, input.partition));
    EpochRecord {
        version: RECORD_VERSION,
        incarnation: chain.incarnation.clone(),
        generation: chain.generation,
        epoch: chain.epoch.next(),
        previous: chain.hash.clone(),
        timestamp: staged.timestamp,
        inputs,
        tables: staged.table_outcomes(),
        catalog,
        sinks: failures.to_vec(),
        released: staged.released.clone(),
        halts: staged.halts.clone(),
        sequences: staged.sequences.clone(),
        mended: staged.mended.clone(),
    }
}

/// What follows the records of statements in the transaction.
pub(crate) fn following(staged: &Staged, epoch_topic: &Arc<str>, record: &[u8]) -> Vec<OutRecord> {
    let mut records: Vec<OutRecord> = Vec::new();
    for (_, output) in &staged.outputs {
        records.extend(output.in_transaction().iter().cloned());
    }
    records.extend(staged.dead.iter().cloned());
    records.push(OutRecord {
        to: TopicPartition { topic: Arc::clone(epoch_topic), partition: EPOCH_PARTITION },
        timestamp: staged.timestamp,
        key: None,
        value: Some(Bytes::copy_from_slice(record)),
        headers: Vec::new(),
    });
    records
}

impl Refused {
    /// A statement whose epoch is refused has failed, and nothing of it is there.
    pub(crate) fn of_statement(self) -> EngineError {
        EngineError::Statement(StatementError {
            sqlstate: "58030",
            message: format!("topic \"{}\" refused a record: {}", self.topic, self.reason),
            hint: None,
            detail: None,
            position: None,
            about: None,
        })
    }
}
