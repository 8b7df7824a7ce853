//! The topic of a table of our own: what it is called, how it is made, where the table begins in it.
//!
//! A table begins empty. A topic that holds records is refused, unless they are those of a table of this pipeline that was
//! dropped: the new table then begins behind them, and they are never read again.

use std::collections::BTreeMap;

use api::{TopicKind, TopicPartition, TopicSpec};
use dataflow::StatementError;
use plan::{SourceDef, TableDef, TableKind};
use zset::{Offset, Partition};

use crate::inputs::first_from;
use crate::{Engine, EngineError};

/// How far dropped tables of our own had written their topics.
pub(crate) type Retired = BTreeMap<(String, Partition), Offset>;

/// Names the topics that no option named.
pub(crate) fn name_topic(def: &mut TableDef, pipeline: &str) {
    let name = &def.name;
    if let TableKind::Source(source) = &mut def.kind
        && source.is_own()
    {
        if source.topic.is_empty() {
            source.topic = format!("{pipeline}.{name}");
        }
        if source.dlq_topic.is_empty() {
            source.dlq_topic = format!("{name}.dlq");
        }
    }
}

fn spec(def: &TableDef, source: &SourceDef) -> TopicSpec {
    TopicSpec {
        topic: source.topic.clone(),
        partitions: source.partitions,
        replication: source.options.get("replication").and_then(|factor| factor.parse().ok()),
        kind: if def.key.is_empty() { TopicKind::OwnKeyless } else { TopicKind::OwnKeyed },
    }
}

fn refuse<T>(message: String, hint: &str) -> Result<T, EngineError> {
    let hint = Some(hint.to_string());
    Err(StatementError { sqlstate: "55000", message, hint, detail: None, position: None, about: None }.into())
}

impl Engine {
    /// Makes the topic of a new table, and says where each partition begins.
    pub(crate) fn make_own_topic(
        &self,
        def: &TableDef,
        source: &SourceDef,
    ) -> Result<Vec<(Partition, Offset)>, EngineError> {
        let topic = &source.topic;
        if let Some(user) = self.user_of_topic(topic) {
            return refuse(
                format!("topic \"{topic}\" cannot be the topic of table \"{}\": {user} writes to it", def.name),
                "give another by WITH (topic = '...'), or another name to the table",
            );
        }
        // A topic that somebody deleted begins anew, wherever a table that was dropped had been.
        let anew = self.parts.log.topic(topic).map_err(EngineError::of_statement)?.is_none();
        let info = self.parts.log.make_topic(&spec(def, source)).map_err(EngineError::of_statement)?;
        let mut reader = self.parts.log.reader(&Default::default()).map_err(EngineError::of_statement)?;
        let mut starts = Vec::new();
        for partition in (0..info.partitions as i32).map(Partition) {
            let at = TopicPartition { topic: topic.as_str().into(), partition };
            let bounds = self.parts.log.bounds(&at).map_err(EngineError::of_statement)?;
            let retired = self.retired.get(&(topic.clone(), partition)).filter(|_| !anew);
            let left = retired.copied().unwrap_or(bounds.low).max(bounds.low);
            // Of a transaction that was just committed the end may not be told yet.
            if left < bounds.high
                && let Some(record) = first_from(&mut *reader, &at, left, &self.shared)?
            {
                return refuse(
                    format!(
                        "topic \"{topic}\" has a record at partition {partition} offset {}: table \"{}\" would not begin empty",
                        record.offset, def.name
                    ),
                    "delete the topic, or give another by WITH (topic = '...'); to read its records, CREATE TABLE ... WITH \
                     (connector = ...)",
                );
            }
            starts.push((partition, left));
        }
        Ok(starts)
    }

    /// Verifies that the topics of our own tables still lose nothing.
    pub(crate) fn verify_own_topics(&self) -> Result<(), EngineError> {
        for table in self.tables.values().filter(|table| table.def.is_own()) {
            let Some(source) = table.def.source() else { continue };
            self.parts.log.make_topic(&spec(&table.def, source)).map_err(|error| match error {
                api::LogError::Unusable(why) => {
                    EngineError::Recovery(format!("cannot go on with table {}: {why}", table.def.name))
                }
                other => other.into(),
            })?;
        }
        Ok(())
    }
}
