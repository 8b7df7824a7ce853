//! Backlogs in the loop: what waits is written by epochs, what was refused is tried again by epochs of its own, and what an epoch
//! record says of them is done.

use api::{OutRecord, TopicPartition};
use plan::{CatalogChange, EpochRecord, Release, SinkFailure, SinkId};
use schemas::{SinkEpoch, SinkRecord};
use zset::{Partition, RowBytes};

use super::{Backlog, MISSED_MAX, entry};
use crate::commit::Refused;
use crate::run::EPOCH_BYTES_MAX;
use crate::sink::{Output, Sink, Way};
use crate::stage::Staged;
use crate::{Engine, EngineError};

impl Engine {
    /// Does what is due between epochs: a backlog is written also while nothing comes.
    pub(crate) fn turn_backlogs(&mut self) -> Result<(), EngineError> {
        if self.releases() {
            self.release(None)?;
        }
        let now = self.instant();
        let failed = |sink: &Sink| sink.error.is_some() && sink.backlog().is_some_and(Backlog::waits);
        let failed: Vec<SinkId> = self.sinks.iter().filter(|(_, sink)| failed(sink)).map(|(id, _)| *id).collect();
        for id in failed {
            let Some(sink) = self.sinks.get(&id) else { continue };
            let Some(backlog) = sink.backlog() else { continue };
            if backlog.is_too_long() {
                let (pending, max) = (backlog.pending(), backlog.records_max);
                let error = sink.error.as_deref().unwrap_or_default();
                let reason = format!("{error}; {pending} records waited, more than outbox_rows_max = {max}");
                self.give_up(id, reason)?;
            } else if backlog.is_due(now) {
                self.try_again(id)?;
            }
        }
        Ok(())
    }

    /// Whether epochs are due that write backlogs.
    pub(crate) fn releases(&self) -> bool {
        self.sinks.values().any(Sink::releases)
    }

    /// Stages the first records of the backlogs: of one sink, or of all whose topics take them.
    pub(crate) fn stage_releases(&mut self, staged: &mut Staged, only: Option<SinkId>) {
        let chosen = |id: &SinkId, sink: &Sink| only.map_or_else(|| sink.releases(), |only| *id == only);
        let sinks: Vec<SinkId> = self.sinks.iter().filter(|(id, sink)| chosen(id, sink)).map(|(id, _)| *id).collect();
        let share = sinks.len().max(1);
        let (records_max, bytes_max) = ((self.config.epoch_rows_max / share).max(1) as u64, EPOCH_BYTES_MAX / share);
        for id in sinks {
            match self.sinks.get(&id).and_then(|sink| first_records(sink, records_max, bytes_max)) {
                Some(Ok((release, records))) => {
                    staged.released.push(release);
                    staged.outputs.push((id, Output::Released(records)));
                }
                Some(Err(why)) => self.leave_damaged(id, &why),
                None => {}
            }
        }
    }

    /// Nothing more is written of a backlog that is damaged; the others go on, and its sink can be dropped.
    fn leave_damaged(&mut self, id: SinkId, why: &str) {
        let Some(Sink { def, error, way: Way::Topic(backlog), .. }) = self.sinks.get_mut(&id) else { return };
        backlog.damaged = true;
        let name = &def.name;
        let why = format!(
            "the backlog of sink {name} is damaged: {why}; what waits in it is not written; start an older checkpoint, or DROP SINK {name} \
             and CREATE it again with another topic"
        );
        tracing::error!(sink = %name, "{why}");
        *error = Some(why);
    }

    /// Commits an epoch that does nothing but write the first records of backlogs. What is refused waits on.
    fn release(&mut self, only: Option<SinkId>) -> Result<(), EngineError> {
        let mut staged = Staged::at(self.now());
        staged.releases_only = true;
        self.stage_releases(&mut staged, only);
        if staged.released.is_empty() {
            return Ok(());
        }
        self.parts.faults.reach("backlog-release")?;
        let Err((staged, refused)) = self.commit_or_name(staged, None)? else { return Ok(()) };
        let Some(failure) = self.failure(&staged, &refused) else { return Err(refused.of_statement()) };
        let tried = staged.released.iter().find(|release| release.sink == failure.sink).map(|release| release.records);
        if let Some(Sink { way: Way::Topic(backlog), .. }) = self.sinks.get_mut(&failure.sink) {
            backlog.narrow(tried.unwrap_or_default());
        }
        self.fail_sink(&failure);
        self.publish_status();
        Ok(())
    }

