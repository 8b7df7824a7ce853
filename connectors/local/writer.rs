//! Writing records: staged into chunks of one batch, synced, then shown to readers.

use std::collections::HashMap;
use std::sync::Arc;

use api::{CommitError, LogError, OutRecord, TopicPartition, Writer};
use rocksdb::WriteBatch;
use zset::Offset;

use crate::chunk::ChunkBuilder;
use crate::keys;
use crate::shared::{Place, Shared};

/// A record of more bytes (key, value and headers) is refused.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

/// A chunk that has grown to this is closed.
const CHUNK_BYTES: usize = 1 << 20;

/// Why records were not written.
pub(crate) enum NotWritten {
    /// One of them cannot be: the partition does not exist, or it is too large. Nothing was written.
    Refused { index: usize, topic: String, reason: Reason },
    /// A newer writer is there. Nothing was written.
    Fenced,
    /// Nothing was written, and it may be tried again.
    Aborted(String),
    /// Written or not.
    InDoubt(String),
}

/// What is wrong with a record.
pub(crate) enum Reason {
    NoSuchPlace(LogError),
    TooLarge(String),
}

/// The chunks of one partition.
struct Run {
    at: TopicPartition,
    place: Place,
    /// The first offset of the open chunk.
    base: i64,
    chunk: ChunkBuilder,
}

/// A batch being filled; dropped, it leaves nothing behind.
struct Staged<'a> {
    shared: &'a Shared,
    batch: WriteBatch,
    runs: Vec<Run>,
    by_partition: HashMap<TopicPartition, usize>,
}

impl Staged<'_> {
    fn run(&mut self, at: &TopicPartition, last: usize) -> Result<usize, LogError> {
        if self.runs.get(last).is_some_and(|run| run.at == *at) {
            return Ok(last);
        }
        if let Some(found) = self.by_partition.get(at) {
            return Ok(*found);
        }
        // Nobody else writes: what the partition holds cannot change until this is published.
        let place = self.shared.state().place(at)?;
        let chunk = ChunkBuilder::new(place.extent.latest);
        self.by_partition.insert(at.clone(), self.runs.len());
        self.runs.push(Run { at: at.clone(), base: place.extent.high, place, chunk });
        Ok(self.runs.len() - 1)
    }

    /// Adds records, behind those that are staged already.
    fn stage(&mut self, records: &[OutRecord], offsets: &mut Vec<Offset>) -> Result<(), NotWritten> {
        offsets.reserve(records.len());
        let mut last = 0;
        for record in records {
            let index = offsets.len();
            let refused = |reason| {
                let topic = record.to.topic.to_string();
                NotWritten::Refused { index, topic, reason }
            };
            let bytes = size(record);
            if bytes > MAX_RECORD_BYTES {
                let why = format!("{bytes} bytes are more than the {MAX_RECORD_BYTES} a record may have");
                return Err(refused(Reason::TooLarge(why)));
            }
            last = self.run(&record.to, last).map_err(|e| refused(Reason::NoSuchPlace(e)))?;
            let run = &mut self.runs[last];
            if run.chunk.count() > 0 && run.chunk.bytes() + bytes > CHUNK_BYTES {
                run.close(&mut self.batch);
            }
            offsets.push(Offset(run.base + i64::from(run.chunk.count())));
            run.chunk.push(record);
        }
        Ok(())
    }

    /// Ends all chunks. What is to be written, and what the partitions hold then.
    fn finish(mut self) -> (WriteBatch, Vec<Run>) {
        for run in &mut self.runs {
            if run.chunk.count() > 0 {
                run.close(&mut self.batch);
            }
            self.batch.put(keys::extent_key(run.place.id, run.place.partition), keys::extent_value(&run.place.extent));
        }
        (self.batch, self.runs)
    }
}

impl Run {
    /// Puts the open chunk into the batch and begins another.
    fn close(&mut self, batch: &mut WriteBatch) {
        let next = ChunkBuilder::new(self.chunk.latest());
        let chunk = std::mem::replace(&mut self.chunk, next);
        let key = keys::chunk_key(self.place.id, self.place.partition, self.base);
        self.base += i64::from(chunk.count());
        self.place.extent.high = self.base;
        self.place.extent.latest = chunk.latest();
        batch.put(key, chunk.finish(&key));
    }
}

