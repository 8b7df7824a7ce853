//! What a sink's topic must hold: read record by record, it sums up to the table at every epoch, and carries each change
//! once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use api::Record;
use bytes::Bytes;
use plan::{EpochRecord, SinkId};
use serde_json::Value;

use super::model::{Checked, ensure};
use super::rows::{Row, Rows, add};

/// The envelopes of sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    Upsert,
    Debezium,
    Append,
    /// Not in the log: rows in a database.
    Detached,
}

impl Envelope {
    pub fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Debezium => "debezium",
            Self::Append => "append",
            Self::Detached => unreachable!("a database has no envelope"),
        }
    }
}

/// What its readers know.
#[derive(Debug, Clone)]
pub struct SinkModel {
    id: SinkId,
    pub name: String,
    pub table: String,
    pub topic: String,
    pub envelope: Envelope,
    /// It gets nothing more.
    pub dead: bool,
    /// The epochs of which its topic lacks records, whether they filled it, and its table after each; `None`: it lacks nothing.
    behind: Option<VecDeque<(EpochRecord, bool, Rows)>>,
    /// The first records of these that the topic has, of an epoch of which it has not all.
    part: Vec<Record>,
    rows: Rows,
    by_key: BTreeMap<Bytes, Row>,
}

impl SinkModel {
    pub fn new(id: SinkId, name: &str, table: &str, envelope: Envelope) -> Self {
        let (name, table, topic) = (name.to_string(), table.to_string(), format!("{name}.out"));
        Self {
            id,
            name,
            table,
            topic,
            envelope,
            dead: false,
            behind: None,
            part: Vec::new(),
            rows: Rows::new(),
            by_key: BTreeMap::new(),
        }
    }

    /// Whether its topic lacks records that wait for it.
    pub fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Reads what an epoch's transaction has for it: its own records, or records of epochs before that had waited.
    pub fn follow_epoch(&mut self, records: &[&Record], epoch: &EpochRecord, fills: bool, table: &Rows) -> Checked {
        let release = epoch.released.iter().find(|release| release.sink == self.id);
        let refused = epoch.sinks.iter().any(|failure| failure.sink == self.id);
        if self.behind.is_none() && !refused && release.is_none() {
            return self.follow(records, epoch, fills, table);
        }
        let of = |error: String| format!("sink {}: {error}", self.name);
        let said = release.map_or(0, |release| release.records);
        ensure(said == records.len() as u64, || of(format!("{said} records were released, and not {records:?}")))?;
        let mut behind = self.behind.take().unwrap_or_default();
        let changes = |last: &Rows| last != table;
        if behind.back().map_or(changes(&self.rows), |(_, _, last)| changes(last)) {
            behind.push_back((epoch.clone(), fills, table.clone()));
        }
        self.part.extend(records.iter().copied().cloned());
        while let Some((of_epoch, fills, rows)) = behind.front()
            && let Some((read, after)) = self.read_whole(of_epoch, *fills, rows)
        {
            let part = self.part.split_off(read);
            *self = Self { part, ..after };
            behind.pop_front();
        }
        let even = behind.is_empty();
        ensure(!even || self.part.is_empty(), || format!("sink {}: records of nothing: {:?}", self.name, self.part))?;
        self.behind = (!even).then_some(behind);
        Ok(())
    }

    /// All records of an epoch, if they are there: how many, and what is known after them.
    fn read_whole(&self, epoch: &EpochRecord, fills: bool, rows: &Rows) -> Option<(usize, Self)> {
        (1..=self.part.len()).find_map(|count| {
            let mut after = self.clone();
            let records: Vec<&Record> = self.part[..count].iter().collect();
            after.follow(&records, epoch, fills, rows).ok().map(|()| (count, after))
        })
    }