    /// Tries a sink again whose topic refused a record, unless it is another topic by now, which would miss what that one had.
    fn try_again(&mut self, id: SinkId) -> Result<(), EngineError> {
        let Some(sink) = self.sinks.get(&id) else { return Ok(()) };
        let topic = sink.def.topic.clone();
        let info = match self.parts.log.topic(&topic) {
            Ok(Some(info)) => info,
            Ok(None) => return self.missed(id),
            Err(error) => return self.postpone(id, &error.to_string()),
        };
        let fewer = info.partitions < sink.partitions;
        let ends = if fewer { None } else { self.written(sink) };
        if !fewer && ends.is_none() {
            return self.postpone(id, "its ends cannot be seen");
        }
        if fewer || sink.backlog().is_some_and(|backlog| ends < Some(backlog.written)) {
            let reason = format!("topic \"{topic}\" is not the one that was written to: it was deleted and made anew");
            return self.give_up(id, reason);
        }
        if let Some(Sink { partitions, way: Way::Topic(backlog), .. }) = self.sinks.get_mut(&id) {
            *partitions = info.partitions;
            backlog.missed = 0;
        }
        self.release(Some(id))
    }

    /// How many records the partitions of a sink's topic ever had, if that can be seen.
    fn written(&self, sink: &Sink) -> Option<i64> {
        let topic: std::sync::Arc<str> = sink.def.topic.as_str().into();
        let at = |partition| TopicPartition { topic: topic.clone(), partition: Partition(partition as i32) };
        (0..sink.partitions).map(|partition| Some(self.parts.log.bounds(&at(partition)).ok()?.high.0)).sum()
    }

    fn postpone(&mut self, id: SinkId, why: &str) -> Result<(), EngineError> {
        let now = self.instant();
        if let Some(Sink { def, way: Way::Topic(backlog), .. }) = self.sinks.get_mut(&id) {
            tracing::warn!(sink = %def.name, "cannot look at topic \"{}\" of sink {}: {why}", def.topic, def.name);
            backlog.refused(now, 0);
        }
        Ok(())
    }

    /// The topic of a sink is not there. If that is not for a moment it is not waited for: one that is made in its place would miss
    /// what it had.
    fn missed(&mut self, id: SinkId) -> Result<(), EngineError> {
        let now = self.instant();
        let Some(Sink { def, way: Way::Topic(backlog), .. }) = self.sinks.get_mut(&id) else { return Ok(()) };
        backlog.missed += 1;
        backlog.refused(now, 0);
        if backlog.missed < MISSED_MAX {
            return Ok(());
        }
        let reason = format!("topic \"{}\" does not exist any more, with what was written to it", def.topic);
        self.give_up(id, reason)
    }

    /// What a refused record says of its sink; `None`: it is no sink's.
    pub(crate) fn failure(&self, staged: &Staged, refused: &Refused) -> Option<SinkFailure> {
        let sink = staged.sink_of(refused.index - staged.first_records())?;
        let reason = format!("topic \"{}\" refused a record: {}", refused.topic, refused.reason);
        let written = self.sinks.get(&sink).and_then(|sink| self.written(sink));
        Some(SinkFailure { sink, reason, for_good: false, written })
    }

    /// A sink gets nothing more: an epoch says so.
    fn give_up(&mut self, id: SinkId, reason: String) -> Result<(), EngineError> {
        let mut staged = Staged::at(self.now());
        staged.given_up.push(SinkFailure { sink: id, reason, for_good: true, written: None });
        self.commit(staged, None)
    }

    /// What a failure does to a backlog: it waits, or is closed.
    pub(crate) fn refuse_backlog(&mut self, failure: &SinkFailure) {
        let now = self.instant();
        let Some(Sink { way: Way::Topic(backlog), sent, .. }) = self.sinks.get_mut(&failure.sink) else { return };
        match failure.for_good {
            true => backlog.close(),
            // What was written since the start is there, if the end could not be seen.
            false => backlog.refused(now, failure.written.unwrap_or(*sent as i64)),
        }
    }

    /// What the record of a committed epoch says was written of backlogs. In replay what waits is compared with it.
    pub(crate) fn publish_released(&mut self, record: &EpochRecord, replays: bool) -> Result<(), EngineError> {
        for release in &record.released {
            match &record.catalog {
                Some(CatalogChange::CreateSink { id, .. }) if *id == release.sink => self.fill(release)?,
                _ => self.drop_released(release, replays)?,
            }
        }
        Ok(())
    }

