//! Sources: what of a topic is read, and when an epoch closes.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

use api::Log;
use api::Transport as _;
use zset::{Epoch, Offset, Partition};

use super::rows::{once, row_changes};
use super::wait::until;
use super::world::{Between, T, World, append, at, make_topic, put, record};
use crate::run::Event;

/// Waits until a partition is read to its end.
#[track_caller]
fn wait(running: &super::world::Running, partition: u32) {
    let end = running.log.bounds(&at("t", partition)).unwrap().high;
    running.read_to("t", Partition(partition as i32), end);
}

#[test]
fn partitions_that_come_later_are_read_from_their_first_record() {
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        let world = World::new();
        make_topic(&world.log, "t", 3);
        world.log.faults.shown.lock().unwrap().insert("t".to_string(), 1);
        let mut running = world.start();
        running.sql(&T.replace("'upsert'", "'upsert', start = 'latest'"));
        append(&world.log, "t", 0, &[put(1, 1, 1)]);
        wait(&running, 0);
        // Of the two that are new only the last has a record.
        append(&world.log, "t", 2, &[put(2, 2, 2), put(3, 3, 3)]);
        world.log.faults.shown.lock().unwrap().clear();
        wait(&running, 2);
        assert_eq!(running.rows("t").len(), 3);
        running = world.again(running, between);
        append(&world.log, "t", 1, &[put(4, 4, 4)]);
        append(&world.log, "t", 2, &[put(5, 5, 5)]);
        wait(&running, 1);
        wait(&running, 2);
        assert_eq!(running.rows("t").len(), 5);
        running = world.again(running, between);
        assert_eq!(running.rows("t").len(), 5);
        let positions = running.handle.shared().sources();
        let positions: Vec<Offset> = positions.into_values().map(|status| status.position).collect();
        assert_eq!(positions, [Offset(1), Offset(1), Offset(3)]);
    }
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let world = World::new();
    make_topic(&world.log, "t", 2);
    let running = world.start();
    running.sql(T);
    *world.log.faults.backwards.lock().unwrap() = true;
    let keys = [put(1, 1, 0), put(2, 1, 0)];
    let records =
        keys.iter().zip([1, 0]).map(|((key, value), partition)| record("t", partition, key, value.as_deref()));
    let again = keys.iter().map(|(key, _)| record("t", 0, key, Some(r#"{"id":0,"a":2,"b":0}"#)));
    world.log.append(&again.chain(records).collect::<Vec<_>>()).unwrap();
    running.settle("t");
    let rows = [r#"{"id":1,"a":1,"b":0}"#, r#"{"id":2,"a":1,"b":0}"#];
    assert_eq!(running.rows("t"), once(rows), "partition 1 is processed after partition 0");
    *world.log.faults.backwards.lock().unwrap() = false;
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("t"), once(rows));
}

#[test]
fn a_full_epoch_closes_before_its_time_and_the_others_with_the_next_statement() {
    let mut world = World::new();
    world.config.epoch_interval = Duration::from_secs(3600);
    world.config.epoch_rows_max = 3;
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 1), put(2, 2, 2), put(3, 3, 3)]);
    assert_eq!(running.rows("t").len(), 3);
    append(&world.log, "t", 0, &[put(4, 4, 4)]);
    while running.show("SOURCES")["t"][3] != "4" {
        std::thread::yield_now();
    }
    assert_eq!(running.rows("t").len(), 4);
}

/// Whatever its interval is: memory is bounded.
#[test]
fn an_epoch_of_large_records_closes_by_their_bytes() {
    let mut world = World::new();
    world.config.epoch_interval = Duration::from_secs(3600);
    make_topic(&world.log, "t", 1);
    let large = |id: i64| {
        let (key, _) = put(id, id, id);
        (key, Some(format!("{{\"id\":{id},\"more\":\"{}\"}}", "x".repeat(8 << 20))))
    };
    for id in 1..=9 {
        append(&world.log, "t", 0, &[large(id)]);
    }
    let running = world.start();
    running.sql(T);
    // 64 MiB are an epoch.
    running.read_to("t", Partition(0), Offset(8));
    running.show("SOURCES");
    assert_eq!(running.rows("t").len(), 9);
}

/// Whatever comes meanwhile, an epoch is bounded.
#[test]
fn statements_that_wait_are_committed_in_epochs_of_4096() {
    let world = World::new();
    let running = world.start();
    running.sql("CREATE TABLE k (id INT PRIMARY KEY, a INT)");
    let def = running.def("k");
    running.stop().unwrap();
    let mut answers = Vec::new();
    let running = world.start_with(|engine| {
        let handle = engine.handle();
        for id in 0..5000 {
            let (reply, answer) = channel();
            let changes = vec![row_changes(&def, &[], &[&format!(r#"{{"id":{id},"a":0}}"#)])];
            handle.events.send(Event::Write { changes, reply }).unwrap();
            answers.push(answer);
        }
    });
    let mut epochs = BTreeMap::<Epoch, usize>::new();
    for answer in answers {
        *epochs.entry(answer.recv().unwrap().unwrap()).or_default() += 1;
    }
    assert_eq!(epochs.into_values().collect::<Vec<_>>(), [4096, 904]);
    assert_eq!(running.rows("k").len(), 5000);
}

#[test]
fn asked_to_stop_it_finishes_the_epoch_that_has_begun() {
    let mut world = World::new();
    world.config.epoch_interval = Duration::from_secs(3600);
    let running = world.start();
    running.sql(T);
    append(&world.log, "t", 0, &[put(1, 1, 1), put(2, 2, 2)]);
    let received = || running.handle.shared().metrics.counts()["records_in"];
    until("the records come", || received() == 2);
    assert_eq!(running.rows("t").len(), 0, "the epoch is open");
    running.stop().unwrap();
    let engine = world.open().unwrap();
    assert_eq!((engine.last_checkpoint.0, engine.shared.tables()["t"].rows), (engine.chain.epoch, 2));
}
