//! What a source does with bad records besides sending them to the dead-letter topic: it stops before the first, or before
//! the one that is too many in a minute, says so, and goes on when it is told to. All else goes on meanwhile.

use std::sync::atomic::Ordering;

use api::Transport as _;
use plan::TableId;
use zset::{Offset, Partition};

use super::rows::once;
use super::world::{Between, Running, T, World, append, at, gone, halted, make_topic, put, read};
use crate::run::Event;

/// Table `t` with further options.
pub fn t_with(options: &str) -> String {
    T.replace("'upsert'", &format!("'upsert', {options}"))
}

/// A row of `t` that cannot be decoded.
pub fn bad(id: i64) -> (String, Option<String>) {
    (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"a\":\"x\",\"b\":1}}")))
}

/// Waits until a source is halted; answers why.
fn why_halted(running: &Running, source: &str) -> String {
    running.until(&format!("{source} is halted"), || halted(running, source).is_some());
    halted(running, source).unwrap()
}

fn position(running: &Running, table: &str, partition: i32) -> Offset {
    let sources = running.handle.shared().sources();
    sources[&(table.to_string(), table.to_string(), Partition(partition))].position
}

fn letters(world: &World, topic: &str) -> usize {
    match world.log.inner.partitions(topic).unwrap() {
        Some(partitions) => partitions.iter().map(|p| read(&world.log, topic, p.0 as u32).len()).sum(),
        None => 0,
    }
}

