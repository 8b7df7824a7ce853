//! What all handles of one open log share: the database, what the partitions hold, and whose turn it is to write.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use api::{LogError, TopicKind, TopicPartition};
use bytes::Bytes;
use fault::Failpoints;
use rocksdb::{DB, ReadOptions, WriteBatch};
use zset::Offset;

use crate::chunk::Chunk;
use crate::keys::{self, Extent};
use crate::open::{Topics, synced};

/// A topic and what its partitions hold.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub id: u32,
    pub kind: TopicKind,
    pub extents: Vec<Extent>,
}

/// What readers see. Changed only after the database has it, and for a whole commit at once.
pub(crate) struct State {
    pub topics: Topics,
    /// Raised by every change, for those who wait for one.
    pub version: u64,
}

/// Held by whoever writes, so that there is one write at a time.
pub(crate) struct Turn {
    /// Raised by every new writer; an older one is fenced.
    pub generation: u64,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

/// An open log.
pub(crate) struct Shared {
    pub db: DB,
    pub dir: PathBuf,
    pub faults: Failpoints,
    state: Mutex<State>,
    changed: Condvar,
    turn: Mutex<Turn>,
    /// As [`Turn::broken`], for those who do not wait for their turn.
    failed: OnceLock<String>,
}

/// Where a partition's records are, as it was a moment ago.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub id: u32,
    pub partition: u32,
    pub extent: Extent,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one assignment of what the database already holds: a panic leaves nothing half.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(db: DB, dir: PathBuf, topics: Topics, faults: Failpoints) -> Self {
        let state = Mutex::new(State { topics, version: 0 });
        let turn = Mutex::new(Turn { generation: 0, broken: None });
        Self { db, dir, faults, state, changed: Condvar::new(), turn, failed: OnceLock::new() }
    }

    pub(crate) fn name(&self) -> String {
        format!("embedded log {}", self.dir.display())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn turn(&self) -> MutexGuard<'_, Turn> {
        lock(&self.turn)
    }

    /// Why nothing can be written, if so.
    pub(crate) fn broken(&self, turn: &Turn) -> Option<String> {
        turn.broken.as_ref().map(|why| self.closed_by(why))
    }

    /// The same, without waiting for whoever writes.
    pub(crate) fn failed(&self) -> Option<String> {
        self.failed.get().map(|why| self.closed_by(why))
    }

    fn closed_by(&self, why: &str) -> String {
        format!(
            "{} takes no more writes since one failed: {why}; mend that (is the disk full?) and start millstream again",
            self.name()
        )
    }

    /// Writes and syncs a batch. After a failure it is not known whether the batch will be there when the log is opened
    /// again, so that nothing may be written behind it.
    pub(crate) fn write(&self, turn: &mut Turn, batch: WriteBatch) -> Result<(), String> {
        let written = self.faults.reach("log-write").map_err(|fault| fault.to_string()).and_then(|()| {
            self.db.write_opt(batch, &synced()).map_err(|e| e.to_string())?;
            self.faults.reach("log-written").map_err(|fault| fault.to_string())
        });
        written.map_err(|why| {
            let text = format!("writing to {} failed: {why}", self.name());
            let _ = self.failed.set(why.clone());
            turn.broken = Some(why);
            text
        })
    }

    /// Shows what was written to readers, all at once, and wakes them.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Topics)) {
        let mut state = self.state();
        change(&mut state.topics);
        state.version += 1;
        self.changed.notify_all();
    }

    /// Waits until something was published after `version`; false when the time is over.
    pub(crate) fn wait(&self, version: u64, deadline: Option<Instant>) -> bool {
        let mut state = self.state();
        while state.version == version {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
                    else {
                        return false;
                    };
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// The chunk that holds an offset; `None` if there is none.
    pub(crate) fn chunk(&self, place: &Place, offset: i64) -> Result<Option<Chunk>, String> {
        let key = keys::chunk_key(place.id, place.partition, offset);
        // A chunk has a checksum of its own, which knows its key too: one more over the same bytes costs a tenth of reading them.
        let mut unchecked = ReadOptions::default();
        unchecked.set_verify_checksums(false);
        // Read in order, the next chunk begins where the last one ended.
        if let Some(value) = self.db.get_opt(key, &unchecked).map_err(|e| e.to_string())? {
            return Chunk::open(&key, offset, Bytes::from(value)).map(Some);
        }
        let mut found = self.db.raw_iterator();
        found.seek_for_prev(key);
        found.status().map_err(|e| e.to_string())?;
        let (Some(key), Some(value)) = (found.key(), found.value()) else { return Ok(None) };
        let Some(base) = keys::chunk_base(key, place.id, place.partition) else { return Ok(None) };
        let chunk = Chunk::open(key, base, Bytes::copy_from_slice(value))?;
        Ok((offset < chunk.end()).then_some(chunk))
    }

    /// The error for records that cannot be read back.
    pub(crate) fn damaged(&self, at: &TopicPartition, offset: i64, why: &str) -> LogError {
        LogError::Fatal(format!(
            "cannot read topic \"{}\" partition {} at offset {offset} of the {}: {why}; the folder is damaged: restore \
             it from a backup",
            at.topic,
            at.partition,
            self.name()
        ))
    }
}

impl State {
    /// Where a partition is.
    pub(crate) fn place(&self, at: &TopicPartition) -> Result<Place, LogError> {
        let topic = self.topics.get(&at.topic).ok_or_else(|| LogError::NoTopic(at.topic.to_string()))?;
        let partition = u32::try_from(at.partition.0).ok();
        let found = partition.and_then(|p| Some((p, *topic.extents.get(p as usize)?)));
        let (partition, extent) = found.ok_or_else(|| {
            LogError::Unusable(format!(
                "topic \"{}\" has {} partitions, numbered from 0: there is no partition {}",
                at.topic,
                topic.extents.len(),
                at.partition.0
            ))
        })?;
        Ok(Place { id: topic.id, partition, extent })
    }
}

impl Place {
    /// The offset is one of the partition, or its end.
    pub(crate) fn check(&self, at: &TopicPartition, offset: i64) -> Result<(), LogError> {
        let Extent { low, high, .. } = self.extent;
        if (low..=high).contains(&offset) {
            return Ok(());
        }
        Err(LogError::OutOfRange {
            topic: at.topic.to_string(),
            partition: at.partition,
            offset: Offset(offset),
            low: Offset(low),
            high: Offset(high),
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Only a crash should leave records in the write-ahead log alone. Nothing is lost if this fails: they are there.
        if let Err(e) = self.db.flush() {
            tracing::warn!("closing the {}: {e}", self.name());
        }
    }
}
