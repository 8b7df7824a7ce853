//! An outbox past its bound: the pipeline goes on, and when the target is back it is brought together with its table, whatever
//! dies meanwhile. What is not the sink's stays, and what is right already is not written again.

use super::database::{Database, Fault};
use super::world::{Between, Running, T, World, gone, put};
use crate::Engine;
use crate::sink::Way;

const SINK: &str = "CREATE STREAM TABLE v AS SELECT id, a FROM t;
    CREATE SINK s FROM v WITH (connector = 'postgres', url = 'postgres://u@h/d', table = 't', outbox_rows_max = 3);";

/// A pipeline whose target has rows 1 to 3 and one that is not the sink's, is away, and has missed more than may wait.
fn missed() -> (World, Database, Running) {
    let world = World::new();
    let database = world.database.clone();
    let running = world.start();
    running.sql(&format!("{T}{SINK}"));
    running.feed("t", &[put(1, 1, 0), put(2, 2, 0), put(3, 3, 0)]);
    database.wait_rows(&[row(1, 1), row(2, 2), row(3, 3)].each_ref().map(String::as_str));
    in_step(&running);
    database.set(|state| {
        state.rows.insert(r#"{"id":100}"#.into(), row(100, 100));
        state.away = true;
    });
    running.feed("t", &[gone(1), put(2, 20, 0), put(4, 4, 0), put(5, 5, 0)]);
    // From now on only a comparison is tried.
    running.sink("s", |row| row[2] == "RESYNCHRONISING: the database is away");
    (world, database, running)
}

fn row(id: i32, a: i32) -> String {
    format!(r#"{{"id":{id},"a":{a}}}"#)
}

/// Waits until the target has these rows and the one that is not ours.
fn wait(database: &Database, rows: &[(i32, i32)]) {
    let mut rows: Vec<String> = rows.iter().chain(&[(100, 100)]).map(|(id, a)| row(*id, *a)).collect();
    rows.sort();
    database.wait_rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Waits until nothing waits for the target.
#[track_caller]
fn in_step(running: &Running) {
    running.sink("s", |row| row[2] == "ACTIVE" && row[4] == "0");
}

fn metrics(running: &Running) -> String {
    running.handle.shared().metrics.text(running.handle.shared())
}

#[test]
fn only_the_difference_is_applied_and_changes_follow() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let (world, database, running) = missed();
        let row = running.sink("s", |row| row[2] == "RESYNCHRONISING: the database is away");
        assert_ne!(row[4], "0", "not everything is there");
        assert!(metrics(&running).contains("millstream_sink_resynchronising{sink=\"s\"} 1"));
        running.handle.checkpoint().unwrap();
        let running = world.again(running, between);
        // A row that the target had goes, one comes again, one that it never had comes and goes.
        running.feed("t", &[gone(3), put(1, 10, 0), put(6, 6, 0)]);
        running.feed("t", &[gone(6), put(1, 1, 0)]);
        assert_eq!(running.rows("v").len(), 4, "the pipeline goes on");
        let applied = database.state().applied.len();
        database.set(|state| state.away = false);
        wait(&database, &[(1, 1), (2, 20), (4, 4), (5, 5)]);
        in_step(&running);
        {
            let state = database.state();
            let counts: Vec<_> = state.applied[applied..].iter().map(|(_, gone, come)| (*gone, *come)).collect();
            assert_eq!(counts, [(2, 3)], "{between:?}: 3 and 6 go, 2, 4 and 5 come, and 1 is as it was");
            assert_eq!(state.resynchronised, 1);
        }
        assert!(metrics(&running).contains("millstream_sink_resynchronising{sink=\"s\"} 0"));
        running.feed("t", &[put(7, 7, 0), gone(5)]);
        wait(&database, &[(1, 1), (2, 20), (4, 4), (7, 7)]);
        assert_eq!(database.state().resynchronised, 1, "what follows are changes");
    }
}

#[test]
fn whatever_dies_in_the_middle_it_comes_to_the_table() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let (world, database, running) = missed();
            database.set(|state| {
                state.hold = true;
                state.faults.push_back(fault);
                state.away = false;
            });
            database.wait("it is in hand", |state| state.in_hand > 0);
            // Behind the epoch at which it is compared: one goes that is being written, one comes that is being deleted.
            running.feed("t", &[gone(2), put(1, 11, 0)]);
            running.handle.checkpoint().unwrap();
            database.set(|state| state.hold = false);
            database.wait("the fault", |state| state.faults.is_empty() && state.in_hand == 0);
            let running = world.again(running, between);
            wait(&database, &[(1, 11), (3, 3), (4, 4), (5, 5)]);
            in_step(&running);
            running.feed("t", &[gone(1)]);
            wait(&database, &[(3, 3), (4, 4), (5, 5)]);
        }
    }
}

