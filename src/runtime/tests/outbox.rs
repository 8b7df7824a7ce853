//! The outbox: whatever dies, and however long the target is away, it ends with the newest row of every key, and never sees
//! what is not committed.

use api::Progress;
use zset::{Epoch, Generation};

use super::database::{Database, Fault};
use super::world::{Between, Running, T, World, append, gone, put};

const SINK: &str = "CREATE STREAM TABLE v AS SELECT id, a FROM t;
    CREATE SINK s FROM v WITH (connector = 'postgres', url = 'postgres://u@h/d', table = 't');";

/// A pipeline with the sink, whose target has one row.
fn started() -> (World, Database, Running) {
    let world = World::new();
    let database = world.database.clone();
    let running = world.start();
    running.sql(&format!("{T}{SINK}"));
    running.feed("t", &[put(1, 1, 0)]);
    database.wait_rows(&[r#"{"id":1,"a":1}"#]);
    (world, database, running)
}

/// The row of SHOW SINKS, as soon as its status begins so.
fn status(running: &Running, beginning: &str) -> Vec<String> {
    running.sink("s", |row| row[2].starts_with(beginning))
}

/// Waits until nothing waits for the target.
fn settled(running: &Running) {
    running.sink("s", |row| row[4] == "0");
}

#[test]
fn rows_present_at_the_start_are_sent_first_then_changes() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 0), put(2, 2, 0)]);
    running.sql(SINK);
    world.database.wait_rows(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":2}"#]);
    running.feed("t", &[gone(1), put(3, 3, 0)]);
    world.database.wait_rows(&[r#"{"id":2,"a":2}"#, r#"{"id":3,"a":3}"#]);
    settled(&running);
    let row = status(&running, "ACTIVE");
    assert_eq!(row, ["s", "detached", "ACTIVE", &running.handle.shared().epoch().0.to_string(), "0"]);
    assert_eq!(world.database.state().applied[0].1, 0, "a table that is new is filled without deletes");
}

#[test]
fn a_key_that_was_changed_and_changed_back_is_sent_again_after_a_crash() {
    let (world, database, running) = started();
    running.handle.checkpoint().unwrap();
    running.feed("t", &[put(1, 2, 0)]);
    database.wait_rows(&[r#"{"id":1,"a":2}"#]);
    database.set(|state| state.away = true);
    running.feed("t", &[put(1, 1, 0)]);
    // From the checkpoint on nothing has changed, all in all; but the target is in between.
    running.crash();
    database.set(|state| state.away = false);
    let _running = world.start();
    database.wait_rows(&[r#"{"id":1,"a":1}"#]);
}

#[test]
fn answers_that_are_lost_are_found_out_by_opening_again() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let (world, database, running) = started();
            settled(&running);
            let applied = database.state().applied.len();
            database.set(|state| state.faults.push_back(fault));
            running.feed("t", &[gone(1), put(2, 2, 0)]);
            database.wait("the fault", |state| state.faults.is_empty());
            let running = world.again(running, between);
            database.wait_rows(&[r#"{"id":2,"a":2}"#]);
            settled(&running);
            assert_eq!(running.show("SINKS")["s"][2], "ACTIVE");
            assert_eq!(database.state().applied.len(), applied + 1, "{between:?}, {fault:?}: applied once");
        }
    }
}

#[test]
fn the_pipeline_goes_on_while_the_target_is_away() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let (world, database, running) = started();
        database.set(|state| state.away = true);
        for epoch in 0..50 {
            running.feed("t", &[put(1, epoch, 0), put(epoch % 7, epoch, 0)]);
        }
        let row = status(&running, "WAITING");
        assert!(row[2].contains("the database is away"), "{row:?}");
        let pending: u64 = row[4].parse().unwrap();
        assert!((7..=14).contains(&pending), "as many as there are keys, not changes; in flight once more: {pending}");
        let metrics = running.handle.shared().metrics.text(running.handle.shared());
        assert!(metrics.contains(&format!("millstream_sink_outbox_rows{{sink=\"s\"}} {pending}")), "{metrics}");
        let applied = database.state().applied.len();
        let running = world.again(running, between);
        running.feed("t", &[gone(3)]);
        database.set(|state| state.away = false);
        let rows = running.rows("v");
        database.wait_rows(&rows.keys().map(String::as_str).collect::<Vec<_>>());
        settled(&running);
        assert!(database.state().applied.len() <= applied + 2, "many epochs in one transaction");
        assert_eq!(status(&running, "ACTIVE")[4], "0");
    }
}

#[test]
fn what_changes_while_a_transaction_runs_is_kept_apart_from_it() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let (world, database, running) = started();
        settled(&running);
        let tried = database.state().tried;
        database.set(|state| state.hold = true);
        running.feed("t", &[put(1, 5, 0), put(2, 5, 0)]);
        database.wait("it is in hand", |state| state.tried > tried);
        let in_hand = running.handle.shared().epoch().0;
        running.feed("t", &[put(2, 6, 0), gone(1)]);
        running.handle.checkpoint().unwrap();
        assert_eq!(running.show("SINKS")["s"][4], "4", "two keys in flight, and both again");
        let running = match between {
            Between::Nothing => Some(running),
            Between::Stop => running.stop().map(|()| None).unwrap(),
            Between::Crash => {
                running.crash();
                None
            }
        };
        // What was in hand comes to nothing.
        database.set(|state| {
            state.away = true;
            state.hold = false;
        });
        database.wait("it is not in hand any more", |state| state.in_hand == 0);
        let running = running.unwrap_or_else(|| world.start());
        database.set(|state| state.away = false);
        database.wait_rows(&[r#"{"id":2,"a":6}"#]);
        settled(&running);
        let applied = database.state().applied.clone();
        assert!(applied.contains(&(in_hand.0, 0, 2)), "{between:?}: {applied:?}");
        assert_eq!(applied.last().map(|(_, gone, come)| (*gone, *come)), Some((1, 1)), "{between:?}");
    }
}

#[test]
fn nothing_that_is_not_committed_reaches_the_target() {
    let (world, database, running) = started();
    settled(&running);
    let tried = database.state().tried;
    *world.log.faults.away.lock().unwrap() = true;
    let commits = world.log.faults.tried.lock().unwrap().len();
    append(&world.log, "t", 0, &[put(2, 2, 0)]);
    while world.log.faults.tried.lock().unwrap().len() < commits + 2 {
        std::thread::yield_now();
    }
    assert_eq!(database.state().tried, tried);
    *world.log.faults.away.lock().unwrap() = false;
    database.wait_rows(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":2}"#]);
}

#[test]
fn a_sink_made_anew_under_the_same_name_is_filled_again() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let (world, database, running) = started();
        running.sql("DROP SINK s");
        database.set(|state| {
            state.rows.clear();
            state.away = true;
        });
        running.feed("t", &[put(2, 2, 0)]);
        running.sql(SINK.split_once(";\n").unwrap().1);
        let running = world.again(running, between);
        database.set(|state| state.away = false);
        database.wait_rows(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":2}"#]);
        settled(&running);
    }
}

#[test]
fn a_target_that_is_away_or_refuses_when_the_sink_is_made() {
    let world = World::new();
    let database = world.database.clone();
    let running = world.start();
    let (table, sink) = SINK.split_once(";\n").unwrap();
    running.sql(&format!("{T}{table}"));
    running.feed("t", &[put(1, 1, 0)]);
    let other = Progress { incarnation: "another".into(), generation: Generation(1), epoch: Epoch(1) };
    database.set(|state| state.progress = Some(other));
    let refusal = running.refusal(sink).to_string();
    assert!(refusal.contains("belongs to another pipeline") && refusal.contains("incarnation another"), "{refusal}");
    assert!(running.show("SINKS").is_empty());
    database.set(|state| {
        state.progress = None;
        state.away = true;
    });
    let notices = running.sql(sink).remove(0).notices;
    assert!(notices.iter().any(|text| text.contains("the database is away")), "{notices:?}");
    assert_eq!(status(&running, "WAITING")[4], "1");
    database.set(|state| state.away = false);
    database.wait_rows(&[r#"{"id":1,"a":1}"#]);
}

#[test]
fn a_target_that_is_not_where_we_left_it_is_refused() {
    let moved = |change: &dyn Fn(&mut Progress, u64), why: &str| {
        let (world, database, running) = started();
        settled(&running);
        let (epoch, _) = running.handle.shared().epoch();
        running.stop().unwrap();
        database.set(|state| change(state.progress.as_mut().unwrap(), epoch.0));
        let running = world.start();
        running.feed("t", &[put(2, 2, 0)]);
        let row = status(&running, "ERROR");
        assert!(row[2].contains(why), "{why}: {row:?}");
        assert_eq!((database.state().rows.len(), row[4].as_str()), (1, "1"), "nothing is written, and nothing lost");
    };
    moved(&|progress, _| progress.incarnation = "another".into(), "belongs to another pipeline");
    moved(&|progress, epoch| progress.epoch = Epoch(epoch + 100), "ahead of pipeline");
    moved(&|progress, _| progress.epoch = Epoch(1), "was it restored from a backup");
    moved(&|progress, _| progress.generation = Generation(9), "later start");
}

#[test]
fn rows_that_are_refused_wait_and_the_others_go_on() {
    let (world, database, running) = started();
    database.set(|state| state.refuses = Some("column \"a\" is gone".into()));
    running.feed("t", &[put(2, 2, 0)]);
    let row = status(&running, "ERROR");
    assert!(row[2].contains("column \"a\" is gone"), "{row:?}");
    running.feed("t", &[put(3, 3, 0)]);
    assert_eq!(running.rows("v").len(), 3);
    database.set(|state| state.refuses = None);
    let _running = world.again(running, Between::Stop);
    database.wait_rows(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":2}"#, r#"{"id":3,"a":3}"#]);
}
