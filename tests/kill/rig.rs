//! A pipeline as a process, with all that it reads and writes: a log, a PostgreSQL, the load, the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Log;
use kafka::{KafkaConfig, KafkaLog};
use local::LocalLog;

use super::broker::Broker;
use super::ledger::Ledger;
use super::load::{Door, Load};
use super::model;
use super::target::Target;
use crate::support::process::{Process, address_in};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A failpoint that is never reached so often: with it set, all of them count their hits.
const COUNTING: &str = "stop=error@1000000000";

const TABLES: &str = "
CREATE TABLE customers (id INT PRIMARY KEY, region TEXT)
  WITH (connector = 'log', topic = '@customers', format = 'json', envelope = 'upsert', partitions = 2);
CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, amount BIGINT)
  WITH (connector = 'log', topic = '@orders', format = 'json', envelope = 'debezium', partitions = 3);
CREATE TABLE events (n BIGINT, kind TEXT)
  WITH (connector = 'log', topic = '@events', format = 'json', envelope = 'append', partitions = 3);
CREATE TABLE ledger (id BIGINT PRIMARY KEY, book INT, amount BIGINT) WITH (topic = '@ledger', partitions = 3);
CREATE STREAM TABLE joined AS
  SELECT o.id, o.amount, c.id AS customer_id, c.region FROM orders o JOIN customers c ON o.customer_id = c.id;
CREATE STREAM TABLE totals AS
  SELECT region, count(*) AS orders, sum(amount) AS total FROM joined GROUP BY region;
CREATE STREAM TABLE thirds AS SELECT n, kind FROM events WHERE n % 3 = 0;
CREATE STREAM TABLE books AS SELECT book, count(*) AS entries, sum(amount) AS total FROM ledger GROUP BY book;
CREATE SINK joined_out FROM joined
  WITH (connector = 'log', topic = '@joined', format = 'json', envelope = 'debezium', partitions = 3);
CREATE SINK joined_latest FROM joined
  WITH (connector = 'log', topic = '@latest', format = 'json', envelope = 'upsert', partitions = 3);
CREATE SINK totals_out FROM totals
  WITH (connector = 'log', topic = '@totals', format = 'json', envelope = 'debezium', partitions = 3);
CREATE SINK thirds_out FROM thirds
  WITH (connector = 'log', topic = '@thirds', format = 'json', envelope = 'append', partitions = 3);
CREATE SINK books_out FROM books
  WITH (connector = 'log', topic = '@books', format = 'json', envelope = 'debezium', partitions = 3);
";

const TARGETS: &str = "
CREATE SINK joined_rows FROM joined WITH (connector = 'postgres', url = '$url', table = 'joined', outbox_rows_max = 50);
CREATE SINK totals_rows FROM totals WITH (connector = 'postgres', url = '$url', table = 'totals');
";

/// Where a pipeline's log is.
enum On {
    Embedded,
    Kafka(Broker),
    /// Brokers that somebody else has.
    Brokers(String),
}

impl On {
    /// The brokers of a Kafka.
    fn address(&self) -> Option<&str> {
        match self {
            Self::Embedded => None,
            Self::Kafka(broker) => Some(&broker.address),
            Self::Brokers(brokers) => Some(brokers),
        }
    }
}

/// See the module.
pub struct Rig {
    on: On,
    pub data: PathBuf,
    pub target: Option<Target>,
    /// What comes before `--data`'s folder in the settings, and what comes after.
    pub settings: Vec<String>,
    pub sql: PathBuf,
    /// The standard error of all its processes.
    pub errors: PathBuf,
    load: Option<Load>,
    ledger: Option<Ledger>,
    seed: u64,
    /// How often each failpoint was reached, as far as it was asked before the process died.
    pub reached: BTreeMap<String, u64>,
}

/// A process that serves.
pub struct Serving {
    pub process: Process,
    pub http: String,
    pub pg: String,
}

impl Drop for Rig {
    /// Of a test that failed, what its processes said last.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("its processes said last:\n{}", self.tail());
        }
    }
}

impl Rig {
    /// On the embedded log.
    pub fn embedded(dir: &Path, seed: u64, with_target: bool) -> Self {
        Self::new(dir, seed, with_target, On::Embedded)
    }

    /// On a Kafka of its own.
    pub fn kafka(dir: &Path, seed: u64, with_target: bool) -> Self {
        Self::new(dir, seed, with_target, On::Kafka(Broker::start(dir)))
    }

    /// On the Kafka of these brokers, without a target.
    pub fn brokers(dir: &Path, seed: u64, brokers: &str) -> Self {
        Self::new(dir, seed, false, On::Brokers(brokers.to_string()))
    }

