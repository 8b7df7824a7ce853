//! The pinned exit codes, and that the messages say what to do.

use std::fs;

use super::support::{Running, outcome, output};

fn refused(args: &[&str], code: i32, says: &[&str]) {
    let (found, text, said) = outcome(&output(args));
    assert_eq!((found, text.as_str()), (code, ""), "{args:?}: {said}");
    for part in says {
        assert!(said.contains(part), "{args:?}: \"{part}\" is not in: {said}");
    }
}

#[test]
fn flags_are_2() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    refused(&[], 2, &["Usage"]);
    refused(&["run"], 2, &["--data"]);
    refused(&["run", "--data", data, "--unknown"], 2, &["--unknown"]);
    refused(&["run", "--data", data, "--epoch-interval", "50"], 2, &["no unit", "50ms"]);
    refused(&["run", "--data", data, "--checkpoints-kept", "0"], 2, &["0"]);
    refused(&["run", "--data", data, "--workers", "0"], 2, &["--workers", "1..=64"]);
    refused(&["run", "--data", data, "--pipeline", "a b"], 2, &["letters"]);
    let open = ["--pg-password-file", "MILLSTREAM_PG_PASSWORD", "127.0.0.1"];
    refused(&["run", "--data", data, "--pg-listen", "0.0.0.0:0"], 2, &open);
    refused(&["run", "--data", data, "--pg-listen", "[::]:0"], 2, &open);
    refused(&["run", "--data", data, "--pg-listen", "here"], 2, &["--pg-listen", "127.0.0.1:5433"]);
    refused(&["run", "--data", data, "--pg-password-file", "missing"], 2, &["--pg-password-file missing"]);
    refused(&["run", "--data", data, "--query-memory", "10"], 2, &["--query-memory", "256MB"]);
    refused(&["run", "--data", data, "--memory-limit", "10"], 2, &["--memory-limit", "256MB"]);
    refused(&["run", "--data", data, "--statement-timeout", "10"], 2, &["--statement-timeout", "10s"]);
    refused(&["run", "--data", data, "--pg-connections-max", "0"], 2, &["--pg-connections-max"]);
    refused(&["run", "--data", data, "--queries-max", "many"], 2, &["--queries-max"]);
    refused(&["run", "--data", data, "missing.sql"], 2, &["missing.sql"]);
    assert!(!dir.path().join("data").exists(), "a refused command line touches nothing");
}

#[test]
fn files_are_2() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("bad.sql");
    let run = |sql: &str, says: &[&str]| {
        fs::write(&file, sql).unwrap();
        let args = [
            "run",
            "--data",
            data.to_str().unwrap(),
            "--pg-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
            file.to_str().unwrap(),
        ];
        refused(&args, 2, says);
    };
    run(
        "CREATE TABLE t (a integer)\nWITH (connector = 'log', topic = 't');\n\nCREATE STREAM TABLE v AS\nSELECT b FROM t;",
        &["bad.sql:5:", "42703", "in CREATE STREAM TABLE v"],
    );
    run("DROP TABLE t;", &["bad.sql:1:", "only CREATE and SET"]);
    // The table that was made before the error is there, and has another definition.
    run("CREATE TABLE t (a bigint) WITH (connector = 'log', topic = 't');", &["bad.sql:1:", "another definition"]);
}

#[test]
fn a_locked_folder_is_3() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), "");
    let data = dir.path().join("data");
    refused(
        &["run", "--data", data.to_str().unwrap(), "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
        3,
        &["another millstream", "--data"],
    );
    running.stop();
}

#[test]
fn all_else_is_1() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = dir.path().join("data");
    let run = |http, pg| ["run", "--data", data.to_str().unwrap(), "--http-listen", http, "--pg-listen", pg];
    refused(&run(&address, "127.0.0.1:0"), 1, &[&address, "--http-listen"]);
    refused(&run("127.0.0.1:0", &address), 1, &[&address, "--pg-listen"]);
    // The folder belongs to a pipeline.
    Running::start(dir.path(), "").stop();
    let args = [
        "run",
        "--data",
        data.to_str().unwrap(),
        "--pg-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
        "--pipeline",
        "other",
    ];
    refused(&args, 1, &["other"]);
}
