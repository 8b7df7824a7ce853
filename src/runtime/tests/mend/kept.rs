//! What a replay needs of topics that lose it: in the journal, or in a checkpoint.

use plan::TableId;
use zset::Partition;

use super::*;
use crate::ddl::Origin;

/// What a right or an answer is missing for may be lost all the same.
#[test]
fn what_is_read_of_a_topic_of_which_nothing_is_known_is_in_the_journal() {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", COMPACTED);
    *world.log.faults.undescribed.lock().unwrap() = true;
    let running = filled(&world);
    running.crash();
    vanish(&world, "t", &[0, 2]);
    let running = world.start();
    judge(&world, &running, &[(1, 1, 0), (2, 1, 0), (3, 3, 0)]);
    *world.log.faults.undescribed.lock().unwrap() = false;
    let mut engine = {
        running.stop().unwrap();
        world.open().unwrap()
    };
    assert_eq!(engine.keepings[&TableId(1)][&0], Some(COMPACTED), "it is asked again");
    engine.checkpoint_now().unwrap();
}

/// The records that they were of are there too where the source's topic may lose them, with the same offsets, keys and values.
#[test]
fn letters_that_were_replayed_are_in_the_journal() {
    let expires = Keeping { expires_after_ms: Some(1), ..Keeping::default() };
    for topics in [["t.dlq"].as_slice(), &["t.dlq", "t"]] {
        let world = World::new();
        topics.iter().for_each(|topic| keep(&world, topic, expires));
        replays_letters_from_the_journal(&world);
    }
}

