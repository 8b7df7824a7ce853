//! What this process has used: CPU time, user and system, of all its threads; and the most memory that it had.

use std::fs;
use std::time::{Duration, Instant};

use crate::cli::Failure;

/// The ticks of /proc are hundredths of a second, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Who uses no more than a tick in this time is idle.
const SETTLED: Duration = Duration::from_millis(300);
/// How long is waited for that.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub at: Instant,
    pub cpu: Duration,
}

/// Time that has passed between two moments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub wall: Duration,
    pub cpu: Duration,
}

impl Moment {
    pub fn now() -> Result<Self, Failure> {
        Ok(Self { at: Instant::now(), cpu: cpu()? })
    }

    pub fn since(&self, before: &Self) -> Used {
        Used { wall: self.at - before.at, cpu: self.cpu.saturating_sub(before.cpu) }
    }
}

/// Waits until this process is idle: what the opening of a log that was just written has begun (its flushes and compactions) is no
/// work of the engine.
pub(super) fn settle() -> Result<(), Failure> {
    let deadline = Instant::now() + SETTLE_MAX;
    loop {
        let before = cpu()?;
        std::thread::sleep(SETTLED);
        if cpu()?.saturating_sub(before) <= TICK || Instant::now() > deadline {
            return Ok(());
        }
    }
}

/// From here on the most memory is that of what follows, where the system allows it.
pub(super) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that was resident, in bytes.
pub(super) fn peak_bytes() -> Result<u64, Failure> {
    let status = read("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| unknown("the most memory", "/proc/self/status"))
}

fn cpu() -> Result<Duration, Failure> {
    let stat = read("/proc/self/stat")?;
    let ticks = ticks(&stat).ok_or_else(|| unknown("the CPU time", "/proc/self/stat"))?;
    Ok(TICK * ticks)
}

/// User and system, which are the 14th and 15th field; the name of the process, which is the second, may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        Failure::while_doing(&format!("cannot read {path} (the bench measures itself by it, on Linux)"), error)
    })
}

fn unknown(what: &str, path: &str) -> Failure {
    Failure::other(format!("{path} does not tell {what}: the bench measures itself by it, on Linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_are_added() {
        let stat = "7 (a b) c) S 1 1 1 0 -1 4194304 100 0 0 0 250 30 9 9 20 0 4 0 100 1 1";
        assert_eq!(ticks(stat), Some(280));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(peak_bytes().is_ok_and(|bytes| bytes > 1 << 20));
        assert!(Moment::now().is_ok());
    }
}
