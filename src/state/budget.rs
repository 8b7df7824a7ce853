//! The budget: how much memory may be taken, and who has taken how much of it.
//!
//! What is held is [`Counted`] until it is dropped, by [`Part`]. All else that the process has (epochs that are computed, buffers of
//! client libraries that write, the program) is one part: what it has in memory, less what is counted. A budget refuses queries alone:
//! whoever can give something back looks whether it is over, and does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What memory is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Batches of arrangements that are in memory, those that are being merged too.
    Batches,
    /// What is kept in memory of batches that are not: where their blocks begin, and filters of their hashes.
    Indexes,
    /// Blocks that were read.
    Cache,
    /// What RocksDB holds: blocks that it has not written to files yet, and what it keeps of its files.
    Database,
    /// What queries of clients hold.
    Queries,
    /// Records that were read and are in no epoch yet.
    Input,
    /// Records that a log's client has at hand.
    Log,
    /// All else that the process has.
    Process,
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Batches,
        Self::Indexes,
        Self::Cache,
        Self::Database,
        Self::Queries,
        Self::Input,
        Self::Log,
        Self::Process,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Indexes => "indexes",
            Self::Cache => "block cache",
            Self::Database => "database",
            Self::Queries => "queries",
            Self::Input => "input",
            Self::Log => "log client",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The share of the limit that batches keep: one in so many.
const BATCHES_SHARE: u64 = 8;
/// So much more than the limit may be taken until batches give back, one part in so many.
const SLACK_SHARE: u64 = 10;

/// The share of the limit that queries may have together: one in so many.
const QUERIES_SHARE: u64 = 2;
/// They always may have so much.
const QUERIES_LEAST: u64 = 16 << 20;

/// Of what the process had more a while ago than it has now so much is forgotten at each measure: one part in so many.
const SWING_SHARE: u64 = 16;
/// It is looked how much more that is where so much of the limit is taken, in quarters.
const SWING_QUARTERS: u64 = 3;

/// The process has so much more than when it last gave memory back before it does so again: one part in so many of the limit.
const TRIM_SHARE: u64 = 32;

/// See the module.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    parts: [AtomicU64; Part::ALL.len()],
    process: Option<Process>,
    /// What is promised and not taken yet.
    promised: AtomicU64,
    /// The most that the process had lately beside what is counted: it will again.
    top: AtomicU64,
    /// What the process had when it last gave something back.
    trimmed: AtomicU64,
}

/// Why a query gets no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueriesFull {
    /// What queries have.
    pub taken: u64,
    /// What they may have together.
    pub most: u64,
}

