//! Columns: a run of (key, row, weight) in memory, consolidated and sorted by (64-bit key hash, key, row): all entries of a
//! batch, or those of one block.
//!
//! Under the *add* law a weight is the row's; under *replace* every key is there once, with weight 1 for "this is its
//! row" or 0 for "it has none" (a delete marker).
//!
//! An entry's key and row lie side by side, so that a probe waits for one cache line and a merge copies once; a row that
//! is its own key is there once.
//!
//! Consolidated has one exception: weights whose sum does not fit in 64 bits stay apart, as two entries of one row.
//! Readers sum in 128 bits, so nothing is lost, and say so if what they have to give does not fit.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::budget::{Budget, Counted, Part};
use crate::search::{Directory, partition, run_end};

/// The weight of a delete marker under the replace law.
pub(crate) const MARKER: i64 = 0;

/// Bytes that an entry takes beside its key and row: hash, weight, span.
const ENTRY_OVERHEAD: usize = 32;

/// Where an entry lies in the data; it starts where the one before ends.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Where the key ends and the row starts; or [`SAME`].
    row: u64,
    /// Where the row ends.
    end: u64,
}

/// In place of where the row starts: the row is the key.
const SAME: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct Columns {
    hashes: Vec<u64>,
    directory: Directory,
    spans: Vec<Span>,
    data: Vec<u8>,
    weights: Vec<i64>,
    /// Its bytes in a budget, for as long as anybody holds it.
    counted: OnceLock<Counted>,
}

impl Columns {
    /// Has its bytes counted from now on, once.
    pub(crate) fn count(&self, budget: &Arc<Budget>, part: Part) {
        self.counted.get_or_init(|| budget.count(part, self.bytes() as u64));
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() + self.directory.bytes() + self.len() * ENTRY_OVERHEAD
    }

    pub(crate) fn hash(&self, at: usize) -> u64 {
        self.hashes[at]
    }

    pub(crate) fn key(&self, at: usize) -> &[u8] {
        let (start, span) = (self.start(at), self.spans[at]);
        &self.data[start..if span.row == SAME { span.end } else { span.row } as usize]
    }

    pub(crate) fn row(&self, at: usize) -> &[u8] {
        let span = self.spans[at];
        &self.data[if span.row == SAME { self.start(at) } else { span.row as usize }..span.end as usize]
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.spans[at - 1].end as usize }
    }

    pub(crate) fn weight(&self, at: usize) -> i64 {
        self.weights[at]
    }

    /// Bytes that so many entries with so many bytes of keys and rows take, about.
    pub(crate) fn bytes_of(entries: usize, data: usize) -> usize {
        data + entries * (ENTRY_OVERHEAD + 1)
    }

    /// Bytes of the key and the row of an entry.
    pub(crate) fn entry_len(&self, at: usize) -> usize {
        self.spans[at].end as usize - self.start(at)
    }

    /// Where the key and the row of an entry begin in the data of all.
    pub(crate) fn data_start(&self, at: usize) -> u64 {
        self.start(at) as u64
    }

    /// Where the key of an entry ends there and its row begins; nothing if its row is its key.
    pub(crate) fn key_end(&self, at: usize) -> Option<u64> {
        Some(self.spans[at].row).filter(|&row| row != SAME)
    }

    /// Where an entry ends there.
    pub(crate) fn end(&self, at: usize) -> u64 {
        self.spans[at].end
    }

    /// The keys and rows of some entries, as they lie.
    pub(crate) fn data(&self, range: Range<usize>) -> &[u8] {
        let start = self.start(range.start);
        &self.data[start..start + self.data_of(range)]
    }

    /// The hashes of some entries.
    pub(crate) fn hashes_of(&self, range: Range<usize>) -> &[u64] {
        &self.hashes[range]
    }

    /// The weights of some entries.
    pub(crate) fn weights(&self, range: Range<usize>) -> &[i64] {
        &self.weights[range]
    }

    /// Bytes of all keys and rows.
    pub(crate) fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Bytes of the keys and rows of some entries.
    pub(crate) fn data_of(&self, range: Range<usize>) -> usize {
        if range.is_empty() { 0 } else { self.spans[range.end - 1].end as usize - self.start(range.start) }
    }

    /// How many different hashes there are.
    pub(crate) fn hashes(&self) -> usize {
        self.hashes.chunk_by(|a, b| a == b).count()
    }

    /// The first entry of a hash.
    pub(crate) fn find(&self, hash: u64) -> Option<usize> {
        self.directory.find(&self.hashes, hash)
    }

    /// The entries of a key, from the first of its hash.
    pub(crate) fn entries_of(&self, key: &[u8], start: usize) -> Range<usize> {
        let end = run_end(&self.hashes, start);
        if self.key(start) == key && self.key(end - 1) == key {
            return start..end;
        }
        // Several keys share the 64-bit hash: they are sorted within its run.
        let first = partition(start..end, |at| self.key(at) < key);
        first..partition(first..end, |at| self.key(at) <= key)
    }

    /// Compares by (hash, key).
    pub(crate) fn cmp_key(&self, at: usize, other: &Self, other_at: usize) -> Ordering {
        self.hash(at).cmp(&other.hash(other_at)).then_with(|| self.key(at).cmp(other.key(other_at)))
    }

    /// Compares by (hash, key, row).
    pub(crate) fn cmp_entry(&self, at: usize, other: &Self, other_at: usize) -> Ordering {
        self.cmp_key(at, other, other_at).then_with(|| self.row(at).cmp(other.row(other_at)))
    }
}

