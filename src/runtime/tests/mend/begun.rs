//! Partitions that were not known for long when the process died: nothing of them was missed.

use api::Transport as _;
use zset::Partition;

use super::*;

const KEPT: Keeping = Keeping { tombstones_ms: 3_600_000, ..COMPACTED };

#[track_caller]
fn wait(running: &Running, topic: &str, place: usize, number: u32) {
    let end = running.log.bounds(&at(topic, number)).unwrap().high;
    running.read_to("t", Partition::of(place, number as i32).unwrap(), end);
}

/// It was not away for long: what came since is read as it is, by itself.
fn goes_on(world: &World, topic: &str, place: usize, number: u32, rows: usize) {
    let running = world.start();
    assert_eq!(halted(&running, "t"), None);
    wait(&running, topic, place, number);
    assert_eq!(running.rows("t").len(), rows);
    let records = read(&world.log, "p.epochs", 0).into_iter().filter_map(|record| record.value);
    let mended = records.filter(|bytes| String::from_utf8_lossy(bytes).contains("\"mended\""));
    assert_eq!(mended.count(), 0, "the topic is not read whole");
}

/// A row, as a source of that envelope reads it.
fn put_as(envelope: &str, id: i64) -> (String, Option<String>) {
    if envelope == "upsert" { put(id, 1, 1) } else { created(id) }
}

const ENVELOPES: [&str; 2] = ["upsert", "debezium"];

#[test]
fn of_a_table_that_was_just_made_nothing_was_missed() {
    for envelope in ENVELOPES {
        let world = World::new();
        make_topic(&world.log, "t", 1);
        keep(&world, "t", KEPT);
        let running = world.start();
        running.sql(&T.replace("upsert", envelope));
        running.feed("t", &[put_as(envelope, 1)]);
        running.crash();
        append(&world.log, "t", 0, &[put_as(envelope, 2)]);
        goes_on(&world, "t", 0, 0, 2);
    }
}

#[test]
fn of_a_partition_that_came_later_nothing_was_missed() {
    for envelope in ENVELOPES {
        let world = World::new();
        make_topic(&world.log, "t", 2);
        keep(&world, "t", KEPT);
        world.log.faults.shown.lock().unwrap().insert("t".to_string(), 1);
        let running = world.start();
        running.sql(&T.replace("upsert", envelope));
        running.handle.checkpoint().unwrap();
        world.log.faults.shown.lock().unwrap().clear();
        append(&world.log, "t", 1, &[put_as(envelope, 1)]);
        wait(&running, "t", 0, 1);
        running.crash();
        append(&world.log, "t", 1, &[put_as(envelope, 2)]);
        goes_on(&world, "t", 0, 1, 2);
    }
}

#[test]
fn of_a_topic_that_a_pattern_found_nothing_was_missed() {
    for envelope in ENVELOPES {
        let world = World::new();
        make_topic(&world.log, "x.a", 1);
        keep(&world, "x.a", KEPT);
        keep(&world, "x.b", KEPT);
        let running = world.start();
        running.sql(&T.replace("upsert", envelope).replace("topic = 't'", "topic_pattern = 'x\\..'"));
        make_topic(&world.log, "x.b", 1);
        append(&world.log, "x.b", 0, &[put_as(envelope, 1)]);
        wait(&running, "x.b", 1, 0);
        running.crash();
        append(&world.log, "x.b", 0, &[put_as(envelope, 2)]);
        goes_on(&world, "x.b", 1, 0, 2);
    }
}
