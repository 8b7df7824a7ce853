//! Opening: the newest whole checkpoint becomes the live folder, and the index of every batch it names is read and checked. The
//! blocks are too of all batches that fit in memory, the small ones first; those of others are read, and checked, when they are
//! needed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use fault::Failpoints;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, LogLevel, Options, ReadOptions};
use zset::Epoch;

use super::{Restored, Store, Written, files};
use crate::batch::Batch;
use crate::block::{BlockKey, INDEX, Index, decode_index};
use crate::budget::Part;
use crate::columns::Columns;
use crate::manifest::{BatchEntry, FILE, Manifest};
use crate::tier::{BatchFile, Grave, Stored, Tier};
use crate::{Arrangement, ArrangementId, Budget, StateError};

/// A batch's name in the database.
type BatchName = (ArrangementId, u64);

/// A checkpoint opened: its database, its manifest, its batches.
pub(super) struct Opened {
    tier: Arc<Tier>,
    manifest: Manifest,
    batches: HashMap<BatchName, Arc<Batch>>,
}

impl Opened {
    /// Reads and checks every block. Gives what the checkpoint says that it holds; the rest is closed.
    pub(super) fn check(self) -> Result<Manifest, StateError> {
        let checked = self.batches.values().filter_map(|batch| batch.blocks()).try_for_each(|stored| stored.check());
        self.tier.close();
        checked.map(|()| self.manifest)
    }
}

