//! An epoch record in one line.

use std::collections::BTreeMap;
use std::fmt::Write;

use plan::{Catalog, CatalogChange, EpochRecord, InputRange, Outcome, SinkId, TableId};

/// What tables and sinks are called: by a checkpoint's catalog, and by the statements that were met.
#[derive(Debug, Clone, Default)]
pub struct Names {
    tables: BTreeMap<TableId, String>,
    sinks: BTreeMap<SinkId, String>,
}

impl Names {
    /// The names of a catalog.
    pub fn add(&mut self, catalog: &Catalog) {
        self.tables.extend(catalog.tables().map(|table| (table.id, table.name.clone())));
        self.sinks.extend(catalog.sinks().map(|sink| (sink.id, sink.name.clone())));
    }

    /// The names that a record gives.
    pub fn learn(&mut self, record: &EpochRecord) {
        match &record.catalog {
            Some(CatalogChange::CreateTable { id, sql, .. }) => drop(self.tables.insert(*id, created(sql))),
            Some(CatalogChange::CreateSink { id, sql }) => drop(self.sinks.insert(*id, created(sql))),
            _ => {}
        }
    }

    /// The name of a table, else its number.
    pub fn table(&self, id: TableId) -> String {
        self.tables.get(&id).cloned().unwrap_or_else(|| format!("table {id}"))
    }

    fn sink(&self, id: SinkId) -> String {
        self.sinks.get(&id).cloned().unwrap_or_else(|| format!("sink {}", id.0))
    }
}

/// The name in a normalised CREATE statement, whose tokens have blanks between.
fn created(sql: &str) -> String {
    let passed = ["CREATE", "STREAM", "MATERIALIZED", "TABLE", "VIEW", "SOURCE", "SINK", "IF", "NOT", "EXISTS"];
    let mut words = sql.split_whitespace().skip_while(|word| passed.contains(&word.to_uppercase().as_str()));
    words.next().unwrap_or_default().trim_matches('"').to_string()
}

/// A record in one line: `generation 2 | read orders[0] 4..9 (5) | orders +1f..., bad ERROR: ...`.
pub fn describe(record: &EpochRecord, names: &Names) -> String {
    let mut parts = vec![format!("generation {}", record.generation.0)];
    if let Some(change) = &record.catalog {
        parts.push(change_text(change, names));
    }
    if let Some(mended) = &record.mended {
        parts.push(format!("{} is {:?}: {}", names.table(mended.table), mended.way, mended.reason));
    }
    let inputs: Vec<String> = record.inputs.iter().map(|range| range_text(range, names)).collect();
    if !inputs.is_empty() {
        parts.push(format!("read {}", inputs.join(", ")));
    }
    let tables = record.tables.iter().map(|table| {
        let name = names.table(table.table);
        match &table.outcome {
            Outcome::Digest(digest) => format!("{name} {digest}"),
            Outcome::Error(error) => format!("{name} ERROR: {error}"),
            Outcome::Suspended(error) => format!("{name} SUSPENDED: {error}"),
        }
    });
    let tables: Vec<String> = tables.collect();
    if !tables.is_empty() {
        parts.push(tables.join(", "));
    }
    parts.extend(record.sinks.iter().map(|failure| format!("{} ERROR: {}", names.sink(failure.sink), failure.reason)));
    parts.extend(
        record
            .released
            .iter()
            .map(|release| format!("{} wrote {} records that had waited", names.sink(release.sink), release.records)),
    );
    parts.extend(record.halts.iter().map(|halt| format!("{} stopped: {}", names.table(halt.table), halt.reason)));
    parts.join(" | ").replace(['\n', '\r'], " ")
}

fn range_text(range: &InputRange, names: &Names) -> String {
    // Of a source of several topics the numbers alone say nothing.
    let topic = if range.partition.place() > 0 { format!("{} ", range.topic) } else { String::new() };
    let mut text = format!(
        "{}[{topic}{}] {}..{} ({}",
        names.table(range.table),
        range.partition,
        range.range.start,
        range.range.end,
        range.count
    );
    if range.dead_letters > 0 {
        let _ = write!(text, ", {} dead", range.dead_letters);
    }
    text.push(')');
    text
}

fn change_text(change: &CatalogChange, names: &Names) -> String {
    match change {
        CatalogChange::CreateTable { sql, .. }
        | CatalogChange::AlterTable { sql, .. }
        | CatalogChange::CreateSink { sql, .. } => plan::without_passwords(sql),
        CatalogChange::AddTopics { id, topics } => {
            format!("{} reads topics {} too", names.table(*id), topics.join(", "))
        }
        CatalogChange::ResumeStreams { tables, .. } => {
            let names: Vec<String> = tables.iter().map(|table| names.table(*table)).collect();
            format!("RESUME {}", names.join(", "))
        }
        CatalogChange::ReplayDeadLetters { table, .. } => format!("REPLAY DEAD LETTERS FROM {}", names.table(*table)),
        CatalogChange::Drop { name, cascade, .. } => {
            format!("DROP {name}{}", if *cascade { " CASCADE" } else { "" })
        }
    }
}
