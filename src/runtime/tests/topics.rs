//! Several topics read as one source: by name, and by a pattern that finds more of them while it runs.

use std::collections::BTreeMap;

use api::{Log as _, Transport as _};
use plan::{CatalogChange, EpochRecord};
use zset::{Offset, Partition};

use super::world::{Between, Running, World, append, at, make_topic, put, read, upserted};

const BETWEEN: [Between; 3] = [Between::Nothing, Between::Stop, Between::Crash];

/// Table t of columns id, a, b and the topic of each row.
fn create(with: &str) -> String {
    format!(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT) INCLUDE TOPIC AS of INCLUDE PARTITION AS part \
         WITH (connector = 'log', format = 'json', envelope = 'upsert', {with});"
    )
}

/// Waits until the table has all of a partition of the topic at a place.
#[track_caller]
fn wait(running: &Running, place: usize, topic: &str, number: u32) {
    let end = running.log.bounds(&at(topic, number)).unwrap().high;
    running.read_to("t", Partition::of(place, number as i32).unwrap(), end);
}

fn row(id: i64, a: i64, topic: &str, number: u32) -> (String, i64) {
    (format!(r#"{{"id":{id},"a":{a},"b":0,"of":"{topic}","part":{number}}}"#), 1)
}

/// Topic, partition and position of each row of SHOW SOURCES.
fn shown(running: &Running) -> Vec<[String; 3]> {
    let rows = running.sql("SHOW SOURCES").remove(0).rows;
    let text = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
    rows.iter().map(|row| [text(row, 1), text(row, 2), text(row, 3)]).collect()
}

fn expected(all: &[(&str, &str, &str)]) -> Vec<[String; 3]> {
    all.iter().map(|(topic, partition, next)| [topic, partition, next].map(|text| text.to_string())).collect()
}

/// The topics that the records of a pipeline's changes added to sources.
fn added(world: &World) -> Vec<Vec<String>> {
    let records = read(&world.log, "p.epochs", 0).into_iter().filter_map(|record| record.value);
    let change = |bytes: bytes::Bytes| match EpochRecord::decode(&bytes).unwrap().catalog {
        Some(CatalogChange::AddTopics { topics, .. }) => Some(topics),
        _ => None,
    };
    records.filter_map(change).collect()
}

#[test]
fn topics_that_are_named_are_read_as_one() {
    for between in BETWEEN {
        let world = World::new();
        make_topic(&world.log, "a", 2);
        make_topic(&world.log, "b", 2);
        let mut running = world.start();
        running.sql(&create("topic = 'a, b, c'"));
        assert_eq!(world.log.inner.topic("c").unwrap().map(|info| info.partitions), Some(1), "it is made");
        running.sql("CREATE STREAM TABLE n AS SELECT of, count(*) AS n FROM t GROUP BY of;");
        running
            .sql("CREATE SINK s FROM t WITH (connector = 'log', topic = 'out', format = 'json', envelope = 'upsert');");
        append(&world.log, "a", 1, &[put(1, 1, 0)]);
        append(&world.log, "b", 1, &[put(2, 2, 0), put(3, 3, 0)]);
        append(&world.log, "c", 0, &[put(4, 4, 0)]);
        for (place, topic, number) in [(0, "a", 1), (1, "b", 1), (2, "c", 0)] {
            wait(&running, place, topic, number);
        }
        running = world.again(running, between);
        append(&world.log, "b", 1, &[put(3, 5, 0)]);
        append(&world.log, "b", 0, &[put(6, 6, 0)]);
        wait(&running, 1, "b", 1);
        wait(&running, 1, "b", 0);
        running = world.again(running, between);
        let rows = [row(1, 1, "a", 1), row(2, 2, "b", 1), row(3, 5, "b", 1), row(4, 4, "c", 0), row(6, 6, "b", 0)];
        assert_eq!(running.rows("t"), BTreeMap::from(rows.clone()));
        let mut sent: Vec<String> = rows.into_iter().map(|(row, _)| row).collect();
        sent.sort();
        assert_eq!(upserted(&world.log, "out"), sent);
        running.verify();
        let places = [("a", "0", "0"), ("a", "1", "1"), ("b", "0", "1"), ("b", "1", "3"), ("c", "0", "1")];
        assert_eq!(shown(&running), expected(&places));
        running.stop().unwrap();
    }
}

/// The letter says topic and partition as they are; replayed, it is the row of that place.
#[test]
fn a_letter_of_the_second_topic_comes_back() {
    for between in BETWEEN {
        let world = World::new();
        make_topic(&world.log, "a", 1);
        make_topic(&world.log, "b", 3);
        let mut running = world.start();
        running.sql(&create("topic = 'a,b'"));
        let bad = |id: i64| (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"a\":\"1.0\",\"b\":0}}")));
        append(&world.log, "b", 2, &[bad(7), bad(8)]);
        wait(&running, 1, "b", 2);
        // What came later of key 8 is newer than its letter.
        append(&world.log, "b", 2, &[put(8, 9, 0)]);
        wait(&running, 1, "b", 2);
        running = world.again(running, between);
        let letters = read(&world.log, "t.dlq", 0);
        let header = |name: &str| {
            let (_, value) = letters[0].headers.iter().find(|(header, _)| header == name).expect(name);
            String::from_utf8(value.clone().unwrap().to_vec()).unwrap()
        };
        let place = ["topic", "partition", "offset"].map(|name| header(&format!("millstream.error.{name}")));
        assert_eq!(place, ["b", "2", "0"].map(str::to_string));
        let reply = running.sql("REPLAY DEAD LETTERS FROM t").remove(0);
        assert_eq!(reply.rows.len(), 1, "{reply:?}");
        let count = |name: &str| {
            let column = reply.columns.iter().position(|column| *column == name).expect(name);
            reply.rows[0][column].clone().unwrap()
        };
        assert_eq!((count("failed"), count("skipped")), ("1".to_string(), "1".to_string()), "{reply:?}");
        running = world.again(running, between);
        assert_eq!(running.rows("t"), [row(8, 9, "b", 2)].into());
        running.stop().unwrap();
    }
}

