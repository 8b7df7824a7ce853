//! Backlogs in the engine: a topic that refuses records gets all of them later, once and in their order; a new sink of many rows is
//! filled by small epochs.

use super::world::{Between, Running, T, World, gone, put, read, upserted};

/// A sink that will be refused, and one like it that will not.
const SINKS: &str =
    "CREATE SINK s FROM t WITH (connector = 'log', topic = 's', format = 'json', envelope = 'debezium');
    CREATE SINK control FROM t WITH (connector = 'log', topic = 'control', format = 'json', envelope = 'debezium');";

/// From now on, the records of a topic that have this in their values are refused.
fn refuse(world: &World, topic: &'static str, word: &'static str) {
    let refused = move |record: &api::OutRecord| {
        let value = record.value.as_deref().unwrap_or_default();
        &*record.to.topic == topic && (word.is_empty() || String::from_utf8_lossy(value).contains(word))
    };
    *world.log.faults.refuse.lock().unwrap() = Some(Box::new(refused));
}

fn permit(world: &World) {
    *world.log.faults.refuse.lock().unwrap() = None;
}

/// Waits until a sink's status begins so; answers its epoch and what waits.
fn wait(running: &Running, sink: &str, status: &str) -> (String, String) {
    let row = running.sink(sink, |row| row[2].starts_with(status) && (status != "ACTIVE" || row[4] == "0"));
    (row[3].clone(), row[4].clone())
}

/// The records of a topic: time, key, value; of an epoch in the order of their keys, and of a key in theirs.
fn records(world: &World, topic: &str) -> Vec<String> {
    let text = |part: &Option<bytes::Bytes>| part.as_ref().map(|bytes| String::from_utf8_lossy(bytes).to_string());
    let show =
        |record: api::Record| format!("{} {:?} {:?}", record.timestamp.0, text(&record.key), text(&record.value));
    let mut records = read(&world.log, topic, 0);
    assert!(records.is_sorted_by_key(|record| record.timestamp), "epoch by epoch");
    records.sort_by_key(|record| (record.timestamp, record.key.clone()));
    records.into_iter().map(show).collect()
}

/// CRASH_POINTS, row 14: the others go on meanwhile, and in the end nothing is missing and nothing there twice.
#[test]
fn what_a_topic_refused_it_gets_later() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{SINKS}"));
        running.feed("t", &[put(1, 1, 1), put(2, 2, 2)]);
        let before = records(&world, "s");
        refuse(&world, "s", "");
        running.feed("t", &[put(1, 10, 1), put(3, 3, 3)]);
        let (epoch, pending) = wait(&running, "s", "ERROR: topic \"s\" refused a record: it is not wanted");
        assert_eq!((epoch.as_str(), pending.as_str()), ("4", "2"), "{between:?}");
        running.feed("t", &[gone(2), put(1, 1, 1)]);
        assert_eq!(wait(&running, "s", "ERROR").1, "5", "a delete is two records");
        assert_eq!(wait(&running, "control", "ACTIVE").1, "0");
        assert_eq!(records(&world, "s"), before);
        let running = world.again(running, between);
        running.feed("t", &[put(4, 4, 4)]);
        assert_eq!(wait(&running, "s", "ERROR").1, "6");
        permit(&world);
        wait(&running, "s", "ACTIVE");
        running.feed("t", &[put(5, 5, 5)]);
        let running = world.again(running, between);
        assert_eq!(records(&world, "s"), records(&world, "control"), "{between:?}");
        assert_eq!(records(&world, "s").len(), 9);
        running.stop().unwrap();
    }
}

/// What waits is written together with what comes, record by record behind each other.
#[test]
fn replay_comes_to_the_same_backlog() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    refuse(&world, "s", "");
    for at in 0..20 {
        running.feed("t", &[put(at % 3, at, 1)]);
    }
    let running = world.again(running, Between::Crash);
    assert_eq!(wait(&running, "s", "ERROR").1, "20");
    permit(&world);
    wait(&running, "s", "ACTIVE");
    assert_eq!(records(&world, "s"), records(&world, "control"));
    // The epochs that gathered and released are all replayed.
    let running = world.again(running, Between::Crash);
    running.feed("t", &[put(9, 9, 9)]);
    assert_eq!(records(&world, "s"), records(&world, "control"));
    running.stop().unwrap();
}

