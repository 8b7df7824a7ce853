//! SHOW, and the status that other threads see.

use std::collections::BTreeMap;

use dataflow::Show;
use plan::{SinkConnector, TableDef, TableKind};
use zset::TimestampMs;

use crate::shared::{SourceStatus, TableStatus};
use crate::stage::Staged;
use crate::table::Work;
use crate::{Engine, Reply};

impl Engine {
    /// The answer to a SHOW statement.
    pub(crate) fn show(&self, show: Show) -> Reply {
        let (columns, rows): (Vec<&'static str>, Vec<Vec<Option<String>>>) = match show {
            Show::Tables => (vec!["name", "kind"], self.tables.values().map(|t| kind_row(&t.def)).collect()),
            Show::StreamTables => {
                (vec!["name", "status", "frontier", "rows", "key", "error"], self.stream_rows().collect())
            }
            Show::Sources => (
                vec!["name", "topic", "partition", "position", "end", "lag", "dead_letters"],
                self.source_rows().collect(),
            ),
            Show::Sinks => (vec!["name", "kind", "status", "epoch", "pending"], self.sink_rows().collect()),
            Show::State => (vec!["table", "operator", "rows", "bytes", "batches"], self.state_rows()),
        };
        Reply { tag: "SHOW".to_string(), notices: Vec::new(), columns, rows }
    }

    fn stream_rows(&self) -> impl Iterator<Item = Vec<Option<String>>> {
        let streams = self.tables.values().filter(|table| matches!(table.def.kind, TableKind::Stream(_)));
        streams.map(|table| {
            let key: Vec<&str> = table.def.key_columns().map(|column| column.name.as_str()).collect();
            let status = if table.error.is_some() { "ERROR" } else { "ACTIVE" };
            vec![
                some(&table.def.name),
                some(status),
                some(self.chain.epoch),
                some(table.contents.rows()),
                (!key.is_empty()).then(|| key.join(", ")),
                table.error.clone(),
            ]
        })
    }

    fn source_rows(&self) -> impl Iterator<Item = Vec<Option<String>>> {
        let seen = self.shared.sources();
        self.positions.iter().filter_map(move |((id, partition), position)| {
            let table = self.tables.get(id)?;
            let key = (table.def.name.clone(), table.source_def()?.topic.clone(), *partition);
            let end = seen.get(&key).map_or(position.next, |status| status.end.max(position.next));
            let (table, topic, _) = key;
            Some(vec![
                some(table),
                some(topic),
                some(partition),
                some(position.next),
                some(end),
                some(end.0 - position.next.0),
                some(position.dead_letters),
            ])
        })
    }

    fn sink_rows(&self) -> impl Iterator<Item = Vec<Option<String>>> {
        self.sinks.values().map(|sink| {
            let kind = if sink.def.connector == SinkConnector::Log { "attached" } else { "detached" };
            let status = sink.error.as_ref().map_or("ACTIVE".to_string(), |error| format!("ERROR: {error}"));
            vec![some(&sink.def.name), some(kind), some(status), some(self.chain.epoch), some(0)]
        })
    }

    fn state_rows(&self) -> Vec<Vec<Option<String>>> {
        let mut rows = Vec::new();
        for table in self.tables.values() {
            let mut add = |operator: String, arrangement: &state::Arrangement| {
                let snapshot = arrangement.committed();
                rows.push(vec![
                    some(&table.def.name),
                    Some(operator),
                    some(snapshot.entries()),
                    some(snapshot.bytes()),
                    some(snapshot.batches()),
                ]);
            };
            add("contents".to_string(), table.contents.arrangement());
            if let Work::Stream { flow, .. } = &table.work {
                for operator in flow.operators() {
                    for arrangement in operator.arrangements {
                        add(format!("{} {}", operator.node, operator.name), arrangement);
                    }
                }
            }
        }
        rows
    }

    /// Publishes the frontier and the state of sources and tables.
    pub(crate) fn publish_status(&self) {
        let tables: BTreeMap<String, TableStatus> = self
            .tables
            .values()
            .map(|table| {
                let status = TableStatus { rows: table.contents.rows(), error: table.error.clone() };
                (table.def.name.clone(), status)
            })
            .collect();
        self.shared.publish(|published| {
            let mut sources = BTreeMap::new();
            for ((id, partition), position) in &self.positions {
                let Some(table) = self.tables.get(id) else { continue };
                let Some(source) = table.source_def() else { continue };
                let key = (table.def.name.clone(), source.topic.clone(), *partition);
                let seen = published.sources.get(&key).map_or(position.next, |status| status.end);
                sources.insert(key, SourceStatus { position: position.next, end: seen.max(position.next) });
            }
            published.sources = sources;
            published.tables = tables;
            published.epoch = self.chain.epoch;
            published.epoch_time = self.chain.timestamp;
        });
    }

    /// Counts a committed epoch.
    pub(crate) fn count(&self, staged: &Staged) {
        let metrics = &self.shared.metrics;
        metrics.epochs.inc();
        metrics.missing_retractions.inc_by(staged.missing_retractions);
        for range in staged.inputs.iter().filter(|range| range.dead_letters > 0) {
            if let Some(table) = self.tables.get(&range.table) {
                metrics.dead_letters(&table.def.name, range.dead_letters);
            }
        }
        for (id, delta) in &staged.deltas {
            if let Some(table) = self.tables.get(id) {
                metrics.rows_changed(&table.def.name, delta.len() as u64);
            }
        }
        for table in staged.outcomes.iter().filter(|(_, outcome)| matches!(outcome, plan::Outcome::Error(_))) {
            if let Some(table) = self.tables.get(table.0) {
                metrics.refresh_failed(&table.def.name);
            }
        }
        for (id, output) in &staged.outputs {
            if let (Some(sink), crate::sink::Output::Records(records)) = (self.sinks.get(id), output) {
                metrics.sent(&sink.def.name, records);
            }
        }
        let TimestampMs(now) = self.chain.timestamp;
        metrics.epoch.set(self.chain.epoch.0 as i64);
        metrics.epoch_time.set(now as f64 / 1000.0);
    }
}

fn kind_row(def: &TableDef) -> Vec<Option<String>> {
    let kind = if matches!(def.kind, TableKind::Source(_)) { "source table" } else { "stream table" };
    vec![some(&def.name), some(kind)]
}

fn some(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}
