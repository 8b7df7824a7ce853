//! Opening: the newest whole checkpoint becomes the live folder, and every batch it names is read and checked.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use fault::Failpoints;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, LogLevel, Options, ReadOptions, WriteBatch};
use zset::Epoch;

use super::{Calls, Restored, Store, Stored, Written, files};
use crate::batch::{Batch, BatchBuilder};
use crate::block::{BlockKey, INDEX, Index, decode_block, decode_index};
use crate::manifest::{FILE, Manifest};
use crate::{Arrangement, ArrangementId, StateError};

/// A batch's name in the database.
type BatchName = (ArrangementId, u64);

/// A checkpoint opened: its database, its manifest, its batches, and batches that it does not name.
pub(super) struct Opened {
    db: DB,
    manifest: Manifest,
    batches: HashMap<BatchName, Arc<Batch>>,
    unnamed: Vec<BatchName>,
    reads: u64,
}

impl Opened {
    /// What the checkpoint says that it holds, which it does; the rest is closed.
    pub(super) fn into_manifest(self) -> Manifest {
        self.manifest
    }
}

/// See [`Store::open`].
pub(super) fn open(dir: &Path, faults: Failpoints) -> Result<(Arc<Store>, Option<Restored>), StateError> {
    let folder = files::checkpoints(dir);
    fs::create_dir_all(&folder).map_err(StateError::io("make the folder", &folder))?;
    let lock = lock(dir)?;
    files::remove_dir(&files::live(dir))?;
    let epochs = epochs(&folder)?;
    let mut skipped = Vec::new();
    for &epoch in epochs.iter().rev() {
        match open_checkpoint(dir, epoch, &files::live(dir), &faults) {
            Ok(opened) => return restore(dir, (lock, faults), opened, skipped, epochs),
            Err(error) if is_damage(&error) => {
                tracing::error!(%epoch, %error, "skipping a checkpoint that is not whole, trying the one before");
                skipped.push((epoch, error.to_string()));
                files::remove_dir(&files::live(dir))?;
            }
            Err(error) => return Err(error),
        }
    }
    if !skipped.is_empty() {
        return Err(StateError::NoWholeCheckpoint { dir: folder, skipped });
    }
    let db = open_db(&files::live(dir))?;
    Ok((Arc::new(store(dir, db, (lock, faults), Written::default(), 0)), None))
}

/// Whether an older checkpoint may do where this one failed. A newer format is no damage, and neither is a file system
/// that refuses to write to the live folder: the older checkpoint would only hide it.
pub(super) fn is_damage(error: &StateError) -> bool {
    match error {
        StateError::Damaged { .. } | StateError::Rocks { .. } => true,
        StateError::Io { source, .. } => {
            matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
            )
        }
        _ => false,
    }
}

/// Takes the folder for this process. The live folder is about to be removed: it must be nobody else's.
pub(super) fn lock(dir: &Path) -> Result<File, StateError> {
    let path = dir.join("store.lock");
    let file = File::create(&path).map_err(StateError::io("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Locked(dir.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(StateError::io("lock", &path)(error)),
    }
}

/// The checkpoints there are, ascending; unfinished ones are removed.
fn epochs(folder: &Path) -> Result<BTreeSet<Epoch>, StateError> {
    let mut epochs = BTreeSet::new();
    for name in files::names(folder)? {
        if name.ends_with(".tmp") {
            files::remove_dir(&folder.join(&name))?;
        } else if let Ok(epoch) = name.parse() {
            epochs.insert(Epoch(epoch));
        }
    }
    Ok(epochs)
}

fn store(dir: &Path, db: DB, (lock, faults): (File, Failpoints), written: Written, reads: u64) -> Store {
    let calls = Calls { reads: reads.into(), ..Calls::default() };
    Store { dir: dir.to_path_buf(), db, written: written.into(), calls, faults, _lock: lock }
}

/// Makes the store and the arrangements of an opened checkpoint.
fn restore(
    dir: &Path,
    (lock, faults): (File, Failpoints),
    opened: Opened,
    skipped: Vec<(Epoch, String)>,
    mut checkpoints: BTreeSet<Epoch>,
) -> Result<(Arc<Store>, Option<Restored>), StateError> {
    let Opened { db, manifest, batches, unnamed, reads } = opened;
    let damaged: BTreeSet<Epoch> = skipped.iter().map(|(epoch, _)| *epoch).collect();
    checkpoints.retain(|epoch| !damaged.contains(epoch));
    let mut written = Written { next_batch: manifest.next_batch, batches: HashMap::new(), checkpoints, damaged };
    let mut arrangements = HashMap::new();
    for list in &manifest.arrangements {
        let mut own = Vec::with_capacity(list.batches.len());
        for entry in &list.batches {
            let batch = Arc::clone(&batches[&(list.id, entry.id)]);
            let stored = Stored { arrangement: list.id, id: entry.id, blocks: entry.blocks, durable: true };
            written.batches.insert(batch.uid(), stored);
            own.push(batch);
        }
        arrangements.insert(list.id, Arrangement::restored(list.id, list.law, own));
    }
    let what = || format!("metadata of checkpoint {}", manifest.epoch);
    let bytes = manifest.metadata.clone().bytes();
    let metadata = bytes.ok_or_else(|| StateError::damaged(what(), "it is not hexadecimal"))?;
    let store = store(dir, db, (lock, faults), written, reads);
    let mut deletes = WriteBatch::default();
    unnamed.iter().for_each(|&(arrangement, batch)| store.delete(&mut deletes, arrangement, batch));
    store.write(deletes)?;
    Ok((Arc::new(store), Some(Restored { epoch: manifest.epoch, metadata, arrangements, skipped })))
}

/// Opens one checkpoint by way of another folder, reading all it names.
pub(super) fn open_checkpoint(
    dir: &Path,
    epoch: Epoch,
    live: &Path,
    faults: &Failpoints,
) -> Result<Opened, StateError> {
    let unreadable = |fault: fault::Fault| StateError::damaged(format!("checkpoint {epoch}"), fault.to_string());
    faults.reach("checkpoint-open").map_err(unreadable)?;
    let folder = files::checkpoint(dir, epoch);
    let path = folder.join(FILE);
    let bytes = fs::read(&path).map_err(StateError::io("read", &path))?;
    let manifest = Manifest::decode(&bytes, &path)?;
    if manifest.epoch != epoch {
        let reason = format!("it is of epoch {}", manifest.epoch);
        return Err(StateError::damaged(format!("manifest {}", path.display()), reason));
    }
    files::bring(&folder, &manifest.files, live)?;
    let db = open_db(live)?;
    let (batches, unnamed, reads) = read_batches(&db, &manifest)?;
    Ok(Opened { db, manifest, batches, unnamed, reads })
}

/// Settings for few, large values that are written once: little memory, no log, no stalls, whole blocks.
fn open_db(path: &Path) -> Result<DB, StateError> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(8 << 20));
    // Footers with a checksum, so that a flipped bit there is damage and not an address.
    blocks.set_format_version(6);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_atomic_flush(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(32 << 20);
    options.set_max_background_jobs(2);
    // Compaction only reclaims space here, nothing waits for it: a checkpoint must not stall on it.
    options.set_level_zero_file_num_compaction_trigger(8);
    options.set_level_zero_slowdown_writes_trigger(1 << 16);
    options.set_level_zero_stop_writes_trigger(1 << 16);
    options.set_soft_pending_compaction_bytes_limit(0);
    options.set_hard_pending_compaction_bytes_limit(0);
    options.set_stats_dump_period_sec(0);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    DB::open(&options, path).map_err(StateError::rocks("open the database of the state"))
}

