//! A batch: an immutable run of (key, row, weight), consolidated and sorted by (64-bit key hash, key, row).
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
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::search::{Directory, partition, run_end};

/// The weight of a delete marker under the replace law.
pub(crate) const MARKER: i64 = 0;

/// Bytes that an entry takes beside its key and row: hash, weight, span.
const ENTRY_OVERHEAD: usize = 32;

/// Where an entry lies in its batch's data; it starts where the one before ends.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Where the key ends and the row starts; or [`SAME`].
    row: u64,
    /// Where the row ends.
    end: u64,
}

/// In place of where the row starts: the row is the key.
const SAME: u64 = u64::MAX;

static NEXT_UID: AtomicU64 = AtomicU64::new(0);

/// See the module.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Unique in this process: how a store knows what it has written.
    uid: u64,
    hashes: Vec<u64>,
    directory: Directory,
    spans: Vec<Span>,
    data: Vec<u8>,
    weights: Vec<i64>,
}

impl Batch {
    pub(crate) fn uid(&self) -> u64 {
        self.uid
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

    /// Bytes of all keys and rows.
    pub(crate) fn data_len(&self) -> usize {
        self.data.len()
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

/// Makes a batch of entries that come in order.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    hashes: Vec<u64>,
    directory: Directory,
    spans: Vec<Span>,
    data: Vec<u8>,
    weights: Vec<i64>,
}

impl BatchBuilder {
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

    /// Copies an entry of another batch.
    pub(crate) fn copy(&mut self, from: &Batch, at: usize) {
        self.copy_with(from, at, from.weight(at));
    }

    /// Copies an entry of another batch, with another weight.
    pub(crate) fn copy_with(&mut self, from: &Batch, at: usize, weight: i64) {
        let (start, span) = (from.start(at), from.spans[at]);
        let start_of_row = match span.row {
            SAME => SAME,
            row => self.data.len() as u64 + (row - start as u64),
        };
        self.data.extend_from_slice(&from.data[start..span.end as usize]);
        self.end(from.hash(at), start_of_row, weight);
    }

    /// Ends an entry whose bytes are in the data.
    fn end(&mut self, hash: u64, row: u64, weight: i64) {
        self.directory.push(hash, place(self.hashes.len()));
        self.hashes.push(hash);
        self.spans.push(Span { row, end: self.data.len() as u64 });
        self.weights.push(weight);
    }

    pub(crate) fn finish(self) -> Batch {
        let Self { hashes, mut directory, spans, data, weights } = self;
        directory.finish(place(hashes.len()));
        Batch { uid: NEXT_UID.fetch_add(1, Relaxed), hashes, directory, spans, data, weights }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a batch in memory has fewer than 2^32 entries")
}
