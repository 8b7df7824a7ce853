//! Transactions as the protocol shows them: states, messages that are one transaction, portals, and clients that go away.

use std::time::Instant;

use super::raw::{self, Raw, field, text};
use super::{connect, refusal, start};
use crate::cli::support::{LONG, Running};

/// The state that the last message says: idle, in a block, in one that failed.
fn state(messages: &[(char, Vec<u8>)]) -> char {
    let (kind, body) = messages.last().unwrap();
    assert_eq!(*kind, 'Z');
    body[0] as char
}

/// The tags, SQLSTATEs of errors and of warnings.
fn told(messages: &[(char, Vec<u8>)]) -> Vec<String> {
    let one = |(kind, body): &(char, Vec<u8>)| match kind {
        'C' => Some(String::from_utf8_lossy(&body[..body.len() - 1]).into_owned()),
        'E' | 'N' => field(body, b'C'),
        _ => None,
    };
    messages.iter().filter_map(one).collect()
}

fn count(running: &Running, what: &str) -> i64 {
    connect(running).query_one(&format!("SELECT count(*) FROM {what}"), &[]).unwrap().get(0)
}

fn epoch(running: &Running) -> String {
    let metrics = running.get("/metrics").2;
    metrics.lines().find(|line| line.starts_with("millstream_epoch ")).map(str::to_string).unwrap_or_default()
}

#[test]
fn the_state_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (id integer PRIMARY KEY)");
    for (sql, wanted, tags) in [
        ("SELECT 1", 'I', &["SELECT 1"][..]),
        ("COMMIT", 'I', &["25P01", "COMMIT"]),
        ("ROLLBACK", 'I', &["25P01", "ROLLBACK"]),
        ("SET LOCAL a.b = 1", 'I', &["25P01", "SET"]),
        ("SET TRANSACTION READ ONLY", 'I', &["25P01", "SET"]),
        ("BEGIN", 'T', &["BEGIN"]),
        ("BEGIN", 'T', &["25001", "BEGIN"]),
        ("INSERT INTO t VALUES (1)", 'T', &["INSERT 0 1"]),
        ("SAVEPOINT s", 'T', &["SAVEPOINT"]),
        ("SELECT nix", 'E', &["42703"]),
        ("SELECT 1", 'E', &["25P02"]),
        ("", 'E', &[]),
        ("ROLLBACK TO s", 'T', &["ROLLBACK"]),
        ("RELEASE s", 'T', &["RELEASE"]),
        ("COMMIT AND CHAIN", 'T', &["COMMIT"]),
        ("SELECT nix", 'E', &["42703"]),
        ("COMMIT", 'I', &["ROLLBACK"]),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", 'T', &["01000", "START TRANSACTION"]),
        ("END", 'I', &["COMMIT"]),
        ("BEGIN; INSERT INTO t VALUES (2)", 'T', &["BEGIN", "INSERT 0 1"]),
        ("ABORT; SELECT 1", 'I', &["ROLLBACK", "SELECT 1"]),
    ] {
        let messages = raw.query(sql);
        let found = told(&messages);
        assert_eq!(
            (state(&messages), found.iter().map(String::as_str).collect::<Vec<_>>()),
            (wanted, tags.into()),
            "{sql}"
        );
    }
    assert_eq!(count(&running, "t"), 1);
}

#[test]
fn all_of_a_transaction_is_in_one_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client
        .batch_execute(
            "CREATE TABLE a (id integer PRIMARY KEY, n integer); CREATE TABLE b (id integer PRIMARY KEY, n integer);
             CREATE STREAM TABLE both AS SELECT a.n + b.n AS n FROM a JOIN b ON a.id = b.id;
             INSERT INTO a VALUES (1, 10); INSERT INTO b VALUES (1, 20)",
        )
        .unwrap();
    let before = epoch(&running);
    let mut block = client.transaction().unwrap();
    for n in 0..50 {
        block.execute("UPDATE a SET n = n - $1", &[&n]).unwrap();
        block.execute("UPDATE b SET n = n + $1", &[&n]).unwrap();
    }
    assert_eq!(block.query_one("SELECT n FROM a", &[]).unwrap().get::<_, i32>(0), 10 - 1225);
    let both = block.query_one("SELECT n FROM both", &[]).unwrap().get::<_, i32>(0);
    assert_eq!(both, 30, "a stream table is that of the snapshot");
    assert_eq!(epoch(&running), before, "nothing is anywhere yet");
    block.commit().unwrap();
    let numbers = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(numbers(&epoch(&running)), numbers(&before) + 1, "{before}");
    assert_eq!(connect(&running).query_one("SELECT n FROM both", &[]).unwrap().get::<_, i32>(0), 30);
}

