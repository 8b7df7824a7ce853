//! The catalog: tables and sinks by name, and who depends on whom.
//!
//! Serialised into every checkpoint; what is derived (graphs, codecs) is planned again from the SQL.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{SinkConnector, SinkDef, SinkId, StreamDef, TableDef, TableId, TableKind};

/// Why a change of the catalog is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("relation \"{0}\" already exists; drop it first, or use another name")]
    Exists(String),
    /// There is no such name.
    #[error("relation \"{0}\" does not exist; SHOW TABLES, SHOW STREAM TABLES and SHOW SINKS list what does")]
    Missing(String),
    /// Others stand on it.
    #[error("cannot drop {name} because {} on it; drop them first, or say DROP ... CASCADE", depend(.dependents))]
    Dependents {
        /// What was to be dropped.
        name: String,
        /// Who stands on it.
        dependents: Vec<String>,
    },
}

fn depend(names: &[String]) -> String {
    let verb = if names.len() == 1 { "depends" } else { "depend" };
    format!("{} {verb}", names.join(", "))
}

/// Tables and sinks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    tables: BTreeMap<TableId, TableDef>,
    sinks: BTreeMap<SinkId, SinkDef>,
    next_id: u32,
    /// The topics of sinks and tables that were dropped: their records are those of this pipeline for ever.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    written: BTreeSet<String>,
}

impl Catalog {
    /// A new id, never given before. Tables and sinks share the numbers.
    pub fn next_id(&self) -> u32 {
        self.next_id + 1
    }

    /// Adds a table; its id must be [`Catalog::next_id`].
    pub fn add_table(&mut self, table: TableDef) -> Result<(), CatalogError> {
        if self.name_taken(&table.name) {
            return Err(CatalogError::Exists(table.name));
        }
        self.next_id = self.next_id.max(table.id.0);
        self.tables.insert(table.id, table);
        Ok(())
    }

    /// Adds a sink; its id must be [`Catalog::next_id`].
    pub fn add_sink(&mut self, sink: SinkDef) -> Result<(), CatalogError> {
        if self.name_taken(&sink.name) {
            return Err(CatalogError::Exists(sink.name));
        }
        self.next_id = self.next_id.max(sink.id.0);
        self.sinks.insert(sink.id, sink);
        Ok(())
    }

    /// Whether a table or sink has this name.
    pub fn name_taken(&self, name: &str) -> bool {
        self.table_named(name).is_some() || self.sink_named(name).is_some()
    }

    /// The tables in order of creation, which is a topological order: a table reads only older ones.
    pub fn tables(&self) -> impl Iterator<Item = &TableDef> {
        self.tables.values()
    }

    /// The sinks in order of creation.
    pub fn sinks(&self) -> impl Iterator<Item = &SinkDef> {
        self.sinks.values()
    }

    /// A table by id.
    pub fn table(&self, id: TableId) -> Option<&TableDef> {
        self.tables.get(&id)
    }

    /// A sink by id.
    pub fn sink(&self, id: SinkId) -> Option<&SinkDef> {
        self.sinks.get(&id)
    }

    /// A table by name.
    pub fn table_named(&self, name: &str) -> Option<&TableDef> {
        self.tables.values().find(|table| table.name == name)
    }

    /// A sink by name.
    pub fn sink_named(&self, name: &str) -> Option<&SinkDef> {
        self.sinks.values().find(|sink| sink.name == name)
    }

    /// Whether a sink or a table that was dropped wrote a topic.
    pub fn was_written(&self, topic: &str) -> bool {
        self.written.contains(topic)
    }

    /// The stream tables that read a table, directly.
    pub fn readers(&self, id: TableId) -> impl Iterator<Item = &TableDef> {
        self.tables.values().filter(move |table| match &table.kind {
            TableKind::Stream(stream) => stream.inputs.contains(&id),
            TableKind::Source(_) => false,
        })
    }

    /// The catalog as a stream table's query was planned on it: its inputs have the columns that they had then.
    pub fn as_planned(&self, stream: &StreamDef) -> Catalog {
        let mut catalog = self.clone();
        for (at, columns) in stream.input_columns.iter().enumerate() {
            let Some(input) = stream.inputs.get(at).and_then(|id| catalog.tables.get_mut(id)) else { continue };
            if let Some(positions) = stream.input_positions.get(at) {
                let then = |key: &usize| positions.iter().position(|position| position.as_ref() == Some(key));
                input.key = input.key.iter().filter_map(then).collect();
            }
            input.columns = columns.clone();
        }
        catalog
    }

    /// The catalog without a table, whatever stands on it: to plan its statement again.
    #[must_use]
    pub fn without(mut self, table: TableId) -> Catalog {
        self.tables.remove(&table);
        self
    }

    /// Puts another definition of a table in the place of the one that is there.
    pub fn replace_table(&mut self, table: TableDef) {
        assert!(self.tables.contains_key(&table.id), "table {} is there", table.name);
        self.tables.insert(table.id, table);
    }

    /// Removes a table, with `cascade` also all that stands on it. Returns what went, dependents first.
    pub fn drop_table(&mut self, name: &str, cascade: bool) -> Result<(Vec<SinkDef>, Vec<TableDef>), CatalogError> {
        let root = self.table_named(name).ok_or_else(|| CatalogError::Missing(name.to_string()))?.id;
        let mut doomed = vec![root];
        let mut at = 0;
        while at < doomed.len() {
            let more: Vec<TableId> = self.readers(doomed[at]).map(|t| t.id).filter(|id| !doomed.contains(id)).collect();
            doomed.extend(more);
            at += 1;
        }
        let sinks: Vec<SinkId> = self.sinks.values().filter(|s| doomed.contains(&s.input)).map(|s| s.id).collect();
        if !cascade && (doomed.len() > 1 || !sinks.is_empty()) {
            let tables = doomed[1..].iter().filter_map(|id| self.table(*id)).map(|t| t.name.clone());
            let sinks = sinks.iter().filter_map(|id| self.sink(*id)).map(|s| s.name.clone());
            return Err(CatalogError::Dependents { name: name.to_string(), dependents: tables.chain(sinks).collect() });
        }
        doomed.sort_unstable();
        let sinks: Vec<SinkDef> = sinks.iter().filter_map(|id| self.sinks.remove(id)).collect();
        let tables: Vec<TableDef> = doomed.iter().rev().filter_map(|id| self.tables.remove(id)).collect();
        self.written.extend(sinks.iter().filter_map(written_by_sink));
        let sources = tables.iter().filter_map(TableDef::source);
        self.written.extend(sources.map(|source| source.written_topic().to_string()));
        Ok((sinks, tables))
    }

    /// Removes a sink.
    pub fn drop_sink(&mut self, name: &str) -> Result<SinkDef, CatalogError> {
        let id = self.sink_named(name).ok_or_else(|| CatalogError::Missing(name.to_string()))?.id;
        let sink = self.sinks.remove(&id).ok_or_else(|| CatalogError::Missing(name.to_string()))?;
        self.written.extend(written_by_sink(&sink));
        Ok(sink)
    }
}

fn written_by_sink(sink: &SinkDef) -> Option<String> {
    (sink.connector == SinkConnector::Log).then(|| sink.topic.clone())
}