#[test]
fn more_than_may_wait_changes_while_it_is_compared() {
    for between in [Between::Nothing, Between::Crash] {
        let (world, database, running) = missed();
        database.set(|state| {
            state.hold = true;
            state.away = false;
        });
        database.wait("it is in hand", |state| state.in_hand > 0);
        running.feed("t", &[gone(2), gone(3), put(1, 11, 0), put(6, 6, 0)]);
        running.handle.checkpoint().unwrap();
        if between == Between::Crash {
            database.set(|state| state.away = true);
        }
        database.set(|state| state.hold = false);
        database.wait("it is not in hand", |state| state.in_hand == 0);
        let running = world.again(running, between);
        database.set(|state| state.away = false);
        wait(&database, &[(1, 11), (4, 4), (5, 5), (6, 6)]);
        in_step(&running);
    }
}

#[test]
fn a_checkpoint_from_before_the_mark_gathers_again() {
    let (world, database, running) = missed();
    // No checkpoint has the mark, nor what was missed.
    running.crash();
    let running = world.start();
    running.feed("t", &[gone(4)]);
    database.set(|state| state.away = false);
    wait(&database, &[(2, 20), (3, 3), (5, 5)]);
    in_step(&running);
}

#[test]
fn a_target_that_is_somebody_elses_by_now_is_not_touched() {
    let (_world, database, running) = missed();
    database.set(|state| {
        state.progress.as_mut().unwrap().incarnation = "another".into();
        state.away = false;
    });
    let row = running.sink("s", |row| row[2].starts_with("ERROR"));
    assert!(row[2].contains("belongs to another pipeline"), "{row:?}");
    assert_eq!(database.state().rows.len(), 4, "{:?}", database.state().rows);
}

#[test]
fn a_new_sink_of_a_table_with_more_rows_is_filled_by_comparing() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let database = world.database.clone();
        let running = world.start();
        running.sql(T);
        running.feed("t", &[put(1, 1, 0), put(2, 2, 0), put(3, 3, 0), put(4, 4, 0)]);
        database.set(|state| {
            state.rows.insert(r#"{"id":100}"#.into(), row(100, 100));
            state.away = true;
        });
        running.sql(SINK);
        assert!(running.sink("s", |row| row[2].starts_with("RESYNCHRONISING"))[4] != "0");
        let running = world.again(running, between);
        running.feed("t", &[gone(1), put(5, 5, 0)]);
        database.set(|state| state.away = false);
        wait(&database, &[(2, 2), (3, 3), (4, 4), (5, 5)]);
        in_step(&running);
        running.feed("t", &[gone(2)]);
        wait(&database, &[(3, 3), (4, 4), (5, 5)]);
    }
}

/// Another bound for keys that are gone, and for how many of an outbox's rows are looked at in a turn.
fn bounds(engine: &mut Engine, gone_max: u64, drained_rows: usize) {
    let outboxes = engine.sinks.values_mut().filter_map(|sink| match &mut sink.way {
        Way::Outbox(outbox) => Some(outbox),
        _ => None,
    });
    outboxes.for_each(|outbox| outbox.with_bounds(gone_max, drained_rows));
}

#[test]
fn what_changes_while_it_is_compared_follows_however_much_it_is() {
    let (world, database, running) = missed();
    database.set(|state| {
        state.hold = true;
        state.away = false;
    });
    database.wait("it is in hand", |state| state.in_hand > 0);
    let many = |from: i64, a: i64| (from..from + 5).map(|id| put(id, a, 0)).collect::<Vec<_>>();
    running.feed("t", &many(10, 1));
    database.set(|state| state.passes = 1);
    // The changes are in hand, and as many again come meanwhile.
    database
        .wait("the changes are in hand", |state| state.resynchronised == 1 && state.in_hand == 1 && state.passes == 0);
    running.feed("t", &many(10, 2));
    running.sink("s", |row| row[2] == "ACTIVE" && row[4] == "10");
    running.handle.checkpoint().unwrap();
    database.set(|state| state.hold = false);
    let rows = [(2, 20), (3, 3), (4, 4), (5, 5), (10, 2), (11, 2), (12, 2), (13, 2), (14, 2)];
    wait(&database, &rows);
    running.sink("s", |row| row[4] == "0");
    assert_eq!(database.state().resynchronised, 1);
    // From a checkpoint in between they go on as they were.
    let running = world.again(running, Between::Crash);
    running.feed("t", &[put(1, 1, 0)]);
    let rows = [(1, 1), (2, 20), (3, 3), (4, 4), (5, 5), (10, 2), (11, 2), (12, 2), (13, 2), (14, 2)];
    wait(&database, &rows);
    in_step(&running);
    assert_eq!(database.state().resynchronised, 1);
    // It holds its bound again.
    database.set(|state| state.away = true);
    running.feed("t", &many(10, 3)[..4]);
    running.sink("s", |row| row[2].starts_with("RESYNCHRONISING"));
}

