//! A reader of files: a cursor in each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{LogError, Reader, Record, TopicPartition};
use zset::Offset;

use super::Shared;
use super::cursor::Cursor;

/// A poll gives no more bytes than about this, however many records are asked for.
const POLL_BYTES_MAX: usize = 32 << 20;
/// How long the reader rests before it looks at its files again: longer each time that nothing came.
const REST_FIRST: Duration = Duration::from_millis(5);
const REST_LONGEST: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(super) struct FileReader {
    shared: Arc<Shared>,
    cursors: Vec<Cursor>,
    /// The cursor that is read first: another at each poll, so that a long file does not starve the others.
    turn: usize,
    rest: Duration,
}

impl FileReader {
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), cursors: Vec::new(), turn: 0, rest: REST_FIRST }
    }

    fn gather(&mut self, max: usize) -> Result<Vec<Record>, LogError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let count = self.cursors.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if records.len() >= max || bytes >= POLL_BYTES_MAX {
                break;
            }
            let read = self.cursors[index].read(&self.shared, &mut |record| {
                bytes += record.value.as_ref().map_or(0, bytes::Bytes::len);
                records.push(record);
                records.len() < max && bytes < POLL_BYTES_MAX
            });
            match read {
                Ok(()) => {}
                Err(error) if records.is_empty() => return Err(error),
                // What was read is not lost with it; the next poll meets the error first.
                Err(_) => {
                    self.turn = index;
                    return Ok(records);
                }
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        Ok(records)
    }
}

impl Reader for FileReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        let path = self.shared.path(at.partition)?;
        let bounds = self.shared.bounds(&path)?;
        if offset < bounds.low || offset > bounds.high {
            let (topic, partition) = (path.display().to_string(), at.partition);
            return Err(LogError::OutOfRange { topic, partition, offset, low: bounds.low, high: bounds.high });
        }
        self.unassign(at)?;
        self.cursors.push(Cursor::new(at, path, offset));
        Ok(())
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        self.cursors.retain(|cursor| cursor.at != *at);
        self.turn = 0;
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now().checked_add(wait);
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            let records = self.gather(max)?;
            if !records.is_empty() {
                self.rest = REST_FIRST;
                return Ok(records);
            }
            let left = deadline.map_or(REST_LONGEST, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(records);
            }
            std::thread::sleep(left.min(self.rest));
            self.rest = (self.rest * 2).min(REST_LONGEST);
        }
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        let cursor = self.cursors.iter().find(|cursor| cursor.at == *at).ok_or_else(|| {
            LogError::Unusable(format!("file number {} of {} is not assigned to this reader", at.partition, at.topic))
        })?;
        let bounds = self.shared.bounds(&self.shared.path(at.partition)?)?;
        Ok(cursor.next >= bounds.high.0)
    }
}
