//! The commit: nothing is lost, doubled or stuck when it aborts, is refused, is in doubt, or somebody else takes over.

use api::Log;
use api::Transport as _;
use plan::EpochRecord;
use zset::{Generation, Offset, TimestampMs};

use super::faulty_log::Fault;
use super::world::{Between, T, World, append, at, put, read, upserted};
use crate::{EngineError, Phase};

pub(super) const SINKS: &str = "
    CREATE STREAM TABLE x AS SELECT id, a FROM t;
    CREATE STREAM TABLE y AS SELECT id, b AS refused FROM t;
    CREATE SINK x_out FROM x WITH (connector = 'log', topic = 'out', format = 'json', envelope = 'upsert');
    CREATE SINK y_out FROM y WITH (connector = 'log', topic = 'out', format = 'json', envelope = 'upsert');";

fn refuse_y(world: &World) {
    *world.log.faults.refuse.lock().unwrap() =
        Some(Box::new(|record| record.value.as_ref().is_some_and(|v| v.windows(9).any(|w| w == b"\"refused\""))));
}

#[test]
fn an_aborted_transaction_is_made_again_with_the_same_records() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    world.log.faults.tried.lock().unwrap().clear();
    world.log.faults.commits.lock().unwrap().extend([Fault::Abort, Fault::Abort]);
    running.feed("t", &[put(1, 1, 10)]);
    let tried = world.log.faults.tried.lock().unwrap().clone();
    assert_eq!(tried.len(), 3);
    assert_eq!(tried[0].len(), 3, "of both sinks, and the epoch record");
    assert!(tried.iter().all(|records| *records == tried[0]));
    assert_eq!(read(&world.log, "out", 0).len(), 2, "visible once");
}

#[test]
fn a_sink_whose_record_is_refused_is_in_error_and_the_epoch_commits_without_it() {
    let world = World::new();
    let mut running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    running.feed("t", &[put(1, 1, 10)]);
    refuse_y(&world);
    running.feed("t", &[put(2, 2, 20), put(3, 3, 30)]);
    running.feed("t", &[put(4, 4, 40)]);
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        running = world.again(running, between);
        let sinks = running.show("SINKS");
        assert_eq!(sinks["x_out"][2], "ACTIVE", "the other sink of the same topic is not blamed");
        assert!(sinks["y_out"][2].contains("ERROR") && sinks["y_out"][2].contains("not wanted"), "{sinks:?}");
        assert_eq!(running.rows("y").len(), 4, "the tables know nothing of it");
    }
    let values: Vec<_> = read(&world.log, "out", 0).into_iter().map(|record| record.value.unwrap()).collect();
    let count = |name: &str| values.iter().filter(|v| String::from_utf8_lossy(v).contains(name)).count();
    assert_eq!((count("\"a\""), count("\"refused\"")), (4, 1));
}

#[test]
fn a_refused_create_sink_fails_and_nothing_of_it_is_there() {
    let world = World::new();
    let running = world.start();
    let (without, with) = SINKS.split_at(SINKS.find("CREATE SINK").unwrap());
    running.sql(&format!("{T}{without}"));
    running.feed("t", &[put(1, 1, 10), put(2, 2, 20)]);
    refuse_y(&world);
    let error = running.refusal(with);
    assert!(matches!(&error, EngineError::Statement(_)) && error.to_string().contains("not wanted"), "{error}");
    assert_eq!(running.show("SINKS").into_keys().collect::<Vec<_>>(), ["x_out"]);
    *world.log.faults.refuse.lock().unwrap() = None;
    let running = world.again(running, Between::Crash);
    running.sql(&with[with.find("CREATE SINK y_out").unwrap()..]);
    let out = [r#"{"id":1,"refused":10}"#, r#"{"id":2,"refused":20}"#];
    assert_eq!(upserted(&world.log, "out"), out, "the same keys as those of x, therefore only these");
}

#[test]
fn a_commit_in_doubt_is_found_out_by_the_next_start() {
    for fault in [Fault::DieBefore, Fault::DieAfter, Fault::Later] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{SINKS}"));
        world.log.faults.commits.lock().unwrap().push_back(fault);
        append(&world.log, "t", 0, &[put(1, 1, 10)]);
        let (phase, end) = running.end();
        assert!(matches!(end, Err(EngineError::InDoubt(_))) && matches!(phase, Phase::Failed(_)), "{phase:?}");
        let running = world.start();
        running.settle("t");
        assert_eq!(running.rows("x").len(), 1);
        assert_eq!(read(&world.log, "out", 0).len(), 2, "{fault:?}: neither lost nor doubled");
    }
}