fn size(record: &OutRecord) -> usize {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len());
    let headers = record.headers.iter().map(|(name, value)| name.len() + len(value));
    len(&record.key) + len(&record.value) + headers.sum::<usize>()
}

/// What follows the first records of a commit, once their offsets are known.
type Rest<'a> = &'a mut dyn FnMut(&[Offset]) -> Vec<OutRecord>;

/// Writes all records or none, for the writer of a generation, or for none. Nobody else writes while `rest` is asked, so
/// that the offsets it is given are those that the first records will have.
pub(crate) fn write(
    shared: &Shared,
    first: &[OutRecord],
    rest: Rest<'_>,
    generation: Option<u64>,
) -> Result<Vec<Offset>, NotWritten> {
    let mut turn = shared.turn();
    if generation.is_some_and(|generation| generation != turn.generation) {
        return Err(NotWritten::Fenced);
    }
    if let Some(why) = shared.broken(&turn) {
        return Err(NotWritten::InDoubt(why));
    }
    let (batch, runs, by_partition) = (WriteBatch::default(), Vec::new(), HashMap::new());
    let mut staged = Staged { shared, batch, runs, by_partition };
    let mut offsets = Vec::new();
    staged.stage(first, &mut offsets)?;
    let rest = rest(&offsets);
    staged.stage(&rest, &mut offsets)?;
    if offsets.is_empty() {
        return Ok(offsets);
    }
    let (batch, runs) = staged.finish();
    if generation.is_some() {
        shared.faults.reach("commit-abort").map_err(|fault| NotWritten::Aborted(fault.to_string()))?;
    }
    shared.write(&mut turn, batch).map_err(NotWritten::InDoubt)?;
    shared.publish(|topics| {
        for run in &runs {
            if let Some(topic) = topics.get_mut(&run.at.topic) {
                topic.extents[run.place.partition as usize] = run.place.extent;
            }
        }
    });
    if generation.is_some() {
        shared.faults.reach("commit-doubt").map_err(|fault| NotWritten::InDoubt(fault.to_string()))?;
    }
    Ok(offsets)
}

/// The writer of a generation.
pub(crate) struct LocalWriter {
    shared: Arc<Shared>,
    generation: u64,
}

impl LocalWriter {
    /// A writer that fences all before it. Whoever is writing is waited for: there is one turn.
    pub(crate) fn open(shared: &Arc<Shared>) -> Result<Self, LogError> {
        let mut turn = shared.turn();
        if let Some(why) = shared.broken(&turn) {
            return Err(LogError::Fatal(why));
        }
        turn.generation += 1;
        Ok(Self { shared: Arc::clone(shared), generation: turn.generation })
    }
}

impl Writer for LocalWriter {
    fn commit(
        &mut self,
        first: &[OutRecord],
        rest: &mut dyn FnMut(&[Offset]) -> Vec<OutRecord>,
    ) -> Result<Vec<Offset>, CommitError> {
        write(&self.shared, first, rest, Some(self.generation)).map_err(|e| match e {
            NotWritten::Refused { index, topic, reason } => {
                let reason = match reason {
                    Reason::NoSuchPlace(e) => e.to_string(),
                    Reason::TooLarge(why) => why,
                };
                CommitError::Refused { index, topic, reason }
            }
            NotWritten::Fenced => CommitError::Fenced(format!("a newer writer of the {}", self.shared.name())),
            NotWritten::Aborted(why) => CommitError::Aborted(why),
            NotWritten::InDoubt(why) => CommitError::InDoubt(why),
        })
    }
}

/// Appends outside of any writer.
pub(crate) fn append(shared: &Shared, records: &[OutRecord]) -> Result<Vec<Offset>, LogError> {
    write(shared, records, &mut |_| Vec::new(), None).map_err(|e| match e {
        NotWritten::Refused { reason: Reason::NoSuchPlace(e), .. } => e,
        NotWritten::Refused { index, topic, reason: Reason::TooLarge(reason) } => {
            LogError::Refused { index, topic, reason }
        }
        NotWritten::Fenced => LogError::Fenced(shared.name()),
        NotWritten::Aborted(why) | NotWritten::InDoubt(why) => LogError::Fatal(why),
    })
}
