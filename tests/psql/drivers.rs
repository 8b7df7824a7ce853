//! Drivers of other languages, each with a program of its own beside this file: it makes a table, writes every type by
//! parameters, reads them back, reads a stream table, and sees errors. What it prints at the end is `ok`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::start;
use crate::cli::support::Running;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where a driver is; it is fetched the first time.
fn driver(name: &str) -> String {
    let output = Command::new(Path::new(ROOT).join("tests/services/driver")).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

fn program(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/psql/drivers").join(name)
}

/// Runs a program against a pipeline; it must say ok.
fn run(command: &mut Command, running: &Running) {
    let (host, port) = running.pg.rsplit_once(':').unwrap();
    let output = command.args([host, port]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}\n{said}");
    assert_eq!(out.lines().last(), Some("ok"), "{out}\n{said}");
}

#[test]
fn psycopg() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    run(Command::new(driver("psycopg")).arg(program("psycopg_types.py")), &running);
}

#[test]
fn jdbc() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let jar = driver("jdbc");
    let classes = dir.path().join("classes");
    let compiled = Command::new("javac")
        .args(["-nowarn", "-d", classes.to_str().unwrap(), "-cp", &jar])
        .arg(program("JdbcTypes.java"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let path = format!("{}:{jar}", classes.display());
    run(Command::new("java").args(["-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", &path, "JdbcTypes"]), &running);
}

#[test]
fn node() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let modules = Path::new(&driver("node")).join("node_modules");
    run(Command::new("node").env("NODE_PATH", modules).arg(program("node_types.js")), &running);
}
