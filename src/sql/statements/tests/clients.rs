//! What a client's statement is: a read, a write, the session's, the engine's.

use dataflow::{Block, Isolation, Modes, Prepared, Queries, ResultType, Session, Show, StatementError, Work};
use zset::ColumnType;

use crate::SqlPlanner;
use crate::testing::shop;

fn prepare(sql: &str) -> Result<Prepared, StatementError> {
    SqlPlanner::new().prepare(sql, &shop(), &[])
}

fn session(sql: &str) -> Session {
    match prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}")).work {
        Work::Session(session) => session,
        other => panic!("{sql}: {other:?}"),
    }
}

fn set(name: &str, value: Option<&str>) -> Session {
    Session::Set { name: name.into(), value: value.map(str::to_string), local: false }
}

#[test]
fn every_statement_goes_to_whom_it_is_for() {
    let work = |sql: &str| match prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}")).work {
        Work::Read(_) => "read",
        Work::Write(_) => "write",
        Work::CopyIn(_) => "copy in",
        Work::CopyOut(_) => "copy out",
        Work::Engine => "engine",
        Work::Session(_) => "session",
        Work::Jobs => "jobs",
        Work::Nothing => "nothing",
    };
    let cases = [
        ("SELECT 1", "read"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "read"),
        ("VALUES (1), (2)", "read"),
        ("TABLE orders", "read"),
        ("WITH w AS (SELECT 1 AS x) SELECT x FROM w", "read"),
        ("SELECT relname FROM pg_catalog.pg_class", "read"),
        ("EXPLAIN SELECT * FROM orders", "read"),
        ("CREATE TABLE t (a int)", "engine"),
        ("create stream table v as select 1 as x", "engine"),
        ("DROP TABLE orders", "engine"),
        ("ALTER TABLE orders ADD x int", "engine"),
        ("SHOW TABLES", "engine"),
        ("SHOW tables", "engine"),
        ("SHOW JOBS", "jobs"),
        ("SHOW DEAD LETTERS FROM orders", "engine"),
        ("replay dead letters from orders force", "engine"),
        ("BEGIN", "session"),
        ("", "nothing"),
        ("  -- a comment\n ;", "nothing"),
    ];
    for (sql, wanted) in cases {
        assert_eq!(work(sql), wanted, "{sql}");
    }
}

#[test]
fn statements_of_the_session() {
    let done = |tag| Session::Done { tag };
    let none = Modes::default();
    let writing = Modes { read_only: Some(false), ..none };
    let serializable = Modes { isolation: Some(Isolation::Serializable), read_only: Some(true), ..none };
    let committed = Modes { isolation: Some(Isolation::ReadCommitted), deferrable: Some(false), ..none };
    let cases = [
        ("BEGIN", Session::Block(Block::Begin(none))),
        ("begin transaction isolation level serializable, read only;", Session::Block(Block::Begin(serializable))),
        ("BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE", Session::Block(Block::Begin(committed))),
        ("START TRANSACTION READ WRITE", Session::Block(Block::Begin(writing))),
        ("COMMIT WORK", Session::Block(Block::Commit { chain: false })),
        ("END AND CHAIN", Session::Block(Block::Commit { chain: true })),
        ("ROLLBACK AND NO CHAIN", Session::Block(Block::Rollback { chain: false })),
        ("ABORT TRANSACTION", Session::Block(Block::Rollback { chain: false })),
        ("SAVEPOINT A", Session::Block(Block::Savepoint("a".into()))),
        ("ROLLBACK WORK TO SAVEPOINT \"A\"", Session::Block(Block::BackTo("A".into()))),
        ("ROLLBACK TO a", Session::Block(Block::BackTo("a".into()))),
        ("RELEASE SAVEPOINT a", Session::Block(Block::Release("a".into()))),
        ("RELEASE a", Session::Block(Block::Release("a".into()))),
        ("SET LOCAL a = 1", Session::Set { name: "a".into(), value: Some("1".into()), local: true }),
        ("SET extra_float_digits = 3", set("extra_float_digits", Some("3"))),
        ("SET Application_Name TO 'it''s'", set("application_name", Some("it's"))),
        ("SET SESSION my.own TO a, b", set("my.own", Some("a, b"))),
        ("SET TIME ZONE 'Europe/Berlin'", set("timezone", Some("Europe/Berlin"))),
        ("SET search_path TO DEFAULT", set("search_path", None)),
        ("SET NAMES 'UTF8'", set("client_encoding", Some("UTF8"))),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", Session::Characteristics(writing)),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY", Session::Block(Block::Set(serializable))),
        ("SET CONSTRAINTS ALL DEFERRED", done("SET")),
        ("RESET statement_timeout", set("statement_timeout", None)),
        ("RESET ALL", set("all", None)),
        ("DISCARD ALL", Session::Discard),
        ("DISCARD PLANS", done("DISCARD PLANS")),
        ("CLOSE ALL", done("CLOSE CURSOR ALL")),
        ("UNLISTEN *", done("UNLISTEN")),
        ("SHOW server_version", Session::Show { name: "server_version".into() }),
        ("SHOW TRANSACTION ISOLATION LEVEL", Session::Show { name: "transaction_isolation".into() }),
        ("SHOW TIME ZONE", Session::Show { name: "timezone".into() }),
        ("SHOW ALL", Session::Show { name: "all".into() }),
        ("DEALLOCATE ALL", Session::Deallocate { name: None }),
        ("DEALLOCATE PREPARE \"P\"", Session::Deallocate { name: Some("P".into()) }),
        (
            "PREPARE p (int, text) AS SELECT $1, $2 -- two",
            Session::Prepare {
                name: "p".into(),
                types: vec![ColumnType::Int, ColumnType::Text],
                statement: "SELECT $1, $2 -- two".into(),
            },
        ),
        (
            "PREPARE q AS INSERT INTO t VALUES (1)",
            Session::Prepare { name: "q".into(), types: vec![], statement: "INSERT INTO t VALUES (1)".into() },
        ),
        (
            "EXECUTE p (1 + 1, 'a', NULL, true, -1.50, date '2024-01-15')",
            Session::Execute {
                name: "p".into(),
                values: [Some("2"), Some("a"), None, Some("t"), Some("-1.50"), Some("2024-01-15")]
                    .map(|value| value.map(str::to_string))
                    .into(),
            },
        ),
        ("EXECUTE q", Session::Execute { name: "q".into(), values: vec![] }),
    ];
    for (sql, wanted) in cases {
        assert_eq!(session(sql), wanted, "{sql}");
    }
}

