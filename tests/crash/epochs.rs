//! Rows 1 to 5 and 15: an epoch on its way, and the embedded log under it.

use super::{End, chain, finish_in, live, replaying, show_hits, wait_fired};

/// Before it is decided an epoch was never there; afterwards it is replayed.
#[test]
fn rows_1_2_4_5_an_epoch_that_dies_is_never_there_or_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let lives = [
        ("epoch-process=kill@4", End::Kill),
        ("epoch-staged=kill@4", End::Kill),
        ("commit-doubt=kill@4", End::Kill),
        ("commit-doubt=error@4", End::Error),
        ("commit-after=kill@4", End::Kill),
        ("replay-epoch=kill@3", End::Kill),
        ("replay-range=kill@5", End::Kill),
    ];
    chain(&mut replaying(dir.path(), false), &lives);
}

/// The outputs are kept until the commit is known.
#[test]
fn row_3_an_aborted_epoch_is_committed_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = replaying(dir.path(), false);
    live(&mut rig, "commit-abort=kill@20", End::Kill);
    let serving = rig.serve("commit-abort=error@2,commit-abort=error@3,commit-abort=error@6");
    rig.go_on(&serving);
    wait_fired(&rig, "commit-abort=error@6");
    finish_in(&mut rig, serving);
    show_hits(&rig, &["commit-abort=kill", "commit-abort=error"]);
    assert!(rig.reached["commit-retry"] >= 3, "aborted epochs are made again: {:?}", rig.reached);
}

/// A write that fails may be there or not: nothing is written behind it, and the next start finds out.
#[test]
fn row_15_the_embedded_log_fails_or_dies_in_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let lives = [
        ("log-write=kill@60", End::Kill),
        ("log-write=error@60", End::Error),
        ("log-written=kill@60", End::Kill),
        ("log-written=error@60", End::Error),
    ];
    chain(&mut replaying(dir.path(), false), &lives);
}
