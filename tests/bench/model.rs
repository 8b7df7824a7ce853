//! The queries of the bench, computed plainly from the lines of the data: loops and maps, nothing of the engine but the hash.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zset::Digest;

/// The records of each topic.
#[derive(Default)]
pub struct Lines(pub BTreeMap<&'static str, Vec<Value>>);

/// Rows as JSON, as a sink writes them.
pub struct Contents(Vec<String>);

impl Contents {
    /// The number of rows and their hash.
    pub fn shown(&self) -> (i64, String) {
        let mut hash = Digest::default();
        self.0.iter().for_each(|row| hash.add(row.as_bytes(), 1));
        (self.0.len() as i64, hash.to_string())
    }

    /// With another name of a column.
    pub fn renamed(&self, from: &str, to: &str) -> Self {
        Self(self.0.iter().map(|row| row.replace(from, to)).collect())
    }
}

/// A row of some columns.
fn row(columns: &[(&str, Value)]) -> String {
    let columns: Vec<String> = columns.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", columns.join(","))
}

/// Columns of a record, as they are.
fn picked(record: &Value, names: &[&str]) -> String {
    row(&names.iter().map(|name| (*name, record[*name].clone())).collect::<Vec<_>>())
}

fn number(record: &Value, name: &str) -> i64 {
    record[name].as_i64().unwrap()
}

/// What a query comes to.
pub fn of(query: &str, lines: &Lines) -> Contents {
    let of = |table: &str| lines.0.get(table).unwrap();
    let bid = ["auction", "bidder", "price", "dateTime", "extra"];
    Contents(match query {
        "q0" => of("bid").iter().map(|bid_of| picked(bid_of, &bid)).collect(),
        "q1" => of("bid").iter().map(|bid_of| picked(&dearer(bid_of), &bid)).collect(),
        "channels" => of("bid").iter().map(|bid_of| picked(bid_of, &["channel"])).collect(),
        "q3" => sellers(of("auction"), of("person")),
        "q4" => closing_prices(of("auction"), of("bid")),
        "q5s" => counts(of("bid")),
        "q7" => highest(of("bid")),
        "cdc" | "cdc-default" => regions(of("orders"), of("customers")),
        other => panic!("there is no model of {other}"),
    })
}

fn dearer(bid: &Value) -> Value {
    let mut bid = bid.clone();
    bid["price"] = json!(number(&bid, "price") * 908);
    bid
}

fn sellers(auctions: &[Value], persons: &[Value]) -> Vec<String> {
    let mut rows = Vec::new();
    for auction in auctions.iter().filter(|auction| number(auction, "category") == 10) {
        for person in persons.iter().filter(|person| person["id"] == auction["seller"]) {
            if ["OR", "ID", "CA"].contains(&person["state"].as_str().unwrap()) {
                let of_person = ["name", "city", "state"].map(|name| (name, person[name].clone()));
                rows.push(row(&[of_person.as_slice(), &[("id", auction["id"].clone())]].concat()));
            }
        }
    }
    rows
}

fn closing_prices(auctions: &[Value], bids: &[Value]) -> Vec<String> {
    let mut closing: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for auction in auctions {
        let open = number(auction, "dateTime")..=number(auction, "expires");
        let of_auction = bids.iter().filter(|bid| bid["auction"] == auction["id"]);
        let in_time = of_auction.filter(|bid| open.contains(&number(bid, "dateTime")));
        if let Some(highest) = in_time.map(|bid| number(bid, "price")).max() {
            closing.entry(number(auction, "category")).or_default().push(highest);
        }
    }
    let average = |prices: &[i64]| prices.iter().sum::<i64>().div_euclid(prices.len() as i64);
    closing
        .iter()
        .map(|(category, prices)| row(&[("category", json!(category)), ("average", json!(average(prices)))]))
        .collect()
}

fn counts(bids: &[Value]) -> Vec<String> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    bids.iter().for_each(|bid| *counts.entry(number(bid, "auction")).or_default() += 1);
    counts.iter().map(|(auction, bids)| row(&[("auction", json!(auction)), ("bids", json!(bids))])).collect()
}

fn highest(bids: &[Value]) -> Vec<String> {
    let seconds = |bid: &Value| number(bid, "dateTime") / 10_000;
    let windows: BTreeSet<i64> = bids.iter().map(seconds).collect();
    let mut rows = Vec::new();
    for window in windows {
        let of_window: Vec<&Value> = bids.iter().filter(|bid| seconds(bid) == window).collect();
        let highest = of_window.iter().map(|bid| number(bid, "price")).max();
        let best = of_window.iter().filter(|bid| Some(number(bid, "price")) == highest);
        rows.extend(best.map(|bid| picked(bid, &["auction", "price", "bidder", "dateTime", "extra"])));
    }
    rows
}

/// The rows that are left, by id. The lines of a key are in order.
fn latest(changes: &[Value]) -> BTreeMap<i64, Value> {
    let mut rows = BTreeMap::new();
    for change in changes {
        match &change["after"] {
            Value::Null => drop(rows.remove(&number(&change["before"], "id"))),
            after => drop(rows.insert(number(after, "id"), after.clone())),
        }
    }
    rows
}

fn regions(orders: &[Value], customers: &[Value]) -> Vec<String> {
    let customers = latest(customers);
    let mut groups: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    for order in latest(orders).values() {
        let region = customers[&number(order, "customer_id")]["region"].as_str().unwrap().to_string();
        let group = groups.entry((region, order["status"].as_str().unwrap().to_string())).or_default();
        *group = (group.0 + 1, group.1 + number(order, "amount"));
    }
    let shown = |((region, status), (orders, amount)): (&(String, String), &(i64, i64))| {
        row(&[
            ("region", json!(region)),
            ("status", json!(status)),
            ("orders", json!(orders)),
            // A sum of bigint is a numeric, which is written as a text.
            ("amount", json!(amount.to_string())),
        ])
    };
    groups.iter().map(shown).collect()
}
