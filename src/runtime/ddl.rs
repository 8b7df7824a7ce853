//! Statements: each change of the catalog is an epoch of its own.

use std::collections::BTreeMap;

use api::{TopicKind, TopicPartition, TopicSpec};
use dataflow::{Action, Contents, Eval, StatementError, TableFlow, contents_id};
use plan::{
    CatalogChange, Graph, Outcome, SinkConnector, SinkDef, SinkEnvelope, SinkId, SourceDef, StartAt, TableDef, TableId,
    TableKind,
};
use state::Arrangement;
use zset::{Delta, Offset, Partition, RowCodec, TimestampMs};

use crate::engine::Position;
use crate::sink::Sink;
use crate::source::Source;
use crate::stage::Staged;
use crate::table::{Refresh, Table};
use crate::{Engine, EngineError, Reply, cluster};

/// Where a text of statements comes from: files may only build up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    File,
    Session,
}

impl Engine {
    /// Applies the statements of a file: only CREATE and SET; what exists with the same definition is skipped.
    pub fn apply_file(&mut self, text: &str) -> Result<Vec<Reply>, EngineError> {
        self.execute(text, Origin::File)
    }

    /// Runs the statements of a text one after another; stops at the first that fails.
    pub(crate) fn execute(&mut self, text: &str, origin: Origin) -> Result<Vec<Reply>, EngineError> {
        let statements = self.parts.planner.split(text)?;
        statements.iter().map(|statement| self.statement(statement, origin)).collect()
    }

    fn statement(&mut self, statement: &str, origin: Origin) -> Result<Reply, EngineError> {
        let planned = self.parts.planner.plan(statement, &self.catalog)?;
        let builds = matches!(
            planned.action,
            Action::CreateTable(_)
                | Action::CreateStream { .. }
                | Action::CreateSink(_)
                | Action::Exists { .. }
                | Action::Set { .. }
        );
        if origin == Origin::File && !builds {
            let error = StatementError {
                sqlstate: "0A000",
                message: format!("only CREATE and SET can be in a file, not: {}", first_words(statement)),
                hint: Some(
                    "a file says what there is to be; change a running pipeline by statements of a client".into(),
                ),
                position: None,
            };
            return Err(error.into());
        }
        let mut reply = self.act(planned.action)?;
        reply.notices.extend(planned.notices);
        Ok(reply)
    }

    fn act(&mut self, action: Action) -> Result<Reply, EngineError> {
        match action {
            Action::CreateTable(def) => {
                self.create_source(def)?;
                Ok(done("CREATE TABLE"))
            }
            Action::CreateStream { def, graph } => {
                self.create_stream(def, &graph)?;
                Ok(done("CREATE STREAM TABLE"))
            }
            Action::CreateSink(def) => {
                self.create_sink(def)?;
                Ok(done("CREATE SINK"))
            }
            Action::Exists { name } => {
                let notices = vec![format!("relation \"{name}\" already exists, skipping")];
                Ok(Reply { notices, ..done("CREATE") })
            }
            Action::Drop { sink, name, cascade } => {
                self.drop(sink, &name, cascade)?;
                Ok(done(if sink { "DROP SINK" } else { "DROP TABLE" }))
            }
            Action::Nothing => Ok(done("DROP")),
            Action::Set { .. } => Ok(done("SET")),
            Action::Show(show) => Ok(self.show(show)),
        }
    }

    fn create_source(&mut self, mut def: TableDef) -> Result<(), EngineError> {
        let TableKind::Source(source) = &def.kind else { unreachable!("CREATE TABLE makes a source table") };
        let source = source.clone();
        cluster::check(&def.name, &source.connector, &source.options, self.config.brokers.as_deref())?;
        let starts = self.start_offsets(&source)?;
        def.created = self.chain.epoch.next();
        let table = self.new_source(def.clone(), &source)?;
        let change =
            CatalogChange::CreateTable { id: def.id, sql: def.sql.clone(), fingerprint: 0, start: starts.clone() };
        let staged = Staged::at(self.now());
        let mut catalog = self.catalog.clone();
        catalog.add_table(def.clone())?;
        self.commit(staged, Some(change))?;
        self.catalog = catalog;
        self.install_source(table, &starts);
        self.start_source(def.id)?;
        self.publish_status();
        Ok(())
    }

    /// A source table without rows.
    pub(crate) fn new_source(&self, def: TableDef, source: &SourceDef) -> Result<Table, EngineError> {
        let arrangement = Arrangement::new(contents_id(def.id), Contents::law(&def));
        let contents = Contents::with_rows(&def, arrangement, 0);
        Table::source(def, source, contents)
    }

