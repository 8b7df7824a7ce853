//! Kafka Connect with Debezium's connector, by `tests/services/connect` and its REST interface.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// A worker, stopped when it goes out of scope.
pub struct Worker {
    dir: PathBuf,
    brokers: String,
    /// The address of its REST interface.
    pub rest: String,
}

impl Worker {
    /// Starts one, in the settings of a file if there is one. `tests/with-services` ends it if we are killed.
    pub fn start(name: &str, brokers: &str, settings: Option<&Path>) -> Self {
        let dir = std::env::var("MILLSTREAM_TEST_CONNECT_DIR")
            .expect("MILLSTREAM_TEST_CONNECT_DIR is not set: run this by tests/run, or tests/with-services COMMAND");
        let dir = Path::new(&dir).join(format!("{name}{}", std::process::id()));
        // Made here, it outlives a stop, and is started again on what it was told before.
        std::fs::create_dir(&dir).expect("a folder of its own can be made");
        let rest = launch(&dir, brokers, settings);
        Self { dir, brokers: brokers.to_string(), rest }
    }

    /// Starts it again.
    pub fn launch(&mut self) {
        self.rest = launch(&self.dir, &self.brokers, None);
    }

    /// Kills it, as a power cut would: what it has sent since it last wrote its offsets down, it will send again.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.dir.join("pid")).expect("the worker's pid");
        let pid = pid.trim();
        let sent = Command::new("kill").args(["-KILL", pid]).status().expect("kill is there");
        assert!(sent.success(), "the signal is sent");
        until("the worker is gone", || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            !status.contains("State:") || status.contains("State:\tZ")
        });
    }

    /// Makes a connector, and waits until it runs.
    pub fn create(&self, name: &str, config: &Value) {
        let body = serde_json::json!({ "name": name, "config": config });
        let url = format!("http://{}/connectors", self.rest);
        let made = ureq::post(&url).header("content-type", "application/json").send(body.to_string());
        made.unwrap_or_else(|error| panic!("Connect refuses the connector: {error}\n{body}"));
        self.wait_for(name, "RUNNING", 1);
    }

    /// Stops a connector's work: afterwards all that it has sent is in Kafka, and its offsets are written.
    pub fn stop(&self, name: &str) {
        self.put(name, "stop");
        self.wait_for(name, "STOPPED", 0);
    }

    /// Goes on with a connector's work.
    pub fn resume(&self, name: &str) {
        self.put(name, "resume");
        self.wait_for(name, "RUNNING", 1);
    }

    fn put(&self, name: &str, what: &str) {
        let url = format!("http://{}/connectors/{name}/{what}", self.rest);
        ureq::put(&url).send_empty().unwrap_or_else(|error| panic!("cannot {what} connector {name}: {error}"));
    }

    /// Waits until a connector and its tasks are in a state.
    pub fn wait_for(&self, name: &str, state: &str, tasks: usize) {
        let url = format!("http://{}/connectors/{name}/status", self.rest);
        until(&format!("connector {name} is {state}"), || {
            let Ok(mut answer) = ureq::get(&url).call() else { return false };
            let text = answer.body_mut().read_to_string().expect("a text");
            let status: Value = serde_json::from_str(&text).expect("JSON");
            assert!(!text.contains("FAILED"), "connector {name}: {text}");
            let running = status["tasks"].as_array().expect("tasks");
            status["connector"]["state"] == state
                && running.len() == tasks
                && running.iter().all(|task| task["state"] == state)
        });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(&self.dir).output();
    }
}

fn launch(dir: &Path, brokers: &str, settings: Option<&Path>) -> String {
    let output = script().arg("start").arg(dir).arg(brokers).args(settings).output().expect("the script runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "Kafka Connect does not start:\n{errors}");
    String::from_utf8(output.stdout).expect("an address").trim().to_string()
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/connect"))
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
