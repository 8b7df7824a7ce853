//! A PostgreSQL that is changed by SQL, through Kafka Connect with Debezium, through Millstream, into sink topics and tables
//! of PostgreSQL: at the end each of them holds what its query says on the source. On the way Millstream is killed,
//! Connect is killed (and tells again what it told before), and a stream table is made.
//!
//! `DEBEZIUM_SEED=n` sets the seed of the changes, `DEBEZIUM_ROUNDS=n` makes it n times as long.

mod changes;
mod literal;
mod origin;
mod verdict;
mod views;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::Log;
use kafka::{KafkaConfig, KafkaLog};
use serde_json::{Value, json};

use crate::support::connect::{Worker, until};
use crate::support::process::Process;
use origin::Origin;
use views::{LATE, VIEWS};

const READY: Duration = Duration::from_secs(120);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn what_debezium_tells_of_postgres_arrives_exactly() {
    let seed = number("DEBEZIUM_SEED", 20_261_121);
    let rounds = number("DEBEZIUM_ROUNDS", 1) as usize;
    println!("debezium seed {seed}, {rounds} rounds");
    let mut run = Run::start(seed);
    // The connectors take their snapshots while the source changes; millstream dies of what they tell.
    run.origin.change(40, true);
    run.connect();
    for _ in 0..rounds {
        run.origin.change(100, true);
        run.unresolved_value();
        let mark = run.origin.mark();
        run.delivered(&mark);
        run.kill_millstream();
    }
    run.make_late_view();
    run.origin.change(60, true);
    run.write_offsets();
    let dead = run.dead_letters();
    assert_eq!(dead.len(), rounds, "dead letters: {dead:?}");
    // What has no key cannot be told twice: from here on only what has one changes, and Connect tells it again.
    for _ in 0..rounds {
        run.origin.change(80, false);
        let mark = run.origin.mark();
        run.delivered(&mark);
        run.worker.kill();
        run.origin.change(40, false);
        run.worker.launch();
        run.kill_millstream();
    }
    run.origin.change(40, false);
    run.write_offsets();
    assert!(run.told_twice() > 0, "Connect tells some of it again");
    run.judge();
}

/// All that runs.
struct Run {
    // In the order in which it ends.
    millstream: Process,
    http: String,
    worker: Worker,
    origin: Origin,
    log: Arc<dyn Log>,
    prefix: String,
    arguments: Vec<String>,
    dir: tempfile::TempDir,
    unresolved: i64,
}

