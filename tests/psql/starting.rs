//! Who comes in and when: before the pipeline serves, with a password, one too many; and how all of it ends.

use std::fs;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use super::raw::{self, Raw, text};
use super::shell::psql_with;
use super::types::ENDLESS;
use super::{config, connect, refusal, start};
use crate::cli::support::{LONG, Running, millstream};

#[test]
fn a_password_is_asked_for_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "sésame \u{1F511}\n").unwrap();
    let running = Running::start_with(dir.path(), "", &["--pg-password-file", file.to_str().unwrap()]);
    let with = |password: &str| {
        let mut config: postgres::Config = config(&running).parse().unwrap();
        config.password(password).connect(NoTls)
    };
    with("sésame \u{1F511}").unwrap().batch_execute("SELECT 1").unwrap();
    let Err(error) = with("sesame") else { panic!("a wrong password is taken") };
    assert_eq!(refusal(&error), ("28P01".to_string(), "password authentication failed for user \"ann\"".to_string()));
    assert!(Client::connect(&config(&running), NoTls).is_err(), "none is not enough");
    let (out, said) = psql_with(&running, "SELECT 1;", &[("PGPASSWORD", "sésame \u{1F511}")]);
    assert_eq!((out.as_str(), said.as_str()), ("1\n", ""));
    // Without an answer that is one, nobody is in.
    let mut raw = Raw::dial(&running);
    raw.write(&raw::startup(3 << 16, &[("user", "ann")]));
    assert_eq!(raw.receive().unwrap(), ('R', [10u32.to_be_bytes().to_vec(), text("SCRAM-SHA-256"), vec![0]].concat()));
    raw.send('Q', &text("SELECT 1"));
    assert_eq!(raw.error(), "08P01");
    assert!(raw.is_closed());
    let mut raw = Raw::dial(&running);
    raw.write(&raw::startup(3 << 16, &[("user", "ann")]));
    raw.receive().unwrap();
    raw.send('p', &text("sésame \u{1F511}"));
    assert_eq!(raw.error(), "08P01", "the password itself is no answer");
    let log = fs::read_to_string(dir.path().join("stderr.log")).unwrap();
    assert!(!log.contains("same"), "the password is not in the log");
}

#[test]
fn one_too_many_is_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), "", &["--pg-connections-max", "2"]);
    let first = connect(&running);
    let second = connect(&running);
    let Err(error) = Client::connect(&config(&running), NoTls) else { panic!("there is a place") };
    assert_eq!(refusal(&error), ("53300".to_string(), "sorry, too many clients already".to_string()));
    drop(first);
    // Its place is free when the server has seen it go.
    let deadline = Instant::now() + LONG;
    while Client::connect(&config(&running), NoTls).is_err() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    drop(second);
}

#[test]
fn queries_wait_for_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), "", &["--queries-max", "1"]);
    let mut long = connect(&running);
    let token = long.cancel_token();
    let mut client = connect(&running);
    std::thread::scope(|scope| {
        scope.spawn(|| long.batch_execute(ENDLESS).unwrap_err());
        let deadline = Instant::now() + LONG;
        while !running.get("/metrics").2.contains("millstream_pg_queries_running 1") {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        client.batch_execute("SET statement_timeout = 500").unwrap();
        assert_eq!(refusal(&client.batch_execute("SELECT 1").unwrap_err()).0, "57014", "it waits in vain");
        client.batch_execute("SET statement_timeout = 0").unwrap();
        token.cancel_query(NoTls).unwrap();
        client.batch_execute("SELECT 1").unwrap();
    });
}

#[test]
fn its_end_is_told_and_takes_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut idle = Raw::connect(&running);
    let mut busy = Raw::connect(&running);
    busy.send('Q', &text(ENDLESS));
    let mut slow = Raw::connect(&running);
    slow.send('Q', &text("SELECT * FROM (VALUES (1)) AS t (a)"));
    let deadline = Instant::now() + LONG;
    while !running.get("/metrics").2.contains("millstream_pg_queries_running 1") {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    running.signal("TERM");
    assert_eq!(idle.error(), "57P01");
    assert!(idle.is_closed());
    let told = busy.until('E').pop().unwrap().1;
    assert_eq!(raw::field(&told, b'C').as_deref(), Some("57P01"));
    assert!(busy.is_closed());
    let (status, _) = running.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0));
    let log = fs::read_to_string(dir.path().join("stderr.log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_second_process_on_the_port_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let data = dir.path().join("other");
    let args = ["run", "--data", data.to_str().unwrap(), "--http-listen", "127.0.0.1:0", "--pg-listen", &running.pg];
    let output = millstream(&args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&running.pg) && said.contains("--pg-listen"), "{said}");
}
