//! Damaged checkpoints: an older one or a clear error, never a wrong answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::RngExt;
use tempfile::TempDir;
use zset::Epoch;

use super::checkpoint::{OTHER, contents, open, save};
use super::{ID, Model, numbered, random, replace, stage};
use crate::{Arrangement, ArrangementId, Law, StateError, Store};

type Contents = BTreeMap<ArrangementId, Model>;

/// A folder with checkpoints 1 and 2, of which each has a table that the other does not have.
struct Two {
    dir: TempDir,
    contents: [Contents; 2],
}

impl Two {
    fn new() -> Self {
        Self::of([300, 2000])
    }

    /// With so many rows in each arrangement.
    fn of(rows: [u64; 2]) -> Self {
        let dir = TempDir::new().unwrap();
        let (store, _) = open(dir.path());
        let mut contents = [Contents::new(), Contents::new()];
        for (epoch, rows) in (1u64..).zip(rows) {
            // New arrangements, so that the batches of the first are not in the second.
            let mut add = Arrangement::new(ID, Law::Add);
            stage(&mut add, &numbered(epoch * 10_000, rows, 1));
            add.commit();
            let mut replaced = Arrangement::new(OTHER, Law::Replace);
            let rows: Vec<_> = numbered(epoch, rows, 1).into_iter().map(|(key, row, _)| (key, Some(row))).collect();
            replace(&mut replaced, &rows);
            replaced.commit();
            save(&store, epoch, &[&add, &replaced]).unwrap();
            contents[epoch as usize - 1] = [&add, &replaced]
                .map(|arrangement| (arrangement.id(), super::scanned(&arrangement.committed(), 1000)))
                .into();
        }
        Self { dir, contents }
    }

    fn folder(&self, epoch: u64) -> PathBuf {
        self.dir.path().join("checkpoints").join(epoch.to_string())
    }

    /// The newest file of the second checkpoint whose name ends so; a table is one that the first does not have.
    fn file(&self, suffix: &str) -> PathBuf {
        let mut found: Vec<PathBuf> = fs::read_dir(self.folder(2))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(suffix))
            .filter(|path| {
                ![".sst", ".blocks"].contains(&suffix) || !self.folder(1).join(path.file_name().unwrap()).exists()
            })
            .collect();
        found.sort();
        found.pop().unwrap()
    }

    /// Opens; the first checkpoint must be used and the second reported.
    fn falls_back(&self, why: &str) {
        let (store, restored) = open(self.dir.path());
        let restored = restored.unwrap();
        assert_eq!(restored.epoch, Epoch(1), "{why}");
        assert_eq!(contents(&restored), self.contents[0], "{why}");
        assert_eq!(restored.skipped.len(), 1, "{why}");
        assert_eq!(restored.skipped[0].0, Epoch(2));
        println!("{why}: {}", restored.skipped[0].1);
        assert_eq!(store.checkpoints(), [Epoch(1)]);
        // Replay comes to epoch 2 again: the damaged one is replaced.
        let arrangements: Vec<&Arrangement> = restored.arrangements.values().collect();
        assert!(!save(&store, 2, &arrangements).unwrap().existed);
        drop(store);
        let again = open(self.dir.path()).1.unwrap();
        assert_eq!((again.epoch, again.skipped.len()), (Epoch(2), 0), "{why}");
        assert_eq!(contents(&again), self.contents[0], "{why}");
    }
}

/// Replaces a file by other bytes. The old file may be linked elsewhere and stays as it is there.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn whole_ones_are_whole() {
    let two = Two::new();
    let restored = open(two.dir.path()).1.unwrap();
    assert_eq!((contents(&restored), restored.skipped.len()), (two.contents[1].clone(), 0));
}

