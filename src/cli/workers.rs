//! How many worker threads an engine has, and where they come from.

use std::num::NonZero;
use std::thread;

use workers::Workers;

use super::Failure;
use super::process::STACK_BYTES;

/// The most that are taken unasked: more gain little where one thread coordinates.
const DEFAULT_MAX: usize = 8;

/// Of so many cores one is for a worker: readers of topics, commits, checkpoints and queries need the others.
const CORES_PER_WORKER: usize = 2;

/// Set, in tests: even the smallest work is shared out.
const EAGER: &str = "MILLSTREAM_EAGER_WORKERS";

/// One for every two cores that this process may use: by its affinity, and by the quota of its cgroup.
pub(super) fn by_default() -> usize {
    of_cores(thread::available_parallelism().map_or(1, NonZero::get))
}

fn of_cores(cores: usize) -> usize {
    (cores / CORES_PER_WORKER).clamp(1, DEFAULT_MAX)
}

/// So many, with the one that coordinates.
pub(super) fn start(threads: usize) -> Result<Workers, Failure> {
    let started = match std::env::var_os(EAGER) {
        Some(_) => Workers::eager(threads),
        None => Workers::new(threads, STACK_BYTES),
    };
    started.map_err(|why| Failure::other(format!("{why}; start fewer with --workers")))
}

#[cfg(test)]
mod tests {
    use super::of_cores;

    #[test]
    fn half_of_the_cores_are_left_to_the_others() {
        let cores = [1, 2, 3, 4, 8, 16, 64];
        assert_eq!(cores.map(of_cores), [1, 1, 1, 2, 4, 8, 8]);
    }
}
