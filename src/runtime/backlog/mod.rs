//! A backlog: the records of a sink that its topic does not have yet, in their order.
//!
//! ```text
//! refused, or more than an epoch takes ─► waits ──chunk by chunk, named in the records of epochs──► the topic
//! ```
//!
//! A sink that has a backlog writes nothing beside it: the records of an epoch go behind those that wait, and each epoch writes
//! the first of them in its own transaction. So the topic gets every record once, in the order in which they came to be, whatever
//! happens. What waits is told by the epoch records alone (`sinks`, `released`), and is in every checkpoint: replay gathers the same
//! records, and drops those that were written.
//!
//! Only what waits because the topic refuses it is bounded: past the bound the sink gets nothing more.

mod entry;
mod turn;

use std::time::{Duration, Instant};

use plan::{Options, SinkDef, SinkId};
use serde::{Deserialize, Serialize};
use state::{Arrangement, ArrangementId, Law, Snapshot, StateError};
use zset::{Epoch, RowBytes};

pub(crate) use entry::{Entry, decode, encode};

/// The node number under which a sink's backlog is kept.
const BACKLOG_NODE: u32 = u32::MAX - 3;

/// Records that may wait for a topic that refuses them, unless the sink's option says otherwise.
const RECORDS_MAX: u64 = 10_000_000;

/// So many times fewer records are tried after a refusal.
const NARROWER: u64 = 16;

/// Records looked up at once.
const CHUNK: u64 = 4096;

/// A topic that is not there so often is gone.
const MISSED_MAX: u32 = 4;

/// The first pause after a refusal; each further one is twice as long, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Backlog {
    sink: SinkId,
    /// From the number of a record to its bytes.
    arrangement: Arrangement,
    /// The number of the first record, and of the next one to come.
    head: u64,
    tail: u64,
    /// The last epoch of which the topic has all; `None`: none.
    even: Option<Epoch>,
    records_max: u64,
    /// It gets nothing more.
    closed: bool,
    /// How many records all partitions of the topic ever had when it refused one: it never has fewer, unless it is another.
    written: i64,
    /// What was found in it is no record: nothing more is written of it.
    damaged: bool,
    /// How often the topic was not there when it was to be tried again.
    missed: u32,
    retry: Option<Retry>,
    /// So many records are tried at once: less after a refusal, which is of one of them, more after a success.
    width: u64,
    /// The number of the next record when the topic first refused one.
    refused_at: Option<u64>,
}

/// When it is tried again.
struct Retry {
    at: Instant,
    pause: Duration,
}

/// A backlog outside of its arrangement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacklogState {
    head: u64,
    tail: u64,
    even: Option<Epoch>,
    written: i64,
}

fn id(sink: SinkId) -> ArrangementId {
    ArrangementId { owner: sink.0, node: BACKLOG_NODE, slot: 0 }
}

/// Records that may wait: option `outbox_rows_max`, which planning has checked.
fn records_max(options: &Options) -> u64 {
    options.get("outbox_rows_max").and_then(|text| text.parse().ok()).unwrap_or(RECORDS_MAX)
}

fn keys(numbers: std::ops::Range<u64>) -> RowBytes {
    let mut keys = RowBytes::with_capacity((numbers.end - numbers.start) as usize, 0);
    numbers.for_each(|number| keys.push(&number.to_be_bytes()));
    keys
}

impl Backlog {
    /// An empty one.
    pub fn new(def: &SinkDef, make: &mut dyn FnMut(ArrangementId, Law) -> Arrangement) -> Self {
        Self {
            sink: def.id,
            arrangement: make(id(def.id), Law::Replace),
            head: 0,
            tail: 0,
            even: None,
            records_max: records_max(&def.options),
            closed: false,
            written: 0,
            damaged: false,
            missed: 0,
            retry: None,
            width: u64::MAX,
            refused_at: None,
        }
    }

    /// One that gets nothing more.
    pub fn closed(def: &SinkDef, make: &mut dyn FnMut(ArrangementId, Law) -> Arrangement) -> Self {
        Self { closed: true, ..Self::new(def, make) }
    }

