//! The model: it follows the transactions of the log, record by record, and knows what every table, sink and dead-letter
//! topic must hold after each. It shares no code with the engine but the reading of an epoch record's JSON.

use std::collections::{BTreeMap, BTreeSet};

use api::{Record, TopicPartition};
use plan::{CatalogChange, EpochRecord, InputRange, Outcome, SinkId, TableId};
use zset::Partition;

use super::log::SimLog;
use super::rows::Rows;
use super::shapes::SHAPES;
use super::sinks::{Envelope, SinkModel};
use super::sources::Kind;

/// What is wrong.
pub type Checked<T = ()> = Result<T, String>;

pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

/// What fills a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fills {
    Source(Kind),
    Stream { shape: usize, inputs: Vec<String> },
}

/// What statements of a run have defined, by name; a name is used once.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    pub tables: BTreeMap<String, Fills>,
    /// A sink's table and envelope.
    pub sinks: BTreeMap<String, (String, Envelope)>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct TableModel {
    pub name: String,
    pub fills: Fills,
    pub rows: Rows,
    pub in_error: bool,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// How many transactions it has followed.
    pub followed: usize,
    pub last: Option<EpochRecord>,
    pub hash: String,
    pub tables: BTreeMap<TableId, TableModel>,
    pub sinks: BTreeMap<SinkId, SinkModel>,
    pub positions: BTreeMap<(TableId, Partition), i64>,
    pub dead_letters: usize,
}

/// What an epoch did to tables.
#[derive(Default)]
struct Epoch {
    changed: BTreeSet<TableId>,
    failed: BTreeSet<TableId>,
    healed: BTreeSet<TableId>,
    /// Whose outcome is in the record whatever it is.
    told: BTreeSet<TableId>,
}

impl Model {
    pub fn epoch(&self) -> u64 {
        self.last.as_ref().map_or(0, |record| record.epoch.0)
    }

    pub fn named(&self, name: &str) -> Option<(TableId, &TableModel)> {
        self.tables.iter().find(|(_, table)| table.name == name).map(|(id, table)| (*id, table))
    }

    /// The tables that a stream table reads.
    pub fn inputs(&self, table: &TableModel) -> Vec<(TableId, &TableModel)> {
        let Fills::Stream { inputs, .. } = &table.fills else { return Vec::new() };
        inputs.iter().map(|name| self.named(name).expect("what is read is there")).collect()
    }

    pub fn evaluate(&self, shape: usize, inputs: &[String]) -> Result<Rows, super::shapes::RowFails> {
        let inputs: Vec<&Rows> = inputs.iter().map(|name| &self.named(name).expect("an input").1.rows).collect();
        (SHAPES[shape].eval)(&inputs)
    }

    /// Follows one transaction.
    pub fn follow(&mut self, transaction: &[Record], log: &SimLog, definitions: &Definitions) -> Checked {
        let (last, others) = transaction.split_last().ok_or("an empty transaction")?;
        ensure(&*last.at.topic == "p.epochs", || format!("a transaction ends with a record of {}", last.at.topic))?;
        let bytes = last.value.as_deref().ok_or("an epoch record without a value")?;
        let record = EpochRecord::decode(bytes).map_err(|error| error.to_string())?;
        let of = |what: String| format!("epoch {}: {what}", record.epoch);
        self.follow_record(&record, bytes, others, log, definitions).map_err(of)?;
        self.followed += 1;
        self.last = Some(record);
        Ok(())
    }

    fn follow_record(
        &mut self,
        record: &EpochRecord,
        bytes: &[u8],
        others: &[Record],
        log: &SimLog,
        definitions: &Definitions,
    ) -> Checked {
        self.check_chain(record)?;
        self.hash = EpochRecord::hash(bytes);
        let mut others: Vec<&Record> = others.iter().collect();
        let mut epoch = Epoch::default();
        self.read_inputs(record, &mut others, log, &mut epoch)?;
        let mut filled = None;
        match &record.catalog {
            Some(change) => filled = self.change(change, record, definitions, &mut epoch)?,
            None => self.refresh(record, &mut epoch),
        }
        self.check_outcomes(record, &epoch)?;
        for failure in &record.sinks {
            self.sinks.get_mut(&failure.sink).ok_or("a sink that is not there has failed")?.dead |= failure.for_good;
        }
        for sink in self.sinks.values_mut().filter(|sink| !sink.dead) {
            let (mine, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|other| *other.at.topic == *sink.topic);
            others = rest;
            let rows = &self.tables.values().find(|table| table.name == sink.table).ok_or("a sink's table")?.rows;
            sink.follow_epoch(&mine, record, filled.as_deref() == Some(&sink.name), rows)?;
        }
        ensure(others.is_empty(), || format!("records that belong to nothing: {others:?}"))
    }

