//! The cold tier: blocks of batches in RocksDB, what of them is in memory, and who gives memory back.
//!
//! Blocks are written at any time and never changed: those of a large batch to a file of its own, those of others as values of
//! RocksDB. They count only through a manifest (`store/`); while the process runs they
//! are as good as the batch they were written from. A [`Budget`] says how much may be in memory: over it, `relieve` writes
//! batches and drops their resident copies.

mod cache;
mod file;
mod filter;
mod relieve;
mod stored;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::{fmt, fs, io};

use rocksdb::{DB, ReadOptions, WriteBatch, properties};

use cache::Cache;
use file::Handles;
pub(crate) use file::{BatchFile, SUFFIX as FILE_SUFFIX, link};
pub(crate) use filter::Filter;
use relieve::Candidates;
pub(crate) use stored::Stored;
pub(crate) use writer::{AtMost, Pending, Writer};

use crate::block::{BlockKey, INDEX};
use crate::budget::{Budget, Part};
use crate::columns::Columns;
use crate::{ArrangementId, StateError, StoreStats};

/// The largest share of the limit that the cache takes: one in so many.
const CACHE_SHARE: u64 = 4;
/// A write batch is written when it holds this much, or less where memory is scarce.
const WRITE_BYTES: u64 = 4 << 20;

/// See the module.
pub(crate) struct Tier {
    /// Closed with the store: who outlives it reads resident batches only.
    db: RwLock<Option<DB>>,
    /// Its folder, in which the files of batches are too.
    folder: PathBuf,
    pub(crate) calls: Calls,
    next_batch: AtomicU64,
    /// Batches that nobody has any more, whose blocks are still there.
    graves: Mutex<Vec<Grave>>,
    cache: Cache,
    budget: Arc<Budget>,
    candidates: Mutex<Candidates>,
    handles: Handles,
    write_bytes: usize,
}

/// A batch whose blocks are to be deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grave {
    pub(crate) arrangement: ArrangementId,
    pub(crate) batch: u64,
    /// How many blocks it has; `u32::MAX` if that is not known.
    pub(crate) blocks: u32,
    /// They are in a file of their own.
    pub(crate) in_file: bool,
}

/// Batches of up to so many blocks are deleted block by block: RocksDB looks at every range that was deleted when it reads.
const FEW_BLOCKS: u32 = 64;
/// So many batches wait to be deleted, unless a checkpoint is made.
const GRAVES_MAX: usize = 32;

/// Calls to RocksDB and what is done with files, counted; and blocks that were found in the cache.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) puts: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) synced: AtomicU64,
    cached: AtomicU64,
    given_up: AtomicU64,
}

impl Tier {
    /// Over an open database and its folder, whose batches have ids below `next_batch`.
    pub(crate) fn new(db: DB, folder: &Path, budget: Arc<Budget>, next_batch: u64) -> Arc<Self> {
        let limit = budget.limit();
        Arc::new(Self {
            db: RwLock::new(Some(db)),
            folder: folder.to_path_buf(),
            calls: Calls::default(),
            next_batch: next_batch.into(),
            graves: Mutex::default(),
            cache: Cache::new(limit / CACHE_SHARE),
            write_bytes: (limit / 64).clamp(64 << 10, WRITE_BYTES) as usize,
            budget,
            candidates: Mutex::default(),
            handles: Handles::default(),
        })
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Where the file of a batch is, if it has one.
    pub(crate) fn path_of(&self, batch: u64) -> PathBuf {
        self.folder.join(file::name(batch))
    }

    /// A new batch's id: ids are never used twice.
    pub(crate) fn new_batch(&self) -> u64 {
        self.next_batch.fetch_add(1, Relaxed)
    }

    pub(crate) fn next_batch(&self) -> u64 {
        self.next_batch.load(Relaxed)
    }

    /// Does something with the database, or with files beside it: once it is closed they are others'.
    pub(crate) fn with_db<T>(&self, work: impl FnOnce(&DB) -> Result<T, StateError>) -> Result<T, StateError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        work(db.as_ref().ok_or(StateError::Closed)?)
    }

    /// Closes the database. Whoever reads it now is waited for.
    pub(crate) fn close(&self) {
        let db = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(db);
    }