    /// That of a checkpoint.
    pub fn restored(
        def: &SinkDef,
        state: &BacklogState,
        take: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Self {
        let BacklogState { head, tail, even, written } = *state;
        Self { head, tail, even, written, ..Self::new(def, take) }
    }

    /// What a checkpoint keeps beside the arrangement, if something waits.
    pub fn state(&self) -> Option<BacklogState> {
        let Self { head, tail, even, written, .. } = *self;
        self.waits().then_some(BacklogState { head, tail, even, written })
    }

    /// The arrangement, as a checkpoint keeps it, if something waits.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.waits().then(|| self.arrangement.committed())
    }

    /// Whether records wait in it.
    pub fn waits(&self) -> bool {
        self.head < self.tail
    }

    /// How many.
    pub fn pending(&self) -> u64 {
        self.tail - self.head
    }

    /// Whether its sink gets nothing more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether more came than may wait for a topic that refuses them. What waited before it refused any does not count.
    fn is_too_long(&self) -> bool {
        self.refused_at.is_some_and(|number| self.tail - number.max(self.head) > self.records_max)
    }

    /// The epoch up to which the topic has everything; `None`: it has not all of the first.
    pub fn frontier(&self, committed: Epoch) -> Option<Epoch> {
        if self.waits() || self.closed { self.even } else { Some(committed) }
    }

    /// Records of a committed epoch go behind those that wait. `even` is the last epoch of which the topic has all, if none
    /// waited.
    pub fn gather(&mut self, entries: &RowBytes, even: Option<Epoch>) {
        if self.closed || entries.is_empty() {
            return;
        }
        if !self.waits() {
            self.even = even;
        }
        let end = self.tail + entries.len() as u64;
        self.arrangement.stage_replace(&keys(self.tail..end), entries, &vec![true; entries.len()]);
        self.arrangement.commit();
        self.tail = end;
    }

    /// The first records: as many as begin within `bytes_max` bytes.
    fn front(&self, records_max: u64, bytes_max: usize) -> Result<RowBytes, StateError> {
        let mut front = RowBytes::default();
        let end = self.tail.min(self.head.saturating_add(records_max));
        let mut next = self.head;
        while next < end && front.data_len() < bytes_max {
            let chunk = next..end.min(next + CHUNK);
            let found = self.arrangement.committed().probe(&keys(chunk.clone()))?;
            for (probe, number) in chunk.clone().enumerate() {
                if found.is_absent(probe) {
                    return Err(StateError::Damaged {
                        what: format!("the backlog of sink {}", self.sink.0),
                        reason: format!("record {number} of {} to {} is not in it", self.head, self.tail),
                    });
                }
                if front.data_len() < bytes_max {
                    front.push(found.rows.row(found.range(probe).start));
                }
            }
            next = chunk.end;
        }
        Ok(front)
    }

    /// So many of the first records are written.
    fn drop_front(&mut self, records: u64) {
        let end = self.head + records.min(self.pending());
        let gone = keys(self.head..end);
        let mut nothing = RowBytes::with_capacity(gone.len(), 0);
        (0..gone.len()).for_each(|_| nothing.push(&[]));
        self.arrangement.stage_replace(&gone, &nothing, &vec![false; gone.len()]);
        self.arrangement.commit();
        self.head = end;
        if !self.waits() {
            self.empty();
        }
    }

    /// Its sink gets nothing more, and what waits is dropped.
    pub fn close(&mut self) {
        self.closed = true;
        self.empty();
    }

    fn empty(&mut self) {
        self.arrangement = self.arrangement.emptied();
        (self.head, self.tail, self.written) = (0, 0, 0);
        self.taken();
        self.width = u64::MAX;
    }

    /// The topic takes records.
    fn taken(&mut self) {
        (self.retry, self.missed, self.refused_at) = (None, 0, None);
        self.width = self.width.saturating_mul(2);
    }

    /// The topic refused a record, and had `written` records then.
    fn refused(&mut self, now: Instant, written: i64) {
        let pause = self.retry.as_ref().map_or(PAUSE_FIRST, |retry| (retry.pause * 2).min(PAUSE_LONGEST));
        self.retry = Some(Retry { at: now + pause, pause });
        self.refused_at.get_or_insert(self.tail);
        self.written = self.written.max(written);
    }