type Batches = (HashMap<BatchName, Arc<Batch>>, Vec<BatchName>, u64);

/// Reads the whole database once, in order: the batches that the manifest names, the names of others, the values read.
fn read_batches(db: &DB, manifest: &Manifest) -> Result<Batches, StateError> {
    let named: HashMap<BatchName, (u64, u32)> = manifest
        .arrangements
        .iter()
        .flat_map(|list| list.batches.iter().map(|entry| ((list.id, entry.id), (entry.entries, entry.blocks))))
        .collect();
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options.set_readahead_size(2 << 20);
    let mut at = db.raw_iterator_opt(options);
    let (mut batches, mut unnamed, mut reads) = (HashMap::new(), HashSet::new(), 0);
    at.seek_to_first();
    while let Some((key, value)) = at.item() {
        reads += 1;
        let found = BlockKey::decode(key);
        let key = found.ok_or_else(|| StateError::damaged("the database of the state", "it holds a foreign key"))?;
        let name = (key.arrangement, key.batch);
        let Some(&(entries, blocks)) = named.get(&name) else {
            unnamed.insert(name);
            at.seek(BlockKey::batch_range(key.arrangement, key.batch).1.encode());
            continue;
        };
        let damaged = |reason: String| StateError::damaged(key.to_string(), reason);
        if key.block != INDEX {
            return Err(damaged("its batch has no index".into()));
        }
        let index = decode_index(value, key).map_err(damaged)?;
        if (index.entries, index.blocks.len()) != (entries, blocks as usize) {
            return Err(damaged("the manifest says otherwise".into()));
        }
        at.next();
        batches.insert(name, Arc::new(read_batch(&mut at, key, &index)?));
        reads += u64::from(blocks);
    }
    at.status().map_err(StateError::rocks("read the database of the state"))?;
    if let Some((arrangement, batch)) = named.keys().find(|name| !batches.contains_key(name)) {
        let what = format!("batch {batch} of arrangement {arrangement}");
        return Err(StateError::damaged(what, "it is not in the database"));
    }
    Ok((batches, unnamed.into_iter().collect(), reads))
}

/// Reads the blocks of a batch, from an iterator that stands on the first; leaves it after the last.
fn read_batch(at: &mut rocksdb::DBRawIterator<'_>, key: BlockKey, index: &Index) -> Result<Batch, StateError> {
    let mut out = BatchBuilder::with_capacity(index.entries as usize, index.data_bytes as usize);
    for (&expected, block) in index.blocks.iter().zip(INDEX + 1..) {
        let key = BlockKey { block, ..key };
        let damaged = |reason: String| StateError::damaged(key.to_string(), reason);
        match at.item() {
            Some((found, value)) if found == key.encode() => {
                decode_block(value, key, expected, &mut out).map_err(damaged)?;
            }
            _ => {
                at.status().map_err(StateError::rocks("read the database of the state"))?;
                return Err(damaged("it is missing".into()));
            }
        }
        at.next();
    }
    Ok(out.finish())
}
