//! Opening the directory: what RocksDB is told, and what is checked before a topic is served.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use api::LogError;
use rocksdb::{DB, DBCompressionType, DBRecoveryMode, Direction, IteratorMode, Options, WriteOptions};

use crate::keys::{self, Extent, FORMAT, FORMAT_KEY};
use crate::shared::Topic;

/// Values from this size on lie in blob files, which compaction does not copy again and again.
const BLOB_BYTES_MIN: u64 = 4 << 10;

/// Topics by name.
pub(crate) type Topics = BTreeMap<Arc<str>, Topic>;

/// A write that is on disk when it returns.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    // Only an unfinished write at the very end of the write-ahead log is dropped, which no commit has reported. With
    // point-in-time recovery a flipped bit would silently drop every commit behind it, acknowledged or not; here it is
    // an error.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(BLOB_BYTES_MIN);
    options.set_blob_compression_type(DBCompressionType::Lz4);
    options.set_enable_blob_gc(true);
    options.set_write_buffer_size(32 << 20);
    options.set_max_total_wal_size(128 << 20);
    options.set_max_open_files(256);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(4 << 20);
    #[cfg(test)]
    options.enable_statistics();
    options
}

/// Opens the directory, made if missing, and reads its topics.
pub(crate) fn open(dir: &Path) -> Result<(DB, Topics), LogError> {
    make_folder(dir)?;
    refuse_remains(dir)?;
    let db = DB::open(&options(), dir).map_err(|e| open_error(dir, &e))?;
    check_format(&db, dir)?;
    let topics = load_topics(&db, dir)?;
    Ok((db, topics))
}

fn make_folder(dir: &Path) -> Result<(), LogError> {
    let failed = |e: std::io::Error| LogError::Unusable(format!("cannot make the folder {}: {e}", dir.display()));
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(failed)?;
    // The folder's own entry must outlive a power cut too, or the synced commits in it are gone.
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)
}

/// Without CURRENT, RocksDB would begin anew beside the old files: all records gone without a word.
fn refuse_remains(dir: &Path) -> Result<(), LogError> {
    let unreadable = |e| LogError::Unusable(format!("cannot read the folder {}: {e}", dir.display()));
    if dir.join("CURRENT").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "sst" || e == "blob" || e == "log") {
            return Err(LogError::Fatal(format!(
                "the embedded log in {} has records ({}) but its file CURRENT is gone; restore the folder from a backup",
                dir.display(),
                path.display()
            )));
        }
    }
    Ok(())
}

fn open_error(dir: &Path, e: &rocksdb::Error) -> LogError {
    let dir = dir.display();
    if e.as_ref().contains("LOCK") {
        return LogError::Unusable(format!(
            "the embedded log in {dir} is in use by another process, or opened twice in this one; stop the other \
             millstream, or give this one its own --data ({e})"
        ));
    }
    match e.kind() {
        rocksdb::ErrorKind::Corruption => LogError::Fatal(format!(
            "the embedded log in {dir} is damaged, so that what was committed cannot be told: {e}; restore the folder \
             from a backup"
        )),
        _ => LogError::Fatal(format!("cannot open the embedded log in {dir}: {e}")),
    }
}

/// The format's number is there and is ours; it is written into an empty directory.
fn check_format(db: &DB, dir: &Path) -> Result<(), LogError> {
    let failed = |e| open_error(dir, &e);
    let dir = dir.display();
    if let Some(value) = db.get(FORMAT_KEY).map_err(failed)? {
        let format = <[u8; 4]>::try_from(&value[..]).map(u32::from_be_bytes);
        return match format {
            Ok(FORMAT) => Ok(()),
            Ok(newer) if newer > FORMAT => Err(LogError::Unusable(format!(
                "the embedded log in {dir} has format {newer}, and this binary knows formats up to {FORMAT}; run the \
                 newer millstream that wrote it"
            ))),
            _ => Err(LogError::Fatal(format!("the embedded log in {dir} has a broken format number {value:?}"))),
        };
    }
    if let Some(entry) = db.iterator(IteratorMode::Start).next() {
        entry.map_err(failed)?;
        return Err(LogError::Unusable(format!(
            "{dir} is a RocksDB directory, but not an embedded log; give another --data"
        )));
    }
    db.put_opt(FORMAT_KEY, FORMAT.to_be_bytes(), &synced()).map_err(failed)
}

fn load_topics(db: &DB, dir: &Path) -> Result<Topics, LogError> {
    let damaged = |what: String| {
        LogError::Fatal(format!(
            "the embedded log in {} is damaged: {what}; restore the folder from a backup",
            dir.display()
        ))
    };
    let mut topics = Topics::new();
    for entry in db.iterator(IteratorMode::From(&keys::TOPIC_PREFIX, Direction::Forward)) {
        let (key, value) = entry.map_err(|e| open_error(dir, &e))?;
        if !key.starts_with(&keys::TOPIC_PREFIX) {
            break;
        }
        let (name, entry) =
            keys::read_topic(&key, &value).ok_or_else(|| damaged(format!("topic entry {key:?} is {value:?}")))?;
        let mut extents = Vec::with_capacity(entry.partitions as usize);
        for partition in 0..entry.partitions {
            let stored = db.get(keys::extent_key(entry.id, partition)).map_err(|e| open_error(dir, &e))?;
            extents.push(match stored {
                None => Extent::EMPTY,
                Some(value) => keys::read_extent(&value).ok_or_else(|| {
                    damaged(format!("the bounds of topic \"{name}\" partition {partition}: {value:?}"))
                })?,
            });
        }
        topics.insert(name.into(), Topic { id: entry.id, kind: entry.kind, extents });
    }
    Ok(topics)
}
