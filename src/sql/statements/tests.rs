#![allow(clippy::unwrap_used)]

mod alter;
mod clients;
mod mend;
mod own;
mod sinks;
mod sources;

use dataflow::{Action, Show};
use plan::{Envelope, StartAt, TableKind};
use zset::ColumnType;

use crate::testing::{apply, catalog, plan, refused, shop};

const LOG: &str = "WITH (connector = 'log', topic = 't')";

#[test]
fn create_table_reads_columns_types_keys_and_options() {
    let sql = "CREATE TABLE IF NOT EXISTS public.\"T x\" (a int8 NOT NULL, \"B\" numeric, c decimal(12, 3), d numeric(5), \
               e varchar, f character varying(7), g timestamp(3) with time zone, h timestamptz, i float4, j float, \
               k bytea, l bool, m uuid, n jsonb, o time, p timestamp, q int2, r double precision, PRIMARY KEY (q, a)) \
               WITH (connector = 'kafka', topic = 'src.t', envelope = 'debezium', start = '2024-01-15T10:00:00Z', \
               partitions = 4, decimal_handling_mode = 'string', brokers = 'b:9092')";
    let planned = plan(&shop(), sql).unwrap();
    assert_eq!(planned.notices.len(), 1, "{:?}", planned.notices);
    assert!(planned.notices[0].contains("\"B\"") && planned.notices[0].contains("NUMERIC(38,10)"));
    let Action::CreateTable(def) = planned.action else { panic!("not a table") };
    assert_eq!((def.id.0, def.name.as_str()), (4, "T x"));
    let types: Vec<String> = def.columns.0.iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
    assert_eq!(
        types.join(", "),
        "a bigint, B numeric(38,10), c numeric(12,3), d numeric(5,0), e text, f varchar(7), g timestamptz(3), \
         h timestamptz(6), i real, j double precision, k bytea, l boolean, m uuid, n jsonb, o time, p timestamp(6), \
         q smallint, r double precision"
    );
    assert_eq!(def.key, [16, 0]);
    assert!(!def.columns.0[16].nullable && !def.columns.0[0].nullable && def.columns.0[1].nullable);
    assert!(!def.sql.contains("IF NOT EXISTS"), "{}", def.sql);
    let TableKind::Source(source) = def.kind else { panic!("not a source") };
    assert_eq!((source.topic.as_str(), source.dlq_topic.as_str()), ("src.t", "T x.dlq"));
    assert_eq!(
        (source.envelope, source.start, source.partitions),
        (Envelope::Debezium, StartAt::Time(1_705_312_800_000), 4)
    );
    assert_eq!(source.options.get("decimal_handling_mode"), Some("string"));
}

