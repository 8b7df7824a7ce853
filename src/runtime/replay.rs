//! Replay: the epochs after the checkpoint are processed again from the same bytes, without publishing, and must come to
//! the digests in their records. Where they do not, the process stops: going on would be wrong.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use api::{Log, LogError, Reader, Record, TopicPartition};
use bytes::Bytes;
use dataflow::Action;
use plan::{CatalogChange, EpochRecord, InputRange, Outcome, TableId};
use zset::{Offset, Partition};

use crate::ddl::same_outcome;
use crate::sink::Sink;
use crate::stage::Staged;
use crate::{Engine, EngineError, Shared, range};

const WAYS_OUT: &str = "replay cannot be exact. If the topic can be brought back as it was, do that and start again; else \
    start anew with another --data folder and --pipeline name, which reads the topics as they are now";

impl Engine {
    /// Replays epoch records.
    pub(crate) fn replay(&mut self, records: &[(Offset, Bytes)]) -> Result<(), EngineError> {
        let mut inputs = Inputs::default();
        for (offset, bytes) in records {
            self.shared.go_on()?;
            let record = EpochRecord::decode(bytes)?;
            self.check_chain(&record, *offset)?;
            let staged = match &record.catalog {
                Some(change) => self.replay_change(change, &record)?,
                None => self.replay_epoch(&record, &mut inputs)?,
            };
            self.publish(staged, &record, bytes, *offset);
            for failure in &record.sinks {
                self.fail_sink(failure);
            }
        }
        if let (Some((_, first)), Some((_, last))) = (records.first(), records.last()) {
            let (first, last) = (EpochRecord::decode(first)?.epoch, EpochRecord::decode(last)?.epoch);
            tracing::info!("replayed epochs {first} to {last}");
        }
        Ok(())
    }

    /// Records are numbered without gap, and each names the one before.
    fn check_chain(&self, record: &EpochRecord, offset: Offset) -> Result<(), EngineError> {
        let genesis = self.chain.hash.is_empty();
        let expected = if genesis { self.chain.epoch } else { self.chain.epoch.next() };
        if record.epoch == expected
            && record.previous == self.chain.hash
            && record.incarnation == self.chain.incarnation
        {
            return Ok(());
        }
        Err(EngineError::Recovery(format!(
            "the epoch topic \"{}\" is broken at offset {offset}: found epoch {} after record {}, expected epoch {expected} \
             after record {}; someone else has written to it, or records are missing; restore the topic, or start anew with \
             another --data folder and --pipeline name",
            self.config.epoch_topic(),
            record.epoch,
            record.previous,
            self.chain.hash
        )))
    }

    /// A range begins where the one before it ended. (That of a partition which the topic got later is the first.)
    fn check_range(&self, record: &EpochRecord, range: &InputRange) -> Result<(), EngineError> {
        let position = self.positions.get(&(range.table, range.partition));
        if self.tables.contains_key(&range.table) && position.is_none_or(|position| position.next == range.range.start)
        {
            return Ok(());
        }
        Err(EngineError::Recovery(format!(
            "epoch {} reads topic \"{}\" partition {} from offset {} for table {}, which is at {}: the epoch topic \"{}\" does \
             not belong to this checkpoint; restore them together",
            record.epoch,
            range.topic,
            range.partition,
            range.range.start,
            range.table,
            position.map_or("no offset".to_string(), |position| format!("offset {}", position.next)),
            self.config.epoch_topic()
        )))
    }

    fn replay_epoch(&mut self, record: &EpochRecord, inputs: &mut Inputs) -> Result<Staged, EngineError> {
        let mut records: BTreeMap<TableId, Vec<Record>> = BTreeMap::new();
        for range in &record.inputs {
            self.check_range(record, range)?;
            let read = inputs.read(&*self.parts.log, range, &self.shared)?;
            records.entry(range.table).or_default().extend(read);
        }
        let outcomes: BTreeMap<TableId, Outcome> =
            record.tables.iter().map(|outcome| (outcome.table, outcome.outcome.clone())).collect();
        let staged = self.stage_epoch(records, record.timestamp, Some(&outcomes))?;
        self.compare(record, &staged, &outcomes)?;
        Ok(staged)
    }

