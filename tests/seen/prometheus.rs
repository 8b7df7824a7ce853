//! A real Prometheus, on the settings of compose/ but for the address that it reads, and how often.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::root;
use crate::support::connect::until;

/// A running Prometheus, killed when it goes out of scope.
pub struct Prometheus {
    child: Child,
    address: String,
}

/// Lays the files out as compose/ does.
pub fn settings(dir: &Path, target: &str) {
    let text = fs::read_to_string(root().join("compose/prometheus.yml")).expect("the settings");
    let there = text.replace("millstream:9464", target);
    let often = there.replace("_interval: 5s", "_interval: 500ms").replace("_interval: 15s", "_interval: 1s");
    assert!(often.contains(target) && often.matches("_interval: ").count() == 2, "{often}");
    fs::write(dir.join("prometheus.yml"), often).expect("a file can be written");
    fs::copy(root().join("dashboards/alerts.yml"), dir.join("alerts.yml")).expect("a file can be copied");
}

impl Prometheus {
    /// Starts one that reads `target`.
    pub fn start(dir: &Path, target: &str) -> Self {
        settings(dir, target);
        let log = dir.join("prometheus.log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log file can be made"))
            .spawn()
            .expect("prometheus is there: tests/services/packages installs it");
        let mut prometheus = Self { child, address: String::new() };
        until("Prometheus listens", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let line = text.lines().find(|line| line.contains("\"Listening on\""));
            let address = line.and_then(|line| line.split("address=").nth(1));
            prometheus.address = address.unwrap_or_default().to_string();
            assert!(prometheus.child.try_wait().expect("it can be asked").is_none(), "Prometheus ended:\n{text}");
            !prometheus.address.is_empty()
        });
        until("Prometheus reads Millstream", || {
            let answer = prometheus.ask("up == 1");
            answer["data"]["result"].as_array().is_some_and(|up| up.len() == 1)
        });
        prometheus
    }

    /// The answer to a query, now.
    pub fn ask(&self, query: &str) -> Value {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.get(&format!("query?query={escaped}"))
    }

    /// The rules that cannot be evaluated.
    pub fn rules_in_error(&self) -> Vec<String> {
        let answer = self.get("rules");
        let groups = answer["data"]["groups"].as_array().expect("groups").iter();
        let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().expect("rules")).collect();
        assert!(rules.len() > 5, "{answer}");
        rules.iter().filter(|rule| rule["health"] != "ok").map(ToString::to_string).collect()
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let Ok(mut answer) = agent.get(&url).call() else { return Value::Null };
        // Before it is ready it answers with a sentence.
        serde_json::from_str(&answer.body_mut().read_to_string().expect("a text")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
