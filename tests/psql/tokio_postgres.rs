//! What drivers built like tokio-postgres do besides: prepared statements over time, cancel, settings.

use postgres::NoTls;

use super::types::ENDLESS;
use super::{connect, refusal, start};
use crate::cli::support::{LONG, Running};

#[test]
fn a_prepared_statement_outlives_changes_of_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x')").unwrap();
    let named = client.prepare("SELECT a FROM t WHERE id = $1").unwrap();
    let all = client.prepare("SELECT * FROM t").unwrap();
    let a = |client: &mut postgres::Client| client.query_one(&named, &[&1]).unwrap().get::<_, String>(0);
    assert_eq!(a(&mut client), "x");
    connect(&running).batch_execute("CREATE TABLE other (b integer); ALTER TABLE t ADD COLUMN c integer").unwrap();
    assert_eq!(a(&mut client), "x", "its columns are the same");
    let error = client.query(&all, &[]).unwrap_err();
    assert_eq!(refusal(&error), ("0A000".to_string(), "cached plan must not change result type".to_string()));
    connect(&running).batch_execute("DROP TABLE t").unwrap();
    assert_eq!(refusal(&client.query(&named, &[&1]).unwrap_err()).0, "42P01");
    assert_eq!(client.query_one("SELECT 1", &[]).unwrap().get::<_, i32>(0), 1, "the session goes on");
}

#[test]
fn a_cancel_token_cancels() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    let token = client.cancel_token();
    let running: &Running = &running;
    std::thread::scope(|scope| {
        let query = scope.spawn(|| client.batch_execute(ENDLESS).unwrap_err());
        let deadline = std::time::Instant::now() + LONG;
        while !running.get("/metrics").2.contains("millstream_pg_queries_running 1") {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        token.cancel_query(NoTls).unwrap();
        let error = query.join().unwrap();
        assert_eq!(refusal(&error), ("57014".to_string(), "canceling statement due to user request".to_string()));
    });
    client.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_transaction_of_the_driver() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (id integer PRIMARY KEY, a text)").unwrap();
    let ids = |client: &mut postgres::Client| {
        let rows = client.query("SELECT id FROM t ORDER BY id", &[]).unwrap();
        rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>()
    };
    let mut transaction = client.transaction().unwrap();
    let insert = transaction.prepare("INSERT INTO t VALUES ($1, $2)").unwrap();
    transaction.execute(&insert, &[&1, &"a"]).unwrap();
    let mut nested = transaction.transaction().unwrap();
    nested.execute(&insert, &[&2, &"b"]).unwrap();
    assert_eq!(refusal(&nested.execute(&insert, &[&1, &"c"]).unwrap_err()).0, "23505");
    drop(nested);
    let mut kept = transaction.savepoint("kept").unwrap();
    kept.execute(&insert, &[&3, &"d"]).unwrap();
    kept.commit().unwrap();
    transaction.commit().unwrap();
    assert_eq!(ids(&mut client), [1, 3]);
    let mut dropped = client.transaction().unwrap();
    dropped.execute("DELETE FROM t", &[]).unwrap();
    drop(dropped);
    assert_eq!(ids(&mut client), [1, 3]);
    let reading = client.build_transaction().read_only(true).deferrable(true);
    let mut reading = reading.isolation_level(postgres::IsolationLevel::Serializable).start().unwrap();
    assert_eq!(refusal(&reading.execute("DELETE FROM t", &[]).unwrap_err()).0, "25006");
    reading.rollback().unwrap();
    assert_eq!(ids(&mut client), [1, 3]);
}

#[test]
fn settings_of_drivers_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client
        .batch_execute(
            "SET extra_float_digits = 3; SET application_name = 'x'; SET client_encoding TO 'UTF8'; SET my.own = 'y'; SET \
             statement_timeout = 5000; SET search_path TO public; SET DateStyle TO ISO; SET bytea_output = 'hex'; SET SESSION \
             CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; SET standard_conforming_strings = on",
        )
        .unwrap();
    let mut show = |name: &str| client.query_one(&format!("SHOW {name}"), &[]).unwrap().get::<_, String>(0);
    for (name, value) in [
        ("my.own", "y"),
        ("statement_timeout", "5s"),
        ("transaction_isolation", "read committed"),
        ("transaction isolation level", "read committed"),
        ("server_version_num", "150000"),
        ("TimeZone", "UTC"),
        ("max_identifier_length", "63"),
    ] {
        assert_eq!(show(name), value, "{name}");
    }
    let all = client.query("SHOW ALL", &[]).unwrap();
    assert!(all.iter().any(|row| row.get::<_, String>(0) == "server_version"), "{} settings", all.len());
    client.batch_execute("SET default_transaction_read_only = on").unwrap();
    assert_eq!(refusal(&client.batch_execute("CREATE TABLE t (a integer)").unwrap_err()).0, "25006");
    let error = client.batch_execute("RESET ALL; SHOW my.own").unwrap_err();
    assert_eq!(refusal(&error).0, "42704");
}

#[test]
fn metrics_count_statements() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client
        .batch_execute("CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (2); SELECT * FROM t; SET a.b = 1")
        .unwrap();
    client.batch_execute("SELECT 1 / 0").unwrap_err();
    let text = running.get("/metrics").2;
    for line in [
        "millstream_pg_connections 1",
        "millstream_pg_queries_total{kind=\"engine\"} 1",
        "millstream_pg_queries_total{kind=\"write\"} 1",
        "millstream_pg_queries_total{kind=\"read\"} 2",
        "millstream_pg_queries_total{kind=\"session\"} 1",
        "millstream_pg_query_errors_total{kind=\"read\"} 1",
        "millstream_pg_query_seconds_count{kind=\"write\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    drop(client);
}

#[test]
fn what_is_shown_has_types() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (a integer); CREATE STREAM TABLE v AS SELECT count(*) AS n FROM t").unwrap();
    let rows = client.query("SHOW STREAM TABLES", &[]).unwrap();
    let row: (String, String, i64) = (rows[0].get("name"), rows[0].get("status"), rows[0].get("rows"));
    assert_eq!(row, ("v".to_string(), "ACTIVE".to_string(), 1));
    let memory = client.query("SHOW MEMORY", &[]).unwrap();
    let of = |part: &str| memory.iter().find(|row| row.get::<_, &str>("part") == part).unwrap();
    assert!(of("batches").get::<_, i64>("bytes") > 0 && of("all").get::<_, i64>("limit") > 0);
    assert!(client.query("SHOW STATE", &[]).unwrap().iter().any(|row| row.get::<_, i64>("bytes") > 0));
    assert!(client.query("SHOW JOBS", &[]).unwrap().is_empty());
}
