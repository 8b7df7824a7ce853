//! Checkpoints: what was given comes back, written once, and dying at any step loses nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fault::{Action, Failpoints};
use rand::RngExt;
use tempfile::TempDir;
use zset::Epoch;

use super::{ID, Model, bytes, numbered, random, replace, scanned, stage};
use crate::{Arrangement, ArrangementId, CheckpointInput, CheckpointStats, Law, Restored, Snapshot, StateError, Store};

/// The failpoints before a checkpoint is there.
pub(super) const STEPS: [&str; 5] =
    ["checkpoint-blocks", "checkpoint-flush", "checkpoint-links", "checkpoint-manifest", "checkpoint-rename"];

pub(super) const OTHER: ArrangementId = ArrangementId { owner: 7, node: u32::MAX, slot: 0 };

pub(super) fn open(dir: &Path) -> (Arc<Store>, Option<Restored>) {
    Store::open(dir).unwrap()
}

/// With failpoints that can be set.
pub(super) fn open_counting(dir: &Path) -> (Arc<Store>, Option<Restored>, Failpoints) {
    let faults = Failpoints::counting();
    let (store, restored) = Store::open_with(dir, faults.clone(), Arc::default()).unwrap();
    (store, restored, faults)
}

pub(super) fn save(store: &Store, epoch: u64, arrangements: &[&Arrangement]) -> Result<CheckpointStats, StateError> {
    let snapshots = arrangements.iter().map(|arrangement| arrangement.committed()).collect();
    store.checkpoint(&input(epoch, snapshots, format!("{{\"epoch\":{epoch}}}").as_bytes()), &mut |_, _| ())
}

fn input(epoch: u64, snapshots: Vec<Snapshot>, metadata: &[u8]) -> CheckpointInput {
    CheckpointInput { epoch: Epoch(epoch), snapshots, metadata: metadata.to_vec() }
}

pub(super) fn contents(restored: &Restored) -> BTreeMap<ArrangementId, Model> {
    restored.arrangements.iter().map(|(id, arrangement)| (*id, scanned(&arrangement.committed(), 1000))).collect()
}

#[test]
fn nothing_is_restored_from_nothing() {
    let dir = TempDir::new().unwrap();
    let (store, restored) = open(dir.path());
    assert!(restored.is_none() && store.checkpoints().is_empty());
    drop(store);
    assert!(open(dir.path()).1.is_none(), "a folder without checkpoints stays empty");
}

#[test]
fn round_trip() {
    let mut random = random("checkpoint round trip");
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open(dir.path());
    let mut add = Arrangement::new(ID, Law::Add);
    let mut replaced = Arrangement::new(OTHER, Law::Replace);
    for epoch in 1..30u64 {
        for _ in 0..random.random_range(1..5) {
            let from = random.random_range(0..20_000);
            let mut changes = numbered(from, random.random_range(1..5000), random.random_range(1..3));
            changes.push((b"large".to_vec(), vec![random.random(); random.random_range(0..200_000)], 1));
            changes.push((Vec::new(), Vec::new(), -1));
            stage(&mut add, &changes);
            add.commit();
            let rows: Vec<_> =
                changes.into_iter().map(|(k, r, _)| (k, (random.random_range(0..3) > 0).then_some(r))).collect();
            replace(&mut replaced, &rows);
            replaced.commit();
        }
        let expected = [(ID, scanned(&add.committed(), 1000)), (OTHER, scanned(&replaced.committed(), 1000))].into();
        // What is staged is not in a checkpoint.
        stage(&mut add, &[("staged", "never committed", 1)]);
        save(&store, epoch, &[&add, &replaced]).unwrap();
        add.discard();
        store.prune(2).unwrap();
        assert!(store.checkpoints().len() <= 2);
        if random.random_range(0..3) > 0 {
            drop(store);
            let (again, restored) = open(dir.path());
            let mut restored = restored.unwrap();
            assert_eq!((restored.epoch, restored.skipped.len()), (Epoch(epoch), 0));
            assert_eq!(restored.metadata, format!("{{\"epoch\":{epoch}}}").into_bytes());
            assert_eq!(contents(&restored), expected, "epoch {epoch}");
            store = again;
            add = restored.arrangements.remove(&ID).unwrap();
            replaced = restored.arrangements.remove(&OTHER).unwrap();
            assert_eq!(replaced.law(), Law::Replace);
        }
    }
}

