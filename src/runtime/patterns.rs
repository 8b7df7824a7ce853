//! `topic_pattern`: the topics that match when a source is made, and those that come later, each added by an epoch of its own, so that
//! a replay has the same at the same places. What this pipeline writes itself is never read so.

use dataflow::StatementError;
use plan::{CatalogChange, TableDef, TableId, TableKind};
use zset::Partition;

use crate::feed::Feed;
use crate::source::Trouble;
use crate::stage::Staged;
use crate::{Engine, EngineError};

/// Puts topics behind those that a source has.
pub(crate) fn put_topics(def: &mut TableDef, topics: &[String]) {
    if let TableKind::Source(source) = &mut def.kind {
        source.add_topics(topics);
    }
}

impl Engine {
    /// The topics of a new source that finds them by a pattern, now its own.
    pub(crate) fn find_topics(&self, def: &mut TableDef) -> Result<Vec<String>, EngineError> {
        let Some(source) = def.source() else { return Ok(Vec::new()) };
        let Some(pattern) = source.topic_pattern() else { return Ok(Vec::new()) };
        let feed = Feed::finding(&self.parts, source).map_err(EngineError::of_statement)?;
        let found = feed.found_topics().map_err(EngineError::of_statement)?;
        let topics = self.without_ours(def, found);
        if topics.is_empty() {
            return Err(StatementError {
                sqlstate: "42704",
                message: format!("no topic in {} matches '{pattern}'", feed.transport.name()),
                hint: Some(
                    "it is to match a whole name; topics that this pipeline writes do not count; make the first topic before the \
                     table"
                        .to_string(),
                ),
                detail: None,
                position: None,
                about: None,
            }
            .into());
        }
        put_topics(def, &topics);
        Ok(topics)
    }

    /// Those of the topics found for a source that it is to read, as far as there is room for them.
    pub(crate) fn foreign_topics(&self, id: TableId, found: Vec<String>) -> Vec<String> {
        self.tables.get(&id).map(|table| self.without_ours(&table.def, found)).unwrap_or_default()
    }

    fn without_ours(&self, def: &TableDef, mut found: Vec<String>) -> Vec<String> {
        let Some(source) = def.source() else { return Vec::new() };
        found.retain(|topic| {
            let has = source.topics().any(|there| there == topic);
            !has && *topic != source.dlq_topic && !self.is_written(topic)
        });
        let room = Partition::TOPICS_MAX - source.topics().count();
        if found.len() > room {
            tracing::warn!(table = %def.name, "only {} topics can be read as one: others that match are not read", Partition::TOPICS_MAX);
            found.truncate(room);
        }
        found
    }

    /// Reads more topics, from their first records.
    pub(crate) fn add_topics(&mut self, id: TableId, topics: &[String]) -> Result<(), EngineError> {
        let change = CatalogChange::AddTopics { id, topics: topics.to_vec() };
        self.commit(Staged::at(self.now()), Some(change))?;
        self.install_topics(id, topics);
        self.sources.remove(&id);
        match self.start_source(id) {
            Err(EngineError::Log(why)) => self.trouble(id, Trouble::Log(api::LogError::Retriable(why)))?,
            started => started?,
        }
        self.publish_status();
        Ok(())
    }

    /// The topics are a source's own; its reader begins anew with [`Engine::start_source`].
    pub(crate) fn install_topics(&mut self, id: TableId, topics: &[String]) {
        let Some(table) = self.tables.get_mut(&id) else { return };
        put_topics(&mut table.def, topics);
        let def = table.def.clone();
        tracing::info!(table = %def.name, "source {} reads topics {} too", def.name, topics.join(", "));
        self.catalog.replace_table(def);
        self.catalog_seen = None;
    }
}
