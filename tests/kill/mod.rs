//! kill -9 at random moments, under load, again and again: afterwards every sink topic, read record by record, says
//! exactly what the query says of the source topics, and nothing was lost, doubled or out of order on the way; and the tables
//! of a PostgreSQL that was away, or died, some of the time have the same rows.
//!
//! `KILLS=n` sets the number of kills, `KILL_SEED=n` the seed.

mod load;
mod model;
mod target;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::Log;
use kafka::{KafkaConfig, KafkaLog};
use local::LocalLog;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::process::Process;
use load::{Door, Load};
use target::Target;

const READY: Duration = Duration::from_secs(120);

const SQL: &str = "
CREATE TABLE customers (id INT PRIMARY KEY, region TEXT)
  WITH (connector = 'log', topic = '@customers', format = 'json', envelope = 'upsert', partitions = 2);
CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, amount BIGINT)
  WITH (connector = 'log', topic = '@orders', format = 'json', envelope = 'debezium', partitions = 3);
CREATE STREAM TABLE joined AS
  SELECT o.id, o.amount, c.id AS customer_id, c.region FROM orders o JOIN customers c ON o.customer_id = c.id;
CREATE STREAM TABLE totals AS
  SELECT region, count(*) AS orders, sum(amount) AS total FROM joined GROUP BY region;
CREATE SINK joined_out FROM joined
  WITH (connector = 'log', topic = '@joined', format = 'json', envelope = 'debezium', partitions = 3);
CREATE SINK totals_out FROM totals
  WITH (connector = 'log', topic = '@totals', format = 'json', envelope = 'debezium', partitions = 3);
CREATE SINK joined_rows FROM joined WITH (connector = 'postgres', url = '$url', table = 'joined');
CREATE SINK totals_rows FROM totals WITH (connector = 'postgres', url = '$url', table = 'totals');
";

fn seed() -> u64 {
    std::env::var("KILL_SEED").map_or(20_261_121, |text| text.parse().expect("KILL_SEED is a number"))
}

fn kills() -> u32 {
    std::env::var("KILLS").map_or(15, |text| text.parse().expect("KILLS is a number"))
}

#[test]
fn embedded_log_is_exact_after_kills() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let target = kill_and_restart(dir.path(), &[], "");
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(&data.join("log")).expect("the log opens"));
    target.judge(&model::judge(&*log, ""), "pipeline");
}

#[test]
fn kafka_is_exact_after_kills() {
    let brokers = std::env::var("MILLSTREAM_TEST_KAFKA")
        .expect("MILLSTREAM_TEST_KAFKA is not set: run this by tests/run, or tests/with-services COMMAND");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let prefix = format!("kill{}-", std::process::id());
    let target = kill_and_restart(dir.path(), &["--kafka", &brokers], &prefix);
    let expected = model::judge(&*kafka_log(&brokers, &format!("{prefix}judge")), &prefix);
    target.judge(&expected, &format!("{prefix}pipeline"));
}

fn kafka_log(brokers: &str, name: &str) -> Arc<dyn Log> {
    let config = KafkaConfig { brokers: brokers.into(), pipeline: name.into(), properties: BTreeMap::new() };
    Arc::new(KafkaLog::connect(&config).expect("Kafka answers"))
}

