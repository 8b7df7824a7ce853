//! Opening: what is on disk and in the log becomes an engine at the log's last committed epoch.
//!
//! First the writer is opened, which fences every other process and resolves what was in doubt; only then is the end of
//! the epoch topic the end. Then the newest whole checkpoint, then the records after it, replayed and compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::channel;

use api::{EPOCH_PARTITION, TopicKind, TopicPartition, TopicSpec, Writer};
use bytes::Bytes;
use dataflow::{Action, Contents, SequenceMarks, TableFlow, contents_id};
use plan::{Catalog, EpochRecord, SinkConnector, TableDef, TableId, TableKind};
use state::{Arrangement, ArrangementId, Law, Restored, Store};
use zset::{Epoch, Generation, Offset, TimestampMs};

use crate::checkpoint::{Background, Metadata, TableState};
use crate::courtesy::Courtesy;
use crate::decide::{Decision, Facts, RecordFacts, decide};
use crate::ends::Ends;
use crate::engine::Chain;
use crate::epochs::{self, Records};
use crate::inputs::{HIDDEN_AGAIN, HIDDEN_MAX};
use crate::journal::Journal;
use crate::secrets::{Revealing, Vault};
use crate::stage::Staged;
use crate::table::Table;
use crate::verify::Lost;
use crate::{DataDir, Engine, EngineConfig, EngineError, Identity, Parts, Shared};

impl Engine {
    /// Opens a data folder on its log and recovers. The engine is at the last committed epoch; its sources are being read,
    /// but nothing is processed before [`Engine::run`].
    pub fn open(config: EngineConfig, parts: Parts, dir: DataDir, shared: Arc<Shared>) -> Result<Self, EngineError> {
        let config = config.within(&parts.memory);
        shared.take_rows_max(config.epoch_rows_max);
        let secrets = Arc::new(Vault::open(dir.secrets())?);
        let revealing = Revealing { inner: Arc::clone(&parts.connectors), vault: Arc::clone(&secrets) };
        let parts = Parts { connectors: Arc::new(revealing), ..parts };
        let (store, restored) = Store::open_with(&dir.state(), parts.faults.clone(), Arc::clone(&parts.memory))?;
        for (epoch, reason) in restored.iter().flat_map(|restored| &restored.skipped) {
            tracing::error!(%epoch, "checkpoint skipped, an older one is used: {reason}");
        }
        let (metadata, arrangements) = match restored {
            Some(Restored { metadata, arrangements, .. }) => (Some(Metadata::decode(&metadata)?), arrangements),
            None => (None, HashMap::new()),
        };
        shared.metrics.watch_failpoints(&parts.faults);
        let identity = dir.identity()?;
        let (mut writer, records) = take_over(&config, &parts, identity.as_ref(), metadata.as_ref(), &shared)?;
        let told = Arc::clone(&shared);
        writer.on_wait(Box::new(move || {
            told.turn();
            !told.stop_asked()
        }));
        let (incarnation, skip) = match decide(&facts(&config, identity.as_ref(), metadata.as_ref(), &records)?) {
            Decision::Refuse(why) => return Err(EngineError::Recovery(why)),
            Decision::Begin { incarnation } => (incarnation.unwrap_or_else(|| (parts.random_id)()), 0),
            Decision::Replay { skip } => (identity.as_ref().map(|i| i.incarnation.clone()).unwrap_or_default(), skip),
        };
        let last = records.last().map(|(_, bytes)| EpochRecord::decode(bytes)).transpose()?.map(|r| r.generation);
        let generation = last.max(identity.map(|i| i.generation)).map_or(Generation(1), |g| Generation(g.0 + 1));
        let pipeline = config.pipeline.clone();
        dir.write_identity(&Identity { pipeline, incarnation: incarnation.clone(), generation })?;

        let courtesy = Courtesy::start(&parts.log)?;
        let mut engine =
            Self::empty(config, parts, (dir, store, secrets), (writer, courtesy), (incarnation, generation), shared);
        engine.journal.begin(metadata.as_ref().map(|metadata| metadata.epoch));
        engine.tell_journal();
        if let Some(metadata) = metadata {
            engine.restore(metadata, arrangements).map_err(EngineError::in_recovery)?;
        }
        if records.is_empty() {
            engine.begin()?;
        } else {
            engine.replay(&records[skip..]).map_err(EngineError::in_recovery)?;
        }
        engine.parts.faults.reach("sources-check")?;
        let lost = engine.check_sources()?;
        engine.verify_own_topics()?;
        engine.start(lost)?;
        Ok(engine)
    }

