//! The store: the durable form of all arrangements of a pipeline: blocks, never rows, in RocksDB, and in a file of its own where a
//! batch is large.
//!
//! ```text
//! <dir>/store.lock             held while a store is open
//! <dir>/live/                  RocksDB's folder of this run, and the files of batches; worth nothing after it
//! <dir>/checkpoints/<epoch>/   hard links to its tables and to those files, copies of its small files, our manifest
//! ```
//!
//! Only a manifest makes blocks count. Opening takes the newest whole checkpoint and never the live folder, so nothing
//! that a crash left half done can be read. When the store is dropped its database is closed: snapshots that live longer have
//! what of them is in memory.

mod checkpoint;
mod files;
mod inspect;
mod open;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fault::Failpoints;
use zset::Epoch;

pub use checkpoint::CheckpointInput;
pub use inspect::{CheckpointContent, CheckpointFiles, Checkpoints, list_checkpoints};

use crate::tier::Tier;
use crate::{Arrangement, ArrangementId, Budget, Law, StateError};

/// See the module. All calls block; any thread may make them.
pub struct Store {
    dir: PathBuf,
    pub(crate) tier: Arc<Tier>,
    written: Mutex<Written>,
    faults: Failpoints,
    _lock: File,
}

/// The checkpoints that there are.
#[derive(Debug, Default)]
struct Written {
    /// Checkpoints that are there and not known to be damaged.
    checkpoints: BTreeSet<Epoch>,
    /// Checkpoints that were skipped at opening.
    damaged: BTreeSet<Epoch>,
}

/// The state of a checkpoint, read back.
#[derive(Debug)]
pub struct Restored {
    /// The epoch it is of.
    pub epoch: Epoch,
    /// What was given to [`Store::checkpoint`].
    pub metadata: Vec<u8>,
    /// The arrangements that were given to it.
    pub arrangements: HashMap<ArrangementId, Arrangement>,
    /// Newer checkpoints that could not be used, newest first, and why.
    pub skipped: Vec<(Epoch, String)>,
}

/// What a checkpoint cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Batches written: those no checkpoint of this run had before.
    pub batches: usize,
    /// Blocks written.
    pub blocks: usize,
    /// Bytes of those blocks, before compression.
    pub bytes: u64,
    /// Batches deleted from the live database, because nobody has them any more.
    pub deleted: usize,
    /// How long it took.
    pub duration: Duration,
    /// A checkpoint of that epoch was there already; nothing was done.
    pub existed: bool,
}

/// Calls to RocksDB and what was done with files since the store was opened, the opening included; and what was done to spare memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Values put into write batches: blocks and indexes.
    pub puts: u64,
    /// Ranges deleted, a whole batch each.
    pub deletes: u64,
    /// Write batches written.
    pub writes: u64,
    /// Values read, and blocks and indexes of files.
    pub reads: u64,
    /// Flushes.
    pub flushes: u64,
    /// Files of batches that were written.
    pub files: u64,
    /// Files of batches that were made durable.
    pub synced: u64,
    /// Blocks that were found in the cache.
    pub cached: u64,
    /// Resident copies of batches that were given up.
    pub given_up: u64,
}

impl Store {
    /// Opens the folder, making it if it is not there, and reads the newest whole checkpoint. `None` if there is none
    /// at all; an error if there are some and none is whole.
    pub fn open(dir: &Path) -> Result<(Arc<Self>, Option<Restored>), StateError> {
        Self::open_with(dir, Failpoints::default(), Arc::default())
    }

    /// The same, with failpoints and a budget.
    pub fn open_with(
        dir: &Path,
        faults: Failpoints,
        budget: Arc<Budget>,
    ) -> Result<(Arc<Self>, Option<Restored>), StateError> {
        open::open(dir, faults, budget)
    }

    /// An empty arrangement whose batches may be stored here. One that was made without this may be from the first checkpoint on
    /// that has it.
    pub fn arrangement(&self, id: ArrangementId, law: Law) -> Arrangement {
        Arrangement::new(id, law).stored_in(&self.tier)
    }

    /// What may be in memory, and what is.
    pub fn budget(&self) -> &Arc<Budget> {
        self.tier.budget()
    }

    /// The epochs of the checkpoints that are there and not known to be damaged, ascending.
    pub fn checkpoints(&self) -> Vec<Epoch> {
        self.written().checkpoints.iter().copied().collect()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Calls to RocksDB so far.
    pub fn stats(&self) -> StoreStats {
        self.tier.stats()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.tier.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}
