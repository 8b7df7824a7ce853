//! Sources whose topic says all of the table.

use super::*;

#[test]
fn an_upsert_source_that_expired_past_its_position_is_reconciled() {
    for between in [Between::Stop, Between::Crash] {
        let world = World::new();
        let running = filled(&world);
        running.handle.checkpoint().unwrap();
        let epoch = running.handle.shared().epoch().0;
        match between {
            Between::Stop => running.stop().unwrap(),
            _ => running.crash(),
        }
        // What is kept says nothing of 1; 2 is gone, 3 is another, 4 is new.
        append(&world.log, "t", 0, &[gone(2), put(3, 4, 0), put(4, 4, 4)]);
        world.log.trim(&at("t", 0), Offset(5)).unwrap();
        let running = world.start();
        judge(&world, &running, &[(3, 4, 0), (4, 4, 4)]);
        assert_eq!(running.handle.shared().epoch().0, Epoch(epoch.0 + 1), "one epoch");
        assert_eq!(halted(&running, "t"), None);
        running.feed("t", &[put(5, 5, 5)]);
        judge(&world, &running, &[(3, 4, 0), (4, 4, 4), (5, 5, 5)]);
        let running = world.again(running, Between::Crash);
        judge(&world, &running, &[(3, 4, 0), (4, 4, 4), (5, 5, 5)]);
    }
}

/// The delete of 1 came and went while the process was away: no offset says so.
#[test]
fn who_was_away_longer_than_tombstones_are_kept_reads_the_topic_whole() {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", COMPACTED);
    let running = filled(&world);
    running.stop().unwrap();
    append(&world.log, "t", 0, &[gone(1), put(2, 7, 7), put(9, 9, 9)]);
    vanish(&world, "t", &[0, 1, 2, 4]);
    let running = world.start();
    judge(&world, &running, &[(2, 7, 7), (3, 3, 0), (9, 9, 9)]);
    // The records before the checkpoint of the reconciled epoch are as compacted as they are.
    let running = world.again(running, Between::Crash);
    judge(&world, &running, &[(2, 7, 7), (3, 3, 0), (9, 9, 9)]);
    let epoch = running.handle.shared().epoch().0;
    let running = world.again(running, Between::Stop);
    assert_eq!(running.handle.shared().epoch().0, epoch, "at its end there was nothing to miss");
}

#[test]
fn a_topic_that_was_read_to_its_end_in_time_is_not_read_again() {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", Keeping { tombstones_ms: i64::MAX, ..COMPACTED });
    let running = filled(&world);
    let epoch = running.handle.shared().epoch().0;
    running.stop().unwrap();
    append(&world.log, "t", 0, &[put(3, 3, 1)]);
    let running = world.start();
    running.settle("t");
    assert_eq!(running.handle.shared().epoch().0, Epoch(epoch.0 + 1), "an epoch of one record");
    let record = read(&world.log, "p.epochs", 0).pop().unwrap().value.unwrap();
    assert!(!String::from_utf8(record.to_vec()).unwrap().contains("mended"));
}

/// Kill -9 before the checkpoint, and what replay needs is compacted: the journal has it, so that the epochs are what they
/// were, and what came after them is reconciled.
#[test]
fn a_range_that_was_compacted_is_replayed_from_the_journal() {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", COMPACTED);
    let running = filled(&world);
    let before = running.handle.shared().epoch();
    running.crash();
    vanish(&world, "t", &[0, 2]);
    let engine = world.open().unwrap();
    assert_eq!((engine.chain.epoch, engine.chain.timestamp), before, "it was at its end");
    drop(engine);
    append(&world.log, "t", 0, &[gone(1)]);
    let running = world.start();
    judge(&world, &running, &[(2, 1, 0), (3, 3, 0)]);
    running.crash();
    std::fs::remove_dir_all(world.data().join("journal")).unwrap();
    let running = world.start();
    judge(&world, &running, &[(2, 1, 0), (3, 3, 0)]);
    running.feed("t", &[put(5, 5, 5)]);
    running.crash();
    std::fs::remove_dir_all(world.data().join("journal")).unwrap();
    vanish(&world, "t", &[0, 2, 5]);
    assert!(world.refusal().contains("offsets 5 to 6 is not what it was"), "{}", world.refusal());
}

