//! CREATE SINK: the present rows of its table go out first, in the epoch that makes it. A database whose outbox cannot hold them
//! all is compared with the table instead, as one that was away for too long.

use api::{TopicKind, TopicSpec};
use dataflow::StatementError;
use plan::{CatalogChange, SinkConnector, SinkDef, SinkEnvelope};

use crate::sink::Sink;
use crate::stage::Staged;
use crate::{Engine, EngineError, cluster};

impl Engine {
    /// Makes a sink; answers what the user is told besides.
    pub(crate) fn create_sink(&mut self, mut def: SinkDef) -> Result<Vec<String>, EngineError> {
        let connector = def.options.get("connector").unwrap_or_default();
        cluster::check(&def.name, connector, &def.options, self.config.brokers.as_deref())?;
        def.created = self.chain.epoch.next();
        self.check_input(&def)?;
        let partitions = self.sink_topic(&def)?;
        let (way, notices) = self.new_way(&def, &self.tables[&def.input].def)?;
        let sink = Sink::new(def.clone(), &self.tables[&def.input].def, &self.config.pipeline, partitions, way);
        let mut staged = Staged::at(self.now());
        self.stage_filling(&mut staged, &sink)?;
        let mut catalog = self.catalog.clone();
        catalog.add_sink(def.clone())?;
        self.sinks.insert(def.id, sink);
        let change = CatalogChange::CreateSink { id: def.id, sql: def.sql.clone() };
        if let Err(error) = self.commit(staged, Some(change)) {
            self.sinks.remove(&def.id);
            return Err(error);
        }
        self.catalog = catalog;
        self.start_target(def.id)?;
        Ok(notices)
    }

    fn check_input(&self, def: &SinkDef) -> Result<(), EngineError> {
        let refuse = |sqlstate, message: String, hint: &str| {
            let hint = Some(hint.to_string());
            Err(StatementError { sqlstate, message, hint, detail: None, position: None, about: None }.into())
        };
        let input = &self.tables[&def.input];
        if let Some(trouble) = input.trouble() {
            let message = format!("table {} {trouble}", input.def.name);
            return refuse("55000", message, "mend it first: the sink would start from old contents");
        }
        Ok(())
    }

    /// Makes a sink's topic if it is missing; answers its number of partitions.
    fn sink_topic(&self, def: &SinkDef) -> Result<u32, EngineError> {
        if def.connector != SinkConnector::Log {
            return Ok(1);
        }
        self.refuse_sink_topic(def)?;
        let kind = match def.envelope {
            SinkEnvelope::Upsert => TopicKind::Compacted,
            SinkEnvelope::Debezium | SinkEnvelope::Append => TopicKind::Plain,
        };
        let spec =
            TopicSpec { topic: def.topic.clone(), partitions: def.partitions, replication: def.replication, kind };
        let info = self.parts.log.make_topic(&spec).map_err(EngineError::of_statement)?;
        Ok(info.partitions)
    }
}