    fn new(dir: &Path, seed: u64, with_target: bool, on: On) -> Self {
        let target = with_target.then(|| Target::start(dir));
        let sql = dir.join("pipeline.sql");
        let mut text = TABLES.replace('@', "");
        if let Some(target) = &target {
            text.push_str(&TARGETS.replace("$url", target.url()));
        }
        std::fs::write(&sql, text).expect("the SQL file can be written");
        let mut settings: Vec<String> = [
            "--pipeline",
            "pipeline",
            "--pg-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
            "--checkpoint-interval",
            "300ms",
            "--epoch-interval",
            "5ms",
        ]
        .map(String::from)
        .into();
        settings.extend(["--workers".to_string(), std::env::var("KILL_WORKERS").unwrap_or("2".to_string())]);
        if let Ok(limit) = std::env::var("KILL_MEMORY") {
            settings.extend(["--memory-limit".to_string(), limit]);
        }
        if let Some(brokers) = on.address() {
            settings.extend(["--kafka".to_string(), brokers.to_string()]);
        }
        Self {
            on,
            data: dir.join("data"),
            errors: dir.join("stderr.log"),
            target,
            settings,
            sql,
            load: None,
            ledger: None,
            seed,
            reached: BTreeMap::new(),
        }
    }

    pub fn broker(&mut self) -> Option<&mut Broker> {
        match &mut self.on {
            On::Kafka(broker) => Some(broker),
            On::Embedded | On::Brokers(_) => None,
        }
    }

    /// How often the processes that are started from now on make checkpoints.
    pub fn checkpoint_every(&mut self, interval: &str) {
        let at = self.settings.iter().position(|setting| setting == "--checkpoint-interval").expect("it is set");
        self.settings[at + 1] = interval.to_string();
    }

    /// Starts a process with failpoints.
    pub fn start(&self, failpoints: &str) -> Process {
        let (data, sql) = (self.data.to_str().expect("a path"), self.sql.to_str().expect("a path"));
        let mut arguments = vec!["run", "--data", data];
        arguments.extend(self.settings.iter().map(String::as_str));
        arguments.push(sql);
        let failpoints = if failpoints.is_empty() { COUNTING.to_string() } else { format!("{COUNTING},{failpoints}") };
        Process::start_with(&arguments, &self.errors, &failpoints)
    }

    /// Waits until it serves; `None` if it ended before.
    pub fn serving(&self, process: Process) -> Result<Serving, Process> {
        match process.ready_line(PATIENCE) {
            Some(line) => Ok(Serving { http: address_in(&line, "http"), pg: address_in(&line, "pg"), process }),
            None => Err(process),
        }
    }

    /// Starts a process that must come to serve.
    pub fn serve(&self, failpoints: &str) -> Serving {
        self.serving(self.start(failpoints)).unwrap_or_else(|_| panic!("it ended:\n{}", self.tail()))
    }

    /// The load goes on, against a process that serves.
    pub fn go_on(&mut self, serving: &Serving) {
        let door = match self.on.address() {
            Some(brokers) => Door::Log(kafka_log(brokers, "load")),
            None => Door::Http(serving.http.clone()),
        };
        let seed = self.seed;
        self.load.get_or_insert_with(|| Load::start(seed)).go_on(door);
        self.ledger.get_or_insert_with(|| Ledger::start(seed)).go_on(&serving.pg);
    }

    /// The process is gone, or about to.
    pub fn pause(&self) {
        if let Some(load) = &self.load {
            load.pause();
        }
        if let Some(ledger) = &self.ledger {
            ledger.pause();
        }
    }

    /// Notes how often failpoints were reached in a process that is about to die.
    pub fn note_hits(&mut self, serving: &Serving) {
        for (name, hits) in hits(&serving.http) {
            *self.reached.entry(name).or_default() += hits;
        }
    }

