//! Sinks that hang or refuse, beside others, which go on: a PostgreSQL that takes what is sent and never answers, a constraint that
//! a row breaks, a topic that takes no large records. Each says why, and has everything when it is mended.

use std::collections::BTreeMap;

use postgres::Client;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::proxy::Proxy;
use super::{Pipe, delivered, post, sql, stands, until};
use crate::kill::rig::{kafka_log, show};
use crate::kill::topics::{read, replayed};
use crate::support::database::Database;
use crate::topics::wire::Owner;

const SQL: &str = "
CREATE TABLE items (id INT PRIMARY KEY, v INT, body TEXT)
  WITH (connector = 'log', topic = '@items', format = 'json', envelope = 'upsert', partitions = 2);
CREATE SINK good FROM items
  WITH (connector = 'log', topic = '@good', format = 'json', envelope = 'debezium', partitions = 1);
CREATE SINK small FROM items
  WITH (connector = 'log', topic = '@small', format = 'json', envelope = 'debezium', partitions = 1);
CREATE SINK plain FROM items WITH (connector = 'postgres', url = '$url', table = 'plain');
CREATE SINK strict FROM items WITH (connector = 'postgres', url = '$url', table = 'strict');
CREATE SINK held FROM items WITH (connector = 'postgres', url = '$held', table = 'held');
";

type Rows = BTreeMap<i32, (i32, String)>;

fn write(http: &str, topic: &str, expected: &mut Rows, rows: impl Iterator<Item = (i32, i32, String)>) {
    let record = |(id, v, body): (i32, i32, String)| {
        let row = format!("{{\"id\":{id},\"v\":{v},\"body\":\"{body}\"}}");
        expected.insert(id, (v, body));
        (format!("{{\"id\":{id}}}"), Some(row))
    };
    let records: Vec<_> = rows.map(record).collect();
    assert!(post(http, topic, &records), "the topic takes them");
}