#[test]
fn messages_up_to_sync_are_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (id integer PRIMARY KEY, n integer)");
    let mut of = |statements: &[&str]| {
        statements.iter().for_each(|sql| raw.run(sql));
        raw.send('S', &[]);
        told(&raw.until('Z'))
    };
    assert_eq!(of(&["INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (2, 2)"]), ["INSERT 0 1", "INSERT 0 1"]);
    assert_eq!(of(&["INSERT INTO t VALUES (3, 3)", "INSERT INTO t VALUES (1, 1)"]), ["INSERT 0 1", "23505"]);
    assert_eq!(count(&running, "t"), 2, "nothing of a transaction that failed is there");
    // What is an epoch of its own commits what was before it.
    let tags = ["INSERT 0 1", "CREATE TABLE", "INSERT 0 1", "42703"];
    assert_eq!(
        of(&["INSERT INTO t VALUES (4, 4)", "CREATE TABLE u (a integer)", "INSERT INTO u VALUES (1)", "SELECT nix"]),
        tags
    );
    assert_eq!((count(&running, "t"), count(&running, "u")), (3, 0));
    assert_eq!(of(&["BEGIN", "INSERT INTO t VALUES (5, 5)"]), ["BEGIN", "INSERT 0 1"]);
    assert_eq!(count(&running, "t"), 3, "a block goes on behind Sync");
    assert_eq!(of(&["COMMIT", "INSERT INTO t VALUES (6, 6)"]), ["COMMIT", "INSERT 0 1"]);
    assert_eq!(count(&running, "t"), 5);
    // Without Sync nothing is committed.
    raw.run("INSERT INTO t VALUES (7, 7)");
    raw.send('H', &[]);
    assert_eq!(told(&raw.until('C')), ["INSERT 0 1"]);
    assert_eq!(count(&running, "t"), 5);
    drop(raw);
    let mut raw = Raw::connect(&running);
    raw.run("INSERT INTO t VALUES (7, 8)");
    raw.send('C', &[b"P".to_vec(), text("")].concat());
    raw.send('S', &[]);
    assert_eq!(told(&raw.until('Z')), ["INSERT 0 1"], "the other went away, and its row with it");
}

/// Two that change one row: the second to commit is told, at the end of its messages.
#[test]
fn a_conflict_is_told_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 0), (2, 0)");
    let other = |n: i32| connect(&running).execute("UPDATE t SET n = $1 WHERE id = 1", &[&n]).unwrap();
    raw.run("UPDATE t SET n = 7 WHERE id = 1");
    raw.run("UPDATE t SET n = 7 WHERE id = 2");
    raw.send('H', &[]);
    assert_eq!(told(&raw.until('C')), ["UPDATE 1"]);
    assert_eq!(told(&raw.until('C')), ["UPDATE 1"]);
    other(1);
    raw.send('S', &[]);
    let messages = raw.until('Z');
    assert_eq!((told(&messages), state(&messages)), (vec!["40001".to_string()], 'I'));
    raw.query("BEGIN");
    raw.query("UPDATE t SET n = 8");
    other(2);
    let messages = raw.query("COMMIT");
    assert_eq!((told(&messages), state(&messages)), (vec!["40001".to_string()], 'I'));
    // What was locked counts as changed.
    raw.query("BEGIN");
    assert_eq!(told(&raw.query("SELECT n FROM t WHERE id = 1 FOR UPDATE")), ["SELECT 1"]);
    raw.query("UPDATE t SET n = 9 WHERE id = 2");
    other(3);
    assert_eq!(told(&raw.query("COMMIT")), ["40001"]);
    raw.query("BEGIN");
    raw.query("INSERT INTO t VALUES (3, 3)");
    connect(&running).execute("INSERT INTO t VALUES (3, 4)", &[]).unwrap();
    assert_eq!(told(&raw.query("COMMIT")), ["23505"]);
    let mut client = connect(&running);
    let rows = client.query("SELECT id, n FROM t ORDER BY id", &[]).unwrap();
    let rows: Vec<(i32, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(1, 3), (2, 0), (3, 4)], "nothing of the second is there");
}

