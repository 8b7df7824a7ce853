//! Resynchronisation: how a target that was away for longer than its outbox can hold comes together with its table again.
//!
//! ```text
//!                past the bound                    the target answers: E is the last committed epoch
//! gathering ───────────────────► marked, and asked ──────────────────────────────────────────────► comparing at E
//!                                       ▲                  it failed                                 │ confirmed
//!                                       └────────────────────────────────────────────────────────────┴──► gathering
//! ```
//!
//! While it is marked, rows are not kept, only the keys whose rows are gone: the table does not have them, and of what the
//! target has besides, nothing may be touched. At E they and all rows of the table are given to the target, which writes where
//! it has others, in one transaction with its progress. What changes behind E is gathered as always. The mark is in every
//! checkpoint; after a crash the target is compared once more, at a newer epoch.

use dataflow::ContentsReader;
use state::{Snapshot, StateError};
use zset::{Epoch, RowBytes};

use super::worker::Job;
use super::{Drain, Generation, InFlight, KeyedChanges, Outbox};

/// Where a resynchronisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resync {
    /// The gathering generation has the keys that are gone. `asked`: the target's thread tries to reach it.
    Marked { asked: bool },
    /// What is in flight are the keys that are gone, and all rows of the table at its mark.
    Comparing,
}

/// All rows of a table at one epoch.
pub(crate) struct Whole {
    pub reader: ContentsReader,
    pub snapshot: Snapshot,
}

impl Outbox {
    /// Whether the target is to be compared with the table, or is being.
    pub fn resynchronises(&self) -> bool {
        self.resync.is_some()
    }

    /// Begins with a table of so many rows: if they may not all wait, the target is compared with it.
    pub fn begin(&mut self, rows: i64) {
        if rows > 0 && rows as u64 > self.rows_max {
            self.resync = Some(Resync::Marked { asked: false });
        }
    }

    /// Drops the rows that wait, in the turns that follow: the target is to be compared with the table when it can be reached.
    pub fn mark(&mut self) {
        let gone = self.gathering.beside(self.free_slot());
        let newer = std::mem::replace(&mut self.gathering, gone);
        let older = self.in_flight.take().map(|in_flight| in_flight.generation);
        self.drain = Some(Drain::of(older.into_iter().chain([newer])));
        self.catches_up = false;
        self.resync = Some(Resync::Marked { asked: false });
    }

    /// Takes the next step of a resynchronisation, if there is one.
    pub(super) fn turn_resync(&mut self) -> Result<(), StateError> {
        if self.resync == Some(Resync::Comparing) && self.in_flight.as_ref().is_none_or(|in_flight| !in_flight.sent) {
            self.mark();
        }
        if let Some(drain) = &mut self.drain {
            if !drain.step(&mut self.gathering, self.drained_rows)? {
                return Ok(());
            }
            self.drain = None;
        }
        if let (Some(Resync::Marked { asked }), Some(worker)) = (&mut self.resync, &self.worker)
            && !*asked
        {
            *asked = true;
            worker.send(Job::Reach);
        }
        Ok(())
    }

    /// The target can be reached: it is compared with the table as it is at the last committed epoch.
    pub fn reached(&mut self, committed: Epoch, whole: Whole) {
        let (Some(Resync::Marked { .. }), None, Some(worker)) = (self.resync, &self.drain, &self.worker) else {
            return;
        };
        let gathering = self.gathering.beside(self.free_slot());
        let generation = std::mem::replace(&mut self.gathering, gathering);
        let gone = generation.arrangement.committed();
        worker.send(Job::Whole { gone, whole, mark: committed, confirmed: self.confirmed });
        self.in_flight = Some(InFlight { generation, mark: committed, sent: true });
        self.resync = Some(Resync::Comparing);
    }

    /// Gathers while rows are not kept; whether they are not.
    pub(super) fn gather_marked(&mut self, changes: &KeyedChanges) -> bool {
        let marked = matches!(self.resync, Some(Resync::Marked { .. }));
        if marked {
            self.drain.iter_mut().for_each(|drain| drain.changed(&changes.keys));
            self.gathering.gather_gone(&changes.keys, &changes.rows);
        }
        marked
    }

    /// A slot that no generation has.
    pub(super) fn free_slot(&self) -> u32 {
        let in_flight = self.in_flight.as_ref().map(|in_flight| &in_flight.generation);
        let all = std::iter::once(&self.gathering).chain(in_flight).chain(self.dropped());
        let taken: Vec<u32> = all.map(|generation| generation.arrangement.id().slot).collect();
        (0..4).find(|slot| !taken.contains(slot)).expect("three of four slots are taken at most")
    }
}

impl Generation {
    /// Keeps keys whose rows are gone, and forgets those that have one again.
    pub(super) fn gather_gone(&mut self, keys: &RowBytes, rows: &RowBytes) {
        let found = self.arrangement.committed().probe(keys).ok();
        let mut changed = RowBytes::with_capacity(keys.len(), keys.data_len());
        let mut present = Vec::with_capacity(keys.len());
        for at in 0..keys.len() {
            let (is_gone, known) = (rows.row(at).is_empty(), found.as_ref().map(|found| !found.is_absent(at)));
            if known == Some(is_gone) {
                continue;
            }
            changed.push(keys.row(at));
            present.push(is_gone);
            self.keys = if is_gone { self.keys + 1 } else { self.keys.saturating_sub(u64::from(known == Some(true))) };
        }
        let mut nothing = RowBytes::with_capacity(changed.len(), 0);
        (0..changed.len()).for_each(|_| nothing.push(&[]));
        self.arrangement.stage_replace(&changed, &nothing, &present);
        self.arrangement.commit();
    }
}