/// Runs the pipeline under load, killing it and its target again and again, then lets it catch up and end cleanly.
fn kill_and_restart(dir: &Path, log_arguments: &[&str], prefix: &str) -> Target {
    let seed = seed();
    println!("kill seed {seed}, {} kills", kills());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sql = dir.join("pipeline.sql");
    let mut target = Target::start(dir);
    // The url has an @ of its own.
    let text = SQL.replace('@', prefix).replace("$url", target.url());
    std::fs::write(&sql, text).expect("the SQL file can be written");
    let data = dir.join("data");
    let pipeline = format!("{prefix}pipeline");
    let mut arguments = vec!["run", "--data", data.to_str().expect("a path"), "--pipeline", &pipeline];
    arguments.extend([
        "--pg-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
        "--checkpoint-interval",
        "300ms",
        "--epoch-interval",
        "5ms",
    ]);
    arguments.extend(log_arguments);
    arguments.push(sql.to_str().expect("a path"));
    let errors = dir.join("stderr.log");

    let mut load: Option<Load> = None;
    for number in 0..kills() {
        // The target is there when its tables are made; later it comes and goes.
        match rng.random_range(0..3) {
            0 if number > 0 => target.leave(rng.random_range(0..2) == 0),
            _ => target.come_back(),
        }
        let mut process = Process::start(&arguments, &errors);
        // One in four dies while it starts; the others under load.
        if number > 0 && rng.random_range(0..4) == 0 {
            std::thread::sleep(Duration::from_millis(rng.random_range(0..250)));
        } else {
            let http = process.ready(READY).unwrap_or_else(|| panic!("it ended:\n{}", tail(&errors)));
            let load = load.get_or_insert_with(|| Load::start(seed, prefix));
            load.go_on(door(log_arguments, &http));
            std::thread::sleep(Duration::from_millis(rng.random_range(5..900)));
        }
        process.kill();
        if let Some(load) = &load {
            load.pause();
        }
    }
    target.leave(true);
    let mut process = Process::start(&arguments, &errors);
    let http = process.ready(READY).unwrap_or_else(|| panic!("it ended:\n{}", tail(&errors)));
    let load = load.expect("there was load");
    load.go_on(door(log_arguments, &http));
    let written = load.finish();
    println!("{written} records written");
    wait_until_caught_up(&http);
    target.come_back();
    wait_until_delivered(&http);
    assert_eq!(process.terminate(), Some(0), "it ends cleanly:\n{}", tail(&errors));
    target
}

fn door(log_arguments: &[&str], http: &str) -> Door {
    match log_arguments {
        ["--kafka", brokers] => Door::Log(kafka_log(brokers, &format!("load-{}", std::process::id()))),
        _ => Door::Http(http.to_string()),
    }
}

/// Waits until nothing waits for a target any more.
fn wait_until_delivered(http: &str) {
    let deadline = std::time::Instant::now() + READY;
    loop {
        let (rows, text) = show(http, "SHOW SINKS");
        if rows.iter().all(|row| row[2] == "ACTIVE" && row[4] == "0") {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "delivered in time: {text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The rows of a SHOW, and the whole answer.
fn show(http: &str, statement: &str) -> (Vec<serde_json::Value>, String) {
    let mut answer = ureq::post(format!("http://{http}/sql")).send(statement).expect("it answers");
    let text = answer.body_mut().read_to_string().expect("a text");
    let reply: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (reply["results"][0]["rows"].as_array().expect("rows").clone(), text)
}

/// Waits until every source position has reached the end of its partition, by the metrics that a user would look at.
fn wait_until_caught_up(http: &str) {
    let deadline = std::time::Instant::now() + READY;
    loop {
        let (rows, text) = show(http, "SHOW SOURCES");
        // The end is looked at once a second: a position that is at an end that was seen after the load ended.
        let caught_up = !rows.is_empty() && rows.iter().all(|row| row[5] == "0");
        if caught_up && model_is_stable(http, &rows) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "caught up in time: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whether the ends that were seen are still the ends, by reading behind them.
fn model_is_stable(http: &str, rows: &[serde_json::Value]) -> bool {
    rows.iter().all(|row| {
        let (topic, partition) = (row[1].as_str().expect("a topic"), row[2].as_str().expect("a partition"));
        let position = row[3].as_str().expect("a position");
        let url = format!("http://{http}/topics/{topic}?partition={partition}&from={position}&max=1");
        let text = ureq::get(&url).call().expect("it answers").body_mut().read_to_string().expect("a text");
        text.trim().is_empty()
    })
}

fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