#[test]
fn whoever_is_fenced_stops_and_writes_nothing() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    let records = read(&world.log, "p.epochs", 0).len();
    let _other = world.log.inner.writer().unwrap();
    append(&world.log, "t", 0, &[put(1, 1, 10)]);
    let handle = running.handle.clone();
    let (phase, end) = running.end();
    assert_eq!(phase, Phase::Fenced);
    assert_eq!(end.unwrap_err().exit_code(), 4);
    assert!(handle.table("t").is_err(), "it answers no more");
    assert_eq!(read(&world.log, "p.epochs", 0).len(), records);
    assert!(read(&world.log, "out", 0).is_empty());
}

#[test]
fn whoever_is_fenced_deletes_no_epoch_records() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    for id in 1..4 {
        running.feed("t", &[put(id, 1, 10)]);
        running.handle.checkpoint().unwrap();
    }
    running.feed("t", &[put(4, 1, 10)]);
    let low = || world.log.bounds(&at("p.epochs", 0)).unwrap().low;
    let before = low();
    assert!(before > Offset(0), "records below the older checkpoint are deleted");
    let _other = world.log.inner.writer().unwrap();
    running.handle.checkpoint().unwrap();
    append(&world.log, "t", 0, &[put(5, 1, 10)]);
    assert_eq!(running.end().0, Phase::Fenced);
    assert_eq!(low(), before);
}

#[test]
fn a_statement_that_is_fenced_stops_it_too() {
    let world = World::new();
    let running = world.start();
    let _other = world.log.inner.writer().unwrap();
    assert_eq!(running.refusal(T).sqlstate(), "08007", "whoever fenced it may have completed the commit");
    let (phase, end) = running.end();
    assert_eq!((phase, end.unwrap_err().exit_code()), (Phase::Fenced, 4));
}

#[test]
fn asked_to_stop_while_the_log_is_away_what_waited_is_processed_again() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    running.feed("t", &[put(1, 1, 10)]);
    *world.log.faults.away.lock().unwrap() = true;
    let tried = world.log.faults.tried.lock().unwrap().len();
    append(&world.log, "t", 0, &[put(2, 2, 20)]);
    while world.log.faults.tried.lock().unwrap().len() == tried {
        std::thread::yield_now();
    }
    running.stop().unwrap();
    *world.log.faults.away.lock().unwrap() = false;
    let running = world.start();
    running.settle("t");
    assert_eq!(running.rows("x").len(), 2);
    assert_eq!(read(&world.log, "out", 0).len(), 4, "the epoch that waited is there once");
}

#[test]
fn asked_to_stop_while_a_change_of_the_catalog_waits_nothing_of_it_is_there() {
    let changes = [
        "DROP SINK x_out",
        "DROP STREAM TABLE x CASCADE",
        "CREATE STREAM TABLE z AS SELECT a FROM t",
        "CREATE SINK z_out FROM x WITH (connector = 'log', topic = 'z', format = 'json', envelope = 'upsert')",
    ];
    let world = World::new();
    let mut running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    running.feed("t", &[put(1, 1, 10)]);
    let before = (running.show("SINKS"), running.show("STREAM TABLES"));
    for change in changes {
        *world.log.faults.away.lock().unwrap() = true;
        let tried = world.log.faults.tried.lock().unwrap().len();
        let handle = running.handle.clone();
        let asked = std::thread::spawn(move || handle.execute(change));
        while world.log.faults.tried.lock().unwrap().len() == tried {
            std::thread::yield_now();
        }
        running.stop().unwrap();
        let error = asked.join().unwrap().unwrap_err();
        assert!(matches!(error, EngineError::Stopped(_)), "{change}: {error}");
        *world.log.faults.away.lock().unwrap() = false;
        running = world.start();
        assert_eq!((running.show("SINKS"), running.show("STREAM TABLES")), before, "{change}");
    }
    running.feed("t", &[put(2, 2, 20)]);
    assert_eq!((running.rows("x").len(), read(&world.log, "out", 0).len()), (2, 4));
}

#[test]
fn epochs_are_numbered_without_gap_chained_and_never_go_back_in_time() {
    let world = World::new();
    let mut running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    world.log.faults.commits.lock().unwrap().extend([Fault::Abort, Fault::Abort]);
    for (id, between) in (1..).zip([Between::Nothing, Between::Crash, Between::Stop, Between::Crash]) {
        running = world.again(running, between);
        running.feed("t", &[put(id, 1, 1)]);
    }
    let (mut previous, mut before) = (String::new(), (Generation(0), TimestampMs(0)));
    for (number, record) in (0..).zip(read(&world.log, "p.epochs", 0)) {
        let bytes = record.value.unwrap();
        let record = EpochRecord::decode(&bytes).unwrap();
        assert_eq!((record.epoch.0, &record.previous), (number, &previous));
        previous = EpochRecord::hash(&bytes);
        // The clock of each process begins anew.
        assert!(record.generation >= before.0 && record.timestamp >= before.1, "{record:?}");
        before = (record.generation, record.timestamp);
    }
    assert_eq!(before.0, Generation(4), "one for each start");
}
