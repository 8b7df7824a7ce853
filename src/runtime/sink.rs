//! One sink at work: from a table's delta to records.

use std::io::Write;
use std::sync::Arc;

use api::{OutRecord, TopicPartition};
use bytes::Bytes;
use plan::{SinkConnector, SinkDef, TableDef};
use schemas::{SinkEncoder, SinkEpoch, SinkNames, SinkRecord};
use zset::{Delta, Epoch, Partition, TimestampMs};

use crate::detached::FileSink;
use crate::outbox::{KeyedChanges, Outbox};

/// A sink at work.
pub(crate) struct Sink {
    pub def: SinkDef,
    encoder: SinkEncoder,
    topic: Arc<str>,
    /// Of its topic.
    pub partitions: u32,
    /// How its changes get to where it writes.
    pub way: Way,
    /// Why it gets nothing more.
    pub error: Option<String>,
    /// Records sent since the start.
    pub sent: u64,
}

/// How changes get to where a sink writes.
pub(crate) enum Way {
    /// In the epoch's transaction, to standard output, or nowhere.
    Direct,
    /// By an outbox, after the epoch is committed.
    Outbox(Box<Outbox>),
    /// Into a file, as soon as the epoch is committed.
    File(FileSink),
}

/// What a sink does in an epoch.
pub(crate) enum Output {
    /// Part of the epoch's transaction.
    Records(Vec<OutRecord>),
    /// Printed, or appended to a file, once the epoch is committed.
    Lines(Vec<u8>, u64),
    /// Gathered in the outbox once the epoch is committed.
    Keyed(KeyedChanges),
    /// Counted.
    Count(u64),
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
        let records = self.encoder.encode(delta, &SinkEpoch { epoch, timestamp, snapshot });
        match self.def.connector {
            SinkConnector::Log => Output::Records(records.into_iter().map(|r| self.record(r, timestamp)).collect()),
            SinkConnector::Stdout | SinkConnector::File => {
                let name = (self.def.connector == SinkConnector::Stdout).then_some(self.def.name.as_str());
                let mut lines = Vec::new();
                records.iter().for_each(|record| line(&mut lines, name, record));
                Output::Lines(lines, records.len() as u64)
            }
            SinkConnector::Blackhole => Output::Count(records.len() as u64),
            SinkConnector::Postgres => unreachable!("it has an outbox"),
        }
    }

    fn record(&self, record: SinkRecord, timestamp: TimestampMs) -> OutRecord {
        let partition = Partition(schemas::partition(record.partition_hash, self.partitions) as i32);
        OutRecord {
            to: TopicPartition { topic: Arc::clone(&self.topic), partition },
            timestamp,
            key: record.key.map(Bytes::from),
            value: record.value.map(Bytes::from),
            headers: Vec::new(),
        }
    }
}

/// A record as a line, with the sink's name where several write to one place. Both parts are JSON already.
fn line(lines: &mut Vec<u8>, sink: Option<&str>, record: &SinkRecord) {
    let part = |part: &Option<Vec<u8>>| part.clone().unwrap_or_else(|| b"null".to_vec());
    lines.push(b'{');
    if let Some(sink) = sink {
        lines.extend_from_slice(b"\"sink\":");
        lines.extend(serde_json::to_vec(sink).expect("a name is JSON"));
        lines.push(b',');
    }
    lines.extend_from_slice(b"\"key\":");
    lines.extend(part(&record.key));
    lines.extend_from_slice(b",\"value\":");
    lines.extend(part(&record.value));
    lines.extend_from_slice(b"}\n");
}

/// Prints the lines of a committed epoch. A reader that went away is not the pipeline's trouble.
pub(crate) fn print(lines: &[u8]) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(lines).and_then(|()| out.flush()) {
        tracing::warn!("cannot write to standard output: {error}");
    }
}
