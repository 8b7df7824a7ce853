//! How long a start takes after a kill, with state: `RECOVERY_MB=1024 MILLSTREAM_TEST_BINARY=target/release/millstream` says so
//! for a gigabyte. Without it the state is small, and what is tested is that nothing of it is missing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Log, OutRecord, TopicKind, TopicPartition, TopicSpec};
use local::LocalLog;
use zset::{Partition, TimestampMs};

use crate::kill::rig::{PATIENCE, show};
use crate::support::process::{Process, address_in};

const SQL: &str = "
CREATE TABLE items (id BIGINT PRIMARY KEY, kind INT, body TEXT)
  WITH (connector = 'log', topic = 'items', format = 'json', envelope = 'upsert', partitions = 3);
CREATE STREAM TABLE kinds AS SELECT kind, count(*) AS items FROM items GROUP BY kind;
";

/// The bytes of a row's text: with its key and the rest, a row is about 200 bytes of state.
const BODY_BYTES: usize = 150;
const KINDS: u64 = 1000;
const ROW_BYTES: u64 = 200;

#[test]
fn a_start_after_a_kill_has_all_of_its_state() {
    let megabytes: u64 = std::env::var("RECOVERY_MB").map_or(2, |text| text.parse().expect("RECOVERY_MB is a number"));
    let rows = megabytes * 1_000_000 / ROW_BYTES;
    let dir = tempfile::tempdir().unwrap();
    let (data, sql, errors) = (dir.path().join("data"), dir.path().join("p.sql"), dir.path().join("stderr.log"));
    std::fs::write(&sql, SQL).unwrap();
    fill(&data, rows);
    let arguments = [
        "run",
        "--data",
        data.to_str().unwrap(),
        "--pg-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
        "--checkpoint-interval",
        "1s",
        sql.to_str().unwrap(),
    ];
    let start = || {
        let began = Instant::now();
        let process = Process::start(&arguments, &errors);
        let line = process.ready_line(PATIENCE * 10).unwrap_or_else(|| panic!("it ended: {errors:?}"));
        (process, address_in(&line, "http"), began.elapsed())
    };
    let (mut process, http, _) = start();
    wait(&http, "all rows come", |rows| rows == rows_of(&http, "items") && rows > 0, rows);
    let checkpoint = metric(&http, "millstream_checkpoint_epoch ");
    let deadline = Instant::now() + PATIENCE * 10;
    while metric(&http, "millstream_checkpoint_epoch ") < metric(&http, "millstream_epoch ") {
        assert!(Instant::now() < deadline, "a checkpoint comes after {checkpoint}");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Some epochs behind the checkpoint are replayed.
    for id in 0..20 {
        let line = serde_json::json!({ "key": format!("{{\"id\":{id}}}"), "value": value(id, id + 1) }).to_string();
        ureq::post(format!("http://{http}/topics/items")).send(line).unwrap();
    }
    process.kill();
    let (mut process, http, took) = start();
    let state = bytes_in(&data.join("state/live"));
    assert!(state > rows * BODY_BYTES as u64 / 2, "the state is on disk: {state} bytes of {rows} rows");
    assert_eq!(rows_of(&http, "items"), rows, "no row is missing");
    assert_eq!(rows_of(&http, "kinds"), KINDS.min(rows), "no group is missing");
    println!("{rows} rows, {} MB of state: serving after {} ms", state / 1_000_000, took.as_millis());
    assert_eq!(process.terminate(), Some(0));
}

fn value(id: u64, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let body: String = (0..BODY_BYTES)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'a' + (state % 26) as u8)
        })
        .collect();
    format!("{{\"id\":{id},\"kind\":{},\"body\":\"{body}\"}}", id % KINDS)
}

/// Writes the items into the log that the pipeline will find.
fn fill(data: &Path, rows: u64) {
    std::fs::create_dir_all(data).unwrap();
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(&data.join("log")).unwrap());
    let spec = TopicSpec { topic: "items".into(), partitions: 3, replication: None, kind: TopicKind::Plain };
    log.make_topic(&spec).unwrap();
    let record = |id: u64| OutRecord {
        to: TopicPartition { topic: "items".into(), partition: Partition((id % 3) as i32) },
        timestamp: TimestampMs(1_700_000_000_000),
        key: Some(format!("{{\"id\":{id}}}").into()),
        value: Some(value(id, id).into()),
        headers: Vec::new(),
    };
    let ids: Vec<u64> = (0..rows).collect();
    for ids in ids.chunks(50_000) {
        log.append(&ids.iter().map(|id| record(*id)).collect::<Vec<_>>()).unwrap();
    }
}

fn rows_of(http: &str, table: &str) -> u64 {
    let name = format!("millstream_rows{{table=\"{table}\"}} ");
    metric(http, &name)
}

fn wait(http: &str, what: &str, holds: impl Fn(u64) -> bool, value: u64) {
    let deadline = Instant::now() + PATIENCE * 10;
    while !holds(value) {
        assert!(Instant::now() < deadline, "{what}: {}", show(http, "SHOW SOURCES").1);
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn text(http: &str) -> String {
    ureq::get(format!("http://{http}/metrics")).call().unwrap().body_mut().read_to_string().unwrap()
}

fn metric(http: &str, name: &str) -> u64 {
    let text = text(http);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse::<f64>().unwrap() as u64)
}

/// The sizes of a folder's files.
fn bytes_in(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    // Others come and go meanwhile.
    files.filter_map(|file| file.ok()?.metadata().ok()).filter(|it| it.is_file()).map(|it| it.len()).sum()
}
