//! A producer that is faster than we are: what it writes waits in the topic and not in our memory, the lag is shown, and when it
//! ends everything is caught up with, and exact.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Log, OutRecord, TopicPartition};
use zset::{Partition, TimestampMs};

use super::{Pipe, budget, metric, resident, until};
use crate::kill::broker::Broker;
use crate::kill::load::now_ms;
use crate::kill::rig::{PATIENCE, kafka_log, show, wait_until_caught_up};
use crate::kill::topics::replayed;

const SQL: &str = "
CREATE TABLE fast (id BIGINT PRIMARY KEY, kind INT, amount BIGINT, note TEXT)
  WITH (connector = 'log', topic = 'fast', format = 'json', envelope = 'upsert', partitions = 3);
CREATE STREAM TABLE totals AS SELECT kind, count(*) AS n, sum(amount) AS total FROM fast GROUP BY kind;
CREATE STREAM TABLE spread AS SELECT kind, min(amount) AS least, max(amount) AS most FROM fast GROUP BY kind;
CREATE STREAM TABLE near AS SELECT f.id, f.amount, t.total FROM fast f JOIN totals t ON f.kind = t.kind WHERE f.id < 100;
CREATE SINK totals_out FROM totals
  WITH (connector = 'log', topic = 'totals', format = 'json', envelope = 'debezium', partitions = 1);
";

/// How many keys there are: the state is of these, whatever is written.
const KEYS: i64 = 20_000;
const KINDS: i64 = 50;
/// Bytes of a record that make it as large as those of others.
const NOTE_BYTES: usize = 400;

/// Records behind that count as slow: more than any epoch takes.
const LAG_MIN: f64 = 65_536.0;

/// More than the process had before. It is reached within half a minute and not left: an epoch of records on their way (read, decoded,
/// changed and journalled), the batches that wait behind it, the client's queue, and what the allocator keeps of that.
const MORE_BYTES_MAX: u64 = 900 << 20;

#[test]
fn a_producer_is_faster_than_we_are() {
    let time = Duration::from_secs(budget("PRODUCER_SECONDS", 4));
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    let pipe = Pipe::new(dir.path(), &dir.path().join("data"), SQL, &["--kafka", &broker.address]);
    let mut serving = pipe.start();
    let log = kafka_log(&broker.address, "producer");
    // The state is there before: what comes later is of the same keys.
    let mut amounts = vec![0; KEYS as usize];
    write(&*log, &mut amounts, 0..KEYS);
    let caught_up = |http: &str| show(http, "SHOW SOURCES").0.iter().all(|row| row[5] == "0");
    until("the state is there", || caught_up(&serving.http) && rows_of(&serving.http) == KEYS);
    let before = resident(&serving.process);
    let producer = {
        let log = Arc::clone(&log);
        std::thread::spawn(move || {
            let (end, mut round) = (Instant::now() + time, 0);
            while Instant::now() < end {
                write(&*log, &mut amounts, 0..KEYS);
                round += 1;
            }
            (amounts, round)
        })
    };
    let shown = |http: &str| {
        let rows = show(http, "SHOW SOURCES").0;
        rows.iter().map(|row| row[5].as_str().expect("a lag").parse::<f64>().expect("a number")).sum::<f64>()
    };
    let (mut most, mut lag, mut shown_most) = (0, 0.0_f64, 0.0_f64);
    while !producer.is_finished() {
        assert_eq!(serving.process.ended_by(Instant::now() + Duration::from_millis(100)), None, "{}", pipe.said());
        most = most.max(resident(&serving.process));
        lag = lag.max(metric(&serving.http, "millstream_source_lag_records"));
        shown_most = shown_most.max(shown(&serving.http));
    }
    let (mut amounts, mut rounds) = producer.join().expect("the producer does not panic");
    // However fast it is: while it stands still it falls behind.
    let deadline = Instant::now() + PATIENCE;
    while lag <= LAG_MIN || shown_most == 0.0 {
        assert!(Instant::now() < deadline, "the lag is seen: {lag} in the metrics, {shown_most} in SHOW SOURCES");
        serving.process.signal("STOP");
        (0..5).for_each(|_| write(&*log, &mut amounts, 0..KEYS));
        rounds += 5;
        serving.process.signal("CONT");
        while !caught_up(&serving.http) {
            lag = lag.max(metric(&serving.http, "millstream_source_lag_records"));
            shown_most = shown_most.max(shown(&serving.http));
        }
    }
    let (written, ended) = (rounds * KEYS, Instant::now());
    while !caught_up(&serving.http) || metric(&serving.http, "millstream_source_lag_records") > 0.0 {
        assert!(ended.elapsed() < PATIENCE + 10 * time, "it catches up: {}", show(&serving.http, "SHOW SOURCES").1);
        assert_eq!(serving.process.ended_by(Instant::now() + Duration::from_millis(100)), None, "{}", pipe.said());
        most = most.max(resident(&serving.process));
    }
    wait_until_caught_up(&serving.http);
    println!(
        "{written} records in {} s: {} MB before, at most {} MB; lag at most {lag}, {shown_most} as shown; caught up {} ms later",
        time.as_secs(),
        before >> 20,
        most >> 20,
        ended.elapsed().as_millis()
    );
    assert!(most < before + MORE_BYTES_MAX, "memory is bounded: {before} before, {most} then");
    assert_eq!(serving.process.terminate(), Some(0), "{}", pipe.said());
    judge(&*log, &amounts);
}

