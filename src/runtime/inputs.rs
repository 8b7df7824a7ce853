//! Records read again: those of a range must be what they were.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use api::{LogError, Reader, Record, TopicPartition};
use plan::{InputRange, TableId};
use zset::{Offset, Partition};

use crate::feed::Feed;
use crate::{EngineConfig, EngineError, Shared, range};

/// What can be done where they are not.
pub(crate) const WAYS_OUT: &str = "replay cannot be exact. If the topic can be brought back as it was, do that and start again; else \
    start anew with another --data folder and --pipeline name, which reads the topics as they are now";

/// How long a committed record may not be shown: a broker that was killed finishes its transactions when it is back.
pub(crate) const HIDDEN_MAX: Duration = Duration::from_secs(30);
/// How soon it is asked for again.
pub(crate) const HIDDEN_AGAIN: Duration = Duration::from_millis(100);

/// The first record at or after an offset; `None` if there is none.
pub(crate) fn first_from(
    reader: &mut dyn Reader,
    at: &TopicPartition,
    offset: Offset,
    shared: &Shared,
) -> Result<Option<Record>, EngineError> {
    reader.assign(at, offset)?;
    let found = loop {
        shared.go_on()?;
        let records = poll(reader)?;
        if let Some(record) = records.into_iter().find(|record| record.at == *at) {
            break Some(record);
        }
        if reader.at_end(at)? {
            break None;
        }
    };
    reader.unassign(at)?;
    Ok(found)
}

fn poll(reader: &mut dyn Reader) -> Result<Vec<Record>, LogError> {
    match reader.poll(10_000, Duration::from_millis(50)) {
        Err(LogError::Retriable(reason)) => {
            tracing::warn!("replay waits: {reason}");
            Ok(Vec::new())
        }
        polled => polled,
    }
}

/// The sources' partitions during replay, each read once from its first range on.
#[derive(Default)]
pub(crate) struct Inputs {
    /// What lies behind the end of a partition may only be hidden.
    is_patient: bool,
    /// Until when it is waited for, from the first time on.
    until: Option<Instant>,
    tables: BTreeMap<TableId, Input>,
    /// Bytes that only the topics had.
    pub unwritten: BTreeMap<TableId, BTreeMap<Partition, u64>>,
}

struct Input {
    feed: Feed,
    reader: Box<dyn Reader>,
    waiting: BTreeMap<Partition, VecDeque<Record>>,
}

impl Inputs {
    /// Of the log that is configured: Kafka's records may be hidden for a while.
    pub fn new(config: &EngineConfig) -> Self {
        Self { is_patient: config.brokers.is_some(), ..Self::default() }
    }

    /// A table is read from elsewhere from now on.
    pub fn forget(&mut self, table: TableId) {
        self.tables.remove(&table);
    }

    /// The records of a range, which must be what they were. What its table reads is asked once.
    pub fn read(
        &mut self,
        range: &InputRange,
        shared: &Shared,
        feed: impl FnOnce() -> Result<Feed, EngineError>,
    ) -> Result<Vec<Record>, EngineError> {
        let Input { feed, reader, waiting } = match self.tables.entry(range.table) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let feed = feed()?;
                entry.insert(Input { reader: feed.reader()?, feed, waiting: BTreeMap::new() })
            }
        };
        let name = || {
            let (start, end) = (range.range.start, range.range.end);
            format!("{} offsets {start} to {end}", feed.transport.place(&feed.at(range.partition)))
        };
        let failed =
            |error: LogError| EngineError::Recovery(format!("cannot read {} again: {error}; {WAYS_OUT}", name()));
        let at = feed.at(range.partition);
        if let Entry::Vacant(entry) = waiting.entry(range.partition) {
            reader.assign(&at, range.range.start).map_err(failed)?;
            entry.insert(VecDeque::new());
        }
        let (mut records, mut asked_again) = (Vec::new(), false);
        loop {
            let queue = waiting.entry(range.partition).or_default();
            // What others put between our records of a topic of our own was not read.
            while queue.front().is_some_and(|record| record.offset < range.range.start) {
                queue.pop_front();
            }
            while queue.front().is_some_and(|record| record.offset < range.range.end) {
                records.extend(queue.pop_front());
            }
            let whole = records.last().is_some_and(|record| record.offset.0 + 1 == range.range.end.0);
            if whole || !queue.is_empty() {
                break;
            }
            shared.go_on()?;
            let more = poll(&mut **reader).map_err(failed)?;
            let none = more.is_empty();
            for record in more {
                waiting.entry(record.at.partition).or_default().push_back(record);
            }
            if none && reader.at_end(&at).map_err(failed)? {
                if !self.is_patient {
                    break;
                }
                // All of it was committed: where the partition ends before it, its end is not the last word.
                let high = feed.transport.bounds(&at).map_err(failed)?.high;
                let until = *self.until.get_or_insert_with(|| Instant::now() + HIDDEN_MAX);
                if (asked_again && high >= range.range.end) || Instant::now() > until {
                    break;
                }
                if !std::mem::replace(&mut asked_again, true) {
                    tracing::warn!("{} is not there yet: the partition ends at {high}; it is asked for again", name());
                }
                if high < range.range.end {
                    std::thread::sleep(HIDDEN_AGAIN);
                }
                let next = records.last().map_or(range.range.start, |last: &Record| Offset(last.offset.0 + 1));
                reader.assign(&at, next).map_err(failed)?;
            }
        }
        let starts = [(range.partition, range.range.start)].into();
        let found = range::ranges(range.table, &records, &starts);
        let (count, hash) = found.first().map_or((0, String::new()), |found| (found.count, found.hash.clone()));
        if count != range.count || hash != range.hash {
            return Err(EngineError::Recovery(format!(
                "{} is not what it was: {count} records with hash {hash}, and it was {} with hash {}; it was compacted, \
                 expired or made anew; {WAYS_OUT}",
                name(),
                range.count,
                range.hash
            )));
        }
        Ok(records)
    }
}
