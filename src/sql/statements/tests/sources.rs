//! CREATE SOURCE, INCLUDE, and the connectors' own options.

use dataflow::Action;
use plan::{Include, SinkConnector, TableDef};

use crate::testing::{apply, catalog, plan, refused, shop};

fn made(sql: &str) -> TableDef {
    match plan(&shop(), sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::CreateTable(def) => def,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_source_keeps_no_rows() {
    let def = made("CREATE SOURCE s (a int) WITH (connector = 'log', topic = 't')");
    assert!(!def.is_stored() && def.key.is_empty() && def.append_only());
    let def = made(
        "CREATE SOURCE s (a int) WITH (connector = 'log', topic = 't', envelope = 'debezium', replica_identity = 'full')",
    );
    assert!(!def.is_stored() && !def.append_only());
    let mut all = catalog(&["CREATE SOURCE s (a int) WITH (connector = 'log', topic = 't')"]);
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT a, count(*) FROM s GROUP BY a");
    assert!(matches!(plan(&all, "DROP SOURCE s CASCADE").unwrap().action, Action::Drop { sink: false, .. }));
    refused(
        &all,
        &[
            ("DROP TABLE s", "42809", "DROP SOURCE"),
            ("DROP SOURCE v", "42809", "DROP STREAM TABLE"),
            ("CREATE SINK k FROM s WITH (connector = 'stdout')", "0A000", "stream table over it"),
            ("CREATE SOURCE x (a int)", "42601", "connector"),
            ("CREATE SOURCE x (a int PRIMARY KEY) WITH (connector = 'log', topic = 't')", "42P16", "CREATE TABLE"),
            (
                "CREATE SOURCE x (a int) WITH (connector = 'log', topic = 't', envelope = 'upsert')",
                "42P16",
                "CREATE TABLE",
            ),
            (
                "CREATE SOURCE x (a int) WITH (connector = 'log', topic = 't', envelope = 'debezium')",
                "42P16",
                "REPLICA IDENTITY FULL",
            ),
            ("CREATE SOURCE x (a int DEFAULT 1) WITH (connector = 'log', topic = 't')", "0A000", "DEFAULT"),
            ("CREATE SOURCE x (a int CHECK (a > 0)) WITH (connector = 'log', topic = 't')", "0A000", "CHECK"),
        ],
    );
}

#[test]
fn include_adds_columns_behind_the_others() {
    let def = made(
        "CREATE TABLE t (a int) INCLUDE KEY INCLUDE OFFSET AS \"Off\" INCLUDE PARTITION INCLUDE TIMESTAMP AS at \
         INCLUDE HEADERS INCLUDE TOPIC WITH (connector = 'kafka', topic = 't')",
    );
    let columns: Vec<String> = def.columns.0.iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
    assert_eq!(
        columns.join(", "),
        "a integer, _millstream_key bytea, Off bigint, _millstream_partition integer, at timestamptz(6), \
         _millstream_headers jsonb, _millstream_topic text"
    );
    let wanted = [
        (1, Include::Key),
        (2, Include::Offset),
        (3, Include::Partition),
        (4, Include::Timestamp),
        (5, Include::Headers),
        (6, Include::Topic),
    ];
    assert_eq!(def.source().unwrap().include, wanted);
    refused(
        &shop(),
        &[
            ("CREATE TABLE t (a int) INCLUDE VALUE WITH (connector = 'log', topic = 't')", "42601", "HEADERS"),
            ("CREATE TABLE t (a int) INCLUDE KEY AS a WITH (connector = 'log', topic = 't')", "42701", "\"a\""),
            (
                "CREATE TABLE t (a int) INCLUDE KEY INCLUDE KEY WITH (connector = 'log', topic = 't')",
                "42701",
                "_millstream_key",
            ),
            (
                "CREATE TABLE t (a int) INCLUDE OFFSET WITH (connector = 'log', topic = 't', envelope = 'debezium', \
                 replica_identity = 'full')",
                "0A000",
                "INCLUDE",
            ),
        ],
    );
    made(
        "CREATE TABLE t (a int PRIMARY KEY) INCLUDE OFFSET WITH (connector = 'log', topic = 't', envelope = 'debezium')",
    );
}

#[test]
fn options_of_connectors() {
    let def = made("CREATE TABLE t (a int) WITH (connector = 'file', path = 'in/*.json', follow = true)");
    let source = def.source().unwrap();
    assert_eq!((source.connector.as_str(), source.options.get("follow")), ("file", Some("true")));
    let def = made(
        "CREATE TABLE t (a int) WITH (connector = 'kafka', topic = 't', kafka.security.protocol = 'ssl', \
         \"kafka.sasl.mechanisms\" = 'PLAIN')",
    );
    let options = &def.source().unwrap().options;
    assert_eq!(options.get("kafka.security.protocol"), Some("ssl"));
    assert_eq!(options.get("kafka.sasl.mechanisms"), Some("PLAIN"));
    let sink = |sql: &str| match plan(&shop(), sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::CreateSink(def) => def,
        other => panic!("{other:?}"),
    };
    let def = sink(
        "CREATE SINK s FROM orders WITH (connector = 'postgres', url = 'postgres://u@h:5432/d', table = 'public.orders', \
         password_env = 'PW', outbox_rows_max = 1000)",
    );
    assert_eq!((def.connector, def.key.as_slice()), (SinkConnector::Postgres, &[0][..]));
    let def = sink("CREATE SINK s FROM clicks WITH (connector = 'file', path = 'out.jsonl')");
    assert_eq!((def.connector, def.key.len()), (SinkConnector::File, 0));
}
