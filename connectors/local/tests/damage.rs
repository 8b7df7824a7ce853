//! Flipped bits in the files: an error, or the right records; never others, never fewer.

use std::fs;
use std::path::Path;

use api::Log;

use super::{commit_records, contents, dice, expected, files, image, open};
use crate::LocalLog;

const SEED: u64 = 7;
const COMMITS: u64 = 10;

/// Flips a bit at `tries` places of the files, each in a fresh copy; the number of errors.
fn flip(dir: &Path, is: impl Fn(&str) -> bool, tries: u64) -> u64 {
    let damaged = tempfile::tempdir().unwrap();
    let want = expected(COMMITS);
    image(dir, damaged.path());
    let untouched = LocalLog::open(damaged.path()).and_then(|log| contents(&log)).unwrap();
    assert!(untouched == want, "the copy itself is whole");
    let mut errors = 0;
    for n in 0..tries {
        image(dir, damaged.path());
        let files = files(damaged.path(), &is);
        let file = &files[(n % files.len() as u64) as usize];
        let mut bytes = fs::read(file).unwrap();
        let (place, bit) = ((dice(SEED, 2 * n) % bytes.len() as u64) as usize, dice(SEED, 2 * n + 1) % 8);
        bytes[place] ^= 1 << bit;
        fs::write(file, bytes).unwrap();
        match LocalLog::open(damaged.path()).and_then(|log| contents(&log)) {
            Ok(got) => assert!(
                got == want,
                "seed {SEED}: bit {bit} of byte {place} of {} gives another log: {:?} records",
                file.display(),
                got.iter().map(Vec::len).collect::<Vec<_>>()
            ),
            Err(e) => {
                assert!(e.to_string().contains("damage"), "what is wrong is said: {e}");
                errors += 1;
            }
        }
    }
    errors
}

fn fill(dir: &Path) -> LocalLog {
    let log = open(dir);
    let mut writer = log.writer().unwrap();
    for n in 0..COMMITS {
        writer.commit_all(&commit_records(n)).unwrap();
    }
    log
}

#[test]
fn in_the_write_ahead_log() {
    let dir = tempfile::tempdir().unwrap();
    let _live = fill(dir.path());
    let errors = flip(dir.path(), |name| name.ends_with(".log"), 150);
    println!("{errors} of 150 were errors");
    assert!(errors > 140);
}

#[test]
fn in_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    drop(fill(dir.path()));
    let errors = flip(dir.path(), |name| name.ends_with(".sst") || name.ends_with(".blob"), 150);
    println!("{errors} of 150 were errors");
    assert!(errors > 75);
}

#[test]
fn in_the_manifest() {
    let dir = tempfile::tempdir().unwrap();
    drop(fill(dir.path()));
    let errors = flip(dir.path(), |name| name.starts_with("MANIFEST"), 100);
    println!("{errors} of 100 were errors");
    assert!(errors > 75);
}
