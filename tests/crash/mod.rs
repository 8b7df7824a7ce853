//! Every moment at which it may die (ARCHITECTURE, "Where it may die"): the real binary dies or fails there, under load, is
//! started again, and in the end every stream table and every sink topic, read record by record, is as if nothing had happened.
//!
//! Each test prints how often its failpoints did what they were set to; never is a failure.

mod catalog;
mod checkpoints;
mod epochs;
mod kafka;
mod population;
mod recovery;
mod refresh;
mod signals;
mod targets;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Instant;

use crate::kill::rig::{PATIENCE, Rig, Serving};

/// The signal that a failpoint dies by.
const ABORT: i32 = 6;

/// How a life with a failpoint ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It dies.
    Kill,
    /// It stops with an error: exit code 1.
    Error,
}

/// An embedded pipeline that keeps its checkpoints to itself: what a life did is replayed by the next.
fn replaying(dir: &Path, with_target: bool) -> Rig {
    let mut rig = Rig::embedded(dir, 7, with_target);
    let at = rig.settings.iter().position(|setting| setting == "300ms").expect("a checkpoint interval");
    rig.settings[at] = "1h".to_string();
    rig
}

/// One life, under load, that its failpoint `name=action@hit` ends.
fn live(rig: &mut Rig, failpoint: &str, end: End) {
    let process = rig.start(failpoint);
    let mut process = match rig.serving(process) {
        Ok(serving) => {
            rig.go_on(&serving);
            serving.process
        }
        Err(process) => process,
    };
    let status = process.ended_by(Instant::now() + PATIENCE);
    let status = status.unwrap_or_else(|| panic!("{failpoint} is reached in time:\n{}", rig.tail()));
    let as_told = match end {
        End::Kill => status.signal() == Some(ABORT),
        End::Error => status.code() == Some(1),
    };
    assert!(as_told, "{failpoint}: {status}\n{}", rig.tail());
    rig.pause();
}

/// A failpoint that ends nothing: it is waited for, under load, and the process is killed or goes on.
fn wait_fired(rig: &Rig, failpoint: &str) {
    let (name, action) = failpoint.split_once('=').expect("name=action@hit");
    let key = format!("{name}={}", action.split('@').next().unwrap_or_default());
    let deadline = Instant::now() + PATIENCE;
    while !rig.fired().contains_key(&key) {
        assert!(Instant::now() < deadline, "{failpoint} is reached in time:\n{}", rig.tail());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Kills a process that serves, as a power cut would.
fn kill(rig: &mut Rig, mut serving: Serving) {
    rig.note_hits(&serving);
    serving.process.kill();
    rig.pause();
}

/// A last life without failpoints: it catches up, and all is judged.
fn finish(rig: &mut Rig) {
    let serving = rig.serve("");
    finish_in(rig, serving);
}

fn finish_in(rig: &mut Rig, serving: Serving) {
    rig.go_on(&serving);
    wait_epochs(&serving, 5);
    rig.finish(serving);
}

/// Waits for some epochs more.
pub fn wait_epochs(serving: &Serving, epochs: u64) {
    let epoch = || {
        let mut answer = ureq::get(format!("http://{}/metrics", serving.http)).call().expect("it answers");
        let text = answer.body_mut().read_to_string().expect("a text");
        let line = text.lines().find_map(|line| line.strip_prefix("millstream_epochs_total ").map(str::to_string));
        line.expect("a count of epochs").trim().parse::<u64>().expect("a number")
    };
    let (from, deadline) = (epoch(), Instant::now() + PATIENCE);
    while epoch() < from + epochs {
        assert!(Instant::now() < deadline, "{epochs} epochs come in time");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Writes one record into a topic through the process, which may die of it.
fn post(http: &str, topic: &str, key: &str, value: &str) {
    let line = serde_json::json!({ "key": key, "value": value }).to_string();
    let _ = ureq::post(format!("http://{http}/topics/{topic}")).send(line);
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success(), "the folder is copied");
}

/// Prints how often the failpoints did what they were set to, all of which must have.
fn show_hits(rig: &Rig, failpoints: &[&str]) {
    let fired = rig.fired();
    for failpoint in failpoints {
        let key = failpoint.split('@').next().unwrap_or_default();
        let hits = fired.get(key).copied().unwrap_or(0);
        println!("failpoint {failpoint}: {hits}");
        assert!(hits > 0, "{failpoint} was never reached");
    }
}

/// Lives that all end by their failpoints, and a last one that is judged.
fn chain(rig: &mut Rig, lives: &[(&str, End)]) {
    for (failpoint, end) in lives {
        live(rig, failpoint, *end);
    }
    finish(rig);
    show_hits(rig, &lives.iter().map(|(failpoint, _)| *failpoint).collect::<Vec<_>>());
}
