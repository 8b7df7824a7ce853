//! Stream tables over what is there: made at once or in pieces, they are the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::EpochRecord;
use state::Budget;

use super::world::{Between, Running, T, World, append, gone, make_topic, put, read};
use crate::EngineError;

/// More than two pieces.
const ROWS: i64 = 20_000;

const QUERIES: [&str; 6] = [
    "SELECT id, a, b FROM t WHERE b > 2",
    "SELECT a, count(*) AS n, max(b) AS m FROM t GROUP BY a",
    "SELECT count(*) AS n FROM t WHERE a < 0",
    "SELECT t.id, other.id AS other FROM t JOIN t AS other ON t.id = other.a WHERE t.id < 700",
    "SELECT t.id, n FROM t JOIN (SELECT a, count(*) AS n FROM t GROUP BY a) AS g ON t.a = g.a",
    "SELECT DISTINCT b FROM t",
];

fn world(limit: u64) -> World {
    let mut world = World::new();
    world.memory = Arc::new(Budget::new(limit));
    world
}

fn fed(world: &World) -> Running {
    let running = world.start();
    running.sql(T);
    let records: Vec<_> = (0..ROWS).map(|n| put(n, n * 7 % 500, n % 9)).collect();
    running.feed("t", &records);
    running
}

fn hits(world: &World) -> u64 {
    world.faults.hits().into_iter().filter(|(name, _)| *name == "populate-piece").map(|(_, hits)| hits).sum()
}

/// The rows of each query's table, and what the epoch records say of its making.
fn made(limit: u64, between: Between) -> (Vec<BTreeMap<String, i64>>, Vec<String>) {
    let mut world = world(limit);
    let mut running = fed(&world);
    for (at, query) in QUERIES.iter().enumerate() {
        running.sql(&format!("CREATE STREAM TABLE q{at} AS {query}"));
    }
    assert_eq!(hits(&world) > 0, limit < u64::MAX, "{} pieces", hits(&world));
    // A process with more memory replays what was made with less.
    world.memory = Arc::new(Budget::new(u64::MAX));
    running = world.again(running, between);
    running.feed("t", &[put(0, 3, 8), put(ROWS, 3, 8), put(8, 1, 0)]);
    running.verify();
    let rows = (0..QUERIES.len()).map(|at| running.rows(&format!("q{at}"))).collect();
    let records = read(&world.log, "p.epochs", 0);
    let records = records.iter().map(|record| EpochRecord::decode(record.value.as_ref().unwrap()).unwrap());
    (rows, records.filter(|record| record.catalog.is_some()).map(|record| format!("{:?}", record.tables)).collect())
}

#[test]
fn in_pieces_it_is_the_same() {
    let expected = made(u64::MAX, Between::Nothing);
    assert!(expected.0.iter().all(|rows| !rows.is_empty()));
    for between in [Between::Stop, Between::Crash] {
        let (rows, records) = made(1 << 20, between);
        assert!(rows == expected.0, "{between:?}");
        assert_eq!(records, expected.1, "{between:?}");
    }
}

