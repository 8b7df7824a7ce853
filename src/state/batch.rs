//! A batch: an immutable run of (key, row, weight), consolidated and sorted by (64-bit key hash, key, row).
//!
//! Its entries are in memory (*resident*), or in blocks of the store (*stored*), or both. Which of them may change while it is
//! read, in one direction each: a batch that is written is stored from then on, and a stored one may lose its resident copy. Who has
//! got a [`View`] of it keeps that as long as it likes; the blocks of a batch are deleted when nobody has the batch any more.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::StateError;
use crate::columns::{Columns, ColumnsBuilder};
use crate::tier::Stored;

/// See the module.
#[derive(Debug)]
pub(crate) struct Batch {
    entries: usize,
    data_len: usize,
    place: RwLock<Place>,
    /// It is known to those who give memory back.
    admitted: AtomicBool,
}

/// Where the entries are: at least one of the two.
#[derive(Debug)]
struct Place {
    resident: Option<Arc<Columns>>,
    stored: Option<Arc<Stored>>,
}

/// A way to read a batch.
#[derive(Debug)]
pub(crate) enum View {
    Resident(Arc<Columns>),
    Stored(Arc<Stored>),
}

impl Batch {
    /// Of entries in memory.
    pub(crate) fn resident(columns: Columns) -> Self {
        let place = Place { resident: Some(Arc::new(columns)), stored: None };
        Self::at(place)
    }

    /// Of blocks that are written, and their entries if they were read.
    pub(crate) fn stored(stored: Stored, resident: Option<Columns>) -> Self {
        Self::at(Place { resident: resident.map(Arc::new), stored: Some(Arc::new(stored)) })
    }

    fn at(place: Place) -> Self {
        let (entries, data_len) = match (&place.resident, &place.stored) {
            (Some(columns), _) => (columns.len(), columns.data_len()),
            (None, Some(stored)) => (stored.entries(), stored.data_len()),
            (None, None) => unreachable!("a batch is somewhere"),
        };
        Self { entries, data_len, place: RwLock::new(place), admitted: AtomicBool::new(false) }
    }

    /// Whether this is the first time that it is asked.
    pub(crate) fn admit(&self) -> bool {
        !self.admitted.load(Relaxed) && !self.admitted.swap(true, Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of all keys and rows.
    pub(crate) fn data_len(&self) -> usize {
        self.data_len
    }

    /// No fewer than it has different hashes.
    pub(crate) fn hashes_max(&self) -> usize {
        self.place().stored.as_ref().map_or(self.entries, |stored| stored.hashes())
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> usize {
        let place = self.place();
        let resident = place.resident.as_ref().map_or(0, |columns| columns.bytes());
        resident + place.stored.as_ref().map_or(0, |stored| stored.index_bytes())
    }

    /// The entries, where reading them costs least.
    pub(crate) fn view(&self) -> View {
        let place = self.place();
        match (&place.resident, &place.stored) {
            (Some(columns), _) => View::Resident(Arc::clone(columns)),
            (None, Some(stored)) => View::Stored(Arc::clone(stored)),
            (None, None) => unreachable!("a batch is somewhere"),
        }
    }

    /// The entries in memory, if they are there.
    pub(crate) fn columns(&self) -> Option<Arc<Columns>> {
        self.place().resident.clone()
    }

    /// Its blocks, if they are written.
    pub(crate) fn blocks(&self) -> Option<Arc<Stored>> {
        self.place().stored.clone()
    }

    /// From now on it is stored. Of two who have written it the first counts.
    pub(crate) fn keep(&self, stored: Arc<Stored>) {
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        place.stored.get_or_insert(stored);
    }

    /// Forgets the resident copy of a stored batch. Returns its bytes.
    pub(crate) fn forget(&self) -> usize {
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        if place.stored.is_none() {
            return 0;
        }
        place.resident.take().map_or(0, |columns| columns.bytes())
    }

    fn place(&self) -> RwLockReadGuard<'_, Place> {
        self.place.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a batch from its first entry to its last. Of a stored one it holds one block.
#[derive(Debug)]
pub(crate) struct Reader {
    batch: Arc<Batch>,
    /// The entries that are at hand.
    columns: Arc<Columns>,
    /// The next of them.
    at: usize,
    /// How many entries of the batch come before them.
    base: usize,
    /// The block that they are, and how many entries come before it.
    block: (usize, usize),
}

impl Reader {
    pub(crate) fn new(batch: Arc<Batch>) -> Self {
        Self { batch, columns: nothing(), at: 0, base: 0, block: (0, 0) }
    }

    pub(crate) fn batch(&self) -> &Arc<Batch> {
        &self.batch
    }

    /// The entries at hand, the next of which is at [`Reader::at`].
    pub(crate) fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Has the next entry at hand; `false` if there is none. After an error it may be asked again.
    pub(crate) fn ready(&mut self) -> Result<bool, StateError> {
        if self.at < self.columns.len() {
            return Ok(true);
        }
        self.load()
    }

    #[cold]
    fn load(&mut self) -> Result<bool, StateError> {
        let next = self.base + self.at;
        if next == self.batch.len() {
            return Ok(false);
        }
        match self.batch.view() {
            View::Resident(columns) => (self.columns, self.base, self.at) = (columns, 0, next),
            View::Stored(stored) => {
                self.block = stored.block_of_entry(next, self.block);
                self.columns = stored.read(self.block.0)?;
                (self.base, self.at) = (self.block.1, next - self.block.1);
            }
        }
        Ok(true)
    }

    /// Steps over the next entry.
    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// Entries that were not stepped over.
    pub(crate) fn left(&self) -> usize {
        self.batch.len() - self.base - self.at
    }

    /// Reads nothing more.
    pub(crate) fn end(&mut self) {
        (self.columns, self.base, self.at) = (nothing(), self.batch.len(), 0);
    }

    /// Holds no resident copy until it is asked for more: nobody knows when that is, and it may be given up meanwhile.
    pub(crate) fn rest(&mut self) {
        let is_block = self.columns.len() < self.batch.len();
        if !is_block && (self.at > 0 || self.batch.columns().is_some()) {
            (self.columns, self.base, self.at) = (nothing(), self.base + self.at, 0);
        }
    }
}

fn nothing() -> Arc<Columns> {
    Arc::new(ColumnsBuilder::for_block(0, 0).finish())
}
