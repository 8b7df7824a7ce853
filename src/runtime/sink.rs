//! One sink at work: from a table's delta to records.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use api::{OutRecord, TopicPartition};
use plan::{SinkConnector, SinkDef, TableDef};
use schemas::{SinkEncoder, SinkEpoch, SinkNames, SinkRecord};
use zset::{Delta, Epoch, Partition, RowBytes, RowCodec, TimestampMs, consolidate};

use crate::backlog::{self, Backlog};
use crate::detached::FileSink;
use crate::outbox::{KeyedChanges, Outbox};

/// A worker encodes no fewer rows at a time.
const ROWS_MIN: usize = 2048;

/// A sink at work.
pub(crate) struct Sink {
    pub def: SinkDef,
    encoder: SinkEncoder,
    topic: Arc<str>,
    /// Of its topic.
    pub partitions: u32,
    /// How its changes get to where it writes.
    pub way: Way,
    /// Why it gets nothing more; with a backlog, why its topic does not take it.
    pub error: Option<String>,
    /// Records sent since the start.
    pub sent: u64,
}

/// How changes get to where a sink writes.
pub(crate) enum Way {
    /// To standard output, or nowhere.
    Direct,
    /// In the epoch's transaction, or, while something waits, by its backlog.
    Topic(Box<Backlog>),
    /// By an outbox, after the epoch is committed.
    Outbox(Box<Outbox>),
    /// Into a file, as soon as the epoch is committed.
    File(FileSink),
}

/// What a sink does in an epoch.
pub(crate) enum Output {
    /// Part of the epoch's transaction.
    Records(Vec<OutRecord>),
    /// Part of it too: the first records of the backlog.
    Released(Vec<OutRecord>),
    /// Put into the backlog once the epoch is committed.
    Waits(RowBytes),
    /// Printed, or appended to a file, once the epoch is committed.
    Lines(Vec<u8>, u64),
    /// Gathered in the outbox once the epoch is committed.
    Keyed(KeyedChanges),
    /// Counted: rows that came and went.
    Count(u64),
}

impl Output {
    /// Those of its records that are in the epoch's transaction.
    pub fn in_transaction(&self) -> &[OutRecord] {
        match self {
            Self::Records(records) | Self::Released(records) => records,
            Self::Waits(_) | Self::Lines(..) | Self::Keyed(_) | Self::Count(_) => &[],
        }
    }
}

impl Sink {
    /// A sink of a table; `partitions` is the number its topic has.
    pub fn new(def: SinkDef, table: &TableDef, pipeline: &str, partitions: u32, way: Way) -> Self {
        let names = SinkNames { pipeline: pipeline.to_string(), table: table.name.clone() };
        let encoder = SinkEncoder::new(&table.columns, &def.key, def.envelope, def.tombstones, &names);
        let topic = Arc::from(def.topic.as_str());
        Self { def, encoder, topic, partitions, way, error: None, sent: 0 }
    }

    /// From now on its records have the columns that the table has now.
    pub fn altered(&mut self, table: &TableDef, pipeline: &str) {
        let names = SinkNames { pipeline: pipeline.to_string(), table: table.name.clone() };
        self.encoder = SinkEncoder::new(&table.columns, &self.def.key, self.def.envelope, self.def.tombstones, &names);
    }

    /// What the sink makes of a consolidated delta of its table.
    pub fn encode(&self, delta: &Delta, epoch: Epoch, timestamp: TimestampMs, snapshot: bool) -> Output {
        if let Way::Outbox(outbox) = &self.way {
            return Output::Keyed(outbox.changes(delta));
        }
        if self.def.connector == SinkConnector::Blackhole {
            return Output::Count(delta.weights().values().iter().map(|weight| weight.unsigned_abs()).sum());
        }
        let at = SinkEpoch { epoch, timestamp, snapshot };
        if self.backlog().is_some_and(Backlog::waits) {
            return self.waits(delta, &at);
        }
        let records = self.records(delta, &at);
        match self.def.connector {
            SinkConnector::Log => Output::Records(records.into_iter().map(|r| self.record(r, timestamp)).collect()),
            SinkConnector::Stdout | SinkConnector::File => {
                let name = (self.def.connector == SinkConnector::Stdout).then_some(self.def.name.as_str());
                let mut lines = Vec::new();
                records.iter().for_each(|record| line(&mut lines, name, record));
                Output::Lines(lines, records.len() as u64)
            }
            SinkConnector::Blackhole | SinkConnector::Postgres => unreachable!("no records are made for it"),
        }
    }

