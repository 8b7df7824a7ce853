//! The protocol's messages: the order of the answers, portals in parts, errors and the silence behind them, nonsense.

use std::time::Instant;

use super::raw::{self, Raw, field, number, text};
use super::types::ENDLESS;
use super::{refusal, start};
use crate::cli::support::LONG;

/// The numbers 0 to 99.
const HUNDRED: &str =
    "WITH d (x) AS (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) SELECT a.x * 10 + b.x FROM d a, d b ORDER BY 1";

#[test]
fn the_server_tells_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let raw = Raw::connect(&running);
    for (name, value) in [
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("is_superuser", "on"),
        ("session_authorization", "ann"),
        ("application_name", ""),
    ] {
        assert!(raw.status.contains(&(name.to_string(), value.to_string())), "{name}: {:?}", raw.status);
    }
}

#[test]
fn no_encryption_yet_and_newer_protocols_are_talked_down() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::dial(&running);
    for code in [80_877_103u32, 80_877_104] {
        raw.write(&[8u32.to_be_bytes(), code.to_be_bytes()].concat());
        let mut answer = [0];
        std::io::Read::read_exact(&mut raw.stream, &mut answer).unwrap();
        assert_eq!(answer, [b'N']);
    }
    raw.write(&raw::startup(3 << 16 | 2, &[("user", "ann"), ("_pq_.new", "1")]));
    let (kind, body) = raw.receive().unwrap();
    assert_eq!((kind, number(&body), number(&body[4..]), &body[8..]), ('v', 3 << 16, 1, &b"_pq_.new\0"[..]));
    raw.until('Z');

    let refused = |version: u32, parameters: &[(&str, &str)]| {
        let mut raw = Raw::dial(&running);
        raw.write(&raw::startup(version, parameters));
        let state = raw.error();
        assert!(raw.is_closed());
        state
    };
    assert_eq!(refused(2 << 16, &[("user", "ann")]), "0A000");
    assert_eq!(refused(3 << 16, &[]), "28000");
    assert_eq!(refused(3 << 16, &[("user", "ann"), ("client_encoding", "LATIN1")]), "22023");
    assert_eq!(refused(3 << 16, &[("user", "ann"), ("replication", "database")]), "0A000");
}

#[test]
fn portals_come_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.send('P', &raw::parse("s", HUNDRED));
    raw.send('D', &[b"S".to_vec(), text("s")].concat());
    raw.send('B', &raw::bind("p", "s", &[], 1));
    raw.send('E', &raw::execute("p", 30));
    raw.send('E', &raw::execute("p", 70));
    raw.send('H', &[]);
    let first = raw.until('s');
    assert_eq!(first.iter().map(|(kind, _)| kind).collect::<String>(), format!("1tT2{}s", "D".repeat(30)));
    let second = raw.until('s');
    assert_eq!(second.len(), 71, "PostgreSQL does not look beyond the limit either");
    let last = &second[69].1;
    assert_eq!((number(&last[2..]), number(&last[6..])), (4, 99), "a number in binary");
    raw.send('E', &raw::execute("p", 1));
    raw.send('E', &raw::execute("p", 0));
    raw.send('C', &[b"P".to_vec(), text("p")].concat());
    raw.send('S', &[]);
    let rest = raw.until('Z');
    assert_eq!(rest.iter().map(|(kind, _)| kind).collect::<String>(), "CC3Z");
    assert_eq!(rest[0].1, text("SELECT 0"));
    // The statement is there until it is closed; portals end with Sync.
    raw.send('B', &raw::bind("q", "s", &[], 0));
    raw.send('S', &[]);
    assert_eq!(raw.kinds(), "2Z");
    raw.send('E', &raw::execute("q", 0));
    raw.send('S', &[]);
    assert_eq!(raw.error(), "34000");
    assert_eq!(raw.kinds(), "Z");
}

#[test]
fn behind_an_error_there_is_silence_until_sync() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (a integer)");
    raw.run("SELECT nix");
    raw.run("INSERT INTO t VALUES (1)");
    raw.send('Q', &text("INSERT INTO t VALUES (2)"));
    raw.send('S', &[]);
    assert_eq!(raw.error(), "42703");
    assert_eq!(raw.kinds(), "Z");
    let rows = raw.query("SELECT count(*) FROM t");
    assert_eq!(&rows[1].1[6..], b"0", "nothing behind the error was run");
}

#[test]
fn names_are_taken_and_missing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    let mut state = |messages: &[(char, Vec<u8>)]| {
        messages.iter().for_each(|(kind, body)| raw.send(*kind, body));
        raw.send('S', &[]);
        let answers = raw.until('Z');
        answers.iter().find(|(kind, _)| *kind == 'E').map_or(String::new(), |(_, body)| field(body, b'C').unwrap())
    };
    let parse = ('P', raw::parse("s", "SELECT $1::integer"));
    assert_eq!(state(std::slice::from_ref(&parse)), "");
    assert_eq!(state(&[parse]), "42P05");
    assert_eq!(state(&[('B', raw::bind("", "none", &[], 0))]), "26000");
    assert_eq!(state(&[('D', [b"S".to_vec(), text("none")].concat())]), "26000");
    assert_eq!(state(&[('D', [b"P".to_vec(), text("none")].concat())]), "34000");
    assert_eq!(state(&[('B', raw::bind("", "s", &[], 0))]), "08P01", "a parameter is missing");
    assert_eq!(state(&[('B', raw::bind("", "s", &["x"], 0)), ('E', raw::execute("", 0))]), "22P02");
    assert_eq!(state(&[('B', raw::bind("", "s", &["1"], 7))]), "22023");
    let twice = ('B', raw::bind("p", "s", &["1"], 0));
    assert_eq!(state(&[twice.clone(), twice]), "42P03");
    assert_eq!(state(&[('C', [b"S".to_vec(), text("none")].concat())]), "", "closing what is not there is no error");
    assert_eq!(state(&[('P', raw::parse("", "SELECT 1; SELECT 2"))]), "42601");
    assert_eq!(state(&[('Q', text("SELECT $1"))]), "42P02");
}