    /// Of so many records one was refused.
    fn narrow(&mut self, tried: u64) {
        self.width = (tried / NARROWER).max(1);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.waits() && !self.damaged && self.retry.as_ref().is_none_or(|retry| retry.at <= now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use plan::{SinkConnector, SinkEnvelope, TableId};

    use super::*;

    fn entries(numbers: std::ops::Range<u32>) -> RowBytes {
        let mut entries = RowBytes::default();
        numbers.for_each(|number| entries.push(format!("entry {number}").as_bytes()));
        entries
    }

    fn front(backlog: &Backlog, records_max: u64, bytes_max: usize) -> Vec<String> {
        let front = backlog.front(records_max, bytes_max).unwrap();
        front.iter().map(|entry| String::from_utf8(entry.to_vec()).unwrap()).collect()
    }

    fn backlog(outbox_rows_max: u64) -> Backlog {
        let option = ("outbox_rows_max".to_string(), outbox_rows_max.to_string());
        let def = SinkDef {
            id: SinkId(3),
            name: "s".into(),
            input: TableId(1),
            connector: SinkConnector::Log,
            topic: "s".into(),
            partitions: 1,
            replication: None,
            envelope: SinkEnvelope::Debezium,
            key: Vec::new(),
            tombstones: true,
            options: Options([option].into()),
            sql: String::new(),
            created: Epoch(1),
        };
        let mut backlog = Backlog::new(&def, &mut Arrangement::new);
        backlog.gather(&entries(0..5), Some(Epoch(7)));
        backlog
    }

    #[test]
    fn records_leave_in_the_order_in_which_they_came() {
        let mut backlog = backlog(9999);
        backlog.gather(&entries(5..5000), Some(Epoch(8)));
        assert_eq!((backlog.pending(), backlog.frontier(Epoch(9))), (5000, Some(Epoch(7))));
        assert_eq!(front(&backlog, 3, 1000), ["entry 0", "entry 1", "entry 2"]);
        backlog.drop_front(3);
        assert_eq!(front(&backlog, 3, 8), ["entry 3", "entry 4"], "two begin within 8 bytes");
        backlog.drop_front(4990);
        assert_eq!(front(&backlog, 9000, 1000).len(), 7);
        backlog.drop_front(7);
        assert!(!backlog.waits() && backlog.state().is_none() && backlog.snapshot().is_none());
        assert_eq!(backlog.frontier(Epoch(9)), Some(Epoch(9)));
        backlog.gather(&entries(0..1), Some(Epoch(9)));
        assert_eq!((front(&backlog, 9, 9), backlog.frontier(Epoch(12))), (vec!["entry 0".to_string()], Some(Epoch(9))));
    }

    #[test]
    fn one_that_is_closed_takes_nothing() {
        let mut backlog = backlog(4);
        assert!(!backlog.is_too_long(), "nothing was refused");
        backlog.refused(Instant::now(), 0);
        backlog.gather(&entries(0..4), None);
        assert!(!backlog.is_too_long(), "four have come since");
        backlog.gather(&entries(0..1), None);
        assert!(backlog.is_too_long());
        backlog.close();
        backlog.gather(&entries(0..1), None);
        assert!(!backlog.waits() && !backlog.is_too_long() && backlog.state().is_none());
        assert_eq!(backlog.frontier(Epoch(9)), Some(Epoch(7)), "it has no more than it had");
    }

    #[test]
    fn fewer_are_tried_after_a_refusal() {
        let mut backlog = backlog(9999);
        backlog.narrow(64);
        assert_eq!(backlog.width, 4);
        backlog.taken();
        assert_eq!(backlog.width, 8);
        backlog.narrow(8);
        assert_eq!(backlog.width, 1, "one at least");
        backlog.drop_front(5);
        assert_eq!(backlog.width, u64::MAX, "nothing waits");
    }

    #[test]
    fn the_pause_grows() {
        let mut backlog = backlog(9999);
        let start = Instant::now();
        assert!(backlog.is_due(start));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            backlog.refused(start, 3);
            pauses.push(backlog.retry.as_ref().unwrap().pause.as_secs());
            assert!(!backlog.is_due(start));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert!(backlog.is_due(start + PAUSE_LONGEST) && backlog.written == 3);
    }
}