#[test]
fn create_table_refusals() {
    let with = |columns: &str| format!("CREATE TABLE t ({columns}) {LOG}");
    let cases: Vec<(String, &str, &str)> = vec![
        (with("a int DEFAULT 1"), "0A000", "DEFAULT in a table with a connector"),
        (with("a int CHECK (a > 0)"), "0A000", "CHECK"),
        (with("a int UNIQUE"), "0A000", "UNIQUE"),
        (with("a int, UNIQUE (a)"), "0A000", "UNIQUE"),
        (with("a int, CHECK (a > 0)"), "0A000", "CHECK in a table with a connector"),
        (with("a int REFERENCES x (b)"), "0A000", "REFERENCES"),
        (with("a int, FOREIGN KEY (a) REFERENCES x (b)"), "0A000", "FOREIGN KEY"),
        (with("a int GENERATED ALWAYS AS IDENTITY"), "0A000", "IDENTITY"),
        (with("a text COLLATE \"C\""), "0A000", "COLLATE"),
        (with("a char(5)"), "0A000", "varchar(n)"),
        (with("a character(5)"), "0A000", "varchar(n)"),
        (with("a json"), "0A000", "jsonb"),
        (with("a interval"), "0A000", "interval"),
        (with("a int[]"), "0A000", "INT[]"),
        (with("a serial"), "0A000", "SERIAL"),
        (with("a timetz"), "0A000", "time zone"),
        (with("a time with time zone"), "0A000", "time zone"),
        (with("a money"), "42704", "money"),
        (with("a numeric(40,2)"), "0A000", "38"),
        (with("a numeric(0)"), "22023", "precision"),
        (with("a numeric(5,6)"), "0A000", "scale"),
        (with("a timestamp(7)"), "22023", "precision"),
        (with("a varchar(0)"), "22023", "length"),
        (with("a int, A text"), "42701", "\"a\""),
        (with("a int PRIMARY KEY, b int PRIMARY KEY"), "42P16", "multiple primary keys"),
        (with("a int PRIMARY KEY, PRIMARY KEY (a)"), "42P16", "multiple primary keys"),
        (with("a int, PRIMARY KEY (b)"), "42703", "\"b\""),
        (with("a int, PRIMARY KEY (a, a)"), "42701", "twice"),
        (with("a jsonb PRIMARY KEY"), "42P16", "jsonb"),
        (with(""), "42601", "at least one column"),
        ("CREATE TABLE t (a int) WITH (topic = 'x', format = 'json')".into(), "42601", "connector"),
        ("CREATE TABLE t (a int) WITH (connector = 'file')".into(), "42601", "path"),
        ("CREATE TABLE t (a int) WITH (connector = 'file', path = '')".into(), "22023", "path"),
        ("CREATE TABLE t (a int) WITH (connector = 'file', path = 'x', topic = 'y')".into(), "42601", "topic"),
        ("CREATE TABLE t (a int) WITH (connector = 'file', path = 'x', follow = 'maybe')".into(), "22023", "follow"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', path = 'y')".into(), "42601", "path"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', kafka.a.b = 'y')".into(), "42601", "kafka.a.b"),
        ("CREATE TABLE t (a int) WITH (connector = 'postgres')".into(), "0A000", "'postgres'"),
        ("CREATE TABLE t (a int) WITH (connector = 'carrier pigeon')".into(), "22023", "kafka, log"),
        ("CREATE TABLE t (a int) WITH (connector = 'log')".into(), "42601", "topic"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'a b')".into(), "22023", "topic"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', topic = 'y')".into(), "42601", "twice"),
        (
            "CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', colour = 'red')".into(),
            "42601",
            "replica_identity",
        ),
        (
            "CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', envelope = 'delta')".into(),
            "22023",
            "debezium",
        ),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', format = 'avro')".into(), "0A000", "avro"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', start = 'noon')".into(), "22023", "earliest"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', partitions = 0)".into(), "22023", "partitions"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', brokers = 'b')".into(), "42601", "brokers"),
        (
            "CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', envelope = 'upsert')".into(),
            "42P16",
            "PRIMARY KEY",
        ),
        (
            "CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', envelope = 'debezium')".into(),
            "42P16",
            "REPLICA IDENTITY FULL",
        ),
        (
            "CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', replica_identity = 'full')".into(),
            "42601",
            "debezium",
        ),
        ("CREATE TABLE t (a int) INHERITS (b) WITH (connector = 'log', topic = 'x')".into(), "0A000", "INHERITS"),
        ("CREATE TABLE t AS SELECT 1".into(), "0A000", "CREATE STREAM TABLE"),
        ("CREATE TABLE s.t (a int)".into(), "3F000", "\"s\""),
        ("CREATE TABLE d.s.t (a int)".into(), "0A000", "d.s.t"),
        ("CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x') garbage".into(), "42601", "garbage"),
    ];
    let cases: Vec<(&str, &str, &str)> = cases.iter().map(|(a, b, c)| (a.as_str(), *b, *c)).collect();
    refused(&shop(), &cases);
}

#[test]
fn a_keyless_debezium_table_with_full_identity_is_let_through() {
    let sql = "CREATE TABLE t (a int) WITH (connector = 'log', topic = 'x', envelope = 'debezium', replica_identity = 'full')";
    assert!(matches!(plan(&shop(), sql).unwrap().action, Action::CreateTable(def) if def.key.is_empty()));
}

