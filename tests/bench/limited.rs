//! A run whose state is larger than its memory, in a group of processes that the kernel holds to its limit: it is not killed, it keeps to
//! what it was told, and comes to the same as a run that has all memory.
//!
//! The group is made where this machine has the memory controller (of version 1 or 2) and lets us. Where not, the test says so, and what
//! it took by /proc is compared all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::support::{millstream, outcome};

/// What it is told.
const LIMIT: u64 = 256 << 20;
/// What the group may take: the page cache of what it reads and writes is in it, too.
const ALLOWED: u64 = LIMIT / 4 * 5;
const EVENTS: &str = "1600000";
/// Longer than the start of a process takes.
const STARTS: Duration = Duration::from_secs(60);

/// A group of processes. It is gone when dropped, if its processes are.
struct Group {
    folder: PathBuf,
    /// The file in which the kernel tells of those that it killed.
    told: &'static str,
}

impl Group {
    /// One that may take so much, or why there is none.
    fn new(allowed: u64) -> Result<Self, String> {
        let root = Path::new("/sys/fs/cgroup");
        let first = root.join("memory");
        let (root, limit, told) = match first.is_dir() {
            true => (first.as_path(), "memory.limit_in_bytes", "memory.oom_control"),
            false => (root, "memory.max", "memory.events"),
        };
        let folder = root.join(format!("millstream-test-{}", std::process::id()));
        let cannot = |error| format!("{}: {error}", folder.display());
        fs::create_dir(&folder).map_err(cannot)?;
        let group = Self { folder: folder.clone(), told };
        fs::write(folder.join(limit), allowed.to_string()).map_err(cannot)?;
        // Without this file (it depends on the kernel) there is no swap to be counted.
        let _ = fs::write(folder.join("memory.swap.max"), "0");
        group.killed().map(|_| group)
    }

    fn take(&self, process: u32) {
        fs::write(self.folder.join("cgroup.procs"), process.to_string()).unwrap();
        let there = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap();
        assert!(
            there.lines().any(|line| line == process.to_string()),
            "process {process} is not in its group: {there}"
        );
    }

    /// How many of its processes were killed because they took too much.
    fn killed(&self) -> Result<u64, String> {
        let file = self.folder.join(self.told);
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.ok_or_else(|| format!("{}: it does not say how many were killed", file.display()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{}: {error}; it is left behind", self.folder.display());
        }
    }
}

/// A run of the bench, killed when dropped.
struct Bench(Option<Child>);

impl Bench {
    fn start(memory: u64) -> Self {
        let memory = format!("{}MB", memory >> 20);
        let mut command = millstream(&["bench", "q7", "--events", EVENTS, "--memory", &memory, "--json"]);
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Waits until it has started the process that writes its data, which does not count: what it takes itself begins behind that.
    fn loads(&self) -> u32 {
        let id = self.0.as_ref().unwrap().id();
        let deadline = Instant::now() + STARTS;
        let tasks = || fs::read_dir(format!("/proc/{id}/task")).unwrap().map(|task| task.unwrap().path());
        while tasks().all(|task| fs::read_to_string(task.join("children")).unwrap_or_default().is_empty()) {
            assert!(Instant::now() < deadline, "the bench has not begun to write its data");
            std::thread::sleep(Duration::from_millis(1));
        }
        id
    }

    fn figures(mut self) -> Value {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        let (code, said, errors) = outcome(&output);
        assert_eq!(code, 0, "{:?}: {errors}", output.status);
        serde_json::from_str(&said).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn in_a_group_that_enforces_its_limit_the_result_is_the_same() {
    let group = Group::new(ALLOWED);
    let limited = Bench::start(LIMIT);
    if let Ok(group) = &group {
        group.take(limited.loads());
    }
    let free = Bench::start(64 << 30).figures();
    let limited = limited.figures();
    match &group {
        Ok(group) => assert_eq!(group.killed(), Ok(0)),
        Err(why) => println!("nothing enforces the limit here ({why}): what was taken is compared alone"),
    }
    for figure in ["rows", "result_rows", "result_hash"] {
        assert_eq!(limited[figure], free[figure], "{figure}: {limited} {free}");
    }
    let [limited, free] = [limited, free].map(|figures| figures["peak_rss_bytes"].as_u64().unwrap());
    println!("told {} MiB: {} MiB at most; without a limit {} MiB", LIMIT >> 20, limited >> 20, free >> 20);
    assert!(free > ALLOWED, "{free} bytes were taken without a limit, which fits: give it more --events");
    assert!(limited < LIMIT / 5 * 6, "{limited} bytes were taken of {LIMIT}");
}
