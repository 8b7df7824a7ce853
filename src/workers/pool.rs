//! The threads of one coordinator, who is one of them while it runs. Pieces lie in a queue, from which each takes the next. Helpers are
//! called for, not waited for: what nobody has come to do by the end of the queue, the coordinator takes back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

#[derive(Debug)]
pub(crate) struct Pool {
    /// With the coordinator.
    pub threads: usize,
    eager: bool,
    pool: ThreadPool,
    forks: AtomicU64,
    helped: AtomicU64,
}

impl Pool {
    pub fn start(threads: usize, stack_bytes: usize, eager: bool) -> Result<Self, String> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .stack_size(stack_bytes)
            .thread_name(|at| format!("worker-{}", at + 1))
            .build()
            .map_err(|error| format!("cannot start {threads} worker threads: {error}"))?;
        Ok(Self { threads, eager, pool, forks: AtomicU64::new(0), helped: AtomicU64::new(0) })
    }

    /// The least of a piece, where so many are worth the trouble.
    pub fn least(&self, least: usize) -> usize {
        if self.eager { 1 } else { least.max(1) }
    }

    pub fn forks(&self) -> u64 {
        self.forks.load(Relaxed)
    }

    pub fn helped(&self) -> u64 {
        self.helped.load(Relaxed)
    }

    /// On one of the threads.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// What `work` makes of the items, in their order, with the help of the others: on one of the threads alone.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        self.forks.fetch_add(1, Relaxed);
        let helpers = items.len().min(self.threads) - 1;
        let done = Mutex::new(Vec::with_capacity(items.len()));
        let queue = Mutex::new(items.into_iter().enumerate());
        let take_turns = || {
            let mut mine = Vec::new();
            loop {
                let next = locked(&queue).next();
                let Some((at, item)) = next else { break };
                mine.push((at, work(item)));
            }
            let count = mine.len() as u64;
            locked(&done).append(&mut mine);
            count
        };
        rayon_core::in_place_scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|_| {
                    self.helped.fetch_add(take_turns(), Relaxed);
                });
            }
            take_turns();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// No piece is worked at under these locks, so that no panic leaves them half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