    /// A source table at work; what it reads starts with [`Engine::start_source`].
    pub(crate) fn install_source(&mut self, table: Table, starts: &[Offset]) {
        let id = table.def.id;
        for (partition, next) in (0..).map(Partition).zip(starts) {
            self.positions.insert((id, partition), Position::at(*next));
        }
        self.tables.insert(id, table);
    }

    /// Where each partition of a new source begins; makes its topic where that was asked for.
    fn start_offsets(&self, source: &SourceDef) -> Result<Vec<Offset>, EngineError> {
        let log = &self.parts.log;
        let info = match log.topic(&source.topic).map_err(EngineError::of_statement)? {
            Some(info) => info,
            None if self.config.brokers.is_none() || source.options.get("partitions").is_some() => {
                tracing::info!(topic = %source.topic, partitions = source.partitions, "making the source's topic");
                log.make_topic(&TopicSpec {
                    topic: source.topic.clone(),
                    partitions: source.partitions,
                    replication: None,
                    kind: TopicKind::Plain,
                })
                .map_err(EngineError::of_statement)?
            }
            None => {
                let error = StatementError {
                    sqlstate: "42704",
                    message: format!("topic \"{}\" does not exist in {}", source.topic, log.name()),
                    hint: Some("correct the name, or give partitions = N to have the topic made".into()),
                    position: None,
                };
                return Err(error.into());
            }
        };
        (0..info.partitions)
            .map(|partition| {
                let at = TopicPartition { topic: source.topic.as_str().into(), partition: Partition(partition as i32) };
                let start = match source.start {
                    StartAt::Earliest => log.bounds(&at).map(|bounds| bounds.low),
                    StartAt::Latest => log.bounds(&at).map(|bounds| bounds.high),
                    StartAt::Time(time) => log.offset_at(&at, TimestampMs(time)),
                };
                start.map_err(EngineError::of_statement)
            })
            .collect()
    }

    /// Starts to read a source table from its positions.
    pub(crate) fn start_source(&mut self, id: TableId) -> Result<(), EngineError> {
        let Some(table) = self.tables.get(&id) else { return Ok(()) };
        let Some(source) = table.source_def() else { return Ok(()) };
        let from = self.positions_of(id).map(|(partition, position)| (partition, position.next)).collect();
        let topic = (source.topic.as_str(), &from);
        let reader = Source::start((id, &table.def.name), &self.parts.log, topic, &self.events_in, &self.shared)?;
        self.sources.insert(id, reader);
        Ok(())
    }

    fn create_stream(&mut self, mut def: TableDef, graph: &Graph<std::sync::Arc<dyn Eval>>) -> Result<(), EngineError> {
        def.created = self.chain.epoch.next();
        let (table, staged) = self.stage_stream(def.clone(), graph, self.now())?;
        let fingerprint = graph.fingerprint();
        let change = CatalogChange::CreateTable { id: def.id, sql: def.sql.clone(), fingerprint, start: Vec::new() };
        let mut catalog = self.catalog.clone();
        catalog.add_table(def.clone())?;
        self.tables.insert(def.id, table);
        if let Err(error) = self.commit(staged, Some(change)) {
            self.tables.remove(&def.id);
            return Err(error);
        }
        self.catalog = catalog;
        self.publish_status();
        Ok(())
    }

    /// A new stream table, complete: its first refresh, over all that its inputs hold, is staged.
    pub(crate) fn stage_stream(
        &self,
        def: TableDef,
        graph: &Graph<std::sync::Arc<dyn Eval>>,
        timestamp: TimestampMs,
    ) -> Result<(Table, Staged), EngineError> {
        let TableKind::Stream(stream) = &def.kind else { unreachable!("CREATE STREAM TABLE makes a stream table") };
        for input in &stream.inputs {
            let input = &self.tables[input];
            if let Some(error) = &input.error {
                let message = format!("table {} is in ERROR: {error}", input.def.name);
                let hint = Some("mend it first: a table made now would start from old contents".to_string());
                return Err(StatementError { sqlstate: "55000", message, hint, position: None }.into());
            }
        }
        let inputs = self.contents_of(&stream.inputs)?;
        let flow = TableFlow::new(def.id, graph, &mut Arrangement::new);
        let arrangement = Arrangement::new(contents_id(def.id), Contents::law(&def));
        let contents = Contents::with_rows(&def, arrangement, 0);
        let input_defs = stream.inputs.iter().map(|id| &self.tables[id].def).collect::<Vec<_>>();
        let id = def.id;
        let codec = RowCodec::new(def.columns.schema());
        let mut table = Table::stream(def, contents, flow, input_defs.into_iter(), &mut Arrangement::new);
        let mut staged = Staged::at(timestamp);
        staged.touched.insert(id);
        match table.stage_refresh(inputs)? {
            Refresh::Done(delta) => staged.keep(id, delta, &codec, true),
            Refresh::Failed(error) => return Err(dataflow::FlowError::Row(error).into()),
        }
        Ok((table, staged))
    }