#[test]
fn other_statements_are_refused_by_name() {
    refused(
        &shop(),
        &[
            ("SELECT 1", "0A000", "SELECT"),
            ("WITH a AS (SELECT 1) SELECT * FROM a", "0A000", "WITH"),
            ("INSERT INTO orders VALUES (1)", "0A000", "INSERT"),
            ("UPDATE orders SET id = 1", "0A000", "UPDATE"),
            ("DELETE FROM orders", "0A000", "DELETE"),
            ("TRUNCATE orders", "0A000", "TRUNCATE"),
            ("COPY orders FROM stdin", "0A000", "COPY"),
            ("ALTER SOURCE orders ADD COLUMN x int", "0A000", "ALTER SOURCE"),
            ("BEGIN", "0A000", "BEGIN"),
            ("EXPLAIN SELECT 1", "0A000", "EXPLAIN"),
            ("GRANT ALL ON orders TO bob", "0A000", "GRANT"),
            ("CREATE VIEW v AS SELECT 1", "0A000", "CREATE VIEW"),
            ("CREATE OR REPLACE STREAM TABLE v AS SELECT 1", "0A000", "OR REPLACE"),
            ("CREATE TEMP TABLE t (a int)", "0A000", "CREATE TEMP"),
            ("CREATE INDEX i ON orders (id)", "0A000", "CREATE INDEX"),
            ("CREATE FUNCTION f() RETURNS int", "0A000", "CREATE FUNCTION"),
            ("DROP VIEW v", "0A000", "DROP VIEW"),
            ("DROP SOURCE orders", "42809", "DROP TABLE"),
            ("SHOW server_version", "0A000", "server_version"),
            ("SHOW CREATE TABLE orders", "0A000", "CREATE"),
            ("", "42601", "empty"),
            ("-- nothing", "42601", "empty"),
            ("CREATE STREAM TABLE", "42601", "syntax error"),
            ("CREATE STREAM TABLE v AS SELEC 1", "42601", "syntax error"),
            ("CREATE STREAM TABLE v AS SELECT 1 FROM", "42601", "syntax error"),
            ("CREATE STREAM TABLE v AS SELECT 'open", "42601", "syntax error"),
            ("SELECT 1; SELECT 2", "0A000", "SELECT"),
        ],
    );
    let e = plan(&shop(), "\n  INSERT INTO t VALUES (1)").unwrap_err();
    assert_eq!(e.position, Some((2, 3)));
}

#[test]
fn stream_options_are_refused_with_their_reason() {
    refused(
        &shop(),
        &[
            ("CREATE STREAM TABLE v WITH (schedule = '5m') AS SELECT 1 AS x", "0A000", "schedule"),
            ("CREATE STREAM TABLE v WITH (refresh_mode = 'full') AS SELECT 1 AS x", "0A000", "full"),
            ("CREATE STREAM TABLE v WITH (diamond_consistency = 'atomic') AS SELECT 1 AS x", "0A000", "diamond"),
            ("CREATE STREAM TABLE v WITH (refresh_mode = 'sometimes') AS SELECT 1 AS x", "42601", "sometimes"),
            ("CREATE STREAM TABLE v WITH (topic = 'x') AS SELECT 1 AS x", "42601", "refresh_mode"),
            ("CREATE STREAM TABLE v (a) AS SELECT 1", "0A000", "column list"),
            ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS x WITH NO DATA", "0A000", "DATA"),
            ("CREATE STREAM TABLE v AS SELECT 1 AS x garbage garbage", "42601", "garbage"),
        ],
    );
    assert!(plan(&shop(), "CREATE STREAM TABLE v WITH (refresh_mode = 'IMMEDIATE') AS SELECT 1 AS x").is_ok());
}

#[test]
fn a_create_of_what_is_there() {
    let mut all = shop();
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT id FROM orders");
    apply(&mut all, "CREATE SINK s FROM v WITH (connector = 'blackhole')");
    let same = [
        "create stream table V as\n select ID from orders -- comment",
        "CREATE MATERIALIZED VIEW v AS SELECT id FROM orders",
        "CREATE STREAM TABLE IF NOT EXISTS v AS SELECT id FROM orders",
        "CREATE SINK s FROM v WITH (connector = 'blackhole')",
    ];
    for sql in same {
        let planned = plan(&all, sql).unwrap();
        assert!(matches!(planned.action, Action::Exists { .. }), "{sql}");
    }
    let planned = plan(&all, "CREATE STREAM TABLE IF NOT EXISTS v AS SELECT note FROM orders").unwrap();
    assert!(matches!(planned.action, Action::Exists { .. }));
    assert!(planned.notices[0].contains("another definition"), "{:?}", planned.notices);
    refused(
        &all,
        &[
            ("CREATE STREAM TABLE v AS SELECT note FROM orders", "42P07", "\"v\""),
            ("CREATE STREAM TABLE v AS SELECT \"id\" FROM orders", "42P07", "\"v\""),
            ("CREATE STREAM TABLE s AS SELECT 1 AS x", "42P07", "\"s\""),
            ("CREATE SINK v FROM orders WITH (connector = 'blackhole')", "42P07", "\"v\""),
            ("CREATE SINK s FROM v WITH (connector = 'stdout')", "42P07", "\"s\""),
        ],
    );
}