#[test]
fn a_row_that_no_epoch_has_fails_nothing() {
    let world = world(1 << 20);
    let running = fed(&world);
    // After the first piece, and only then, the count is what the query divides by zero at.
    let first = 8192;
    running.sql(&format!("CREATE STREAM TABLE q AS SELECT 1 / (count(*) - {first}) AS v FROM t"));
    assert_eq!(running.rows("q"), BTreeMap::from([(r#"{"v":0}"#.to_string(), 1)]));
    assert_eq!(hits(&world), 1, "it failed at the first piece");
    let refused = running.refusal(&format!("CREATE STREAM TABLE r AS SELECT 1 / (count(*) - {ROWS}) AS v FROM t"));
    assert!(matches!(refused, EngineError::Statement(error) if error.sqlstate == "22012"));
}

#[test]
fn what_fails_at_a_piece_leaves_nothing() {
    let mut world = world(1 << 20);
    world.faults = fault::Failpoints::parse("populate-piece=error@2").unwrap();
    let running = fed(&world);
    let make = "CREATE STREAM TABLE q AS SELECT a, count(*) AS n FROM t GROUP BY a";
    running.refusal(make);
    assert!(running.end().1.is_err(), "the failure is not of the statement");
    let running = world.start();
    running.sql(make);
    running.verify();
    assert_eq!(running.rows("q").len(), 500);
}

#[test]
fn another_plan_is_rebuilt_in_pieces() {
    let mut world = world(1 << 20);
    let running = fed(&world);
    running.sql("CREATE STREAM TABLE s AS SELECT a, sum(b + 0) AS v FROM t GROUP BY a");
    let rows = running.rows("s");
    running.stop().unwrap();
    let before = hits(&world);
    world.update("b + 0", "b + 0 + 0");
    let running = world.start();
    assert!(hits(&world) > before, "in pieces");
    assert_eq!(running.rows("s"), rows);
    running.feed("t", &[put(0, 3, 100)]);
    running.verify();
    running.stop().unwrap();
    world.update("b + 0", "b * 2");
    assert!(world.refusal().contains("computes other contents"), "{}", world.refusal());
}

#[test]
fn inputs_that_came_to_nothing_give_what_is_there_without_any() {
    let world = world(0);
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 2, 3)]);
    running.feed("t", &[gone(1)]);
    running.sql("CREATE STREAM TABLE q AS SELECT count(*) AS n FROM t");
    assert_eq!(running.rows("q"), BTreeMap::from([(r#"{"n":0}"#.to_string(), 1)]));
    assert_eq!(hits(&world), 0, "there is no piece");
}

#[test]
fn a_retraction_in_a_piece_before_its_row_is_rebuilt_at_once() {
    let mut world = world(1 << 20);
    make_topic(&world.log, "src", 2);
    let event = |op: &str, before: &str, after: &str| {
        let value = format!(r#"{{"op":"{op}","before":{before},"after":{after}}}"#);
        ("null".to_string(), Some(value))
    };
    let running = world.start();
    running.sql(
        "CREATE SOURCE src (id INT, v INT) WITH (connector = 'log', topic = 'src', envelope = 'debezium',
             format = 'json', replica_identity = 'full', partitions = 2)",
    );
    running.sql("CREATE STREAM TABLE d AS SELECT v + 0 AS v, count(*) AS n FROM src GROUP BY v + 0");
    // What is taken away in the first partition came in the second.
    let rows: Vec<_> = (0..300).map(|id| event("c", "null", &format!(r#"{{"id":{id},"v":{id}}}"#))).collect();
    append(&world.log, "src", 1, &rows);
    running.settle("src");
    append(&world.log, "src", 0, &[event("d", r#"{"id":7,"v":7}"#, "null")]);
    running.settle("src");
    let rows = running.rows("d");
    assert_eq!(rows.len(), 299);
    running.stop().unwrap();
    world.update("v + 0", "v + 0 + 0");
    let before = hits(&world);
    let running = world.start();
    assert!(hits(&world) > before, "in pieces, at first");
    assert_eq!(running.rows("d"), rows);
}

#[test]
fn what_was_read_again_is_told_in_the_order_of_the_inputs() {
    let mut world = world(1 << 20);
    let running = world.start();
    for (source, rows) in [("large", 400), ("small", 10)] {
        running.sql(&format!(
            "CREATE SOURCE {source} (id INT) WITH (connector = 'log', topic = '{source}', format = 'json', envelope = 'append')"
        ));
        let records: Vec<_> = (0..rows).map(|id| (String::new(), Some(format!(r#"{{"id":{id}}}"#)))).collect();
        append(&world.log, source, 0, &records);
        running.settle(source);
    }
    running.sql("CREATE STREAM TABLE j AS SELECT large.id FROM large JOIN small ON large.id = small.id");
    let rows = running.rows("j");
    assert_eq!((rows.len(), hits(&world) > 0), (10, true));
    // Replayed at once.
    world.memory = Arc::new(Budget::new(u64::MAX));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("j"), rows);
}