    /// How often each failpoint did what it was set to, by all processes so far.
    pub fn fired(&self) -> BTreeMap<String, u64> {
        let text = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let mut fired = BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("millstream failpoint ")) {
            let mut words = line.split_whitespace();
            let (name, action) = (words.next().unwrap_or_default(), words.last().unwrap_or_default());
            *fired.entry(format!("{name}={action}")).or_default() += 1;
        }
        fired
    }

    /// The end of what its processes said.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Ends the load, lets the process catch up and deliver, stops it, and judges every topic and table.
    pub fn finish(&mut self, serving: Serving) {
        let load = self.load.take().expect("there was load");
        let written = load.finish();
        let acknowledged = self.ledger.take().map(Ledger::finish).unwrap_or_default();
        println!("{written} records and {} pairs written", acknowledged.len());
        wait_until_caught_up(&serving.http);
        if let Some(target) = &mut self.target {
            target.come_back();
        }
        wait_until_delivered(&serving.http);
        wait_until_mended(&serving.http);
        verify(&serving.pg);
        self.note_hits(&serving);
        self.stop(serving);
        self.judge(&acknowledged);
    }

    pub fn stop(&self, mut serving: Serving) {
        let code = serving.process.terminate();
        assert_eq!(code, Some(0), "it ends cleanly:\n{}", self.tail());
    }

    fn judge(&self, acknowledged: &BTreeSet<i64>) {
        let log: Arc<dyn Log> = match self.on.address() {
            None => Arc::new(LocalLog::open(&self.data.join("log")).expect("the log opens")),
            Some(brokers) => kafka_log(brokers, "judge"),
        };
        let expected = model::judge(&*log, acknowledged);
        if let Some(target) = &self.target {
            target.judge(&expected, "pipeline");
        }
    }
}

/// How often each failpoint was reached in a process; nothing if it does not answer any more.
pub fn hits(http: &str) -> BTreeMap<String, u64> {
    let Ok(mut answer) = ureq::get(format!("http://{http}/metrics")).call() else { return BTreeMap::new() };
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix("millstream_failpoint_hits_total{name=\""));
    let hits = lines.filter_map(|line| line.split_once("\"} "));
    hits.map(|(name, hits)| (name.to_string(), hits.trim().parse().unwrap_or(0))).collect()
}

pub fn kafka_log(brokers: &str, name: &str) -> Arc<dyn Log> {
    let config = KafkaConfig { brokers: brokers.into(), pipeline: name.into(), properties: BTreeMap::new() };
    Arc::new(KafkaLog::connect(&config).expect("Kafka answers"))
}

/// Waits until something holds that a SHOW says.
pub fn wait_until(http: &str, statement: &str, holds: impl Fn(&[serde_json::Value]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (rows, text) = show(http, statement);
        if holds(&rows) {
            return;
        }
        assert!(Instant::now() < deadline, "in time, {statement}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until nothing waits for a target any more.
fn wait_until_delivered(http: &str) {
    wait_until(http, "SHOW SINKS", |rows| rows.iter().all(|row| row[2] == "ACTIVE" && row[4] == "0"));
}

/// Waits until no table is in ERROR.
fn wait_until_mended(http: &str) {
    wait_until(http, "SHOW STREAM TABLES", |rows| rows.iter().all(|row| row[1] == "ACTIVE"));
}

/// The process's own judge: every stream table is what its query gives, computed at once.
fn verify(pg: &str) {
    let (host, port) = pg.rsplit_once(':').expect("host:port");
    let parameters = format!("host={host} port={port} user=judge dbname=millstream");
    let mut client = postgres::Client::connect(&parameters, postgres::NoTls).expect("it answers");
    let answer = client.simple_query("VERIFY STREAM TABLES").expect("it verifies");
    let differences = answer.iter().filter(|message| matches!(message, postgres::SimpleQueryMessage::Row(_)));
    assert_eq!(differences.count(), 0, "{answer:?}");
}

/// Waits until every source position has reached the end of its partition.
pub fn wait_until_caught_up(http: &str) {
    // The end is looked at once a second: a position that is at an end that was seen after the load ended.
    wait_until(http, "SHOW SOURCES", |rows| {
        !rows.is_empty() && rows.iter().all(|row| row[5] == "0") && are_at_the_end(http, rows)
    });
}

/// Whether the ends that were seen are still the ends, by reading behind them.
fn are_at_the_end(http: &str, rows: &[serde_json::Value]) -> bool {
    rows.iter().all(|row| {
        let (topic, partition) = (row[1].as_str().expect("a topic"), row[2].as_str().expect("a partition"));
        let position = row[3].as_str().expect("a position");
        let url = format!("http://{http}/topics/{topic}?partition={partition}&from={position}&max=1");
        let text = ureq::get(&url).call().expect("it answers").body_mut().read_to_string().expect("a text");
        text.trim().is_empty()
    })
}

/// The rows of a SHOW, and the whole answer.
pub fn show(http: &str, statement: &str) -> (Vec<serde_json::Value>, String) {
    let mut answer = ureq::post(format!("http://{http}/sql")).send(statement).expect("it answers");
    let text = answer.body_mut().read_to_string().expect("a text");
    let reply: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (reply["results"][0]["rows"].as_array().cloned().unwrap_or_default(), text)
}
