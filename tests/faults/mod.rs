//! What a user's real cluster does to a pipeline: leaders that change, brokers that are away, producers that are faster than we are,
//! targets that hang, refuse or are altered, disks that are full or read-only. Nothing is lost or doubled, the others go on, and what
//! is wrong is said.
//!
//! Short in CI; by hand as long as `LEADER_CHANGES`, `OUTAGE_SECONDS` and `PRODUCER_SECONDS` say.

mod altered;
mod disk;
mod leader;
mod mount;
mod outage;
mod producer;
mod proxy;
mod sinks;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kill::rig::{PATIENCE, Serving, show};
use crate::support::process::{Process, address_in};

/// How much of something a test does, unless the environment says otherwise.
fn budget(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A pipeline of statements of a test's own, as a process.
struct Pipe {
    data: PathBuf,
    sql: PathBuf,
    errors: PathBuf,
    settings: Vec<String>,
}

impl Pipe {
    /// With its files in a folder; its data may be elsewhere.
    fn new(dir: &Path, data: &Path, sql: &str, settings: &[&str]) -> Self {
        let path = dir.join("pipeline.sql");
        std::fs::write(&path, sql).expect("the SQL file can be written");
        let settings = settings.iter().map(|setting| setting.to_string()).collect();
        Self { data: data.to_path_buf(), sql: path, errors: dir.join("stderr.log"), settings }
    }

    fn launch(&self) -> Process {
        let (data, sql) = (self.data.to_str().expect("a path"), self.sql.to_str().expect("a path"));
        let mut arguments = vec!["run", "--data", data, "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        arguments.extend(["--checkpoint-interval", "300ms", "--epoch-interval", "5ms"]);
        arguments.extend(self.settings.iter().map(String::as_str));
        arguments.push(sql);
        Process::start(&arguments, &self.errors)
    }

    /// Starts it; the process if it ends before it serves.
    fn try_start(&self) -> Result<Serving, Process> {
        let process = self.launch();
        match process.ready_line(PATIENCE) {
            Some(line) => Ok(Serving { http: address_in(&line, "http"), pg: address_in(&line, "pg"), process }),
            None => Err(process),
        }
    }

    fn start(&self) -> Serving {
        self.try_start().unwrap_or_else(|_| panic!("it ended:\n{}", self.said()))
    }

    /// What its processes said.
    fn said(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// It ends by itself, with code 1.
    fn ends(&self, mut process: Process) {
        let ended = process.ended_by(Instant::now() + PATIENCE);
        assert_eq!(ended.and_then(|status| status.code()), Some(1), "it ends with an error:\n{}", self.said());
    }
}

/// Writes records through the process; whether all of them are known to be written.
fn post(http: &str, topic: &str, records: &[(String, Option<String>)]) -> bool {
    let line = |(key, value): &(String, Option<String>)| serde_json::json!({ "key": key, "value": value }).to_string();
    let lines: Vec<String> = records.iter().map(line).collect();
    ureq::post(format!("http://{http}/topics/{topic}")).send(lines.join("\n")).is_ok()
}

/// Runs a statement that must succeed.
fn sql(http: &str, text: &str) {
    let answer = ureq::post(format!("http://{http}/sql")).send(text);
    answer.unwrap_or_else(|error| panic!("{error}\n{text}"));
}

/// The status and the pending rows of a sink.
fn sink(http: &str, name: &str) -> (String, String) {
    let (rows, text) = show(http, "SHOW SINKS");
    let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name} is a sink: {text}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    (text(&row[2]), text(&row[4]))
}

/// Waits until a sink has all and says so.
fn delivered(http: &str, name: &str) {
    until(&format!("sink {name} has all"), || sink(http, name) == ("ACTIVE".to_string(), "0".to_string()));
}

/// Waits until the status of a sink begins and goes on with words.
fn stands(http: &str, name: &str, begins: &str, says: &str) -> String {
    let mut status = String::new();
    let so = |status: &mut String| {
        *status = sink(http, name).0;
        status.starts_with(begins) && status.contains(says)
    };
    let deadline = Instant::now() + PATIENCE;
    while !so(&mut status) {
        assert!(Instant::now() < deadline, "sink {name} is to be {begins} with {says:?}: {status}");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("sink {name}: {status}");
    status
}

/// A metric, summed over its labels.
fn metric(http: &str, name: &str) -> f64 {
    let mut answer = ureq::get(format!("http://{http}/metrics")).call().expect("it answers");
    let text = answer.body_mut().read_to_string().expect("a text");
    let of = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let values = text.lines().filter(|line| of(line)).filter_map(|line| line.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
}

/// The memory that a process has, in bytes.
fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kib * 1024
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