#[test]
fn a_source_stops_at_its_first_bad_record_and_the_others_go_on() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        make_topic(&world.log, "t", 3);
        let mut running = world.start();
        running.sql(&t_with("on_error = 'stop'"));
        running.sql(&T.replace("TABLE t", "TABLE u").replace("'t'", "'u'"));
        running.sql("CREATE STREAM TABLE v AS SELECT sum(a) AS s FROM t");
        // Each partition is read up to its own first bad record, whatever epoch it comes in.
        append(&world.log, "t", 0, &[put(1, 1, 1), put(2, 2, 2), bad(3), put(4, 4, 4)]);
        let why = why_halted(&running, "t");
        assert_eq!(
            why,
            "the record at topic \"t\" partition 0 offset 2 cannot be decoded, and on_error = 'stop': column \"a\" is \
             integer: \"x\" is not an integer. ALTER TABLE t SET (on_error = 'dead_letter') makes a dead letter of it and \
             goes on; where an option of the table is wrong, ALTER TABLE t SET mends that; ALTER TABLE t RESUME tries the \
             record again"
        );
        append(&world.log, "t", 1, &[put(5, 5, 5)]);
        let (epoch, _) = running.handle.shared().epoch();
        running = world.again(running, between);
        assert_eq!(running.show("TABLES")["t"][2..], ["HALTED".to_string(), why], "{between:?}");
        assert_eq!(running.handle.shared().epoch().0, epoch, "it is not tried again by a restart");
        assert_eq!(running.show("TABLES")["v"][2], "ACTIVE");
        running.feed("u", &[put(1, 1, 1)]);
        assert_eq!((running.rows("t").len(), running.rows("v")), (2, [(r#"{"s":3}"#.to_string(), 1)].into()));
        assert_eq!((position(&running, "t", 0), position(&running, "t", 1)), (Offset(2), Offset(0)));
        assert_eq!(letters(&world, "t.dlq"), 0);

        running.sql("ALTER TABLE t SET (on_error = 'dead_letter')");
        running.settle("t");
        assert_eq!(running.show("SOURCES")["t"][7], "ACTIVE");
        assert_eq!(letters(&world, "t.dlq"), 1);
        running = world.again(running, between);
        running.feed("t", &[bad(6)]);
        assert_eq!(running.rows("v"), [(r#"{"s":12}"#.to_string(), 1)].into());
        assert_eq!(letters(&world, "t.dlq"), 2, "what was altered stays so");
        running.stop().unwrap();
    }
}

#[test]
fn every_partition_stops_at_its_own_bad_record() {
    let world = World::new();
    make_topic(&world.log, "t", 3);
    append(&world.log, "t", 0, &[put(1, 1, 1), bad(2), put(3, 3, 3)]);
    append(&world.log, "t", 1, &[put(4, 4, 4), put(5, 5, 5)]);
    append(&world.log, "t", 2, &[bad(6), put(7, 7, 7)]);
    let running = world.start();
    running.sql(&t_with("on_error = 'stop'"));
    why_halted(&running, "t");
    for (partition, most) in [(0, 1), (1, 2), (2, 0)] {
        assert!(position(&running, "t", partition) <= Offset(most), "partition {partition}");
    }
    running.sql("ALTER TABLE t SET (on_error = 'dead_letter')");
    running.settle("t");
    assert_eq!((running.rows("t").len(), letters(&world, "t.dlq")), (5, 2));
}

#[test]
fn a_resumed_source_tries_the_record_again() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(&t_with("on_error = 'stop'"));
        // The very first record: the epoch has nothing but the halt.
        append(&world.log, "t", 0, &[bad(1), put(2, 2, 2)]);
        let why = why_halted(&running, "t");
        for _ in 0..2 {
            running = world.again(running, between);
            let (epoch, _) = running.handle.shared().epoch();
            running.sql("ALTER TABLE t RESUME");
            assert_eq!(why_halted(&running, "t"), why);
            let (now, _) = running.handle.shared().epoch();
            assert!(now.0 >= epoch.0 + 2, "it was tried, and halted again");
        }
        assert_eq!((running.rows("t").len(), letters(&world, "t.dlq")), (0, 0));
        running.sql("DROP TABLE t");
        running.sql(T);
        running.settle("t");
        assert_eq!((running.rows("t").len(), letters(&world, "t.dlq")), (1, 1), "another table of that name reads on");
    }
}

#[test]
fn a_mended_option_lets_a_halted_source_go_on() {
    let world = World::new();
    let mut running = world.start();
    running.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, n NUMERIC(12,2)) WITH (connector = 'log', topic = 't', format = 'json', \
         envelope = 'debezium', on_error = 'stop')",
    );
    let event = |id| (String::new(), Some(format!(r#"{{"op":"c","after":{{"id":{id},"n":"12.50"}}}}"#)));
    append(&world.log, "t", 0, &[event(1), event(2)]);
    let why = why_halted(&running, "t");
    assert!(why.contains("column \"n\" is numeric(12,2): \"12.50\" is not base64, as decimal_handling_mode 'precise' writes a decimal"), "{why}");
    running.sql("ALTER TABLE t SET (decimal_handling_mode = 'string')");
    running.settle("t");
    running = world.again(running, Between::Crash);
    running.feed("t", &[event(3)]);
    assert_eq!(running.rows("t"), once([1, 2, 3].map(|id| format!(r#"{{"id":{id},"n":"12.50"}}"#))));
}

#[test]
fn a_source_stops_past_its_ceiling_of_dead_letters() {
    let world = World::new();
    let mut running = world.start();
    running.sql(&t_with("max_dead_letters_per_minute = 3"));
    let many: Vec<_> = (0..20).map(bad).collect();
    append(&world.log, "t", 0, &many);
    let why = why_halted(&running, "t");
    assert!(why.starts_with("more than 3 dead letters in a minute (max_dead_letters_per_minute): the next would be"));
    assert!(why.contains("topic \"t\" partition 0 offset 3: column \"a\" is integer"), "{why}");
    assert!(why.contains("SHOW DEAD LETTERS FROM t") && why.contains("ALTER TABLE t RESUME"), "{why}");
    assert_eq!((letters(&world, "t.dlq"), position(&running, "t", 0)), (3, Offset(3)));
    for (between, count) in [(Between::Nothing, 6), (Between::Stop, 9), (Between::Crash, 12)] {
        running = world.again(running, between);
        why_halted(&running, "t");
        running.sql("ALTER TABLE t RESUME");
        running.read_to("t", Partition(0), Offset(count));
        why_halted(&running, "t");
        assert_eq!(letters(&world, "t.dlq"), count as usize, "{between:?}");
    }
    running.sql("ALTER TABLE t RESET (max_dead_letters_per_minute)");
    running.settle("t");
    assert_eq!(letters(&world, "t.dlq"), 20);
}

/// The minute is that of epochs: a restart does not begin another one, and its end does.
#[test]
fn the_minute_of_a_ceiling_lasts_over_restarts() {
    for between in [Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(&t_with("max_dead_letters_per_minute = 3"));
        running.feed("t", &[bad(1), bad(2), put(1, 1, 1)]);
        running = world.again(running, between);
        append(&world.log, "t", 0, &[bad(3), put(2, 2, 2), bad(4), put(3, 3, 3)]);
        why_halted(&running, "t");
        assert_eq!((letters(&world, "t.dlq"), position(&running, "t", 0)), (3, Offset(5)), "{between:?}");
        running.sql("ALTER TABLE t RESUME");
        running.settle("t");
        world.ahead.fetch_add(60_000, Ordering::SeqCst);
        running.feed("t", &[bad(5), bad(6), bad(7)]);
        assert_eq!(letters(&world, "t.dlq"), 7, "the next minute");
        running.stop().unwrap();
    }
}

/// A record that is not taken may have been what a later one needed.
#[test]
fn what_follows_from_a_record_that_is_not_taken_is_not_taken_either() {
    let world = World::new();
    make_topic(&world.log, "t", 2);
    let event = |op: &str, after: &str| (String::new(), Some(format!(r#"{{"op":"{op}","after":{after}}}"#)));
    append(&world.log, "t", 0, &[event("x", "null"), event("c", r#"{"id":1,"v":"a"}"#)]);
    append(&world.log, "t", 1, &[event("u", r#"{"id":1,"v":"__debezium_unavailable_value"}"#)]);
    let running = world.start();
    running.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (connector = 'log', topic = 't', format = 'json', \
         envelope = 'debezium', on_error = 'stop')",
    );
    why_halted(&running, "t");
    assert_eq!((position(&running, "t", 0), position(&running, "t", 1)), (Offset(0), Offset(0)));
    assert_eq!((running.rows("t").len(), letters(&world, "t.dlq")), (0, 0));
}

#[test]
fn a_source_that_is_not_stored_stops_too() {
    let world = World::new();
    let mut running = world.start();
    running.sql(
        "CREATE SOURCE s (id INT, a INT) WITH (connector = 'log', topic = 's', format = 'json', on_error = 'stop')",
    );
    running.sql("CREATE STREAM TABLE v AS SELECT sum(a) AS s FROM s");
    append(&world.log, "s", 0, &[put(1, 1, 1), bad(2), put(3, 3, 3)]);
    why_halted(&running, "s");
    running = world.again(running, Between::Crash);
    assert_eq!(running.rows("v"), [(r#"{"s":1}"#.to_string(), 1)].into());
    running.sql("CREATE STREAM TABLE w AS SELECT count(*) AS n FROM s");
    assert_eq!(running.rows("w"), [(r#"{"n":1}"#.to_string(), 1)].into(), "a table that is made meanwhile");
    running.sql("ALTER TABLE s SET (on_error = 'dead_letter')");
    running.settle("s");
    assert_eq!(running.rows("v"), [(r#"{"s":4}"#.to_string(), 1)].into());
}

/// Statements and other sources in the epoch in which one stops.
#[test]
fn the_rest_of_an_epoch_in_which_a_source_stops_is_committed() {
    let mut world = World::new();
    world.config.epoch_interval = std::time::Duration::from_millis(200);
    let running = world.start();
    running.sql(&t_with("on_error = 'stop'"));
    running.sql(&T.replace("TABLE t", "TABLE u").replace("'t'", "'u'"));
    running.sql("CREATE TABLE own (id INT PRIMARY KEY)");
    append(&world.log, "t", 0, &[put(1, 1, 1), gone(1), bad(2)]);
    append(&world.log, "u", 0, &[put(1, 1, 1)]);
    running.insert("own", &[r#"{"id":1}"#]);
    running.settle("u");
    why_halted(&running, "t");
    assert_eq!([running.rows("t").len(), running.rows("u").len(), running.rows("own").len()], [0, 1, 1]);
    assert_eq!(world.log.bounds(&at("t", 0)).unwrap().high, Offset(3));
    assert_eq!(position(&running, "t", 0), Offset(2));
}

/// What a reader had sent before it was ended is read again by the next one.
#[test]
fn records_of_a_reader_that_was_ended_are_nobodys() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 1)]);
    let mut record = read(&world.log, "t", 0).remove(0);
    (record.offset, record.key) = (Offset(7), Some("{\"id\":7}".into()));
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let held = world.memory.count(state::Part::Input, 7);
    running.handle.events.send(Event::Records { table: TableId(1), records: vec![record], held, ended }).unwrap();
    running.feed("t", &[put(2, 2, 2)]);
    assert_eq!((running.rows("t").len(), position(&running, "t", 0)), (2, Offset(2)));
}
