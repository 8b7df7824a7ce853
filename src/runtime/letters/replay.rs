//! REPLAY DEAD LETTERS: an epoch of its own, in which letters that were not replayed yet are decoded again as the records
//! that they were. What can be decoded now is applied, what cannot is a letter again; a letter that is older than a good
//! record of its key is passed over, unless FORCE says otherwise.
//!
//! The epoch's record holds the ranges of the dead-letter topic, with count and hash as any input's, and the checkpoint up to
//! where they go: no letter is replayed twice, none is lost.

use std::collections::{BTreeMap, BTreeSet};

use api::Record;
use dataflow::StatementError;
use plan::{CatalogChange, EpochRecord, InputRange, Mending, Outcome, TableId};
use zset::TimestampMs;

use super::read::{Letter, Of, POLL_WAIT, polled};
use super::stage::matters;
use super::{Letters, Since};
use crate::dead_letter::{Cause, dead_letter};
use crate::feed::Feed;
use crate::inputs::Inputs;
use crate::stage::{Staged, told};
use crate::table::Table;
use crate::{Engine, EngineError, Reply, range};

/// One REPLAY takes letters until they have so many bytes.
const BYTES_MAX: usize = 64 << 20;

/// The letters that an epoch replays.
pub(crate) struct Replayed {
    table: TableId,
    pub ranges: Vec<InputRange>,
    /// Those that are letters again.
    again: Vec<Record>,
    /// Whether it is not known of some of them what came since, though they have a key.
    unknown: bool,
    /// Whether there are more behind them.
    more: bool,
}

/// What became of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    replayed: u64,
    failed: u64,
    skipped: u64,
    unknown: u64,
    truncated: u64,
}

/// Letters to be replayed, each once, in the order of their source.
#[derive(Default)]
struct Sorted {
    records: Vec<Record>,
    /// Those of which it is not known whether they are older than what came since.
    unknown: Vec<Letter>,
    counts: Counts,
}

impl Engine {
    /// Replays a table's dead letters.
    pub(crate) fn replay_dead_letters(&mut self, id: TableId, force: bool) -> Result<Reply, EngineError> {
        let (records, more) = self.read_waiting(id)?;
        let mut counts = Counts::default();
        let of = self.letters_of(&self.tables[&id]);
        // Letters of others are passed over too, so that the next ones are reached.
        if more || records.iter().any(|record| Letter::of(record.clone(), of).is_some()) {
            self.note_letters(id, &records)?;
            let (mut staged, counted) = self.stage_letters(id, force, (records, more), self.now(), None)?;
            counts = counted;
            self.stage_sinks(&mut staged);
            let ranges = staged.replayed.as_ref().map(|replayed| replayed.ranges.clone()).unwrap_or_default();
            self.commit(staged, Some(CatalogChange::ReplayDeadLetters { table: id, force, ranges, more }))?;
            self.publish_status();
        }
        Ok(self.reply(id, counts, more))
    }

    fn reply(&self, id: TableId, counts: Counts, more: bool) -> Reply {
        let name = &self.tables[&id].def.name;
        let Counts { replayed, failed, skipped, unknown, truncated } = counts;
        let mut notices = Vec::new();
        if unknown > 0 {
            notices.push(format!(
                "{unknown} of those that failed may be older than the rows there are, and nothing tells: they have no \
                 record key (or too many keys had letters); REPLAY DEAD LETTERS FROM {name} FORCE applies them"
            ));
        }
        if truncated > 0 {
            notices.push(format!(
                "{truncated} letters were cut when they were sent, because they were too large: read the records in their \
                 source topic"
            ));
        }
        if more {
            notices.push("there are more: REPLAY again".to_string());
        }
        let columns = dataflow::REPLAY_COLUMNS.iter().map(|(name, _)| *name).collect();
        let row = [replayed, failed, skipped, truncated].map(|count| Some(count.to_string()));
        let row = row.into_iter().chain([Some(more.to_string())]).collect();
        Reply { tag: "REPLAY DEAD LETTERS".to_string(), notices, columns, rows: vec![row] }
    }

    /// Whose letters are a table's.
    pub(super) fn letters_of<'a>(&'a self, table: &'a Table) -> Of<'a> {
        Of {
            table: &table.def.name,
            incarnation: &self.chain.incarnation,
            created: table.def.created.max(table.letters.gone),
        }
    }