#[test]
fn drop_set_and_show() {
    let mut all = shop();
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT id FROM orders");
    apply(&mut all, "CREATE SINK s FROM v WITH (connector = 'blackhole')");
    let action = |sql: &str| plan(&all, sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action;
    assert!(
        matches!(action("DROP TABLE Orders CASCADE;"), Action::Drop { sink: false, cascade: true, name } if name == "orders")
    );
    assert!(matches!(action("DROP STREAM TABLE v"), Action::Drop { sink: false, cascade: false, .. }));
    assert!(matches!(action("DROP MATERIALIZED VIEW IF EXISTS v RESTRICT"), Action::Drop { cascade: false, .. }));
    assert!(matches!(action("DROP SINK s"), Action::Drop { sink: true, .. }));
    assert!(matches!(action("DROP SINK IF EXISTS nothing"), Action::Nothing));
    assert!(
        matches!(action("SET client_encoding TO 'UTF8'"), Action::Set { name, value } if name == "client_encoding" && value == "UTF8")
    );
    assert!(matches!(action("SET TIME ZONE 'UTC'"), Action::Set { name, .. } if name == "timezone"));
    assert!(matches!(action("SET SESSION datestyle = ISO, MDY"), Action::Set { value, .. } if value == "ISO, MDY"));
    assert!(matches!(action("show stream tables"), Action::Show(Show::StreamTables)));
    assert!(matches!(action("SHOW MATERIALIZED VIEWS"), Action::Show(Show::StreamTables)));
    assert!(matches!(action("SHOW TABLES;"), Action::Show(Show::Tables)));
    assert!(matches!(action("SHOW SOURCES"), Action::Show(Show::Sources)));
    assert!(matches!(action("SHOW SINKS"), Action::Show(Show::Sinks)));
    assert!(matches!(action("SHOW STATE"), Action::Show(Show::State)));
    assert!(matches!(action("SHOW JOBS"), Action::Show(Show::Jobs)));
    assert!(matches!(action("SHOW MEMORY"), Action::Show(Show::Memory)));
    refused(
        &all,
        &[
            ("DROP TABLE nothing", "42P01", "nothing"),
            ("DROP TABLE v", "42809", "DROP STREAM TABLE"),
            ("DROP STREAM TABLE orders", "42809", "DROP TABLE"),
            ("DROP TABLE IF EXISTS s", "42809", "DROP SINK"),
            ("DROP TABLE orders, customers", "0A000", "several"),
            ("DROP TABLE orders garbage", "42601", "garbage"),
            ("SET timezone = 'Europe/Berlin'", "0A000", "utc"),
            ("SET work_mem = '1GB'", "42704", "work_mem"),
            ("SET LOCAL timezone = 'UTC'", "0A000", "LOCAL"),
            ("SHOW TABLES LIKE 'x'", "42601", "LIKE"),
        ],
    );
}

#[test]
fn every_type_has_the_names_postgresql_has() {
    let names = [
        ("boolean", ColumnType::Boolean),
        ("bool", ColumnType::Boolean),
        ("smallint", ColumnType::SmallInt),
        ("int2", ColumnType::SmallInt),
        ("integer", ColumnType::Int),
        ("int", ColumnType::Int),
        ("int4", ColumnType::Int),
        ("bigint", ColumnType::BigInt),
        ("int8", ColumnType::BigInt),
        ("real", ColumnType::Real),
        ("float4", ColumnType::Real),
        ("float(24)", ColumnType::Real),
        ("float(25)", ColumnType::Double),
        ("float8", ColumnType::Double),
        ("double precision", ColumnType::Double),
        ("timestamp without time zone", ColumnType::Timestamp(6)),
        ("timestamp(0)", ColumnType::Timestamp(0)),
        ("timestamptz(2)", ColumnType::TimestampTz(2)),
        ("timestamp with time zone", ColumnType::TimestampTz(6)),
        ("time without time zone", ColumnType::Time),
        ("varchar(5)", ColumnType::Varchar(5)),
        ("dec(6,1)", ColumnType::Numeric { precision: 6, scale: 1 }),
    ];
    for (name, ty) in names {
        let all = catalog(&[&format!("CREATE TABLE t (a {name}) {LOG}")]);
        assert_eq!(all.table_named("t").unwrap().columns.0[0].ty, ty, "{name}");
    }
}
