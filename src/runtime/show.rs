//! SHOW, and the status that other threads see.

use std::collections::BTreeMap;

use api::TargetError;
use dataflow::Show;
use plan::{SinkConnector, TableDef, TableKind};
use state::{Budget, Part};
use zset::TimestampMs;

use crate::shared::{SourceStatus, TableStatus};
use crate::sink::Way;
use crate::stage::Staged;
use crate::table::{Table, Work};
use crate::{Engine, Job, Jobs, Reply};

impl Engine {
    /// The answer to a SHOW statement.
    pub(crate) fn show(&self, show: Show) -> Reply {
        let rows: Vec<Vec<Option<String>>> = match show {
            Show::Tables => self.tables.values().map(|table| self.table_row(table)).collect(),
            Show::StreamTables => self.stream_rows().collect(),
            Show::Sources => self.source_rows().collect(),
            Show::Sinks => self.sink_rows().collect(),
            Show::Jobs => job_rows(&self.shared.jobs),
            Show::State => self.state_rows(),
            Show::Memory => {
                self.measure_memory();
                memory_rows(&self.parts.memory)
            }
        };
        let columns = show.columns().iter().map(|(name, _)| *name).collect();
        Reply { tag: "SHOW".to_string(), notices: Vec::new(), columns, rows }
    }

    fn table_row(&self, table: &Table) -> Vec<Option<String>> {
        let mut row = kind_row(&table.def);
        row.extend(self.status(table));
        row
    }

    /// Whether a table follows its input, and why not.
    fn status(&self, table: &Table) -> [Option<String>; 2] {
        let halted = self.halts.get(&table.def.id).or_else(|| self.lost.get(&table.def.id));
        match (halted, &table.error) {
            (Some(reason), _) => [some("HALTED"), some(reason)],
            (None, Some(error)) => [some("ERROR"), some(error)],
            (None, None) => [some("ACTIVE"), None],
        }
    }

