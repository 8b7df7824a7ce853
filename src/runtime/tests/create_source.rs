//! CREATE SOURCE: rows are passed on and not kept; a stream table that is made later starts complete all the same.

use api::{Log as _, OutRecord, Transport as _};
use bytes::Bytes;
use plan::{EpochRecord, Outcome, TableId, TableOutcome};
use testkit::Value;
use zset::{Column, ColumnType, Offset, RowCodec, RowType, TimestampMs};

use super::rows::once;
use super::world::{Between, Running, T, World, append, at, make_topic, put, read, record};
use crate::stage;

const SRC: &str = "CREATE SOURCE src (id INT, v INT) WITH (connector = 'log', topic = 'src');";

fn sum(name: &str) -> String {
    format!("CREATE STREAM TABLE {name} AS SELECT count(*) AS n, sum(v) AS v FROM src;")
}

fn row(id: i64, v: i64) -> (String, Option<String>) {
    (String::new(), Some(format!("{{\"id\":{id},\"v\":{v}}}")))
}

fn bad() -> (String, Option<String>) {
    (String::new(), Some("{\"id\":\"no number\"}".to_string()))
}

fn only(running: &Running, table: &str) -> String {
    let rows = running.rows(table);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.into_keys().next().unwrap()
}

/// A world with a source of three records in two epochs, of which one is dead.
fn filled(world: &World) -> Running {
    let running = world.start();
    running.sql(SRC);
    running.feed("src", &[row(1, 10), bad()]);
    running.feed("src", &[row(2, 20)]);
    running
}

#[test]
fn a_stream_table_made_later_starts_complete() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = filled(&world);
        running.sql(&sum("a"));
        assert_eq!(only(&running, "a"), r#"{"n":2,"v":30}"#);
        running.feed("src", &[row(3, 30), bad()]);
        running = world.again(running, between);
        running.sql(&sum("b"));
        running.feed("src", &[row(4, 40)]);
        running = world.again(running, between);
        running.sql(&sum("c"));
        for table in ["a", "b", "c"] {
            assert_eq!(only(&running, table), r#"{"n":4,"v":100}"#, "{table}, {between:?}");
        }
        assert_eq!(read(&world.log, "src.dlq", 0).len(), 2, "a dead letter is sent when it comes, and not again");
        assert_eq!(running.show("SOURCES")["src"][3..7], ["6", "6", "0", "2"]);
    }
}

#[test]
fn nothing_of_it_is_kept() {
    let world = World::new();
    let running = filled(&world);
    assert_eq!(running.show("TABLES")["src"][1], "source");
    assert!(!running.show("STATE").contains_key("src"));
    assert!(running.handle.table("src").unwrap().is_none(), "no view has it");
    assert_eq!(running.handle.shared().tables()["src"].rows, 0);
    running.handle.checkpoint().unwrap();
    running.crash();
    let engine = world.open().unwrap();
    let entries: usize = engine.tables.values().map(|table| table.contents.snapshot().entries()).sum();
    assert_eq!(entries, 0);
}

/// What was before the start is in no stream table, whenever it is made.
#[test]
fn the_start_is_that_of_the_source() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        make_topic(&world.log, "src", 2);
        append(&world.log, "src", 0, &[row(1, 1), row(2, 2)]);
        append(&world.log, "src", 1, &[row(3, 3)]);
        let mut running = world.start();
        running.sql(&SRC.replace("'src')", "'src', start = 'latest')"));
        append(&world.log, "src", 1, &[row(4, 40)]);
        running.feed("src", &[row(5, 500)]);
        running = world.again(running, between);
        running.sql(&sum("a"));
        assert_eq!(only(&running, "a"), r#"{"n":2,"v":540}"#);
    }
}

