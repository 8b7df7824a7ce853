//! CREATE TABLE without a connector: defaults, checks, and what is refused.

use dataflow::Action;
use plan::{Envelope, OWN, TableDef};

use crate::testing::{apply, catalog, plan, refused, shop};

fn table(sql: &str) -> TableDef {
    match plan(&shop(), sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::CreateTable(def) => def,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_of_our_own_keeps_its_clauses() {
    let def = table(
        "CREATE TABLE t (id int PRIMARY KEY CHECK (id > 0), n numeric(5,2) DEFAULT 1 + 0.5 NOT NULL CHECK (n < 100), \
         s varchar(5) DEFAULT 'it''s', at timestamptz DEFAULT now(), u uuid DEFAULT gen_random_uuid(), \
         CONSTRAINT fits CHECK (id < 10 OR n > 1), CHECK (id <> 7 OR s <> 'x'), CHECK (true), CHECK (id < 1000))",
    );
    let source = def.source().unwrap();
    assert_eq!((source.connector.as_str(), source.topic.as_str(), source.envelope), (OWN, "", Envelope::Upsert));
    assert!(source.stored && def.is_own() && !def.columns.0[0].nullable && !def.columns.0[1].nullable);
    let own = source.own.as_ref().unwrap();
    let defaults: Vec<Option<&str>> = own.defaults.iter().map(Option::as_deref).collect();
    let wanted = [None, Some("1 + 0.5"), Some("'it''s'"), Some("now()"), Some("gen_random_uuid()")];
    assert_eq!(defaults, wanted);
    let names: Vec<&str> = own.checks.iter().map(|check| check.name.as_str()).collect();
    // the names that PostgreSQL gives
    assert_eq!(names, ["t_id_check", "t_n_check", "fits", "t_check", "t_check1", "t_id_check1"]);
}

#[test]
fn a_keyless_table_keeps_whole_rows() {
    let def = table("CREATE TABLE t (a int) WITH (topic = 'mine', partitions = 2)");
    let source = def.source().unwrap();
    assert_eq!((source.topic.as_str(), source.envelope, source.partitions), ("mine", Envelope::Debezium, 2));
    assert_eq!(source.options.get("replica_identity"), Some("full"));
}

#[test]
fn names_of_checks_are_cut_as_postgresql_cuts_them() {
    let long = "a".repeat(60);
    let def = table(&format!("CREATE TABLE {long} ({} int CHECK ({} > 0))", "b".repeat(40), "b".repeat(40)));
    let own = def.source().unwrap().own.clone().unwrap();
    assert_eq!(own.checks[0].name, format!("{}_{}_check", "a".repeat(28), "b".repeat(28)));
}

#[test]
fn refusals() {
    refused(
        &shop(),
        &[
            ("CREATE TABLE t (a jsonb UNIQUE)", "0A000", "jsonb"),
            ("CREATE TABLE t (a int UNIQUE DEFERRABLE)", "0A000", "DEFERRABLE"),
            ("CREATE TABLE t (a int, UNIQUE (b))", "42703", "\"b\""),
            ("CREATE TABLE t (a int REFERENCES orders (id))", "0A000", "REFERENCES"),
            ("CREATE TABLE t (a serial DEFAULT 1)", "42601", "multiple default"),
            ("CREATE TABLE t (a int CHECK (a > lastval()))", "0A000", "lastval"),
            ("CREATE TABLE t (a int NULL GENERATED ALWAYS AS IDENTITY)", "42601", "NULL/NOT NULL"),
            ("CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY (CYCLE))", "0A000", "CYCLE"),
            ("CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED)", "0A000", "GENERATED"),
            ("CREATE TABLE t (a int DEFAULT 'x')", "22P02", "integer"),
            ("CREATE TABLE t (a int DEFAULT 'x'::text)", "42804", "default expression is of type text"),
            ("CREATE TABLE t (a smallint DEFAULT 99999)", "22003", "smallint"),
            ("CREATE TABLE t (a varchar(2) DEFAULT 'abc')", "22001", "character varying(2)"),
            ("CREATE TABLE t (a int, b int DEFAULT a)", "0A000", "column in a DEFAULT"),
            ("CREATE TABLE t (a int DEFAULT count(*))", "42803", "DEFAULT"),
            ("CREATE TABLE t (a int DEFAULT (SELECT 1))", "0A000", "subquery"),
            ("CREATE TABLE t (a int DEFAULT $1)", "42P02", "$1"),
            ("CREATE TABLE t (a int DEFAULT nextval('s'))", "0A000", "nextval"),
            ("CREATE TABLE t (a int DEFAULT 1 DEFAULT 2)", "42601", "multiple default values"),
            ("CREATE TABLE t (a int CHECK (b > 0))", "42703", "\"b\""),
            ("CREATE TABLE t (a int CHECK (a))", "42804", "boolean"),
            ("CREATE TABLE t (a int CHECK (a > (SELECT 1)))", "0A000", "subquery"),
            ("CREATE TABLE t (a int CHECK (max(a) > 1))", "42803", "CHECK"),
            ("CREATE TABLE t (a timestamptz CHECK (a < now()))", "42P17", "immutable"),
            ("CREATE TABLE t (a int CONSTRAINT c CHECK (a > 0), CONSTRAINT c CHECK (a > 1))", "42710", "\"c\""),
            ("CREATE TABLE t (a int) WITH (topic = 'x', envelope = 'upsert')", "42601", "connector"),
            ("CREATE TABLE t (a int) WITH (kafka.acks = 'all')", "42601", "kafka.acks"),
            ("CREATE TABLE t (a int) INCLUDE KEY", "0A000", "INCLUDE"),
            ("CREATE TABLE t (a int) ON COMMIT DROP", "0A000", "ON"),
        ],
    );
}

/// The text that made a table, and any text that says what the table now is, are the same definition.
#[test]
fn the_same_definition_in_other_words_is_there_already() {
    let all = catalog(&["CREATE TABLE t (a int PRIMARY KEY, b text DEFAULT 'x' CHECK (b <> ''))"]);
    let same = "CREATE TABLE t (a integer, b text CHECK (b <> '') DEFAULT 'x', PRIMARY KEY (a))";
    assert!(matches!(plan(&all, same).unwrap().action, Action::Exists { .. }));
    refused(&all, &[("CREATE TABLE t (a int PRIMARY KEY, b text DEFAULT 'y' CHECK (b <> ''))", "42P07", "\"t\"")]);
}

#[test]
fn stream_tables_and_sinks_read_tables_of_our_own() {
    let mut all = catalog(&["CREATE TABLE t (a int PRIMARY KEY, b text)"]);
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT b, count(*) FROM t GROUP BY b");
    apply(&mut all, "CREATE SINK s FROM t WITH (connector = 'blackhole')");
    assert_eq!(all.sink_named("s").unwrap().key, [0]);
}
