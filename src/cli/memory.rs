//! How much memory may be taken: what the user says, or a share of what there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::Budget;

use super::postgres;

/// The share of what there is, in hundredths.
const SHARE: u64 = 60;
/// The least that is of use.
const LEAST: u64 = 32 << 20;
/// Where groups of processes are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// `256MB`, in PostgreSQL's units.
pub(super) fn size(text: &str) -> Result<u64, String> {
    match postgres::size(text)? as u64 {
        bytes if bytes >= LEAST => Ok(bytes),
        _ => Err("32MB is needed at least".to_string()),
    }
}

/// A budget of so many bytes, of all that this process has.
pub(super) fn budget(limit: u64) -> Arc<Budget> {
    Arc::new(Budget::of_process(limit, runtime::resident_bytes, super::trim::trim))
}

/// What may be taken if nobody says.
pub(super) fn by_default() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits: Vec<String> = files(&groups).iter().filter_map(|path| read(path)).collect();
    share(&read(Path::new("/proc/meminfo")).unwrap_or_default(), &limits)
}

/// The files that say how much the groups may take that this process is in, and those above them: of both versions. A
/// container may see its own group as the topmost.
fn files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => (PathBuf::from(CGROUPS), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (Path::new(CGROUPS).join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let own = Path::new(group.trim_start_matches('/'));
        files.extend(own.ancestors().map(|group| root.join(group).join(file)));
    }
    files
}

/// The share of what there is: the machine's memory, or the least of the limits. A group without a limit has `max`, or a
/// number that is more than any machine has.
fn share(meminfo: &str, limits: &[String]) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map(|kb| kb << 10);
    let limits = limits.iter().filter_map(|text| text.trim().parse::<u64>().ok());
    match limits.chain(total).min() {
        Some(bytes) => (bytes / 100 * SHARE).max(LEAST),
        None => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_both_versions() {
        let of = |text: &str| files(text).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(of(""), Vec::<String>::new());
        assert_eq!(of("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            of("0::/a.slice/b.scope\n"),
            [
                "/sys/fs/cgroup/a.slice/b.scope/memory.max",
                "/sys/fs/cgroup/a.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        let first = "12:cpu,cpuacct:/x\n11:memory:/docker/0a:b\nnonsense\n1:name=systemd:/\n";
        assert_eq!(
            of(first),
            [
                "/sys/fs/cgroup/memory/docker/0a:b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
    }

    #[test]
    fn the_least_of_what_there_is() {
        let machine = "MemTotal:       10240000 kB\nMemFree:  1 kB\n";
        let table: [(&str, &[&str], u64); 7] = [
            ("", &[], u64::MAX),
            ("", &["max\n"], u64::MAX),
            (machine, &[], 6_291_456_000),
            (machine, &["max\n"], 6_291_456_000),
            (machine, &["9223372036854771712\n"], 6_291_456_000),
            (machine, &["9223372036854771712\n", "1000000000\n", "max"], 600_000_000),
            (machine, &["1000000\n"], LEAST),
        ];
        for (meminfo, limits, expected) in table {
            let limits: Vec<String> = limits.iter().map(ToString::to_string).collect();
            assert_eq!(share(meminfo, &limits), expected, "{meminfo} {limits:?}");
        }
    }

    #[test]
    fn sizes_have_a_least() {
        assert_eq!(size("64MB"), Ok(64 << 20));
        assert!(size("31MB").is_err() && size("64").is_err() && size("").is_err());
    }
}
