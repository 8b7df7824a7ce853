//! A mended source as an epoch: staged, committed and noted; and the same again in replay.

use std::collections::BTreeMap;

use api::Record;
use dataflow::Contents;
use plan::{EpochRecord, Mended, MendedPosition, Outcome, TableId};
use state::Arrangement;
use zset::{Delta, Digest, Partition, RowCodec, TimestampMs, consolidate};

use super::whole::Failed;
use crate::dead_letter::{Cause, dead_letter};
use crate::engine::Position;
use crate::inputs::WAYS_OUT;
use crate::stage::{Staged, digest};
use crate::{Engine, EngineError};

/// What becomes of the rows.
#[derive(Default)]
pub(super) struct Change {
    /// The contents that the table is to have; `None`: those it has.
    pub contents: Option<Contents>,
    /// Records that cannot be decoded, for the first time.
    pub dead: Vec<(Record, Cause)>,
}

impl Position {
    pub(super) fn mended(&self, partition: Partition) -> MendedPosition {
        let Self { start, next, records, ref last, absent, .. } = *self;
        MendedPosition { partition, start, next, records, last: last.clone(), absent }
    }
}

impl Engine {
    /// Commits a mended source, of which nothing is missing that was there at a time, and reads it from its new positions.
    pub(super) fn commit_mended(
        &mut self,
        mended: Mended,
        change: Change,
        seen: TimestampMs,
    ) -> Result<(), EngineError> {
        let id = mended.table;
        let there = mended.positions.iter().filter(|position| !position.absent);
        let there: Vec<Partition> = there.map(|position| position.partition).collect();
        // What came into a topic that was not there is not known to be read.
        let absent = mended.positions.iter().filter(|position| position.absent);
        let absent = absent.filter_map(|position| Some((position.partition, self.ends.of(id, position.partition)?)));
        let absent: Vec<(Partition, TimestampMs)> = absent.collect();
        let mut staged = Staged::at(self.now());
        let delta = match &change.contents {
            Some(contents) => self.tables[&id].contents.difference(contents, &mut || self.shared.go_on())?,
            None => Delta::empty(self.tables[&id].def.columns.schema()),
        };
        self.stage_mended(&mut staged, mended, delta)?;
        self.stage_dead(&mut staged, id, change.dead);
        self.stage_refreshes(&mut staged, None, None)?;
        self.stage_sinks(&mut staged);
        if let Some(delta) = staged.deltas.get(&id) {
            let codec = RowCodec::new(delta.schema());
            self.journal.note_rows(self.chain.epoch.next(), id, delta, &codec);
        }
        self.parts.faults.reach("reconcile-staged")?;
        self.tell_mended(&staged);
        self.commit(staged, None)?;
        self.parts.faults.reach("reconcile-committed")?;
        // The reader asks it when it begins.
        self.ends.all(id, there.into_iter(), seen);
        absent.into_iter().for_each(|(partition, seen)| self.ends.begin(id, partition, seen));
        self.ends.save();
        self.mended(id)?;
        // A replay of this epoch needs the journal, or the topic as it is now.
        self.checkpoint_soon()
    }

    /// Reads a source that was mended.
    fn mended(&mut self, id: TableId) -> Result<(), EngineError> {
        let Some(table) = self.tables.get(&id) else { return Ok(()) };
        if self.lost.remove(&id).is_some() {
            self.shared.metrics.halted(&table.def.name, false);
        }
        self.doubts.remove(&id);
        self.end_halt(id);
        // The topic may be another one, which keeps other things.
        self.keepings.remove(&id);
        self.start_or_doubt(id)?;
        self.publish_status();
        Ok(())
    }

    fn stage_mended(&mut self, staged: &mut Staged, mended: Mended, delta: Delta) -> Result<(), EngineError> {
        let id = mended.table;
        let table = self.tables.get_mut(&id).expect("a source that is mended is there");
        let codec = RowCodec::new(table.def.columns.schema());
        let delta = consolidate(&delta, &codec);
        table.contents.stage_exact(&delta);
        staged.touched.insert(id);
        staged.keep(id, delta, &codec, false);
        staged.mended = Some(mended);
        Ok(())
    }

    fn stage_dead(&self, staged: &mut Staged, id: TableId, dead: Vec<(Record, Cause)>) {
        let table = &self.tables[&id];
        let Some(source) = table.source_def() else { return };
        let at = (self.chain.incarnation.as_str(), self.chain.epoch.next(), staged.timestamp);
        let letters = dead.into_iter().map(|(record, cause)| {
            tracing::warn!(
                table = %table.def.name, topic = %record.at.topic, partition = %record.at.partition, offset = %record.offset,
                "dead letter: {}", cause.reason
            );
            dead_letter(&table.def.name, &source.dlq_topic, &record, cause, at)
        });
        staged.dead.extend(letters);
    }