/// See [`Store::open`].
pub(super) fn open(
    dir: &Path,
    faults: Failpoints,
    budget: Arc<Budget>,
) -> Result<(Arc<Store>, Option<Restored>), StateError> {
    let folder = files::checkpoints(dir);
    fs::create_dir_all(&folder).map_err(StateError::io("make the folder", &folder))?;
    let lock = lock(dir)?;
    files::remove_dir(&files::live(dir))?;
    let epochs = epochs(&folder)?;
    let mut skipped = Vec::new();
    for &epoch in epochs.iter().rev() {
        match open_checkpoint(dir, epoch, &files::live(dir), &faults, &budget) {
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
    let live = files::live(dir);
    let tier = Tier::new(open_db(&live, &budget)?, &live, budget, 0);
    Ok((Arc::new(store(dir, tier, (lock, faults), Written::default())), None))
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

fn store(dir: &Path, tier: Arc<Tier>, (lock, faults): (File, Failpoints), written: Written) -> Store {
    Store { dir: dir.to_path_buf(), tier, written: written.into(), faults, _lock: lock }
}

/// Makes the store and the arrangements of an opened checkpoint.
fn restore(
    dir: &Path,
    (lock, faults): (File, Failpoints),
    opened: Opened,
    skipped: Vec<(Epoch, String)>,
    mut checkpoints: BTreeSet<Epoch>,
) -> Result<(Arc<Store>, Option<Restored>), StateError> {
    let Opened { tier, manifest, batches } = opened;
    let damaged: BTreeSet<Epoch> = skipped.iter().map(|(epoch, _)| *epoch).collect();
    checkpoints.retain(|epoch| !damaged.contains(epoch));
    let mut arrangements = HashMap::new();
    for list in &manifest.arrangements {
        let own = list.batches.iter().map(|entry| Arc::clone(&batches[&(list.id, entry.id)])).collect();
        arrangements.insert(list.id, Arrangement::restored(list.id, list.law, own).stored_in(&tier));
    }
    let what = || format!("metadata of checkpoint {}", manifest.epoch);
    let bytes = manifest.metadata.clone().bytes();
    let metadata = bytes.ok_or_else(|| StateError::damaged(what(), "it is not hexadecimal"))?;
    tier.delete_buried()?;
    let store = store(dir, tier, (lock, faults), Written { checkpoints, damaged });
    Ok((Arc::new(store), Some(Restored { epoch: manifest.epoch, metadata, arrangements, skipped })))
}

/// Opens one checkpoint by way of another folder, reading what of it fits in memory.
pub(super) fn open_checkpoint(
    dir: &Path,
    epoch: Epoch,
    live: &Path,
    faults: &Failpoints,
    budget: &Arc<Budget>,
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
    let tier = Tier::new(open_db(live, budget)?, live, Arc::clone(budget), manifest.next_batch);
    let batches = read_batches(&tier, &manifest).inspect_err(|_| tier.close())?;
    Ok(Opened { tier, manifest, batches })
}

/// Settings for few, large values that are written once: little memory, no log, no stalls, whole blocks.
fn open_db(path: &Path, budget: &Budget) -> Result<DB, StateError> {
    // Of what may be in memory little is RocksDB's.
    let share = |parts: u64, most: u64| (budget.limit() / parts).clamp(256 << 10, most) as usize;
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(share(64, 8 << 20)));
    // Batches are read by key: a table that does not have one is not looked at.
    blocks.set_bloom_filter(10.0, false);
    // Footers with a checksum, so that a flipped bit there is damage and not an address.
    blocks.set_format_version(6);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_atomic_flush(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(share(32, 32 << 20));
    // While a checkpoint waits for one to be on the disk, others are filled.
    options.set_max_write_buffer_number(4);
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

/// A batch that the manifest names.
struct Named {
    name: BatchName,
    entry: BatchEntry,
}

/// The batches that the manifest names. Those that it does not name are to be deleted.
fn read_batches(tier: &Arc<Tier>, manifest: &Manifest) -> Result<HashMap<BatchName, Arc<Batch>>, StateError> {
    let named: Vec<Named> = manifest
        .arrangements
        .iter()
        .flat_map(|list| list.batches.iter().map(|&entry| Named { name: (list.id, entry.id), entry }))
        .collect();
    bury_unnamed(tier, &named.iter().map(|named| named.name).collect())?;
    let mut found = Vec::with_capacity(named.len());
    for Named { name, entry } in named {
        found.push((name, Stored::new(tier, name.0, name.1, read_index(tier, name, entry)?)));
    }
    found.sort_by_key(|(name, stored)| (stored.entries(), *name));
    // What the process takes already is not there for them.
    tier.budget().measure();
    let mut batches = HashMap::with_capacity(found.len());
    for (name, stored) in found {
        let bytes = Columns::bytes_of(stored.entries(), stored.data_len()) as u64;
        let resident = if bytes <= tier.budget().room() / 2 { Some(stored.read_all()?) } else { None };
        if let Some(columns) = &resident {
            columns.count(tier.budget(), Part::Batches);
        }
        batches.insert(name, Arc::new(Batch::stored(stored, resident)));
    }
    Ok(batches)
}

/// The index of a batch, and the file that it is in, if it is in one.
fn read_index(
    tier: &Tier,
    (arrangement, batch): BatchName,
    entry: BatchEntry,
) -> Result<(Index, Option<BatchFile>), StateError> {
    let key = BlockKey { arrangement, batch, block: INDEX };
    let decode = |bytes: &[u8]| {
        let index = decode_index(bytes, key)?;
        let agrees = (index.entries, index.blocks.len(), !index.ends.is_empty())
            == (entry.entries, entry.blocks as usize, entry.file);
        if agrees { Ok(index) } else { Err("the manifest says otherwise".into()) }
    };
    if !entry.file {
        return Ok((tier.read(key, decode)?, None));
    }
    let file = BatchFile::of_checkpoint(tier.path_of(batch));
    let index = tier.read_file(key, || file.read_index(), |bytes| decode(&bytes))?;
    Ok((index, Some(file)))
}

/// Has the batches deleted that are in the database and not named. Only their first keys are looked at.
fn bury_unnamed(tier: &Arc<Tier>, named: &HashSet<BatchName>) -> Result<(), StateError> {
    tier.with_db(|db| {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let mut at = db.raw_iterator_opt(options);
        at.seek_to_first();
        while let Some(key) = at.key() {
            let found = BlockKey::decode(key);
            let key =
                found.ok_or_else(|| StateError::damaged("the database of the state", "it holds a foreign key"))?;
            if !named.contains(&(key.arrangement, key.batch)) {
                tier.bury(Grave { arrangement: key.arrangement, batch: key.batch, blocks: u32::MAX, in_file: false });
            }
            at.seek(BlockKey::batch_range(key.arrangement, key.batch).1.encode());
        }
        at.status().map_err(StateError::rocks("read the database of the state"))
    })
}