/// SIMULATION_SEED=7711110: the rows of a statement have another order than those of its records, which replay reads.
#[test]
fn what_waits_has_one_order() {
    let world = World::new();
    let running = world.start();
    running.sql(
        "CREATE TABLE l (x TEXT, n INT);
        CREATE SINK s FROM l WITH (connector = 'log', topic = 's', format = 'json', envelope = 'debezium');",
    );
    refuse(&world, "s", "");
    let (a, b) = (r#"{"x":"a","n":1}"#, r#"{"x":"b","n":1}"#);
    for rows in [[a, b], [b, a]] {
        running.insert("l", &rows);
    }
    let running = world.again(running, Between::Crash);
    permit(&world);
    wait(&running, "s", "ACTIVE");
    let running = world.again(running, Between::Crash);
    assert_eq!(records(&world, "s").len(), 4);
    running.stop().unwrap();
}

/// CRASH_POINTS, row 20.
#[test]
fn a_new_sink_of_many_rows_is_filled_by_small_epochs() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let mut world = World::new();
        world.config.epoch_rows_max = 4;
        let running = world.start();
        running.sql(T);
        let rows: Vec<_> = (0..30).map(|id| put(id, id, 1)).collect();
        running.feed("t", &rows);
        // It dies, or goes on, when two of the small epochs are committed.
        world.faults.set("backlog-release", fault::Action::Error, 3);
        running.sql("CREATE SINK s FROM t WITH (connector = 'log', topic = 's', format = 'json', envelope = 'upsert')");
        let (_, end) = running.end();
        assert!(end.unwrap_err().to_string().contains("backlog-release"));
        assert_eq!(records(&world, "s").len(), 12, "that of the sink, and two more");
        let running = world.start();
        running.feed("t", &[gone(7), put(8, 80, 1)]);
        wait(&running, "s", "ACTIVE");
        let running = world.again(running, between);
        assert_eq!(records(&world, "s").len(), 32);
        assert_eq!(upserted(&world.log, "s").len(), 29);
        let tried = world.log.faults.tried.lock().unwrap();
        let most = tried.iter().map(|of| of.iter().filter(|record| &*record.to.topic == "s").count()).max();
        assert_eq!(most, Some(4), "no epoch has more");
        drop(tried);
        running.stop().unwrap();
    }
}

#[test]
fn a_topic_that_is_gone_or_another_is_not_waited_for() {
    for instead in ["nowhere", "anew", "fewer"] {
        let world = World::new();
        super::world::make_topic(&world.log, "anew", 1);
        super::world::make_topic(&world.log, "fewer", 1);
        let partitions = if instead == "fewer" { 3 } else { 1 };
        super::world::make_topic(&world.log, "s", partitions);
        let running = world.start();
        running.sql(&format!("{T}{SINKS}"));
        running.feed("t", &[put(1, 1, 1)]);
        refuse(&world, "s", "");
        running.feed("t", &[put(2, 2, 2)]);
        wait(&running, "s", "ERROR: topic \"s\" refused");
        world.log.faults.instead.lock().unwrap().insert("s".into(), instead.into());
        let why = match instead {
            "anew" | "fewer" => "ERROR: topic \"s\" is not the one that was written to",
            _ => "ERROR: topic \"s\" does not exist any more",
        };
        assert_eq!(wait(&running, "s", why).1, "0", "nothing waits");
        permit(&world);
        world.log.faults.instead.lock().unwrap().clear();
        let running = world.again(running, Between::Crash);
        running.feed("t", &[put(3, 3, 3)]);
        let running = world.again(running, Between::Stop);
        assert_eq!(wait(&running, "s", why).1, "0");
        let there = (0..partitions).map(|partition| read(&world.log, "s", partition).len());
        assert_eq!(there.sum::<usize>(), 1, "it gets nothing more");
        running.stop().unwrap();
    }
}

#[test]
fn what_waits_is_bounded() {
    let world = World::new();
    let running = world.start();
    let sink = "CREATE SINK s FROM t WITH (connector = 'log', topic = 's', format = 'json', envelope = 'debezium', \
        outbox_rows_max = 3)";
    running.sql(&format!("{T}{sink}"));
    refuse(&world, "s", "");
    let rows: Vec<_> = (0..4).map(|id| put(id, 1, 1)).collect();
    running.feed("t", &rows);
    let why = "ERROR: topic \"s\" refused a record: it is not wanted; 4 records waited, more than outbox_rows_max = 3";
    assert_eq!(wait(&running, "s", why).1, "0");
    let running = world.again(running, Between::Crash);
    assert_eq!(wait(&running, "s", why).1, "0");
    running.stop().unwrap();
}

/// Where the disk gives back what was not written to it, the process goes on, and the sink can be dropped.
#[test]
fn a_damaged_backlog_is_an_error_of_its_sink_alone() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    running.stop().unwrap();
    let running = world.start_with(|engine| {
        let sink = engine.sinks.values_mut().find(|sink| sink.def.name == "s").unwrap();
        let crate::sink::Way::Topic(backlog) = &mut sink.way else { panic!("it has a backlog") };
        backlog.gather(&[b"no record".as_slice()].into_iter().collect(), None);
    });
    running.sink("s", |row| row[2].contains("damaged"));
    running.feed("t", &[put(1, 1, 1)]);
    assert_eq!(records(&world, "control").len(), 1, "the other sink goes on");
    assert!(records(&world, "s").is_empty());
    running.sql("DROP SINK s");
    running.feed("t", &[put(2, 2, 2)]);
    assert_eq!(records(&world, "control").len(), 2);
}