    /// The records of a consolidated delta.
    pub fn records(&self, delta: &Delta, at: &SinkEpoch) -> Vec<SinkRecord> {
        let encoder = &self.encoder;
        let encode = |rows: Range<usize>| encoder.encode(&delta.slice(rows), at);
        match self.def.key.is_empty() {
            // Without a key each row is for itself.
            true => workers::map_pieces(delta.len(), ROWS_MIN, encode).into_iter().flatten().collect(),
            false => encoder.encode(delta, at),
        }
    }

    /// The same, as a backlog keeps them.
    pub fn entries(&self, delta: &Delta, at: &SinkEpoch) -> RowBytes {
        let mut entries = RowBytes::default();
        self.records(delta, at).iter().for_each(|record| entries.push(&backlog::encode(record, at.timestamp)));
        entries
    }

    /// The records of a delta that are to wait, in the order of its rows: replay comes to the same Z-set, in whatever order.
    pub fn waits(&self, delta: &Delta, at: &SinkEpoch) -> Output {
        let sorted = consolidate(delta, &RowCodec::new(delta.schema()));
        Output::Waits(self.entries(&sorted, at))
    }

    /// The backlog of a sink that has a topic.
    pub fn backlog(&self) -> Option<&Backlog> {
        match &self.way {
            Way::Topic(backlog) => Some(backlog),
            Way::Direct | Way::Outbox(_) | Way::File(_) => None,
        }
    }

    /// Whether it has a backlog that its topic takes.
    pub fn releases(&self) -> bool {
        self.error.is_none() && self.backlog().is_some_and(Backlog::waits)
    }

    /// Whether it gets nothing more.
    pub fn is_out(&self) -> bool {
        self.backlog().map_or(self.error.is_some(), Backlog::is_closed)
    }

    /// A record for its topic.
    pub fn record(&self, record: SinkRecord, timestamp: TimestampMs) -> OutRecord {
        let SinkRecord { key, value, partition_hash } = record;
        self.placed(backlog::Entry { timestamp, partition_hash, key, value })
    }

    /// A record for its topic that was kept; `None`: it is damaged.
    pub fn kept_record(&self, bytes: &[u8]) -> Option<OutRecord> {
        backlog::decode(bytes).map(|entry| self.placed(entry))
    }

    fn placed(&self, entry: backlog::Entry) -> OutRecord {
        let backlog::Entry { timestamp, partition_hash, key, value } = entry;
        let partition = Partition(schemas::partition(partition_hash, self.partitions) as i32);
        let to = TopicPartition { topic: Arc::clone(&self.topic), partition };
        OutRecord { to, timestamp, key, value, headers: Vec::new() }
    }
}

/// A record as a line, with the sink's name where several write to one place. Both parts are JSON already.
fn line(lines: &mut Vec<u8>, sink: Option<&str>, record: &SinkRecord) {
    lines.push(b'{');
    if let Some(sink) = sink {
        lines.extend_from_slice(b"\"sink\":");
        lines.extend(serde_json::to_vec(sink).expect("a name is JSON"));
        lines.push(b',');
    }
    lines.extend_from_slice(b"\"key\":");
    lines.extend_from_slice(record.key.as_deref().unwrap_or(b"null"));
    lines.extend_from_slice(b",\"value\":");
    lines.extend_from_slice(record.value.as_deref().unwrap_or(b"null"));
    lines.extend_from_slice(b"}\n");
}

/// Prints the lines of a committed epoch. A reader that went away is not the pipeline's trouble.
pub(crate) fn print(lines: &[u8]) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(lines).and_then(|()| out.flush()) {
        tracing::warn!("cannot write to standard output: {error}");
    }
}
