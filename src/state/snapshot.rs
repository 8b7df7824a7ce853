//! A snapshot: the contents of an arrangement at one moment. It never changes and costs the writer nothing.
//!
//! Probes read the entries of the probed keys and no others. Keys may come in any order and repeated.

use std::ops::Range;
use std::sync::Arc;

use zset::{RowBytes, key_hash};

use crate::batch::{Batch, MARKER};
use crate::{ArrangementId, Counters, Law, Scan, StateError};

/// See the module.
#[derive(Debug, Clone)]
pub struct Snapshot {
    id: ArrangementId,
    law: Law,
    batches: Arc<[Arc<Batch>]>,
    counters: Arc<Counters>,
}

/// Which end of a key's rows, in the order of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The least row.
    First,
    /// The greatest row.
    Last,
}

/// What a probe found.
#[derive(Debug, Clone, Default)]
pub struct Matches {
    /// For every probed key the end of its rows in `rows`; they start where those of the key before end.
    pub ends: Vec<u32>,
    /// The rows, consolidated; within a key in the order of their bytes.
    pub rows: RowBytes,
    /// Their weights, never zero.
    pub weights: Vec<i64>,
}

impl Matches {
    /// Where in `rows` and `weights` the matches of a probed key are.
    pub fn range(&self, probe: usize) -> Range<usize> {
        let start = if probe == 0 { 0 } else { self.ends[probe - 1] as usize };
        start..self.ends[probe] as usize
    }

    /// Whether a probed key has no row.
    pub fn is_absent(&self, probe: usize) -> bool {
        self.range(probe).is_empty()
    }
}

/// A run of one key's entries in one batch, read from either end.
#[derive(Debug)]
struct Cursor<'a> {
    batch: &'a Batch,
    range: Range<usize>,
    end: End,
}

impl<'a> Cursor<'a> {
    fn at(&self) -> Option<usize> {
        match self.end {
            _ if self.range.is_empty() => None,
            End::First => Some(self.range.start),
            End::Last => Some(self.range.end - 1),
        }
    }

    fn row(&self) -> Option<&'a [u8]> {
        self.at().map(|at| self.batch.row(at))
    }

    fn advance(&mut self) {
        match self.end {
            End::First => self.range.start += 1,
            End::Last => self.range.end -= 1,
        }
    }
}

impl Snapshot {
    pub(crate) fn new(id: ArrangementId, law: Law, batches: Arc<[Arc<Batch>]>, counters: Arc<Counters>) -> Self {
        Self { id, law, batches, counters }
    }

    /// The snapshot of an empty arrangement.
    pub fn empty(id: ArrangementId, law: Law) -> Self {
        Self::new(id, law, Arc::new([]), Arc::default())
    }

    /// Of the same arrangement, other batches.
    pub(crate) fn with(&self, batches: Arc<[Arc<Batch>]>) -> Self {
        Self::new(self.id, self.law, batches, Arc::clone(&self.counters))
    }

    /// The arrangement's name.
    pub fn id(&self) -> ArrangementId {
        self.id
    }

    /// The arrangement's law.
    pub fn law(&self) -> Law {
        self.law
    }

    /// Entries of all batches: an upper bound of the rows that a scan gives.
    pub fn entries(&self) -> usize {
        self.batches.iter().map(|batch| batch.len()).sum()
    }

    /// Bytes of all batches in memory.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.bytes()).sum()
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn list(&self) -> &[Arc<Batch>] {
        &self.batches
    }

    /// All rows of every key. Under the replace law 0 or 1 row per key, with weight 1.
    pub fn probe(&self, keys: &RowBytes) -> Result<Matches, StateError> {
        self.run(keys, End::First, usize::MAX)
    }

    /// The first or the last row of every key that has any. Reads no further than that row.
    pub fn probe_end(&self, keys: &RowBytes, end: End) -> Result<Matches, StateError> {
        self.run(keys, end, 1)
    }

    /// Everything, in the order (hash, key, row), in chunks of at most `max_rows` rows.
    pub fn scan(&self, max_rows: usize) -> Scan {
        Scan::new(self.clone(), max_rows)
    }