    /// An engine before its first epoch.
    fn empty(
        config: EngineConfig,
        parts: Parts,
        (dir, store, secrets): (DataDir, Arc<Store>, Arc<Vault>),
        (writer, courtesy): (Box<dyn Writer>, Courtesy),
        (incarnation, generation): (String, Generation),
        shared: Arc<Shared>,
    ) -> Self {
        let (events_in, events) = channel();
        let now = parts.scheduler.now();
        let chain = Chain {
            incarnation,
            generation,
            epoch: Epoch(0),
            hash: String::new(),
            offset: Offset(0),
            timestamp: TimestampMs(i64::MIN),
        };
        let (ends, journal) = (Ends::load(dir.ends()), Journal::new(dir.journal(), generation));
        Self {
            config,
            parts,
            store,
            writer: Some(writer),
            flight: None,
            ahead: false,
            catalog: Catalog::default(),
            catalog_seen: None,
            tables: BTreeMap::new(),
            sinks: BTreeMap::new(),
            secrets,
            positions: BTreeMap::new(),
            sources: BTreeMap::new(),
            halts: BTreeMap::new(),
            sequences: SequenceMarks::default(),
            sequences_taken: Arc::default(),
            committing: false,
            retired: BTreeMap::new(),
            dead_letter_partitions: BTreeMap::new(),
            lost: BTreeMap::new(),
            doubts: BTreeMap::new(),
            retried: BTreeMap::new(),
            keepings: BTreeMap::new(),
            unknown_keepings: BTreeSet::new(),
            ends,
            ends_noted: now,
            journal,
            held: false,
            chain,
            shared,
            events,
            events_in,
            background: Background::default(),
            courtesy,
            last_checkpoint: (Epoch(u64::MAX), now),
            _dir: dir,
        }
    }

    /// Writes the genesis record, and the first checkpoint: from now on the folder knows that it belongs to this log.
    fn begin(&mut self) -> Result<(), EngineError> {
        let record = EpochRecord {
            version: plan::RECORD_VERSION,
            incarnation: self.chain.incarnation.clone(),
            generation: self.chain.generation,
            epoch: Epoch(0),
            previous: String::new(),
            timestamp: self.now(),
            inputs: Vec::new(),
            tables: Vec::new(),
            catalog: None,
            sinks: Vec::new(),
            released: Vec::new(),
            halts: Vec::new(),
            sequences: Vec::new(),
            mended: None,
        };
        let bytes = record.encode();
        let out = api::OutRecord {
            to: TopicPartition { topic: self.config.epoch_topic().into(), partition: EPOCH_PARTITION },
            timestamp: record.timestamp,
            key: None,
            value: Some(Bytes::from(bytes.clone())),
            headers: Vec::new(),
        };
        let writer = self.writer.as_mut().expect("no commit is on its way");
        let offsets = writer.commit_all(std::slice::from_ref(&out)).map_err(|error| match error {
            api::CommitError::Fenced(_) => EngineError::Fenced(error.to_string()),
            other => EngineError::Log(format!("cannot write the first epoch record: {other}")),
        })?;
        self.publish(Staged::at(record.timestamp), &record, &bytes, offsets[0])?;
        self.checkpoint_now().map(|_| ())
    }

