//! CREATE TABLE and CREATE SOURCE: where a source begins, and the start of its reading.

use std::collections::BTreeMap;

use api::{TopicKind, TopicSpec};
use dataflow::{Contents, StatementError, contents_id};
use plan::{CatalogChange, SourceDef, StartAt, TableDef, TableId, TableKind};
use zset::{Offset, Partition, TimestampMs};

use crate::engine::Position;
use crate::feed::Feed;
use crate::mend::{Deletes, Kind, warnings};
use crate::source::Source;
use crate::stage::Staged;
use crate::table::Table;
use crate::verify::kind;
use crate::{Engine, EngineError, cluster, own};

impl Engine {
    pub(crate) fn create_source(&mut self, mut def: TableDef) -> Result<Vec<String>, EngineError> {
        own::name_topic(&mut def, &self.config.pipeline);
        let found = self.find_topics(&mut def)?;
        let TableKind::Source(source) = &def.kind else { unreachable!("CREATE TABLE makes a source table") };
        let source = source.clone();
        cluster::check(&def.name, &source.connector, &source.options, self.config.brokers.as_deref())?;
        self.refuse_table_topic(&def, &source)?;
        let starts = match source.is_own() {
            true => self.make_own_topic(&def, &source)?,
            false => self.start_offsets(&source)?,
        };
        def.created = self.chain.epoch.next();
        let table = self.new_source(def.clone(), &source)?;
        let change = CatalogChange::CreateTable {
            id: def.id,
            sql: def.sql.clone(),
            fingerprint: 0,
            start: starts.clone(),
            backfill: Vec::new(),
            topics: found,
        };
        let staged = Staged::at(self.now());
        let mut catalog = self.catalog.clone();
        catalog.add_table(def.clone())?;
        let now = self.clock();
        self.ends.all(def.id, starts.iter().map(|(partition, _)| *partition), now);
        // Who dies after the commit finds a table that has missed nothing.
        self.ends.save();
        self.commit(staged, Some(change))?;
        self.catalog = catalog;
        self.install_source(table, &starts);
        self.start_or_doubt(def.id)?;
        self.publish_status();
        Ok(self.warn_of_topics(&def, &source))
    }

    /// A source table without rows.
    pub(crate) fn new_source(&self, def: TableDef, source: &SourceDef) -> Result<Table, EngineError> {
        let arrangement = self.store.arrangement(contents_id(def.id), Contents::law(&def));
        let contents = Contents::with_rows(&def, arrangement, 0);
        Table::source(def, source, contents)
    }

    /// A source table at work; what it reads starts with [`Engine::start_source`].
    pub(crate) fn install_source(&mut self, mut table: Table, starts: &[(Partition, Offset)]) {
        let id = table.def.id;
        self.equip(&mut table, starts.len());
        for (partition, next) in starts {
            self.positions.insert((id, *partition), Position::at(*next));
        }
        self.tables.insert(id, table);
    }

    /// What is to be known of topics that may lose records before they count.
    fn warn_of_topics(&self, def: &TableDef, source: &SourceDef) -> Vec<String> {
        let Some(known) = self.keepings.get(&def.id) else { return Vec::new() };
        let of = |(place, topic)| Some((topic, known.get(&place).copied().flatten()?));
        let lossy = source.topics().enumerate().filter_map(of);
        lossy.flat_map(|(topic, keeping)| warnings(def, topic, keeping, self.config.checkpoint_interval)).collect()
    }

    /// Where each partition of a new source begins; makes its topics where that was asked for.
    fn start_offsets(&self, source: &SourceDef) -> Result<Vec<(Partition, Offset)>, EngineError> {
        let feed = Feed::of(&self.parts, source).map_err(EngineError::of_statement)?;
        // What a reader refuses is refused now, not when the table is there.
        feed.reader().map_err(EngineError::of_statement)?;
        let mut partitions = Vec::new();
        for (place, topic) in feed.topics().enumerate() {
            match feed.transport.partitions(topic).map_err(EngineError::of_statement)? {
                Some(there) => partitions.extend(there),
                None => {
                    let made = self.make_source_topic(source, topic, &feed)?;
                    partitions.extend((0..made as i32).filter_map(|number| Partition::of(place, number)));
                }
            }
        }
        let starts = partitions.into_iter().map(|partition| {
            let at = feed.at(partition);
            let start = match source.start {
                StartAt::Earliest => feed.transport.bounds(&at).map(|bounds| bounds.low),
                StartAt::Latest => feed.transport.bounds(&at).map(|bounds| bounds.high),
                StartAt::Time(time) => feed.transport.offset_at(&at, TimestampMs(time)),
            };
            start.map(|start| (partition, start)).map_err(EngineError::of_statement)
        });
        starts.collect()
    }

    /// Makes a source's missing topic, and answers how many partitions it has, if it is of the log and that was asked for.
    fn make_source_topic(&self, source: &SourceDef, topic: &str, feed: &Feed) -> Result<u32, EngineError> {
        let refuse = |message: String, hint: &str| {
            let hint = Some(hint.to_string());
            Err(StatementError { sqlstate: "42704", message, hint, detail: None, position: None, about: None }.into())
        };
        let name = feed.transport.name();
        if !feed.is_log {
            return refuse(format!("\"{topic}\" does not exist: {name}"), "correct the path, or make the folder first");
        }
        if self.config.brokers.is_some() && source.options.get("partitions").is_none() {
            return refuse(
                format!("topic \"{topic}\" does not exist in {name}"),
                "correct the name, or give partitions = N to have the topic made",
            );
        }
        tracing::info!(%topic, partitions = source.partitions, "making the source's topic");
        let spec = TopicSpec {
            topic: topic.to_string(),
            partitions: source.partitions,
            replication: None,
            kind: TopicKind::Plain,
        };
        let info = self.parts.log.make_topic(&spec).map_err(EngineError::of_statement)?;
        Ok(info.partitions)
    }

    /// Starts to read a source table from its positions. A table of our own is not read: it changes by statements.
    pub(crate) fn start_source(&mut self, id: TableId) -> Result<(), EngineError> {
        if self.halts.contains_key(&id) || self.lost.contains_key(&id) {
            return Ok(());
        }
        let Some(table) = self.tables.get(&id) else { return Ok(()) };
        let Some(source) = table.source_def().filter(|source| !source.is_own()) else { return Ok(()) };
        let from: BTreeMap<_, _> =
            self.positions_of(id).map(|(partition, position)| (partition, position.next)).collect();
        let feed = Feed::finding(&self.parts, source)?;
        let kind = kind(&table.def);
        let name = table.def.name.clone();
        let keepings = self.learn_keepings(id, &feed);
        let deletes = (kind != Kind::Records).then(|| {
            let seen = |partition: &Partition| Some((*partition, self.ends.of(id, *partition)?));
            Deletes::new(keepings, from.keys().filter_map(seen).collect(), &self.parts.clock)
        });
        let beside = (&self.shared, &self.parts.scheduler, &self.parts.memory);
        let absent = self.positions_of(id).filter(|(_, position)| position.absent).map(|(partition, _)| partition);
        let absent = absent.collect();
        let reader = Source::start((id, &name), (feed, deletes), (&from, &absent), &self.events_in, beside)?;
        self.sources.insert(id, reader);
        Ok(())
    }
}
