//! A stream table that fails again and again is suspended, and made anew when it is resumed; with restarts between any two
//! steps it comes to the same.

use std::sync::Arc;

use plan::{CatalogChange, EpochRecord, TableId};
use state::Budget;

use super::rows::once;
use super::world::{Between, Running, T, World, append, gone, put, read, upserted};

/// q fails where b is 0, for good at the third time; total and low are below it, p is not.
const TABLES: &str = "
    CREATE STREAM TABLE q WITH (max_consecutive_errors = 3) AS SELECT id, a / b AS v FROM t;
    CREATE STREAM TABLE p AS SELECT id, a FROM t;
    CREATE STREAM TABLE total AS SELECT count(*) AS n, sum(v) AS v FROM q;
    CREATE STREAM TABLE low AS SELECT total.n, p.id, p.a FROM total JOIN p ON total.n = p.id;
    CREATE SINK q_out FROM q WITH (connector = 'log', topic = 'q_out', format = 'json', envelope = 'upsert');
    CREATE SINK total_out FROM total WITH (connector = 'log', topic = 'total_out', format = 'json', envelope = 'debezium');";

fn status(running: &Running, table: &str) -> String {
    running.show("STREAM TABLES")[table][1].clone()
}

fn error(running: &Running, table: &str) -> String {
    running.show("STREAM TABLES")[table][5].clone()
}

fn frontier(running: &Running, table: &str) -> u64 {
    running.show("STREAM TABLES")[table][2].parse().unwrap()
}

fn records(running: &Running) -> Vec<EpochRecord> {
    let records = read(&running.log, "p.epochs", 0);
    records.iter().map(|record| EpochRecord::decode(record.value.as_ref().unwrap()).unwrap()).collect()
}

/// How much memory there is: so that what is resumed is made anew at once, and piece by piece.
const LIMITS: [u64; 2] = [u64::MAX, 0];

fn world(limit: u64) -> World {
    let mut world = World::new();
    world.memory = Arc::new(Budget::new(limit));
    world
}

/// Three failures, much that changes meanwhile, a mend and a resume.
fn suspends_and_resumes(between: Between) {
    LIMITS.into_iter().for_each(|limit| suspends_and_resumes_within(limit, between));
}

