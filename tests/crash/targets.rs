//! Rows 8, 9 and 10: a PostgreSQL that applies an epoch only after it is committed, is away, or belongs to another.

use std::time::Instant;

use super::{End, copy, finish, finish_in, live, post, show_hits, wait_epochs, wait_fired};
use crate::kill::rig::{PATIENCE, Rig, wait_until};

/// Ahead is impossible, again is a no-op; and what a target that is away does not have yet is in the checkpoint, or replayed.
#[test]
fn rows_8_9_a_target_that_dies_or_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::embedded(dir.path(), 8, true);
    let lives = [
        ("target-before=kill@3", End::Kill),
        ("target-after=kill@3", End::Kill),
        ("outbox-gather=kill@5", End::Kill),
        ("target-open=kill@2", End::Kill),
    ];
    for (failpoint, end) in lives {
        live(&mut rig, failpoint, end);
    }
    let serving = rig.serve("target-open=error@1,target-before=error@2,target-after=error@3");
    rig.go_on(&serving);
    wait_fired(&rig, "target-after=error@3");
    super::kill(&mut rig, serving);
    // Away for two lives, of which one dies while it gathers.
    rig.target.as_mut().unwrap().leave(true);
    live(&mut rig, "outbox-gather=kill@20", End::Kill);
    live(&mut rig, "checkpoint-made=kill@3", End::Kill);
    finish(&mut rig);
    let failpoints: Vec<&str> = lives.iter().map(|(failpoint, _)| *failpoint).collect();
    show_hits(&rig, &failpoints);
    show_hits(&rig, &["target-open=error", "target-before=error", "target-after=error", "outbox-gather=kill"]);
}

/// Its outbox is past its bound: it is compared with its table when it is back, whatever dies then.
#[test]
fn row_9_a_target_that_was_away_for_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::embedded(dir.path(), 9, true);
    let serving = rig.serve("");
    rig.go_on(&serving);
    wait_epochs(&serving, 5);
    rig.target.as_mut().unwrap().leave(true);
    let marked =
        |row: &serde_json::Value| row[2].as_str().is_some_and(|status| status.starts_with("RESYNCHRONISING: "));
    wait_until(&serving.http, "SHOW SINKS", |rows| rows.iter().any(marked));
    super::kill(&mut rig, serving);
    live(&mut rig, "outbox-gather=kill@10", End::Kill);
    rig.target.as_mut().unwrap().come_back();
    // Two sinks write to it, of which one is compared; each dies first.
    let lives = ["target-before=kill@1", "target-before=kill@2", "target-after=kill@1", "target-after=kill@2"];
    lives.iter().for_each(|failpoint| live(&mut rig, failpoint, End::Kill));
    finish(&mut rig);
    show_hits(&rig, &lives);
}

/// The row of progress says whose the target is, and how far.
#[test]
fn row_10_a_target_is_not_taken_for_what_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::embedded(dir.path(), 10, true);
    live(&mut rig, "target-open=kill@2", End::Kill);
    let serving = rig.serve("");
    rig.go_on(&serving);
    wait_epochs(&serving, 5);
    rig.pause();
    rig.stop(serving);
    let backup = dir.path().join("backup");
    copy(&rig.data, &backup);
    let serving = rig.serve("");
    rig.go_on(&serving);
    wait_epochs(&serving, 20);
    rig.pause();
    wait_until(&serving.http, "SHOW SINKS", |rows| rows.iter().all(|row| row[2] == "ACTIVE" && row[4] == "0"));
    rig.stop(serving);

    // Restored from a backup, it is behind its target: the sinks stop, and the rest goes on.
    let newest = std::mem::replace(&mut rig.data, backup);
    refused_sinks(&rig, "was the data folder restored from a backup?");

    // Another pipeline of the same name may not have the target at all.
    rig.data = dir.path().join("wiped");
    let mut process = rig.start("");
    let status = process.ended_by(Instant::now() + PATIENCE).expect("it is refused");
    assert_eq!(status.code(), Some(2), "{}", rig.tail());
    assert!(rig.tail().contains("the target belongs to another pipeline"), "{}", rig.tail());

    rig.data = newest;
    let serving = rig.serve("");
    finish_in(&mut rig, serving);
    show_hits(&rig, &["target-open=kill"]);
}

/// The sinks of the target are in ERROR for a reason, and the others are not.
fn refused_sinks(rig: &Rig, why: &str) {
    let mut serving = rig.serve("");
    // What comes goes to the outbox, and from there to the target.
    post(&serving.http, "customers", "{\"id\":1000}", "{\"id\":1000,\"region\":\"moon\"}");
    let order = "{\"before\":null,\"after\":{\"id\":-1,\"customer_id\":1000,\"amount\":1},\"op\":\"c\",\"ts_ms\":1}";
    post(&serving.http, "orders", "{\"id\":-1}", order);
    let refused = |row: &serde_json::Value| row[2].as_str().is_some_and(|status| status.contains(why));
    wait_until(&serving.http, "SHOW SINKS", |rows| {
        rows.iter().all(|row| if row[1] == "detached" { refused(row) } else { row[2] == "ACTIVE" })
    });
    serving.process.kill();
}