#[test]
fn a_statement_alone_is_evaluated_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    connect(&running)
        .batch_execute("CREATE TABLE t (id integer PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 0)")
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = connect(&running);
                // By both protocols.
                for _ in 0..10 {
                    client.execute("UPDATE t SET n = n + 1", &[]).unwrap();
                    client.batch_execute("UPDATE t SET n = n + 1").unwrap();
                }
            });
        }
    });
    assert_eq!(connect(&running).query_one("SELECT n FROM t", &[]).unwrap().get::<_, i64>(0), 80);
}

#[test]
fn portals_live_as_long_as_their_block() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (id integer PRIMARY KEY)").unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1), (2), (3), (4), (5); COMMIT").unwrap();
    let mut block = client.transaction().unwrap();
    let portal = block.bind("SELECT id FROM t ORDER BY id", &[]).unwrap();
    assert_eq!(block.query_portal(&portal, 2).unwrap().len(), 2);
    block.execute("DELETE FROM t WHERE id > 2", &[]).unwrap();
    let rest = block.query_portal(&portal, 0).unwrap();
    assert_eq!(
        rest.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(),
        [3, 4, 5],
        "as it was when it was opened"
    );
    block.rollback().unwrap();
    let mut raw = Raw::connect(&running);
    raw.query("BEGIN");
    raw.send('P', &raw::parse("s", "SELECT id FROM t"));
    raw.send('B', &raw::bind("p", "s", &[], 0));
    raw.send('S', &[]);
    assert_eq!(raw.kinds(), "12Z");
    raw.query("COMMIT");
    raw.send('E', &raw::execute("p", 0));
    raw.send('S', &[]);
    assert_eq!(raw.error(), "34000");
    raw.until('Z');
}

#[test]
fn who_goes_away_has_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (id integer PRIMARY KEY)").unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").unwrap();
    drop(client);
    let mut raw = Raw::connect(&running);
    raw.query("SET idle_in_transaction_session_timeout = '50ms'");
    // At once: between two messages the time may be up.
    raw.query("BEGIN; INSERT INTO t VALUES (1)");
    let begun = Instant::now();
    assert_eq!(raw.error(), "25P03");
    assert!(raw.is_closed() && begun.elapsed() < LONG);
    let mut client = connect(&running);
    client.batch_execute("SET idle_in_transaction_session_timeout = '50ms'").unwrap();
    assert_eq!(client.execute("INSERT INTO t VALUES (1)", &[]).unwrap(), 1, "neither of them is there");
    assert_eq!(count(&running, "t"), 1);
}

#[test]
fn a_block_sees_the_tables_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
    client.batch_execute("CREATE TABLE w (id integer PRIMARY KEY)").unwrap();
    for (meanwhile, code) in [
        ("ALTER TABLE t ADD COLUMN n integer", "40001"),
        ("DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY)", "42P01"),
    ] {
        let mut block = client.transaction().unwrap();
        block.execute("INSERT INTO w VALUES (7)", &[]).unwrap();
        block.execute("INSERT INTO t (id) VALUES (9)", &[]).unwrap();
        connect(&running).batch_execute(meanwhile).unwrap();
        assert!(block.query("SELECT id FROM t WHERE id = 9", &[]).unwrap().len() == 1, "it is still there");
        assert_eq!(refusal(&block.commit().unwrap_err()).0, code, "{meanwhile}");
        assert_eq!(count(&running, "w"), 0);
    }
}

#[test]
fn what_a_block_may_hold_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), "", &["--query-memory", "1MB"]);
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (id integer PRIMARY KEY, a text)").unwrap();
    client.batch_execute("BEGIN").unwrap();
    let long = "x".repeat(100_000);
    let error = (0..100).find_map(|id| client.execute("INSERT INTO t VALUES ($1, $2)", &[&id, &long]).err());
    assert_eq!(refusal(&error.unwrap()).0, "53200");
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(count(&running, "t"), 0);
}

/// Messages up to Sync are one transaction, and a COPY among them too.
#[test]
fn a_copy_in_a_pipeline_is_undone_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (id integer PRIMARY KEY)");
    for (last, tags, rows) in [("1", &["COPY 2", "22012"][..], 0), ("0", &["COPY 2", "SELECT 1"], 2)] {
        raw.run("COPY t FROM STDIN");
        raw.send('H', &[]);
        raw.until('G');
        raw.send('d', b"1\n2\n");
        raw.send('c', &[]);
        raw.run(&format!("SELECT 1 / (1 - id) FROM (VALUES ({last})) x (id)"));
        raw.send('S', &[]);
        assert_eq!(told(&raw.until('Z')), tags);
        assert_eq!(count(&running, "t"), rows);
    }
}