fn replays_letters_from_the_journal(world: &World) {
    let running = world.start();
    running.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, n NUMERIC(12,2)) WITH (connector = 'log', topic = 't', format = 'json', \
         envelope = 'upsert', decimal_handling_mode = 'precise')",
    );
    let text = |id: i64| (id.to_string(), Some(r#"{"n":"1.5"}"#.to_string()));
    running.feed("t", &[text(1), text(2)]);
    running.sql("ALTER TABLE t SET (decimal_handling_mode = 'string')");
    running.sql("REPLAY DEAD LETTERS FROM t");
    let rows = running.rows("t");
    assert_eq!(rows.len(), 2);
    let epoch = running.handle.shared().epoch();
    running.crash();
    world.log.trim(&at("t.dlq", 0), Offset(2)).unwrap();
    let running = world.start();
    assert_eq!((running.rows("t"), running.handle.shared().epoch()), (rows, epoch));
    running.crash();
    std::fs::remove_dir_all(world.data().join("journal")).unwrap();
    assert!(world.refusal().contains("topic \"t.dlq\" partition 0 offsets 0 to 2"), "{}", world.refusal());
}

#[test]
fn what_a_stream_table_read_again_is_in_a_checkpoint_soon() {
    let world = World::new();
    make_topic(&world.log, "r", 1);
    keep(&world, "r", Keeping { expires_after_ms: Some(1), ..Keeping::default() });
    let running = world.start();
    running.sql("CREATE SOURCE r (id INT, a INT, b INT) WITH (connector = 'log', topic = 'r', format = 'json')");
    running.feed("r", &[put(1, 1, 1), put(2, 2, 2)]);
    let made = |running: &Running| running.handle.shared().metrics.counts()["checkpoints"];
    let before = made(&running);
    running.sql("CREATE STREAM TABLE n AS SELECT count(*) AS n FROM r");
    until("a checkpoint is made", || made(&running) > before);
    running.crash();
    world.log.trim(&at("r", 0), Offset(2)).unwrap();
    let running = world.start();
    assert_eq!(running.rows("n"), once([r#"{"n":2}"#]));
}

#[test]
fn a_checkpoint_that_is_wanted_while_one_is_made_follows_it() {
    let world = World::new();
    filled(&world).crash();
    let mut engine = world.open().unwrap();
    engine.start_checkpoint().unwrap();
    let first = engine.chain.epoch;
    engine.execute("CREATE TABLE own (id INT PRIMARY KEY)", Origin::Session).unwrap();
    engine.checkpoint_soon().unwrap();
    for made in [first, engine.chain.epoch] {
        engine.finish_checkpoint(true).unwrap();
        assert_eq!(engine.last_checkpoint.0, made);
    }
    assert_ne!(first, engine.chain.epoch);
}

/// While there is no checkpoint the sources wait, at most two batches further, and are read on when there is one; also if what is
/// read cannot be written.
#[test]
fn a_journal_that_is_full_holds_the_sources_until_there_is_a_checkpoint() {
    for written in [true, false] {
        let world = World::new();
        make_topic(&world.log, "t", 1);
        keep(&world, "t", COMPACTED);
        let running = world.start();
        running.sql(T);
        running.stop().unwrap();
        if !written {
            let _ = std::fs::remove_dir_all(world.data().join("journal"));
            std::fs::write(world.data().join("journal"), "in the way").unwrap();
        }
        is_held_until_there_is_a_checkpoint(&world, written);
    }
}

fn is_held_until_there_is_a_checkpoint(world: &World, written: bool) {
    let running = world.start_with(|engine| engine.journal.bytes_max = 50);
    let before = world.faults.hits()["checkpoint-blocks"];
    world.faults.set("checkpoint-blocks", fault::Action::Error, 1);
    running.feed("t", &[put(1, 1, 1)]);
    until("the checkpoint fails", || world.faults.hits()["checkpoint-blocks"] > before);
    running.feed("t", &[put(2, 2, 2)]);
    running.feed("t", &[put(3, 3, 3)]);
    let status = || running.handle.shared().sources()[&("t".to_string(), "t".to_string(), Partition(0))];
    for end in [4, 5, 6] {
        append(&world.log, "t", 0, &[put(end, 1, 1)]);
        until("the reader looks at its topic", || status().end == Offset(end));
    }
    assert_eq!(status().position, Offset(3));
    let bytes = |metric: &str| {
        let text = running.handle.shared().metrics.text(running.handle.shared());
        text.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse::<u64>().ok()).unwrap()
    };
    let of = ["millstream_journal_bytes", "millstream_journal_missed_bytes"];
    let (there, elsewhere) = if written { (of[0], of[1]) } else { (of[1], of[0]) };
    assert!(bytes(there) >= 50, "{}", bytes(there));
    assert_eq!(bytes(elsewhere), 0);
    running.handle.checkpoint().unwrap();
    running.settle("t");
    assert_eq!(running.rows("t").len(), 6);
    running.handle.checkpoint().unwrap();
    assert_eq!(bytes("millstream_journal_missed_bytes"), 0);
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("t").len(), 6);
}

/// A start does not begin to count anew: what it could replay from topics alone is as it would be after a power cut on a full disk.
#[test]
fn what_a_replay_had_from_topics_alone_counts_until_there_is_a_checkpoint() {
    for (keeping, journal) in [(Some(COMPACTED), true), (Some(COMPACTED), false), (None, false)] {
        let world = World::new();
        make_topic(&world.log, "t", 1);
        keeping.into_iter().for_each(|keeping| keep(&world, "t", keeping));
        filled(&world).crash();
        if !journal {
            let _ = std::fs::remove_dir_all(world.data().join("journal"));
        }
        let mut engine = world.open().unwrap();
        let (uncovered, missed) = (engine.journal.uncovered(), engine.journal.missed());
        match (keeping, journal) {
            (Some(_), true) => assert!(uncovered > 0 && missed == 0, "{uncovered} {missed}"),
            (Some(_), false) => assert!(uncovered == missed && missed > 100, "{uncovered} {missed}"),
            _ => assert_eq!((uncovered, missed), (0, 0)),
        }
        engine.checkpoint_now().unwrap();
        assert_eq!((engine.journal.uncovered(), engine.journal.missed()), (0, 0));
    }
}

/// Whoever has no checkpoint needs all of it.
#[test]
fn a_journal_is_known_where_there_is_no_checkpoint() {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", COMPACTED);
    filled(&world).crash();
    std::fs::remove_dir_all(world.data().join("state")).unwrap();
    let engine = world.open().unwrap();
    assert!(engine.journal.bytes() > 0);
    assert_eq!(engine.journal.uncovered(), engine.journal.bytes());
}