    /// Records are numbered without gap, name the one before, and time does not go back.
    fn check_chain(&self, record: &EpochRecord) -> Checked {
        let Some(last) = &self.last else {
            return ensure(record.epoch.0 == 0 && record.previous.is_empty(), || "it is not the first".to_string());
        };
        ensure(record.epoch.0 == last.epoch.0 + 1, || format!("it follows epoch {}", last.epoch))?;
        ensure(record.previous == self.hash, || "it names another record as the one before".to_string())?;
        ensure(record.incarnation == last.incarnation, || "another incarnation".to_string())?;
        ensure(record.generation >= last.generation, || "an older generation".to_string())?;
        ensure(record.timestamp >= last.timestamp, || "time goes back".to_string())
    }

    /// Applies the records that the epoch says it has read, and takes those of statements and the dead letters out of the
    /// transaction.
    fn read_inputs(
        &mut self,
        record: &EpochRecord,
        others: &mut Vec<&Record>,
        log: &SimLog,
        epoch: &mut Epoch,
    ) -> Checked {
        let before: BTreeMap<TableId, Rows> =
            record.inputs.iter().map(|input| (input.table, self.tables[&input.table].rows.clone())).collect();
        let mut letters = Vec::new();
        for input in &record.inputs {
            let read = self.read_range(input, others, log)?;
            let table = self.tables.get_mut(&input.table).ok_or("an input of no table")?;
            let Fills::Source(kind) = table.fills else { return Err("a stream table has no input".to_string()) };
            let dead: Vec<&Record> = read.iter().filter(|record| !kind.apply(record, &mut table.rows)).collect();
            ensure(dead.len() as u64 == input.dead_letters, || format!("{} dead letters in {input:?}", dead.len()))?;
            letters.extend(dead.into_iter().map(|letter| (format!("{}.dlq", table.name), letter.clone())));
        }
        epoch.changed =
            before.into_iter().filter(|(id, rows)| self.tables[id].rows != *rows).map(|(id, _)| id).collect();
        let (dead, rest): (Vec<&Record>, Vec<&Record>) = others.iter().partition(|r| r.at.topic.ends_with(".dlq"));
        *others = rest;
        self.dead_letters += dead.len();
        let said = |record: &Record| (record.key.clone(), record.value.clone());
        let found: Vec<_> = dead.iter().map(|r| (r.at.topic.to_string(), said(r), origin(r))).collect();
        let from = |r: &Record| (Some(r.at.partition.to_string()), Some(r.offset.to_string()));
        let expected: Vec<_> = letters.iter().map(|(topic, r)| (topic.clone(), said(r), from(r))).collect();
        ensure(found == expected, || format!("dead letters {found:?}, and not {expected:?}"))
    }

    fn read_range(&mut self, input: &InputRange, others: &mut Vec<&Record>, log: &SimLog) -> Checked<Vec<Record>> {
        let table = self.tables.get(&input.table).ok_or("an input of no table")?;
        let own = matches!(table.fills, Fills::Source(kind) if kind.is_own());
        let place = (input.table, input.partition);
        let position = self.positions.get(&place).copied().unwrap_or(0);
        let (start, end) = (input.range.start.0, input.range.end.0);
        let follows = if own { position <= start } else { position == start };
        ensure(follows && start < end, || format!("{input:?} does not follow offset {position}"))?;
        self.positions.insert(place, end);
        let at = TopicPartition { topic: input.topic.as_str().into(), partition: input.partition };
        let read = match own {
            true => {
                let in_range = |r: &&Record| r.at == at && (start..end).contains(&r.offset.0);
                let (mine, rest): (Vec<&Record>, Vec<&Record>) = others.iter().partition(|r| in_range(r));
                *others = rest;
                mine.into_iter().cloned().collect()
            }
            false => log.range(&at, start, end),
        };
        ensure(read.len() as u64 == input.count, || format!("{} records in {input:?}", read.len()))?;
        Ok(read)
    }

    /// Stream tables, in the order of their ids.
    fn refresh(&mut self, record: &EpochRecord, epoch: &mut Epoch) {
        // What failed because it was told to, and would not again.
        let told = |id: TableId| {
            record
                .tables
                .iter()
                .any(|of| of.table == id && matches!(&of.outcome, Outcome::Error(text) if text.contains("failpoint")))
        };
        let ids: Vec<TableId> = self.tables.keys().copied().collect();
        for id in ids {
            let table = &self.tables[&id];
            let Fills::Stream { shape, inputs } = &table.fills else { continue };
            let reads = self.inputs(table);
            let was = table.in_error;
            let touched = reads.iter().any(|(input, _)| epoch.changed.contains(input));
            let fails = |(input, of): &&(TableId, &TableModel)| {
                epoch.failed.contains(input) || (of.in_error && !epoch.healed.contains(input))
            };
            let blocking = reads.iter().find(fails).map(|(input, _)| *input);
            let healed_above = reads.iter().any(|(input, _)| epoch.healed.contains(input));
            let outcome = match blocking {
                Some(input) if touched || (epoch.failed.contains(&input) && !was) => None,
                Some(_) => continue,
                None if touched || (was && healed_above) => self.evaluate(*shape, inputs).ok().filter(|_| !told(id)),
                None => continue,
            };
            let table = self.tables.get_mut(&id).expect("it is there");
            table.in_error = outcome.is_none();
            match outcome {
                None => {
                    epoch.failed.insert(id);
                }
                Some(rows) => {
                    if was {
                        epoch.healed.insert(id);
                    }
                    if rows != table.rows {
                        epoch.changed.insert(id);
                    }
                    table.rows = rows;
                }
            }
        }
    }

