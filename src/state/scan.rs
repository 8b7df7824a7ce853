//! A scan: everything a snapshot holds, consolidated, in chunks of bounded size.

use std::cmp::Ordering;

use zset::RowBytes;

use crate::batch::{Batch, MARKER};
use crate::{Law, Snapshot, StateError};

/// Bytes of keys and rows after which a chunk ends even if it may have more rows.
const CHUNK_BYTES: usize = 4 << 20;

/// A chunk of a scan.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// The keys.
    pub keys: RowBytes,
    /// The rows.
    pub rows: RowBytes,
    /// The weights, never zero; 1 under the replace law.
    pub weights: Vec<i64>,
}

/// Gives the chunks. It holds its snapshot, so it may outlive the arrangement and go to another thread.
#[derive(Debug)]
pub struct Scan {
    snapshot: Snapshot,
    /// The next entry of every batch.
    at: Vec<usize>,
    max_rows: usize,
}

impl Scan {
    pub(crate) fn new(snapshot: Snapshot, max_rows: usize) -> Self {
        let at = vec![0; snapshot.list().len()];
        Self { snapshot, at, max_rows: max_rows.max(1) }
    }

    /// The batch whose next entry is the least; of equal ones the newest.
    fn least(&self) -> Option<usize> {
        let (list, law) = (self.snapshot.list(), self.snapshot.law());
        let mut best: Option<usize> = None;
        for next in (0..list.len()).filter(|&at| self.at[at] < list[at].len()) {
            best = match best {
                Some(best) if order(law, &list[best], self.at[best], &list[next], self.at[next]) == Ordering::Less => {
                    Some(best)
                }
                _ => Some(next),
            };
        }
        best
    }

    /// Takes the next row off all batches and adds it to the chunk, unless it sums to nothing or is deleted.
    fn take(&mut self, least: usize, out: &mut Entries) -> Result<(), StateError> {
        let (list, law) = (self.snapshot.list(), self.snapshot.law());
        let (batch, first) = (&list[least], self.at[least]);
        let mut sum = 0i128;
        for (other, at) in list.iter().zip(&mut self.at) {
            while *at < other.len() && order(law, other, *at, batch, first) == Ordering::Equal {
                sum += i128::from(other.weight(*at));
                *at += 1;
            }
        }
        let weight = match law {
            Law::Add => i64::try_from(sum).map_err(|_| StateError::WeightOverflow(self.snapshot.id()))?,
            Law::Replace if batch.weight(first) == MARKER => 0,
            Law::Replace => 1,
        };
        if weight != 0 {
            out.keys.push(batch.key(first));
            out.rows.push(batch.row(first));
            out.weights.push(weight);
        }
        Ok(())
    }
}

/// Compares two entries as the law does.
fn order(law: Law, a: &Batch, at_a: usize, b: &Batch, at_b: usize) -> Ordering {
    match law {
        Law::Add => a.cmp_entry(at_a, b, at_b),
        Law::Replace => a.cmp_key(at_a, b, at_b),
    }
}

impl Iterator for Scan {
    type Item = Result<Entries, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut out = Entries::default();
        while out.weights.len() < self.max_rows && out.keys.data_len() + out.rows.data_len() < CHUNK_BYTES {
            let Some(least) = self.least() else { break };
            if let Err(error) = self.take(least, &mut out) {
                self.at.iter_mut().zip(self.snapshot.list()).for_each(|(at, batch)| *at = batch.len());
                return Some(Err(error));
            }
        }
        (!out.weights.is_empty()).then_some(Ok(out))
    }
}