#[test]
fn nothing_is_something() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    for sql in ["", ";", " -- a comment"] {
        let kinds: String = raw.query(sql).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, "IZ", "{sql:?}");
    }
    raw.send('P', &raw::parse("", ""));
    raw.send('B', &raw::bind("", "", &[], 0));
    raw.send('D', &[b"P".to_vec(), text("")].concat());
    raw.send('E', &raw::execute("", 0));
    raw.send('S', &[]);
    assert_eq!(raw.kinds(), "12nIZ");
    let kinds: String = raw.query("SELECT 1; SELECT nix; SELECT 2").iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, "TDCEZ");
}

#[test]
fn nonsense_ends_at_most_its_own_connection() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut witness = Raw::connect(&running);
    // Messages that are short, long, or not text: errors, and the session goes on.
    let mut raw = Raw::connect(&running);
    for (kind, body, state) in [
        ('Q', b"SELECT 1".to_vec(), "08P01"),
        ('Q', b"SELECT '\xff'\0".to_vec(), "22021"),
        ('P', b"s\0".to_vec(), "08P01"),
        ('P', [text(""), text("SELECT 1"), vec![0x7f, 0xff]].concat(), "08P01"),
        ('B', [text(""), text(""), vec![0, 0, 0, 1, 0, 0, 0, 9, 1]].concat(), "08P01"),
        ('D', b"X\0".to_vec(), "08P01"),
        ('E', text("p"), "08P01"),
        ('F', vec![0; 20], "0A000"),
    ] {
        raw.send(kind, &body);
        assert_eq!(raw.error(), state, "{kind}");
        if !matches!(kind, 'Q' | 'F') {
            raw.send('S', &[]);
        }
        assert_eq!(raw.kinds(), "Z", "{kind}");
    }
    // What cannot be understood, or is too large, ends it.
    for (bytes, state) in [(&b"!\0\0\0\x04"[..], "08P01"), (b"Q\0\0\0\x03", "08P01"), (b"Q\x7f\xff\xff\xff", "54000")] {
        let mut raw = Raw::connect(&running);
        raw.write(bytes);
        assert_eq!(raw.error(), state, "{bytes:?}");
        assert!(raw.is_closed());
    }
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0\0\0\x07\0\0\0\0"]
    {
        let mut raw = Raw::dial(&running);
        raw.write(bytes);
        assert!(raw.is_closed(), "{bytes:?}");
    }
    assert_eq!(witness.query("SELECT 1").len(), 4);
    running.stop();
}

#[test]
fn a_cancel_request_needs_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    let (id, secret) = raw.key;
    let cancel = |secret: i32| {
        let parts = [16, 80_877_102, id, secret];
        let mut other = Raw::dial(&running);
        other.write(&parts.map(i32::to_be_bytes).concat());
        assert!(other.is_closed());
    };
    // While nothing runs, it is for nobody: not even for the next.
    cancel(secret);
    assert_eq!(raw.query("SELECT 1").len(), 4);
    raw.send('Q', &text(ENDLESS));
    let deadline = Instant::now() + LONG;
    while !running.get("/metrics").2.contains("millstream_pg_queries_running 1") {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    cancel(secret.wrapping_add(1));
    assert!(running.get("/metrics").2.contains("millstream_pg_queries_running 1"), "a wrong secret does nothing");
    cancel(secret);
    let answers = raw.until('Z');
    let error = &answers[answers.len() - 2];
    assert_eq!((error.0, field(&error.1, b'C').as_deref()), ('E', Some("57014")));
    assert_eq!(raw.query("SELECT 1").len(), 4);
}

#[test]
fn a_query_ends_when_its_client_goes() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.send('Q', &text(ENDLESS));
    let shows = |count: &str| {
        let deadline = Instant::now() + LONG;
        while !running.get("/metrics").2.contains(&format!("millstream_pg_queries_running {count}\n")) {
            assert!(Instant::now() < deadline, "{count} queries run");
            std::thread::yield_now();
        }
    };
    shows("1");
    drop(raw);
    shows("0");
}

#[test]
fn time_is_up_for_a_statement() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = super::connect(&running);
    client.batch_execute("SET statement_timeout = '200ms'").unwrap();
    let error = client.batch_execute(ENDLESS).unwrap_err();
    assert_eq!(refusal(&error), ("57014".to_string(), "canceling statement due to statement timeout".to_string()));
    client.batch_execute("SET statement_timeout = 0; SELECT 1").unwrap();
}
