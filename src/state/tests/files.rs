//! Batches that have a file of their own: written once, named when they are durable, gone when nobody has them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fault::Action;
use tempfile::TempDir;
use zset::Epoch;

use super::checkpoint::{OTHER, STEPS, contents, open, open_counting, save};
use super::{ID, Limited, bytes, numbered, open_limited, replace, scanned, stage};
use crate::{Arrangement, ArrangementId, Law, StateError};

/// Rows of which a batch has a file.
const LARGE: u64 = 40_000;

/// The names and inodes of the files of batches in a folder.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().ino()))
        .filter(|(name, _)| name.ends_with(".blocks"))
        .collect();
    found.sort();
    found
}

fn live(dir: &Path) -> Vec<(String, u64)> {
    files(&dir.join("live"))
}

fn named(dir: &Path, epoch: u64) -> Vec<(String, u64)> {
    files(&dir.join("checkpoints").join(epoch.to_string()))
}

#[test]
fn a_file_is_written_once_linked_and_removed_when_nobody_has_it() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let (mut add, mut other) = (Arrangement::new(ID, Law::Add), Arrangement::new(OTHER, Law::Replace));
    stage(&mut add, &numbered(0, LARGE, 1));
    add.commit();
    let rows: Vec<_> = numbered(0, LARGE, 1).into_iter().map(|(key, row, _)| (key, Some(row))).collect();
    replace(&mut other, &rows);
    other.commit();
    let first = save(&store, 1, &[&add, &other]).unwrap();
    assert!((first.batches, first.blocks > 100, first.bytes > 2 << 20) == (2, true, true), "{first:?}");
    let all = live(dir.path());
    assert_eq!((all.len(), named(dir.path(), 1)), (2, all.clone()), "one file, with two names");
    stage(&mut add, &numbered(LARGE, 10, 1));
    add.commit();
    assert_eq!(save(&store, 2, &[&add]).unwrap().batches, 1);
    assert_eq!(live(dir.path()), all, "nothing is written again, and somebody has the other");
    assert_eq!(named(dir.path(), 2), all[..1], "only what is named is in a checkpoint");
    let expected = [(ID, scanned(&add.committed(), 1000))].into();
    drop(other);
    save(&store, 3, &[&add]).unwrap();
    assert_eq!((live(dir.path()), named(dir.path(), 1)), (all[..1].to_vec(), all.clone()));
    store.prune(1).unwrap();
    assert_eq!((store.stats().files, store.stats().synced), (2, 2));
    drop((store, add));
    let (store, restored) = open(dir.path());
    let restored = restored.unwrap();
    assert_eq!((live(dir.path()), contents(&restored)), (all[..1].to_vec(), expected));
    save(&store, 4, &[&restored.arrangements[&ID]]).unwrap();
    assert_eq!((store.stats().files, store.stats().synced), (0, 0), "what was read back is written and durable");
    drop(restored);
    save(&store, 5, &[]).unwrap();
    assert_eq!(live(dir.path()), []);
}

/// A manifest names only what survives a crash, also if the batch was written before, to give its memory back.
#[test]
fn every_file_is_durable_before_a_manifest_names_it() {
    for limit in [0, u64::MAX] {
        let dir = TempDir::new().unwrap();
        let (store, _) = open_limited(dir.path(), limit);
        let mut add = store.arrangement(ID, Law::Add);
        for n in 0..3 {
            stage(&mut add, &numbered(n * 1_000_000, 2 * LARGE, 1));
            add.commit();
            save(&store, n + 1, &[&add]).unwrap();
            let named: Vec<_> = (0..=n).flat_map(|epoch| named(dir.path(), epoch + 1)).collect();
            let distinct: std::collections::BTreeSet<_> = named.iter().collect();
            assert_eq!(store.stats().synced, distinct.len() as u64, "limit {limit}, checkpoint {n}");
            assert!(!named.is_empty());
        }
    }
}

/// Dies at every step of the second checkpoint: the first is used, and of the second nothing is left. Without dying the attempt is
/// made again.
#[test]
fn dying_at_any_step_leaves_no_file() {
    for step in STEPS {
        for dies in [true, false] {
            let dir = TempDir::new().unwrap();
            let (store, _, faults) = open_counting(dir.path());
            let mut add = Arrangement::new(ID, Law::Add);
            stage(&mut add, &numbered(0, 2 * LARGE, 1));
            add.commit();
            save(&store, 1, &[&add]).unwrap();
            let old = scanned(&add.committed(), 1000);
            stage(&mut add, &numbered(LARGE / 2, LARGE, -1));
            add.commit();
            faults.set(step, Action::Error, 1);
            let error = save(&store, 2, &[&add]).unwrap_err();
            assert!(matches!(error, StateError::Stopped(fault) if fault.name == step), "{error}");
            let expected = if dies { (1, old) } else { (2, scanned(&add.committed(), 1000)) };
            if !dies {
                save(&store, 2, &[&add]).unwrap();
            }
            drop((store, add));
            let (store, restored) = open(dir.path());
            let restored = restored.unwrap();
            assert_eq!((restored.epoch.0, restored.skipped.len()), (expected.0, 0), "{step}");
            assert_eq!(contents(&restored)[&ID], expected.1, "{step}");
            assert_eq!(live(dir.path()), named(dir.path(), expected.0), "{step}");
            save(&store, 3, &[&restored.arrangements[&ID]]).unwrap();
            assert_eq!(named(dir.path(), 3), named(dir.path(), expected.0));
        }
    }
}

/// How many handles this process has of files of batches in the folder.
fn handles(dir: &Path) -> usize {
    let live = fs::canonicalize(dir).unwrap().join("live");
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    open.filter(|path| path.starts_with(&live) && path.to_string_lossy().contains(".blocks")).count()
}