/// What a budget asks of its process.
#[derive(Debug, Clone, Copy)]
struct Process {
    /// What it has in memory.
    resident: fn() -> u64,
    /// Gives back what is free in it.
    trim: fn(),
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl Budget {
    /// So many bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            parts: Default::default(),
            process: None,
            promised: AtomicU64::new(0),
            top: AtomicU64::new(0),
            trimmed: AtomicU64::new(0),
        }
    }

    /// So many bytes of a process, of which `resident` says what it has in memory, and which `trim` has give back what is free in it.
    pub fn of_process(limit: u64, resident: fn() -> u64, trim: fn()) -> Self {
        Self { process: Some(Process { resident, trim }), ..Self::new(limit) }
    }

    /// Looks at what the process has that nobody counts. What is free in it is given back if it has more than may be taken, and more
    /// than when it last did so.
    pub fn measure(&self) {
        let Some(Process { resident, trim }) = self.process else { return };
        let now = resident();
        if now > self.limit && now > self.trimmed.load(Relaxed).saturating_add(self.limit / TRIM_SHARE) {
            trim();
            self.trimmed.store(resident(), Relaxed);
        }
        self.trimmed.fetch_min(now, Relaxed);
        let process = self.beside(resident);
        self.tell(Part::Process, process);
        let top = self.top.load(Relaxed);
        self.top.store(process.max(top - top.saturating_sub(process) / SWING_SHARE), Relaxed);
    }

    /// Looks at it in between, where work is done that takes memory for a while.
    pub fn notice(&self) {
        let Some(Process { resident, .. }) = self.process else { return };
        if self.total() > self.limit / 4 * SWING_QUARTERS {
            self.top.fetch_max(self.beside(resident), Relaxed);
        }
    }

    /// What the process has beside what is counted.
    fn beside(&self, resident: fn() -> u64) -> u64 {
        let counted = Part::ALL.into_iter().filter(|part| *part != Part::Process).map(|part| self.taken(part)).sum();
        resident().saturating_sub(counted)
    }

    /// What is taken for all parts where the process has as much as it had lately, and what is promised is taken.
    fn top(&self) -> u64 {
        self.total() + self.promised.load(Relaxed) + self.top.load(Relaxed).saturating_sub(self.taken(Part::Process))
    }

    /// How many bytes may be taken; `u64::MAX` is no limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is taken for a part.
    pub fn taken(&self, part: Part) -> u64 {
        self.parts[part as usize].load(Relaxed)
    }

    /// What is taken for all parts.
    pub fn total(&self) -> u64 {
        Part::ALL.into_iter().map(|part| self.taken(part)).sum()
    }

    /// Says what a part takes that nobody counts.
    pub fn tell(&self, part: Part, bytes: u64) {
        self.parts[part as usize].store(bytes, Relaxed);
    }

    /// The bytes that batches have to give back. They keep a share of the limit whatever else is taken: with none, state would
    /// only be read and written.
    pub(crate) fn excess(&self) -> u64 {
        let batches = self.taken(Part::Batches);
        self.top().saturating_sub(self.limit).min(batches.saturating_sub(self.limit / BATCHES_SHARE))
    }

    /// How much more batches may take.
    pub(crate) fn room(&self) -> u64 {
        let free = self.limit.saturating_sub(self.top());
        free.max((self.limit / BATCHES_SHARE).saturating_sub(self.taken(Part::Batches)))
    }

    /// Whether the cache may take more. Batches make room for it at the next commit only, so it may have a little more than there is.
    pub(crate) fn has_slack(&self) -> bool {
        self.top() < self.limit.saturating_add(self.limit / SLACK_SHARE)
    }

    /// A query takes bytes, unless queries would have too much together.
    pub fn query_takes(&self, bytes: u64) -> Result<(), QueriesFull> {
        let most = (self.limit / QUERIES_SHARE).max(QUERIES_LEAST);
        let taken = &self.parts[Part::Queries as usize];
        let sum = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= most);
        taken.fetch_update(Relaxed, Relaxed, sum).map(drop).map_err(|taken| QueriesFull { taken, most })
    }

    /// A query takes bytes that it has already.
    pub fn query_has(&self, bytes: u64) {
        self.parts[Part::Queries as usize].fetch_add(bytes, Relaxed);
    }

    /// A query gives bytes back that it took.
    pub fn query_gives(&self, bytes: u64) {
        self.parts[Part::Queries as usize].fetch_sub(bytes, Relaxed);
    }

    /// Promises bytes, until what is returned is dropped: who begins something knows how much that will come to.
    pub(crate) fn promise(self: &Arc<Self>, bytes: u64) -> Promised {
        self.promised.fetch_add(bytes, Relaxed);
        Promised { budget: Arc::clone(self), bytes }
    }

    /// Takes bytes, until what is returned is dropped.
    pub fn count(self: &Arc<Self>, part: Part, bytes: u64) -> Counted {
        self.parts[part as usize].fetch_add(bytes, Relaxed);
        Counted { budget: Arc::clone(self), part, bytes }
    }
}