fn rows_of(http: &str) -> i64 {
    let (rows, _) = show(http, "SHOW STREAM TABLES");
    let totals = rows.iter().any(|row| row[0] == "totals" && row[3].as_str() == Some(&KINDS.to_string()));
    if totals { metric(http, "millstream_rows{table=\"fast\"}") as i64 } else { 0 }
}

/// A round: each key once more, with another amount.
fn write(log: &dyn Log, amounts: &mut [i64], ids: std::ops::Range<i64>) {
    let ids: Vec<i64> = ids.collect();
    for ids in ids.chunks(5_000) {
        let records: Vec<OutRecord> = ids.iter().map(|id| record(*id, &mut amounts[*id as usize])).collect();
        log.append(&records).expect("the topic takes records");
    }
}

fn record(id: i64, amount: &mut i64) -> OutRecord {
    *amount += id % 7 + 1;
    let (kind, amount, note) = (id % KINDS, *amount, "n".repeat(NOTE_BYTES));
    OutRecord {
        to: TopicPartition { topic: "fast".into(), partition: Partition((id % 3) as i32) },
        timestamp: TimestampMs(now_ms()),
        key: Some(format!("{{\"id\":{id}}}").into()),
        value: Some(format!("{{\"id\":{id},\"kind\":{kind},\"amount\":{amount},\"note\":\"{note}\"}}").into()),
        headers: Vec::new(),
    }
}

fn judge(log: &dyn Log, amounts: &[i64]) {
    let mut totals: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for (id, amount) in amounts.iter().enumerate() {
        let total = totals.entry(id as i64 % KINDS).or_default();
        *total = (total.0 + 1, total.1 + amount);
    }
    let expected: BTreeMap<String, String> = totals
        .into_iter()
        .map(|(kind, (n, total))| {
            (format!("{{\"kind\":{kind}}}"), format!("{{\"kind\":{kind},\"n\":{n},\"total\":\"{total}\"}}"))
        })
        .collect();
    let changes = replayed(log, "totals", &["kind", "n", "total"]);
    let last: BTreeMap<String, String> =
        changes.into_iter().filter_map(|(key, changes)| Some((key, changes.last()?.clone()?))).collect();
    assert_eq!(last, expected, "the totals, from their sink topic");
}
