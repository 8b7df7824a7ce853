//! A snapshot: the contents of an arrangement at one moment. It never changes and costs the writer nothing.
//!
//! Probes read the entries of the probed keys and no others. Keys may come in any order and repeated. Of a batch that is not in
//! memory the entries of the probed keys are copied out of its blocks first; from there on they are as any others.

use std::ops::Range;
use std::sync::Arc;

use zset::{RowBytes, key_hash};

use crate::batch::{Batch, View};
use crate::columns::{Columns, MARKER};
use crate::counters::Shared;
use crate::tier::Stored;
use crate::{ArrangementId, Law, Scan, StateError};

/// A worker looks for no fewer keys at a time.
const KEYS_MIN: usize = 2048;

/// See the module.
#[derive(Debug, Clone)]
pub struct Snapshot {
    id: ArrangementId,
    law: Law,
    batches: Arc<[Arc<Batch>]>,
    shared: Arc<Shared>,
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

    /// What was found of keys, and behind it that of the next.
    fn joined(id: ArrangementId, mut parts: Vec<Self>) -> Result<Self, StateError> {
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let mut ends = Vec::with_capacity(parts.iter().map(|part| part.ends.len()).sum());
        let mut weights = Vec::with_capacity(parts.iter().map(|part| part.weights.len()).sum());
        for part in &parts {
            let first = weights.len();
            weights.extend_from_slice(&part.weights);
            u32::try_from(weights.len()).map_err(|_| StateError::TooManyMatches(id))?;
            ends.extend(part.ends.iter().map(|end| first as u32 + end));
        }
        Ok(Self { ends, rows: RowBytes::joined(parts.into_iter().map(|part| part.rows).collect()), weights })
    }

    /// Whether a probed key has no row.
    pub fn is_absent(&self, probe: usize) -> bool {
        self.range(probe).is_empty()
    }
}

/// A run of one key's entries in one batch, read from either end.
#[derive(Debug)]
struct Cursor<'a> {
    columns: &'a Columns,
    range: Range<usize>,
    end: End,
    /// It has more than the range, which were not copied out of their blocks.
    is_cut: bool,
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
        self.at().map(|at| self.columns.row(at))
    }

    fn advance(&mut self) {
        match self.end {
            End::First => self.range.start += 1,
            End::Last => self.range.end -= 1,
        }
    }
}

impl Snapshot {
    pub(crate) fn new(id: ArrangementId, law: Law, batches: Arc<[Arc<Batch>]>, shared: Arc<Shared>) -> Self {
        Self { id, law, batches, shared }
    }

    /// The snapshot of an empty arrangement.
    pub fn empty(id: ArrangementId, law: Law) -> Self {
        Self::new(id, law, Arc::new([]), Arc::default())
    }

