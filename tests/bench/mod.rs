//! `millstream bench`: each query runs, and its result is that of a plain model over the same lines.

mod limited;
mod model;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::cli::support::{millstream, outcome, output};
use model::{Contents, Lines};

const EVENTS: &str = "6000";

/// Runs it; answers its figures.
fn run(args: &[&str]) -> Value {
    run_of(EVENTS, args)
}

fn run_of(events: &str, args: &[&str]) -> Value {
    let (code, said, errors) = outcome(&output(&[&["bench"], args, &["--events", events, "--json"]].concat()));
    assert_eq!(code, 0, "{args:?}: {errors}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

/// The lines of a query's data, by the flag that writes them.
fn lines(args: &[&str], dir: &Path) -> Lines {
    lines_of(EVENTS, args, dir)
}

fn lines_of(events: &str, args: &[&str], dir: &Path) -> Lines {
    let folder = dir.to_str().unwrap();
    let (code, _, errors) = outcome(&output(&[&["bench"], args, &["--events", events, "--lines", folder]].concat()));
    assert_eq!(code, 0, "{args:?}: {errors}");
    let mut lines = Lines::default();
    for table in ["person", "auction", "bid", "cdc/customers", "cdc/orders"] {
        let parts = (0..2).map(|part| dir.join(table).join(format!("part-{part}.jsonl")));
        let texts: Vec<String> = parts.filter_map(|path| fs::read_to_string(path).ok()).collect();
        let read = texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap());
        lines.0.insert(table.rsplit('/').next().unwrap(), read.collect());
    }
    lines
}

/// A run's result must be the model's.
fn check(figures: &Value, model: &Contents) {
    let shown = (figures["result_rows"].as_i64().unwrap(), figures["result_hash"].as_str().unwrap().to_string());
    assert_eq!(shown, model.shown(), "{figures}");
}

#[test]
fn every_query_comes_to_what_a_model_says() {
    for name in ["q0", "q1", "q3", "q4", "q5s", "q7", "cdc", "cdc-default"] {
        let dir = tempfile::tempdir().unwrap();
        let lines = lines(&[name], dir.path());
        let model = model::of(name, &lines);
        assert!(model.shown().0 > 0, "{name} has no rows to compare");
        let figures = run(&[name]);
        check(&figures, &model);
        let rows: usize = lines.0.values().map(Vec::len).sum();
        assert_eq!(figures["rows"], rows, "{name} has read all that was written, and nothing else");
        assert!(figures["epochs"].as_u64() > Some(0) && figures["checkpoints"].as_u64() > Some(0), "{figures}");
        assert!(figures["checkpoint_bytes"].as_u64() > Some(0) && figures["peak_rss_bytes"].as_u64() > Some(0));
    }
}

/// Of more state than the limit leaves room for.
#[test]
fn under_a_limit_of_memory_the_result_is_the_same() {
    for name in ["q4", "q7", "cdc"] {
        let dir = tempfile::tempdir().unwrap();
        let lines = lines_of("100000", &[name], dir.path());
        let model = model::of(name, &lines);
        check(&run_of("100000", &[name, "--memory", "32MB"]), &model);
    }
}

#[test]
fn memory_and_a_query_of_ones_own_run_the_same_way() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("own.sql"));
    let model = model::of("q5s", &lines(&["q5s"], &data));
    check(&run(&["q5s", "--source", "memory"]), &model);
    fs::write(&file, "-- mine\nSELECT b.auction, count(*) AS c FROM bid AS b GROUP BY b.auction;\n").unwrap();
    let own = run(&["own", "--sql", file.to_str().unwrap()]);
    let renamed: Contents = model.renamed("\"bids\":", "\"c\":");
    check(&own, &renamed);
    assert_eq!(own["bench"], "own");
    fs::write(&file, "SELECT channel FROM bid").unwrap();
    let copies = run(&["copies", "--sql", file.to_str().unwrap()]);
    check(&copies, &model::of("channels", &lines(&["q0"], &data)));
}

