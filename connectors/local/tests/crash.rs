//! Crashes: killed in the middle, the tail of the write-ahead log torn, the disk full. What a commit acknowledged is
//! there; what it did not is there as a whole or not at all.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use api::{CommitError, Log};

use super::{at, commit_records, contents, files, image, noise, open, record, whole_commits};
use crate::LocalLog;

const CHILD_DIR: &str = "MILLSTREAM_TEST_LOG";

fn wal(dir: &Path) -> std::path::PathBuf {
    files(dir, |name| name.ends_with(".log")).pop().unwrap()
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Where to cut: each byte near a commit's borders and near the WAL's block borders, and some between.
fn cuts(ends: &[u64]) -> Vec<u64> {
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    let borders = ends.iter().copied().chain((0..=last).step_by(32 << 10));
    let near = borders.flat_map(|b| b.saturating_sub(9)..=b + 9);
    let mut cuts: Vec<u64> = near.chain((first..last).step_by(2_711)).filter(|c| (first..=last).contains(c)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

#[test]
fn a_torn_tail_leaves_whole_commits() {
    let (live, torn) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(live.path());
    let wal_path = wal(live.path());
    let mut writer = log.writer().unwrap();
    // The fifth is of many blocks, the sixth is small again.
    let mut ends = vec![len(&wal_path)];
    for n in 0..6 {
        writer.commit_all(&commit_records(n)).unwrap();
        ends.push(len(&wal_path));
    }
    let mut seen = [0; 7];
    for cut in cuts(&ends) {
        image(live.path(), torn.path());
        fs::OpenOptions::new().write(true).open(wal(torn.path())).unwrap().set_len(cut).unwrap();
        let log = LocalLog::open(torn.path()).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        let commits = whole_commits(&contents(&log).unwrap());
        let synced = ends.iter().filter(|end| **end <= cut).count() as u64 - 1;
        assert_eq!(commits, synced, "cut at {cut}; commits end at {ends:?}");
        seen[commits as usize] += 1;
        // And it goes on from there.
        log.writer().unwrap().commit_all(&commit_records(commits)).unwrap();
        assert_eq!(whole_commits(&contents(&log).unwrap()), commits + 1);
    }
    println!("cuts by commits left: {seen:?}");
    assert!(seen.iter().all(|n| *n > 0));
}

#[test]
fn a_commit_is_one_write_and_one_sync_however_many_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let count = |name: &str| -> u64 {
        let all = log.statistics();
        let line = all.lines().find(|line| line.starts_with(&format!("{name} COUNT"))).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let counts = || ["rocksdb.wal.synced", "rocksdb.write.self", "rocksdb.number.keys.written"].map(&count);
    let mut writer = log.writer().unwrap();
    for records in [1, 100, 5_000] {
        let before = counts();
        let record = |n: usize| record(&at("a", (n % 2) as i32), "key", noise(n as u64, 40));
        writer.commit_all(&(0..records).map(record).collect::<Vec<_>>()).unwrap();
        let after = counts();
        assert_eq!((after[0] - before[0], after[1] - before[1]), (1, 1), "syncs and writes for {records} records");
        assert!(after[2] - before[2] <= 4, "two chunks and two extents for {records} records");
    }
}

#[test]
fn a_crash_image_after_each_commit_has_it() {
    let (live, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(live.path());
    let mut writer = log.writer().unwrap();
    for n in 0..12 {
        writer.commit_all(&commit_records(n)).unwrap();
        image(live.path(), crashed.path());
        let log = LocalLog::open(crashed.path()).unwrap();
        assert_eq!(whole_commits(&contents(&log).unwrap()), n + 1);
    }
}

/// What the process does that is killed, or runs out of space. Prints each commit that was acknowledged.
fn commit_until_the_end(dir: &Path) {
    let log = open(dir);
    let mut writer = log.writer().unwrap();
    for n in 0.. {
        match writer.commit_all(&commit_records(n)) {
            Ok(_) => println!("\nacknowledged {n}"),
            Err(CommitError::InDoubt(why)) => {
                println!("\nfailed {why}");
                let again = writer.commit_all(&commit_records(n)).unwrap_err();
                assert!(matches!(again, CommitError::InDoubt(_)), "a write behind a failed one: {again}");
                assert!(log.append(&commit_records(n)).is_err() && log.writer().is_err());
                assert_eq!(whole_commits(&contents(&log).unwrap()), n, "readers see what was acknowledged");
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn child(dir: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    let exe = std::env::current_exe().unwrap();
    command.arg("-c").arg(format!("{shell} exec \"$0\" \"$@\"")).arg(exe).env(CHILD_DIR, dir);
    command.args(["--exact", "tests::crash::what_a_killed_process_acknowledged_is_there", "--nocapture"]);
    command.stdout(Stdio::piped());
    command
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ").map(|n| n.parse().unwrap())
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    // This test is its own child: the same binary, told by the environment to be the one that writes.
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return commit_until_the_end(Path::new(&dir));
    }
    for commits in [1, 7, 40] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = child(dir.path(), "").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut last = None;
        for n in lines.filter_map(|line| acknowledged(&line)) {
            if n == commits {
                child.kill().unwrap();
            }
            last = Some(n);
        }
        child.wait().unwrap();
        let log = LocalLog::open(dir.path()).unwrap();
        let found = whole_commits(&contents(&log).unwrap());
        let acknowledged = last.unwrap() + 1;
        // One more may have been on disk and not yet reported.
        assert!(found == acknowledged || found == acknowledged + 1, "{found} commits, {acknowledged} acknowledged");
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_whole_commits() {
    // No file may grow above a size: writing fails in the middle of a write, as on a full disk.
    for blocks in [64, 300, 1_000, 3_000] {
        let dir = tempfile::tempdir().unwrap();
        let output = child(dir.path(), &format!("trap '' XFSZ; ulimit -f {blocks};")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.lines().any(|line| line.starts_with("failed ")), "the limit was met: {text}");
        let acknowledged = text.lines().filter_map(acknowledged).count() as u64;
        let log = LocalLog::open(dir.path()).unwrap();
        let found = whole_commits(&contents(&log).unwrap());
        assert!(found == acknowledged || found == acknowledged + 1, "{found} commits, {acknowledged} acknowledged");
        log.writer().unwrap().commit_all(&commit_records(found)).unwrap();
        println!("{blocks} blocks: {acknowledged} acknowledged, {found} found");
    }
}
