//! A topic of several that is not there: its loss is accepted, the others are read on, and so is it when it is back.

use super::*;
use zset::Partition;

const SEVERAL: &str = "CREATE TABLE t (id INT, a INT, b INT) WITH (connector = 'log', topic = 'x,y', format = 'json');";

/// Waits until t has so much of a topic.
#[track_caller]
fn wait(running: &Running, place: usize, end: i64) {
    running.read_to("t", Partition::of(place, 0).unwrap(), Offset(end));
}

/// t has 1 of x and 2, 3 of y, which is gone then.
fn without_y(world: &World, table: &str) -> Running {
    for topic in ["x", "y", "other"] {
        make_topic(&world.log, topic, 1);
    }
    let running = world.start();
    running.sql(table);
    append(&world.log, "x", 0, &[put(1, 1, 0)]);
    append(&world.log, "y", 0, &[put(2, 2, 0), put(3, 3, 0)]);
    wait(&running, 0, 1);
    wait(&running, 1, 2);
    running.stop().unwrap();
    instead(world, "y", "nowhere");
    let running = world.start();
    assert!(halted(&running, "t").is_some_and(|why| why.contains("topic \"y\" partition 0 does not exist")));
    running
}

fn notices(running: &Running, statement: &str) -> Vec<String> {
    running.sql(statement).remove(0).notices
}

fn ids(running: &Running) -> Vec<i64> {
    let id = |row: &String| serde_json::from_str::<serde_json::Value>(row).unwrap()["id"].as_i64().unwrap();
    let rows = running.rows("t");
    assert!(rows.values().all(|weight| *weight == 1), "{rows:?}");
    let mut ids: Vec<i64> = rows.keys().map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_topic_whose_absence_was_accepted_keeps_its_place() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = without_y(&world, SEVERAL);
        let told = notices(&running, "ALTER TABLE t ACCEPT LOSS");
        assert!(told.len() == 1 && told[0].contains("topic \"y\" is not in"), "{told:?}");
        assert!(told[0].contains("read on from there when it is back"), "{told:?}");
        running = world.again(running, between);
        assert_eq!(halted(&running, "t"), None, "it goes on without it");
        append(&world.log, "x", 0, &[put(4, 4, 0)]);
        wait(&running, 0, 2);
        running = world.again(running, between);
        assert!(running.refusal("ALTER TABLE t ACCEPT LOSS").to_string().contains("is lost"), "once is enough");
        append(&world.log, "y", 0, &[put(5, 5, 0)]);
        world.log.faults.instead.lock().unwrap().clear();
        wait(&running, 1, 3);
        running = world.again(running, between);
        assert_eq!(ids(&running), [1, 2, 3, 4, 5], "nothing of it is read twice, and nothing is left out");
        // Read on, it is a topic as any other again.
        running.stop().unwrap();
        instead(&world, "y", "nowhere");
        let running = world.start();
        assert!(halted(&running, "t").is_some_and(|why| why.contains("\"y\" partition 0 does not exist")));
        running.stop().unwrap();
    }
}

#[test]
fn a_topic_that_comes_back_as_another_is_for_the_user_to_judge() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = without_y(&world, SEVERAL);
        running.sql("ALTER TABLE t ACCEPT LOSS");
        running = world.again(running, between);
        append(&world.log, "other", 0, &[put(7, 7, 0), put(8, 8, 0), put(9, 9, 0)]);
        instead(&world, "y", "other");
        let why = running.why_halted("t");
        assert!(why.contains("its record at offset 1 is not the one that was read there"), "{why}");
        assert_eq!(ids(&running), [1, 2, 3]);
        assert_eq!(notices(&running, "ALTER TABLE t ACCEPT LOSS"), [""; 0]);
        wait(&running, 1, 3);
        running = world.again(running, between);
        assert_eq!(ids(&running), [1, 2, 3, 7, 8, 9]);
        running.stop().unwrap();
    }
}

#[test]
fn a_restart_says_what_becomes_of_a_topic_that_is_not_there() {
    for table in [
        SEVERAL.to_string(),
        SEVERAL.replace("id INT", "id INT PRIMARY KEY").replace("'x,y'", "'x,y', envelope = 'upsert'"),
    ] {
        for between in [Between::Nothing, Between::Crash] {
            let world = World::new();
            let mut running = without_y(&world, &table);
            let refused = running.refusal("ALTER TABLE t RESTART FROM 'x:0:0'").to_string();
            assert!(refused.contains("topic \"y\" is not in") && refused.contains("begin anew"), "{refused}");
            let told = notices(&running, "ALTER TABLE t RESTART FROM 'earliest'");
            assert!(told.len() == 1 && told[0].contains("topic \"y\" is not in"), "{told:?}");
            assert!(told[0].contains("from its first record when it is back"), "{told:?}");
            wait(&running, 0, 1);
            running = world.again(running, between);
            assert_eq!(ids(&running), [1]);
            world.log.faults.instead.lock().unwrap().clear();
            wait(&running, 1, 2);
            running = world.again(running, between);
            assert_eq!(ids(&running), [1, 2, 3]);
            running.stop().unwrap();
        }
    }
}

/// The rows of a topic that is not there do not go by themselves, whatever is the matter with the others.
#[test]
fn a_source_is_not_reconciled_without_one_of_its_topics() {
    let world = World::new();
    let table = SEVERAL.replace("id INT", "id INT PRIMARY KEY").replace("'x,y'", "'x,y', envelope = 'upsert'");
    keep(&world, "x", COMPACTED);
    let running = without_y(&world, &table);
    running.sql("ALTER TABLE t ACCEPT LOSS");
    running.stop().unwrap();
    append(&world.log, "x", 0, &[put(4, 4, 0), put(5, 5, 0)]);
    world.log.inner.trim(&at("x", 0), Offset(2)).unwrap();
    let running = world.start();
    let why = running.why_halted("t");
    assert!(why.contains("topic \"y\" is not there, and its rows would go"), "{why}");
    assert_eq!(ids(&running), [1, 2, 3]);
    running.stop().unwrap();
}
