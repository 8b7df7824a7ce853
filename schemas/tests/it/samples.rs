//! Every sample file of real Debezium events, decoded to the contents that the SQL behind them left in PostgreSQL.
#![allow(clippy::unwrap_used)]

use plan::Envelope::{Debezium, Upsert};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Bytes, Table, assert_rows, columns};

#[derive(Deserialize)]
struct Line {
    topic: String,
    key: Box<RawValue>,
    value: Box<RawValue>,
}

/// The records of a topic, byte for byte.
fn topic(file: &str, topic: &str) -> Vec<Bytes> {
    let path = format!("{}/tests/samples/{file}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let bytes = |raw: Box<RawValue>| (raw.get() != "null").then(|| raw.get().as_bytes().to_vec());
    let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let records: Vec<_> =
        lines.filter(|line| line.topic == topic).map(|line| (bytes(line.key), bytes(line.value))).collect();
    assert!(!records.is_empty(), "no records of {topic} in {file}");
    records
}

/// Decodes a topic twice, in one batch and record by record: both must give the same.
pub fn decode(file: &str, name: &str, mut make: impl FnMut() -> Table) -> Table {
    let records = topic(file, name);
    let (mut whole, mut single) = (make(), make());
    whole.feed_bytes(&records);
    records.iter().for_each(|record| single.feed_bytes(std::slice::from_ref(record)));
    assert_eq!(whole.rows(), single.rows());
    assert_eq!(whole.dead.len(), single.dead.len());
    whole
}

const CUSTOMERS: &[(&str, &str)] =
    &[("id", "bigint!"), ("email", "text!"), ("tier", "text!"), ("created_at", "timestamptz(6)!")];
const CUSTOMERS_END: &[&str] = &[
    r#"{"id":1,"email":"ann@example.com","tier":"happy","created_at":"2024-01-15T10:00:00.123456Z"}"#,
    r#"{"id":2,"email":"bob2@example.com","tier":"sad","created_at":"2024-02-29T23:59:59.999999Z"}"#,
    r#"{"id":3,"email":"cy@example.com","tier":"sad","created_at":"2024-04-01T00:00:00.000000Z"}"#,
    r#"{"id":4,"email":"dee@example.com","tier":"ok","created_at":"2026-11-21T10:13:26.215832Z"}"#,
    r#"{"id":7,"email":"kept@example.com","tier":"ok","created_at":"2026-11-21T10:13:26.218235Z"}"#,
];

pub const ORDERS: &[(&str, &str)] = &[
    ("id", "bigint!"),
    ("customer_id", "uuid"),
    ("amount", "numeric(12,2)!"),
    ("fee", "numeric(38,18)"),
    ("currency", "varchar(3)!"),
    ("paid", "boolean"),
    ("tags", "jsonb"),
    ("attrs", "jsonb"),
    ("created_at", "timestamptz(6)!"),
    ("updated_at", "timestamp(3)"),
    ("ship_date", "date"),
    ("note", "text"),
];

/// The orders at the end: all captures of them end alike.
fn orders_end() -> Vec<String> {
    let n = format!("1{}", "0".repeat(400));
    vec![
        r#"{"id":1001,"customer_id":"6f1f3c1e-0c6e-4b8e-9f0a-1d2c3b4a5f60","amount":"199.99","fee":"1.500000000000000000","currency":"USD","paid":true,"tags":"[\"gift\", \"express\"]","attrs":"{\"items\": [{\"qty\": 2, \"sku\": \"A-1\"}], \"channel\": \"web\"}","created_at":"2024-03-10T08:30:00.000001Z","updated_at":"2024-03-10T08:31:00.123000","ship_date":"2024-03-12","note":"first"}"#.to_string(),
        r#"{"id":1002,"customer_id":null,"amount":"0.00","fee":null,"currency":"EUR","paid":true,"tags":null,"attrs":null,"created_at":"1969-12-31T23:59:59.999999Z","updated_at":null,"ship_date":null,"note":null}"#.to_string(),
        format!(r#"{{"id":2004,"customer_id":"6f1f3c1e-0c6e-4b8e-9f0a-1d2c3b4a5f60","amount":"20.20","fee":"0.100000000000000000","currency":"USD","paid":true,"tags":"[\"a\", null, \"c,d\"]","attrs":"{{\"n\": {n}, \"big\": 12345678901234567890, \"deep\": {{\"x\": [1, 2, {{\"y\": null}}]}}, \"coupon\": \"X\"}}","created_at":"2024-04-01T00:00:01.000000Z","updated_at":"2024-04-01T00:00:02.250000","ship_date":"2024-04-02","note":null}}"#),
    ]
}

#[track_caller]
pub fn assert_orders(table: &Table) {
    let expected = orders_end();
    assert_rows(table, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(table.reasons(), Vec::<&str>::new());
}

pub fn keyed(list: &'static [(&str, &str)], key: &'static [&str]) -> impl FnMut() -> Table {
    move || Table::new(columns(list), key, Debezium, &[])
}

#[test]
fn main_customers_and_orders() {
    for file in ["main_noschema", "main_schema"] {
        let table = decode(file, "shop.public.customers", keyed(CUSTOMERS, &["id"]));
        assert_rows(&table, CUSTOMERS_END);
        assert_eq!(table.dead, []);
        assert_orders(&decode(file, "shop.public.orders", keyed(ORDERS, &["id"])));
    }
}

#[test]
fn main_order_items_with_a_key_of_two_columns_in_any_order() {
    const ITEMS: &[(&str, &str)] = &[
        ("line", "smallint!"),
        ("order_id", "bigint!"),
        ("sku", "varchar(20)"),
        ("qty", "integer"),
        ("price", "numeric(10,4)"),
        ("total", "numeric(16,4)"),
    ];
    for file in ["main_noschema", "main_schema"] {
        let table = decode(file, "shop.public.order_items", keyed(ITEMS, &["order_id", "line"]));
        assert_rows(
            &table,
            &[
                r#"{"line":1,"order_id":1001,"sku":"A-1","qty":2,"price":"49.9950","total":"99.9900"}"#,
                r#"{"line":1,"order_id":2004,"sku":"Z-9","qty":1,"price":"10.1000","total":null}"#,
            ],
        );
        assert_eq!(table.dead, []);
    }
}

#[test]
fn main_truncate_empties_the_table() {
    for file in ["main_noschema", "main_schema"] {
        for name in ["shop.public.archive", "shop.public.archive2"] {
            let table = decode(file, name, keyed(&[("id", "integer!"), ("v", "text!")], &["id"]));
            assert_rows(&table, &[]);
            assert_eq!(table.dead, []);
        }
    }
    let records = topic("main_noschema", "shop.public.archive");
    let mut table = Table::new(columns(&[("id", "integer!"), ("v", "text!")]), &["id"], Debezium, &[]);
    table.feed_bytes(&records[..4]);
    assert_rows(&table, &[r#"{"id":3,"v":"again"}"#]);
}

#[test]
fn main_a_table_without_a_key_retracts_what_before_says() {
    let make =
        || Table::new(columns(&[("a", "integer"), ("b", "text")]), &[], Debezium, &[("replica_identity", "full")]);
    for file in ["main_noschema", "main_schema"] {
        let table = decode(file, "shop.public.nopk", make);
        assert_rows(&table, &[r#"{"a":null,"b":null}"#]);
        assert_eq!((table.dead.len(), table.missing_retractions), (0, 0));
    }
}

#[test]
fn main_columns_that_come_and_go() {
    const EVOLVE: &[(&str, &str)] = &[("id", "integer!"), ("a", "integer"), ("a2", "bigint"), ("b", "text")];
    for file in ["main_noschema", "main_schema"] {
        let table = decode(file, "shop.public.evolve", keyed(EVOLVE, &["id"]));
        assert_rows(
            &table,
            &[
                r#"{"id":1,"a":10,"a2":null,"b":"dflt"}"#,
                r#"{"id":2,"a":2,"a2":null,"b":"dflt"}"#,
                r#"{"id":3,"a":null,"a2":3,"b":"x"}"#,
                r#"{"id":4,"a":null,"a2":5000000000,"b":"y"}"#,
            ],
        );
        assert_eq!(table.dead, []);
    }
}

#[test]
fn main_identity_by_index_takes_its_key_from_the_event() {
    const IDENT: &[(&str, &str)] = &[("id", "integer!"), ("code", "text!"), ("v", "integer")];
    let records = topic("main_noschema", "shop.public.idx_ident");
    let mut table = Table::new(columns(IDENT), &["code"], Debezium, &[]);
    table.feed_bytes(&records[..5]);
    assert_rows(&table, &[r#"{"id":1,"code":"c2","v":11}"#]);
    table.feed_bytes(&records[5..]);
    assert_rows(&table, &[]);
    assert_eq!(table.dead, []);
}

#[test]
fn main_unchanged_toast_values_are_kept() {
    const TOAST: &[(&str, &str)] = &[
        ("id", "integer!"),
        ("n", "integer"),
        ("big", "text"),
        ("bigj", "jsonb"),
        ("biga", "jsonb"),
        ("bigb", "bytea"),
    ];
    let records = topic("main_noschema", "shop.public.toast_default");
    let mut table = Table::new(columns(TOAST), &["id"], Debezium, &[]);
    table.feed_bytes(&records[..1]);
    let first = table.rows().remove(0);
    assert!(first.len() > 10_000 && !first.contains("__debezium"));
    table.feed_bytes(&records[1..2]);
    assert_eq!(table.rows(), [first.replacen("\"n\":1", "\"n\":2", 1)]);
    table.feed_bytes(&records[2..3]);
    let short = table.rows().remove(0);
    assert!(short.starts_with(r#"{"id":1,"n":2,"big":"short now","bigj":"{\"k\":"#), "{short}");
    assert_eq!(short.split("\"bigj\"").nth(1), first.split("\"bigj\"").nth(1));
    // The key update of such a row: its values are at the old key, which is gone.
    table.feed_bytes(&records[3..6]);
    assert_rows(&table, &[]);
    assert_eq!(table.unresolved, [(2, 3)]);
    table.feed_bytes(&records[6..]);
    assert_rows(&table, &[]);
    assert_eq!(table.dead, []);
}

#[test]
fn main_full_identity_with_and_without_a_key() {
    const FULL: &[(&str, &str)] = &[("id", "integer!"), ("n", "integer"), ("big", "text")];
    let records = topic("main_noschema", "shop.public.toast_full");
    for (key, given) in
        [(&["id"][..], &[][..]), (&["id"], &[("replica_identity", "full")]), (&[], &[("replica_identity", "full")])]
    {
        let mut table = Table::new(columns(FULL), key, Debezium, given);
        table.feed_bytes(&records[..2]);
        assert_eq!(table.rows().len(), 1);
        assert!(table.rows()[0].starts_with(r#"{"id":1,"n":2,"big":"c4ca4238"#));
        table.feed_bytes(&records[2..]);
        assert_rows(&table, &[]);
        assert_eq!((table.dead.len(), table.missing_retractions), (0, 0));
    }
}

#[test]
fn main_partitions_odd_names_and_late_tables() {
    const PART: &[(&str, &str)] = &[("id", "integer!"), ("region", "text!"), ("v", "integer")];
    let eu = decode("main_noschema", "shop.public.part_eu", keyed(PART, &["id", "region"]));
    assert_rows(&eu, &[]);
    let us = decode("main_noschema", "shop.public.part_us", keyed(PART, &["id", "region"]));
    assert_rows(&us, &[r#"{"id":2,"region":"us","v":2}"#, r#"{"id":1,"region":"us","v":1}"#]);
    let root = decode("main_noschema", "shop.public.part", keyed(PART, &["id", "region"]));
    assert_rows(&root, &[r#"{"id":1,"region":"eu","v":1}"#]);
    const WEIRD: &[(&str, &str)] =
        &[("Id", "integer!"), ("col with space", "text"), ("select", "integer"), ("ünïcode", "text")];
    let weird = decode("main_noschema", "shop.public.Weird_Schema", keyed(WEIRD, &["Id"]));
    assert_rows(&weird, &[r#"{"Id":1,"col with space":"w","select":null,"ünïcode":"ß"}"#]);
    const LATE: &[(&str, &str)] = &[("id", "integer!"), ("v", "text")];
    let late = decode("main_noschema", "shop.public.born_later", keyed(LATE, &["id"]));
    assert_rows(&late, &[r#"{"id":1,"v":"hello"}"#]);
    const OUTBOX: &[(&str, &str)] = &[("id", "uuid!"), ("aggregatetype", "text!"), ("payload", "jsonb")];
    let records = topic("main_noschema", "shop.public.outbox");
    let mut outbox = Table::new(columns(OUTBOX), &["id"], Debezium, &[]);
    outbox.feed_bytes(&records[..1]);
    assert_rows(
        &outbox,
        &[
            r#"{"id":"11111111-2222-3333-4444-555555555555","aggregatetype":"Order","payload":"{\"lines\": [1, 2], \"total\": 199.99, \"orderId\": 1001}"}"#,
        ],
    );
    outbox.feed_bytes(&records[1..]);
    assert_rows(&outbox, &[]);
    const SIGNAL: &[(&str, &str)] = &[("id", "varchar(42)!"), ("type", "varchar(32)!"), ("data", "varchar(2048)")];
    let signal = decode("main_noschema", "shop.public.dbz_signal", keyed(SIGNAL, &["id"]));
    assert_eq!(signal.rows().len(), 9);
    assert_eq!(eu.dead.len() + us.dead.len() + weird.dead.len() + late.dead.len() + outbox.dead.len(), 0);
}

#[test]
fn logical_messages_are_no_rows() {
    for file in ["main_noschema", "main_schema", "types_schema", "decimal_string", "time_connect", "txn_metadata"] {
        let table = decode(file, "shop.message", keyed(&[("id", "integer!")], &["id"]));
        assert_rows(&table, &[]);
        assert_eq!(table.dead, [], "{file}");
    }
}

#[test]
fn flattened_records_are_upserts() {
    let table =
        decode("flattened_rewrite", "shop.public.customers", || Table::new(columns(CUSTOMERS), &["id"], Upsert, &[]));
    assert_rows(&table, CUSTOMERS_END);
    assert_eq!(table.dead, []);
    let make = || {
        Table::new(
            columns(ORDERS),
            &["id"],
            Upsert,
            &[("decimal_handling_mode", "precise"), ("time_precision_mode", "adaptive")],
        )
    };
    assert_orders(&decode("flattened_rewrite", "shop.public.orders", make));
    const TOAST: &[(&str, &str)] = &[
        ("id", "integer!"),
        ("n", "integer"),
        ("big", "text"),
        ("bigj", "jsonb"),
        ("bigb", "bytea"),
        ("__op", "text"),
    ];
    let records = topic("flattened_rewrite", "shop.public.toast_default");
    let mut table = Table::new(columns(TOAST), &["id"], Upsert, &[]);
    table.feed_bytes(&records[..3]);
    assert!(table.rows()[0].starts_with(r#"{"id":1,"n":2,"big":"short now","bigj":"{\"k\":"#));
    table.feed_bytes(&records[3..]);
    assert_rows(&table, &[]);
    assert_eq!(table.dead, []);
}

#[test]
fn transaction_metadata_is_ignored() {
    let table = decode("txn_metadata", "shop.public.customers", keyed(CUSTOMERS, &["id"]));
    let ids: Vec<&str> = vec![CUSTOMERS_END[1], CUSTOMERS_END[2]];
    assert!(ids.iter().all(|row| table.rows().contains(&row.to_string())), "{:?}", table.rows());
    assert_eq!(table.dead, []);
    let orders = decode("txn_metadata", "shop.public.orders", keyed(ORDERS, &["id"]));
    assert_orders(&orders);
    const BORDER: &[(&str, &str)] = &[("id", "text!"), ("status", "text!"), ("event_count", "bigint")];
    let borders = decode("txn_metadata", "shop.transaction", || Table::new(columns(BORDER), &["id"], Upsert, &[]));
    assert_eq!(borders.rows().len(), 128);
    assert_eq!(borders.rows().iter().filter(|row| row.contains("\"status\":\"END\"")).count(), 64);
}