    fn stream_rows(&self) -> impl Iterator<Item = Vec<Option<String>>> {
        let streams = self.tables.values().filter(|table| matches!(table.def.kind, TableKind::Stream(_)));
        streams.map(|table| {
            let key: Vec<&str> = table.def.key_columns().map(|column| column.name.as_str()).collect();
            let status = match &table.error {
                Some(_) if table.suspended => "SUSPENDED",
                Some(_) => "ERROR",
                None => "ACTIVE",
            };
            vec![
                some(&table.def.name),
                some(status),
                some(table.frontier.unwrap_or(self.chain.epoch)),
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
            let source = table.source_def().filter(|source| !source.is_own())?;
            let key = (table.def.name.clone(), source.topic_of(*partition).to_string(), *partition);
            let end = seen.get(&key).map_or(position.next, |status| status.end.max(position.next));
            let [status, error] = self.status(table);
            let (table, topic, _) = key;
            Some(vec![
                some(table),
                some(topic),
                some(partition),
                some(position.next),
                some(end),
                some(end.0 - position.next.0),
                some(position.dead_letters),
                status,
                error,
            ])
        })
    }

    fn sink_rows(&self) -> impl Iterator<Item = Vec<Option<String>>> {
        self.sinks.values().map(|sink| {
            let kind = if sink.def.connector == SinkConnector::Log { "attached" } else { "detached" };
            let (trouble, epoch, pending) = match &sink.way {
                Way::Outbox(outbox) => {
                    let pending = outbox.pending_of(self.tables[&sink.def.input].contents.rows());
                    (outbox.trouble(), outbox.frontier(self.chain.epoch), pending)
                }
                Way::Topic(backlog) => (None, backlog.frontier(self.chain.epoch), backlog.pending()),
                Way::Direct | Way::File(_) => (None, Some(self.chain.epoch), 0),
            };
            let resynchronises = matches!(&sink.way, Way::Outbox(outbox) if outbox.resynchronises());
            let status = match (&sink.error, trouble) {
                (Some(error), _) => format!("ERROR: {error}"),
                (None, Some(TargetError::Refused(error))) => format!("ERROR: {error}"),
                (None, Some(TargetError::Retriable(reason))) if resynchronises => format!("RESYNCHRONISING: {reason}"),
                (None, None) if resynchronises => "RESYNCHRONISING".to_string(),
                (None, Some(TargetError::Retriable(reason))) => format!("WAITING: {reason}"),
                (None, None) => "ACTIVE".to_string(),
            };
            vec![some(&sink.def.name), some(kind), some(status), epoch.map(|epoch| epoch.to_string()), some(pending)]
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
            if table.def.is_stored() {
                add("contents".to_string(), table.contents.arrangement());
                for (unique, index) in table.def.uniques().iter().zip(table.contents.index_arrangements()) {
                    add(format!("unique {}", unique.name), index);
                }
            }
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

    /// What a row of the keyed source with the longest rows takes, on average.
    fn row_bytes(&self) -> u64 {
        let keyed = self.tables.values().filter(|table| table.source_def().is_some() && !table.def.key.is_empty());
        let contents = keyed.map(|table| table.contents.arrangement().committed());
        contents.map(|rows| (rows.bytes_at_most() / rows.entries().max(1)) as u64).max().unwrap_or(0)
    }

    /// Publishes the frontier and the state of sources and tables.
    pub(crate) fn publish_status(&mut self) {
        self.shared.take_rows_max(self.config.rows_max(self.row_bytes(), &self.parts.memory));
        let view = self.view();
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
                let Some(source) = table.source_def().filter(|source| !source.is_own()) else { continue };
                let key = (table.def.name.clone(), source.topic_of(*partition).to_string(), *partition);
                let seen = published.sources.get(&key).map_or(position.next, |status| status.end);
                let last = position.last.as_ref().map(|last| last.timestamp);
                sources.insert(key, SourceStatus { position: position.next, last, end: seen.max(position.next) });
            }
            published.sources = sources;
            published.tables = tables;
            published.epoch = self.chain.epoch;
            published.epoch_time = self.chain.timestamp;
            published.view = view;
        });
    }

    /// Looks at what is taken that nobody counts.
    fn measure_memory(&self) {
        self.parts.memory.tell(Part::Log, self.parts.log.held_bytes());
        self.parts.memory.measure();
    }

    /// Counts a committed epoch.
    pub(crate) fn count(&self, staged: &Staged) {
        let metrics = &self.shared.metrics;
        metrics.epochs.inc();
        self.measure_memory();
        metrics.memory(&self.parts.memory);
        metrics.missing_retractions.inc_by(staged.missing_retractions);
        for range in staged.inputs.iter().filter(|range| range.dead_letters > 0) {
            if let Some(table) = self.tables.get(&range.table) {
                metrics.dead_letters(&table.def.name, range.dead_letters);
            }
        }
        for (id, times) in &staged.moves {
            if let Some(table) = self.tables.get(id) {
                metrics.keys_moved(&table.def.name, *times);
            }
        }
        let rows = staged.deltas.iter().map(|(id, delta)| (*id, delta.len() as u64));
        for (id, rows) in rows.chain(staged.in_pieces) {
            if let Some(table) = self.tables.get(&id) {
                metrics.rows_changed(&table.def.name, rows);
            }
        }
        for table in staged.outcomes.iter().filter(|(_, outcome)| matches!(outcome, plan::Outcome::Error(_))) {
            if let Some(table) = self.tables.get(table.0) {
                metrics.refresh_failed(&table.def.name);
            }
        }
        for (id, output) in &staged.outputs {
            if let Some(sink) = self.sinks.get(id) {
                metrics.sent(&sink.def.name, output);
            }
        }
        staged.touched.iter().filter_map(|id| self.tables.get(id)).for_each(|table| self.count_state(table));
        let TimestampMs(now) = self.chain.timestamp;
        metrics.epoch.set(self.chain.epoch.0 as i64);
        metrics.epoch_time.set(now as f64 / 1000.0);
    }
}

impl Engine {
    /// What a table that was touched keeps now, and what its operators gave.
    fn count_state(&self, table: &Table) {
        let metrics = &self.shared.metrics;
        let (mut rows, mut bytes) = (0, 0);
        let mut add = |arrangement: &state::Arrangement| {
            let snapshot = arrangement.committed();
            rows += snapshot.entries() as u64;
            bytes += snapshot.bytes() as u64;
        };
        add(table.contents.arrangement());
        table.contents.index_arrangements().for_each(&mut add);
        if let Work::Stream { flow, .. } = &table.work {
            for operator in flow.operators() {
                metrics.operator(&table.def.name, format!("{} {}", operator.node, operator.name), operator.rows);
                operator.arrangements.into_iter().for_each(&mut add);
            }
        }
        metrics.state(&table.def.name, rows, bytes);
    }
}

/// What memory is taken for, and of all of it how much may be taken.
fn memory_rows(budget: &Budget) -> Vec<Vec<Option<String>>> {
    let parts = Part::ALL.into_iter().map(|part| vec![some(part), some(budget.taken(part)), None]);
    let limit = (budget.limit() < u64::MAX).then(|| budget.limit().to_string());
    parts.chain([vec![some("all"), some(budget.total()), limit]]).collect()
}

/// The answer to SHOW JOBS.
pub(crate) fn job_rows(jobs: &Jobs) -> Vec<Vec<Option<String>>> {
    let row = |job: Job| {
        let progress = match job.total {
            Some(total) => format!("{} of {total} {}", job.done, job.unit),
            None if job.done > 0 => format!("{} {}", job.done, job.unit),
            None => String::new(),
        };
        let status = job.percent().map_or("running".to_string(), |percent| format!("running, {percent} %"));
        vec![
            some(job.kind),
            some(&job.object),
            some(status),
            (!progress.is_empty()).then_some(progress),
            some(format!("for {:.1} s", job.since.as_secs_f64())),
        ]
    };
    jobs.list().into_iter().map(row).collect()
}

fn kind_row(def: &TableDef) -> Vec<Option<String>> {
    let kind = match &def.kind {
        TableKind::Source(source) if source.is_own() => "table",
        TableKind::Source(source) if !source.stored => "source",
        TableKind::Source(_) => "source table",
        TableKind::Stream(_) => "stream table",
    };
    vec![some(&def.name), some(kind)]
}

fn some(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}