#[test]
fn offsets_of_each_topic_are_where_reading_begins_anew() {
    let world = World::new();
    make_topic(&world.log, "a", 1);
    make_topic(&world.log, "b", 1);
    let running = world.start();
    running.sql(&create("topic = 'a,b'"));
    append(&world.log, "a", 0, &[put(1, 1, 0), put(2, 2, 0)]);
    append(&world.log, "b", 0, &[put(3, 3, 0), put(4, 4, 0)]);
    wait(&running, 0, "a", 0);
    wait(&running, 1, "b", 0);
    running.sql("ALTER TABLE t RESTART FROM 'b:0:1,a:0:2'");
    wait(&running, 1, "b", 0);
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("t"), [row(4, 4, "b", 0)].into());
    let why = running.refusal("ALTER TABLE t RESTART FROM 'b:0:1'").to_string();
    assert!(why.contains("no offset for topic \"a\" partition 0"), "{why}");
    running.stop().unwrap();
}

#[test]
fn a_pattern_finds_what_matches_and_what_comes_later() {
    for between in BETWEEN {
        let world = World::new();
        for topic in ["shop.b", "shop.a", "my.shop.c", "shop"] {
            make_topic(&world.log, topic, 1);
        }
        let mut running = world.start();
        let before = running.refusal(&create("topic_pattern = 'market.*'")).to_string();
        assert!(before.contains("no topic") && before.contains("market"), "{before}");
        running.sql(&create("topic_pattern = 'shop\\..*', dlq_topic = 'shop.dead', start = 'latest'"));
        append(&world.log, "shop.a", 0, &[put(1, 1, 0)]);
        append(&world.log, "my.shop.c", 0, &[put(9, 9, 0)]);
        wait(&running, 0, "shop.a", 0);
        // The pipeline's own sink and dead letters match, and are not read.
        running.sql(
            "CREATE SINK s FROM t WITH (connector = 'log', topic = 'shop.out', format = 'json', envelope = 'upsert');",
        );
        append(&world.log, "shop.b", 0, &[("{\"id\":8}".to_string(), Some("broken".to_string()))]);
        wait(&running, 1, "shop.b", 0);
        running = world.again(running, between);
        make_topic(&world.log, "shop.new", 2);
        append(&world.log, "shop.new", 1, &[put(2, 2, 0), put(3, 3, 0)]);
        wait(&running, 2, "shop.new", 1);
        running = world.again(running, between);
        make_topic(&world.log, "shop.0", 1);
        append(&world.log, "shop.0", 0, &[put(4, 4, 0)]);
        append(&world.log, "shop.new", 1, &[put(2, 5, 0)]);
        wait(&running, 3, "shop.0", 0);
        wait(&running, 2, "shop.new", 1);
        running = world.again(running, between);
        let rows = [row(1, 1, "shop.a", 0), row(2, 5, "shop.new", 1), row(3, 3, "shop.new", 1), row(4, 4, "shop.0", 0)];
        assert_eq!(running.rows("t"), BTreeMap::from(rows));
        assert_eq!(added(&world), [["shop.new".to_string()], ["shop.0".to_string()]]);
        // Of a partition without records nothing is in the epoch records: the reader finds it again.
        wait(&running, 2, "shop.new", 0);
        let shown: Vec<String> = shown(&running).into_iter().map(|[topic, ..]| topic).collect();
        assert_eq!(shown, ["shop.a", "shop.b", "shop.new", "shop.new", "shop.0"], "each at its place");
        let there = running.sql(&create("topic_pattern = 'shop\\..*', dlq_topic = 'shop.dead', start = 'latest'"));
        assert!(there[0].notices.iter().any(|notice| notice.contains("already exists")), "{there:?}");
        running.stop().unwrap();
    }
}

