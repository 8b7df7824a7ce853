//! `millstream topic`: what is written is read back, byte for byte; what is wrong is refused whole.

use serde_json::{Value, json};

use super::support::{Running, outcome, output, with_input};

fn read(running: &Running, args: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["topic", "read"].iter().chain(args).copied().chain(["--http", &running.http]).collect();
    let (code, text, said) = outcome(&output(&all));
    assert_eq!(code, 0, "{said}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), "");
    let http = running.http.as_str();
    let lines = [
        json!({"key": "k1", "value": "text", "headers": {"h": "x", "none": null}, "timestamp": 5}),
        json!({"key": {"id": 1}, "value": null}),
        json!({"key": null, "value": {"$base64": "/wA="}}),
        json!({"key": "k1", "value": {"a": [1, 2]}, "headers": [["h", "1"], ["h", "2"]]}),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (code, text, said) = with_input(&["topic", "write", "x", "--partitions", "4", "--http", http], &input);
    assert_eq!((code, text.as_str()), (0, ""), "{said}");
    assert!(said.contains("4 records written to x"), "{said}");
    let found = read(&running, &["x"]);
    assert_eq!(found.len(), 4);
    let with_key = |key: Value| found.iter().filter(|record| record["key"] == key).collect::<Vec<_>>();
    let k1 = with_key(json!("k1"));
    assert_eq!((&k1[0]["value"], &k1[0]["timestamp"]), (&json!("text"), &json!(5)));
    assert_eq!(k1[0]["headers"], json!({"h": "x", "none": null}));
    assert_eq!((&k1[1]["value"], &k1[1]["headers"]), (&json!("{\"a\":[1,2]}"), &json!([["h", "1"], ["h", "2"]])));
    assert_eq!(k1[0]["partition"], k1[1]["partition"]);
    assert_eq!(with_key(json!("{\"id\":1}"))[0]["value"], Value::Null);
    assert_eq!(with_key(Value::Null)[0]["value"], json!({"$base64": "/wA="}));

    // What was read is written again as it was.
    let again: String = found.iter().map(|record| format!("{record}\n")).collect();
    let (code, _, said) = with_input(&["topic", "write", "y", "--partitions", "4", "--http", http], &again);
    assert_eq!(code, 0, "{said}");
    assert_eq!(read(&running, &["y"]), found);

    let (code, text, _) = outcome(&output(&["topic", "--http", http, "list"]));
    assert_eq!(code, 0);
    assert!(text.lines().any(|line| line == r#"{"partitions":4,"topic":"x"}"#), "{text}");
    running.stop();
}

#[test]
fn batches_ranges_and_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), "");
    let http = running.http.as_str();
    let input: String = (0..2500).map(|n| format!("{{\"value\":\"{n}\"}}\n")).collect();
    let (code, _, said) = with_input(&["topic", "write", "x", "-p", "1", "--partitions", "3", "--http", http], &input);
    assert_eq!(code, 0, "{said}");
    assert_eq!(read(&running, &["x"]).len(), 2500);
    let some = read(&running, &["x", "-p", "1", "--from", "2400", "--max", "2"]);
    assert_eq!((some.len(), &some[0]["value"], &some[1]["offset"]), (2, &json!("2400"), &json!(2401)));
    assert!(read(&running, &["x", "-p", "0"]).is_empty());

    let bad = format!("{}{}", "{\"value\":\"good\"}\n".repeat(1500), "{\"value\":\"no partition\",\"partition\":3}\n");
    let (code, _, said) = with_input(&["topic", "write", "x", "--http", http], &bad);
    assert_eq!(code, 1);
    assert!(said.contains("line 1501: topic \"x\" has no partition 3"), "{said}");
    assert!(said.contains("1000 records before it were written"), "{said}");
    assert_eq!(read(&running, &["x"]).len(), 3500, "the batch with the bad line is refused whole");

    for (args, why) in [
        (vec!["topic", "read", "nothing"], "does not exist"),
        (vec!["topic", "read", "x", "--from", "1"], "-p N"),
        (vec!["topic", "read", "x", "-p", "1", "--from", "9999"], "holds offsets 0 to"),
    ] {
        let all: Vec<&str> = args.into_iter().chain(["--http", http]).collect();
        let (code, text, said) = outcome(&output(&all));
        assert_eq!((code, text.as_str()), (1, ""), "{said}");
        assert!(said.contains(why), "{said}");
    }
    running.stop();
}

#[test]
fn the_epoch_topic_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), super::run::SQL);
    assert!(!read(&running, &["millstream.epochs"]).is_empty(), "reading it harms nobody");
    let args = ["topic", "write", "millstream.epochs", "--http", &running.http];
    let (code, _, said) = with_input(&args, "{\"value\":\"x\"}\n");
    assert_eq!(code, 1);
    assert!(said.contains("only the pipeline writes to it"), "{said}");
    running.stop();
    Running::start(dir.path(), super::run::SQL).stop();
}

#[test]
fn nobody_there() {
    // Port 1 is nobody's.
    let (code, _, said) = outcome(&output(&["topic", "list", "--http", "127.0.0.1:1"]));
    assert_eq!(code, 1);
    assert!(said.contains("cannot reach a running millstream") && said.contains("--http"), "{said}");
}
