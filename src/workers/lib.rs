//! Workers: threads that help the one that coordinates with a piece of its work, and then wait for the next.
//!
//! Work is cut into pieces ([`pieces`]), each is done by whoever is free ([`map`], [`sort`]), and the results come in the order of the
//! pieces, so that nothing can depend on who did which, nor, where the pieces are put together as if they had been one, on how
//! many workers there are. Only what runs by workers ([`Workers::run`]) has helpers; on any other thread, and in a piece, all is
//! done as it comes. So nothing that may be cut needs to be told of workers, and readers of the same state never take those of
//! the engine.

mod pool;
mod sort;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use pool::Pool;
pub use sort::sort;

/// Pieces for each worker: one that is slow, or late to wake, leaves its next ones to the others.
const PIECES_PER_WORKER: usize = 2;

thread_local! {
    static HERE: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
}

/// A coordinator and its helpers. A clone is the same helpers; by default there are none.
#[derive(Clone, Default)]
pub struct Workers(Option<Arc<Pool>>);

impl Workers {
    /// So many threads together with the one that coordinates: of one, none is started.
    pub fn new(threads: usize, stack_bytes: usize) -> Result<Self, String> {
        Self::start(threads, stack_bytes, false)
    }

    /// The same, of whom even the smallest work is cut into pieces: so that tests need not be large.
    pub fn eager(threads: usize) -> Result<Self, String> {
        Self::start(threads, 256 << 20, true)
    }

    fn start(threads: usize, stack_bytes: usize, eager: bool) -> Result<Self, String> {
        if threads <= 1 {
            return Ok(Self::default());
        }
        Ok(Self(Some(Arc::new(Pool::start(threads, stack_bytes, eager)?))))
    }

    /// How many threads work, with the one that coordinates.
    pub fn threads(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.threads)
    }

    /// Does it on one of the threads, which the others help. (If they do already, or there are none: here.)
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let Some(pool) = &self.0 else { return work() };
        if HERE.with_borrow(|here| here.as_ref().is_some_and(|here| Arc::ptr_eq(here, pool))) {
            return work();
        }
        pool.run(|| {
            let _here = Here::replace(Some(Arc::clone(pool)));
            work()
        })
    }

    /// How often work was cut into pieces.
    pub fn forks(&self) -> u64 {
        self.0.as_ref().map_or(0, |pool| pool.forks())
    }

    /// How many pieces were done by helpers.
    pub fn helped(&self) -> u64 {
        self.0.as_ref().map_or(0, |pool| pool.helped())
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workers({})", self.threads())
    }
}

/// Puts back what helped this thread before.
struct Here {
    before: Option<Arc<Pool>>,
}

impl Here {
    fn replace(by: Option<Arc<Pool>>) -> Self {
        Self { before: HERE.replace(by) }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(self.before.take());
    }
}

/// The pieces, in order, into which `len` things are cut here, each of `least` or more; one if nobody helps or it is too little.
pub fn pieces(len: usize, least: usize) -> Vec<Range<usize>> {
    cut(len, least, PIECES_PER_WORKER)
}

/// Whether so many things would be cut here.
pub fn is_cut(len: usize, least: usize) -> bool {
    count(len, least, PIECES_PER_WORKER) > 1
}

fn cut(len: usize, least: usize, per_worker: usize) -> Vec<Range<usize>> {
    let count = count(len, least, per_worker);
    (0..count).map(|at| len * at / count..len * (at + 1) / count).collect()
}

fn count(len: usize, least: usize, per_worker: usize) -> usize {
    HERE.with_borrow(|here| match here {
        Some(pool) => (len / pool.least(least)).clamp(1, pool.threads * per_worker),
        None => 1,
    })
}

/// What `work` makes of each item, in the order of the items. A panic in any of them is one here, once all others are done.
pub fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let pool = if items.len() > 1 { HERE.with_borrow(Clone::clone) } else { None };
    let Some(pool) = pool else { return items.into_iter().map(work).collect() };
    // What a piece cuts further it does alone: all workers have pieces already.
    let _here = Here::replace(None);
    pool.map(items, work)
}

/// As [`map`], of the pieces of `len` things.
pub fn map_pieces<R: Send>(len: usize, least: usize, work: impl Fn(Range<usize>) -> R + Sync) -> Vec<R> {
    map(pieces(len, least), work)
}

/// As [`map`], of items that hold `len` things together: those that hold too little to be cut are not shared out.
pub fn map_large<T: Send, R: Send>(items: Vec<T>, len: usize, least: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if is_cut(len, least) { map(items, work) } else { items.into_iter().map(work).collect() }
}

/// Fills `out` by pieces: `ends` has where, in it, each of the pieces' things ends.
pub fn fill(out: &mut [u8], ends: &[usize], pieces: &[Range<usize>], work: impl Fn(Range<usize>, &mut [u8]) + Sync) {
    let mut rest = out;
    let mut filled = 0;
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let end = ends[piece.end - 1];
        let (part, others) = rest.split_at_mut(end - filled);
        parts.push((piece.clone(), part));
        (rest, filled) = (others, end);
    }
    map(parts, |(piece, part)| work(piece, part));
}