    fn compare(
        &self,
        record: &EpochRecord,
        staged: &Staged,
        outcomes: &BTreeMap<TableId, Outcome>,
    ) -> Result<(), EngineError> {
        for (mine, theirs) in staged.inputs.iter().zip(&record.inputs) {
            if mine.dead_letters != theirs.dead_letters {
                return Err(EngineError::Recovery(format!(
                    "replay of epoch {} made {} dead letters of topic \"{}\" partition {} offsets {} to {}, the first time \
                     it was {}; start the version of millstream that wrote the epoch",
                    record.epoch,
                    mine.dead_letters,
                    mine.topic,
                    mine.partition,
                    mine.range.start,
                    mine.range.end,
                    theirs.dead_letters
                )));
            }
        }
        if staged.outcomes == *outcomes {
            return Ok(());
        }
        let ids = staged.outcomes.keys().chain(outcomes.keys());
        let different = ids.filter(|id| staged.outcomes.get(id) != outcomes.get(id));
        let names: Vec<String> = different
            .map(|id| {
                let name = self.tables.get(id).map_or_else(|| id.to_string(), |table| table.def.name.clone());
                format!("{name}: was {:?}, is {:?}", outcomes.get(id), staged.outcomes.get(id))
            })
            .collect();
        Err(EngineError::Recovery(format!(
            "replay of epoch {} came to something else than the first time ({}); nothing was published. Start the version \
             of millstream that wrote the epoch, or an older checkpoint; please report this",
            record.epoch,
            names.join("; ")
        )))
    }

    fn replay_change(&mut self, change: &CatalogChange, record: &EpochRecord) -> Result<Staged, EngineError> {
        match change {
            CatalogChange::CreateTable { id, sql, fingerprint, start } => {
                let mut staged = Staged::at(record.timestamp);
                match self.parts.planner.plan(sql, &self.catalog)?.action {
                    Action::CreateTable(mut def) if def.id == *id => {
                        def.created = record.epoch;
                        let source = match &def.kind {
                            plan::TableKind::Source(source) => source.clone(),
                            plan::TableKind::Stream(_) => return Err(other_plan(sql, record)),
                        };
                        let table = self.new_source(def.clone(), &source)?;
                        self.catalog.add_table(def)?;
                        self.install_source(table, start);
                    }
                    Action::CreateStream { mut def, graph } if def.id == *id => {
                        if graph.fingerprint() != *fingerprint {
                            tracing::warn!(table = %def.name, "this version plans the table differently");
                        }
                        def.created = record.epoch;
                        let (table, made) = self.stage_stream(def.clone(), &graph, record.timestamp)?;
                        let recorded = record.tables.iter().find(|outcome| outcome.table == *id);
                        if !same_outcome(&made, *id, recorded.map(|outcome| &outcome.outcome)) {
                            let outcomes = record.tables.iter().map(|o| (o.table, o.outcome.clone())).collect();
                            self.compare(record, &made, &outcomes)?;
                        }
                        self.catalog.add_table(def)?;
                        self.tables.insert(*id, table);
                        staged = made;
                    }
                    _ => return Err(other_plan(sql, record)),
                }
                Ok(staged)
            }
            CatalogChange::CreateSink { id, sql } => {
                let Action::CreateSink(mut def) = self.parts.planner.plan(sql, &self.catalog)?.action else {
                    return Err(other_plan(sql, record));
                };
                if def.id != *id {
                    return Err(other_plan(sql, record));
                }
                def.created = record.epoch;
                let sink = Sink::new(def.clone(), &self.tables[&def.input].def, &self.config.pipeline, 1);
                self.catalog.add_sink(def)?;
                self.sinks.insert(*id, sink);
                Ok(Staged::at(record.timestamp))
            }
            CatalogChange::Drop { sink, name, cascade } => {
                self.replay_drop(*sink, name, *cascade)?;
                Ok(Staged::at(record.timestamp))
            }
        }
    }

    /// Checks that every source partition still is the one that was read: same last record, position within its bounds.
    pub(crate) fn verify_positions(&self) -> Result<(), EngineError> {
        let mut reader = self.parts.log.reader()?;
        for ((id, partition), position) in &self.positions {
            let Some(source) = self.tables.get(id).and_then(|table| table.source_def()) else { continue };
            let at = TopicPartition { topic: source.topic.as_str().into(), partition: *partition };
            let name = format!("topic \"{}\" partition {partition}", source.topic);
            let bounds = self.parts.log.bounds(&at).map_err(|error| match error {
                LogError::NoTopic(_) | LogError::OutOfRange { .. } | LogError::Unusable(_) => EngineError::Recovery(
                    format!("cannot go on with {name} from offset {}: {error}; {WAYS_OUT}", position.next),
                ),
                other => other.into(),
            })?;
            if position.next < bounds.low || position.next > bounds.high {
                return Err(EngineError::Recovery(format!(
                    "cannot go on with {name} from offset {}: it holds offsets {} to {}. It was {}; {WAYS_OUT}",
                    position.next,
                    bounds.low,
                    bounds.high,
                    if position.next > bounds.high { "deleted and made anew, or truncated" } else { "expired past it" }
                )));
            }
            let Some(last) = position.last.as_ref().filter(|last| last.offset >= bounds.low) else { continue };
            let found = first_from(&mut *reader, &at, last.offset, &self.shared)?;
            // A record that was compacted away says nothing: a later one of its key is there.
            if let Some(found) =
                found.filter(|found| found.offset == last.offset).map(|found| range::last_record(&found))
                && found != *last
            {
                return Err(EngineError::Recovery(format!(
                    "{name} was deleted and made anew: the record at offset {} has hash {} and timestamp {}, and had {} and \
                     {}; {WAYS_OUT}",
                    last.offset, found.hash, found.timestamp.0, last.hash, last.timestamp.0
                )));
            }
        }
        Ok(())
    }
}

