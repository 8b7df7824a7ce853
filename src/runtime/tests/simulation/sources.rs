//! The source tables of a run: what their producers write, and what a record means, decided anew from its bytes.

use api::{OutRecord, Record, TopicPartition};
use bytes::Bytes;
use serde_json::Value;
use zset::{Partition, TimestampMs};

use super::dice::Dice;
use super::rows::{COLUMNS, Row, Rows, add};

/// What a source table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Upsert,
    Append,
    /// Append with a key: the last row of a key wins.
    Latest,
    Debezium,
    /// Debezium without a key, whose `before` is the whole old row.
    Changes,
    OwnKeyed,
    OwnKeyless,
}

pub const KINDS: [Kind; 7] =
    [Kind::Upsert, Kind::Append, Kind::Latest, Kind::Debezium, Kind::Changes, Kind::OwnKeyed, Kind::OwnKeyless];

impl Kind {
    pub fn is_own(self) -> bool {
        matches!(self, Self::OwnKeyed | Self::OwnKeyless)
    }

    pub fn is_keyed(self) -> bool {
        !matches!(self, Self::Append | Self::Changes | Self::OwnKeyless)
    }

    /// The statement that makes one of a name; its topic is called like it.
    pub fn sql(self, name: &str) -> String {
        let id = if self.is_keyed() { "id INT PRIMARY KEY" } else { "id INT" };
        let (envelope, more) = match self {
            Self::OwnKeyed | Self::OwnKeyless => return format!("CREATE TABLE {name} ({id}, {COLUMNS})"),
            Self::Upsert => ("upsert", ""),
            Self::Append | Self::Latest => ("append", ""),
            Self::Debezium => ("debezium", ""),
            Self::Changes => ("debezium", ", replica_identity = 'full'"),
        };
        format!(
            "CREATE TABLE {name} ({id}, {COLUMNS}) \
             WITH (connector = 'log', topic = '{name}', format = 'json', envelope = '{envelope}'{more})"
        )
    }

