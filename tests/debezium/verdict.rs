//! The verdict: sink topics, record by record, and target tables, each against its query on the source. PostgreSQL reads
//! our JSON and compares the rows as multisets.

use std::collections::BTreeMap;

use api::{Log, Record, TopicPartition};
use bytes::Bytes;
use postgres::{Client, SimpleQueryMessage};
use serde::Deserialize;
use serde_json::value::RawValue;
use zset::Partition;

use super::views::View;

/// Compares a view's sink topic, and its target table if it has one, with its query. The rows there are.
pub fn compare(source: &mut Client, log: &dyn Log, prefix: &str, view: &View) -> usize {
    let View { name, query, envelope, .. } = view;
    let records = read(log, &format!("{prefix}{name}"));
    let rows = match *envelope {
        "upsert" => latest(&records),
        _ => summed(name, &records),
    };
    let columns = columns(source, query);
    let typed: Vec<String> = columns.iter().map(|(column, ty)| format!("\"{column}\" {}", told_as(ty))).collect();
    source
        .batch_execute(&format!("DROP TABLE IF EXISTS pg_temp.told; CREATE TEMP TABLE told ({})", typed.join(", ")))
        .expect("a table of the columns can be made");
    let json = format!("[{}]", rows.join(","));
    source
        .execute("INSERT INTO told SELECT * FROM json_populate_recordset(NULL::told, $1::text::json)", &[&json])
        .unwrap_or_else(|error| panic!("{name}: PostgreSQL cannot read the rows: {error:?}"));
    let said: Vec<String> = columns.iter().map(|(column, ty)| as_told(column, ty)).collect();
    let asked = format!("SELECT {} FROM ({query}) asked", said.join(", "));
    equal(source, &format!("sink topic of {name}"), &asked, "SELECT * FROM told");
    if view.table {
        equal(source, &format!("table target.{name}"), query, &format!("SELECT * FROM target.{name}"));
    }
    rows.len()
}

/// The columns of a query, with their types.
fn columns(source: &mut Client, query: &str) -> Vec<(String, String)> {
    let prepared = source.prepare(query).expect("PostgreSQL knows the query");
    prepared.columns().iter().map(|column| (column.name().to_string(), column.type_().name().to_string())).collect()
}

/// The type that our JSON of a value is read as: bytes are told in base64, documents in PostgreSQL's own text.
fn told_as(ty: &str) -> &str {
    if matches!(ty, "bytea" | "jsonb") { "text" } else { ty }
}

fn as_told(column: &str, ty: &str) -> String {
    match ty {
        "bytea" => format!("translate(encode(\"{column}\", 'base64'), E'\\n', '') AS \"{column}\""),
        "jsonb" => format!("\"{column}\"::text AS \"{column}\""),
        _ => format!("\"{column}\""),
    }
}

fn equal(source: &mut Client, what: &str, asked: &str, told: &str) {
    let differences = format!(
        "WITH asked AS ({asked}), told AS ({told}) \
         SELECT 'lacks ' || left(a::text, 300) FROM (TABLE asked EXCEPT ALL TABLE told) a \
         UNION ALL SELECT 'should not have ' || left(t::text, 300) FROM (TABLE told EXCEPT ALL TABLE asked) t LIMIT 20"
    );
    let answer = source.simple_query(&differences).unwrap_or_else(|error| panic!("{what}: {error:?}\n{differences}"));
    let lines = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let lines: Vec<&str> = lines.collect();
    assert!(lines.is_empty(), "the {what} is not what PostgreSQL says: it\n  {}", lines.join("\n  "));
}

/// The latest value of each key.
fn latest(records: &[Record]) -> Vec<String> {
    let mut rows: BTreeMap<&Bytes, String> = BTreeMap::new();
    for record in records {
        let key = record.key.as_ref().expect("a key");
        match &record.value {
            Some(value) => rows.insert(key, text(value)),
            None => rows.remove(key),
        };
    }
    rows.into_values().collect()
}

#[derive(Deserialize)]
struct Event {
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
}

/// The sum of change events: what one says was there before it, was there.
fn summed(name: &str, records: &[Record]) -> Vec<String> {
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    for record in records {
        let Some(value) = &record.value else { continue };
        let event: Event = serde_json::from_slice(value).expect("an event is JSON");
        if let Some(before) = event.before {
            let count = rows.get_mut(before.get());
            let count =
                count.unwrap_or_else(|| panic!("{name}, offset {}: before was not there: {before}", record.offset));
            *count -= 1;
            if *count == 0 {
                rows.remove(before.get());
            }
        }
        if let Some(after) = event.after {
            *rows.entry(after.get().to_string()).or_default() += 1;
        }
    }
    rows.into_iter().flat_map(|(row, count)| std::iter::repeat_n(row, count as usize)).collect()
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// All records of a topic, partition by partition, committed ones only.
pub fn read(log: &dyn Log, topic: &str) -> Vec<Record> {
    let info = log.topic(topic).expect("the log answers").unwrap_or_else(|| panic!("no topic {topic}"));
    let mut reader = log.reader(&Default::default()).expect("a reader");
    let mut records = Vec::new();
    for number in 0..info.partitions {
        let at = TopicPartition { topic: topic.into(), partition: Partition(number as i32) };
        let low = log.bounds(&at).expect("the log answers").low;
        reader.assign(&at, low).expect("the partition can be read");
        while !reader.at_end(&at).expect("the log answers") {
            records.extend(reader.poll(10_000, std::time::Duration::from_millis(100)).expect("the log answers"));
        }
        reader.unassign(&at).expect("the log answers");
    }
    records
}
