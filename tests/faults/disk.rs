//! The disk is full, or read-only: the process says so and ends with code 1 where nothing can be committed, goes on where the log is
//! elsewhere, and has lost nothing when there is room again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use api::Log;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::mount::Mount;
use super::{Pipe, metric, post, until};
use crate::kill::rig::{PATIENCE, kafka_log, wait_until_caught_up};
use crate::kill::topics::{key_of, read, replayed};

const SQL: &str = "
CREATE TABLE items (id INT PRIMARY KEY, kind INT, body TEXT)
  WITH (connector = 'log', topic = '@items', format = 'json', envelope = 'upsert', partitions = 2);
CREATE STREAM TABLE kinds AS SELECT kind, count(*) AS n FROM items GROUP BY kind;
CREATE SINK kinds_out FROM kinds
  WITH (connector = 'log', topic = '@kinds', format = 'json', envelope = 'debezium', partitions = 1);
";
const KINDS: i64 = 7;
/// Records that the small disk has no room for.
const MORE_THAN_FITS: i64 = 40_000;

/// Records of rows that do not compress.
struct Load {
    rng: ChaCha8Rng,
    next: i64,
    /// Those that are known to be written.
    acknowledged: BTreeSet<i64>,
}

impl Load {
    fn new() -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(23), next: 0, acknowledged: BTreeSet::new() }
    }

    /// Writes some; false if that failed.
    fn write(&mut self, http: &str, topic: &str, count: i64) -> bool {
        let ids = self.next..self.next + count;
        self.next += count;
        let mut record = |id: i64| {
            let body: String = (0..300).map(|_| char::from(self.rng.random_range(b'a'..=b'z'))).collect();
            let row = format!("{{\"id\":{id},\"kind\":{},\"body\":\"{body}\"}}", id % KINDS);
            (format!("{{\"id\":{id}}}"), Some(row))
        };
        let records: Vec<_> = ids.clone().map(&mut record).collect();
        let written = post(http, topic, &records);
        if written {
            self.acknowledged.extend(ids);
        }
        written
    }
}

/// Every record that was acknowledged is there once, and the counts are those of the records, change by change.
fn judge(log: &dyn Log, prefix: &str, load: &Load) {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for record in read(log, &format!("{prefix}items")) {
        let key: serde_json::Value = serde_json::from_str(&key_of(&record)).expect("JSON");
        let id = key["id"].as_i64().expect("an id");
        assert!(ids.insert(id), "{id} is there once");
        *counts.entry(id % KINDS).or_default() += 1;
    }
    assert!(load.acknowledged.is_subset(&ids), "what was acknowledged is there");
    let changes = replayed(log, &format!("{prefix}kinds"), &["kind", "n"]);
    let last: BTreeMap<String, String> =
        changes.into_iter().filter_map(|(key, changes)| Some((key, changes.last()?.clone()?))).collect();
    let row = |(kind, n): (i64, i64)| (format!("{{\"kind\":{kind}}}"), format!("{{\"kind\":{kind},\"n\":{n}}}"));
    assert_eq!(last, counts.into_iter().map(row).collect(), "the counts, from their sink topic");
    println!("{} of {} records acknowledged, {} there", load.acknowledged.len(), load.next, ids.len());
}

/// It serves again with all there is, and more, and ends cleanly.
fn goes_on(pipe: &Pipe, load: &mut Load) {
    let mut serving = pipe.start();
    assert!(load.write(&serving.http, "items", 50), "it takes records again");
    wait_until_caught_up(&serving.http);
    assert_eq!(serving.process.terminate(), Some(0), "{}", pipe.said());
    let log = local::LocalLog::open(&pipe.data.join("log")).expect("the log opens");
    judge(&log, "", load);
}

/// Row 23, with the embedded log.
#[test]
fn the_disk_of_the_embedded_log_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::memory(&dir.path().join("disk"), "6m") else { return };
    let pipe = Pipe::new(dir.path(), &disk.at.join("data"), &SQL.replace('@', ""), &[]);
    let mut load = Load::new();
    let serving = pipe.start();
    while load.write(&serving.http, "items", 50) {
        assert!(load.next < MORE_THAN_FITS, "the disk becomes full");
    }
    // Also if nothing comes to be committed any more.
    pipe.ends(serving.process);
    assert!(pipe.said().contains("No space left on device"), "{}", pipe.said());
    // Full as it is, it may serve what it has or not start, and says why; it loses nothing.
    match pipe.try_start() {
        Ok(mut serving) => serving.process.kill(),
        Err(process) => pipe.ends(process),
    }
    disk.remount("size=512m");
    goes_on(&pipe, &mut load);
}