    /// Reads one value; `decode` says what is wrong with it.
    pub(crate) fn read<T>(
        &self,
        key: BlockKey,
        decode: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, StateError> {
        let damaged = |reason: String| StateError::damaged(key.to_string(), reason);
        self.calls.reads.fetch_add(1, Relaxed);
        self.with_db(|db| {
            let mut options = ReadOptions::default();
            options.fill_cache(false);
            let value =
                db.get_pinned_opt(key.encode(), &options).map_err(|error| damaged(format!("RocksDB says: {error}")))?;
            decode(&value.ok_or_else(|| damaged("it is missing".into()))?).map_err(damaged)
        })
    }

    /// Reads a block, or an index, in a file.
    pub(crate) fn read_file<B, T>(
        &self,
        key: BlockKey,
        read: impl FnOnce() -> io::Result<B>,
        decode: impl FnOnce(B) -> Result<T, String>,
    ) -> Result<T, StateError> {
        let damaged = |reason: String| StateError::damaged(key.to_string(), reason);
        self.calls.reads.fetch_add(1, Relaxed);
        let bytes = self.with_db(|_| {
            read().map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => damaged("its file is missing".into()),
                io::ErrorKind::UnexpectedEof => damaged("its file ends too early".into()),
                // A handle too many, or a disk that does not answer: that says nothing of what is in the file.
                _ => StateError::io("read", &self.path_of(key.batch))(error),
            })
        })?;
        decode(bytes).map_err(damaged)
    }

    /// Has the file of a batch survive a crash.
    pub(crate) fn make_durable(&self, file: &BatchFile) -> Result<(), StateError> {
        if file.make_durable()? {
            self.calls.synced.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Writes a write batch, without the log: only a flush counts.
    pub(crate) fn write(&self, values: WriteBatch) -> Result<(), StateError> {
        if values.is_empty() {
            return Ok(());
        }
        self.calls.writes.fetch_add(1, Relaxed);
        self.with_db(|db| {
            db.write_without_wal(values).map_err(StateError::rocks("write blocks"))?;
            self.tell_database(db);
            Ok(())
        })
    }

    /// Makes what is written durable.
    pub(crate) fn flush(&self) -> Result<(), StateError> {
        self.calls.flushes.fetch_add(1, Relaxed);
        self.with_db(|db| {
            db.flush().map_err(StateError::rocks("flush blocks"))?;
            self.tell_database(db);
            Ok(())
        })
    }

    /// Has the budget know what RocksDB holds.
    fn tell_database(&self, db: &DB) {
        let of = |name| db.property_int_value(name).ok().flatten().unwrap_or(0);
        let names = [properties::CUR_SIZE_ALL_MEM_TABLES, properties::ESTIMATE_TABLE_READERS_MEM];
        self.budget.tell(Part::Database, names.into_iter().map(of).sum());
    }

    /// A batch that nobody has any more: its blocks are to be deleted.
    pub(crate) fn bury(&self, grave: Grave) {
        self.graves.lock().unwrap_or_else(PoisonError::into_inner).push(grave);
    }

    /// Whether so many batches wait to be deleted that it is time.
    fn is_burial_due(&self) -> bool {
        self.graves.lock().unwrap_or_else(PoisonError::into_inner).len() >= GRAVES_MAX
    }

    /// Deletes the blocks of batches that nobody has any more. Returns how many batches that were.
    pub(crate) fn delete_buried(&self) -> Result<usize, StateError> {
        let graves = std::mem::take(&mut *self.graves.lock().unwrap_or_else(PoisonError::into_inner));
        let mut deletes = WriteBatch::default();
        let mut files = Vec::new();
        for &Grave { arrangement, batch, blocks, in_file } in &graves {
            if in_file {
                files.push(self.path_of(batch));
            } else if blocks <= FEW_BLOCKS {
                (INDEX..=INDEX + blocks)
                    .for_each(|block| deletes.delete(BlockKey { arrangement, batch, block }.encode()));
            } else {
                let (from, to) = BlockKey::batch_range(arrangement, batch);
                deletes.delete_range(from.encode(), to.encode());
            }
            self.calls.deletes.fetch_add(1, Relaxed);
        }
        let deleted = graves.len();
        // Also where RocksDB takes nothing, for the disk is full: they are what can be given back.
        let removed = self.remove_files(files);
        self.write(deletes).and(removed).inspect_err(|_| {
            self.graves.lock().unwrap_or_else(PoisonError::into_inner).extend(graves);
        })?;
        Ok(deleted)
    }

    /// Removes files of batches, those that are there.
    fn remove_files(&self, files: Vec<PathBuf>) -> Result<(), StateError> {
        if files.is_empty() {
            return Ok(());
        }
        self.with_db(|_| {
            files.iter().try_for_each(|path| match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", path)(error)),
                _ => Ok(()),
            })
        })
    }

    fn cached(&self, name: (u64, usize)) -> Option<Arc<Columns>> {
        self.cache.get(name).inspect(|_| {
            self.calls.cached.fetch_add(1, Relaxed);
        })
    }

    fn cache(&self, name: (u64, usize), columns: &Arc<Columns>) {
        columns.count(&self.budget, Part::Cache);
        self.cache.put(name, columns, self.budget.has_slack());
    }

    fn candidates(&self) -> MutexGuard<'_, Candidates> {
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls to RocksDB so far.
    pub(crate) fn stats(&self) -> StoreStats {
        let Calls { puts, deletes, writes, reads, flushes, files, synced, cached, given_up } = &self.calls;
        StoreStats {
            puts: puts.load(Relaxed),
            deletes: deletes.load(Relaxed),
            writes: writes.load(Relaxed),
            reads: reads.load(Relaxed),
            flushes: flushes.load(Relaxed),
            files: files.load(Relaxed),
            synced: synced.load(Relaxed),
            cached: cached.load(Relaxed),
            given_up: given_up.load(Relaxed),
        }
    }
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("budget", &self.budget).finish_non_exhaustive()
    }
}