    /// A table's dead-letter topic.
    pub(crate) fn dead_letter_feed(&self, id: TableId) -> Result<Feed, EngineError> {
        let table = &self.tables[&id];
        let source = table.source_def().filter(|source| !source.is_own()).ok_or_else(|| StatementError {
            sqlstate: "42809",
            message: format!("\"{}\" has no dead letters: it reads no topic", table.def.name),
            hint: Some("SHOW SOURCES lists what reads one".to_string()),
            detail: None,
            position: None,
            about: None,
        })?;
        Ok(Feed::of_log(&self.parts, &source.dlq_topic))
    }

    /// The records of the dead-letter topic from where it was replayed to, in order; whether there are more.
    fn read_waiting(&self, id: TableId) -> Result<(Vec<Record>, bool), EngineError> {
        let feed = self.dead_letter_feed(id)?;
        let replayed = &self.tables[&id].letters.replayed;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for partition in feed.partitions().map_err(EngineError::of_statement)? {
            let at = feed.at(partition);
            let low = feed.transport.bounds(&at).map_err(EngineError::of_statement)?.low;
            let from = replayed.get(&partition).map_or(low, |from| *from.max(&low));
            let mut reader = feed.reader().map_err(EngineError::of_statement)?;
            reader.assign(&at, from).map_err(EngineError::of_statement)?;
            while !reader.at_end(&at).map_err(EngineError::of_statement)? {
                self.shared.go_on()?;
                for record in polled(reader.poll(1000, POLL_WAIT)).map_err(EngineError::of_statement)? {
                    if records.len() >= self.config.epoch_rows_max || bytes >= BYTES_MAX {
                        return Ok((records, true));
                    }
                    bytes += [&record.key, &record.value].into_iter().flatten().map(bytes::Bytes::len).sum::<usize>();
                    records.push(record);
                }
            }
        }
        Ok((records, false))
    }

    /// Stages what letters say, and what follows from it.
    fn stage_letters(
        &mut self,
        id: TableId,
        force: bool,
        (read, more): (Vec<Record>, bool),
        timestamp: TimestampMs,
        obeyed: Option<&BTreeMap<TableId, Outcome>>,
    ) -> Result<(Staged, Counts), EngineError> {
        let mut staged = Staged::at(timestamp);
        staged.replays = obeyed.is_some();
        staged.told = told(obeyed);
        let mut ranges = range::ranges(id, &read, &BTreeMap::new());
        let letters: Vec<Letter> =
            read.into_iter().filter_map(|record| Letter::of(record, self.letters_of(&self.tables[&id]))).collect();
        let at = (self.chain.incarnation.as_str(), self.chain.epoch.next(), timestamp);
        let table = self.tables.get_mut(&id).expect("the table is there");
        let Sorted { records, unknown, mut counts } = sorted(letters, &table.letters, matters(table) && !force);
        staged.touched.insert(id);
        let decoded = table.stage_records(&records, None)?;
        let dead: BTreeSet<usize> = decoded.dead.iter().map(|(place, _)| *place).collect();
        counts.replayed = (records.len() - dead.len()) as u64;
        counts.failed = (dead.len() + unknown.len()) as u64;
        counts.unknown = unknown.len() as u64;
        if matters(table) {
            staged.seen.push((id, table.letters.see(&records, &dead)));
        }
        let forgotten = unknown.iter().any(|letter| letter.record.key.is_some());
        let failed = decoded.dead.into_iter().map(|(place, cause)| (records[place].clone(), cause));
        let passed = unknown.into_iter().map(|letter| {
            let Letter { record, column, reason, .. } = letter;
            (record, Cause { column, reason })
        });
        let again: Vec<(Record, Cause)> = failed.chain(passed).collect();
        if let Some(range) = ranges.first_mut() {
            range.dead_letters = again.len() as u64;
        }
        let topic = table.source_def().map(|source| source.dlq_topic.clone()).unwrap_or_default();
        let mut replayed = Replayed { table: id, ranges, again: Vec::new(), unknown: forgotten, more };
        for (record, cause) in again {
            staged.dead.push(dead_letter(&table.def.name, &topic, &record, cause, at));
            replayed.again.push(record);
        }
        staged.replayed = Some(replayed);
        staged.missing_retractions += decoded.missing_retractions;
        staged.keep_source(&table.def, decoded.delta);
        self.stage_refreshes(&mut staged, obeyed, None)?;
        Ok((staged, counts))
    }