/// A write that breaks the log ends the process, also if no epoch comes after it: it could only refuse, and would look alive. (Of
/// the many records some may have fitted, and an epoch of them is then the first to fail.)
#[test]
fn a_log_that_takes_nothing_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::memory(&dir.path().join("disk"), "6m") else { return };
    let pipe = Pipe::new(dir.path(), &disk.at.join("data"), &SQL.replace('@', ""), &[]);
    let serving = pipe.start();
    let mut load = Load::new();
    assert!(load.write(&serving.http, "items", 50));
    wait_until_caught_up(&serving.http);
    let filler = disk.at.join("filler");
    let full = std::io::copy(&mut std::io::repeat(1), &mut std::fs::File::create(&filler).unwrap());
    assert!(full.is_err(), "the disk is full");
    assert!(!load.write(&serving.http, "items", 3000), "there is no room for it");
    pipe.ends(serving.process);
    let said = pipe.said();
    let why = ["takes no more writes since one failed", "it is not known whether the transaction committed"];
    assert!(why.iter().any(|why| said.contains(why)) && said.contains("No space left on device"), "{said}");
    std::fs::remove_file(filler).unwrap();
    disk.remount("size=512m");
    goes_on(&pipe, &mut load);
}

/// Row 23, with the log in Kafka: checkpoints and the journal fail, the epochs go on.
#[test]
fn the_disk_of_the_state_is_full() {
    let brokers =
        std::env::var("MILLSTREAM_TEST_KAFKA").expect("run this by tests/run, or tests/with-services COMMAND");
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::memory(&dir.path().join("disk"), "6m") else { return };
    let prefix = format!("full{}-", std::process::id());
    let (pipeline, items) = (format!("{prefix}pipeline"), format!("{prefix}items"));
    let settings = ["--kafka", &brokers, "--pipeline", &pipeline];
    let pipe = Pipe::new(dir.path(), &disk.at.join("data"), &SQL.replace('@', &prefix), &settings);
    let mut load = Load::new();
    let mut serving = pipe.start();
    until("a checkpoint fails", || {
        assert!(load.write(&serving.http, &items, 200), "the topic takes records");
        metric(&serving.http, "millstream_checkpoint_errors_total") > 0.0
    });
    until("it says why", || pipe.said().contains("No space left on device"));
    for _ in 0..5 {
        assert!(load.write(&serving.http, &items, 200), "the topic takes records");
        wait_until_caught_up(&serving.http);
    }
    // A power cut on the full disk.
    serving.process.kill();
    match pipe.try_start() {
        Ok(again) => serving = again,
        Err(process) => {
            pipe.ends(process);
            disk.remount("size=32m");
            serving = pipe.start();
        }
    }
    wait_until_caught_up(&serving.http);
    disk.remount("size=512m");
    assert!(load.write(&serving.http, &items, 200), "the topic takes records");
    wait_until_caught_up(&serving.http);
    let epoch = metric(&serving.http, "millstream_epoch");
    until("checkpoints are made again, without a start", || {
        metric(&serving.http, "millstream_checkpoint_epoch") >= epoch
    });
    serving.process.kill();
    let mut serving = pipe.start();
    assert!(load.write(&serving.http, &items, 50));
    wait_until_caught_up(&serving.http);
    assert_eq!(serving.process.terminate(), Some(0), "{}", pipe.said());
    judge(&*kafka_log(&brokers, "judge"), &prefix, &load);
}

/// A folder that cannot be written to: refused at a start; while it runs, the process ends.
#[test]
fn the_data_folder_becomes_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::image(&dir.path().join("disk")) else { return };
    let pipe = Pipe::new(dir.path(), &disk.at.join("data"), &SQL.replace('@', ""), &[]);
    let mut load = Load::new();
    let serving = pipe.start();
    assert!(load.write(&serving.http, "items", 500));
    wait_until_caught_up(&serving.http);
    disk.fail();
    while load.write(&serving.http, "items", 50) {
        assert!(load.next < MORE_THAN_FITS, "the disk takes nothing");
    }
    pipe.ends(serving.process);
    assert!(pipe.said().contains("Read-only file system"), "{}", pipe.said());
    refused(&pipe, &disk.at);
    disk.mend();
    goes_on(&pipe, &mut load);
    disk.remount("ro");
    refused(&pipe, &disk.at);
    disk.remount("rw");
    goes_on(&pipe, &mut load);
}

/// A start is refused with code 1, and the last words say where and why, and what to do.
fn refused(pipe: &Pipe, at: &Path) {
    let mut process = pipe.launch();
    let ended = process.ended_by(Instant::now() + PATIENCE).expect("it ends");
    let said = pipe.said();
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(ended.code(), Some(1), "{said}");
    let says = |words: &str| last.contains(words);
    assert!(says(at.to_str().expect("a path")) && says("Read-only file system") && says("check the disk"), "{last}");
}