/// As many tables as there are, as many files: a process may have fewer of them open.
#[test]
fn many_files_need_few_handles() {
    const MANY: u32 = 150;
    let dir = TempDir::new().unwrap();
    let (store, _) = open_limited(dir.path(), 0);
    let row = vec![7; 64 << 10];
    let rows: Vec<_> = (0..17u64).map(|key| (key.to_be_bytes(), &row, 1)).collect();
    let mut all = Vec::new();
    for node in 0..MANY {
        let mut add = store.arrangement(ArrangementId { node, ..ID }, Law::Add);
        stage(&mut add, &rows);
        add.commit();
        all.push(add);
    }
    assert_eq!(live(dir.path()).len(), MANY as usize);
    let (open, synced) = (handles(dir.path()), store.stats().synced);
    assert!(open > 0 && open + synced as usize == MANY as usize, "{open} are open, {synced} are durable");
    assert!(open < 100, "{open} are open because they are not durable");
    save(&store, 1, &all.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!((store.stats().synced, handles(dir.path())), (MANY.into(), 0));
    for add in &all {
        let found = add.committed().probe(&bytes(&[3u64.to_be_bytes()])).unwrap();
        assert_eq!((found.weights.len(), found.rows.row(0)), (1, &row[..]));
    }
    assert_eq!(handles(dir.path()), 0, "of files that were read");
}

/// A merge that writes a file and is not finished: the file goes.
#[test]
fn the_file_of_an_unfinished_merge_is_removed() {
    let limited = Limited::new(0);
    let mut add = limited.arrangement(Law::Add);
    for n in 0..8 {
        stage(&mut add, &numbered(n * 10_000, 5_000, 1));
        add.commit();
    }
    assert_eq!((add.committed().batches(), live(limited.dir.path()).len()), (8, 1), "what is to come of small batches");
    drop(add);
    save(&limited.store, 1, &[]).unwrap();
    assert_eq!(live(limited.dir.path()), []);
}

/// Batches of a store that is closed have the names of batches that the next one makes: what is left of them neither removes nor
/// reads its files.
#[test]
fn what_outlives_its_store_leaves_the_files_of_the_next_alone() {
    let limited = Limited::new(0);
    let (mut old, mut other) = (limited.arrangement(Law::Add), limited.store.arrangement(OTHER, Law::Add));
    stage(&mut old, &numbered(0, LARGE, 1));
    old.commit();
    let (dir, snapshot) = (limited.dir, old.committed());
    drop(limited.store);
    let (store, _) = open_limited(dir.path(), 0);
    let mut new = store.arrangement(ID, Law::Add);
    stage(&mut new, &numbered(5, LARGE, 1));
    new.commit();
    let all = live(dir.path());
    assert_eq!(all.len(), 1);
    assert!(matches!(snapshot.probe(&bytes(&[7u64.to_be_bytes()])), Err(StateError::Closed)));
    drop((snapshot, old));
    for n in 0..3 {
        stage(&mut other, &numbered(n * LARGE, LARGE, 1));
        other.commit();
        assert_eq!(live(dir.path()), all, "neither removed nor joined by another");
    }
    save(&store, 1, &[&new]).unwrap();
    drop(store);
    let restored = open(dir.path()).1.unwrap();
    assert_eq!(contents(&restored)[&ID], scanned(&restored.arrangements[&ID].committed(), 1000));
    assert_eq!(restored.arrangements[&ID].committed().entries(), LARGE as usize);
}

/// Blocks of a file that are not what was written: an error that names the block, whoever reads it.
#[test]
fn a_damaged_file_is_named() {
    let limited = Limited::new(0);
    let mut add = limited.arrangement(Law::Add);
    stage(&mut add, &numbered(0, LARGE, 1));
    add.commit();
    let snapshot = add.committed();
    let keys: Vec<[u8; 8]> = (0..LARGE).map(u64::to_be_bytes).collect();
    let (keys, path) = (bytes(&keys), limited.dir.path().join("live").join(&live(limited.dir.path())[0].0));
    assert_eq!(snapshot.probe(&keys).unwrap().weights.len(), LARGE as usize);
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for (value, why) in [(&flipped[..], "its checksum is"), (&good[..good.len() / 2], "its file ends too early")] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        fs::write(&path, value).unwrap();
        let errors = [snapshot.probe(&keys).unwrap_err(), snapshot.scan(1000).find_map(Result::err).unwrap()];
        for error in errors {
            let StateError::Damaged { what, reason } = &error else { panic!("{error}") };
            assert!(what.ends_with("of batch 0 of arrangement 7/3/1") && reason.starts_with(why), "{error}");
        }
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(snapshot.probe(&keys).unwrap().weights.len(), LARGE as usize);
}

/// What is stored stays readable: a checkpoint of format 2, as the version before files wrote it.
#[test]
fn a_checkpoint_of_format_2_is_opened_and_goes_on() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("checkpoints").join("4");
    fs::create_dir_all(&folder).unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/checkpoint-2");
    for entry in fs::read_dir(sample).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let mut expected = None;
    for epoch in 4..6 {
        let (store, restored) = open(dir.path());
        let restored = restored.unwrap();
        assert_eq!((restored.epoch, restored.skipped.len()), (Epoch(epoch), 0));
        let found = contents(&restored);
        let mut rows: Vec<usize> = found.values().map(|model| model.len()).collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 0, 89, 89], "auctions with bids, counted and as the table's rows");
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found);
        let arrangements: Vec<&Arrangement> = restored.arrangements.values().collect();
        save(&store, epoch + 1, &arrangements).unwrap();
    }
}