    /// Stages again what a record says was replayed.
    pub(crate) fn stage_letters_again(&mut self, record: &EpochRecord) -> Result<Staged, EngineError> {
        let Some(CatalogChange::ReplayDeadLetters { table: id, force, ranges, more }) = &record.catalog else {
            unreachable!("the caller has seen what it is");
        };
        let feed = self.dead_letter_feed(*id).map_err(EngineError::in_recovery)?;
        let (mut inputs, mut read) = (Inputs::new(&self.config), Vec::new());
        for range in ranges {
            let letters = match inputs.read(range, &self.shared, || Ok(feed.clone())) {
                Ok(letters) => letters,
                Err(error @ EngineError::Recovery(_)) => self.journaled(range).ok_or(error)?,
                Err(error) => return Err(error),
            };
            read.extend(letters);
        }
        let outcomes = record.tables.iter().map(|outcome| (outcome.table, outcome.outcome.clone())).collect();
        let (mut staged, _) = self.stage_letters(*id, *force, (read, *more), record.timestamp, Some(&outcomes))?;
        let mine = staged.replayed.as_ref().map(|replayed| replayed.ranges.clone()).unwrap_or_default();
        if mine != *ranges {
            return Err(EngineError::Recovery(format!(
                "replay of epoch {} made other dead letters of those that it replays than the first time; start the version \
                 of millstream that wrote the epoch",
                record.epoch
            )));
        }
        self.compare(record, &staged, &outcomes)?;
        self.stage_detached(&mut staged, record);
        Ok(staged)
    }

    /// What an epoch that is committed, or replayed, leaves of dead letters, and which sources it halts.
    pub(crate) fn publish_letters(&mut self, staged: &mut Staged, record: &EpochRecord) {
        for (id, seen) in std::mem::take(&mut staged.seen) {
            if let Some(table) = self.tables.get_mut(&id) {
                table.letters.apply(seen, record.epoch);
            }
        }
        for input in &staged.inputs {
            if let Some(table) = self.tables.get_mut(&input.table) {
                table.letters.count(record.timestamp, input.dead_letters);
            }
        }
        if let Some(mended) = &record.mended
            && let Some(table) = self.tables.get_mut(&mended.table)
        {
            // A topic that is reconciled makes no letter again.
            // Of a topic that is not there nothing is read anew.
            let mut there = mended.positions.iter().filter(|position| !position.absent);
            let anew = there.all(|position| position.next == position.start);
            table.letters.mended(record.epoch, mended.way == Mending::Restarted && anew);
        }
        if let Some(Replayed { table, ranges, again, unknown, more }) = staged.replayed.take()
            && let Some(table) = self.tables.get_mut(&table)
        {
            let ends = ranges.iter().map(|range| (range.partition, range.range.end));
            table.letters.replayed.extend(ends);
            if unknown {
                table.letters.forget(record.epoch);
            }
            if !more {
                table.letters.keep(&again);
            }
        }
        record.halts.iter().for_each(|halt| self.halt(halt));
    }
}

/// Sorts letters: of several letters of one record the newest counts.
fn sorted(letters: Vec<Letter>, known: &Letters, careful: bool) -> Sorted {
    let mut newest: BTreeMap<_, Letter> = BTreeMap::new();
    for letter in letters {
        let record = &letter.record;
        let source = (record.at.clone(), record.offset);
        if newest.get(&source).is_none_or(|there| there.epoch <= letter.epoch) {
            newest.insert(source, letter);
        }
    }
    let mut sorted = Sorted::default();
    for letter in newest.into_values() {
        match known.since(&letter.record, letter.epoch) {
            _ if letter.truncated => sorted.counts.truncated += 1,
            Since::Newer if careful => sorted.counts.skipped += 1,
            Since::Unknown if careful => sorted.unknown.push(letter),
            _ => sorted.records.push(letter.record),
        }
    }
    sorted
}