    /// Of the same arrangement, other batches.
    pub(crate) fn with(&self, batches: Arc<[Arc<Batch>]>) -> Self {
        Self::new(self.id, self.law, batches, Arc::clone(&self.shared))
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

    /// Bytes that all of it would take in memory.
    pub fn bytes_at_most(&self) -> usize {
        self.batches.iter().map(|batch| Columns::bytes_of(batch.len(), batch.data_len())).sum()
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn list(&self) -> &[Arc<Batch>] {
        &self.batches
    }

    /// All rows of every key. Under the replace law 0 or 1 row per key, with weight 1.
    pub fn probe(&self, keys: &RowBytes) -> Result<Matches, StateError> {
        self.probe_hashed(keys, &hashes(keys))
    }

    /// The same, of keys of which somebody has the hashes already.
    pub fn probe_hashed(&self, keys: &RowBytes, hashes: &[u64]) -> Result<Matches, StateError> {
        self.run(keys, hashes, (End::First, usize::MAX), usize::MAX)
    }

    /// The first or the last row of every key that has any. Reads no further than that row.
    pub fn probe_end(&self, keys: &RowBytes, end: End) -> Result<Matches, StateError> {
        self.run(keys, &hashes(keys), (end, 1), TAKEN_PER_ROW)
    }

    /// Everything, in the order (hash, key, row), in chunks of at most `max_rows` rows.
    pub fn scan(&self, max_rows: usize) -> Scan {
        Scan::new(self, max_rows)
    }

    /// Up to `limit` rows (one or all) of every key from one end of them. Of a key's entries `taken` are copied out of the blocks of
    /// a batch: more than the limit, for rows may cancel.
    fn run(
        &self,
        keys: &RowBytes,
        hashes: &[u64],
        (end, limit): (End, usize),
        taken: usize,
    ) -> Result<Matches, StateError> {
        assert_eq!(keys.len(), hashes.len(), "a hash for every key");
        self.shared.counters.add_probed(keys.len() as u64);
        let views = Views::of(&self.batches, (keys, hashes), (end, taken))?;
        let parts = workers::map_pieces(keys.len(), KEYS_MIN, |piece| {
            self.look(&views, (keys, hashes, piece), (end, limit), taken)
        });
        Matches::joined(self.id, parts.into_iter().collect::<Result<_, _>>()?)
    }

    /// What is found in views of some of the keys.
    fn look(
        &self,
        views: &Views,
        (keys, hashes, piece): (&RowBytes, &[u64], Range<usize>),
        (end, limit): (End, usize),
        taken: usize,
    ) -> Result<Matches, StateError> {
        let hashes = &hashes[piece.clone()];
        let mut out = Matches { ends: Vec::with_capacity(piece.len()), ..Matches::default() };
        let mut cursors = Vec::with_capacity(self.batches.len());
        let mut read = 0;
        let hits = Hits::find(&views.columns, hashes);
        for (probe, key) in piece.map(|at| keys.row(at)).enumerate() {
            let entries = hits.of(probe).iter().map(|&(batch, start)| {
                let columns = views.columns[batch as usize].as_ref();
                (batch, columns, columns.entries_of(key, start as usize))
            });
            let mut entries = entries.filter(|(_, _, range)| !range.is_empty());
            match self.law {
                Law::Add => {
                    cursors.clear();
                    cursors.extend(entries.map(|(batch, columns, range)| {
                        let is_cut = views.is_cut(batch, hashes[probe]);
                        Cursor { columns, range, end, is_cut }
                    }));
                    match self.sum(&mut cursors, limit, &mut out)? {
                        Some(entries) => read += entries,
                        None => self.again(key, (end, limit), taken, &mut out)?,
                    }
                }
                Law::Replace => {
                    if let Some((_, columns, range)) = entries.next_back() {
                        read += 1;
                        if columns.weight(range.start) != MARKER {
                            out.rows.push(columns.row(range.start));
                            out.weights.push(1);
                        }
                    }
                }
            }
            out.ends.push(u32::try_from(out.rows.len()).map_err(|_| StateError::TooManyMatches(self.id))?);
        }
        self.shared.counters.add_read(read);
        Ok(out)
    }

    /// Sums the entries of one key over batches, until `limit` rows are found. Returns the entries read; nothing, and finds
    /// nothing, if more of them have to be copied out of their blocks.
    fn sum(&self, cursors: &mut [Cursor<'_>], limit: usize, out: &mut Matches) -> Result<Option<u64>, StateError> {
        let (mut read, mut found) = (0, 0);
        let is_cut = cursors.iter().any(|cursor| cursor.is_cut);
        while found < limit {
            if is_cut && cursors.iter().any(|cursor| cursor.is_cut && cursor.range.is_empty()) {
                assert_eq!(found, 0, "one row is wanted, or nothing is cut");
                return Ok(None);
            }
            let rows = cursors.iter().filter_map(Cursor::row);
            let next = match cursors.first().map(|cursor| cursor.end) {
                Some(End::First) => rows.min(),
                Some(End::Last) => rows.max(),
                None => None,
            };
            let Some(next) = next else { break };
            let mut sum = 0i128;
            for cursor in cursors.iter_mut() {
                while let Some(at) = cursor.at().filter(|&at| cursor.columns.row(at) == next) {
                    sum += i128::from(cursor.columns.weight(at));
                    cursor.advance();
                    read += 1;
                }
            }
            // Another part of the row's weight may be among what was not copied.
            if is_cut && cursors.iter().any(|cursor| cursor.is_cut && cursor.range.is_empty()) {
                continue;
            }
            if sum != 0 {
                out.rows.push(next);
                out.weights.push(i64::try_from(sum).map_err(|_| StateError::WeightOverflow(self.id))?);
                found += 1;
            }
        }
        Ok(Some(read))
    }

    /// The same of one key again, of which so many rows cancel that more of its entries are needed.
    fn again(&self, key: &[u8], (end, limit): (End, usize), taken: usize, out: &mut Matches) -> Result<(), StateError> {
        let keys: RowBytes = [key].into_iter().collect();
        let more = self.run(&keys, &hashes(&keys), (end, limit), taken.saturating_mul(TAKEN_PER_ROW))?;
        more.rows.iter().for_each(|row| out.rows.push(row));
        out.weights.extend(more.weights);
        Ok(())
    }
}

/// Of a key of which a row is wanted, so many entries are copied out of the blocks of a batch; if they cancel, so many times
/// as many.
const TAKEN_PER_ROW: usize = 64;

/// The entries that a probe looks at.
struct Views {
    /// Of every batch all that is in memory, or what was copied out of its blocks.
    columns: Vec<Arc<Columns>>,
    /// Batches of which not all was copied, with the hashes of the keys that have more.
    cut: Vec<(u32, Vec<u64>)>,
}

impl Views {
    fn of(
        batches: &[Arc<Batch>],
        (keys, hashes): (&RowBytes, &[u64]),
        (end, limit): (End, usize),
    ) -> Result<Self, StateError> {
        let mut views = Self { columns: Vec::with_capacity(batches.len()), cut: Vec::new() };
        // Sorted only if there is a batch that needs it.
        let mut wanted: Option<Vec<(u64, &[u8])>> = None;
        for (batch, number) in batches.iter().zip(0u32..) {
            let stored: Arc<Stored> = match batch.view() {
                View::Resident(columns) => {
                    views.columns.push(columns);
                    continue;
                }
                View::Stored(stored) => stored,
            };
            let wanted = wanted.get_or_insert_with(|| {
                let mut wanted: Vec<_> = hashes.iter().copied().zip(keys.iter()).collect();
                wanted.sort_unstable();
                wanted.dedup();
                wanted
            });
            let extract = stored.extract(wanted, end, limit)?;
            if !extract.cut.is_empty() {
                views.cut.push((number, extract.cut));
            }
            views.columns.push(Arc::new(extract.columns));
        }
        Ok(views)
    }

    fn is_cut(&self, batch: u32, hash: u64) -> bool {
        self.cut.iter().any(|(number, hashes)| *number == batch && hashes.binary_search(&hash).is_ok())
    }
}

fn hashes(keys: &RowBytes) -> Vec<u64> {
    keys.iter().map(key_hash).collect()
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
    fn find(batches: &[Arc<Columns>], hashes: &[u64]) -> Self {
        let mut found: Vec<(u32, u32, u32)> = Vec::with_capacity(hashes.len());
        for (batch, number) in batches.iter().zip(0u32..) {
            for (&hash, probe) in hashes.iter().zip(0u32..) {
                if let Some(start) = batch.find(hash) {
                    found.push((probe, number, start as u32));
                }
            }
        }
        // Grouped by key: count, add up, place.
        let mut ends = vec![0u32; hashes.len()];
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
