//! A source of several topics: what one of them loses by itself, or that it is gone, says nothing of the others.

use plan::TableId;
use zset::Partition;

use super::*;
use crate::Engine;
use crate::run::Event;
use crate::source::Trouble;

const HOUR_MS: i64 = 3_600_000;
const COMPACTED_10_S: Keeping = Keeping { tombstones_ms: 10_000, ..COMPACTED };

/// Table t of events of topics a and b, each with a row.
fn events_of_two(world: &World) -> Running {
    make_topic(&world.log, "a", 1);
    make_topic(&world.log, "b", 1);
    let running = world.start();
    running.sql(&T.replace("upsert", "debezium").replace("topic = 't'", "topic = 'a,b'"));
    append(&world.log, "a", 0, &[created(1)]);
    append(&world.log, "b", 0, &[created(2)]);
    running.until("both are read", || running.rows("t").len() == 2);
    running
}

/// The reader of an engine whose loop does not run has read as much as it may.
fn let_it_read_no_more(world: &World, engine: &Engine, topic: &str) {
    for id in [10, 11] {
        append(&world.log, topic, 0, &[created(id)]);
        until("the records come", || engine.events.try_iter().any(|event| matches!(event, Event::Records { .. })));
    }
}

/// Which deletes a reader may have missed, if it said so since this was last asked.
fn missed(engine: &Engine) -> Option<String> {
    engine.events.try_iter().find_map(|event| match event {
        Event::SourceFailed { trouble: Trouble::Deletes(what), .. } => Some(what),
        _ => None,
    })
}

fn wait_until_missed(engine: &Engine) -> String {
    answer("the reader finds that it is behind", || missed(engine).ok_or_else(|| "it says nothing".to_string()))
}

/// The loss of one was accepted, and the next start cannot ask what it keeps.
#[test]
fn a_topic_that_is_gone_hides_no_deletes_of_another() {
    for (place, there, away) in [(0, "a", "b"), (1, "b", "a")] {
        let world = World::new();
        keep(&world, "a", COMPACTED_10_S);
        keep(&world, "b", COMPACTED_10_S);
        events_of_two(&world).stop().unwrap();
        instead(&world, away, "nowhere");
        let running = world.start();
        assert!(running.why_halted("t").contains(&format!("topic \"{away}\" partition 0")));
        running.sql("ALTER TABLE t ACCEPT LOSS");
        append(&world.log, there, 0, &[created(3)]);
        running.until("the other is read on", || running.rows("t").len() == 3);
        running.stop().unwrap();
        let engine = world.open().unwrap();
        assert_eq!(engine.keepings[&TableId(1)].get(&place), Some(&Some(COMPACTED_10_S)));
        let_it_read_no_more(&world, &engine, there);
        append(&world.log, there, 0, &[created(12)]);
        world.ahead.fetch_add(HOUR_MS, Ordering::SeqCst);
        let what = wait_until_missed(&engine);
        assert!(what.contains(&format!("topic \"{there}\" partition 0 is compacted")), "{what}");
        assert!(what.contains("for 10000 ms"), "{what}");
    }
}

/// What is not compacted may be read as late as one likes.
#[test]
fn a_topic_that_loses_no_deletes_is_not_judged_by_another() {
    let world = World::new();
    keep(&world, "a", COMPACTED_10_S);
    keep(&world, "b", Keeping { expires_after_ms: Some(1), ..Keeping::default() });
    events_of_two(&world).stop().unwrap();
    let engine = world.open().unwrap();
    let_it_read_no_more(&world, &engine, "b");
    world.ahead.fetch_add(HOUR_MS, Ordering::SeqCst);
    let key = ("t".to_string(), "b".to_string(), Partition::of(1, 0).unwrap());
    for end in [4, 5, 6] {
        append(&world.log, "b", 0, &[created(end)]);
        until("the reader looks at its topics", || {
            assert_eq!(missed(&engine), None);
            engine.shared.sources()[&key].end == Offset(end)
        });
    }
    append(&world.log, "a", 0, &[created(12)]);
    world.ahead.fetch_add(HOUR_MS, Ordering::SeqCst);
    let what = wait_until_missed(&engine);
    assert!(what.contains("topic \"a\" partition 0"), "{what}");
}