    /// Up to `limit` rows of every key from one end of them.
    fn run(&self, keys: &RowBytes, end: End, limit: usize) -> Result<Matches, StateError> {
        let mut out = Matches { ends: Vec::with_capacity(keys.len()), ..Matches::default() };
        let mut cursors = Vec::with_capacity(self.batches.len());
        let mut read = 0;
        let hits = Hits::find(&self.batches, keys);
        for (probe, key) in keys.iter().enumerate() {
            let entries = hits.of(probe).iter().map(|&(batch, start)| {
                let batch = self.batches[batch as usize].as_ref();
                (batch, batch.entries_of(key, start as usize))
            });
            let mut entries = entries.filter(|(_, range)| !range.is_empty());
            match self.law {
                Law::Add => {
                    cursors.clear();
                    cursors.extend(entries.map(|(batch, range)| Cursor { batch, range, end }));
                    read += self.sum(&mut cursors, limit, &mut out)?;
                }
                Law::Replace => {
                    if let Some((batch, range)) = entries.next_back() {
                        read += 1;
                        if batch.weight(range.start) != MARKER {
                            out.rows.push(batch.row(range.start));
                            out.weights.push(1);
                        }
                    }
                }
            }
            out.ends.push(u32::try_from(out.rows.len()).map_err(|_| StateError::TooManyMatches(self.id))?);
        }
        self.counters.add_read(read);
        Ok(out)
    }

    /// Sums the entries of one key over batches, until `limit` rows are found. Returns the entries read.
    fn sum(&self, cursors: &mut [Cursor<'_>], limit: usize, out: &mut Matches) -> Result<u64, StateError> {
        let (mut read, mut found) = (0, 0);
        while found < limit {
            let rows = cursors.iter().filter_map(Cursor::row);
            let next = match cursors.first().map(|cursor| cursor.end) {
                Some(End::First) => rows.min(),
                Some(End::Last) => rows.max(),
                None => None,
            };
            let Some(next) = next else { break };
            let mut sum = 0i128;
            for cursor in cursors.iter_mut() {
                while let Some(at) = cursor.at().filter(|&at| cursor.batch.row(at) == next) {
                    sum += i128::from(cursor.batch.weight(at));
                    cursor.advance();
                    read += 1;
                }
            }
            if sum != 0 {
                out.rows.push(next);
                out.weights.push(i64::try_from(sum).map_err(|_| StateError::WeightOverflow(self.id))?);
                found += 1;
            }
        }
        Ok(read)
    }
}

/// Where the hashes of probed keys are found: for every key the batches that have its hash, oldest first.
///
/// Found batch by batch before any key or row is looked at: searches that do not wait for one another overlap their
/// cache misses.
struct Hits {
    /// (batch, first entry), grouped by key.
    hits: Vec<(u32, u32)>,
    /// For every key the end of its group.
    ends: Vec<u32>,
}

impl Hits {
    fn find(batches: &[Arc<Batch>], keys: &RowBytes) -> Self {
        let hashes: Vec<u64> = keys.iter().map(key_hash).collect();
        let mut found: Vec<(u32, u32, u32)> = Vec::with_capacity(keys.len());
        for (batch, number) in batches.iter().zip(0u32..) {
            for (&hash, probe) in hashes.iter().zip(0u32..) {
                if let Some(start) = batch.find(hash) {
                    found.push((probe, number, start as u32));
                }
            }
        }
        // Grouped by key: count, add up, place.
        let mut ends = vec![0u32; keys.len()];
        found.iter().for_each(|&(probe, ..)| ends[probe as usize] += 1);
        let mut total = 0;
        for end in &mut ends {
            total += std::mem::replace(end, total);
        }
        let mut hits = vec![(0, 0); found.len()];
        for (probe, number, start) in found {
            let end = &mut ends[probe as usize];
            hits[*end as usize] = (number, start);
            *end += 1;
        }
        Self { hits, ends }
    }

    fn of(&self, probe: usize) -> &[(u32, u32)] {
        let start = if probe == 0 { 0 } else { self.ends[probe - 1] };
        &self.hits[start as usize..self.ends[probe] as usize]
    }
}
