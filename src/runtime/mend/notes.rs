//! What is noted as epochs go by, for the day when a topic is not what was read of it.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Record;
use plan::{InputRange, TableId};
use zset::Partition;

use crate::feed::Feed;
use crate::group::Input;
use crate::stage::Staged;
use crate::{Engine, EngineError};

/// How often it is noted how far the sources are.
const NOTE_EVERY: Duration = Duration::from_secs(5);

impl Engine {
    /// Notes what was read of topics that may lose it, before the epoch is committed.
    pub(crate) fn note_input(&mut self, staged: &Staged, input: &Input) {
        let epoch = self.chain.epoch.next();
        self.ends.save_new();
        for range in &staged.inputs {
            if !self.may_lose(range.table, range.partition) {
                continue;
            }
            let Some(records) = input.get(&range.table) else { continue };
            let from = records.partition_point(|record| record.at.partition < range.partition);
            let of_range = |record: &Record| record.at.partition == range.partition && record.offset < range.range.end;
            let count = records[from..].iter().take_while(|record| of_range(record)).count();
            self.journal.note_records(epoch, range.table, &records[from..from + count]);
        }
        self.tell_journal();
    }

    /// What a replay had from topics alone counts as what could not be written: a start does not begin to count anew.
    pub(crate) fn miss_replayed(
        &mut self,
        unwritten: BTreeMap<TableId, BTreeMap<Partition, u64>>,
    ) -> Result<(), EngineError> {
        for (id, partitions) in unwritten {
            let source = self.tables.get(&id).and_then(|table| table.source_def()).filter(|source| !source.is_own());
            let Some(source) = source else { continue };
            let feed = Feed::of(&self.parts, source)?;
            self.learn_keepings(id, &feed);
            let lossy = partitions.into_iter().filter(|(partition, _)| self.may_lose(id, *partition));
            let bytes = lossy.map(|(_, bytes)| bytes).sum();
            self.journal.miss(bytes);
        }
        self.journal.forget_places();
        self.tell_journal();
        Ok(())
    }

    /// What is said of the journal.
    pub(crate) fn tell_journal(&self) {
        self.shared.metrics.journal(self.journal.bytes(), self.journal.missed());
    }

    /// Notes the letters that the next epoch replays, if their topic may lose them.
    pub(crate) fn note_letters(&mut self, id: TableId, letters: &[Record]) -> Result<(), EngineError> {
        let feed = self.dead_letter_feed(id)?;
        if !matches!(feed.keeping(0), Ok(None)) {
            self.journal.note_records(self.chain.epoch.next(), id, letters);
            self.tell_journal();
        }
        Ok(())
    }

    /// The records of a range whose topic does not have them any more as they were.
    pub(crate) fn journaled(&mut self, range: &InputRange) -> Option<Vec<Record>> {
        let records = self.journal.records(range)?;
        tracing::warn!(
            "topic \"{}\" partition {} offsets {} to {}: the topic has lost them, they are replayed from the journal",
            range.topic,
            range.partition,
            range.range.start,
            range.range.end
        );
        Some(records)
    }

    /// Takes note of the ends that were met, from time to time, or `now`.
    pub(crate) fn note_ends(&mut self, now: bool) {
        let instant = self.instant();
        if !now && instant.saturating_duration_since(self.ends_noted) < NOTE_EVERY {
            return;
        }
        self.ends_noted = instant;
        self.ends.settle(&self.positions);
        self.ends.save();
    }

    /// A table is dropped.
    pub(crate) fn forget_topic(&mut self, id: TableId) {
        self.lost.remove(&id);
        self.doubts.remove(&id);
        self.retried.remove(&id);
        self.keepings.remove(&id);
        self.unknown_keepings.remove(&id);
        self.ends.forget(id);
    }
}
