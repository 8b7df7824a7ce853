//! A scan: everything a snapshot holds, consolidated, in chunks of bounded size.

use std::cmp::Ordering;
use std::sync::Arc;

use zset::RowBytes;

use crate::batch::Reader;
use crate::columns::{Columns, MARKER};
use crate::counters::Shared;
use crate::{ArrangementId, Law, Snapshot, StateError};

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

/// Gives the chunks. It holds its snapshot, so it may outlive the arrangement and go to another thread; of a batch that is
/// given up meanwhile it keeps a block.
#[derive(Debug)]
pub struct Scan {
    id: ArrangementId,
    law: Law,
    /// The next entry of every batch.
    readers: Vec<Reader>,
    max_rows: usize,
    shared: Arc<Shared>,
}

impl Scan {
    pub(crate) fn new(snapshot: &Snapshot, max_rows: usize) -> Self {
        let readers = snapshot.list().iter().map(|batch| Reader::new(Arc::clone(batch))).collect();
        let shared = Arc::clone(snapshot.shared());
        Self { id: snapshot.id(), law: snapshot.law(), readers, max_rows: max_rows.max(1), shared }
    }

    /// Entries that are still to come.
    fn left(&self) -> usize {
        self.readers.iter().map(Reader::left).sum()
    }

    /// The batch whose next entry is the least; of equal ones the newest.
    fn least(&mut self) -> Result<Option<usize>, StateError> {
        let mut best: Option<usize> = None;
        for next in 0..self.readers.len() {
            if !self.readers[next].ready()? {
                continue;
            }
            best = match best {
                Some(best) if self.order(best, next) == Ordering::Less => Some(best),
                _ => Some(next),
            };
        }
        Ok(best)
    }

    fn order(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (&self.readers[a], &self.readers[b]);
        order(self.law, a.columns(), a.at(), b.columns(), b.at())
    }

    /// Takes the next row off all batches and adds it to the chunk, unless it sums to nothing or is deleted.
    fn take(&mut self, least: usize, out: &mut Entries) -> Result<(), StateError> {
        let (columns, first) = (Arc::clone(self.readers[least].columns()), self.readers[least].at());
        let mut sum = 0i128;
        for reader in &mut self.readers {
            while reader.ready()? && order(self.law, reader.columns(), reader.at(), &columns, first) == Ordering::Equal
            {
                sum += i128::from(reader.columns().weight(reader.at()));
                reader.advance();
            }
        }
        let weight = match self.law {
            Law::Add => i64::try_from(sum).map_err(|_| StateError::WeightOverflow(self.id))?,
            Law::Replace if columns.weight(first) == MARKER => 0,
            Law::Replace => 1,
        };
        if weight != 0 {
            out.keys.push(columns.key(first));
            out.rows.push(columns.row(first));
            out.weights.push(weight);
        }
        Ok(())
    }

    /// Takes rows until the chunk is full or there are no more.
    fn fill(&mut self, out: &mut Entries) -> Result<(), StateError> {
        while out.weights.len() < self.max_rows && out.keys.data_len() + out.rows.data_len() < CHUNK_BYTES {
            let Some(least) = self.least()? else { break };
            self.take(least, out)?;
        }
        Ok(())
    }
}

/// Compares two entries as the law does.
fn order(law: Law, a: &Columns, at_a: usize, b: &Columns, at_b: usize) -> Ordering {
    match law {
        Law::Add => a.cmp_entry(at_a, b, at_b),
        Law::Replace => a.cmp_key(at_a, b, at_b),
    }
}

impl Iterator for Scan {
    type Item = Result<Entries, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.readers.iter_mut().for_each(Reader::rest);
        let (mut out, before) = (Entries::default(), self.left());
        let filled = self.fill(&mut out);
        self.shared.counters.add_read((before - self.left()) as u64);
        if let Err(error) = filled {
            self.readers.iter_mut().for_each(Reader::end);
            return Some(Err(error));
        }
        (!out.weights.is_empty()).then_some(Ok(out))
    }
}