    /// Starts reading the sources and publishes what there is.
    fn start(&mut self, lost: BTreeMap<TableId, Lost>) -> Result<(), EngineError> {
        for sink in self.sinks.values_mut().filter(|sink| sink.def.connector == SinkConnector::Log) {
            // Partitions may have been added while the process was away. A topic that is gone is not made again, for it
            // would miss what was in it: the first record for it is refused, and the sink is in ERROR.
            sink.partitions = self.parts.log.topic(&sink.def.topic)?.map_or(1, |topic| topic.partitions);
        }
        self.sequences_taken.begin(&self.sequences);
        self.start_detached()?;
        let sources: Vec<_> = self.tables.keys().copied().collect();
        sources.into_iter().filter(|id| !lost.contains_key(id)).try_for_each(|id| self.start_source(id))?;
        self.mend_at_start(lost)?;
        self.publish_status();
        Ok(())
    }

    /// Puts the state of a checkpoint in place.
    fn restore(
        &mut self,
        metadata: Metadata,
        mut arrangements: HashMap<ArrangementId, Arrangement>,
    ) -> Result<(), EngineError> {
        self.chain.epoch = metadata.epoch;
        self.chain.hash = metadata.hash;
        self.chain.offset = metadata.offset;
        self.chain.timestamp = metadata.timestamp;
        self.last_checkpoint = (metadata.epoch, self.instant());
        self.background.records.insert(metadata.epoch, metadata.offset);
        self.retired = metadata.retired.into_iter().map(|(topic, p, next)| ((topic, p), next)).collect();
        self.sequences = SequenceMarks::restored(&metadata.sequences);
        self.positions = metadata.positions.into_iter().map(|(table, p, position)| ((table, p), position)).collect();
        let mut missing = Vec::new();
        let mut take = |id: ArrangementId, law: Law| {
            arrangements.remove(&id).filter(|found| found.law() == law).unwrap_or_else(|| {
                missing.push(id);
                Arrangement::new(id, law)
            })
        };
        for def in metadata.catalog.tables() {
            let state = metadata.tables.iter().find(|state| state.id == def.id);
            let rows = state.map_or(0, |state| state.rows);
            let contents = Contents::restored(def, take(contents_id(def.id), Contents::law(def)), rows)?;
            let contents = contents.with_indexes(def, &mut take);
            let mut table = match &def.kind {
                TableKind::Source(source) => Table::source(def.clone(), source, contents)?,
                TableKind::Stream(_) => self.restore_stream(def, state, contents, &mut take)?,
            };
            if let Some(state) = state {
                table.error.clone_from(&state.error);
                table.consecutive_errors = state.consecutive_errors;
                (table.suspended, table.frontier) = (state.suspended, state.frontier);
                table.letters.clone_from(&state.letters);
                if let Some(reason) = &state.halted {
                    self.halts.insert(def.id, reason.clone());
                    self.shared.metrics.halted(&def.name, true);
                }
            }
            self.equip(&mut table, self.positions_of(def.id).count());
            self.catalog.add_table(def.clone())?;
            self.tables.insert(def.id, table);
        }
        for def in metadata.catalog.sinks() {
            self.catalog.add_sink(def.clone())?;
            let state = metadata.sinks.iter().find(|state| state.id == def.id);
            let sink = self.restored_sink(def, state, &mut take);
            self.sinks.insert(def.id, sink);
        }
        if let Some(id) = missing.first() {
            return Err(EngineError::Recovery(format!(
                "the checkpoint of epoch {} does not have arrangement {id}, which this version of millstream needs; start \
                 the version that made the checkpoint",
                metadata.epoch
            )));
        }
        // The last id given may belong to what was dropped.
        self.catalog = metadata.catalog;
        Ok(())
    }

