//! Statement by statement: what is written, what is answered, what is refused.

use std::collections::HashSet;

use dataflow::Work;
use zset::ColumnType;

use super::world::{World, limits, texts};

fn shop() -> World {
    World::of(&[
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL DEFAULT 5 CHECK (a > 0), b varchar(3), n numeric(5,2), \
         s smallint, at timestamptz DEFAULT now(), u uuid DEFAULT gen_random_uuid(), j jsonb)",
        "CREATE TABLE bag (x int, y text DEFAULT 'y')",
        "CREATE TABLE fed (id int PRIMARY KEY, v text) WITH (connector = 'log', topic = 't', envelope = 'upsert')",
        "CREATE SOURCE passing (id int) WITH (connector = 'log', topic = 't')",
        "CREATE STREAM TABLE v AS SELECT x FROM bag",
        "CREATE SINK k FROM bag WITH (connector = 'blackhole')",
    ])
}

fn shown(rows: &[Vec<Option<String>>]) -> String {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
    let row = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(", ");
    rows.iter().map(row).collect::<Vec<_>>().join(" | ")
}

/// Runs a statement without parameters; answers its tag and rows.
fn run(world: &mut World, sql: &str) -> String {
    let answer = world.run(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"));
    if answer.rows.is_empty() { answer.tag } else { format!("{}: {}", answer.tag, shown(&answer.rows)) }
}

fn refused(world: &mut World, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, sqlstate, part) in cases {
        match world.run(sql, &[]) {
            Ok(answer) => wrong.push(format!("{sql}\n   accepted: {answer:?}")),
            Err(e) => {
                let text = format!("{e} {}", e.detail.clone().unwrap_or_default());
                let hinted = e.hint.is_some() || e.sqlstate != "0A000";
                if e.sqlstate != *sqlstate || !text.contains(part) || !hinted {
                    wrong.push(format!("{sql}\n   wanted {sqlstate} with \"{part}\", got {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn insert_values() {
    let mut world = shop();
    assert_eq!(run(&mut world, "INSERT INTO bag VALUES (1, 'a'), (2, DEFAULT), (1 + 2, NULL)"), "INSERT 0 3");
    assert_eq!(run(&mut world, "INSERT INTO bag DEFAULT VALUES"), "INSERT 0 1");
    assert_eq!(run(&mut world, "INSERT INTO bag (y) VALUES ('b')"), "INSERT 0 1");
    assert_eq!(run(&mut world, "INSERT INTO bag VALUES (9)"), "INSERT 0 1");
    assert_eq!(shown(&world.rows("bag")), "NULL, b | NULL, y | 1, a | 2, y | 3, NULL | 9, y");
    assert_eq!(
        run(
            &mut world,
            "INSERT INTO t (id, b, n, s) VALUES (1, 'ab   ', 1.005, '7') RETURNING id, a, b, n, s, u IS NULL"
        ),
        "INSERT 0 1: 1, 5, ab , 1.01, 7, f"
    );
    assert_eq!(
        run(
            &mut world,
            "INSERT INTO t (id, n, j) VALUES (2, 2.5::double precision, '{\"b\":1, \"a\" : [1.50]}') RETURNING n, j"
        ),
        "INSERT 0 1: 2.50, {\"a\": [1.50], \"b\": 1}"
    );
    // an uuid for each row
    let answer = world.run("INSERT INTO t (id) VALUES (3), (4) RETURNING u", &[]).unwrap();
    assert_ne!(answer.rows[0], answer.rows[1]);
    // one moment for all rows
    let answer =
        world.run("INSERT INTO t (id, at) VALUES (5, now()), (6, DEFAULT), (7, current_timestamp) RETURNING at", &[]);
    let rows = answer.unwrap().rows;
    assert!(rows[0] == rows[1] && rows[1] == rows[2], "{rows:?}");
    assert!(rows[0][0].as_ref().unwrap() > &"2024-01-01".to_string(), "{rows:?}");
}

#[test]
fn insert_queries() {
    let mut world = shop();
    run(&mut world, "INSERT INTO bag VALUES (1, 'a'), (2, 'b'), (2, 'b')");
    assert_eq!(run(&mut world, "INSERT INTO bag SELECT x + 10, y FROM bag WHERE x = 2"), "INSERT 0 2");
    assert_eq!(shown(&world.rows("bag")), "1, a | 12, b | 12, b | 2, b | 2, b");
    // literals take the columns' types; numbers are assigned
    assert_eq!(
        run(&mut world, "INSERT INTO t (id, a, n, b) SELECT '7', 2.5, x, 'q' FROM bag WHERE x = 1"),
        "INSERT 0 1"
    );
    assert_eq!(run(&mut world, "SELECT id, a, n, b FROM t"), "SELECT 1: 7, 3, 1.00, q");
    assert_eq!(
        run(&mut world, "INSERT INTO bag VALUES ((SELECT max(x) FROM bag), DEFAULT), (0, 'z') RETURNING *"),
        "INSERT 0 2: 12, y | 0, z"
    );
    assert_eq!(run(&mut world, "INSERT INTO bag (x) SELECT x FROM bag WHERE false"), "INSERT 0 0");
    assert_eq!(
        run(&mut world, "INSERT INTO bag (x) WITH w AS (SELECT 77 AS q) SELECT q FROM w RETURNING x"),
        "INSERT 0 1: 77"
    );
}

#[test]
fn update() {
    let mut world = shop();
    run(&mut world, "INSERT INTO t (id, a, b, n) VALUES (1, 1, 'x', 1), (2, 2, 'y', 2), (3, 3, NULL, 3)");
    assert_eq!(run(&mut world, "UPDATE t SET a = a * 10, b = 'z' WHERE id < 3"), "UPDATE 2");
    assert_eq!(
        run(&mut world, "UPDATE t SET a = DEFAULT, n = NULL WHERE id = 3 RETURNING id, a, n"),
        "UPDATE 1: 3, 5, NULL"
    );
    assert_eq!(
        run(&mut world, "UPDATE t AS q SET (a, b) = (q.id, 'w') WHERE q.id = 2 RETURNING q.a, b"),
        "UPDATE 1: 2, w"
    );
    assert_eq!(
        run(&mut world, "UPDATE t SET (a, b) = ROW(8, b || 'v') WHERE id = 2 RETURNING t.a, b"),
        "UPDATE 1: 8, wv"
    );
    // the key too; a row that stays the same counts
    assert_eq!(run(&mut world, "UPDATE t SET id = id + 1"), "UPDATE 3");
    assert_eq!(run(&mut world, "UPDATE t SET a = a"), "UPDATE 3");
    assert_eq!(
        run(&mut world, "UPDATE t SET n = (SELECT count(*) FROM bag) WHERE id IN (SELECT id FROM t WHERE a = 8)"),
        "UPDATE 1"
    );
    let rows = run(&mut world, "SELECT id, a, b, n FROM t ORDER BY id");
    assert_eq!(rows, "SELECT 3: 2, 10, z, 1.00 | 3, 8, wv, 0.00 | 4, 5, NULL, NULL");
    run(&mut world, "INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (2, 'b')");
    assert_eq!(run(&mut world, "UPDATE bag SET x = 5 WHERE y = 'a'"), "UPDATE 2");
    assert_eq!(shown(&world.rows("bag")), "2, b | 5, a | 5, a");
}

#[test]
fn delete_and_truncate() {
    let mut world = shop();
    run(&mut world, "INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (2, 'b'), (3, 'c')");
    assert_eq!(run(&mut world, "DELETE FROM bag WHERE x = 1 RETURNING *, x + 1 AS n"), "DELETE 2: 1, a, 2 | 1, a, 2");
    assert_eq!(run(&mut world, "DELETE FROM bag q WHERE q.x = 7"), "DELETE 0");
    assert_eq!(run(&mut world, "DELETE FROM bag WHERE EXISTS (SELECT 1 FROM bag b WHERE b.x = bag.x - 1)"), "DELETE 1");
    assert_eq!(shown(&world.rows("bag")), "2, b");
    run(&mut world, "INSERT INTO bag VALUES (1, 'a'), (1, 'a')");
    assert_eq!(run(&mut world, "TRUNCATE bag"), "TRUNCATE TABLE");
    assert_eq!(world.rows("bag").len(), 0);
    run(&mut world, "INSERT INTO t (id) VALUES (1), (2)");
    assert_eq!(run(&mut world, "DELETE FROM t"), "DELETE 2");
    assert_eq!(run(&mut world, "TRUNCATE TABLE t CONTINUE IDENTITY"), "TRUNCATE TABLE");
}

#[test]
fn parameters_have_the_types_of_their_columns() {
    let mut world = shop();
    let prepared = world.prepare("INSERT INTO t (id, b, n, j) VALUES ($1, $2, $3, $4) RETURNING a + $5").unwrap();
    use ColumnType::{Int, Jsonb, Numeric, Text};
    assert_eq!(prepared.parameters, [Int, Text, Numeric { precision: 5, scale: 2 }, Jsonb, Int]);
    let values = [Some("1"), Some("abc"), Some("1.005"), Some("[1,2]"), Some("40")];
    let answer = world.run("INSERT INTO t (id, b, n, j) VALUES ($1, $2, $3, $4) RETURNING a + $5, n, b, j", &values);
    assert_eq!(shown(&answer.unwrap().rows), "45, 1.01, abc, [1, 2]");
    let too_long = world.run("INSERT INTO t (id, b) VALUES ($1, $2)", &[Some("2"), Some("abcd")]).unwrap_err();
    assert_eq!(too_long.sqlstate, "22001");
    let answer = world.run("UPDATE t SET a = $2, b = $3 WHERE id = $1 RETURNING a, b", &[Some("1"), Some("9"), None]);
    assert_eq!(shown(&answer.unwrap().rows), "9, NULL");
    let answer = world.run("INSERT INTO bag SELECT $1, $2 WHERE $3 RETURNING *", &[Some("4"), Some("t"), Some("t")]);
    assert_eq!(shown(&answer.unwrap().rows), "4, t");
    let answer = world.run("DELETE FROM bag WHERE x = $1", &[Some("4")]).unwrap();
    assert_eq!(answer.tag, "DELETE 1");
    let wrong = world.run("DELETE FROM bag WHERE x = $1", &[]).unwrap_err();
    assert_eq!(wrong.sqlstate, "08P01");
}

#[test]
fn constraints() {
    let mut world = shop();
    run(&mut world, "INSERT INTO t (id, a, b) VALUES (1, 1, 'x')");
    refused(
        &mut world,
        &[
            (
                "INSERT INTO t (id, a, b, at, u, n, s) VALUES (2, NULL, 'x', '2024-01-01', \
                 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1.5, 3)",
                "23502",
                "null value in column \"a\" of relation \"t\" violates not-null constraint (SQLSTATE 23502) Failing row \
                 contains (2, null, x, 1.50, 3, 2024-01-01 00:00:00+00, a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11, null).",
            ),
            ("INSERT INTO t (a) VALUES (1)", "23502", "\"id\""),
            (
                "INSERT INTO t (id, a) VALUES (2, 1), (3, -1), (4, NULL)",
                "23514",
                "new row for relation \"t\" violates check constraint \"t_a_check\"",
            ),
            ("UPDATE t SET a = 0", "23514", "t_a_check"),
            ("UPDATE t SET a = NULL", "23502", "\"a\""),
            ("INSERT INTO t (id) VALUES (1)", "23505", "t_pkey"),
            ("INSERT INTO t (id) VALUES (5), (5)", "23505", "t_pkey"),
            ("INSERT INTO t (id, b) VALUES (2, 'abcd')", "22001", "character varying(3)"),
            ("INSERT INTO t (id, s) VALUES (2, 99999)", "22003", "smallint"),
            ("INSERT INTO t (id, n) VALUES (2, 1000)", "22003", "numeric"),
            ("INSERT INTO t (id, a) VALUES (2, 1 / 0)", "22012", "zero"),
            ("INSERT INTO t (id, j) VALUES (2, '{')", "22P02", "json"),
            ("INSERT INTO t (id, u) VALUES (2, 'x')", "22P02", "uuid"),
            ("INSERT INTO t (id, a) SELECT 2, x / 0 FROM (VALUES (1)) q(x)", "22012", "zero"),
        ],
    );
    // nothing of a refused statement is there
    assert_eq!(world.rows("t").len(), 1);
}

#[test]
fn refusals() {
    let mut world = shop();
    refused(
        &mut world,
        &[
            ("INSERT INTO nothing VALUES (1)", "42P01", "nothing"),
            ("INSERT INTO fed VALUES (1, 'x')", "42809", "topic 't'"),
            ("INSERT INTO passing VALUES (1)", "42809", "source"),
            ("INSERT INTO v VALUES (1)", "42809", "stream table"),
            ("INSERT INTO k VALUES (1)", "42809", "sink"),
            ("UPDATE fed SET v = 'x'", "42809", "cannot update table"),
            ("DELETE FROM v", "42809", "cannot delete from stream table"),
            ("TRUNCATE fed", "42809", "cannot truncate"),
            ("INSERT INTO bag (nothing) VALUES (1)", "42703", "\"nothing\" of relation \"bag\""),
            ("INSERT INTO bag (x, x) VALUES (1, 2)", "42701", "\"x\""),
            ("INSERT INTO bag VALUES (1, 'a', 2)", "42601", "more expressions"),
            ("INSERT INTO bag (x, y) VALUES (1)", "42601", "more target columns"),
            ("INSERT INTO bag (x, y) SELECT 1", "42601", "more target columns"),
            ("INSERT INTO bag SELECT 1, 'a', 2", "42601", "more expressions"),
            ("INSERT INTO bag VALUES (1, 'a'), (2)", "42601", "same length"),
            ("INSERT INTO bag VALUES (x)", "42703", "\"x\""),
            ("INSERT INTO bag VALUES (count(*))", "42803", "aggregate"),
            (
                "INSERT INTO bag VALUES ('a'::text)",
                "42804",
                "column \"x\" is of type integer but expression is of type text",
            ),
            ("INSERT INTO bag SELECT y FROM bag", "42804", "integer"),
            ("INSERT INTO bag VALUES (true)", "42804", "boolean"),
            ("INSERT INTO bag VALUES ('a')", "22P02", "integer"),
            ("INSERT INTO bag VALUES (1) ON CONFLICT (x) DO NOTHING", "42P10", "no unique"),
            ("INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = (SELECT 1)", "0A000", "subquery"),
            (
                "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1 WHERE EXISTS (SELECT 1)",
                "0A000",
                "subquery",
            ),
            ("INSERT INTO bag VALUES (1) RETURNING nothing", "42703", "nothing"),
            ("INSERT INTO bag VALUES (1) RETURNING q.*", "42P01", "\"q\""),
            ("INSERT INTO bag VALUES (1) RETURNING (SELECT 1)", "0A000", "RETURNING"),
            ("INSERT INTO bag VALUES (1) RETURNING count(*)", "42803", "RETURNING"),
            ("WITH w AS (DELETE FROM t RETURNING id) INSERT INTO bag SELECT id FROM w", "0A000", "in a query"),
            ("WITH RECURSIVE w AS (SELECT 1) DELETE FROM bag", "0A000", "RECURSIVE"),
            ("UPDATE t SET u = gen_random_uuid()", "0A000", "DEFAULT"),
            ("UPDATE bag SET x = 1 FROM passing", "0A000", "not stored"),
            ("UPDATE bag SET nothing = 1", "42703", "nothing"),
            ("UPDATE bag SET x = 1, x = 2", "42601", "multiple assignments"),
            ("UPDATE bag SET (x, y) = (1)", "42601", "multiple-column"),
            ("UPDATE bag SET (x, y) = (1, 'a', 2)", "42601", "number of columns"),
            ("UPDATE bag SET (x, y) = (SELECT DISTINCT 1, 'a')", "0A000", "subquery for each"),
            ("UPDATE bag SET (x, y) = (SELECT max(x), 'a' FROM bag)", "0A000", "subquery for each"),
            ("UPDATE bag SET bag.x = 1", "42703", "bag"),
            ("UPDATE bag SET x = 'a'::text", "42804", "integer"),
            ("UPDATE bag SET x = count(*)", "42803", ""),
            ("UPDATE bag SET x = row_number() OVER ()", "42P20", "window"),
            ("UPDATE bag q SET x = bag.x", "42P01", "\"bag\""),
            ("DELETE FROM bag USING passing WHERE true", "0A000", "not stored"),
            ("DELETE FROM bag WHERE nothing", "42703", "nothing"),
            ("DELETE FROM bag WHERE x", "42804", "boolean"),
            ("TRUNCATE bag, t", "0A000", "several"),
            ("TRUNCATE bag CASCADE", "0A000", "CASCADE"),
            ("INSERT INTO bag VALUES (1) garbage", "42601", "garbage"),
        ],
    );
    assert_eq!(world.rows("bag").len(), 0);
}

#[test]
fn what_a_write_says_of_itself() {
    let world = shop();
    let reads = |sql: &str| match world.prepare(sql).unwrap().work {
        Work::Write(write) => (write.reads_its_table(), write.table()),
        other => panic!("{other:?}"),
    };
    let bag = world.catalog.table_named("bag").unwrap().id;
    assert_eq!(reads("INSERT INTO bag VALUES (1)"), (false, bag));
    assert_eq!(reads("INSERT INTO bag SELECT id FROM t"), (false, bag));
    assert_eq!(reads("INSERT INTO bag SELECT x FROM bag"), (true, bag));
    assert_eq!(reads("UPDATE bag SET x = 1"), (true, bag));
    assert_eq!(reads("DELETE FROM bag"), (true, bag));
    assert_eq!(reads("TRUNCATE bag"), (true, bag));
}

/// What asks the clock or for randomness is asked again each time the statement runs.
#[test]
fn a_prepared_write_asks_the_clock_each_time() {
    let world = shop();
    let sql =
        "INSERT INTO t (id, u, at) VALUES (1, gen_random_uuid(), now()), (2, gen_random_uuid(), now()) RETURNING u, at";
    let Work::Write(write) = world.prepare(sql).unwrap().work else { panic!("not a write") };
    let types = [ColumnType::Uuid, ColumnType::TimestampTz(6)];
    let run = || texts(&write.evaluate(&[], &world.view(), &limits()).unwrap().returning, &types);
    let (first, second) = (run(), run());
    let uuids: HashSet<_> = first.iter().chain(&second).map(|row| row[0].clone()).collect();
    assert_eq!(uuids.len(), 4, "{first:?} {second:?}");
    assert!(first[0][1] == first[1][1] && first[0][1] < second[0][1], "{first:?} {second:?}");
}

/// A write is bounded as a query is, and ends when it is told to.
#[test]
fn limits_hold() {
    let mut world = shop();
    let values =
        |n: usize| (0..n).map(|x| format!("({x}, 'some text that takes room')")).collect::<Vec<_>>().join(", ");
    run(&mut world, &format!("INSERT INTO bag VALUES {}", values(2000)));
    for sql in ["INSERT INTO bag SELECT * FROM bag", "UPDATE bag SET x = 1", "DELETE FROM bag", "TRUNCATE bag"] {
        let Work::Write(write) = world.prepare(sql).unwrap().work else { panic!("{sql}") };
        let mut bound = limits();
        bound.memory_bytes = 10_000;
        assert_eq!(write.evaluate(&[], &world.view(), &bound).unwrap_err().sqlstate, "53200", "{sql}");
        let bound = limits();
        bound.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(write.evaluate(&[], &world.view(), &bound).unwrap_err().sqlstate, "57014", "{sql}");
        let mut bound = limits();
        bound.deadline = Some(std::time::Instant::now());
        assert_eq!(write.evaluate(&[], &world.view(), &bound).unwrap_err().sqlstate, "57014", "{sql}");
    }
}
