//! `millstream run`: from the ready line to the exit, and on again.

use super::support::{LONG, Running, with_input};

pub const SQL: &str = "
CREATE TABLE t (id integer PRIMARY KEY, a integer) WITH (connector = 'log', topic = 't', envelope = 'upsert', partitions = 2);
CREATE STREAM TABLE v AS SELECT a, count(*) AS n FROM t GROUP BY a;
CREATE SINK s FROM v WITH (connector = 'log', topic = 'v_out', envelope = 'upsert');
";

fn rows(from: u32, to: u32) -> String {
    (from..to).map(|id| format!("{{\"key\":{{\"id\":{id}}},\"value\":{{\"a\":{}}}}}\n", id % 10)).collect()
}

fn write(running: &Running, topic: &str, lines: &str) {
    let (code, _, said) = with_input(&["topic", "write", topic, "--http", &running.http], lines);
    assert_eq!(code, 0, "{said}");
}

/// The latest value of every key in a topic.
fn latest(running: &Running, topic: &str) -> std::collections::BTreeMap<String, String> {
    let mut latest = std::collections::BTreeMap::new();
    for line in running.get(&format!("/topics/{topic}")).2.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = record["key"].as_str().unwrap().to_string();
        match record["value"].as_str() {
            Some(value) => latest.insert(key, value.to_string()),
            None => latest.remove(&key),
        };
    }
    latest
}

#[test]
fn answers_and_leaves_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), SQL);
    assert_eq!(running.get("/readyz").0, 200);
    assert_eq!(running.get("/healthz").0, 200);
    let (status, kind, text) = running.get("/metrics");
    assert_eq!((status, kind.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(text.contains("\nmillstream_epochs_total ") && text.ends_with("# EOF\n"), "{text}");
    let (status, kind, text) = running.get("/nowhere");
    assert_eq!((status, kind.as_str()), (404, "application/json"));
    assert!(text.contains("/readyz"), "it says what there is: {text}");
    let (status, answer) = running.post("/sql", "SELECT 1");
    assert_eq!((status, answer["sqlstate"].as_str()), (400, Some("0A000")), "{answer}");
    running.signal("TERM");
    let (status, rest) = running.wait(LONG);
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "standard output carries the ready line only");
}

#[test]
fn goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(dir.path(), SQL);
    write(&first, "t", &rows(0, 100));
    first.wait_rows("v", 10);
    let epoch = first.epoch;
    first.stop();
    let second = Running::start(dir.path(), SQL);
    assert!(second.epoch > epoch, "{} is not behind {epoch}", second.epoch);
    second.wait_rows("v", 10);
    write(&second, "t", "{\"key\":{\"id\":1},\"value\":{\"a\":77}}\n{\"key\":{\"id\":2},\"value\":null}\n");
    second.wait_rows("v", 11);
    second.kill();
    let third = Running::start(dir.path(), SQL);
    third.wait_rows("v", 11);
    let out = latest(&third, "v_out");
    assert_eq!(out.len(), 11);
    assert_eq!(out["{\"a\":77}"], "{\"a\":77,\"n\":1}");
    assert_eq!(out["{\"a\":1}"], "{\"a\":1,\"n\":9}");
    assert_eq!(out["{\"a\":2}"], "{\"a\":2,\"n\":9}");
    assert_eq!(out["{\"a\":3}"], "{\"a\":3,\"n\":10}");
    third.stop();
}

#[test]
fn interrupt_ends_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), SQL);
    write(&running, "t", &rows(0, 2000));
    running.signal("INT");
    assert_eq!(running.wait(LONG).0.code(), Some(0));
    let again = Running::start(dir.path(), SQL);
    again.wait_rows("v", 10);
    again.stop();
}

#[test]
fn statements_through_http() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), SQL);
    let (status, answer) = running.post("/sql", "CREATE STREAM TABLE w AS SELECT id FROM t; SHOW STREAM TABLES");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["results"][0]["tag"], "CREATE STREAM TABLE");
    assert_eq!(answer["results"][1]["rows"][1][0], "w");
    let (status, answer) = running.post("/sql", "DROP TABLE t");
    assert_eq!((status, answer["sqlstate"].as_str()), (400, Some("2BP01")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("CASCADE"), "{answer}");
    assert_eq!(running.post_from_page("/sql", "DROP STREAM TABLE w"), 403);
    assert_eq!(running.post_from_page("/topics/t", "{\"value\":null}"), 403);
    assert_eq!(running.sql("SHOW STREAM TABLES").len(), 2);
    running.stop();
}