    fn drop_released(&mut self, release: &Release, replays: bool) -> Result<(), EngineError> {
        let Some(Sink { def, error, way: Way::Topic(backlog), .. }) = self.sinks.get_mut(&release.sink) else {
            return Ok(());
        };
        if replays {
            let front = backlog.front(release.records, usize::MAX)?;
            same(release, front.len() as u64, &entry::hash(front.iter()), &def.name)?;
        }
        backlog.taken();
        backlog.drop_front(release.records);
        if let Some(error) = error.take() {
            tracing::info!(sink = %def.name, "topic \"{}\" takes records of sink {} again, after: {error}", def.topic, def.name);
        }
        Ok(())
    }

    /// Stages the present rows of the table of a new sink: as many as an epoch takes. The others wait in its backlog.
    pub(crate) fn stage_first_rows(&self, staged: &mut Staged, sink: &Sink) -> Result<(), EngineError> {
        let at = SinkEpoch { epoch: self.chain.epoch.next(), timestamp: staged.timestamp, snapshot: true };
        let contents = &self.tables[&sink.def.input].contents;
        let mut first: Vec<SinkRecord> = Vec::new();
        let (mut bytes, mut waits) = (0, false);
        'contents: for part in contents.read(&contents.snapshot()) {
            for record in sink.records(&part?, &at) {
                if first.len() >= self.config.epoch_rows_max || bytes >= EPOCH_BYTES_MAX {
                    waits = true;
                    break 'contents;
                }
                bytes += [&record.key, &record.value].into_iter().flatten().map(|part| part.len()).sum::<usize>();
                first.push(record);
            }
        }
        if waits {
            let kept: Vec<Vec<u8>> = first.iter().map(|record| entry::encode(record, at.timestamp)).collect();
            let hash = entry::hash(kept.iter().map(Vec::as_slice));
            staged.released.push(Release { sink: sink.def.id, records: first.len() as u64, hash });
        }
        let records = first.into_iter().map(|record| sink.record(record, at.timestamp)).collect();
        staged.outputs.push((sink.def.id, Output::Records(records)));
        Ok(())
    }

    /// The backlog of a sink that is new: the present rows of its table, but for the first records, which the epoch wrote.
    fn fill(&mut self, release: &Release) -> Result<(), EngineError> {
        self.parts.faults.reach("backlog-fill")?;
        let at = SinkEpoch { epoch: self.chain.epoch, timestamp: self.chain.timestamp, snapshot: true };
        let Some(sink) = self.sinks.get_mut(&release.sink) else { return Ok(()) };
        let contents = &self.tables[&sink.def.input].contents;
        let mut written = RowBytes::default();
        for part in contents.read(&contents.snapshot()) {
            self.shared.turn();
            let entries = sink.entries(&part?, &at);
            let mut waits = RowBytes::with_capacity(entries.len(), entries.data_len());
            for bytes in entries.iter() {
                let of = if (written.len() as u64) < release.records { &mut written } else { &mut waits };
                of.push(bytes);
            }
            if let Way::Topic(backlog) = &mut sink.way {
                backlog.gather(&waits, None);
            }
        }
        same(release, written.len() as u64, &entry::hash(written.iter()), &sink.def.name)
    }
}

/// What replay came to must be what was written.
fn same(release: &Release, records: u64, hash: &str, sink: &str) -> Result<(), EngineError> {
    if (release.records, release.hash.as_str()) == (records, hash) {
        return Ok(());
    }
    Err(EngineError::Recovery(format!(
        "the records that waited for the topic of sink {sink} are not those that were written: {} of them with hash {}, and now {records} \
         with hash {hash}; nothing was published. Start the version of millstream that wrote the epoch, or an older checkpoint; please \
         report this",
        release.records, release.hash
    )))
}

/// The first records of a sink's backlog, or what is wrong with them.
fn first_records(sink: &Sink, records_max: u64, bytes_max: usize) -> Option<Result<(Release, Vec<OutRecord>), String>> {
    let backlog = sink.backlog()?;
    let front = match backlog.front(records_max.min(backlog.width), bytes_max) {
        Ok(front) => front,
        Err(error) => return Some(Err(error.to_string())),
    };
    let records: Option<Vec<OutRecord>> = front.iter().map(|bytes| sink.kept_record(bytes)).collect();
    let release = Release { sink: sink.def.id, records: front.len() as u64, hash: entry::hash(front.iter()) };
    Some(records.map(|records| (release, records)).ok_or_else(|| "what it has is no record".to_string()))
}