/// Makes columns of entries that come in order.
#[derive(Debug)]
pub(crate) struct ColumnsBuilder {
    hashes: Vec<u64>,
    directory: Directory,
    spans: Vec<Span>,
    data: Vec<u8>,
    weights: Vec<i64>,
}

impl ColumnsBuilder {
    /// With room for all that may come: growing a column of a large merge would copy it within one epoch. Room that is
    /// never touched is never backed by memory.
    pub(crate) fn with_capacity(entries: usize, data_bytes: usize) -> Self {
        Self {
            hashes: Vec::with_capacity(entries),
            directory: Directory::with_capacity(entries),
            spans: Vec::with_capacity(entries),
            data: Vec::with_capacity(data_bytes),
            weights: Vec::with_capacity(entries),
        }
    }

    /// For a block: its hashes lie close together, where a directory tells nothing.
    pub(crate) fn for_block(entries: usize, data_bytes: usize) -> Self {
        Self {
            hashes: Vec::with_capacity(entries),
            directory: Directory::with_capacity(0),
            spans: Vec::with_capacity(entries),
            data: Vec::with_capacity(data_bytes),
            weights: Vec::with_capacity(entries),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes that what is in it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() + self.directory.bytes() + self.len() * ENTRY_OVERHEAD
    }

    /// Bytes of the key and the row of an entry.
    pub(crate) fn entry_len(&self, at: usize) -> usize {
        let start = if at == 0 { 0 } else { self.spans[at - 1].end };
        (self.spans[at].end - start) as usize
    }

    /// Has room for so many bytes of keys and rows, if it has for none yet.
    pub(crate) fn reserve(&mut self, data_bytes: usize) {
        if self.data.capacity() == 0 {
            self.data.reserve_exact(data_bytes);
        }
    }

    pub(crate) fn push(&mut self, hash: u64, key: &[u8], row: &[u8], weight: i64) {
        self.data.extend_from_slice(key);
        let mut start_of_row = self.data.len() as u64;
        if key == row {
            start_of_row = SAME;
        } else {
            self.data.extend_from_slice(row);
        }
        self.end(hash, start_of_row, weight);
    }

    /// Copies an entry of other columns.
    pub(crate) fn copy(&mut self, from: &Columns, at: usize) {
        self.copy_with(from, at, from.weight(at));
    }

    /// Copies an entry of other columns, with another weight.
    pub(crate) fn copy_with(&mut self, from: &Columns, at: usize, weight: i64) {
        let (start, span) = (from.start(at), from.spans[at]);
        let start_of_row = match span.row {
            SAME => SAME,
            row => self.data.len() as u64 + (row - start as u64),
        };
        self.data.extend_from_slice(&from.data[start..span.end as usize]);
        self.end(from.hash(at), start_of_row, weight);
    }

    /// Adds the keys and rows of entries, side by side. Returns where they begin.
    pub(crate) fn extend_data(&mut self, data: &[u8]) -> usize {
        self.reserve(data.len());
        self.data.extend_from_slice(data);
        self.data.len() - data.len()
    }

    /// Adds an entry whose bytes are in the data: where its key ends, unless its row is its key, and where it does.
    pub(crate) fn end_in_data(&mut self, hash: u64, key_end: Option<u64>, end: u64, weight: i64) {
        self.directory.push(hash, place(self.hashes.len()));
        self.hashes.push(hash);
        self.spans.push(Span { row: key_end.unwrap_or(SAME), end });
        self.weights.push(weight);
    }

    /// Ends an entry whose bytes are in the data.
    fn end(&mut self, hash: u64, row: u64, weight: i64) {
        self.directory.push(hash, place(self.hashes.len()));
        self.hashes.push(hash);
        self.spans.push(Span { row, end: self.data.len() as u64 });
        self.weights.push(weight);
    }

    pub(crate) fn finish(self) -> Columns {
        let Self { hashes, mut directory, spans, data, weights } = self;
        directory.finish(place(hashes.len()));
        Columns { hashes, directory, spans, data, weights, counted: OnceLock::new() }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("columns have fewer than 2^32 entries")
}
