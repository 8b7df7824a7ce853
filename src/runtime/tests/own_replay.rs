//! Tables of our own across restarts, their topics, and every type.

use plan::EpochRecord;
use zset::{Offset, RowType};

use super::rows::{only, sqlstate};
use super::world::{Between, T, World, append, make_topic, read};
use crate::EngineError;

const OWN: &str = "
    CREATE TABLE k (id INT PRIMARY KEY, a INT) WITH (partitions = '3');
    CREATE TABLE l (x TEXT, n INT) WITH (partitions = '3');
    CREATE STREAM TABLE s AS SELECT count(*) AS n, sum(a) AS a FROM k;
    CREATE STREAM TABLE g AS SELECT x, count(*) AS n, sum(n) AS sum FROM l GROUP BY x;";

fn k(id: usize, a: usize) -> String {
    format!(r#"{{"id":{id},"a":{a}}}"#)
}

fn l(x: usize, n: usize) -> String {
    format!(r#"{{"x":"x{x}","n":{n}}}"#)
}

fn refs(rows: &[String]) -> Vec<&str> {
    rows.iter().map(String::as_str).collect()
}

#[test]
fn what_was_written_is_there_after_any_restart() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(&format!("{T}{OWN}"));
        for step in 0..4 {
            let rows: Vec<String> = (0..20).map(|id| k(100 * step + id, id)).collect();
            running.insert("k", &refs(&rows));
            let gone: Vec<String> = (0..5).map(|id| k(100 * step + id, id)).collect();
            running.write("k", &refs(&gone), &refs(&[k(100 * step + 3, 7), k(100 * step + 50, 5)])).unwrap();
            let copies: Vec<String> = (0..30).map(|row| l(row % 4, row % 3)).collect();
            running.insert("l", &refs(&copies));
            running = world.again(running, between);
            let gone: Vec<String> = (0..12).map(|row| l(row % 4, row % 3)).collect();
            running.write("l", &refs(&gone), &refs(&[l(0, 0), l(0, 0), l(9, 9)])).unwrap();
        }
        let (k_rows, l_rows, s, g) = (running.rows("k"), running.rows("l"), running.rows("s"), running.rows("g"));
        assert_eq!((k_rows.len(), l_rows.values().sum::<i64>()), (4 * 17, 4 * 21));
        assert_eq!(s, only([(r#"{"n":68,"a":768}"#, 1)]));
        let positions = positions(&running);
        let partitions = (0..3).filter(|partition| !read(&world.log, "p.k", *partition).is_empty()).count();
        assert_eq!(partitions, 3, "keys are spread");
        let running = world.again(running, Between::Crash);
        assert_eq!((running.rows("k"), running.rows("l")), (k_rows, l_rows));
        assert_eq!((running.rows("s"), running.rows("g")), (s, g));
        running.insert("k", &[r#"{"id":7777,"a":1}"#]);
        assert!(positions <= self::positions(&running));
    }
}

/// The ends of the ranges in the epoch records, by table and partition.
fn positions(running: &super::world::Running) -> std::collections::BTreeMap<(u32, i32), Offset> {
    let mut ends = std::collections::BTreeMap::new();
    for record in read(&running.log, "p.epochs", 0) {
        for input in EpochRecord::decode(&record.value.unwrap()).unwrap().inputs {
            let end = ends.entry((input.table.0, input.partition.0)).or_insert(Offset(0));
            assert!(input.range.start >= *end, "ranges follow each other");
            *end = input.range.end;
        }
    }
    ends
}

#[test]
fn what_others_put_into_the_topic_is_not_read() {
    for between in [Between::Stop, Between::Crash] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}CREATE TABLE k (id INT PRIMARY KEY, a INT)"));
        let stray = |id: usize| append(&world.log, "p.k", 0, &[(format!(r#"{{"id":{id}}}"#), Some(k(id, 999)))]);
        stray(1);
        running.insert("k", &[&k(1, 1)]);
        stray(1);
        stray(2);
        running.insert("k", &[&k(2, 2), &k(3, 3)]);
        stray(3);
        let there = only([(r#"{"id":1,"a":1}"#, 1), (r#"{"id":2,"a":2}"#, 1), (r#"{"id":3,"a":3}"#, 1)]);
        assert_eq!(running.rows("k"), there);
        let running = world.again(running, between);
        assert_eq!(running.rows("k"), there, "{between:?}");
        running.write("k", &[&k(3, 3)], &[]).unwrap();
        let running = world.again(running, Between::Crash);
        assert_eq!(running.rows("k").len(), 2);
    }
}

#[test]
fn a_changed_record_of_our_own_stops_replay() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}CREATE TABLE k (id INT PRIMARY KEY, a INT)"));
    running.insert("k", &[&k(1, 1), &k(2, 2)]);
    running.crash();
    *world.log.faults.forge.lock().unwrap() = Some(Box::new(|record| {
        if &*record.at.topic == "p.k" && record.offset == Offset(1) {
            record.value = Some(k(2, 3).into());
        }
    }));
    let why = world.refusal();
    assert!(why.contains("topic \"p.k\" partition 0 offsets 0 to 2 is not what it was"), "{why}");
}

#[test]
fn a_table_of_a_dropped_ones_name_begins_empty() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        for create in ["CREATE TABLE k (id INT PRIMARY KEY, a INT)", "CREATE TABLE k (id INT, a INT)"] {
            let world = World::new();
            let mut running = world.start();
            running.sql(&format!("{T}{create}"));
            running.insert("k", &[&k(1, 1), &k(2, 2)]);
            for round in 1..3 {
                running = world.again(running, between);
                running.sql("DROP TABLE k");
                running = world.again(running, between);
                running.sql(create);
                assert!(running.rows("k").is_empty(), "{create}, {between:?}, round {round}");
                running.insert("k", &[&k(1, 10 * round)]);
                running = world.again(running, between);
                assert_eq!(running.rows("k"), only([(k(1, 10 * round).as_str(), 1)]));
            }
            let running = world.again(running, Between::Crash);
            assert_eq!(running.rows("k"), only([(k(1, 20).as_str(), 1)]));
        }
    }
}

#[test]
fn a_topic_that_is_not_empty_or_is_somebody_elses_is_refused() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    let refused = |sql: &str, part: &str| {
        let error = running.refusal(sql);
        assert!(matches!(error, EngineError::Statement(_)) && error.to_string().contains(part), "{sql}: {error}");
    };
    // Made by the statement, but by another's hand filled before the table is there again.
    running.sql("CREATE TABLE k (id INT PRIMARY KEY, a INT)");
    running.insert("k", &[&k(1, 1)]);
    running.sql("DROP TABLE k");
    append(&world.log, "p.k", 0, &[("{}".to_string(), None)]);
    refused("CREATE TABLE k (id INT PRIMARY KEY, a INT)", "would not begin empty");
    refused("CREATE TABLE k (id INT, a INT)", "was not made as");
    running.sql("CREATE TABLE k (id INT PRIMARY KEY, a INT) WITH (topic = 'other')");
    refused("CREATE TABLE m (id INT PRIMARY KEY) WITH (topic = 'other')", "table \"k\"");
    refused("CREATE TABLE m (id INT) WITH (topic = 'p.epochs')", "the pipeline itself");
    refused("CREATE TABLE epochs (id INT)", "the pipeline itself");
    refused("CREATE TABLE m (id INT) WITH (topic = 't.dlq')", "dead letters");
    make_topic(&world.log, "p.m", 1);
    refused("CREATE TABLE m (id INT)", "was not made as");
    let sink = "CREATE SINK s FROM t WITH (connector = 'log', topic = 'other', format = 'json', envelope = 'upsert')";
    refused(sink, "table \"k\"");
    assert_eq!(running.show("TABLES").into_keys().collect::<Vec<_>>(), ["k", "t"]);
    assert_eq!(running.insert("k", &[&k(1, 1)]), running.handle.view().epoch);
}

#[test]
fn a_deleted_topic_of_our_own_is_found_at_start() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}CREATE TABLE k (id INT PRIMARY KEY, a INT)"));
    running.insert("k", &[&k(1, 1)]);
    running.stop().unwrap();
    *world.log.faults.forge.lock().unwrap() = Some(Box::new(|record| {
        if &*record.at.topic == "p.k" {
            record.timestamp = zset::TimestampMs(1);
        }
    }));
    assert!(world.refusal().contains("topic \"p.k\" partition 0 was deleted and made anew"), "{}", world.refusal());
    *world.log.faults.forge.lock().unwrap() = None;
    // A topic that loses nothing by its settings is asked for at every start.
    *world.log.faults.forbidden.lock().unwrap() = Some("p.k");
    assert!(world.refusal().contains("table k"), "{}", world.refusal());
}

/// A value of every type and its extremes, as JSON; the first two columns are a key.
const TYPES: &[(&str, &[&str])] = &[
    ("bo BOOLEAN", &["true", "false"]),
    ("s SMALLINT", &["-32768", "32767"]),
    ("i INT", &["-2147483648", "2147483647"]),
    ("b BIGINT", &["\"-9223372036854775808\"", "\"9223372036854775807\""]),
    ("r REAL", &["3.4028235e38", "1e-45", "\"NaN\"", "\"-Infinity\"", "-0.0", "16777216"]),
    ("d DOUBLE PRECISION", &["1.7976931348623157e308", "5e-324", "\"Infinity\"", "0.1", "-0.0"]),
    ("n NUMERIC(38,10)", &["\"9999999999999999999999999999.9999999999\"", "\"-0.0000000001\"", "\"0\""]),
    ("n0 NUMERIC(5,5)", &["\"0.99999\"", "\"-0.00001\""]),
    ("t TEXT", &["\"\"", "\"null\"", "\"\\u0001\\\"\\\\\\n\\u2028🎉\"", "\"__debezium_unavailable_value\""]),
    ("v VARCHAR(3)", &["\"éé🎉\"", "\"   \""]),
    ("by BYTEA", &["\"\\\\x00ff\"", "\"\""]),
    ("da DATE", &["\"0001-01-01\"", "\"9999-12-31\"", "\"4713-01-01 BC\"", "\"294246-12-31\""]),
    ("ti TIME", &["\"00:00:00\"", "\"24:00:00\"", "\"23:59:59.999999\""]),
    (
        "ts TIMESTAMP",
        &["\"0044-03-15T12:00:00.000001 BC\"", "\"294246-12-31T23:59:59.999999\"", "\"1969-12-31T23:59:59.999999\""],
    ),
    ("tz TIMESTAMPTZ", &["\"2024-01-15T10:00:00.000001Z\"", "\"0001-01-01T00:00:00Z\""]),
    ("u UUID", &["\"00000000-0000-0000-0000-000000000000\"", "\"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\""]),
    ("j JSONB", &["\"null\"", "\"\\\"__debezium_unavailable_value\\\"\"", "{\"b\":[1.50,{}],\"a\":\"\\u00e9\"}", "[]"]),
];

#[test]
fn every_type_is_written_as_it_is_and_read_back_so() {
    for (key, table) in [(", PRIMARY KEY (k)", "keyed"), ("", "keyless")] {
        let world = World::new();
        let running = world.start();
        let columns: Vec<&str> = TYPES.iter().map(|(column, _)| *column).collect();
        running.sql(&format!("{T}CREATE TABLE x (k INT, {}{key})", columns.join(", ")));
        let most = TYPES.iter().map(|(_, values)| values.len()).max().unwrap();
        let mut all: Vec<String> = vec![r#"{"k":-1}"#.to_string()];
        for at in 0..most {
            let value = |(column, values): &(&str, &[&str])| {
                let name = column.split(' ').next().unwrap();
                format!("\"{name}\":{}", values.get(at).unwrap_or(&"null"))
            };
            let values: Vec<String> = TYPES.iter().map(value).collect();
            all.push(format!("{{\"k\":{at},{}}}", values.join(",")));
        }
        let meant = running.changes("x", &[], &refs(&all));
        running.handle.write(meant.clone()).unwrap();
        let there = running.rows("x");
        assert_eq!(there, as_text(&running.def("x").columns, &meant.come), "{table}");
        assert_eq!(there.len(), most + 1);
        // Each is found again to be replaced and to be deleted.
        let by_key: Vec<&str> = refs(&all);
        running.write("x", &by_key[..2], &[&all[0].replace("-1", "-2")]).unwrap();
        let there = running.rows("x");
        let running = world.again(running, Between::Crash);
        assert_eq!(running.rows("x"), there, "{table}");
        running.write("x", &by_key[2..], &[]).unwrap();
        assert_eq!(running.rows("x").len(), 1);
        let running = world.again(running, Between::Crash);
        assert_eq!(running.rows("x").len(), 1);
    }
}

#[test]
fn columns_that_are_called_like_the_parts_of_a_record_are_columns() {
    for key in ["", ", PRIMARY KEY (schema, op)"] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}CREATE TABLE x (schema TEXT, payload JSONB, op TEXT, before INT, after INT{key})"));
        let rows = [
            r#"{"schema":"{}","payload":"{\"type\": \"struct\"}","op":"d","before":1,"after":null}"#,
            r#"{"schema":"null","payload":null,"op":"t","before":null,"after":2}"#,
        ];
        running.insert("x", &rows);
        running.write("x", &rows[..1], &[]).unwrap();
        let there = running.rows("x");
        assert_eq!(there, only([(rows[1], 1)]));
        assert_eq!(world.again(running, Between::Crash).rows("x"), there);
    }
}

/// Rows as `Running::rows` shows them.
fn as_text(columns: &RowType, rows: &arrow::array::RecordBatch) -> std::collections::BTreeMap<String, i64> {
    let codec = zset::RowCodec::new(columns.schema());
    let bytes = codec.encode_batch(rows);
    let rows = codec.decode_batch(bytes.iter());
    let writer = schemas::RowWriter::new(columns, &(0..columns.0.len()).collect::<Vec<_>>());
    let bound = writer.bind(&rows);
    let text = |at| {
        let mut text = Vec::new();
        bound.write(at, &mut text);
        (String::from_utf8(text).unwrap(), 1)
    };
    (0..rows.num_rows()).map(text).collect()
}

#[test]
fn a_checkpoint_has_what_statements_wrote_and_only_that() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1)]);
    running.handle.checkpoint().unwrap();
    running.insert("k", &[&k(2, 2)]);
    running.crash();
    let engine = world.open().unwrap();
    let (checkpoint, _) = engine.last_checkpoint;
    assert_eq!(engine.chain.epoch, checkpoint.next(), "one epoch is replayed");
    drop(engine);
    let running = world.start();
    assert_eq!(running.rows("s"), only([(r#"{"n":2,"a":3}"#, 1)]));
    assert_eq!(sqlstate(&running.write("k", &[], &[&k(2, 9)])), "23505", "what is replayed is found");
}