#[test]
fn a_torn_or_missing_manifest_falls_back() {
    let two = Two::new();
    rewrite(&two.file("manifest.json"), |bytes| bytes.truncate(bytes.len() / 2));
    two.falls_back("torn");
    let two = Two::new();
    rewrite(&two.file("manifest.json"), Vec::clear);
    two.falls_back("empty");
    let two = Two::new();
    fs::remove_file(two.file("manifest.json")).unwrap();
    two.falls_back("missing");
    let two = Two::new();
    fs::copy(two.folder(1).join("manifest.json"), two.folder(2).join("manifest.json")).unwrap();
    two.falls_back("of another epoch");
}

#[test]
fn any_flipped_bit_of_the_manifest_is_found() {
    let mut random = random("flipped manifest");
    let two = Two::new();
    let path = two.file("manifest.json");
    let whole = fs::read(&path).unwrap();
    for _ in 0..300 {
        let (at, bit) = (random.random_range(0..whole.len() - 1), random.random_range(0..8));
        rewrite(&path, |bytes| {
            bytes.clone_from(&whole);
            bytes[at] ^= 1 << bit;
        });
        let restored = open(two.dir.path()).1.unwrap();
        assert_eq!(restored.epoch, Epoch(1), "byte {at}, bit {bit}");
    }
}

#[test]
fn a_missing_torn_or_longer_file_falls_back() {
    for (suffix, rows) in
        [(".sst", [300, 2000]), (".blocks", [30_000, 40_000]), ("MANIFEST-", [300, 2000]), ("CURRENT", [300, 2000])]
    {
        let two = Two::of(rows);
        fs::remove_file(two.file(suffix)).unwrap();
        two.falls_back(&format!("{suffix} missing"));
        let two = Two::of(rows);
        rewrite(&two.file(suffix), |bytes| bytes.truncate(bytes.len() - 1));
        two.falls_back(&format!("{suffix} torn"));
        let two = Two::of(rows);
        rewrite(&two.file(suffix), |bytes| bytes.push(0));
        two.falls_back(&format!("{suffix} longer"));
        let two = Two::of(rows);
        rewrite(&two.file(suffix), |bytes| bytes.fill(0));
        two.falls_back(&format!("{suffix} zeroed"));
    }
}

/// Flips bits all over the file of a batch: each is found, for every byte is under a checksum.
#[test]
fn a_flipped_bit_of_the_file_of_a_batch_is_found() {
    let mut random = random("flipped file");
    let two = Two::of([100, 30_000]);
    let path = two.file(".blocks");
    let whole = fs::read(&path).unwrap();
    for round in 0..60 {
        // A third of them in the index, and in where it begins.
        let from = if round % 3 == 0 { whole.len() - 600 } else { 0 };
        let (at, bit) = (random.random_range(from..whole.len()), random.random_range(0..8));
        rewrite(&path, |bytes| {
            bytes.clone_from(&whole);
            bytes[at] ^= 1 << bit;
        });
        let restored = open(two.dir.path()).1.unwrap();
        assert_eq!(restored.epoch, Epoch(1), "byte {at} of {}, bit {bit}", whole.len());
    }
}

/// Flips bits all over a table: found, or without effect. Never other contents, never a panic.
#[test]
fn a_flipped_bit_of_a_table_never_gives_other_contents() {
    let mut random = random("flipped table");
    let two = Two::new();
    let path = two.file(".sst");
    let whole = fs::read(&path).unwrap();
    let mut fell_back = 0;
    for round in 0..150 {
        // Half of them near the end, where the table's own structure is.
        let from = if round % 2 == 0 { 0 } else { whole.len().saturating_sub(1500) };
        let (at, bit) = (random.random_range(from..whole.len()), random.random_range(0..8));
        rewrite(&path, |bytes| {
            bytes.clone_from(&whole);
            bytes[at] ^= 1 << bit;
        });
        let restored = open(two.dir.path()).1.unwrap();
        let epoch = restored.epoch.0;
        assert_eq!(contents(&restored), two.contents[epoch as usize - 1], "byte {at}, bit {bit}, epoch {epoch}");
        fell_back += usize::from(epoch == 1);
    }
    println!("{fell_back} of 150 flips fell back; table of {} bytes", whole.len());
    assert!(fell_back > 50);
}