#[test]
fn nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let left = || fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    for (args, leaves) in [(vec!["q3"], vec![]), (vec!["q3", "--data", kept.to_str().unwrap()], vec!["kept"])] {
        let mut command = millstream(&[&["bench", "--events", EVENTS], args.as_slice()].concat());
        let (code, said, errors) = outcome(&command.env("TMPDIR", dir.path()).output().unwrap());
        assert_eq!(code, 0, "{errors}");
        assert!(said.contains("rows per CPU-second") && said.contains("hash "), "{said}");
        assert_eq!(left(), leaves, "{args:?}");
    }
}

#[test]
fn a_sink_has_what_the_table_has() {
    // Rows that are only added, rows that are retracted, and the newest of each key.
    for name in ["q1", "q7", "cdc"] {
        let figures = run(&[name, "--sink", "log"]);
        assert_eq!(figures["sink_hash"], figures["result_hash"], "{figures}");
        assert!(figures["sink_rows"].as_i64() > Some(0), "{figures}");
    }
}

#[test]
fn at_a_pace_every_row_tells_how_long_it_took() {
    let figures = run(&["q0", "--sink", "log", "--rate", "1000", "--seconds", "3"]);
    assert_eq!(
        (&figures["rows"], &figures["result_rows"], &figures["sink_rows"]),
        (&3000.into(), &3000.into(), &3000.into())
    );
    let latency = &figures["latency"];
    // The first two seconds do not count, which begin when the reader is there.
    let counted = latency["rows"].as_u64().unwrap();
    assert!((1..=1100).contains(&counted), "{latency}");
    let steps = latency["histogram_ms"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step[1].as_u64().unwrap()).sum::<u64>(), counted);
    let of = |name: &str| latency[name].as_f64().unwrap();
    assert!(0.0 < of("p50_ms") && of("p50_ms") <= of("p99_ms") && of("p99_ms") <= of("max_ms"), "{latency}");
    assert!(figures["rows_per_cpu_second"].is_null(), "producer and reader are in this process: {figures}");
}

#[test]
fn kafka_gives_the_same_and_its_sink_has_it() {
    let brokers = std::env::var("MILLSTREAM_TEST_KAFKA")
        .expect("MILLSTREAM_TEST_KAFKA is not set: run this by tests/run, or tests/with-services COMMAND");
    for name in ["q0", "q7", "cdc-default"] {
        let dir = tempfile::tempdir().unwrap();
        let model = model::of(name, &lines(&[name], dir.path()));
        let figures = run(&[name, "--source", "kafka", "--sink", "kafka", "--brokers", &brokers]);
        check(&figures, &model);
        assert_eq!(figures["sink_hash"], figures["result_hash"], "{figures}");
    }
}

#[test]
fn what_cannot_be_had_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("wrong.sql");
    fs::write(&wrong, "SELECT nothing FROM bid").unwrap();
    let none = dir.path().join("none.sql");
    fs::write(&none, "SELECT 1 AS one").unwrap();
    fs::write(dir.path().join("thesis.tex"), "years").unwrap();
    let [wrong, none, full] = [wrong.as_path(), none.as_path(), dir.path()].map(|path| path.to_str().unwrap());
    let refusals: BTreeMap<&str, Vec<&str>> = [
        ("the listed ones are q0, q1", vec!["q99"]),
        ("0 is not in 1..=64", vec!["q0", "--workers", "0"]),
        ("32MB is needed at least", vec!["q0", "--memory", "1MB"]),
        ("give --brokers", vec!["q0", "--source", "kafka"]),
        ("--sink kafka goes with --source kafka", vec!["q0", "--sink", "kafka"]),
        ("it needs --sink log", vec!["q0", "--rate", "1000"]),
        ("no column \"dateTime\"", vec!["q5s", "--sink", "log", "--rate", "1000"]),
        ("are for --source kafka", vec!["q0", "--brokers", "127.0.0.1:1"]),
        ("column \"nothing\" does not exist", vec!["mine", "--sql", wrong]),
        ("reads no source; there are person, auction, bid", vec!["mine", "--sql", none]),
        ("is not empty", vec!["q0", "--data", full]),
    ]
    .into();
    for (says, args) in refusals {
        let (code, _, said) = outcome(&output(&[&["bench"], args.as_slice()].concat()));
        assert_eq!(code, 2, "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}
