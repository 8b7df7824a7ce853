//! Rows 6, 17, 18, 21 and 23: checkpoints, what they are opened with, and what is deleted below them.

use std::path::{Path, PathBuf};

use super::{End, chain, finish, kill, live, show_hits, wait_fired};
use crate::kill::rig::{Rig, wait_until};

#[test]
fn row_6_dying_in_a_checkpoint_leaves_the_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let lives = [
        ("checkpoint-blocks=kill@3", End::Kill),
        ("checkpoint-flush=kill@3", End::Kill),
        ("checkpoint-links=kill@3", End::Kill),
        ("checkpoint-manifest=kill@3", End::Kill),
        ("checkpoint-rename=kill@3", End::Kill),
        ("checkpoint-made=kill@3", End::Kill),
    ];
    chain(&mut Rig::embedded(dir.path(), 6, false), &lives);
}

#[test]
fn rows_16_17_21_dying_at_a_start_and_before_records_are_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let lives = [
        ("epochs-trim=kill@2", End::Kill),
        ("writer-open=kill", End::Kill),
        ("sources-check=kill", End::Kill),
        ("sources-check=error", End::Error),
        ("epochs-trim=kill@1", End::Kill),
    ];
    chain(&mut Rig::embedded(dir.path(), 17, false), &lives);
}

/// A checkpoint that fails is made again later; one that is damaged is skipped for the one before.
#[test]
fn row_23_failed_and_damaged_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::embedded(dir.path(), 23, false);
    let serving = rig.serve("checkpoint-blocks=error@3,checkpoint-flush=error@4,checkpoint-rename=error@3");
    rig.go_on(&serving);
    wait_fired(&rig, "checkpoint-flush=error@4");
    wait_until(&serving.http, "SHOW STREAM TABLES", |rows| rows.iter().all(|row| row[1] == "ACTIVE"));
    super::wait_epochs(&serving, 5);
    kill(&mut rig, serving);
    live(&mut rig, "checkpoint-open=error,epochs-trim=kill@3", End::Kill);
    let newest = checkpoints(&rig.data).pop().expect("a checkpoint");
    flip(&newest.join("manifest.json"));
    finish(&mut rig);
    let said = std::fs::read_to_string(&rig.errors).unwrap();
    assert!(said.contains("skipping a checkpoint that is not whole"), "{}", rig.tail());
    show_hits(
        &rig,
        &["checkpoint-blocks=error", "checkpoint-flush=error", "checkpoint-rename=error", "checkpoint-open=error"],
    );
}

fn checkpoints(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("state/checkpoints");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_none()).collect();
    found.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    found
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
}
