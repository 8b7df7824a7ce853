//! CREATE SINK: what its options make of a table, and what is refused.

use dataflow::Action;
use plan::{SinkConnector, SinkEnvelope};

use crate::testing::{apply, plan, refused, shop};

#[test]
fn sinks() {
    let mut all = shop();
    apply(
        &mut all,
        "CREATE STREAM TABLE totals AS SELECT customer, region, count(*) FROM orders JOIN customers c ON c.id = customer GROUP BY customer, region",
    );
    apply(&mut all, "CREATE STREAM TABLE notes AS SELECT note FROM orders");
    apply(&mut all, "CREATE STREAM TABLE errors AS SELECT url FROM clicks WHERE code = 500");
    let sink = |sql: &str| match plan(&all, sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::CreateSink(def) => def,
        other => panic!("{other:?}"),
    };
    let def = sink(
        "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'out', key = 'region, customer', partitions = 3, replication = 2)",
    );
    assert_eq!(
        (def.connector, def.envelope, def.key.as_slice()),
        (SinkConnector::Log, SinkEnvelope::Upsert, &[1, 0][..])
    );
    assert_eq!((def.topic.as_str(), def.partitions, def.replication), ("out", 3, Some(2)));
    let def = sink(
        "CREATE SINK s FROM totals WITH (connector = 'log', topic = 'out', envelope = 'debezium', tombstones = false)",
    );
    assert_eq!((def.envelope, def.tombstones, def.key.as_slice()), (SinkEnvelope::Debezium, false, &[0, 1][..]));
    assert_eq!(sink("CREATE SINK s FROM notes WITH (connector = 'stdout')").envelope, SinkEnvelope::Debezium);
    assert_eq!(sink("CREATE SINK s FROM errors WITH (connector = 'stdout')").envelope, SinkEnvelope::Append);
    assert_eq!(sink("CREATE SINK s FROM errors WITH (connector = 'stdout', key = 'url')").key, [0]);
    assert_eq!(sink("CREATE SINK s FROM orders WITH (connector = 'blackhole')").key, [0]);
    refused(
        &all,
        &[
            (
                "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', key = 'region')",
                "42P16",
                "(customer, region)",
            ),
            ("CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', key = 'area')", "42703", "area"),
            (
                "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', key = 'region,region')",
                "42701",
                "twice",
            ),
            (
                "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', envelope = 'append')",
                "42P16",
                "append-only",
            ),
            (
                "CREATE SINK s FROM notes WITH (connector = 'kafka', topic = 'o', envelope = 'upsert')",
                "42P16",
                "GROUP BY",
            ),
            ("CREATE SINK s FROM notes WITH (connector = 'kafka', topic = 'o', key = 'note')", "42P16", "no key"),
            (
                "CREATE SINK s FROM orders WITH (connector = 'kafka', topic = 'o', envelope = 'append')",
                "42P16",
                "retracted",
            ),
            (
                "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', tombstones = false)",
                "42601",
                "debezium",
            ),
            ("CREATE SINK s FROM totals WITH (connector = 'kafka')", "42601", "topic"),
            ("CREATE SINK s FROM totals WITH (connector = 'stdout', topic = 'o')", "42601", "topic"),
            ("CREATE SINK s FROM totals WITH (connector = 'postgres')", "42601", "url"),
            ("CREATE SINK s FROM totals WITH (connector = 'postgres', url = 'x')", "22023", "postgres://"),
            ("CREATE SINK s FROM totals WITH (connector = 'postgres', url = 'postgres://h/d')", "42601", "table"),
            (
                "CREATE SINK s FROM notes WITH (connector = 'postgres', url = 'postgres://h/d', table = 't')",
                "42P16",
                "GROUP BY",
            ),
            (
                "CREATE SINK s FROM totals WITH (connector = 'postgres', url = 'postgres://h/d', table = 't', topic = 'x')",
                "42601",
                "'kafka' and 'log'",
            ),
            (
                "CREATE SINK s FROM totals WITH (connector = 'postgres', url = 'postgres://h/d', table = 't', \
                 password_file = 'a', password_env = 'b')",
                "42601",
                "exclude",
            ),
            (
                "CREATE SINK s FROM totals WITH (connector = 'postgres', url = 'postgres://h/d', table = 't', \
                 envelope = 'debezium')",
                "22023",
                "upserted",
            ),
            (
                "CREATE SINK s FROM totals WITH (connector = 'postgres', url = 'postgres://h/d', table = 't', \
                 outbox_rows_max = 0)",
                "22023",
                "outbox_rows_max",
            ),
            ("CREATE SINK s FROM totals WITH (connector = 'file')", "42601", "path"),
            ("CREATE SINK s FROM totals WITH (connector = 'stdout', path = 'x')", "42601", "path"),
            (
                "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', kafka.acks = '1')",
                "42601",
                "--kafka-property",
            ),
            ("CREATE SINK s FROM totals WITH (connector = 'x')", "22023", "blackhole"),
            ("CREATE SINK s FROM totals", "42601", "connector"),
            ("CREATE SINK s FROM nothing WITH (connector = 'stdout')", "42P01", "nothing"),
            ("CREATE SINK s AS SELECT 1", "0A000", "stream table"),
            ("CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', format = 'avro')", "0A000", "avro"),
            (
                "CREATE SINK s FROM totals WITH (connector = 'kafka', topic = 'o', partitions = 'many')",
                "22023",
                "whole number",
            ),
        ],
    );
}