    /// Reads the records of one epoch.
    fn follow(&mut self, records: &[&Record], epoch: &EpochRecord, fills: bool, table: &Rows) -> Checked {
        if self.envelope == Envelope::Detached {
            return ensure(records.is_empty(), || format!("records for detached sink {}", self.name));
        }
        let name = self.name.clone();
        let of = |error: String| format!("sink {name}: {error}");
        let before = self.rows.clone();
        let mut keys = BTreeSet::new();
        for record in records {
            ensure(record.timestamp == epoch.timestamp, || "a record of another time".to_string())?;
        }
        let read = match self.envelope {
            Envelope::Append => {
                let rows = records.iter().map(|record| record.value.as_deref().and_then(Row::parse_bytes));
                let rows: Option<Vec<Row>> = rows.collect();
                rows.ok_or("a record that is no row".to_string()).map(|rows| {
                    rows.into_iter().for_each(|row| add(&mut self.rows, row, 1));
                })
            }
            Envelope::Detached => unreachable!("it has no records"),
            Envelope::Upsert => records.iter().try_for_each(|record| self.upsert(record, &mut keys)),
            Envelope::Debezium => self.events(records, epoch, fills, &mut keys),
        };
        read.map_err(of)?;
        let changed = before != self.rows;
        ensure(changed || records.is_empty(), || {
            format!("sink {}: records that change nothing: {records:?}", self.name)
        })?;
        ensure(self.rows == *table, || {
            format!("sink {name} sums up to {:?}, and its table is {table:?}; its records: {records:?}", self.rows)
        })
    }

    fn upsert(&mut self, record: &Record, keys: &mut BTreeSet<Bytes>) -> Checked {
        let key = record.key.clone().ok_or("an upsert without a key")?;
        ensure(keys.insert(key.clone()), || format!("key {key:?} twice"))?;
        let after = match &record.value {
            Some(value) => Some(Row::parse_bytes(value).ok_or("a value that is no row")?),
            None => None,
        };
        let before = match after {
            Some(row) => self.by_key.insert(key.clone(), row),
            None => self.by_key.remove(&key),
        };
        ensure(before != after, || format!("key {key:?} does not change"))?;
        before.into_iter().for_each(|row| add(&mut self.rows, row, -1));
        after.into_iter().for_each(|row| add(&mut self.rows, row, 1));
        Ok(())
    }

    fn events(&mut self, records: &[&Record], epoch: &EpochRecord, fills: bool, keys: &mut BTreeSet<Bytes>) -> Checked {
        let mut tombstones: BTreeSet<Option<Bytes>> = BTreeSet::new();
        let (mut went, mut came) = (BTreeSet::new(), BTreeSet::new());
        for record in records {
            let Some(value) = &record.value else {
                ensure(tombstones.remove(&record.key), || format!("a tombstone behind no delete: {record:?}"))?;
                continue;
            };
            let event: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
            ensure(event["source"]["epoch"] == epoch.epoch.0, || format!("an event of another epoch: {event}"))?;
            let image = |name: &str| if event[name].is_null() { None } else { Row::parse(&event[name]) };
            let (before, after) = (image("before"), image("after"));
            let op = event["op"].as_str().unwrap_or_default();
            let fits = match op {
                "r" => fills && before.is_none() && after.is_some(),
                "c" => !fills && before.is_none() && after.is_some(),
                "u" => !fills && before.is_some() && after.is_some() && before != after,
                "d" => !fills && before.is_some() && after.is_none(),
                _ => false,
            };
            ensure(fits, || format!("an event that makes no sense: {event}"))?;
            if let Some(key) = &record.key {
                ensure(keys.insert(key.clone()), || format!("key {key:?} twice"))?;
                let held = self.by_key.get(key).copied();
                ensure(held == before, || format!("before is {before:?}, and there is {held:?}: {event}"))?;
                match after {
                    Some(row) => self.by_key.insert(key.clone(), row),
                    None => self.by_key.remove(key),
                };
            } else if let Some(row) = before {
                ensure(self.rows.contains_key(&row), || format!("a row that is not there goes: {event}"))?;
            }
            if op == "d" {
                tombstones.insert(record.key.clone());
            }
            before.into_iter().for_each(|row| add(&mut self.rows, row, -1));
            after.into_iter().for_each(|row| add(&mut self.rows, row, 1));
            went.extend(before);
            came.extend(after);
        }
        // Nothing goes and comes in one epoch.
        let both: Vec<_> = went.intersection(&came).collect();
        ensure(both.is_empty() || !keys.is_empty(), || format!("rows that go and come: {both:?}"))?;
        ensure(tombstones.is_empty(), || "a delete without a tombstone".to_string())
    }
}