#[test]
fn batches_are_written_once_and_deleted_when_unnamed() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let mut add = Arrangement::new(ID, Law::Add);
    stage(&mut add, &numbered(0, 100_000, 1));
    add.commit();
    let first = save(&store, 1, &[&add]).unwrap();
    assert!(first.batches == 1 && first.blocks > 50 && first.bytes > 4_000_000, "{first:?}");
    stage(&mut add, &numbered(100_000, 10, 1));
    add.commit();
    let second = save(&store, 2, &[&add]).unwrap();
    assert!(second.batches == 1 && second.blocks == 1 && second.deleted == 0, "{second:?}");
    // The small batch becomes part of another tail.
    stage(&mut add, &numbered(100_010, 10, 1));
    add.commit();
    let third = save(&store, 3, &[&add]).unwrap();
    assert!(third.batches == 1 && third.deleted == 1, "{third:?}");
    assert!(save(&store, 3, &[&add]).unwrap().existed);
    drop(store);
    let (store, restored) = open(dir.path());
    let restored = restored.unwrap();
    let after = save(&store, 4, &[&restored.arrangements[&ID]]).unwrap();
    assert_eq!((after.batches, after.deleted), (0, 0), "what was read back is known to be stored");
    // An arrangement that is not given is not in the checkpoint; its blocks are there until nobody has it.
    assert_eq!(save(&store, 5, &[]).unwrap().deleted, 0);
    drop(restored);
    assert_eq!(save(&store, 6, &[]).unwrap().deleted, 2);
    drop(store);
    assert!(open(dir.path()).1.unwrap().arrangements.is_empty());
}

/// D13: RocksDB calls per checkpoint do not depend on rows, only on blocks; and there are none for a large batch.
#[test]
fn rocksdb_calls_are_per_block_not_per_row() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    for (epoch, rows) in [(1, 1_000u64), (2, 15_000), (3, 200_000)] {
        let mut add = Arrangement::new(ID, Law::Add);
        stage(&mut add, &numbered(0, rows, 1));
        add.commit();
        let before = store.stats();
        let cost = save(&store, epoch, &[&add]).unwrap();
        let after = store.stats();
        let files = after.files - before.files;
        assert_eq!(files, u64::from(epoch == 3), "a large batch is a file");
        let puts = if files == 0 { cost.blocks as u64 + 1 } else { 0 };
        assert_eq!(after.puts - before.puts, puts, "a put per block, and one index");
        let deletions = u64::from(epoch > 1);
        assert_eq!(after.writes - before.writes, 1 - files + deletions, "one for what is put, one for deletions");
        assert_eq!(after.flushes - before.flushes, 1);
        assert_eq!(after.reads, 0);
        assert!((cost.blocks as u64) < rows / 200, "{cost:?}");
        add.discard();
    }
    drop(store);
    let (store, restored) = open(dir.path());
    let rows = restored.unwrap().arrangements[&ID].committed().entries() as u64;
    assert!(rows == 200_000 && store.stats().reads < rows / 200, "{:?}", store.stats());
}

#[test]
fn metadata_may_be_any_bytes() {
    let dir = TempDir::new().unwrap();
    for (epoch, metadata) in [(1, vec![]), (2, vec![0xff, 0, 7]), (3, "{\"text\":\"ä\"}\n\u{0}".as_bytes().to_vec())] {
        let (store, _) = open(dir.path());
        store.checkpoint(&input(epoch, vec![], &metadata), &mut |_, _| ()).unwrap();
        drop(store);
        assert_eq!(open(dir.path()).1.unwrap().metadata, metadata);
    }
}

#[test]
fn a_folder_has_one_store() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    assert!(matches!(Store::open(dir.path()), Err(StateError::Locked(_))));
    save(&store, 1, &[]).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).1.unwrap().epoch, Epoch(1));
}

/// Dies at every step of the second checkpoint: the first is used. Without dying the attempt is made again.
#[test]
fn dying_at_any_step_leaves_the_older_checkpoint() {
    for step in STEPS {
        for dies in [true, false] {
            let dir = TempDir::new().unwrap();
            let (store, _, faults) = open_counting(dir.path());
            let mut add = Arrangement::new(ID, Law::Add);
            stage(&mut add, &numbered(0, 1000, 1));
            add.commit();
            save(&store, 1, &[&add]).unwrap();
            let old = scanned(&add.committed(), 1000);
            stage(&mut add, &numbered(500, 1000, -1));
            add.commit();
            faults.set(step, Action::Error, 1);
            let error = save(&store, 2, &[&add]).unwrap_err();
            assert!(matches!(error, StateError::Stopped(fault) if fault.name == step), "{error}");
            assert_eq!((faults.hits()[step], store.checkpoints()), (2, vec![Epoch(1)]));
            let expected = if dies { (1, old) } else { (2, scanned(&add.committed(), 1000)) };
            if !dies {
                save(&store, 2, &[&add]).unwrap();
            }
            drop(store);
            let (store, restored) = open(dir.path());
            let restored = restored.unwrap();
            assert_eq!((restored.epoch.0, restored.skipped.len()), (expected.0, 0), "{step:?}");
            assert_eq!(contents(&restored)[&ID], expected.1, "{step:?}");
            let left = std::fs::read_dir(dir.path().join("checkpoints")).unwrap().count();
            assert_eq!(left, expected.0 as usize, "no unfinished folder stays");
            save(&store, 3, &[&restored.arrangements[&ID]]).unwrap();
        }
    }
}