/// Of thousands of topics one more is not a reason to ask of them all.
#[test]
fn of_a_topic_that_comes_alone_it_is_asked_what_it_keeps() {
    let world = World::new();
    for topic in ["x.a", "x.b"] {
        make_topic(&world.log, topic, 2);
    }
    let running = world.start();
    running.sql(&create("topic_pattern = 'x\\..+'"));
    append(&world.log, "x.a", 1, &[put(1, 1, 0)]);
    wait(&running, 0, "x.a", 1);
    let asked = || std::mem::take(&mut *world.log.faults.asked.lock().unwrap());
    assert_eq!(asked(), ["x.a", "x.b"], "once each");
    make_topic(&world.log, "x.c", 2);
    append(&world.log, "x.c", 0, &[put(2, 2, 0)]);
    wait(&running, 2, "x.c", 0);
    assert_eq!(asked(), ["x.c"]);
    running.stop().unwrap();
}

/// The topic has a place before any record of it is read: who dies then has it at the same place.
#[test]
fn a_topic_without_records_keeps_its_place() {
    let world = World::new();
    make_topic(&world.log, "x.a", 1);
    let running = world.start();
    running.sql(&create("topic_pattern = 'x\\..+'"));
    make_topic(&world.log, "x.z", 1);
    running.read_to("t", Partition::of(1, 0).unwrap(), Offset(0));
    running.crash();
    make_topic(&world.log, "x.b", 1);
    append(&world.log, "x.b", 0, &[put(1, 1, 0)]);
    append(&world.log, "x.z", 0, &[put(2, 2, 0)]);
    let running = world.start();
    wait(&running, 2, "x.b", 0);
    wait(&running, 1, "x.z", 0);
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("t"), [row(1, 1, "x.b", 0), row(2, 2, "x.z", 0)].into());
    assert_eq!(added(&world), [["x.z".to_string()], ["x.b".to_string()]]);
    running.stop().unwrap();
}

/// A stream table over a source that keeps nothing reads all of its topics again.
#[test]
fn a_source_of_several_topics_is_read_again() {
    let world = World::new();
    make_topic(&world.log, "a", 1);
    make_topic(&world.log, "b", 1);
    let running = world.start();
    running
        .sql("CREATE SOURCE t (id INT, a INT) INCLUDE TOPIC WITH (connector = 'log', format = 'json', topic = 'a,b');");
    append(&world.log, "a", 0, &[put(1, 1, 0)]);
    append(&world.log, "b", 0, &[put(1, 2, 0), put(2, 3, 0)]);
    wait(&running, 0, "a", 0);
    wait(&running, 1, "b", 0);
    running.sql(
        "CREATE STREAM TABLE v AS SELECT _millstream_topic AS topic, sum(a) AS a FROM t GROUP BY _millstream_topic;",
    );
    append(&world.log, "b", 0, &[put(3, 4, 0)]);
    wait(&running, 1, "b", 0);
    let running = world.again(running, Between::Crash);
    let rows = [(r#"{"topic":"a","a":1}"#.to_string(), 1), (r#"{"topic":"b","a":9}"#.to_string(), 1)];
    assert_eq!(running.rows("v"), rows.into());
    running.stop().unwrap();
}

/// A row that a query cannot take is named by its topic and its partition there.
#[test]
fn a_row_error_names_the_topic_and_the_partition() {
    let world = World::new();
    make_topic(&world.log, "a", 1);
    make_topic(&world.log, "b", 2);
    let running = world.start();
    running.sql(&create("topic = 'a,b'"));
    running.sql("CREATE STREAM TABLE q AS SELECT id, 10 / a AS q FROM t;");
    append(&world.log, "b", 1, &[put(1, 0, 0)]);
    wait(&running, 1, "b", 1);
    let error = running.error_of("q").expect("it cannot be computed");
    assert!(error.contains("topic b, partition 1, offset 0"), "{error}");
    running.stop().unwrap();
}
