//! The store: the durable form of all arrangements of a pipeline, in RocksDB, which holds blocks and never rows.
//!
//! ```text
//! <dir>/store.lock             held while a store is open
//! <dir>/live/                  RocksDB's folder of this run; worth nothing after it
//! <dir>/checkpoints/<epoch>/   hard links to its tables, copies of its small files, our manifest
//! ```
//!
//! Only a manifest makes blocks count. Opening takes the newest whole checkpoint and never the live folder, so nothing
//! that a crash left half done can be read.

mod checkpoint;
mod files;
mod inspect;
mod open;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fault::Failpoints;
use rocksdb::DB;
use zset::Epoch;

pub use inspect::{CheckpointContent, CheckpointFiles, Checkpoints, list_checkpoints};

use crate::{Arrangement, ArrangementId, StateError};

/// See the module. All calls block; any thread may make them.
pub struct Store {
    dir: PathBuf,
    db: DB,
    written: Mutex<Written>,
    calls: Calls,
    faults: Failpoints,
    _lock: File,
}

/// What the live database and the checkpoints hold.
#[derive(Debug, Default)]
struct Written {
    next_batch: u64,
    /// What was put in the live database, by the batch's identity in this process.
    batches: HashMap<u64, Stored>,
    /// Checkpoints that are there and not known to be damaged.
    checkpoints: BTreeSet<Epoch>,
    /// Checkpoints that were skipped at opening.
    damaged: BTreeSet<Epoch>,
}

/// A batch in the live database.
#[derive(Debug, Clone, Copy)]
struct Stored {
    arrangement: ArrangementId,
    id: u64,
    blocks: u32,
    /// Flushed: the next checkpoint need not write it again.
    durable: bool,
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
    /// Batches deleted from the live database, because no list names them any more.
    pub deleted: usize,
    /// How long it took.
    pub duration: Duration,
    /// A checkpoint of that epoch was there already; nothing was done.
    pub existed: bool,
}

/// Calls to RocksDB, counted.
#[derive(Debug, Default)]
struct Calls {
    puts: AtomicU64,
    deletes: AtomicU64,
    writes: AtomicU64,
    reads: AtomicU64,
    flushes: AtomicU64,
}

/// Calls to RocksDB since the store was opened, the opening included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Values put into write batches: blocks and indexes.
    pub puts: u64,
    /// Ranges deleted, a whole batch each.
    pub deletes: u64,
    /// Write batches written.
    pub writes: u64,
    /// Values read.
    pub reads: u64,
    /// Flushes.
    pub flushes: u64,
}

impl Store {
    /// Opens the folder, making it if it is not there, and reads the newest whole checkpoint. `None` if there is none
    /// at all; an error if there are some and none is whole.
    pub fn open(dir: &Path) -> Result<(Arc<Self>, Option<Restored>), StateError> {
        Self::open_with(dir, Failpoints::default())
    }

    /// The same, with failpoints.
    pub fn open_with(dir: &Path, faults: Failpoints) -> Result<(Arc<Self>, Option<Restored>), StateError> {
        open::open(dir, faults)
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
        let Calls { puts, deletes, writes, reads, flushes } = &self.calls;
        StoreStats {
            puts: puts.load(Relaxed),
            deletes: deletes.load(Relaxed),
            writes: writes.load(Relaxed),
            reads: reads.load(Relaxed),
            flushes: flushes.load(Relaxed),
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}