fn suspends_and_resumes_within(limit: u64, between: Between) {
    let world = world(limit);
    let mut running = world.start();
    running.sql(&format!("{T}{TABLES}"));
    running.feed("t", &[put(1, 10, 2), put(2, 6, 2)]);
    let last_good = frontier(&running, "q");
    running.feed("t", &[put(3, 9, 0)]);
    running = world.again(running, between);
    running.feed("t", &[put(4, 8, 2)]);
    assert_eq!((status(&running, "q"), status(&running, "total")), ("ERROR".into(), "ERROR".into()));
    running = world.again(running, between);
    running.feed("t", &[put(5, 8, 4)]);

    let kept = |running: &Running| {
        for (table, words) in [
            (
                "q",
                "division by zero (SQLSTATE 22012) on row (id=3, a=9, b=0) from table t, topic t, partition 0, offset 2",
            ),
            ("total", "table q, which it reads, is SUSPENDED"),
            ("low", "table total, which it reads, is SUSPENDED"),
        ] {
            assert_eq!(
                (status(running, table).as_str(), error(running, table).as_str()),
                ("SUSPENDED", words),
                "{table}"
            );
            assert_eq!(frontier(running, table), last_good, "{table}");
        }
        assert_eq!(running.rows("q"), once([r#"{"id":1,"v":5}"#, r#"{"id":2,"v":3}"#]));
        assert_eq!(running.rows("low"), once([r#"{"n":2,"id":2,"a":6}"#]));
        assert_eq!(status(running, "p"), "ACTIVE");
    };
    kept(&running);
    running = world.again(running, between);
    kept(&running);
    running.feed("t", &[put(6, 6, 3), gone(1)]);
    running.feed("t", &[put(3, 9, 3)]);
    kept(&running);
    assert_eq!(running.rows("p").len(), 5, "who does not read q goes on");
    let seen = records(&running).len();
    running = world.again(running, between);
    kept(&running);

    running.sql("ALTER STREAM TABLE q RESUME");
    let mended = |running: &Running| {
        assert!(["q", "total", "low"].iter().all(|table| status(running, table) == "ACTIVE"));
        let q =
            [r#"{"id":2,"v":3}"#, r#"{"id":3,"v":3}"#, r#"{"id":4,"v":4}"#, r#"{"id":5,"v":2}"#, r#"{"id":6,"v":2}"#];
        assert_eq!(running.rows("q"), once(q));
        assert_eq!(upserted(&running.log, "q_out"), q);
        assert_eq!(running.rows("total"), once([r#"{"n":5,"v":14}"#]));
        assert_eq!(running.rows("low"), once([r#"{"n":5,"id":5,"a":8}"#]));
        running.verify();
    };
    mended(&running);
    let all = records(&running);
    let resumed: Vec<_> =
        all.iter().filter(|record| record.catalog.is_some()).filter(|r| r.epoch.0 as usize >= seen).collect();
    let [record] = resumed[..] else { panic!("{resumed:?}") };
    let Some(CatalogChange::ResumeStreams { tables, .. }) = &record.catalog else { panic!("{record:?}") };
    assert_eq!(tables, &[TableId(2), TableId(4), TableId(5)]);
    assert_eq!(record.tables.len(), 3, "the digests of what they gained and lost");
    running = world.again(running, between);
    mended(&running);
    running.feed("t", &[put(2, 8, 2), gone(6)]);
    running = world.again(running, between);
    assert_eq!(running.rows("total"), once([r#"{"n":4,"v":13}"#]));
    running.verify();
    running.feed("t", &[put(2, 8, 0)]);
    assert_eq!(status(&running, "q"), "ERROR", "the count begins anew");
    let pieces = world.faults.hits().into_iter().any(|(name, hits)| name == "populate-piece" && hits > 0);
    assert_eq!(pieces, limit == 0);
}

#[test]
fn a_table_that_fails_again_and_again_is_suspended_and_resumed() {
    suspends_and_resumes(Between::Nothing);
}

#[test]
fn a_suspended_table_is_so_across_restarts() {
    suspends_and_resumes(Between::Stop);
}

#[test]
fn a_suspended_table_is_so_across_crashes() {
    suspends_and_resumes(Between::Crash);
}

/// What may be between two steps, and how much memory there is.
fn ways() -> impl Iterator<Item = (Between, u64)> {
    let all = [Between::Nothing, Between::Stop, Between::Crash].into_iter();
    all.flat_map(|between| LIMITS.map(|limit| (between, limit)))
}

/// Makes q suspended by a row with b = 0.
fn suspended(world: &World, tables: &str) -> Running {
    let running = world.start();
    running.sql(&format!("{T}{tables}"));
    running.feed("t", &[put(1, 10, 2)]);
    for a in 1..=3 {
        running.feed("t", &[put(2, a, 0)]);
    }
    assert_eq!(status(&running, "q"), "SUSPENDED");
    running
}

#[test]
fn nothing_waits_for_a_suspended_table() {
    let world = World::new();
    let running = suspended(&world, TABLES);
    let before = records(&running).len();
    for id in 10..40 {
        running.feed("t", &[put(id, 1, 1)]);
    }
    for record in &records(&running)[before..] {
        let tables: Vec<u32> = record.tables.iter().map(|outcome| outcome.table.0).collect();
        assert_eq!(tables, [1, 3], "t and p change, the others are not tried");
    }
    running.stop().unwrap();
    let engine = world.open().unwrap();
    for id in [2, 4, 5] {
        let waiting = engine.tables[&TableId(id)].waiting().unwrap();
        assert!(waiting.values().all(zset::Delta::is_empty), "table {id}: {waiting:?}");
    }
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let world = World::new();
    let running = suspended(&world, TABLES);
    let refused = |statement: &str, sqlstate: &str, words: &str| {
        let error = running.refusal(statement);
        assert!(error.sqlstate() == sqlstate && error.to_string().contains(words), "{statement}: {error}");
    };
    refused("ALTER STREAM TABLE q RESUME", "22012", "cannot resume stream table q: division by zero");
    refused("ALTER STREAM TABLE q RESUME", "22012", "on row (id=2, a=3, b=0)");
    refused("ALTER STREAM TABLE low RESUME", "55000", "table total, which it reads, is SUSPENDED");
    refused("ALTER STREAM TABLE low RESUME", "55000", "ALTER STREAM TABLE total RESUME");
    refused("ALTER STREAM TABLE p RESUME", "55000", "stream table p is not SUSPENDED, it is ACTIVE");
    refused("ALTER STREAM TABLE t RESUME", "42809", "not a stream table");
    refused("ALTER STREAM TABLE nobody RESUME", "42P01", "does not exist");
    refused("ALTER STREAM TABLE q SUSPEND", "0A000", "ALTER STREAM TABLE ... SUSPEND");
    refused("CREATE STREAM TABLE w AS SELECT id FROM q", "55000", "table q is SUSPENDED: division by zero");
    assert_eq!(status(&running, "q"), "SUSPENDED");
    running.feed("t", &[gone(2)]);
    running.sql("ALTER MATERIALIZED VIEW q RESUME");
    assert_eq!(running.rows("q"), once([r#"{"id":1,"v":5}"#]));
    running.verify();
}

/// One below fails when it is made anew: it stays suspended, for a reason of its own, and what reads it.
#[test]
fn one_below_that_fails_stays_suspended() {
    for (between, limit) in ways() {
        let world = world(limit);
        let tables = format!(
            "{TABLES} CREATE STREAM TABLE inverse AS SELECT id, 60 / (v - 1) AS w FROM q;
             CREATE STREAM TABLE above AS SELECT count(*) AS n FROM inverse;"
        );
        let mut running = suspended(&world, &tables);
        running.feed("t", &[put(2, 3, 3)]);
        let reply = running.sql("ALTER STREAM TABLE q RESUME").remove(0);
        assert!(reply.notices[0].starts_with("stream table inverse is SUSPENDED still: division by zero"), "{reply:?}");
        running = world.again(running, between);
        assert_eq!((status(&running, "q").as_str(), status(&running, "total").as_str()), ("ACTIVE", "ACTIVE"));
        assert!(error(&running, "inverse").contains("division by zero (SQLSTATE 22012) on row (id=2, v=1)"));
        assert_eq!(error(&running, "above"), "table inverse, which it reads, is SUSPENDED");
        assert_eq!(running.rows("inverse"), once([r#"{"id":1,"w":15}"#]));
        running.feed("t", &[put(2, 9, 3)]);
        running = world.again(running, between);
        running.sql("ALTER STREAM TABLE inverse RESUME");
        running = world.again(running, between);
        assert_eq!(running.rows("inverse"), once([r#"{"id":1,"w":15}"#, r#"{"id":2,"w":30}"#]));
        assert_eq!(running.rows("above"), once([r#"{"n":2}"#]));
        running.verify();
    }
}

#[test]
fn an_error_above_does_not_count() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!(
        "{T} CREATE STREAM TABLE q AS SELECT id, a / b AS v FROM t;
         CREATE STREAM TABLE r WITH (max_consecutive_errors = 2) AS SELECT id, 1 / v AS w FROM q;"
    ));
    for a in 1..=5 {
        running.feed("t", &[put(2, a, 0)]);
    }
    assert_eq!(
        (status(&running, "q").as_str(), status(&running, "r").as_str()),
        ("ERROR", "ERROR"),
        "never, and blocked"
    );
    running.feed("t", &[put(2, 0, 1)]);
    assert_eq!((status(&running, "q").as_str(), status(&running, "r").as_str()), ("ACTIVE", "ERROR"), "its first own");
    running.feed("t", &[put(3, 0, 1)]);
    assert_eq!((status(&running, "q").as_str(), status(&running, "r").as_str()), ("ACTIVE", "SUSPENDED"));
}

#[test]
fn what_a_source_passed_on_is_read_again() {
    for (between, limit) in ways() {
        let world = world(limit);
        let mut running = world.start();
        running.sql(
            "CREATE SOURCE s (a INT, b INT) WITH (connector = 'log', topic = 's', format = 'json', envelope = 'append');
             CREATE TABLE m (k INT PRIMARY KEY, v INT) WITH (connector = 'log', topic = 'm', format = 'json', envelope = 'upsert');
             CREATE STREAM TABLE q WITH (max_consecutive_errors = 2) AS SELECT s.a, sum(s.b / m.v) AS v FROM s JOIN m ON s.a = m.k
                 GROUP BY s.a",
        );
        let row = |text: &str| ("x".to_string(), Some(text.to_string()));
        let meaning = |k: i64, v: i64| (format!("{{\"k\":{k}}}"), Some(format!("{{\"k\":{k},\"v\":{v}}}")));
        running.feed("m", &[meaning(1, 1)]);
        running.feed("s", &[row(r#"{"a":1,"b":4}"#), row(r#"{"a":1,"b":2}"#)]);
        running.feed("m", &[meaning(1, 0)]);
        running = world.again(running, between);
        running.feed("s", &[row(r#"{"a":1,"b":6}"#)]);
        assert_eq!(status(&running, "q"), "SUSPENDED");
        append(&running.log, "s", 0, &[row(r#"{"a":1,"b":8}"#)]);
        running.feed("m", &[meaning(1, 2)]);
        running.settle("s");
        running = world.again(running, between);
        running.sql("ALTER STREAM TABLE q RESUME");
        running = world.again(running, between);
        assert_eq!(running.rows("q"), once([r#"{"a":1,"v":10}"#]));
        let last = records(&running).into_iter().rev().find_map(|record| record.catalog);
        let Some(CatalogChange::ResumeStreams { backfill, .. }) = last else { panic!("{last:?}") };
        assert_eq!(backfill.iter().map(|range| range.count).sum::<u64>(), 4);
    }
}

/// A version that plans the table otherwise does not need the state of one that is suspended.
#[test]
fn another_plan_is_made_anew_when_it_is_resumed() {
    let mut world = World::new();
    let running = suspended(&world, TABLES);
    running.feed("t", &[gone(2), put(3, 12, 3)]);
    running.stop().unwrap();
    world.update("a / b AS v FROM t", "a / (b + 0) AS v FROM t");
    let running = world.start();
    assert_eq!(running.rows("q"), once([r#"{"id":1,"v":5}"#]));
    running.sql("ALTER STREAM TABLE q RESUME");
    assert_eq!(running.rows("q"), once([r#"{"id":1,"v":5}"#, r#"{"id":3,"v":4}"#]));
}
