//! What is seen from outside: every panel of the dashboard, asked of a real Prometheus that reads a running Millstream, has
//! an answer; every alert fires when it should; and what they name is there.

mod pipeline;
mod prometheus;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::connect::until;
use pipeline::Pipeline;
use prometheus::Prometheus;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn dashboard() -> Value {
    let text = fs::read_to_string(root().join("dashboards/millstream.json")).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

/// The queries of the panels with their titles, Grafana's variables replaced.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let of = |panel: &Value| -> Vec<(String, String)> {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
        let query = |target: &Value| target["expr"].as_str().expect("a query").to_string();
        targets
            .map(|target| {
                (title.to_string(), query(target).replace("$instance", ".+").replace("$__rate_interval", "1m"))
            })
            .collect()
    };
    panels.flat_map(of).collect()
}

/// The names of our metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("millstream_")).map(str::to_string).collect()
}

#[test]
fn every_panel_has_an_answer() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let pipeline = Pipeline::start(dir.path());
    let prometheus = Prometheus::start(dir.path(), &pipeline.http);
    let queries = queries(&dashboard());
    assert!(queries.len() > 20, "{} queries", queries.len());
    let mut round = 0;
    let mut silent: Vec<String> = Vec::new();
    let answered = |(title, query): &&(String, String)| {
        let answer = prometheus.ask(query);
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{title}: {query}: {answer}")).len();
        series > 0 && !answer.to_string().contains("\"NaN\"")
    };
    until("every panel has an answer", || {
        round += 1;
        pipeline.work(round);
        silent =
            queries.iter().filter(|query| !answered(query)).map(|(title, query)| format!("{title}: {query}")).collect();
        if round % 100 == 0 {
            println!("still without an answer:\n{}", silent.join("\n"));
        }
        silent.is_empty()
    });
    let shown = pipeline.metrics();
    let there = names(&shown);
    let used = fs::read_to_string(root().join("dashboards/alerts.yml")).expect("the rules");
    let used = names(&(used + &dashboard().to_string()));
    assert!(used.len() > 15 && used.is_subset(&there), "not in /metrics: {:?}", used.difference(&there));
    println!("shown nowhere: {:?}", there.iter().filter(|name| !used.contains(*name)).collect::<Vec<_>>());
    lint(&shown);
    assert_eq!(prometheus.rules_in_error(), Vec::<String>::new());
}

/// promtool reads the older format, in which a counter's help has the counter's whole name.
fn lint(text: &str) {
    let counters: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut older = String::new();
    for line in text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let about = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                format!("# {what} {name}_total {rest}")
            }
            _ => line.to_string(),
        };
        older.push_str(&about);
        older.push('\n');
    }
    let (ok, says) = promtool(&["check", "metrics"], Some(&older));
    assert!(ok, "promtool on /metrics: {says}\n{text}");
}

#[test]
fn settings_and_rules_are_prometheus_own() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    prometheus::settings(dir.path(), "millstream:9464");
    let config = dir.path().join("prometheus.yml");
    let (ok, says) = promtool(&["check", "config", config.to_str().expect("a path")], None);
    assert!(ok && says.contains("1 rule files found"), "{says}");
    let tests = root().join("tests/seen/alerts.yml");
    let (ok, says) = promtool(&["test", "rules", tests.to_str().expect("a path")], None);
    assert!(ok, "{says}");
    let names = |path: PathBuf, mark: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(path).expect("a file");
        text.lines()
            .filter_map(|line| Some(line.trim().trim_start_matches("- ").strip_prefix(mark)?.to_string()))
            .collect()
    };
    let rules = names(root().join("dashboards/alerts.yml"), "alert: ");
    assert_eq!(names(tests, "alertname: "), rules, "every alert has its test");
}

/// Runs promtool: whether it is content, and what it says.
fn promtool(arguments: &[&str], input: Option<&str>) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: tests/services/packages installs it");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.unwrap_or_default().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let says = String::from_utf8_lossy(&output.stdout).to_string() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), says)
}
