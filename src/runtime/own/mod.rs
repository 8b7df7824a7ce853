//! Tables of our own: changed by SQL alone, kept in a topic that is ours.
//!
//! ```text
//! a statement's rows ─► checked against what is staged ─► records ─► decoded again ─► staged
//! ```
//! What is staged is decoded from the very bytes that go out, by the decoder that a replay uses: live and replay cannot come
//! to different rows. A value that the records do not carry exactly is refused before anything is staged.

mod check;
pub(crate) mod key_text;
mod life;
mod topic;

use std::sync::Arc;

use api::{OutRecord, TopicPartition};
use dataflow::{Contents, LastChange, RowChanges, StatementError};
use plan::{Envelope, Options, SinkEnvelope, SourceDef, TableDef};
use schemas::{Decoder, RawRecord, SinkEncoder, SinkEpoch, SinkNames};
use zset::{Changes, Delta, Op, Partition};

use crate::{EngineError, WriteError};
use check::Net;
pub(crate) use check::{check as check_rows, taken};
pub(crate) use topic::{Retired, name_topic};

/// What turns a table's rows into the records of its topic.
pub(crate) struct Own {
    encoder: SinkEncoder,
    topic: Arc<str>,
    partitions: u32,
    /// When the table was written.
    last: LastChange,
    /// With what is staged.
    staged: LastChange,
}

/// A statement's rows that may be written; nothing of them is staged yet.
pub(crate) struct Checked {
    /// What goes out, in order.
    pub records: Vec<OutRecord>,
    changes: Changes,
    last: LastChange,
}

/// How the records of a table of our own are read back.
pub(crate) fn decoding(def: &TableDef) -> (Envelope, Options) {
    let envelope = if def.key.is_empty() { Envelope::Debezium } else { Envelope::Upsert };
    let options = [
        ("format", "json"),
        ("replica_identity", "full"),
        ("decimal_handling_mode", "string"),
        ("time_precision_mode", "isostring"),
        ("binary_handling_mode", "base64"),
        (schemas::OWN_RECORDS, "true"),
    ];
    (envelope, Options(options.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()))
}

impl Own {
    /// For a table with so many partitions of its topic.
    pub fn new(def: &TableDef, source: &SourceDef, pipeline: &str, partitions: u32) -> Self {
        let names = SinkNames { pipeline: pipeline.to_string(), table: def.name.clone() };
        let envelope = if def.key.is_empty() { SinkEnvelope::Debezium } else { SinkEnvelope::Upsert };
        let encoder = SinkEncoder::new(&def.columns, &def.key, envelope, false, &names);
        let (last, staged) = Default::default();
        Self { encoder, topic: source.topic.as_str().into(), partitions, last, staged }
    }

    /// As this one, of the table as it is now.
    pub fn altered(&self, def: &TableDef, pipeline: &str) -> Self {
        let source = def.source().expect("a table of our own has a topic");
        Self { last: self.last, staged: self.last, ..Self::new(def, source, pipeline, self.partitions) }
    }

    /// When the table was written last, in the epochs that are committed.
    pub fn last(&self) -> LastChange {
        self.last
    }

    /// Makes what is staged so.
    pub fn commit(&mut self) {
        self.last = self.staged;
    }

    /// Makes what is staged never have been.
    pub fn discard(&mut self) {
        self.staged = self.last;
    }

    /// Stages rows that were checked, over nothing that they were not checked against; answers what they change.
    pub fn stage(&mut self, checked: &Checked, contents: &mut Contents) -> Result<Delta, EngineError> {
        let applied = contents.apply_changes(&checked.changes)?;
        assert!(applied.unresolved.is_empty() && applied.missing_retractions == 0, "checked rows apply whole");
        self.staged = checked.last;
        Ok(applied.delta)
    }

    /// Checks a statement's rows against the contents with what is staged.
    pub fn check(
        &self,
        def: &TableDef,
        contents: &Contents,
        decoder: &mut dyn Decoder,
        changes: &RowChanges,
        at: &SinkEpoch,
    ) -> Result<Result<Checked, WriteError>, EngineError> {
        if !def.has_rows_of(&changes.evaluated_on) {
            // It was altered meanwhile: constraints of single rows were judged when they were evaluated.
            return Ok(Err(WriteError::Conflict));
        }
        if self.staged.conflicts(changes) {
            return Ok(Err(WriteError::Conflict));
        }
        let (gone, come) = (contents.look(&changes.gone)?, contents.look(&changes.come)?);
        let violated = contents.violated(&gone.batch, &come.batch)?;
        let net = match check::check(def, gone, come, violated, &changes.arbiters) {
            Ok(net) => net,
            Err(error) => return Ok(Err(error)),
        };
        let records = self.records(&net.delta, at);
        let last = self.staged.with(changes, !records.is_empty(), at.epoch);
        Ok(match read_back(def, contents, decoder, &records, &net) {
            Ok(changes) => Ok(Checked { records, changes, last }),
            Err(error) => Err(EngineError::Statement(error).into()),
        })
    }

    fn records(&self, delta: &Delta, at: &SinkEpoch) -> Vec<OutRecord> {
        let record = |record: schemas::SinkRecord| {
            let partition = Partition(schemas::partition(record.partition_hash, self.partitions) as i32);
            OutRecord {
                to: TopicPartition { topic: Arc::clone(&self.topic), partition },
                timestamp: at.timestamp,
                key: record.key,
                value: record.value,
                headers: Vec::new(),
            }
        };
        self.encoder.encode(delta, at).into_iter().map(record).collect()
    }
}

/// Decodes the records of a statement, and compares what they say with what was meant.
fn read_back(
    def: &TableDef,
    contents: &Contents,
    decoder: &mut dyn Decoder,
    records: &[OutRecord],
    net: &Net,
) -> Result<Changes, StatementError> {
    let raw: Vec<RawRecord<'_>> =
        records.iter().map(|r| RawRecord::new(r.key.as_deref(), r.value.as_deref())).collect();
    let decoded = decoder.decode(&raw);
    // What columns its topic lacks is no news to a table that writes it.
    decoder.warnings();
    let refuse = |why: String| {
        Err(StatementError {
            sqlstate: "22000",
            message: format!("cannot keep a row of table \"{}\": {why}", def.name),
            hint: None,
            detail: None,
            position: None,
            about: None,
        })
    };
    if let Some(dead) = decoded.dead.first() {
        return refuse(dead.reason.clone());
    }
    let (rows, keys) = contents.bytes(&decoded.changes.rows);
    let told = decoded.changes.ops.iter().enumerate().map(|(at, op)| match op {
        Op::Upsert | Op::Insert => (1, rows.row(at)),
        Op::Retract => (-1, rows.row(at)),
        Op::Delete => (-1, keys.row(at)),
        Op::Truncate => (0, &[][..]),
    });
    let mut told: Vec<(i64, &[u8])> = told.collect();
    let mut meant = net.meant();
    told.sort_unstable();
    meant.sort_unstable();
    if told != meant {
        return refuse("its record does not carry its values exactly".to_string());
    }
    Ok(decoded.changes)
}
