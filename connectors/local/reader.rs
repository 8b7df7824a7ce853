//! A reader: a position in each of its partitions, and the chunk that is being read there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{LogError, Reader, Record, TopicPartition};
use zset::{Offset, TimestampMs};

use crate::chunk::Chunk;
use crate::shared::{Place, Shared};

/// A poll gives no more bytes than about this, however many records are asked for.
const POLL_BYTES_MAX: usize = 32 << 20;

struct Cursor {
    at: TopicPartition,
    /// The offset of the next record.
    next: i64,
    chunk: Option<Chunk>,
}

/// What a poll has gathered.
struct Gathered {
    records: Vec<Record>,
    bytes: usize,
    max: usize,
}

impl Gathered {
    fn full(&self) -> bool {
        self.records.len() >= self.max || self.bytes >= POLL_BYTES_MAX
    }
}

impl Cursor {
    /// Reads on up to the end of the partition as it was when the poll began.
    fn read(&mut self, shared: &Shared, place: &Place, into: &mut Gathered) -> Result<(), LogError> {
        if self.next >= place.extent.high {
            return Ok(());
        }
        // Whoever drops the records counts down where no reader counts up meanwhile.
        let at = TopicPartition { topic: Arc::from(&*self.at.topic), partition: self.at.partition };
        while self.next < place.extent.high && !into.full() {
            let chunk = match &mut self.chunk {
                Some(chunk) => chunk,
                none => none.insert(find(shared, &self.at, place, self.next)?),
            };
            let stored = chunk.next().map_err(|why| shared.damaged(&self.at, self.next, &why))?;
            let Some(stored) = stored else {
                self.chunk = None;
                continue;
            };
            if stored.offset < self.next {
                continue; // The reader was put in the middle of the chunk.
            }
            if into.records.len() == into.records.capacity() {
                let left = usize::try_from(place.extent.high - self.next).unwrap_or(usize::MAX);
                into.records.reserve(left.min(chunk.left() + 1).min(into.max - into.records.len()));
            }
            into.bytes += stored.key.as_ref().map_or(0, |b| b.len()) + stored.value.as_ref().map_or(0, |b| b.len());
            self.next = stored.offset + 1;
            into.records.push(Record {
                at: at.clone(),
                offset: Offset(stored.offset),
                timestamp: TimestampMs(stored.timestamp),
                key: stored.key,
                value: stored.value,
                headers: stored.headers,
            });
        }
        Ok(())
    }
}

/// The chunk with an offset that the partition held a moment ago.
pub(crate) fn find(shared: &Shared, at: &TopicPartition, place: &Place, offset: i64) -> Result<Chunk, LogError> {
    match shared.chunk(place, offset) {
        Ok(Some(chunk)) => Ok(chunk),
        Ok(None) => {
            // Trimmed meanwhile, or lost.
            shared.state().place(at)?.check(at, offset)?;
            Err(shared.damaged(at, offset, "the record is missing"))
        }
        Err(why) => Err(shared.damaged(at, offset, &why)),
    }
}

/// A reader of the embedded log.
pub(crate) struct LocalReader {
    shared: Arc<Shared>,
    cursors: Vec<Cursor>,
    /// The cursor that is read first: another at each poll, so that a busy partition does not starve the others.
    turn: usize,
}

impl LocalReader {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), cursors: Vec::new(), turn: 0 }
    }

    /// Where all partitions stand at one moment, and that moment: what a commit wrote is in all of them or in none.
    fn places(&self) -> Result<(u64, Vec<Place>), LogError> {
        let state = self.shared.state();
        let mut places = Vec::with_capacity(self.cursors.len());
        for cursor in &self.cursors {
            let place = state.place(&cursor.at)?;
            place.check(&cursor.at, cursor.next)?;
            places.push(place);
        }
        Ok((state.version, places))
    }

    fn gather(&mut self, places: &[Place], max: usize) -> Result<Vec<Record>, LogError> {
        let mut gathered = Gathered { records: Vec::new(), bytes: 0, max };
        let count = self.cursors.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if let Err(e) = self.cursors[index].read(&self.shared, &places[index], &mut gathered) {
                // It may have stopped within a chunk: found anew when the caller polls again.
                self.cursors[index].chunk = None;
                if gathered.records.is_empty() {
                    return Err(e);
                }
                // What was read is not lost with it; the next poll meets the error first.
                self.turn = index;
                return Ok(gathered.records);
            }
            if gathered.full() {
                break;
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        Ok(gathered.records)
    }
}

impl Reader for LocalReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.shared.state().place(at)?.check(at, offset.0)?;
        self.unassign(at)?;
        self.cursors.push(Cursor { at: at.clone(), next: offset.0, chunk: None });
        Ok(())
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        self.cursors.retain(|cursor| cursor.at != *at);
        self.turn = 0;
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now().checked_add(wait);
        loop {
            let (version, places) = self.places()?;
            let records = self.gather(&places, max)?;
            if !records.is_empty() || !self.shared.wait(version, deadline) {
                return Ok(records);
            }
        }
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        let cursor = self.cursors.iter().find(|cursor| cursor.at == *at).ok_or_else(|| {
            LogError::Unusable(format!(
                "topic \"{}\" partition {} is not assigned to this reader",
                at.topic, at.partition
            ))
        })?;
        let place = self.shared.state().place(at)?;
        place.check(at, cursor.next)?;
        Ok(cursor.next == place.extent.high)
    }
}
