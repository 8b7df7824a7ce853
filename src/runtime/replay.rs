//! Replay: the epochs after the checkpoint are processed again from the same bytes, without publishing, and must come to
//! the digests in their records. Where they do not, the process stops: going on would be wrong.

use std::collections::BTreeMap;

use api::Record;
use bytes::Bytes;
use dataflow::Action;
use plan::{CatalogChange, EpochRecord, InputRange, Outcome, TableId};
use zset::Offset;

use crate::ddl::same_outcome;
use crate::engine::Position;
use crate::feed::Feed;
use crate::inputs::Inputs;
use crate::journal::Journal;
use crate::patterns::put_topics;
use crate::stage::Staged;
use crate::{Engine, EngineError, own};

impl Engine {
    /// Replays epoch records.
    pub(crate) fn replay(&mut self, records: &[(Offset, Bytes)]) -> Result<(), EngineError> {
        let mut inputs = Inputs::new(&self.config);
        let at_work = self.shared.jobs.begin("recovery", &self.config.pipeline, Some(records.len() as u64), "epochs");
        for (offset, bytes) in records {
            self.shared.go_on()?;
            let record = EpochRecord::decode(bytes)?;
            self.check_chain(&record, *offset)?;
            let staged = match (&record.catalog, &record.mended) {
                (Some(change), _) => self.replay_change(change, &record)?,
                (None, Some(mended)) => self.replay_mended(&record, mended)?,
                (None, None) => self.replay_epoch(&record, &mut inputs)?,
            };
            self.parts.faults.reach("replay-epoch")?;
            self.publish(staged, &record, bytes, *offset)?;
            record.mended.iter().for_each(|mended| inputs.forget(mended.table));
            if let Some(CatalogChange::AddTopics { id, .. }) = &record.catalog {
                inputs.forget(*id);
            }
            for failure in &record.sinks {
                self.fail_sink(failure);
            }
            at_work.advance(1);
        }
        self.miss_replayed(inputs.unwritten)?;
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

    /// A range begins where the one before it ended; of a topic of our own, in which others may have written between, not
    /// before that. (That of a partition which the topic got later is the first.)
    fn check_range(&self, record: &EpochRecord, range: &InputRange) -> Result<(), EngineError> {
        let position = self.positions.get(&(range.table, range.partition));
        let own = self.tables.get(&range.table).is_some_and(|table| table.def.is_own());
        let follows = |position: &Position| match own {
            true => position.next <= range.range.start,
            false => position.next == range.range.start,
        };
        if self.tables.contains_key(&range.table) && position.is_none_or(follows) {
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
            let Some(source) = self.tables.get(&range.table).and_then(|table| table.source_def()) else { continue };
            self.parts.faults.reach("replay-range")?;
            let read = match inputs.read(range, &self.shared, || Ok(Feed::of(&self.parts, source)?)) {
                Ok(read) => {
                    if !self.journal.may_have(range) {
                        let of_table = inputs.unwritten.entry(range.table).or_default();
                        *of_table.entry(range.partition).or_default() += Journal::size(&read);
                    }
                    read
                }
                Err(error @ EngineError::Recovery(_)) => self.journaled(range).ok_or(error)?,
                Err(error) => return Err(error),
            };
            records.entry(range.table).or_default().extend(read);
        }
        let outcomes: BTreeMap<TableId, Outcome> =
            record.tables.iter().map(|outcome| (outcome.table, outcome.outcome.clone())).collect();
        let mut staged = self.stage_epoch(records, record.timestamp, Some(&outcomes))?;
        self.compare(record, &staged, &outcomes)?;
        self.stage_detached(&mut staged, record);
        Ok(staged)
    }

    pub(crate) fn compare(
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
            CatalogChange::CreateTable { id, sql, fingerprint, start, backfill, topics } => {
                let mut staged = Staged::at(record.timestamp);
                match self.parts.planner.plan(sql, &self.catalog)?.action {
                    Action::CreateTable(mut def) if def.id == *id => {
                        def.created = record.epoch;
                        own::name_topic(&mut def, &self.config.pipeline);
                        put_topics(&mut def, topics);
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
                        self.compare_backfill(&def.name, &made.backfill, backfill)?;
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
            CatalogChange::ReplayDeadLetters { .. } => self.stage_letters_again(record),
            CatalogChange::AddTopics { id, topics } => {
                self.install_topics(*id, topics);
                Ok(Staged::at(record.timestamp))
            }
            CatalogChange::AlterTable { id, sql } => {
                let alter = match self.parts.planner.plan(sql, &self.catalog)?.action {
                    Action::Alter(alter) => alter,
                    Action::AlterSource(alter) if alter.def.id == *id => {
                        let work = self.redecoding(&alter)?;
                        self.install_altered_source(&alter, work);
                        return Ok(Staged::at(record.timestamp));
                    }
                    _ => return Err(other_plan(sql, record)),
                };
                if alter.table != *id {
                    return Err(other_plan(sql, record));
                }
                let (staged, altered) = self.stage_alter(&alter, record.timestamp)?;
                self.install_altered(altered);
                Ok(staged)
            }
            CatalogChange::ResumeStreams { tables, backfill } => {
                let outcomes = record.tables.iter().map(|o| (o.table, o.outcome.clone())).collect();
                let (mut staged, resumed) = self.replay_resume(tables, &outcomes, record.timestamp, backfill)?;
                self.compare(record, &staged, &outcomes)?;
                self.stage_detached(&mut staged, record);
                self.install_resumed(resumed);
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
                let sink = self.replayed_sink(&def);
                let mut staged = Staged::at(record.timestamp);
                self.stage_filling_again(&mut staged, &sink)?;
                self.catalog.add_sink(def)?;
                self.sinks.insert(*id, sink);
                Ok(staged)
            }
            CatalogChange::Drop { sink, name, cascade } => {
                self.replay_drop(*sink, name, *cascade)?;
                Ok(Staged::at(record.timestamp))
            }
        }
    }
}

fn other_plan(sql: &str, record: &EpochRecord) -> EngineError {
    EngineError::Recovery(format!(
        "cannot replay epoch {}: this version of millstream makes something else of: {}; start the version that wrote it",
        record.epoch,
        plan::without_passwords(sql)
    ))
}