    /// What a record does to the rows; false: it is a dead letter.
    pub fn apply(self, record: &Record, rows: &mut Rows) -> bool {
        let Some(bytes) = record.value.as_deref() else {
            if let Some(id) = id_of(record) {
                forget(rows, id);
            }
            return true;
        };
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return false };
        match self {
            Self::Upsert | Self::Latest | Self::OwnKeyed => put(rows, Row::parse(&value)),
            Self::Append => {
                let row = Row::parse(&value);
                row.into_iter().for_each(|row| add(rows, row, 1));
                row.is_some()
            }
            Self::Debezium | Self::Changes | Self::OwnKeyless => self.apply_event(&value, rows).is_some(),
        }
    }

    fn apply_event(self, event: &Value, rows: &mut Rows) -> Option<()> {
        let image = |name: &str| Row::parse(&event[name]);
        let keyed = self == Self::Debezium;
        match (event["op"].as_str()?, keyed) {
            ("c" | "u", true) => put(rows, Some(image("after")?)).then_some(()),
            ("d", true) => {
                forget(rows, image("before")?.id?);
                Some(())
            }
            ("c", false) => {
                add(rows, image("after")?, 1);
                Some(())
            }
            ("u", false) => {
                let (before, after) = (image("before")?, image("after")?);
                take(rows, before);
                add(rows, after, 1);
                Some(())
            }
            ("d", false) => {
                take(rows, image("before")?);
                Some(())
            }
            _ => None,
        }
    }

    /// What a producer writes next; `seen` are the rows as it believes them to be.
    pub fn produce(self, topic: &str, partitions: usize, seen: &mut Rows, dice: &mut Dice) -> Vec<OutRecord> {
        let id = dice.below(8) as i32;
        let named = self != Self::Append || dice.chance(95);
        let row = Row::random(dice, named.then_some(id));
        let known: Vec<Row> = seen.keys().copied().collect();
        let old = (!known.is_empty()).then(|| *dice.pick(&known));
        let to = |id: i32| TopicPartition { topic: topic.into(), partition: Partition(id % partitions as i32) };
        let key = |id: i32| Some(format!(r#"{{"id":{id}}}"#));
        if dice.chance(4) {
            return vec![record(to(id), key(id), Some(bad(self, row, dice)))];
        }
        match self {
            Self::Upsert => match dice.chance(25) {
                true => vec![record(to(id), key(id), None)],
                false => vec![record(to(id), key(id), Some(row.json()))],
            },
            Self::Append | Self::Latest => {
                // A key stays in its partition; without one any will do.
                let place = if self == Self::Append { dice.below(partitions) as i32 } else { id };
                vec![record(to(place), None, Some(row.json()))]
            }
            Self::Debezium => {
                let there = known.iter().copied().find(|known| known.id == Some(id));
                let (event, tombstone) = match there {
                    Some(before) if dice.chance(30) => {
                        forget(seen, id);
                        (event("d", Some(before), None), true)
                    }
                    before => {
                        put(seen, Some(row));
                        (event(if before.is_some() { "u" } else { "c" }, before, Some(row)), false)
                    }
                };
                let mut records = vec![record(to(id), key(id), Some(event))];
                if tombstone && dice.chance(80) {
                    records.push(record(to(id), key(id), None));
                }
                if dice.chance(5) {
                    records.push(records[0].clone());
                }
                records
            }
            Self::Changes => {
                let (event, place) = match old {
                    Some(before) if dice.chance(25) => {
                        take(seen, before);
                        (event("d", Some(before), None), before.id)
                    }
                    Some(before) if dice.chance(40) => {
                        let after = Row { id: before.id, ..row };
                        take(seen, before);
                        add(seen, after, 1);
                        (event("u", Some(before), Some(after)), before.id)
                    }
                    // A row that never was.
                    _ if dice.chance(3) => (event("d", Some(row), None), row.id),
                    _ => {
                        add(seen, row, 1);
                        (event("c", None, Some(row)), row.id)
                    }
                };
                vec![record(to(place.unwrap_or(0)), None, Some(event))]
            }
            Self::OwnKeyed | Self::OwnKeyless => unreachable!("only statements write there"),
        }
    }
}

fn event(op: &str, before: Option<Row>, after: Option<Row>) -> String {
    let image = |row: Option<Row>| row.map_or("null".to_string(), |row| row.json());
    format!(r#"{{"before":{},"after":{},"op":"{op}"}}"#, image(before), image(after))
}

/// A value that is none.
fn bad(kind: Kind, row: Row, dice: &mut Dice) -> String {
    let json = row.json();
    let wrong = match dice.below(4) {
        0 => json[..json.len() - 1].to_string(),
        1 => r#"{"id":1,"g":"x","a":"one","b":2}"#.to_string(),
        2 => r#"{"id":1,"g":"x","a":3000000000,"b":2}"#.to_string(),
        _ => r#"{"id":1,"g":"x","a":1,"b":1.5}"#.to_string(),
    };
    match kind {
        Kind::Debezium | Kind::Changes => match dice.chance(50) {
            true => format!(r#"{{"before":null,"after":{wrong},"op":"c"}}"#),
            false => format!(r#"{{"before":null,"after":{json},"op":"x"}}"#),
        },
        _ => wrong,
    }
}

pub fn record(to: TopicPartition, key: Option<String>, value: Option<String>) -> OutRecord {
    let timestamp = TimestampMs(1_600_000_000_000);
    OutRecord { to, timestamp, key: key.map(Bytes::from), value: value.map(Bytes::from), headers: Vec::new() }
}

fn id_of(record: &Record) -> Option<i32> {
    let key: Value = serde_json::from_slice(record.key.as_deref()?).ok()?;
    key["id"].as_i64().and_then(|id| i32::try_from(id).ok())
}

/// The row of a key replaces the one before; false: it is none.
pub fn put(rows: &mut Rows, row: Option<Row>) -> bool {
    let Some((row, id)) = row.and_then(|row| Some((row, row.id?))) else { return false };
    forget(rows, id);
    add(rows, row, 1);
    true
}

pub fn forget(rows: &mut Rows, id: i32) {
    rows.retain(|row, _| row.id != Some(id));
}

/// One copy of a row goes, if there is one.
pub fn take(rows: &mut Rows, row: Row) {
    if rows.contains_key(&row) {
        add(rows, row, -1);
    }
}