    fn tell_mended(&self, staged: &Staged) {
        let Some(mended) = &staged.mended else { return };
        let (mut come, mut gone) = (0, 0);
        for weight in staged.deltas.get(&mended.table).iter().flat_map(|delta| delta.weights().values()) {
            if *weight > 0 { come += weight } else { gone -= weight }
        }
        tracing::warn!(
            table = %self.tables[&mended.table].def.name, epoch = %self.chain.epoch.next(),
            "mended ({:?}): {gone} rows go, {come} rows come", mended.way
        );
    }

    /// A mended source in replay: the rows that changed are in the journal, or follow from the topic as it still is; the digest
    /// tells.
    pub(crate) fn replay_mended(&mut self, record: &EpochRecord, mended: &Mended) -> Result<Staged, EngineError> {
        let outcomes: BTreeMap<TableId, Outcome> =
            record.tables.iter().map(|outcome| (outcome.table, outcome.outcome.clone())).collect();
        let mut staged = Staged::at(record.timestamp);
        staged.replays = true;
        let delta = match outcomes.get(&mended.table) {
            Some(Outcome::Digest(digest)) => self.delta_again(record, mended, digest)?,
            _ => Delta::empty(self.tables[&mended.table].def.columns.schema()),
        };
        self.stage_mended(&mut staged, mended.clone(), delta)?;
        self.stage_refreshes(&mut staged, Some(&outcomes), None)?;
        self.compare(record, &staged, &outcomes)?;
        self.stage_detached(&mut staged, record);
        Ok(staged)
    }

    fn delta_again(&mut self, record: &EpochRecord, mended: &Mended, recorded: &Digest) -> Result<Delta, EngineError> {
        let id = mended.table;
        let Some(table) = self.tables.get(&id) else { return Err(cannot(record, mended, "the table is not there")) };
        let codec = RowCodec::new(table.def.columns.schema());
        let is_it = |delta: &Delta| digest(delta, &codec) == *recorded;
        if let Some(delta) = self.journal.rows(id, record.epoch, &codec).into_iter().find(is_it) {
            return Ok(delta);
        }
        let empty =
            Contents::with_rows(&table.def, Arrangement::new(dataflow::contents_id(id), Contents::law(&table.def)), 0);
        let emptied = table.contents.difference(&empty, &mut || self.shared.go_on())?;
        if is_it(&emptied) {
            return Ok(emptied);
        }
        let ends = mended.positions.iter().map(|position| (position.partition, position.next)).collect();
        let whole = match self.read_whole(id, Some(&ends)) {
            Ok(whole) => whole,
            Err(Failed::Topic(why)) => return Err(cannot(record, mended, &why)),
            Err(Failed::Engine(error)) => return Err(error),
        };
        let contents = &self.tables[&id].contents;
        let again = consolidate(&contents.difference(&whole.table.contents, &mut || self.shared.go_on())?, &codec);
        match is_it(&again) {
            true => Ok(again),
            false => Err(cannot(record, mended, "its topic has changed since")),
        }
    }

    /// Where the partitions of a mended source are from its epoch on.
    pub(crate) fn move_positions(&mut self, mended: &Mended) {
        let id = mended.table;
        let letters =
            |engine: &Self, partition| engine.positions.get(&(id, partition)).map_or(0, |old| old.dead_letters);
        let positions = mended.positions.iter().map(|position| {
            let MendedPosition { partition, start, next, records, ref last, absent } = *position;
            let dead_letters = letters(self, partition);
            ((id, partition), Position { start, next, last: last.clone(), records, dead_letters, absent })
        });
        let positions: Vec<_> = positions.collect();
        self.positions.retain(|(table, _), _| *table != id);
        self.positions.extend(positions);
        if let Some(table) = self.tables.get_mut(&id) {
            table.letters.forget_keys();
            table.contents.forget_homes();
        }
        self.end_halt(id);
    }

    /// The time by the clock, for what is known of topics.
    pub(crate) fn clock(&self) -> TimestampMs {
        (self.parts.clock)()
    }
}

fn cannot(record: &EpochRecord, mended: &Mended, why: &str) -> EngineError {
    EngineError::Recovery(format!(
        "cannot replay epoch {}, in which table {} was brought together with its topic ({}): its changes are not in the journal of \
         the data folder, and cannot be made again: {why}; {WAYS_OUT}",
        record.epoch, mended.table, mended.reason
    ))
}
