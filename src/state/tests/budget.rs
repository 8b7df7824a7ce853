//! State of which little is in memory: the same answers, few reads, and errors where a block is not what was written.

use fault::{Action, Failpoints};
use rand::RngExt;
use rocksdb::WriteBatch;
use tempfile::TempDir;
use zset::Epoch;

use super::checkpoint::{contents, save};
use super::{ID, Limited, bytes, numbered, open_limited, per_key, random, scanned, stage};
use crate::block::BlockKey;
use crate::{Arrangement, Budget, End, Law, Part, StateError, Store};

/// An arrangement of `rows` rows under as many keys, in a few batches.
fn filled(limited: &Limited, rows: u64) -> Arrangement {
    let mut arrangement = limited.arrangement(Law::Add);
    let mut at = 0;
    while at < rows {
        let count = (rows - at).min(rows / 10 + 1);
        stage(&mut arrangement, &numbered(at, count, 1));
        arrangement.commit();
        at += count;
    }
    arrangement
}

#[test]
fn memory_stays_within_the_budget() {
    let limit = 4 << 20;
    let limited = Limited::new(limit);
    let mut arrangement = limited.arrangement(Law::Add);
    let mut most = 0;
    for n in 0..400u64 {
        stage(&mut arrangement, &numbered(n * 1000, 1000, 1));
        arrangement.commit();
        most = most.max(limited.store.budget().total());
    }
    let keys: Vec<[u8; 8]> = (0..40_000u64).map(|n| (n * 10).to_be_bytes()).collect();
    let found = arrangement.committed().probe(&bytes(&keys)).unwrap();
    assert_eq!(found.weights.len(), 40_000);
    most = most.max(limited.store.budget().total());
    assert_eq!(scanned(&arrangement.committed(), 1000).len(), 400_000);
    let state = arrangement.committed().entries() * 60;
    let budget = limited.store.budget();
    let taken: Vec<_> = Part::ALL.iter().map(|&part| (part.name(), budget.taken(part))).collect();
    println!("at most {most} of {limit} bytes for {state}; at the end {taken:?}; {:?}", limited.store.stats());
    assert!(state as u64 > 5 * limit && most < limit * 6 / 5, "{most} of {limit}");
    assert!(budget.taken(Part::Indexes) > 0);
    drop((arrangement, found));
    let left: u64 = [Part::Batches, Part::Indexes].map(|part| budget.taken(part)).iter().sum();
    assert_eq!(left, 0, "what is dropped is not counted");
}

/// A block is read once while it is in the cache, and absent keys cost next to none.
#[test]
fn blocks_are_read_once() {
    let limited = Limited::new(8 << 20);
    let arrangement = filled(&limited, 200_000);
    let snapshot = arrangement.committed();
    let some: Vec<[u8; 8]> = (0..30u64).map(|n| (n * 3999).to_be_bytes()).collect();
    let stored = Limited::new(0);
    assert_eq!(snapshot.probe(&bytes(&some)).unwrap().weights.len(), 30);
    let first = limited.store.stats();
    assert_eq!(snapshot.probe(&bytes(&some)).unwrap().weights.len(), 30);
    let second = limited.store.stats();
    assert_eq!(second.reads, first.reads, "all blocks are in the cache");
    assert!(second.cached > first.cached && first.reads > 0, "{first:?} {second:?}");
    let arrangement = filled(&stored, 100_000);
    let before = stored.store.stats().reads;
    let absent: Vec<[u8; 8]> = (0..2000u64).map(|n| (1_000_000 + n).to_be_bytes()).collect();
    assert!(arrangement.committed().probe(&bytes(&absent)).unwrap().weights.is_empty());
    let reads = stored.store.stats().reads - before;
    println!("{reads} reads for 2,000 absent keys in {} batches", arrangement.committed().batches());
    assert!(reads < 2000 / 10, "{reads} blocks were read for 2,000 absent keys");
}

/// D13: what a probe reads does not depend on how much state there is.
#[test]
fn reads_of_a_probe_do_not_depend_on_the_state() {
    let mut random = random("stored reads");
    for rows in [20_000u64, 400_000] {
        let limited = Limited::new(0);
        let arrangement = filled(&limited, rows);
        let snapshot = arrangement.committed();
        let keys: Vec<[u8; 8]> = (0..200).map(|_| random.random_range(0..rows).to_be_bytes()).collect();
        let (read, before) = (arrangement.counters().rows_read(), limited.store.stats());
        assert_eq!(snapshot.probe(&bytes(&keys)).unwrap().weights.len(), 200);
        assert_eq!(arrangement.counters().rows_read() - read, 200, "at {rows} rows");
        let after = limited.store.stats();
        let reads = after.reads - before.reads;
        assert!(reads <= 2 * 200 + 40, "{reads} blocks for 200 keys at {rows} rows");
        assert_eq!((after.puts, after.writes), (before.puts, before.writes), "reading writes nothing");
    }
}

