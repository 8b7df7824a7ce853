//! Giving memory back: which batches lose their resident copy when the budget is over.
//!
//! Those that are stored go first, the largest before others: of its bytes the fewest are asked for. When there are none, one is
//! written that is enough; or else the largest. Nothing here changes what anybody reads, only where from.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use super::{Pending, Tier, Writer};
use crate::batch::Batch;
use crate::budget::Part;
use crate::{ArrangementId, StateError};

/// When it is over, so much less than the limit is aimed at (one in so many), so that it is not over again at once.
const SLACK_SHARE: u64 = 32;

/// The batches that are in memory, or were when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    batches: Vec<(ArrangementId, Weak<Batch>)>,
    /// When there are so many, those that are gone are forgotten.
    full: usize,
    /// The last failure to write a batch was told.
    told: bool,
}

/// A batch that may be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resident {
    bytes: u64,
    is_stored: bool,
}

/// Which batch goes next, to get `excess` bytes back.
fn choose(excess: u64, residents: &[Resident]) -> Option<usize> {
    let all = || residents.iter().enumerate().filter(|(_, resident)| resident.bytes > 0);
    let stored = all().filter(|(_, resident)| resident.is_stored).max_by_key(|(_, resident)| resident.bytes);
    let enough = all().filter(|(_, resident)| resident.bytes >= excess).min_by_key(|(_, resident)| resident.bytes);
    let largest = all().max_by_key(|(_, resident)| resident.bytes);
    stored.or(enough).or(largest).map(|(at, _)| at)
}

impl Tier {
    /// Counts a batch of an arrangement, which joined its list, and from now on may give it up.
    pub(crate) fn admit(&self, arrangement: ArrangementId, batch: &Arc<Batch>) {
        if batch.admit()
            && let Some(columns) = batch.columns()
        {
            columns.count(&self.budget, Part::Batches);
            let mut candidates = self.candidates();
            if candidates.batches.len() >= candidates.full {
                candidates.batches.retain(|(_, batch)| batch.strong_count() > 0);
                candidates.full = 2 * candidates.batches.len() + 64;
            }
            candidates.batches.push((arrangement, Arc::downgrade(batch)));
        }
    }

    /// Gives memory back if more is taken than may be. If a batch cannot be written, it stays in memory.
    pub(crate) fn relieve(self: &Arc<Self>) {
        self.budget.notice();
        let excess = self.budget.excess();
        if excess == 0 && !self.is_burial_due() {
            return;
        }
        let target = if excess == 0 { 0 } else { excess + self.budget.limit() / SLACK_SHARE };
        let mut candidates = self.candidates();
        let deleted = self.delete_buried().map(drop);
        let done = self.give_up(&mut candidates, target).and(deleted);
        match done {
            Err(error) if !candidates.told => {
                candidates.told = true;
                tracing::error!("cannot give memory back, so more is taken than the limit says: {error}");
            }
            Err(_) => {}
            Ok(()) => candidates.told = false,
        }
    }

    fn give_up(self: &Arc<Self>, candidates: &mut Candidates, mut excess: u64) -> Result<(), StateError> {
        let mut batches: Vec<(ArrangementId, Arc<Batch>)> =
            candidates.batches.iter().filter_map(|(id, batch)| Some((*id, batch.upgrade()?))).collect();
        batches.retain(|(_, batch)| batch.columns().is_some());
        let mut residents: Vec<Resident> = batches
            .iter()
            .map(|(_, batch)| Resident { bytes: batch.bytes() as u64, is_stored: batch.blocks().is_some() })
            .collect();
        while excess > 0
            && let Some(at) = choose(excess, &residents)
        {
            let (arrangement, batch) = &batches[at];
            if !residents[at].is_stored {
                self.store(*arrangement, batch)?;
            }
            excess = excess.saturating_sub(batch.forget() as u64);
            residents[at].bytes = 0;
            self.calls.given_up.fetch_add(1, Relaxed);
        }
        candidates.batches = batches
            .iter()
            .filter(|(_, batch)| batch.columns().is_some())
            .map(|(id, batch)| (*id, Arc::downgrade(batch)))
            .collect();
        Ok(())
    }

    /// Writes a batch's blocks.
    fn store(self: &Arc<Self>, arrangement: ArrangementId, batch: &Batch) -> Result<(), StateError> {
        let Some(columns) = batch.columns() else { return Ok(()) };
        let mut pending = Pending::new(self);
        let (stored, _) = Writer::write_all(self, arrangement, &columns, &mut pending)?;
        pending.write()?;
        batch.keep(Arc::new(stored));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_ones_first_then_one_that_is_enough() {
        let of = |all: &[(u64, bool)]| -> Vec<Resident> {
            all.iter().map(|&(bytes, is_stored)| Resident { bytes, is_stored }).collect()
        };
        type Row = (u64, &'static [(u64, bool)], Option<usize>);
        let table: [Row; 7] = [
            (10, &[], None),
            (10, &[(0, true), (0, false)], None),
            (10, &[(500, false), (3, true), (7, true)], Some(2)),
            (10, &[(500, false), (0, true), (12, false), (9, false)], Some(2)),
            (10, &[(4, false), (9, false), (2, false)], Some(1)),
            (1, &[(4, true), (900, true)], Some(1)),
            (10, &[(10, false), (11, false)], Some(0)),
        ];
        for (excess, residents, expected) in table {
            assert_eq!(choose(excess, &of(residents)), expected, "{excess} of {residents:?}");
        }
    }
}
