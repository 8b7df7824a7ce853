//! Recovery: what is found is either continued exactly or refused, saying what, where, and what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use api::{Log, Record, Transport as _};
use bytes::Bytes;
use plan::EpochRecord;
use zset::{Epoch, Generation, Offset};

use super::wait::until;
use super::world::{Between, Running, T, World, at, put, read};
use crate::run::Event;
use crate::{EngineError, Phase, Shared, WriteError};

const SUM: &str = "CREATE STREAM TABLE s AS SELECT sum(a + b) AS v, count(*) AS n FROM t;";

/// Three epochs of one record each, after `T` and `SUM`.
fn filled(world: &World) -> Running {
    let running = world.start();
    running.sql(&format!("{T}{SUM}"));
    (1..=3).for_each(|id| running.feed("t", &[put(id, id, 10)]));
    running
}

fn forge(world: &World, forge: impl Fn(&mut Record) + Send + Sync + 'static) {
    *world.log.faults.forge.lock().unwrap() = Some(Box::new(forge));
}

fn sum_of(running: &Running) -> String {
    running.rows("s").into_keys().next().unwrap()
}

#[test]
fn replay_comes_to_the_same() {
    let world = World::new();
    let running = filled(&world);
    let (epoch, time) = running.handle.shared().epoch();
    running.crash();
    let engine = world.open().unwrap();
    assert_eq!((engine.chain.epoch, engine.chain.timestamp), (epoch, time), "as if it had not ended");
    assert_eq!(engine.last_checkpoint.0, Epoch(0), "all of it was replayed");
    drop(engine);
    let running = world.start();
    assert_eq!(sum_of(&running), r#"{"v":36,"n":3}"#);
    assert_eq!(running.handle.shared().epoch().0, epoch, "without input no epoch");
    assert_eq!(running.handle.shared().tables()["t"].rows, 3);
}

#[test]
fn a_start_after_a_stop_replays_nothing() {
    let world = World::new();
    let running = filled(&world);
    running.stop().unwrap();
    let engine = world.open().unwrap();
    assert_eq!(engine.last_checkpoint.0, engine.chain.epoch);
    assert_eq!(engine.shared.tables()["t"].rows, 3);
}

/// Kafka answers a commit before it shows it, and a broker that was killed meanwhile shows it when it is back.
#[test]
fn a_committed_record_that_is_not_shown_yet_is_waited_for() {
    let mut world = World::new();
    filled(&world).stop().unwrap();
    world.config.brokers = Some("broker:9092".into());
    let faults = Arc::clone(&world.log.faults);
    *faults.hidden.lock().unwrap() = 6;
    let hidden = Arc::clone(&faults);
    *faults.vanished.lock().unwrap() =
        Some(Box::new(move |record| record.at.topic.ends_with(".epochs") && *hidden.hidden.lock().unwrap() > 0));
    assert_eq!(sum_of(&world.start()), r#"{"v":36,"n":3}"#);
    assert_eq!(*faults.hidden.lock().unwrap(), 0, "it was looked at again");
}

/// Each partition shows it in its own time: the epoch topic may before those that the epoch read.
#[test]
fn what_an_epoch_read_is_waited_for_where_it_is_not_shown_yet() {
    let mut world = World::new();
    filled(&world).crash();
    world.config.brokers = Some("broker:9092".into());
    let faults = Arc::clone(&world.log.faults);
    *faults.hidden_of.lock().unwrap() = Some("t".into());
    *faults.hidden.lock().unwrap() = 3;
    let hidden = Arc::clone(&faults);
    *faults.vanished.lock().unwrap() = Some(Box::new(move |record| {
        &*record.at.topic == "t" && record.offset == Offset(2) && *hidden.hidden.lock().unwrap() > 0
    }));
    assert_eq!(sum_of(&world.start()), r#"{"v":36,"n":3}"#);
    assert_eq!(*faults.hidden.lock().unwrap(), 0, "it was looked at again");
}

#[test]
fn another_digest_stops_replay() {
    let mut world = World::new();
    filled(&world).crash();
    world.update("a + b", "a - b");
    let why = world.refusal();
    assert!(why.contains("came to something else") && why.contains("s: was Some(Digest"), "{why}");
    world.update("a + b", "b + a");
    assert_eq!(sum_of(&world.start()), r#"{"v":36,"n":3}"#, "another plan with the same result is fine");
}

#[test]
fn a_source_record_that_changed_stops_replay() {
    let world = World::new();
    filled(&world).crash();
    forge(&world, |record| {
        if &*record.at.topic == "t" && record.offset == Offset(1) {
            record.value = put(2, 2, 11).1.map(Bytes::from);
        }
    });
    let why = world.refusal();
    assert!(why.contains("topic \"t\" partition 0 offsets 1 to 2 is not what it was"), "{why}");
    assert!(why.contains("--data"), "it says what to do: {why}");
}

#[test]
fn a_source_that_is_trimmed_stops_replay() {
    let world = World::new();
    filled(&world).crash();
    world.log.trim(&at("t", 0), Offset(2)).unwrap();
    let why = world.refusal();
    assert!(why.contains("topic \"t\" partition 0 offsets 0 to 1"), "{why}");
    assert!(why.contains("holds offsets 2 to 3") && why.contains("--data"), "{why}");
}

#[test]
fn a_source_that_expired_behind_the_position_is_fine() {
    let world = World::new();
    filled(&world).stop().unwrap();
    world.log.trim(&at("t", 0), Offset(3)).unwrap();
    let running = world.start();
    running.feed("t", &[put(4, 4, 10)]);
    assert_eq!(sum_of(&running), r#"{"v":50,"n":4}"#);
}

#[test]
fn an_epoch_record_that_changed_breaks_the_chain() {
    let world = World::new();
    filled(&world).crash();
    forge(&world, |record| {
        if &*record.at.topic == "p.epochs" && record.offset == Offset(3) {
            let text = String::from_utf8(record.value.take().unwrap().to_vec()).unwrap();
            record.value = Some(Bytes::from(text.replace("\"timestamp\":1", "\"timestamp\":2")));
        }
    });
    let why = world.refusal();
    assert!(why.contains("\"p.epochs\" is broken at offset 4"), "{why}");
}

/// What is wrong in the last record no later one tells.
#[test]
fn the_last_epoch_record_is_held_to_its_place() {
    let world = World::new();
    let running = filled(&world);
    let last = Offset(running.handle.shared().epoch().0.0 as i64);
    running.crash();
    let (record, before) = {
        let records = read(&world.log, "p.epochs", 0);
        let text = |at: usize| String::from_utf8(records[at].value.clone().unwrap().to_vec()).unwrap();
        (text(last.0 as usize), EpochRecord::decode(text(last.0 as usize - 1).as_bytes()).unwrap())
    };
    let forgeries = [
        ("\"epoch\":5", "\"epoch\":6".to_string(), "is broken at offset 5: found epoch 6"),
        (before.incarnation.as_str(), "somebody".to_string(), "is broken at offset 5: found epoch 5"),
        ("\"table\":1,\"topic\"", "\"table\":9,\"topic\"".to_string(), "for table 9, which is at no offset"),
        ("\"start\":2", "\"start\":1".to_string(), "for table 1, which is at offset 2"),
    ];
    for (what, by, says) in forgeries {
        let forged = record.replacen(what, &by, 1);
        assert_ne!(forged, record, "{what}: {record}");
        forge(&world, move |record| {
            if &*record.at.topic == "p.epochs" && record.offset == last {
                record.value = Some(Bytes::from(forged.clone()));
            }
        });
        let why = world.refusal();
        assert!(why.contains(says), "{what}: {why}");
    }
}

#[test]
fn a_field_that_is_not_known_is_refused() {
    let world = World::new();
    filled(&world).crash();
    forge(&world, |record| {
        if &*record.at.topic == "p.epochs" {
            let text = String::from_utf8(record.value.take().unwrap().to_vec()).unwrap();
            record.value = Some(Bytes::from(text.replacen('{', "{\"news\":1,", 1)));
        }
    });
    assert!(world.refusal().contains("unknown field `news`"), "{}", world.refusal());
}

#[test]
fn a_folder_of_another_log_is_refused_and_fences_nobody() {
    let (mine, other) = (World::new(), World::new());
    filled(&mine).stop().unwrap();
    let running = filled(&other);
    let stray = World { log: other.log.clone(), ..mine };
    assert!(stray.refusal().contains("another log"), "{}", stray.refusal());
    running.feed("t", &[put(9, 9, 9)]);
    assert_eq!(running.handle.shared().phase(), Phase::Serving, "it was not fenced");
    let empty = World { log: other.log.clone(), ..World::new() };
    assert!(empty.refusal().contains("data folder is empty"), "{}", empty.refusal());
    running.feed("t", &[put(10, 9, 9)]);
    running.stop().unwrap();
}

#[test]
fn a_folder_is_refused_on_an_empty_log_and_leaves_nothing_there() {
    for between in [Between::Stop, Between::Crash] {
        let (mine, other) = (World::new(), World::new());
        let running = filled(&mine);
        match between {
            Between::Crash => running.crash(),
            _ => running.stop().unwrap(),
        }
        let stray = World { log: other.log.clone(), ..mine };
        assert!(stray.refusal().contains("has no records"), "{}", stray.refusal());
        assert!(other.log.topics().unwrap().is_empty());
    }
}

#[test]
fn a_folder_of_another_pipeline_is_refused() {
    let mut world = World::new();
    filled(&world).stop().unwrap();
    world.config.pipeline = "q".to_string();
    assert!(world.refusal().contains("belongs to pipeline \"p\""), "{}", world.refusal());
}

fn checkpoints(world: &World) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(world.data().join("state/checkpoints")).unwrap();
    let named = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().parse().unwrap(), path);
    let mut all: Vec<(u64, PathBuf)> = entries.map(|entry| named(entry.unwrap().path())).collect();
    all.sort();
    all
}

/// Cuts the manifest of a checkpoint. (Not its tables: they are links to the files of the one before.)
fn tear(checkpoint: &Path) {
    let manifest = fs::OpenOptions::new().write(true).open(checkpoint.join("manifest.json")).unwrap();
    let length = manifest.metadata().unwrap().len();
    manifest.set_len(length / 2).unwrap();
}

#[test]
fn a_torn_checkpoint_is_skipped_for_the_older_one_and_its_records_are_there() {
    let world = World::new();
    let mut running = filled(&world);
    for id in 4..=8 {
        running.handle.checkpoint().unwrap();
        running.feed("t", &[put(id, id, 10)]);
    }
    for expected in [r#"{"v":116,"n":8}"#, r#"{"v":135,"n":9}"#] {
        let kept = checkpoints(&world);
        assert_eq!(kept.len(), 2, "{kept:?}");
        let first = read(&world.log, "p.epochs", 0)[0].offset;
        assert_eq!(first, Offset(kept[0].0 as i64), "records below the older checkpoint are deleted, others kept");
        running.crash();
        tear(&kept[1].1);
        let engine = world.open().unwrap();
        assert_eq!(engine.last_checkpoint.0, Epoch(kept[0].0));
        drop(engine);
        running = world.start();
        assert_eq!(sum_of(&running), expected);
        running.handle.checkpoint().unwrap();
        running.feed("t", &[put(9, 9, 10)]);
        running.handle.checkpoint().unwrap();
        running.feed("t", &[put(9, 9, 10)]);
    }
    running.crash();
    checkpoints(&world).iter().for_each(|(_, path)| tear(path));
    assert!(world.refusal().contains("no whole checkpoint"), "{}", world.refusal());
}

#[test]
fn a_checkpoint_without_its_records_is_refused() {
    let world = World::new();
    let running = filled(&world);
    running.handle.checkpoint().unwrap();
    running.crash();
    let end = world.log.bounds(&at("p.epochs", 0)).unwrap().high;
    world.log.trim(&at("p.epochs", 0), end).unwrap();
    assert!(world.refusal().contains("they were deleted"), "{}", world.refusal());
}

/// What a target was told of one start it must not take for another's: also of one that committed nothing, and of a folder
/// that is older than the log.
#[test]
fn every_start_is_a_generation_of_its_own() {
    let world = World::new();
    filled(&world).stop().unwrap();
    let generation = || world.open().unwrap().chain.generation;
    assert_eq!((generation(), generation()), (Generation(2), Generation(3)), "neither has committed anything");
    let identity = world.data().join("identity.json");
    let older = fs::read(&identity).unwrap();
    for id in 4..=5 {
        let running = world.start();
        running.feed("t", &[put(id, id, 10)]);
        running.crash();
    }
    fs::write(identity, older).unwrap();
    assert_eq!(generation(), Generation(6), "the log knows of those that the folder does not");
}

/// Where the record of a checkpoint of an earlier start lies is not known: until it is pruned all are kept.
#[test]
fn the_records_of_checkpoints_of_earlier_starts_stay() {
    let mut world = World::new();
    world.config.checkpoints_kept = 3;
    let running = filled(&world);
    for id in 4..=5 {
        running.handle.checkpoint().unwrap();
        running.feed("t", &[put(id, id, 10)]);
    }
    running.crash();
    let running = world.start();
    running.handle.checkpoint().unwrap();
    running.feed("t", &[put(6, 6, 10)]);
    running.crash();
    let kept = checkpoints(&world);
    assert_eq!(kept.len(), 3, "{kept:?}");
    kept[1..].iter().for_each(|(_, path)| tear(path));
    let engine = world.open().unwrap();
    assert_eq!(engine.last_checkpoint.0, Epoch(kept[0].0));
    assert_eq!(engine.shared.tables()["t"].rows, 6);
}

/// Their files may be large: the loop does not stand still for them.
#[test]
fn old_checkpoints_are_deleted_beside_the_loop() {
    let mut world = World::new();
    world.config.checkpoints_kept = 1;
    let running = filled(&world);
    running.handle.checkpoint().unwrap();
    running.feed("t", &[put(4, 4, 10)]);
    running.crash();
    let mut engine = world.open().unwrap();
    let older = checkpoints(&world);
    engine.start_checkpoint().unwrap();
    until("the checkpoint is made, of which the loop takes no note yet", || engine.checkpoint_is_due());
    let kept = checkpoints(&world);
    assert!(kept.len() == 1 && kept[0].0 > older[0].0, "{older:?}, then {kept:?}");
}

#[test]
fn asked_to_stop_while_it_recovers_it_does() {
    let world = World::new();
    filled(&world).crash();
    let shared = Arc::<Shared>::default();
    shared.ask_to_stop();
    assert!(matches!(world.open_with(shared), Err(EngineError::Stopped(_))));
    assert_eq!(sum_of(&world.start()), r#"{"v":36,"n":3}"#);
}

#[test]
fn asked_when_it_is_stopping_it_says_that_nothing_was_begun() {
    let world = World::new();
    filled(&world).crash();
    let mut engine = world.open().unwrap();
    let handle = engine.handle();
    handle.shared().ask_to_stop();
    let (written, executed, made) = (channel(), channel(), channel());
    let events = [
        Event::Write { changes: Vec::new(), reply: written.0 },
        Event::Execute { text: "DROP STREAM TABLE s".to_string(), reply: executed.0 },
        Event::Checkpoint { reply: made.0 },
    ];
    events.into_iter().for_each(|event| handle.events.send(event).unwrap());
    engine.run().unwrap();
    drop(engine);
    assert!(matches!(written.1.recv().unwrap(), Err(WriteError::Engine(EngineError::Stopped(_)))));
    assert!(matches!(executed.1.recv().unwrap(), Err(EngineError::Stopped(_))));
    assert!(matches!(made.1.recv().unwrap(), Err(EngineError::Stopped(_))));
}
