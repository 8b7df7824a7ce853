//! The commit: one transaction with the records of sinks, the dead letters and the epoch record, in this order; only
//! when it is committed does the epoch become visible.

use std::time::{Duration, Instant};

use api::{CommitError, EPOCH_PARTITION, LogError, OutRecord, TopicKind, TopicPartition, TopicSpec};
use bytes::Bytes;
use dataflow::StatementError;
use plan::{CatalogChange, EpochRecord, RECORD_VERSION, SinkFailure};
use zset::Offset;

use crate::sink::{self, Output};
use crate::stage::Staged;
use crate::{Engine, EngineError, dead_letter};

/// The first pause after an aborted transaction; each further one is twice as long, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// A record that the log refuses.
struct Refused {
    index: usize,
    topic: String,
    reason: String,
}

impl Engine {
    /// Commits a staged epoch and makes it visible.
    pub(crate) fn commit(&mut self, mut staged: Staged, catalog: Option<CatalogChange>) -> Result<(), EngineError> {
        self.place_dead_letters(&mut staged)?;
        let mut failures = Vec::new();
        let (record, bytes, offset) = loop {
            let record = self.record(&staged, catalog.clone(), &failures);
            let bytes = record.encode();
            let records = self.records(&staged, &bytes);
            match self.commit_records(&records)? {
                Ok(offset) => break (record, bytes, offset),
                Err(refused) if catalog.is_some() => return Err(refused.of_statement()),
                Err(refused) => failures.push(detach(&mut staged, refused)?),
            }
        };
        for failure in &failures {
            self.fail_sink(failure);
        }
        self.trim();
        self.publish(staged, &record, &bytes, offset);
        Ok(())
    }

    fn record(&self, staged: &Staged, catalog: Option<CatalogChange>, failures: &[SinkFailure]) -> EpochRecord {
        EpochRecord {
            version: RECORD_VERSION,
            incarnation: self.chain.incarnation.clone(),
            generation: self.chain.generation,
            epoch: self.chain.epoch.next(),
            previous: self.chain.hash.clone(),
            timestamp: staged.timestamp,
            inputs: staged.inputs.clone(),
            tables: staged.table_outcomes(),
            catalog,
            sinks: failures.to_vec(),
        }
    }

    fn records(&self, staged: &Staged, record: &[u8]) -> Vec<OutRecord> {
        let mut records: Vec<OutRecord> = Vec::new();
        for (_, output) in &staged.outputs {
            if let Output::Records(of_sink) = output {
                records.extend(of_sink.iter().cloned());
            }
        }
        records.extend(staged.dead.iter().cloned());
        records.push(OutRecord {
            to: TopicPartition { topic: self.config.epoch_topic().into(), partition: EPOCH_PARTITION },
            timestamp: staged.timestamp,
            key: None,
            value: Some(Bytes::copy_from_slice(record)),
            headers: Vec::new(),
        });
        records
    }

    /// Commits, again and again while the log aborts: the outputs are kept until the commit is known. Answers the
    /// offset of the epoch record, or which record was refused.
    fn commit_records(&mut self, records: &[OutRecord]) -> Result<Result<Offset, Refused>, EngineError> {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.writer.commit(records) {
                Ok(offsets) => {
                    let last = offsets.last().copied().expect("the epoch record has an offset");
                    return Ok(Ok(last));
                }
                Err(CommitError::Aborted(reason)) => {
                    self.shared.metrics.transactions_aborted.inc();
                    self.pause(&mut pause, &format!("transaction aborted: {reason}"))?;
                }
                Err(CommitError::Refused { index, topic, reason }) => return Ok(Err(Refused { index, topic, reason })),
                Err(error @ CommitError::Fenced(_)) => return Err(EngineError::Fenced(error.to_string())),
                Err(error @ CommitError::InDoubt(_)) => {
                    return Err(EngineError::Log(format!("{error}; start again: recovery finds out")));
                }
            }
        }
    }

    /// Waits a little longer each time, until the log may take the epoch; not when asked to stop: the epoch is then
    /// processed again at the next start.
    fn pause(&self, pause: &mut Duration, reason: &str) -> Result<(), EngineError> {
        let epoch = self.chain.epoch.next();
        tracing::warn!("epoch {epoch} waits to be committed: {reason}");
        let until = Instant::now() + *pause;
        while Instant::now() < until {
            if self.shared.stop_asked() {
                return Err(EngineError::Stopped(format!(
                    "asked to stop while epoch {epoch} could not be committed: {reason}; it is processed again at the next \
                     start"
                )));
            }
            // It waits, and does not hang.
            self.shared.publish(|published| published.turned = Instant::now());
            std::thread::sleep(PAUSE_FIRST);
        }
        *pause = (*pause * 2).min(PAUSE_LONGEST);
        Ok(())
    }

    /// Marks a sink as failed: it gets nothing more.
    pub(crate) fn fail_sink(&mut self, failure: &SinkFailure) {
        let Some(sink) = self.sinks.get_mut(&failure.sink) else { return };
        tracing::error!(
            sink = %sink.def.name,
            "sink {} is in ERROR and gets no more changes: {}; the others go on; mend the cause, then DROP SINK and CREATE SINK again",
            sink.def.name, failure.reason
        );
        sink.error = Some(failure.reason.clone());
    }

    /// Makes the topics of dead letters, and puts each letter into its partition.
    fn place_dead_letters(&mut self, staged: &mut Staged) -> Result<(), EngineError> {
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
    pub(crate) fn publish(&mut self, staged: Staged, record: &EpochRecord, bytes: &[u8], offset: Offset) {
        for id in &staged.touched {
            if let Some(table) = self.tables.get_mut(id) {
                table.commit();
            }
        }
        for input in &staged.inputs {
            let position = self.positions.entry((input.table, input.partition)).or_default();
            position.next = input.range.end;
            position.last = Some(input.last.clone());
            position.dead_letters += input.dead_letters;
        }
        self.chain.epoch = record.epoch;
        self.chain.hash = EpochRecord::hash(bytes);
        self.chain.offset = offset;
        self.chain.timestamp = record.timestamp;
        self.count(&staged);
        for (id, output) in &staged.outputs {
            let Some(sink) = self.sinks.get_mut(id) else { continue };
            sink.sent += match output {
                Output::Records(records) => records.len() as u64,
                Output::Lines(lines, count) => {
                    sink::print(lines);
                    *count
                }
                Output::Count(count) => *count,
            };
        }
        self.publish_status();
    }
}

/// Takes the sink whose record was refused out of the epoch, with all of its records.
fn detach(staged: &mut Staged, refused: Refused) -> Result<SinkFailure, EngineError> {
    let Refused { index, topic, reason } = refused;
    let Some(sink) = staged.sink_of(index) else {
        return Err(EngineError::Log(format!(
            "cannot write to topic \"{topic}\": {reason}; the epoch cannot be committed without it"
        )));
    };
    staged.outputs.retain(|(id, _)| *id != sink);
    Ok(SinkFailure { sink, reason: format!("topic \"{topic}\" refused a record: {reason}") })
}

impl Refused {
    /// A statement whose epoch is refused has failed, and nothing of it is there.
    fn of_statement(self) -> EngineError {
        EngineError::Statement(StatementError {
            sqlstate: "58030",
            message: format!("topic \"{}\" refused a record: {}", self.topic, self.reason),
            hint: None,
            position: None,
        })
    }
}