/// Bytes that will be taken.
#[derive(Debug)]
pub(crate) struct Promised {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Promised {
    /// So many are left of it.
    pub(crate) fn resize(&mut self, bytes: u64) {
        self.budget.promised.fetch_add(bytes, Relaxed);
        self.budget.promised.fetch_sub(self.bytes, Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        self.budget.promised.fetch_sub(self.bytes, Relaxed);
    }
}

/// Bytes that are taken until it is dropped.
#[derive(Debug)]
pub struct Counted {
    budget: Arc<Budget>,
    part: Part,
    bytes: u64,
}

impl Counted {
    /// Takes so many instead.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let part = &self.budget.parts[self.part as usize];
        part.fetch_add(bytes, Relaxed);
        part.fetch_sub(self.bytes, Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.budget.parts[self.part as usize].fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_give_back_what_is_too_much_but_for_their_share() {
        // Limit, batches, cache, process; what has to be given back, what there is room for.
        let table: [([u64; 4], u64, u64); 7] = [
            ([800, 0, 0, 0], 0, 800),
            ([800, 300, 100, 200], 0, 200),
            ([800, 300, 100, 500], 100, 0),
            ([800, 300, 100, 2000], 200, 0),
            ([800, 40, 100, 2000], 0, 60),
            ([0, 40, 0, 0], 40, 0),
            ([u64::MAX, 40, 0, 10], 0, u64::MAX - 50),
        ];
        for ([limit, batches, cache, process], excess, room) in table {
            let budget = Arc::new(Budget::new(limit));
            let held = [(Part::Batches, batches), (Part::Cache, cache)].map(|(part, bytes)| budget.count(part, bytes));
            budget.tell(Part::Process, process);
            assert_eq!((budget.excess(), budget.room()), (excess, room), "{budget:?}");
            drop(held);
            assert_eq!(budget.total(), process);
        }
        for (limit, taken, slack) in [(800, 879, true), (800, 880, false), (0, 0, false), (u64::MAX, 7, true)] {
            let budget = Budget::new(limit);
            budget.tell(Part::Process, taken);
            assert_eq!(budget.has_slack(), slack, "{limit} {taken}");
        }
    }

    #[test]
    fn queries_have_half_of_the_limit_together_and_always_some() {
        for (limit, most) in [(100 << 20, 50 << 20), (0, QUERIES_LEAST), (u64::MAX, u64::MAX / 2)] {
            let budget = Budget::new(limit);
            assert_eq!([most - 7, 7].map(|bytes| budget.query_takes(bytes)), [Ok(()); 2], "{limit}");
            assert_eq!(budget.query_takes(1), Err(QueriesFull { taken: most, most }), "{limit}");
            budget.query_has(5);
            assert_eq!(budget.query_takes(0), Err(QueriesFull { taken: most + 5, most }), "what it has is counted");
            budget.query_gives(5);
            budget.query_gives(7);
            assert!(budget.query_takes(6).is_ok() && budget.query_takes(2).is_err(), "{limit}");
            assert_eq!((budget.taken(Part::Queries), budget.total()), (most - 1, most - 1));
        }
    }

    #[test]
    fn the_process_is_what_nobody_counts() {
        let budget = Arc::new(Budget::of_process(1000, || 700, || panic!("there is room")));
        let mut held = budget.count(Part::Batches, 200);
        budget.measure();
        assert_eq!((budget.taken(Part::Process), budget.total()), (500, 700));
        held.resize(900);
        budget.measure();
        assert_eq!((budget.taken(Part::Process), budget.total()), (0, 900));
    }

    #[test]
    fn what_is_promised_is_not_there_for_others() {
        let budget = Arc::new(Budget::of_process(1000, || 700, || panic!("there is room")));
        let mut promised = budget.promise(200);
        budget.measure();
        assert_eq!((budget.taken(Part::Process), budget.total(), budget.room()), (700, 700, 125));
        promised.resize(100);
        assert_eq!(budget.room(), 200);
        drop(promised);
        assert_eq!(budget.room(), 300);
    }

    #[test]
    fn what_the_process_had_in_between_is_remembered_for_a_while() {
        use std::sync::atomic::AtomicU64;
        static RESIDENT: AtomicU64 = AtomicU64::new(0);
        let budget = Arc::new(Budget::of_process(1000, || RESIDENT.load(Relaxed), || panic!("there is room")));
        let held = budget.count(Part::Batches, 700);
        let at = |resident: u64, look: fn(&Budget)| {
            RESIDENT.store(resident, Relaxed);
            look(&budget);
            (budget.taken(Part::Process), budget.room(), budget.excess())
        };
        assert_eq!(at(800, Budget::measure), (100, 200, 0));
        assert_eq!(at(960, Budget::notice), (100, 40, 0), "what is shown is what was measured");
        assert_eq!(at(1060, Budget::notice), (100, 0, 60));
        assert_eq!(at(900, Budget::notice), (100, 0, 60), "the most of them");
        assert_eq!(at(800, Budget::measure), (100, 0, 60 - 260 / SWING_SHARE));
        (0..100).for_each(|_| budget.measure());
        assert_eq!(at(800, Budget::measure).2, 0, "not for ever");
        drop(held);
        assert_eq!(at(400, Budget::notice), (100, 900 - SWING_SHARE + 1, 0), "there is room enough: nobody looked");
    }

    #[test]
    fn what_is_free_is_given_back_when_it_is_too_much_and_when_it_grows() {
        use std::sync::atomic::AtomicU64;
        static RESIDENT: AtomicU64 = AtomicU64::new(0);
        static TRIMS: AtomicU64 = AtomicU64::new(0);
        let trim = || {
            TRIMS.fetch_add(1, Relaxed);
            RESIDENT.fetch_sub(100, Relaxed);
        };
        let budget = Budget::of_process(3200, || RESIDENT.load(Relaxed), trim);
        // What it has, and how often it gave something back by then.
        for (has, trims) in [(3000, 0), (3200, 0), (3500, 1), (3400, 1), (3450, 1), (3501, 2), (1000, 2), (3300, 3)] {
            RESIDENT.store(has, Relaxed);
            budget.measure();
            assert_eq!(TRIMS.load(Relaxed), trims, "{has}");
        }
    }
}