/// Blocks were written and flushed, and then the process died: the live folder is never read.
#[test]
fn what_no_manifest_names_does_not_count() {
    let dir = TempDir::new().unwrap();
    let (store, _, faults) = open_counting(dir.path());
    let mut add = Arrangement::new(OTHER, Law::Add);
    stage(&mut add, &numbered(0, 10_000, 1));
    add.commit();
    faults.set("checkpoint-links", Action::Error, 1);
    save(&store, 1, &[&add]).unwrap_err();
    drop(store);
    let (store, restored) = open(dir.path());
    assert!(restored.is_none());
    let mut add = Arrangement::new(ID, Law::Add);
    stage(&mut add, &numbered(0, 10, 1));
    add.commit();
    save(&store, 1, &[&add]).unwrap();
    drop(store);
    let (store, restored) = open(dir.path());
    assert_eq!(contents(&restored.unwrap()), [(ID, scanned(&add.committed(), 10))].into());
    assert_eq!(store.stats().reads, 2, "the database holds one index and one block");
}

/// An attempt failed after its flush, and the snapshots of the next have nothing of it: its blocks are deleted.
#[test]
fn blocks_of_a_failed_attempt_are_deleted() {
    let dir = TempDir::new().unwrap();
    let (store, _, faults) = open_counting(dir.path());
    let mut lost = Arrangement::new(ID, Law::Add);
    stage(&mut lost, &numbered(0, 10, 1));
    lost.commit();
    faults.set("checkpoint-links", Action::Error, 1);
    save(&store, 1, &[&lost]).unwrap_err();
    drop(lost);
    let mut add = Arrangement::new(OTHER, Law::Add);
    stage(&mut add, &numbered(0, 10, 1));
    add.commit();
    assert_eq!(save(&store, 2, &[&add]).unwrap().deleted, 1);
    drop(store);
    let (store, restored) = open(dir.path());
    assert_eq!((store.stats().reads, restored.unwrap().arrangements.len()), (2, 1), "one index and one block");
}

/// Its files hold blocks of a batch that somebody had when it was made.
#[test]
fn blocks_that_a_checkpoint_does_not_name_are_deleted_when_it_is_opened() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let mut add = Arrangement::new(ID, Law::Add);
    stage(&mut add, &numbered(0, 100, 1));
    add.commit();
    save(&store, 1, &[&add]).unwrap();
    assert_eq!(save(&store, 2, &[]).unwrap().deleted, 0);
    drop(store);
    drop(add);
    let (store, restored) = open(dir.path());
    assert!(restored.unwrap().arrangements.is_empty());
    assert_eq!(store.stats().deletes, 1);
}

/// A snapshot that is older than the last checkpoint's: its batches are still there.
#[test]
fn blocks_are_kept_for_whoever_has_the_batch() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let mut add = Arrangement::new(ID, Law::Add);
    stage(&mut add, &numbered(0, 100, 1));
    add.commit();
    let old = add.committed();
    save(&store, 1, &[&add]).unwrap();
    stage(&mut add, &numbered(0, 100, 1));
    add.commit();
    save(&store, 2, &[&add]).unwrap();
    let mut told = Vec::new();
    let third = input(3, vec![old.clone()], b"");
    let stats = store.checkpoint(&third, &mut |done, total| told.push((done, total))).unwrap();
    assert_eq!(told, [(0, 1)]);
    assert_eq!((stats.batches, stats.deleted), (0, 0));
    drop(store);
    let restored = open(dir.path()).1.unwrap();
    assert_eq!(contents(&restored)[&ID], scanned(&old, 100));
    assert!(restored.arrangements[&ID].committed().probe(&bytes(&[7u64.to_be_bytes()])).unwrap().weights == [1]);
}

/// A checkpoint is made on its own thread while the arrangement goes on.
#[test]
fn arrangements_go_on_during_a_checkpoint() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let mut add = Arrangement::new(ID, Law::Add);
    stage(&mut add, &numbered(0, 50_000, 1));
    add.commit();
    let (first, expected) = (input(1, vec![add.committed()], b""), scanned(&add.committed(), 1000));
    let background = Arc::clone(&store);
    let thread = std::thread::spawn(move || background.checkpoint(&first, &mut |_, _| ()).unwrap());
    for n in 0..300 {
        stage(&mut add, &numbered(n * 100, 100, -1));
        add.commit();
    }
    thread.join().unwrap();
    drop(store);
    assert_eq!(contents(&open(dir.path()).1.unwrap())[&ID], expected);
}