fn other_plan(sql: &str, record: &EpochRecord) -> EngineError {
    EngineError::Recovery(format!(
        "cannot replay epoch {}: this version of millstream makes something else of: {sql}; start the version that wrote it",
        record.epoch
    ))
}

/// The first record at or after an offset; `None` if there is none.
fn first_from(
    reader: &mut dyn Reader,
    at: &TopicPartition,
    offset: Offset,
    shared: &Shared,
) -> Result<Option<Record>, EngineError> {
    reader.assign(at, offset)?;
    let found = loop {
        shared.go_on()?;
        let records = poll(reader)?;
        if let Some(record) = records.into_iter().find(|record| record.at == *at) {
            break Some(record);
        }
        if reader.at_end(at)? {
            break None;
        }
    };
    reader.unassign(at)?;
    Ok(found)
}

fn poll(reader: &mut dyn Reader) -> Result<Vec<Record>, LogError> {
    match reader.poll(10_000, Duration::from_millis(50)) {
        Err(LogError::Retriable(reason)) => {
            tracing::warn!("replay waits: {reason}");
            Ok(Vec::new())
        }
        polled => polled,
    }
}

/// The sources' partitions during replay, each read once from its first range on.
#[derive(Default)]
struct Inputs {
    tables: BTreeMap<TableId, Input>,
}

struct Input {
    reader: Box<dyn Reader>,
    waiting: BTreeMap<Partition, VecDeque<Record>>,
}

impl Inputs {
    /// The records of a range, which must be what they were.
    fn read(&mut self, log: &dyn Log, range: &InputRange, shared: &Shared) -> Result<Vec<Record>, EngineError> {
        let name = || {
            let (start, end) = (range.range.start, range.range.end);
            format!("topic \"{}\" partition {} offsets {start} to {end}", range.topic, range.partition)
        };
        let failed =
            |error: LogError| EngineError::Recovery(format!("cannot read {} again: {error}; {WAYS_OUT}", name()));
        let input = match self.tables.entry(range.table) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Input { reader: log.reader()?, waiting: BTreeMap::new() }),
        };
        let at = TopicPartition { topic: range.topic.as_str().into(), partition: range.partition };
        if let Entry::Vacant(entry) = input.waiting.entry(range.partition) {
            input.reader.assign(&at, range.range.start).map_err(failed)?;
            entry.insert(VecDeque::new());
        }
        let mut records = Vec::new();
        loop {
            let queue = input.waiting.entry(range.partition).or_default();
            while queue.front().is_some_and(|record| record.offset < range.range.end) {
                records.extend(queue.pop_front());
            }
            let whole = records.last().is_some_and(|record| record.offset.0 + 1 == range.range.end.0);
            if whole || !queue.is_empty() {
                break;
            }
            shared.go_on()?;
            let more = poll(&mut *input.reader).map_err(failed)?;
            let none = more.is_empty();
            for record in more {
                input.waiting.entry(record.at.partition).or_default().push_back(record);
            }
            if none && input.reader.at_end(&at).map_err(failed)? {
                break;
            }
        }
        let starts = [(range.partition, range.range.start)].into();
        let found = range::ranges(range.table, &records, &starts);
        let (count, hash) = found.first().map_or((0, String::new()), |found| (found.count, found.hash.clone()));
        if count != range.count || hash != range.hash {
            return Err(EngineError::Recovery(format!(
                "{} is not what it was: {count} records with hash {hash}, and it was {} with hash {}; it was compacted, \
                 expired or made anew; {WAYS_OUT}",
                name(),
                range.count,
                range.hash
            )));
        }
        Ok(records)
    }
}
