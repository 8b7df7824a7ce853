//! Fuzzed: statements as anybody may say them, to the engine and as a client's. Each is planned or refused with a SQLSTATE;
//! nothing panics.

#![allow(clippy::unwrap_used)]

use dataflow::{Planner, Queries};
use testkit::{Choices, spoil};

use crate::SqlPlanner;
use crate::testing::{apply, shop};

/// The stack of the threads that plan: see the binary.
const STACK_BYTES: usize = 256 << 20;

const STATEMENTS: &[&str] = &[
    "CREATE TABLE t (id BIGSERIAL PRIMARY KEY, a INT NOT NULL DEFAULT 7 CHECK (a > 0), b NUMERIC(10,2), c TEXT UNIQUE, UNIQUE (a, b))",
    "CREATE TABLE t (id INT GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2), b TIMESTAMPTZ)",
    "CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (connector = 'kafka', topic = 'x', envelope = 'debezium', partitions = 3)",
    "CREATE SOURCE s (a INT, \"dateTime\" TIMESTAMP) INCLUDE KEY AS k INCLUDE OFFSET AS o WITH (connector = 'log', topic = 'x', \"kafka.fetch.min.bytes\" = '1')",
    "CREATE STREAM TABLE IF NOT EXISTS v WITH (refresh_mode = 'immediate') AS SELECT c.region, count(*), sum(o.amount) FROM orders o LEFT JOIN customers c ON o.customer = c.id WHERE o.note LIKE 'a%' GROUP BY c.region HAVING count(*) > 1",
    "CREATE SINK s FROM own WITH (connector = 'postgres', url = 'postgres://u:p@h:1/d', table = 'a.b', key = 'id')",
    "ALTER TABLE own ADD COLUMN d TEXT DEFAULT 'x', DROP COLUMN v",
    "ALTER TABLE own RENAME COLUMN v TO w",
    "DROP TABLE IF EXISTS own CASCADE",
    "SHOW STREAM TABLES",
    "SHOW DEAD LETTERS FROM orders LIMIT 5",
    "REPLAY DEAD LETTERS FROM orders",
    "VERIFY STREAM TABLE v",
    "ALTER TABLE orders RESTART FROM 'earliest'",
    "INSERT INTO own (id, v) VALUES (1, 'a'), ($1, $2) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v || own.v WHERE own.id > 0 RETURNING *",
    "UPDATE own SET v = o.note FROM orders o WHERE o.id = own.id AND o.amount BETWEEN 1 AND 2.5e1 RETURNING own.id",
    "DELETE FROM own USING customers c WHERE own.id = c.id",
    "COPY own (id, v) FROM STDIN WITH (FORMAT csv, HEADER true, NULL '', DELIMITER ';')",
    "WITH x AS (SELECT id, amount FROM orders WHERE placed > '2024-01-01'::timestamp) SELECT x.id, row_number() OVER (ORDER BY amount DESC) FROM x WHERE EXISTS (SELECT 1 FROM own WHERE own.id = x.id) UNION ALL SELECT 1, 2 ORDER BY 1 LIMIT 3 OFFSET 1",
    "SELECT CASE WHEN a THEN 1 ELSE CAST('2' AS int) END, extract(year FROM now()), 'x' || $1 FROM (VALUES (true), (NULL)) AS t(a)",
    "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','m') AND pg_catalog.pg_table_is_visible(c.oid)",
    "EXPLAIN CREATE STREAM TABLE v AS SELECT DISTINCT note FROM orders",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "SAVEPOINT a",
    "SET statement_timeout TO '5s'",
    "PREPARE p (int, text) AS SELECT $1, $2",
    "EXECUTE p (1, 'a')",
];

const WORDS: &[&[u8]] = &[
    b"(",
    b")",
    b"'",
    b"\"",
    b"$1",
    b"$0",
    b"$99999999999",
    b"::numeric(1000,5)",
    b"NULL",
    b" -",
    b"/",
    b"9999999999999999999999",
    b"1e400",
    b"SELECT",
    b" FROM ",
    b" JOIN ",
    b"own",
    b"orders",
    b"id",
    b",",
    b";",
    b"/*",
    b"--",
    b"\0",
    b"E'\\",
    b"U&'",
    b"$$",
    b" NOT ",
    b" IN (",
    b" AS ",
    b"*",
    b".",
    b"WITH",
    b" OVER ()",
    b"((((((((((((((((",
    b"array[",
    b"interval '1'",
    b"\xc3\xbc",
    b"\xf0\x9f\x98\x80",
    b" IS DISTINCT FROM ",
    b"CAST(",
    b" UNION ",
];

#[test]
fn fuzz_statements() {
    let mut catalog = shop();
    apply(&mut catalog, "CREATE TABLE own (id INT PRIMARY KEY, v TEXT)");
    let planner = SqlPlanner::new();
    bolero::check!().with_iterations(1_500).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let sample = choices.of(STATEMENTS).as_bytes();
        let spoilt = spoil(sample, WORDS, &mut choices);
        // What is not UTF-8 comes no further than the port.
        let Ok(statement) = String::from_utf8(spoilt) else { return };
        std::thread::scope(|scope| {
            let work = || {
                if let Err(error) = planner.plan(&statement, &catalog) {
                    assert!(error.sqlstate.len() == 5 && !error.message.is_empty(), "{statement}: {error:?}");
                }
                if let Err(error) = planner.prepare(&statement, &catalog, &[]) {
                    assert!(error.sqlstate.len() == 5 && !error.message.is_empty(), "{statement}: {error:?}");
                    assert_ne!(error.sqlstate, "XX000", "{statement}: {error:?}");
                }
            };
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).unwrap();
            assert!(thread.join().is_ok(), "{statement}");
        });
    });
}
