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
mod open;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocksdb::DB;
use zset::Epoch;

use crate::{Arrangement, ArrangementId, StateError};

/// See the module. All calls block; any thread may make them.
pub struct Store {
    dir: PathBuf,
    db: DB,
    written: Mutex<Written>,
    calls: Calls,
    failpoint: Mutex<Option<Failpoint>>,
    _lock: File,
}

/// Called before every step of a checkpoint; an error stops the checkpoint there.
type Failpoint = Arc<dyn Fn(Step) -> Result<(), String> + Send + Sync>;

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

/// The steps of a checkpoint at which it may die, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Before blocks are written.
    Blocks,
    /// Before the flush.
    Flush,
    /// Before the hard links are made.
    Links,
    /// Before the manifest is written.
    Manifest,
    /// Before the folder gets its name.
    Rename,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Blocks, Self::Flush, Self::Links, Self::Manifest, Self::Rename];

    /// Its name, for failpoints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "checkpoint_blocks",
            Self::Flush => "checkpoint_flush",
            Self::Links => "checkpoint_links",
            Self::Manifest => "checkpoint_manifest",
            Self::Rename => "checkpoint_rename",
        }
    }
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
        open::open(dir)
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

    /// Has every later checkpoint call `failpoint` before each of its steps.
    pub fn set_failpoint(&self, failpoint: impl Fn(Step) -> Result<(), String> + Send + Sync + 'static) {
        *self.failpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(failpoint));
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, step: Step) -> Result<(), StateError> {
        let failpoint = self.failpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failpoint {
            Some(failpoint) => failpoint(step).map_err(|reason| StateError::Stopped { step: step.name(), reason }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}