    /// A stream table of a checkpoint. If this binary plans it differently, its operators' state is made anew from its
    /// inputs, and must give the contents that are there.
    fn restore_stream(
        &self,
        def: &TableDef,
        state: Option<&TableState>,
        contents: Contents,
        take: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Result<Table, EngineError> {
        let TableKind::Stream(stream) = &def.kind else { unreachable!("a stream table") };
        let planned = self.parts.planner.plan(&def.sql, &self.catalog.as_planned(stream))?;
        let Action::CreateStream { graph, .. } = planned.action else {
            return Err(EngineError::Recovery(format!("cannot plan {} again from its SQL: {}", def.name, def.sql)));
        };
        if graph.fingerprint() == stream.fingerprint {
            let flow = TableFlow::new(def.id, &graph, take);
            let mut table = Table::stream(def.clone(), contents, flow, take);
            table.blind = self.blind(&stream.inputs);
            return Ok(table);
        }
        tracing::warn!(table = %def.name, "this version plans the table differently: its state is made anew");
        let flow = TableFlow::new(def.id, &graph, &mut |id, law| self.store.arrangement(id, law));
        let mut table = Table::stream(def.clone(), contents, flow, take);
        table.blind = self.blind(&stream.inputs);
        // Its state is made anew when it is resumed.
        if state.is_some_and(|state| state.suspended) {
            return Ok(table);
        }
        if self.rebuild(&mut table, &graph)? {
            return Ok(table);
        }
        Err(EngineError::Recovery(format!(
            "this version of millstream computes other contents for stream table {} than those in the checkpoint; go back to \
             the version that made it, or drop the table there and create it again here",
            def.name
        )))
    }
}

/// Opens the writer and reads the epoch topic to its end. A folder that does not belong to the log is refused before
/// that: it must neither fence the process that is at work there nor leave a topic behind.
fn take_over(
    config: &EngineConfig,
    parts: &Parts,
    identity: Option<&Identity>,
    metadata: Option<&Metadata>,
    shared: &Shared,
) -> Result<(Box<dyn Writer>, Records), EngineError> {
    let (log, topic) = (&*parts.log, config.epoch_topic());
    let from = metadata.map(|metadata| metadata.offset);
    let mut first = epochs::read_first(log, &topic, from, shared)?;
    let until = parts.scheduler.now() + HIDDEN_MAX;
    while config.brokers.is_some() && epochs::may_be_hidden(log, &topic, from, &first)? && parts.scheduler.now() < until
    {
        parts.scheduler.sleep(HIDDEN_AGAIN);
        first = epochs::read_first(log, &topic, from, shared)?;
    }
    if let Decision::Refuse(why) = decide(&facts(config, identity, metadata, &first)?) {
        return Err(EngineError::Recovery(why));
    }
    log.make_topic(&TopicSpec { topic: topic.clone(), partitions: 1, replication: None, kind: TopicKind::Epochs })?;
    let writer = log.writer()?;
    parts.faults.reach("writer-open")?;
    let records = epochs::read_all(log, &topic, from, shared)?;
    Ok((writer, records))
}

fn facts(
    config: &EngineConfig,
    identity: Option<&Identity>,
    metadata: Option<&Metadata>,
    records: &Records,
) -> Result<Facts, EngineError> {
    let first = match records.first() {
        None => None,
        Some((_, bytes)) => {
            let record = EpochRecord::decode(bytes)?;
            let hash = EpochRecord::hash(bytes);
            Some(RecordFacts { incarnation: record.incarnation, epoch: record.epoch.0, hash })
        }
    };
    let checkpoint =
        metadata.map(|m| RecordFacts { incarnation: m.incarnation.clone(), epoch: m.epoch.0, hash: m.hash.clone() });
    let (pipeline, topic, identity) = (config.pipeline.clone(), config.epoch_topic(), identity.cloned());
    Ok(Facts { pipeline, topic, identity, checkpoint, first })
}