impl Run {
    fn start(seed: u64) -> Self {
        let brokers = std::env::var("MILLSTREAM_TEST_KAFKA")
            .expect("MILLSTREAM_TEST_KAFKA is not set: run this by tests/run, or tests/with-services COMMAND");
        let prefix = format!("dbz{}", std::process::id());
        let origin = Origin::create(&prefix, seed);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let sql: String = VIEWS.iter().map(|view| view.sql(&origin.database.url)).collect();
        let file = dir.path().join("pipeline.sql");
        let text = (include_str!("pipeline.sql").to_string() + &sql).replace("'@", &format!("'{prefix}"));
        std::fs::write(&file, text).expect("the SQL file can be written");
        let path = |path: PathBuf| path.to_str().expect("a path").to_string();
        let (data, file) = (path(dir.path().join("data")), path(file));
        let pipeline = format!("{prefix}pipeline");
        let mut arguments = vec!["run", "--data", &data, "--kafka", &brokers, "--pipeline", &pipeline];
        arguments.extend(["--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        arguments.extend(["--checkpoint-interval", "300ms", "--epoch-interval", "5ms", &file]);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_string).collect();
        let worker = Worker::start("debezium", &brokers, None);
        let (millstream, http) = start_millstream(&arguments, dir.path());
        let config = KafkaConfig { brokers, pipeline: format!("{prefix}judge"), properties: Default::default() };
        let log: Arc<dyn Log> = Arc::new(KafkaLog::connect(&config).expect("Kafka answers"));
        Self { millstream, http, worker, origin, log, prefix, arguments, dir, unresolved: 0 }
    }

    /// Makes both connectors.
    fn connect(&self) {
        let a = "customers orders documents stock visits precise_types marks_a";
        let a = self.connector("a", a);
        let mut b = self.connector("b", "text_types marks_b");
        for (name, value) in [
            ("decimal.handling.mode", "string"),
            ("time.precision.mode", "microseconds"),
            ("binary.handling.mode", "hex"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "true"),
        ] {
            b[name] = json!(value);
        }
        self.worker.create(&self.name("a"), &a);
        self.worker.create(&self.name("b"), &b);
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    /// A connector's settings; by default it passes over truncates.
    fn connector(&self, suffix: &str, tables: &str) -> Value {
        let name = self.name(suffix);
        let tables: Vec<String> = tables.split(' ').map(|table| format!("public.{table}")).collect();
        let database = &self.origin.database;
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "database.hostname": database.host,
            "database.port": database.port.to_string(),
            "database.user": "postgres",
            "database.dbname": database.name,
            "topic.prefix": name,
            "slot.name": name,
            "publication.name": name,
            "publication.autocreate.mode": "filtered",
            "plugin.name": "pgoutput",
            "table.include.list": tables.join(","),
            "skipped.operations": "none",
            "poll.interval.ms": "50",
            "topic.creation.default.partitions": "1",
            "topic.creation.default.replication.factor": "1",
        })
    }

    /// A key changes and a large value does not: under the default identity nobody is told the value, so the record is a dead
    /// letter, until the value is sent.
    fn unresolved_value(&mut self) {
        let id = 1_000_000 + self.unresolved;
        self.unresolved += 10;
        self.origin.database.run(&format!(
            "INSERT INTO orders VALUES ({id}, 1, 'new', 1, now(), repeat('large and not compressed ', 400), NULL)"
        ));
        self.origin.database.run(&format!("UPDATE orders SET id = id + 1 WHERE id = {id}"));
        self.origin.database.run(&format!("UPDATE orders SET note = note || '!' WHERE id = {id} + 1"));
    }

    /// The reasons in the dead-letter topics.
    fn dead_letters(&self) -> Vec<String> {
        self.caught_up();
        let tables = ["customers", "orders", "documents", "stock", "visits", "precise_types", "text_types"];
        let topics = tables.map(|table| format!("{}{table}.dlq", self.prefix));
        let there = topics.iter().filter(|topic| self.log.topic(topic).expect("the log answers").is_some());
        let records = there.flat_map(|topic| verdict::read(&*self.log, topic));
        let reasons = records.map(|record| {
            let reason = record.headers.iter().find(|header| header.0 == "millstream.error.reason");
            let reason = reason.and_then(|header| header.1.clone()).expect("a reason");
            String::from_utf8(reason.to_vec()).expect("UTF-8")
        });
        reasons.collect()
    }

    /// Waits until both connectors have told a mark.
    fn delivered(&self, mark: &str) {
        for suffix in ["a", "b"] {
            let topic = format!("{}.public.marks_{suffix}", self.name(suffix));
            until(&format!("{topic} has {mark}"), || {
                let there = self.log.topic(&topic).expect("the log answers").is_some();
                let says = |value: &[u8]| String::from_utf8_lossy(value).contains(mark);
                there
                    && verdict::read(&*self.log, &topic).iter().any(|record| record.value.as_deref().is_some_and(says))
            });
        }
    }

    /// Waits until all that is committed is in Kafka, and Connect knows that it is.
    fn write_offsets(&mut self) {
        let mark = self.origin.mark();
        self.delivered(&mark);
        for suffix in ["a", "b"] {
            self.worker.stop(&self.name(suffix));
            self.worker.resume(&self.name(suffix));
        }
    }

    fn kill_millstream(&mut self) {
        self.millstream.kill();
        (self.millstream, self.http) = start_millstream(&self.arguments, self.dir.path());
    }

    fn make_late_view(&self) {
        let sql = LATE.sql(&self.origin.database.url).replace("'@", &format!("'{}", self.prefix));
        let made = ureq::post(format!("http://{}/sql", self.http)).send(&sql);
        made.unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    /// Waits until Millstream is at the end of every source topic.
    fn caught_up(&self) {
        until("millstream has read all", || {
            let rows = self.show("SHOW SOURCES");
            rows.iter().all(|row| {
                let at = |column: usize| row[column].as_str().expect("a text");
                let partition = zset::Partition(at(2).parse().expect("a partition"));
                let place = api::TopicPartition { topic: at(1).into(), partition };
                at(3).parse::<i64>().expect("an offset") >= self.log.bounds(&place).expect("the log answers").high.0
            })
        });
    }

    /// How many records of orders say what another has said: the same change at the same place of the source's log.
    fn told_twice(&self) -> usize {
        let records = verdict::read(&*self.log, &format!("{}.public.orders", self.name("a")));
        let mut seen = HashSet::new();
        let told = records.iter().filter_map(|record| {
            let event: Value = serde_json::from_slice(record.value.as_ref()?).expect("JSON");
            let op = event["op"].as_str().expect("an op").to_string();
            (op != "r").then(|| (event["source"]["lsn"].as_i64(), op, record.key.clone()))
        });
        told.filter(|change| !seen.insert(change.clone())).count()
    }

    /// Waits until every target has everything.
    fn targets_caught_up(&self) {
        until("the targets have all", || {
            let rows = self.show("SHOW SINKS");
            rows.iter().all(|row| row[2] == "ACTIVE" && row[4] == "0")
        });
    }

    /// The rows of a statement that shows something.
    fn show(&self, statement: &str) -> Vec<Value> {
        let mut answer = ureq::post(format!("http://{}/sql", self.http)).send(statement).expect("it answers");
        let text = answer.body_mut().read_to_string().expect("a text");
        let reply: Value = serde_json::from_str(&text).expect("JSON");
        reply["results"][0]["rows"].as_array().expect("rows").clone()
    }

    /// Compares everything, when all has arrived.
    fn judge(mut self) {
        self.caught_up();
        self.targets_caught_up();
        assert_eq!(self.millstream.terminate(), Some(0), "it ends cleanly: {}", log_of(self.dir.path()));
        for view in VIEWS.iter().chain([&LATE]) {
            // The next ones may read it.
            self.origin.database.run(&format!("CREATE VIEW {} AS {}", view.name, view.query));
            let rows = verdict::compare(&mut self.origin.database.client, &*self.log, &self.prefix, view);
            println!("{}: {rows} rows, equal", view.name);
            assert!(rows > 0, "{}: an empty table proves nothing", view.name);
        }
    }
}

fn start_millstream(arguments: &[String], dir: &Path) -> (Process, String) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let process = Process::start(&arguments, &dir.join("stderr.log"));
    let http = process.ready(READY).unwrap_or_else(|| panic!("millstream ended: {}", log_of(dir)));
    (process, http)
}

fn log_of(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("stderr.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