/// A key of many rows over many blocks: its ends are found without reading the others, also where much of them cancels.
#[test]
fn ends_of_a_key_of_many_blocks() {
    let limited = Limited::new(0);
    let mut arrangement = limited.arrangement(Law::Add);
    let row = |n: u32| n.to_be_bytes().to_vec();
    for part in 0..10u32 {
        let changes: Vec<_> = (0..10_000u32).map(|n| ("key", row(n * 10 + part), 1)).collect();
        stage(&mut arrangement, &changes);
        arrangement.commit();
    }
    let keys = bytes(&["none", "key"]);
    let before = limited.store.stats().reads;
    let ends = |arrangement: &Arrangement| {
        [End::First, End::Last]
            .map(|end| per_key(&arrangement.committed().probe_end(&keys, end).unwrap()).remove(1).remove(0).0)
    };
    assert_eq!(ends(&arrangement), [row(0), row(99_999)]);
    let reads = limited.store.stats().reads - before;
    assert!(reads <= 4 * arrangement.committed().batches() as u64, "{reads} blocks for two ends");
    // More than is looked at first.
    let gone: Vec<_> = (0..3_000u32).flat_map(|n| [("key", row(n), -1), ("key", row(99_999 - n), -1)]).collect();
    stage(&mut arrangement, &gone);
    assert_eq!(per_key(&arrangement.staged().probe(&keys).unwrap())[1].len(), 94_000);
    arrangement.commit();
    assert_eq!(ends(&arrangement), [row(3_000), row(96_999)]);
}

/// Who reads and who writes may be on any threads.
#[test]
fn everything_may_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(Arrangement, crate::Snapshot, crate::Scan, crate::Overlay)>();
}

/// What was read of a batch that is given up meanwhile goes on where it was.
#[test]
fn a_scan_goes_on_when_its_batches_are_given_up() {
    let limited = Limited::new(2 << 20);
    let mut arrangement = limited.arrangement(Law::Add);
    stage(&mut arrangement, &numbered(0, 20_000, 1));
    arrangement.commit();
    let mut scan = arrangement.committed().scan(777);
    let mut rows = scan.next().unwrap().unwrap().weights.len();
    for n in 1..20u64 {
        stage(&mut arrangement, &numbered(n * 10_000_000, 20_000, 1));
        arrangement.commit();
    }
    assert!(limited.store.stats().given_up > 0);
    for entries in scan {
        rows += entries.unwrap().weights.len();
    }
    assert_eq!(rows, 20_000);
}

/// What is opened is in memory as far as it fits, and the same under every limit.
#[test]
fn a_checkpoint_is_opened_under_any_limit() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open_limited(dir.path(), u64::MAX);
    let mut add = store.arrangement(ID, Law::Add);
    for n in 0..6u64 {
        stage(&mut add, &numbered(n * 100_000, 40_000 >> n, 1));
        add.commit();
    }
    save(&store, 1, &[&add]).unwrap();
    let expected = scanned(&add.committed(), 1000);
    drop((add, store));
    let mut reads = Vec::new();
    for (epoch, limit) in (2..).zip([0u64, 1 << 20, u64::MAX, 0]) {
        let (store, restored) = open_limited(dir.path(), limit);
        reads.push(store.stats().reads);
        let mut restored = restored.unwrap();
        assert_eq!(contents(&restored)[&ID], expected, "limit {limit}");
        let add = restored.arrangements.get_mut(&ID).unwrap();
        stage(add, &numbered(0, 10, 1));
        add.commit();
        stage(add, &numbered(0, 10, -1));
        add.commit();
        save(&store, epoch, &[&*add]).unwrap();
    }
    println!("values read at opening: {reads:?}");
    assert!(reads[0] < 20 && reads[0] < reads[1] && reads[1] < reads[2] && reads[3] < 20, "{reads:?}");
}