fn rows_in(client: &mut Client, table: &str) -> Rows {
    let rows = client.query(&format!("SELECT id, v, body FROM {table}"), &[]).expect("a query");
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

/// What a debezium topic comes to, each change on what was before it.
fn rows_of(log: &dyn api::Log, topic: &str) -> Rows {
    let row = |text: &String| -> (i32, (i32, String)) {
        let row: Value = serde_json::from_str(text).expect("JSON");
        let number = |name: &str| row[name].as_i64().expect("a number") as i32;
        (number("id"), (number("v"), row["body"].as_str().expect("a text").to_string()))
    };
    let changes = replayed(log, topic, &["id", "v", "body"]);
    changes.values().filter_map(|changes| changes.last()?.as_ref().map(row)).collect()
}

/// What a debezium topic came to before the epoch that first told of the row `id`, which is never deleted.
fn rows_before(log: &dyn api::Log, topic: &str, id: i32) -> Rows {
    let event =
        |record: api::Record| serde_json::from_slice::<Value>(&record.value.expect("no deletes")).expect("JSON");
    let events: Vec<Value> = read(log, topic).into_iter().map(event).collect();
    let number = |value: &Value| value.as_i64().expect("a number");
    let told = events.iter().filter(|event| number(&event["after"]["id"]) == i64::from(id));
    let first = told.map(|event| number(&event["source"]["epoch"])).min().expect("it was told");
    let before = events.iter().filter(|event| number(&event["source"]["epoch"]) < first).map(|event| &event["after"]);
    let text = |row: &Value| row["body"].as_str().expect("a text").to_string();
    before.map(|row| (number(&row["id"]) as i32, (number(&row["v"]) as i32, text(row)))).collect()
}

#[test]
fn sinks_that_hang_or_refuse_hold_nobody_up() {
    let brokers =
        std::env::var("MILLSTREAM_TEST_KAFKA").expect("run this by tests/run, or tests/with-services COMMAND");
    let prefix = format!("sinks{}-", std::process::id());
    let mut database = Database::create(&format!("sinks{}", std::process::id()));
    let proxy = Proxy::to(&database.host, database.port);
    // An answer is waited for so long, in seconds.
    let held = format!("postgres://postgres@127.0.0.1:{}/{}?tcp_user_timeout=2", proxy.port, database.name);
    database.run("CREATE TABLE strict (id INT PRIMARY KEY, v INT CONSTRAINT below CHECK (v < 1000), body TEXT)");
    let mut owner = Owner::connect(&brokers);
    owner.make(&format!("{prefix}small"), 1, &[("max.message.bytes", "3000")]);
    let dir = tempfile::tempdir().unwrap();
    let text = SQL.replace('@', &prefix).replace("$url", &database.url).replace("$held", &held);
    let pipeline = format!("{prefix}pipeline");
    let settings = ["--kafka", &brokers, "--pipeline", &pipeline];
    let pipe = Pipe::new(dir.path(), &dir.path().join("data"), &text, &settings);
    let mut serving = pipe.start();
    let (http, items) = (serving.http.clone(), format!("{prefix}items"));
    let mut expected = Rows::new();
    write(&http, &items, &mut expected, (1..=50).map(|id| (id, id, "fits".to_string())));
    for name in ["good", "small", "plain", "strict", "held"] {
        delivered(&http, name);
    }
    let mut all_have = |expected: &Rows| {
        for table in ["plain", "strict", "held"] {
            until(&format!("{table} has it"), || rows_in(&mut database.client, table) == *expected);
        }
    };
    all_have(&expected);

    proxy.stall(true);
    // It does not compress.
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let noise: String = (0..6000).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
    write(&http, &items, &mut expected, [(1, 7, "again".into()), (60, 5000, "v".into()), (61, 1, noise)].into_iter());
    stands(&http, "strict", "ERROR", "below");
    let small = stands(&http, "small", "ERROR", "max.message.bytes");
    assert!(small.contains(&format!("{prefix}small")), "{small}");
    stands(&http, "held", "WAITING", "no answer within 2 s");
    // The others have it, and what comes then.
    let log = kafka_log(&brokers, "judge");
    for round in 0..3 {
        write(&http, &items, &mut expected, (1..=20).map(|id| (id, 100 * round + id, format!("round {round}"))));
        until("plain goes on", || rows_in(&mut database.client, "plain") == expected);
        until("good goes on", || rows_of(&*log, &format!("{prefix}good")) == expected);
    }
    // A sink that is made while the target hangs stops nobody.
    let table = "CREATE SINK later FROM items WITH (connector = 'postgres', url = '$held', table = 'later')";
    sql(&http, &table.replace("$held", &held));
    stands(&http, "later", "WAITING", "no answer within 2 s");
    // The records came over two partitions, perhaps by two epochs.
    let before = rows_before(&*log, &format!("{prefix}good"), 60);
    let refused = rows_in(&mut database.client, "strict");
    assert_eq!(refused, before, "an epoch that is refused is not there by half, nor is one behind it");

    proxy.stall(false);
    database.run("ALTER TABLE strict DROP CONSTRAINT below");
    owner.set(&format!("{prefix}small"), "max.message.bytes", "1000000");
    for name in ["good", "small", "plain", "strict", "held", "later"] {
        delivered(&http, name);
    }
    for table in ["plain", "strict", "held", "later"] {
        assert_eq!(rows_in(&mut database.client, table), expected, "{table}");
    }
    until("small has it", || rows_of(&*log, &format!("{prefix}small")) == expected);
    until("good has it", || rows_of(&*log, &format!("{prefix}good")) == expected);
    // Record by record what the sink has that was never refused.
    let records = |topic: &str| {
        let records = read(&*log, &format!("{prefix}{topic}")).into_iter();
        let mut records: Vec<_> = records.map(|record| (record.timestamp, record.key, record.value)).collect();
        assert!(records.is_sorted_by_key(|(epoch, ..)| *epoch), "epoch by epoch");
        // Within an epoch the order is that of each key.
        records.sort_by_key(|(epoch, key, _)| (*epoch, key.clone()));
        records
    };
    assert!(records("small") == records("good"), "each once, those of a key in their order");
    assert!(show(&http, "SHOW SINKS").0.iter().all(|row| row[2] == "ACTIVE"));
    assert_eq!(serving.process.terminate(), Some(0), "{}", pipe.said());
}