/// RocksDB's checksums are not the only ones: a block that RocksDB believes in is checked again.
#[test]
fn a_block_under_another_key_is_damage() {
    let two = Two::new();
    let (add, other) = (two.contents[0][&ID].len(), two.contents[0][&OTHER].len());
    let key =
        |owner| crate::block::BlockKey { arrangement: ArrangementId { owner, node: 0, slot: 0 }, batch: 1, block: 1 };
    let mut out = crate::columns::ColumnsBuilder::with_capacity(0, 0);
    out.push(5, b"key", b"row", 1);
    let batch = out.finish();
    let mut bytes = Vec::new();
    crate::block::encode_block(&batch, 0..1, key(1), &mut bytes);
    let read = |bytes: &[u8], owner| {
        let mut out = crate::columns::ColumnsBuilder::with_capacity(0, 0);
        crate::block::decode_block(bytes, key(owner), (5, 1), &mut out).map(|()| out.finish().len())
    };
    assert_eq!(read(&bytes, 1), Ok(1));
    assert!(read(&bytes, 2).is_err());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(read(&flipped, 1).is_err(), "byte {at}");
        assert!(read(&bytes[..at], 1).is_err(), "cut at {at}");
    }
    assert!(add > 0 && other > 0);
}

#[test]
fn without_a_whole_checkpoint_it_is_an_error() {
    let two = Two::new();
    for epoch in [1, 2] {
        rewrite(&two.folder(epoch).join("manifest.json"), |bytes| bytes.truncate(20));
    }
    let error = Store::open(two.dir.path()).unwrap_err();
    assert!(matches!(&error, StateError::NoWholeCheckpoint { skipped, .. } if skipped.len() == 2), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("no whole checkpoint among the 2 in ") && text.contains("backup"), "{text}");
    // And it stays one: nothing was removed.
    assert!(matches!(Store::open(two.dir.path()), Err(StateError::NoWholeCheckpoint { .. })));
}

#[test]
fn a_newer_format_is_refused_and_not_skipped() {
    for (was, is, what) in [
        ("\"format\":3", "\"format\":4", "checkpoint format 4"),
        ("\"row_format\":1", "\"row_format\":9", "row format 9"),
    ] {
        let two = Two::new();
        rewrite(&two.file("manifest.json"), |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            let body = text.split_once("\"body\":").unwrap().1.trim_end().strip_suffix('}').unwrap().replace(was, is);
            let body = body.replace("\"next_batch\"", "\"a_field_of_tomorrow\"");
            let sum = crate::manifest::checksum(body.as_bytes());
            *bytes = format!("{{\"checksum\":\"{sum}\",\"body\":{body}}}\n").into_bytes();
        });
        let error = Store::open(two.dir.path()).unwrap_err();
        assert!(matches!(error, StateError::OtherFormat { .. }) && error.to_string().contains(what), "{error}");
    }
}

#[test]
fn pruning_keeps_the_newest_and_removes_damaged_ones() {
    let two = Two::new();
    rewrite(&two.file("manifest.json"), Vec::clear);
    let (store, restored) = open(two.dir.path());
    let restored = restored.unwrap();
    let arrangements: Vec<&Arrangement> = restored.arrangements.values().collect();
    for epoch in [5, 6, 7] {
        save(&store, epoch, &arrangements).unwrap();
    }
    assert_eq!(store.checkpoints(), [1, 5, 6, 7].map(Epoch));
    assert_eq!(store.prune(2).unwrap(), [1, 5, 2].map(Epoch));
    assert_eq!(store.prune(0).unwrap(), [Epoch(6)], "one stays");
    assert_eq!(store.checkpoints(), [Epoch(7)]);
    drop(store);
    assert_eq!(contents(&open(two.dir.path()).1.unwrap()), two.contents[0]);
}
