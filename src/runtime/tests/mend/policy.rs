//! Sources that their policy halted, and readers that fail.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use api::LogError;
use plan::TableId;

use super::*;
use crate::run::{Event, Gathered};
use crate::source::Trouble;

const ID: TableId = TableId(1);
const TURN: Duration = Duration::from_millis(10);

fn stopping() -> String {
    T.replace("'upsert'", "'upsert', on_error = 'stop'")
}

fn bad(id: i64) -> (String, Option<String>) {
    (format!(r#"{{"id":{id}}}"#), Some("no".to_string()))
}

/// Reconciling it would end the halt, and pass over the policy.
#[test]
fn a_source_that_its_policy_halted_is_reconciled_when_it_is_resumed_and_not_before() {
    let world = World::new();
    let running = world.start();
    running.sql(&stopping());
    running.feed("t", &[put(1, 1, 1), put(2, 2, 2)]);
    append(&world.log, "t", 0, &[bad(3)]);
    let why = running.why_halted("t");
    let epoch = running.handle.shared().epoch().0;
    running.stop().unwrap();
    append(&world.log, "t", 0, &[put(1, 9, 9), put(4, 4, 4)]);
    world.log.trim(&at("t", 0), Offset(3)).unwrap();
    let mut running = world.start();
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        running = world.again(running, between);
        assert_eq!(halted(&running, "t"), Some(why.clone()), "{between:?}");
        assert_eq!(running.rows("t"), once([row(1, 1, 1), row(2, 2, 2)]));
        assert_eq!(running.handle.shared().epoch().0, epoch);
    }
    running.sql("ALTER TABLE t RESUME");
    assert_eq!(halted(&running, "t"), None);
    assert_eq!(running.rows("t"), once([row(1, 9, 9), row(4, 4, 4)]), "as the topic says");
    running.feed("t", &[put(5, 5, 5)]);
    assert_eq!(running.rows("t").len(), 3);
}

/// What was gathered is processed first: the source may be halted by that, and its reader's failure is nobody's then.
#[test]
fn a_reader_that_fails_behind_a_bad_record_is_not_looked_into() {
    let mut world = World::new();
    let running = world.start();
    running.sql(&stopping());
    running.stop().unwrap();
    world.config.epoch_interval = Duration::from_secs(3600);
    let mut engine = world.open().unwrap();
    append(&world.log, "t", 0, &[bad(1)]);
    let mut gathered = Gathered::default();
    until("the record is gathered", || {
        engine.turn(&mut gathered, TURN).unwrap();
        engine.shared.metrics.counts()["records_in"] > 0
    });
    let trouble = Trouble::Log(LogError::Unusable("as it was told".into()));
    let ended = Arc::new(AtomicBool::new(false));
    engine.handle().events.send(Event::SourceFailed { table: ID, trouble, ended }).unwrap();
    until("it is halted", || {
        engine.turn(&mut gathered, TURN).unwrap();
        !engine.halts.is_empty()
    });
    assert!(engine.retried.is_empty() && engine.doubts.is_empty() && engine.lost.is_empty());
}

/// A start that failed is not a reader that failed soon again.
#[test]
fn a_reader_that_could_not_be_made_is_made_later() {
    let world = World::new();
    filled(&world).stop().unwrap();
    let mut engine = world.open().unwrap();
    // The first one looks at the topic.
    *world.log.faults.no_reader.lock().unwrap() = Some(2);
    engine.trouble(ID, Trouble::Log(LogError::Unusable("as it was told".into()))).unwrap();
    assert!(engine.doubts.contains_key(&ID), "it waits");
    until("it is looked at again", || {
        engine.turn(&mut Gathered::default(), TURN).unwrap();
        !engine.doubts.contains_key(&ID)
    });
    assert!(engine.lost.is_empty(), "{:?}", engine.lost);
    assert!(engine.sources.contains_key(&ID));
}