#[test]
fn more_than_the_table_while_it_is_compared_is_compared_again() {
    let (world, database, running) = missed();
    running.stop().unwrap();
    let running = world.start_with(|engine| bounds(engine, 2, 1));
    database.set(|state| {
        state.hold = true;
        state.away = false;
    });
    database.wait("it is in hand", |state| state.in_hand > 0);
    // Four rows, five keys.
    running.feed("t", &[put(4, 40, 0), put(3, 30, 0), put(2, 2, 0), put(5, 50, 0), put(6, 6, 0)]);
    running.feed("t", &[gone(6)]);
    running.sink("s", |row| row[2].starts_with("RESYNCHRONISING"));
    database.set(|state| state.hold = false);
    wait(&database, &[(2, 2), (3, 30), (4, 40), (5, 50)]);
    in_step(&running);
    assert_eq!(database.state().resynchronised, 2);
}

#[test]
fn a_comparison_that_fails_still_knows_what_is_gone() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let (world, database, running) = missed();
        database.set(|state| {
            state.hold = true;
            state.faults.push_back(Fault::DieBefore);
            state.away = false;
        });
        database.wait("it is in hand", |state| state.in_hand > 0);
        // Row 1 is gone since before the comparison, row 3 since it began.
        running.feed("t", &[gone(3)]);
        running.handle.checkpoint().unwrap();
        database.set(|state| state.away = between != Between::Nothing);
        database.set(|state| state.hold = false);
        database.wait("it has failed", |state| state.in_hand == 0);
        let running = world.again(running, between);
        database.set(|state| state.away = false);
        wait(&database, &[(2, 20), (4, 4), (5, 5)]);
        in_step(&running);
    }
}

#[test]
fn what_is_dropped_is_looked_at_in_parts_and_over_a_start() {
    for between in [Between::Stop, Between::Crash] {
        let (world, database, running) = missed();
        database.set(|state| state.away = false);
        wait(&database, &[(2, 20), (3, 3), (4, 4), (5, 5)]);
        in_step(&running);
        running.stop().unwrap();
        database.set(|state| state.away = true);
        // Nothing of it is looked at before the next start.
        let running = world.start_with(|engine| bounds(engine, 100, 0));
        running.feed("t", &[gone(2), gone(3), put(4, 40, 0)]);
        running.feed("t", &[put(6, 6, 0)]);
        running.sink("s", |row| row[2].starts_with("RESYNCHRONISING"));
        // Of what is to be looked at one comes again, and another goes.
        running.feed("t", &[put(3, 30, 0), gone(4)]);
        running.handle.checkpoint().unwrap();
        let running = world.again(running, between);
        database.set(|state| state.away = false);
        wait(&database, &[(3, 30), (5, 5), (6, 6)]);
        in_step(&running);
    }
}

#[test]
fn more_keys_that_are_gone_than_can_be_kept_are_the_end_of_the_sink_alone() {
    let (world, database, running) = missed();
    running.stop().unwrap();
    let running = world.start_with(|engine| bounds(engine, 2, 100));
    running.feed("t", &[gone(2)]);
    running.sink("s", |row| row[2].starts_with("RESYNCHRONISING"));
    assert!(metrics(&running).contains("millstream_sink_outbox_rows{sink=\"s\"}"));
    running.feed("t", &[gone(3)]);
    let row = running.sink("s", |row| row[2].starts_with("ERROR"));
    assert!(row[2].contains("3 rows have gone") && row[2].contains("CREATE it again") && row[4] == "0", "{row:?}");
    let text = metrics(&running);
    let shown: Vec<_> = text.lines().filter(|line| line.contains("{sink=\"s\"}")).collect();
    assert_eq!(shown, ["millstream_sink_records_total{sink=\"s\"} 2"], "what waited is not shown for ever");
    database.set(|state| state.away = false);
    running.feed("t", &[put(8, 8, 0)]);
    assert_eq!(running.rows("v").len(), 3, "the pipeline goes on");
    let running = world.again(running, Between::Stop);
    running.feed("t", &[put(9, 9, 0)]);
    assert!(running.show("SINKS")["s"][2].contains("3 rows have gone"));
    assert_eq!(database.state().rows.len(), 4, "nothing more reaches the target");
    assert!(!metrics(&running).contains("{sink=\"s\"}"));
}