/// A reconciliation that dies is done again, or is done: never by half.
#[test]
fn a_crash_at_any_moment_of_a_reconciliation_changes_nothing() {
    for point in ["reconcile-read", "reconcile-staged", "commit-after", "reconcile-committed", "checkpoint-blocks"] {
        for journal in [true, false] {
            let world = World::new();
            filled(&world).stop().unwrap();
            append(&world.log, "t", 0, &[gone(2), put(3, 4, 0), put(4, 4, 4)]);
            world.log.trim(&at("t", 0), Offset(5)).unwrap();
            let failed = World { faults: fault::Failpoints::counting(), ..world };
            failed.faults.set(point, fault::Action::Error, 1);
            if let Ok(engine) = failed.open() {
                assert_eq!(point, "checkpoint-blocks", "what comes after it is no epoch's");
                drop(engine);
            }
            assert_eq!(failed.faults.hits()[point], 1);
            if !journal {
                let _ = std::fs::remove_dir_all(failed.data().join("journal"));
            }
            let world = World { faults: fault::Failpoints::counting(), ..failed };
            let running = world.start();
            judge(&world, &running, &[(3, 4, 0), (4, 4, 4)]);
            let epochs = read(&world.log, "p.epochs", 0);
            let mended = epochs.iter().filter(|record| {
                String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).contains("\"way\":\"reconciled\"")
            });
            assert_eq!(mended.count(), 1, "{point}");
        }
    }
}

/// The topic may have changed again before the epoch is replayed: what it changed is in the journal.
#[test]
fn what_a_reconciliation_changed_is_in_the_journal() {
    for point in ["commit-after", "reconcile-committed"] {
        let world = World::new();
        filled(&world).stop().unwrap();
        append(&world.log, "t", 0, &[gone(2), put(3, 4, 0), put(4, 4, 4)]);
        world.log.trim(&at("t", 0), Offset(5)).unwrap();
        world.faults.set(point, fault::Action::Error, 1);
        assert!(world.open().is_err());
        append(&world.log, "t", 0, &[put(3, 5, 0)]);
        world.log.trim(&at("t", 0), Offset(7)).unwrap();
        let running = world.start();
        running.settle("t");
        judge(&world, &running, &[(3, 5, 0), (4, 4, 4)]);
    }
}

/// While the topic is read, the delete of 1 is compacted away between its value, which was read, and its end.
#[test]
fn a_tombstone_that_goes_while_the_topic_is_read_is_not_missed() {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", COMPACTED);
    filled(&world).stop().unwrap();
    append(&world.log, "t", 0, &[gone(1), put(9, 9, 9)]);
    let seen = AtomicUsize::new(0);
    *world.log.faults.vanished.lock().unwrap() =
        Some(Box::new(move |record| match (&*record.at.topic, record.offset.0) {
            ("t", 0) => seen.fetch_add(1, Ordering::SeqCst) > 0,
            ("t", 4) => true,
            _ => false,
        }));
    // A pass takes longer than tombstones are kept.
    keep(&world, "t", Keeping { tombstones_ms: 0, ..COMPACTED });
    let running = world.start();
    judge(&world, &running, &[(2, 1, 0), (3, 3, 0), (9, 9, 9)]);
}

#[test]
fn records_that_cannot_be_decoded_are_dead_letters_once() {
    let world = World::new();
    let bad = |id: i64| (format!(r#"{{"id":{id}}}"#), Some("no".to_string()));
    let running = filled(&world);
    running.feed("t", &[bad(7)]);
    running.stop().unwrap();
    append(&world.log, "t", 0, &[put(1, 8, 8), bad(8)]);
    world.log.trim(&at("t", 0), Offset(4)).unwrap();
    keep(&world, "t", COMPACTED);
    let running = world.start();
    assert_eq!(running.rows("t"), once([row(1, 8, 8)]));
    let letters = read(&world.log, "t.dlq", 0);
    let keys: Vec<_> = letters.iter().map(|letter| letter.key.clone().unwrap()).collect();
    assert_eq!(keys, [r#"{"id":7}"#, r#"{"id":8}"#], "what was told before is not told again");
}
