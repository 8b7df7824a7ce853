//! Large answers: whole, at the client's pace, within the limits.

use std::io::Read;

use super::raw::{Raw, text};
use super::{connect, refusal, start};
use crate::cli::support::Running;

/// A hundred thousand rows.
const MANY: &str = "WITH d (x) AS (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) SELECT a.x * 10000 + b.x * 1000 + c.x * 100 \
    + d.x * 10 + e.x AS n, 'row of some length, so that no buffer on the way holds them all' AS t FROM d a, d b, d c, d d, d e";

#[test]
fn a_large_answer_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    let mut seen = vec![false; 100_000];
    for row in client.query(MANY, &[]).unwrap() {
        let n: i32 = row.get(0);
        assert!(!std::mem::replace(&mut seen[n as usize], true), "{n} comes twice");
    }
    assert!(seen.iter().all(|seen| *seen));
    let found = client.simple_query(MANY).unwrap();
    assert!(
        matches!(found.last(), Some(postgres::SimpleQueryMessage::CommandComplete(100_000))),
        "the tag counts them"
    );
}

#[test]
fn who_does_not_read_holds_up_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut lazy: Vec<Raw> = (0..3).map(|_| Raw::connect(&running)).collect();
    for raw in &mut lazy {
        raw.send('Q', &text(MANY));
    }
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (a integer)").unwrap();
    for n in 0..20 {
        client.execute("INSERT INTO t VALUES ($1)", &[&n]).unwrap();
    }
    assert_eq!(client.query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 20);
    // One reads in the end, and has it all; the others go.
    let mut raw = lazy.pop().unwrap();
    let rows = raw.until('Z').into_iter().filter(|(kind, _)| *kind == 'D').count();
    assert_eq!(rows, 100_000);
}

#[test]
fn memory_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), "", &["--query-memory", "4MB"]);
    let mut client = connect(&running);
    let error = client.batch_execute(&format!("SELECT * FROM ({MANY}) m ORDER BY n DESC, t")).unwrap_err();
    assert_eq!(refusal(&error).0, "53200", "{error:?}");
    client.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_long_query_string_is_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    let long = "x".repeat(3 << 20);
    let answers = raw.query(&format!("SELECT length('{long}'), '{long}'"));
    let row = &answers.iter().find(|(kind, _)| *kind == 'D').unwrap().1;
    assert_eq!(row.len(), 2 + 4 + 7 + 4 + long.len());
    let mut rest = Vec::new();
    raw.send('X', &[]);
    raw.stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "Terminate ends it without a word");
}