    /// A change of the catalog; answers the name of a sink that it fills.
    fn change(
        &mut self,
        change: &CatalogChange,
        record: &EpochRecord,
        definitions: &Definitions,
        epoch: &mut Epoch,
    ) -> Checked<Option<String>> {
        ensure(record.inputs.is_empty(), || "a change of the catalog with inputs".to_string())?;
        match change {
            CatalogChange::CreateTable { id, sql, start, .. } => {
                let name = sql.split_whitespace().find(|word| definitions.tables.contains_key(*word));
                let name = name.ok_or_else(|| format!("nobody has defined: {sql}"))?;
                let fills = definitions.tables[name].clone();
                let rows = match &fills {
                    Fills::Source(_) => {
                        start.iter().for_each(|(partition, from)| {
                            self.positions.insert((*id, *partition), from.0);
                        });
                        Rows::new()
                    }
                    Fills::Stream { shape, inputs } => {
                        let sick = inputs.iter().any(|input| self.named(input).expect("an input").1.in_error);
                        ensure(!sick, || format!("{name} was made of what is in error"))?;
                        epoch.told.insert(*id);
                        self.evaluate(*shape, inputs).map_err(|_| format!("{name} was made, and cannot be computed"))?
                    }
                };
                if !rows.is_empty() {
                    epoch.changed.insert(*id);
                }
                self.tables.insert(*id, TableModel { name: name.to_string(), fills, rows, in_error: false });
                Ok(None)
            }
            CatalogChange::CreateSink { id, sql } => {
                let name = sql.split_whitespace().find(|word| definitions.sinks.contains_key(*word));
                let name = name.ok_or_else(|| format!("nobody has defined: {sql}"))?;
                let (table, envelope) = &definitions.sinks[name];
                self.sinks.insert(*id, SinkModel::new(*id, name, table, *envelope));
                Ok(Some(name.to_string()))
            }
            CatalogChange::Drop { sink: true, name, .. } => {
                self.sinks.retain(|_, sink| sink.name != *name);
                Ok(None)
            }
            CatalogChange::Drop { sink: false, name, cascade } => {
                for name in self.with_dependents(name) {
                    ensure(*cascade || self.dependents(&name).is_empty(), || format!("{name} is needed"))?;
                    let (id, _) = self.named(&name).ok_or("no such table")?;
                    self.tables.remove(&id);
                    self.sinks.retain(|_, sink| sink.table != name);
                    self.positions.retain(|(table, _), _| *table != id);
                }
                Ok(None)
            }
            other => Err(format!("a change that no statement asked for: {other:?}")),
        }
    }

    /// What reads a table, directly: stream tables and sinks.
    pub fn dependents(&self, name: &str) -> Vec<String> {
        let reads = |table: &&TableModel| matches!(&table.fills, Fills::Stream { inputs, .. } if inputs.iter().any(|i| i == name));
        let tables = self.tables.values().filter(reads).map(|table| table.name.clone());
        let sinks = self.sinks.values().filter(|sink| sink.table == name).map(|sink| sink.name.clone());
        tables.chain(sinks).collect()
    }

    /// A table and the stream tables that cannot be without it, the last first.
    fn with_dependents(&self, name: &str) -> Vec<String> {
        let mut gone = vec![name.to_string()];
        for table in self.tables.values() {
            if let Fills::Stream { inputs, .. } = &table.fills
                && inputs.iter().any(|input| gone.contains(input))
            {
                gone.push(table.name.clone());
            }
        }
        gone.reverse();
        gone
    }

    /// The record says of exactly those tables something that have changed, failed or healed.
    fn check_outcomes(&self, record: &EpochRecord, epoch: &Epoch) -> Checked {
        let (mut failed, mut well) = (BTreeSet::new(), BTreeSet::new());
        for outcome in &record.tables {
            match &outcome.outcome {
                Outcome::Error(_) | Outcome::Suspended(_) => failed.insert(outcome.table),
                Outcome::Digest(_) => well.insert(outcome.table),
            };
        }
        ensure(failed == epoch.failed, || format!("refreshes failed of {failed:?}, and not of {:?}", epoch.failed))?;
        let expected: BTreeSet<TableId> =
            epoch.changed.iter().chain(&epoch.healed).chain(&epoch.told).copied().collect();
        ensure(well == expected, || format!("it has changes of {well:?}, and not of {expected:?}"))
    }
}

/// From where a dead letter says it came.
fn origin(letter: &Record) -> (Option<String>, Option<String>) {
    let header = |name: &str| {
        let found = letter.headers.iter().find(|(found, _)| found == name)?;
        found.1.as_ref().map(|value| String::from_utf8_lossy(value).into_owned())
    };
    (header("millstream.error.partition"), header("millstream.error.offset"))
}