#[test]
fn what_show_answers() {
    let columns = |sql: &str| -> Vec<(String, ResultType)> {
        prepare(sql).unwrap().columns.into_iter().map(|column| (column.name, column.ty)).collect()
    };
    let text = ResultType::Column(ColumnType::Text);
    assert_eq!(columns("SHOW timezone"), [("TimeZone".to_string(), text)]);
    assert_eq!(columns("SHOW my.own"), [("my.own".to_string(), text)]);
    assert_eq!(columns("SHOW ALL").len(), 3);
    let wanted: Vec<_> =
        Show::StreamTables.columns().iter().map(|(name, ty)| (name.to_string(), ResultType::Column(*ty))).collect();
    assert_eq!(columns("SHOW STREAM TABLES"), wanted);
}

#[test]
fn refusals_of_clients() {
    let cases = [
        ("BEGIN IMMEDIATE", "42601", "IMMEDIATE"),
        ("BEGIN READ ONLY,", "42601", "mode"),
        ("BEGIN ISOLATION LEVEL LOW", "42601", "LOW"),
        ("SET TRANSACTION", "42601", "ISOLATION"),
        ("SAVEPOINT", "42601", ""),
        ("COMMIT PREPARED 'x'", "0A000", "two phases"),
        ("PREPARE TRANSACTION 'x'", "0A000", "two phases"),
        ("SET ROLE bob", "0A000", "ROLE"),
        ("COPY orders FROM stdin", "42809", "topic"),
        ("MERGE INTO orders USING x ON true WHEN MATCHED THEN DELETE", "0A000", "MERGE"),
        ("DECLARE c CURSOR FOR SELECT 1", "0A000", "cursors"),
        ("CLOSE c", "34000", "\"c\""),
        ("LISTEN a", "0A000", "LISTEN"),
        ("VACUUM", "0A000", "VACUUM"),
        ("GRANT ALL ON orders TO bob", "0A000", "GRANT"),
        ("PREPARE p AS", "42601", "statement"),
        ("PREPARE p (money) AS SELECT 1", "42704", "money"),
        ("EXECUTE p (a)", "42703", "\"a\""),
        ("EXECUTE p (count(*))", "42803", "EXECUTE"),
        ("SHOW CREATE TABLE orders", "0A000", "SHOW CREATE"),
        ("SHOW TABLES LIKE 'x'", "42601", "LIKE"),
        ("SELEC 1", "42601", "SELEC"),
        ("SELECT 1 garbage garbage", "42601", "garbage"),
        ("SELECT", "42601", ""),
        (")", "42601", ")"),
    ];
    let mut wrong = Vec::new();
    for (sql, sqlstate, part) in cases {
        match prepare(sql) {
            Ok(prepared) => wrong.push(format!("{sql}: accepted {prepared:?}")),
            Err(e) if e.sqlstate == sqlstate && e.to_string().contains(part) => {}
            Err(e) => wrong.push(format!("{sql}: wanted {sqlstate} with \"{part}\", got {e}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(prepare("\n  MERGE x").unwrap_err().position, Some((2, 3)));
}

#[test]
fn values_as_text() {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal256Array};
    let text = |ty, array: ArrayRef| -> Vec<Option<String>> {
        let texts = SqlPlanner::new().text(ty, &array).unwrap();
        texts.as_string::<i32>().iter().map(|text| text.map(str::to_string)).collect()
    };
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
    assert_eq!(text(ColumnType::Boolean, flags), [Some("t".into()), Some("f".into()), None]);
    let quotient = Decimal256Array::from(vec![
        arrow::datatypes::i256::from_i128(25).wrapping_mul(arrow::datatypes::i256::from_i128(10i128.pow(37))),
    ]);
    let quotient: ArrayRef = Arc::new(quotient.with_precision_and_scale(76, 38).unwrap());
    assert_eq!(quotient.len(), 1);
    assert_eq!(text(ColumnType::Numeric { precision: 76, scale: 38 }, quotient), [Some("2.5".into())]);
}
