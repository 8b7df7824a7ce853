//! What the process works at besides epochs, with its progress: recovery, the first population of a stream table, a
//! checkpoint. Published as it goes, and seen from any thread: also while the loop is busy with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A job at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `recovery`, `population`, `checkpoint`.
    pub kind: &'static str,
    /// Of what: the pipeline, a table.
    pub object: String,
    /// What is done of it.
    pub done: u64,
    /// What there is to do, where that is known.
    pub total: Option<u64>,
    /// What is counted: `epochs`, `rows`.
    pub unit: &'static str,
    /// How long it runs.
    pub since: Duration,
}

impl Job {
    /// The progress as a percentage, where it is known.
    pub fn percent(&self) -> Option<u64> {
        self.total.map(|total| (self.done.min(total) * 100).checked_div(total).unwrap_or(100))
    }
}

#[derive(Debug)]
struct Entry {
    kind: &'static str,
    object: String,
    done: u64,
    total: Option<u64>,
    unit: &'static str,
    began: Instant,
}

#[derive(Debug, Default)]
struct List {
    last: u64,
    entries: BTreeMap<u64, Entry>,
}

/// The jobs at work.
#[derive(Debug, Default, Clone)]
pub struct Jobs(Arc<Mutex<List>>);

/// A job of whoever does it: it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct AtWork {
    jobs: Jobs,
    id: u64,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job begins.
    pub(crate) fn begin(&self, kind: &'static str, object: &str, total: Option<u64>, unit: &'static str) -> AtWork {
        let mut list = self.lock();
        list.last += 1;
        let id = list.last;
        let entry = Entry { kind, object: object.to_string(), done: 0, total, unit, began: Instant::now() };
        list.entries.insert(id, entry);
        AtWork { jobs: self.clone(), id }
    }

    /// The jobs, oldest first.
    pub fn list(&self) -> Vec<Job> {
        let job = |entry: &Entry| Job {
            kind: entry.kind,
            object: entry.object.clone(),
            done: entry.done,
            total: entry.total,
            unit: entry.unit,
            since: entry.began.elapsed(),
        };
        self.lock().entries.values().map(job).collect()
    }
}

impl AtWork {
    /// So much is done of so much.
    pub(crate) fn reach(&self, done: u64, total: u64) {
        if let Some(entry) = self.jobs.lock().entries.get_mut(&self.id) {
            (entry.done, entry.total) = (done, Some(total));
        }
    }

    /// So much more is done.
    pub(crate) fn advance(&self, more: u64) {
        if let Some(entry) = self.jobs.lock().entries.get_mut(&self.id) {
            entry.done += more;
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.jobs.lock().entries.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_listed_while_somebody_is_at_it() {
        let jobs = Jobs::default();
        let first = jobs.begin("recovery", "p", Some(8), "epochs");
        let second = jobs.begin("checkpoint", "p", None, "batches");
        first.advance(2);
        let list = jobs.list();
        assert_eq!(
            list.iter().map(|job| (job.kind, job.done, job.percent())).collect::<Vec<_>>(),
            [("recovery", 2, Some(25)), ("checkpoint", 0, None)]
        );
        second.reach(3, 4);
        drop(first);
        assert_eq!(jobs.list().iter().map(|job| (job.done, job.percent())).collect::<Vec<_>>(), [(3, Some(75))]);
        drop(second);
        assert!(jobs.list().is_empty());
        assert_eq!(jobs.begin("recovery", "p", Some(0), "epochs").jobs.list()[0].percent(), Some(100));
    }
}