    /// All rows of tables, as deltas.
    pub(crate) fn contents_of(&self, tables: &[TableId]) -> Result<BTreeMap<TableId, Delta>, EngineError> {
        let mut all = BTreeMap::new();
        for id in tables {
            let table = &self.tables[id];
            let parts = table.contents.read(&table.contents.snapshot()).collect::<Result<Vec<_>, _>>()?;
            all.insert(*id, Delta::sum(table.def.columns.schema(), &parts));
        }
        Ok(all)
    }

    fn create_sink(&mut self, mut def: SinkDef) -> Result<(), EngineError> {
        let connector = def.options.get("connector").unwrap_or_default();
        cluster::check(&def.name, connector, &def.options, self.config.brokers.as_deref())?;
        def.created = self.chain.epoch.next();
        let partitions = self.sink_topic(&def)?;
        let input = &self.tables[&def.input];
        if let Some(error) = &input.error {
            let message = format!("table {} is in ERROR: {error}", input.def.name);
            let hint = Some("mend it first: the sink would start from old contents".to_string());
            return Err(StatementError { sqlstate: "55000", message, hint, position: None }.into());
        }
        let sink = Sink::new(def.clone(), &input.def, &self.config.pipeline, partitions);
        let mut staged = Staged::at(self.now());
        let epoch = self.chain.epoch.next();
        for part in input.contents.read(&input.contents.snapshot()) {
            staged.outputs.push((def.id, sink.encode(&part?, epoch, staged.timestamp, true)));
        }
        let mut catalog = self.catalog.clone();
        catalog.add_sink(def.clone())?;
        self.sinks.insert(def.id, sink);
        let change = CatalogChange::CreateSink { id: def.id, sql: def.sql.clone() };
        if let Err(error) = self.commit(staged, Some(change)) {
            self.sinks.remove(&def.id);
            return Err(error);
        }
        self.catalog = catalog;
        Ok(())
    }

    /// Makes a sink's topic if it is missing; answers its number of partitions.
    fn sink_topic(&self, def: &SinkDef) -> Result<u32, EngineError> {
        if def.connector != SinkConnector::Log {
            return Ok(1);
        }
        let kind = match def.envelope {
            SinkEnvelope::Upsert => TopicKind::Compacted,
            SinkEnvelope::Debezium | SinkEnvelope::Append => TopicKind::Plain,
        };
        let spec =
            TopicSpec { topic: def.topic.clone(), partitions: def.partitions, replication: def.replication, kind };
        let info = self.parts.log.make_topic(&spec).map_err(EngineError::of_statement)?;
        Ok(info.partitions)
    }

    fn drop(&mut self, sink: bool, name: &str, cascade: bool) -> Result<(), EngineError> {
        let change = CatalogChange::Drop { sink, name: name.to_string(), cascade };
        let mut catalog = self.catalog.clone();
        let gone = drop_from(&mut catalog, sink, name, cascade)?;
        self.commit(Staged::at(self.now()), Some(change))?;
        self.catalog = catalog;
        self.forget(gone);
        Ok(())
    }

    /// Drops as a record says.
    pub(crate) fn replay_drop(&mut self, sink: bool, name: &str, cascade: bool) -> Result<(), EngineError> {
        let gone = drop_from(&mut self.catalog, sink, name, cascade)?;
        self.forget(gone);
        Ok(())
    }

    fn forget(&mut self, (sinks, tables): (Vec<SinkId>, Vec<TableId>)) {
        for sink in sinks {
            self.sinks.remove(&sink);
        }
        for table in tables {
            self.sources.remove(&table);
            self.tables.remove(&table);
            self.positions.retain(|(owner, _), _| *owner != table);
        }
        self.publish_status();
    }
}

/// Compares the outcome of a table made again with the record of its making.
pub(crate) fn same_outcome(staged: &Staged, id: TableId, recorded: Option<&Outcome>) -> bool {
    staged.outcomes.get(&id) == recorded
}

type Gone = (Vec<SinkId>, Vec<TableId>);

fn drop_from(catalog: &mut plan::Catalog, sink: bool, name: &str, cascade: bool) -> Result<Gone, EngineError> {
    if sink {
        return Ok((vec![catalog.drop_sink(name)?.id], Vec::new()));
    }
    let (sinks, tables) = catalog.drop_table(name, cascade)?;
    Ok((sinks.iter().map(|sink| sink.id).collect(), tables.iter().map(|table| table.id).collect()))
}

fn done(tag: &str) -> Reply {
    Reply { tag: tag.to_string(), ..Reply::default() }
}

fn first_words(statement: &str) -> String {
    statement.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}
