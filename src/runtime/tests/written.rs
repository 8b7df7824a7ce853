//! No pipeline reads what it writes: nobody may begin to write into a topic that a table reads, and a pattern passes over what the
//! pipeline ever wrote.

use api::Transport as _;
use zset::{Offset, Partition};

use super::world::{Between, Running, World, append, at, make_topic, put, read};

const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT) \
    WITH (connector = 'log', format = 'json', envelope = 'upsert', topic_pattern = 'shop\\..*');";
const TWO: &str = "CREATE TABLE two (id INT, a INT) WITH (connector = 'log', format = 'json', topic = 'x,y');";
const S: &str = "CREATE SINK s FROM t WITH (connector = 'log', topic = 'TOPIC', format = 'json', envelope = 'upsert');";
const U: &str = "CREATE TABLE u (id INT) WITH (connector = 'log', format = 'json', topic = 'z', dlq_topic = 'TOPIC');";
const OWN: &str = "CREATE TABLE mine (id INT PRIMARY KEY) WITH (topic = 'TOPIC');";

/// The topics of a table, each once.
fn topics(running: &Running, table: &str) -> Vec<String> {
    let rows = running.sql("SHOW SOURCES").remove(0).rows;
    let text = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
    let mut all: Vec<String> = rows.iter().filter(|row| text(row, 0) == table).map(|row| text(row, 1)).collect();
    all.dedup();
    all
}

#[track_caller]
fn wait(running: &Running, place: usize, end: Offset) {
    running.read_to("t", Partition::of(place, 0).unwrap(), end);
}

#[test]
fn what_a_table_reads_nobody_begins_to_write() {
    let world = World::new();
    for topic in ["shop.a", "x", "y", "z"] {
        make_topic(&world.log, topic, 1);
    }
    let running = world.start();
    running.sql(T);
    running.sql(TWO);
    running.sql("CREATE TABLE rows (id INT PRIMARY KEY);");
    let by_pattern = "table \"t\" finds it by topic_pattern 'shop\\..*', and the pipeline would read what it writes";
    let by_name = "table \"two\" reads it, and the pipeline would read what it writes";
    for (statement, topic, why) in [
        (S, "shop.a", by_pattern),
        (U, "shop.a", by_pattern),
        (OWN, "shop.a", by_pattern),
        (S, "x", by_name),
        (S, "y", by_name),
        (U, "y", by_name),
        (OWN, "y", by_name),
        (U, "z", "it reads that topic itself"),
        (S, "p.rows", "it is that of table \"rows\""),
        (U, "p.rows", "it is that of table \"rows\""),
        (S, "p.epochs", "the pipeline itself writes its epoch records there"),
        (U, "p.epochs", "the pipeline itself writes its epoch records there"),
        (OWN, "p.epochs", "the pipeline itself writes its epoch records there"),
    ] {
        let text = statement.replace("TOPIC", topic);
        let error = running.refusal(&text).to_string();
        assert!(error.contains(why) && error.contains(topic), "{text}: {error}");
    }
    let api = running.refusal(&S.replace("TOPIC", "shop.a"));
    let crate::EngineError::Statement(error) = api else { panic!("{api}") };
    assert_eq!(error.sqlstate, "55000");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("drop table \"t\" and make it behind the sink")));
    // What was refused has left nothing, and a table that is younger than the sink may read its topic by name.
    assert_eq!(running.sql("SHOW SINKS").remove(0).rows.len(), 0);
    running.sql(&S.replace("TOPIC", "out"));
    running.sql("CREATE TABLE back (id INT, a INT) WITH (connector = 'log', format = 'json', topic = 'out');");
    append(&world.log, "shop.a", 0, &[put(1, 7, 0)]);
    wait(&running, 0, Offset(1));
    let end = world.log.bounds(&at("out", 0)).unwrap().high;
    running.read_to("back", Partition(0), end);
    assert!(running.rows("back").contains_key(r#"{"id":1,"a":7}"#), "{:?}", running.rows("back"));
    running.stop().unwrap();
}

/// A topic is the pipeline's for ever, also in replay and out of a checkpoint.
#[test]
fn what_was_written_by_what_is_dropped_no_pattern_finds() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        for topic in ["shop.a", "z"] {
            make_topic(&world.log, topic, 1);
        }
        let mut running = world.start();
        running.sql(T);
        running.sql(&S.replace("TOPIC", "shop.out"));
        running.sql(&U.replace("TOPIC", "shop.dead"));
        running.sql(&OWN.replace("TOPIC", "shop.mine"));
        running.insert("mine", &[r#"{"id":1}"#]);
        append(&world.log, "shop.a", 0, &[put(1, 1, 1)]);
        wait(&running, 0, Offset(1));
        append(&world.log, "z", 0, &[("{}".to_string(), Some("broken".to_string()))]);
        running.read_to("u", Partition(0), Offset(1));
        running = world.again(running, between);
        running.sql("DROP SINK s; DROP TABLE u; DROP TABLE mine;");
        for topic in ["shop.out", "shop.dead", "shop.mine"] {
            assert_eq!(read(&world.log, topic, 0).len(), 1, "{topic} is there");
        }
        running = world.again(running, between);
        // It is found at the same look as they would be.
        make_topic(&world.log, "shop.z", 1);
        append(&world.log, "shop.z", 0, &[put(2, 2, 2)]);
        wait(&running, 1, Offset(1));
        running = world.again(running, between);
        assert_eq!(topics(&running, "t"), ["shop.a", "shop.z"]);
        running.sql(&T.replace("TABLE t", "TABLE later"));
        assert_eq!(topics(&running, "later"), ["shop.a", "shop.z"], "nor does the pattern of a new table");
        // Whoever names it reads it, and then it is not written again.
        running.sql("CREATE TABLE old (id INT, a INT) WITH (connector = 'log', format = 'json', topic = 'shop.out');");
        assert!(running.refusal(&S.replace("TOPIC", "shop.out")).to_string().contains("table \"old\" reads it"));
        assert_eq!(running.rows("t").len(), 2);
        running.stop().unwrap();
    }
}
