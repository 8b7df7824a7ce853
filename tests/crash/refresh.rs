//! Row 24: a failure that does not recur. The record holds the outcome of a refresh, and replay obeys it.

use std::time::Instant;

use super::{finish_in, post, replaying, show_hits, wait_epochs, wait_fired};
use crate::kill::rig::{PATIENCE, wait_until};

#[test]
fn row_24_replay_obeys_the_outcome_that_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = replaying(dir.path(), false);
    // The only refresh that follows from the events is that of the thirds.
    let mut serving = rig.serve("refresh=error@1");
    happen(&serving.http, -3);
    wait_fired(&rig, "refresh=error@1");
    wait_until(&serving.http, "SHOW STREAM TABLES", |rows| in_error(rows) == ["thirds"]);
    serving.process.kill();

    // The refresh would not fail again, and yet the table is in ERROR, until its input changes.
    let mut serving = rig.serve("");
    wait_until(&serving.http, "SHOW STREAM TABLES", |rows| in_error(rows) == ["thirds"]);
    happen(&serving.http, -6);
    wait_until(&serving.http, "SHOW STREAM TABLES", |rows| in_error(rows).is_empty());
    rig.go_on(&serving);
    wait_epochs(&serving, 5);
    serving.process.kill();
    rig.pause();

    // A failure where the record says success stops the process.
    let mut process = rig.start("refresh=error@4");
    let status = process.ended_by(Instant::now() + PATIENCE).expect("it stops");
    assert_eq!(status.code(), Some(1), "{}", rig.tail());
    assert!(rig.tail().contains("came to something else than the first time"), "{}", rig.tail());

    let serving = rig.serve("");
    finish_in(&mut rig, serving);
    show_hits(&rig, &["refresh=error"]);
}

/// An event beside those of the load.
fn happen(http: &str, n: i64) {
    post(http, "events", &format!("{{\"n\":{n}}}"), &format!("{{\"n\":{n},\"kind\":\"odd\"}}"));
}

fn in_error(rows: &[serde_json::Value]) -> Vec<&str> {
    rows.iter().filter(|row| row[1] == "ERROR").map(|row| row[0].as_str().unwrap()).collect()
}