/// A binary that plans the query otherwise makes its state anew: from the topic, for the source has no rows.
#[test]
fn state_that_is_made_anew_is_made_from_the_topic() {
    let mut world = World::new();
    let running = filled(&world);
    running.sql("CREATE STREAM TABLE s AS SELECT sum(v + id) AS v FROM src;");
    running.feed("src", &[row(3, 30)]);
    running.stop().unwrap();
    world.update("v + id", "id + v");
    let running = world.start();
    running.feed("src", &[row(4, 40)]);
    assert_eq!(only(&running, "s"), r#"{"v":110}"#);
}

#[test]
fn what_a_table_began_with_is_verified_in_replay() {
    let world = World::new();
    let running = filled(&world);
    running.handle.checkpoint().unwrap();
    running.sql(&sum("a"));
    running.crash();
    let forge = |value: &'static str| {
        *world.log.faults.forge.lock().unwrap() = Some(Box::new(move |record| {
            if &*record.at.topic == "src" && record.offset == Offset(0) {
                record.value = Some(Bytes::from(value));
            }
        }));
    };
    // The sum is the same: only the bytes tell.
    forge(r#"{"id":9,"v":10}"#);
    let why = world.refusal();
    assert!(why.contains("what stream table a began with is not what it was"), "{why}");
    assert!(why.contains("topic \"src\" partition 0 offsets 0 to 3"), "{why}");
    forge(r#"{"id":1,"v":10}"#);
    assert_eq!(only(&world.start(), "a"), r#"{"n":2,"v":30}"#);
}

#[test]
fn records_that_are_gone_are_missed_loudly() {
    let world = World::new();
    let running = filled(&world);
    world.log.inner.trim(&at("src", 0), Offset(1)).unwrap();
    let why = running.refusal(&sum("a")).to_string();
    assert!(why.contains("offsets 0 to 3 cannot be read again") && why.contains("it holds offsets 1 to 3"), "{why}");
    running.feed("src", &[row(3, 30)]);
    running.sql(&format!("{}{}", SRC.replace("src (", "other ("), sum("a").replace("FROM src", "FROM other")));
    running.read_to("other", zset::Partition(0), Offset(4));
    assert_eq!(only(&running, "a"), r#"{"n":2,"v":50}"#, "the error's way out");
}

#[test]
fn records_that_were_compacted_away_are_missed_loudly() {
    let world = World::new();
    let running = filled(&world);
    *world.log.faults.forge.lock().unwrap() = Some(Box::new(|record| {
        if record.offset == Offset(2) {
            record.offset = Offset(50);
        }
    }));
    let why = running.refusal(&sum("a")).to_string();
    assert!(why.contains("3 records came from there, and 2 are left"), "{why}");
}

const CDC: &str = "CREATE SOURCE src (id INT, v INT) WITH (connector = 'log', topic = 'src', envelope = 'debezium', \
     replica_identity = 'full');";

fn change(op: &str, before: Option<(i64, i64)>, after: Option<(i64, i64)>) -> (String, Option<String>) {
    let image =
        |row: Option<(i64, i64)>| row.map_or("null".to_string(), |(id, v)| format!("{{\"id\":{id},\"v\":{v}}}"));
    (String::new(), Some(format!("{{\"op\":\"{op}\",\"before\":{},\"after\":{}}}", image(before), image(after))))
}

#[test]
fn a_change_stream_is_passed_on_with_its_retractions() {
    for between in [Between::Nothing, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(CDC);
        running.sql(&sum("a"));
        running.feed("src", &[change("c", None, Some((1, 1))), change("c", None, Some((2, 2)))]);
        running.feed("src", &[change("u", Some((1, 1)), Some((1, 100))), change("d", Some((2, 2)), None)]);
        running.sql(&sum("b"));
        running = world.again(running, between);
        for table in ["a", "b"] {
            assert_eq!(only(&running, table), r#"{"n":1,"v":100}"#);
        }
        running.feed("src", &[change("t", None, None)]);
        let letters = read(&world.log, "src.dlq", 0);
        assert_eq!(letters.len(), 1);
        let reason = letters[0].headers.iter().find(|(name, _)| name == "millstream.error.reason").unwrap();
        let reason = String::from_utf8(reason.1.as_ref().unwrap().to_vec()).unwrap();
        assert!(reason.contains("a truncate cannot be passed on"), "{reason}");
        assert_eq!(only(&running, "a"), r#"{"n":1,"v":100}"#);
    }
}

/// A retraction of a row that never came is an error of what reads it, not of the process, and not a negative row.
#[test]
fn a_retraction_of_what_never_came_is_the_stream_tables_error() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(CDC);
        running.sql("CREATE STREAM TABLE rows AS SELECT id, v FROM src;");
        running.sql("CREATE STREAM TABLE sums AS SELECT id, sum(v) AS v FROM rows GROUP BY id;");
        running.feed("src", &[change("c", None, Some((1, 1)))]);
        running = world.again(running, between);
        running.feed("src", &[change("u", Some((2, 2)), Some((2, 3)))]);
        running = world.again(running, between);
        let error = running.error_of("rows").unwrap();
        assert!(error.contains("retracts a row that its source did not pass on before"), "{error}");
        assert!(running.error_of("sums").unwrap().contains("table rows, which it reads, is in ERROR"));
        assert_eq!(only(&running, "rows"), r#"{"id":1,"v":1}"#, "its contents stay");
        // When the missing row comes after all, all is well.
        running.feed("src", &[change("c", None, Some((2, 2)))]);
        assert_eq!(running.error_of("rows"), None);
        assert_eq!(running.rows("sums").len(), 2);
    }
}

#[test]
fn included_columns_are_what_stands_beside_the_value() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        make_topic(&world.log, "src", 2);
        let mut running = world.start();
        running.sql(
            "CREATE SOURCE src (v INT) INCLUDE KEY AS k INCLUDE PARTITION AS p INCLUDE OFFSET AS o INCLUDE TIMESTAMP AS ts \
             INCLUDE HEADERS AS h WITH (connector = 'log', topic = 'src'); \
             CREATE STREAM TABLE a AS SELECT * FROM src;",
        );
        let headers = vec![("x".to_string(), Some(Bytes::from("1"))), ("x".to_string(), None)];
        let first = OutRecord { headers, ..record("src", 0, "k0", Some(r#"{"v":1}"#)) };
        let second = OutRecord { timestamp: TimestampMs(1), key: None, ..record("src", 1, "", Some(r#"{"v":2}"#)) };
        world.log.append(&[first, second]).unwrap();
        running.settle("src");
        running = world.again(running, between);
        running.sql("CREATE STREAM TABLE b AS SELECT * FROM src;");
        let expected = [
            r#"{"v":1,"k":"azA=","p":0,"o":0,"ts":"2020-09-13T12:26:40.000000Z","h":"[{\"key\": \"x\", \"value\": \"1\"}, {\"key\": \"x\", \"value\": null}]"}"#,
            r#"{"v":2,"k":null,"p":1,"o":0,"ts":"1970-01-01T00:00:00.001000Z","h":"[]"}"#,
        ];
        for table in ["a", "b"] {
            assert_eq!(running.rows(table), once(expected));
        }
    }
}

/// Tools that watch consumer groups see where the sources are, at the latest when the process ends.
#[test]
fn positions_are_told() {
    let world = World::new();
    let running = filled(&world);
    running.sql("CREATE TABLE own (id INT PRIMARY KEY)");
    running.stop().unwrap();
    let told = world.log.faults.told.lock().unwrap();
    assert_eq!(told.last().unwrap(), &[(at("src", 0), Offset(3))], "committed positions, of what others write");
    assert_eq!(world.log.bounds(&at("src", 0)).unwrap().high, Offset(3));
}

/// Telling is a courtesy: that it fails or hangs is nobody's trouble.
#[test]
fn that_positions_cannot_be_told_does_no_harm() {
    let world = World::new();
    *world.log.faults.deaf.lock().unwrap() = true;
    let running = filled(&world);
    running.sql(&sum("a"));
    assert_eq!(only(&running, "a"), r#"{"n":2,"v":30}"#);
    running.stop().unwrap();
    assert!(world.log.faults.told.lock().unwrap().is_empty());
}

#[test]
fn a_property_that_the_log_does_not_know_is_refused_before_there_is_a_table() {
    let mut world = World::new();
    world.config.brokers = Some("b:1".to_string());
    let running = world.start();
    let statement =
        "CREATE TABLE x (id INT) WITH (connector = 'kafka', topic = 'x', partitions = 1, kafka.fetch.max.bytes = '1')";
    let why = running.refusal(statement).to_string();
    assert!(why.contains("fetch.max.bytes"), "{why}");
    assert!(running.show("TABLES").is_empty());
}

/// The statement is committed: it is no failure of its, and the table is read as soon as that can be done.
#[test]
fn a_source_whose_reading_cannot_begin_yet_is_made_and_read_later() {
    let world = World::new();
    let running = world.start();
    make_topic(&world.log, "t", 1);
    append(&world.log, "t", 0, &[put(1, 1, 10)]);
    *world.log.faults.no_reader.lock().unwrap() = Some(2);
    running.sql(T);
    assert!(world.log.faults.no_reader.lock().unwrap().is_none(), "it could not begin");
    running.settle("t");
    assert_eq!(running.rows("t").len(), 1);
}

/// Its ranges have a hash, and what reads it has a digest. What a record of an older version says of it is held to all the same.
#[test]
fn a_source_has_no_digest_and_one_that_is_recorded_is_compared() {
    let world = World::new();
    let running = filled(&world);
    running.sql(&sum("a"));
    running.feed("src", &[row(3, 30)]);
    running.crash();
    let last = read(&world.log, "p.epochs", 0).pop().unwrap();
    let record = EpochRecord::decode(&last.value.unwrap()).unwrap();
    assert_eq!(record.tables.iter().map(|outcome| outcome.table).collect::<Vec<_>>(), [TableId(2)]);

    let columns = RowType(["id", "v"].map(|name| Column::new(name, ColumnType::Int, true)).to_vec());
    let row = |v| testkit::delta(&columns, &[(vec![Value::Int(3), Value::Int(v)], 1)]);
    let told = |v| {
        let outcome = Outcome::Digest(stage::digest(&row(v), &RowCodec::new(columns.schema())));
        let mut told = record.clone();
        told.tables.insert(0, TableOutcome { table: TableId(1), outcome });
        let bytes = Bytes::from(told.encode());
        *world.log.faults.forge.lock().unwrap() = Some(Box::new(move |record| {
            if &*record.at.topic == "p.epochs" && record.offset == last.offset {
                record.value = Some(bytes.clone());
            }
        }));
    };
    told(31);
    let why = world.refusal();
    assert!(why.contains("came to something else") && why.contains("src: was Some(Digest"), "{why}");
    told(30);
    assert_eq!(only(&world.start(), "a"), r#"{"n":3,"v":60}"#);
}