/// Blocks that are not what was written: an error that names the block, whoever reads it, and no merge takes them.
#[test]
fn damage_that_is_found_late_is_named() {
    let limited = Limited::new(0);
    let mut arrangement = limited.arrangement(Law::Add);
    stage(&mut arrangement, &numbered(0, 15_000, 1));
    arrangement.commit();
    let snapshot = arrangement.committed();
    let batch = snapshot.list().iter().max_by_key(|batch| batch.len()).unwrap();
    let stored = batch.blocks().unwrap();
    let key = BlockKey { arrangement: ID, batch: stored.id(), block: 3 };
    let good = limited.store.tier.read(key, |bytes| Ok(bytes.to_vec())).unwrap();
    let put = |value: Option<&[u8]>| {
        let mut values = WriteBatch::default();
        match value {
            Some(value) => values.put(key.encode(), value),
            None => values.delete(key.encode()),
        }
        limited.store.tier.write(values).unwrap();
    };
    let keys: Vec<[u8; 8]> = (0..15_000u64).map(u64::to_be_bytes).collect();
    let keys = bytes(&keys);
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for (value, why) in
        [(None, "it is missing"), (Some(&flipped), "its checksum is"), (Some(&good[..9].to_vec()), "its checksum")]
    {
        put(value.map(Vec::as_slice));
        let probed = snapshot.probe(&keys).unwrap_err();
        let scanned = snapshot.scan(1000).find_map(Result::err).unwrap();
        for error in [probed, scanned] {
            let StateError::Damaged { what, reason } = &error else { panic!("{error}") };
            assert!(*what == key.to_string() && reason.starts_with(why), "{error}");
        }
        // Merges stop at it; what is there stays, and what comes is kept.
        stage(&mut arrangement, &numbered(1_000_000, 60_000, 1));
        arrangement.commit();
        stage(&mut arrangement, &numbered(1_000_000, 60_000, -1));
        arrangement.commit();
        assert!(arrangement.committed().probe(&keys).is_err());
    }
    put(Some(&good));
    assert_eq!(snapshot.probe(&keys).unwrap().weights.len(), 15_000);
    stage(&mut arrangement, &numbered(0, 10, 1));
    arrangement.commit();
    let all = scanned(&arrangement.committed(), 1000);
    assert_eq!((all.len(), all.values().filter(|&&weight| weight == 2).count()), (15_000, 10));
}

/// A write that fails leaves the batch in memory, and the answers as they are.
#[test]
fn a_closed_store_is_an_error_and_no_wrong_answer() {
    let limited = Limited::new(0);
    let mut arrangement = filled(&limited, 10_000);
    let dir = limited.dir;
    drop(limited.store);
    let key = bytes(&[5u64.to_be_bytes()]);
    assert!(matches!(arrangement.committed().probe(&key), Err(StateError::Closed)));
    stage(&mut arrangement, &numbered(20_000, 10, 1));
    arrangement.commit();
    let key = bytes(&[20_005u64.to_be_bytes()]);
    assert!(matches!(arrangement.committed().probe(&key), Ok(found) if found.weights == [1]), "it is in memory");
    assert!(Store::open(dir.path()).is_ok(), "nobody holds the folder");
}

/// Blocks that are deleted are those of batches that nobody has: a snapshot that was taken before reads on, and a checkpoint that
/// fails takes nothing away.
#[test]
fn blocks_are_there_as_long_as_a_reader() {
    let dir = TempDir::new().unwrap();
    let faults = Failpoints::counting();
    let (store, _) = Store::open_with(dir.path(), faults.clone(), std::sync::Arc::new(Budget::new(0))).unwrap();
    let mut add = store.arrangement(ID, Law::Add);
    stage(&mut add, &numbered(0, 5_000, 1));
    add.commit();
    let (old, expected) = (add.committed(), scanned(&add.committed(), 1000));
    for epoch in 1..12u64 {
        stage(&mut add, &numbered(epoch * 5_000, 5_000, 1));
        add.commit();
        if epoch == 3 {
            faults.set("checkpoint-links", Action::Error, 1);
            save(&store, epoch, &[&add]).unwrap_err();
        } else {
            save(&store, epoch, &[&add]).unwrap();
        }
        assert_eq!(scanned(&old, 1000), expected);
    }
    let deletes = store.stats().deletes;
    drop(old);
    save(&store, 19, &[&add]).unwrap();
    assert!(store.stats().deletes > deletes, "then they go");
    let all = scanned(&add.committed(), 1000);
    drop((add, store));
    let (_store, restored) = open_limited(dir.path(), 0);
    let restored = restored.unwrap();
    assert_eq!((restored.epoch, contents(&restored)[&ID].clone()), (Epoch(19), all));
}
