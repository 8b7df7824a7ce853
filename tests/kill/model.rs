//! The judge: reads the source topics, computes the queries by plain maps, and reads the sink topics record by record.

use std::collections::{BTreeMap, BTreeSet};

use api::{Log, Record};
use serde_json::Value;

use super::ledger::BOOKS;
use super::topics::{Change, appended, key_of, latest, read, replayed};

/// What the stream tables are to be: rows by key, both as JSON.
pub struct Expected {
    pub joined: BTreeMap<String, String>,
    pub totals: BTreeMap<String, String>,
}

/// Judges the sink topics of a pipeline against its source topics; answers what they came to.
pub fn judge(log: &dyn Log, acknowledged: &BTreeSet<i64>) -> Expected {
    let customers = customers(&read(log, "customers"));
    let orders = orders(&read(log, "orders"));
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    let mut totals: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (id, (customer, amount)) in &orders {
        let Some(region) = customers.get(customer) else { continue };
        let key = format!("{{\"id\":{id},\"customer_id\":{customer}}}");
        let row = format!("{{\"id\":{id},\"amount\":{amount},\"customer_id\":{customer},\"region\":\"{region}\"}}");
        joined.insert(key, row);
        let total = totals.entry(region.clone()).or_default();
        *total = (total.0 + 1, total.1 + amount);
    }
    let totals: BTreeMap<String, String> = totals
        .into_iter()
        .map(|(region, (count, total))| {
            let row = format!("{{\"region\":\"{region}\",\"orders\":{count},\"total\":\"{total}\"}}");
            (format!("{{\"region\":\"{region}\"}}"), row)
        })
        .collect();
    assert!(!joined.is_empty(), "the load made rows");
    let of_join = replayed(log, "joined", &["id", "amount", "customer_id", "region"]);
    assert_eq!(rows(&of_join), joined, "the join, from its sink topic");
    let of_totals = replayed(log, "totals", &["region", "orders", "total"]);
    assert_eq!(rows(&of_totals), totals, "the aggregate, from its sink topic");
    // Two sinks of one table say the same, change by change: what one had lost or doubled the other would not have.
    assert_eq!(latest(log, "latest"), of_join, "the changes of the join, from two topics");
    let events = read(log, "events");
    let thirds = events.iter().map(value).filter(|event| event["n"].as_i64().expect("a number") % 3 == 0);
    let thirds: BTreeMap<String, u64> = thirds.map(|event| (event.to_string(), 1)).collect();
    assert_eq!(appended(log, "thirds"), thirds, "the events, from their sink topic");
    judge_ledger(log, acknowledged);
    Expected { joined, totals }
}

/// What a topic's changes come to.
fn rows(changes: &BTreeMap<String, Vec<Change>>) -> BTreeMap<String, String> {
    changes.iter().filter_map(|(key, changes)| Some((key.clone(), changes.last()?.clone()?))).collect()
}

/// Every pair that was acknowledged is there, no pair is there by half, and no epoch saw half of one.
fn judge_ledger(log: &dyn Log, acknowledged: &BTreeSet<i64>) {
    let mut amounts: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for record in read(log, "ledger") {
        let row = value(&record);
        let number = |name: &str| row[name].as_i64().expect("a number");
        let before = amounts.insert(number("id"), (number("book"), number("amount")));
        assert_eq!(before, None, "a row is written once: {row}");
    }
    let mut books: BTreeMap<String, u64> = BTreeMap::new();
    for (id, (book, amount)) in &amounts {
        let partner = if id % 2 == 0 { id + 1 } else { id - 1 };
        assert_eq!(amounts.get(&partner), Some(&(*book, -amount)), "the pair of {id}");
        *books.entry(format!("{{\"book\":{book}}}")).or_default() += 1;
    }
    for id in acknowledged {
        assert!(amounts.contains_key(id), "the pair {id} was acknowledged and is not there");
    }
    let changes = replayed(log, "books", &["book", "entries", "total"]);
    for (key, change) in changes.iter().flat_map(|(key, changes)| changes.iter().map(move |change| (key, change))) {
        let row: Value = serde_json::from_str(change.as_deref().expect("no row of a ledger goes")).expect("JSON");
        assert_eq!(row["total"], "0", "every epoch has whole pairs: {key} {row}");
    }
    let counted = rows(&changes).into_iter().map(|(key, row)| {
        let row: Value = serde_json::from_str(&row).expect("JSON");
        (key, row["entries"].as_u64().expect("a number"))
    });
    assert_eq!(counted.collect::<BTreeMap<_, _>>(), books, "the books");
    assert!(books.len() as i64 <= BOOKS);
    println!("ledger: {} rows, {} pairs acknowledged", amounts.len(), acknowledged.len());
}

fn customers(records: &[Record]) -> BTreeMap<i64, String> {
    let mut all = BTreeMap::new();
    for record in records {
        let key: Value = serde_json::from_str(&key_of(record)).expect("JSON");
        let id = key["id"].as_i64().expect("an id");
        match &record.value {
            None => all.remove(&id),
            Some(_) => all.insert(id, value(record)["region"].as_str().expect("a region").to_string()),
        };
    }
    all
}

fn orders(records: &[Record]) -> BTreeMap<i64, (i64, i64)> {
    let mut all = BTreeMap::new();
    for record in records.iter().filter(|record| record.value.is_some()) {
        let event = value(record);
        if event["op"] == "d" {
            all.remove(&event["before"]["id"].as_i64().expect("an id"));
        } else {
            let after = &event["after"];
            let number = |name: &str| after[name].as_i64().expect("a number");
            all.insert(number("id"), (number("customer_id"), number("amount")));
        }
    }
    all
}

fn value(record: &Record) -> Value {
    serde_json::from_slice(record.value.as_ref().expect("a value")).expect("JSON")
}
