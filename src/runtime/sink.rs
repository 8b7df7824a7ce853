//! One sink at work: from a table's delta to records.

use std::io::Write;
use std::sync::Arc;

use api::{OutRecord, TopicPartition};
use bytes::Bytes;
use plan::{SinkConnector, SinkDef, TableDef};
use schemas::{SinkEncoder, SinkEpoch, SinkNames, SinkRecord};
use zset::{Delta, Epoch, Partition, TimestampMs};

/// A sink at work.
pub(crate) struct Sink {
    pub def: SinkDef,
    encoder: SinkEncoder,
    topic: Arc<str>,
    /// Of its topic.
    partitions: u32,
    /// Why it was detached.
    pub error: Option<String>,
    /// Records sent since the start.
    pub sent: u64,
}

/// What a sink does in an epoch.
pub(crate) enum Output {
    /// Part of the epoch's transaction.
    Records(Vec<OutRecord>),
    /// Printed once the epoch is committed.
    Lines(Vec<u8>, u64),
    /// Counted.
    Count(u64),
}

impl Sink {
    /// A sink of a table; `partitions` is the number its topic has.
    pub fn new(def: SinkDef, table: &TableDef, pipeline: &str, partitions: u32) -> Self {
        let names = SinkNames { pipeline: pipeline.to_string(), table: table.name.clone() };
        let encoder = SinkEncoder::new(&table.columns, &def.key, def.envelope, def.tombstones, &names);
        let topic = Arc::from(def.topic.as_str());
        Self { def, encoder, topic, partitions, error: None, sent: 0 }
    }

    /// What the sink makes of a consolidated delta of its table.
    pub fn encode(&self, delta: &Delta, epoch: Epoch, timestamp: TimestampMs, snapshot: bool) -> Output {
        let records = self.encoder.encode(delta, &SinkEpoch { epoch, timestamp, snapshot });
        match self.def.connector {
            SinkConnector::Log => Output::Records(records.into_iter().map(|r| self.record(r, timestamp)).collect()),
            SinkConnector::Stdout => {
                let mut lines = Vec::new();
                records.iter().for_each(|record| line(&mut lines, &self.def.name, record));
                Output::Lines(lines, records.len() as u64)
            }
            SinkConnector::Blackhole => Output::Count(records.len() as u64),
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

/// A record as a line: both parts are JSON already.
fn line(lines: &mut Vec<u8>, sink: &str, record: &SinkRecord) {
    let part = |part: &Option<Vec<u8>>| part.clone().unwrap_or_else(|| b"null".to_vec());
    lines.extend_from_slice(b"{\"sink\":");
    lines.extend(serde_json::to_vec(sink).expect("a name is JSON"));
    lines.extend_from_slice(b",\"key\":");
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
