//! What a user is told of a new table whose topic may lose records before they count.

use std::time::Duration;

use api::Keeping;
use plan::TableDef;

use super::Kind;
use crate::verify::kind;

/// Tombstones that are kept for less may be gone before a reader that restarts has read them.
const TOMBSTONES_MS_MIN: i64 = 60_000;

/// The warnings, each with what to do.
pub(crate) fn warnings(def: &TableDef, topic: &str, keeping: Keeping, checkpoints: Duration) -> Vec<String> {
    let mut all = Vec::new();
    let interval_ms = i64::try_from(checkpoints.as_millis()).unwrap_or(i64::MAX);
    if let Some(after_ms) = keeping.expires_after_ms.filter(|after_ms| *after_ms < interval_ms) {
        all.push(format!(
            "records of topic \"{topic}\" may expire after {after_ms} ms, before they are in a checkpoint (every {interval_ms} ms): \
             table {} would lose what it did not read in time; raise retention.ms, or retention.bytes",
            def.name
        ));
    }
    let Some(after_ms) = keeping.compacted_after_ms else { return all };
    if kind(def) == Kind::Records {
        all.push(format!(
            "topic \"{topic}\" is compacted, and every record of table {} counts: of records with the same key only the last may \
             be there when they are read; use envelope = 'upsert', or a topic with cleanup.policy=delete",
            def.name
        ));
        return all;
    }
    if after_ms < interval_ms {
        all.push(format!(
            "records of topic \"{topic}\" may be compacted after {after_ms} ms, before they are in a checkpoint (every {interval_ms} \
             ms): if the machine fails, and not only the process, table {} may have no way back; set \
             min.compaction.lag.ms={interval_ms} or more",
            def.name
        ));
    }
    if keeping.tombstones_ms < TOMBSTONES_MS_MIN {
        let then = match kind(def) {
            Kind::Upsert => "is read whole again at every start",
            _ => "is halted at a start",
        };
        all.push(format!(
            "topic \"{topic}\" keeps tombstones for {} ms: who is away for longer may miss deletes, and table {} {then} then; raise \
             delete.retention.ms",
            keeping.tombstones_ms, def.name
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use plan::{Envelope, Options, SourceDef, StartAt, TableId, TableKind};
    use zset::{Column, ColumnType, Epoch, RowType};

    use super::*;

    fn table(envelope: Envelope) -> TableDef {
        let source = SourceDef {
            connector: "kafka".into(),
            topic: "x".into(),
            more_topics: Vec::new(),
            dlq_topic: "t.dlq".into(),
            envelope,
            start: StartAt::Earliest,
            partitions: 1,
            stored: true,
            own: None,
            include: Vec::new(),
            options: Options::default(),
        };
        TableDef {
            id: TableId(1),
            name: "t".into(),
            columns: RowType(vec![Column::new("id", ColumnType::Int, false)]),
            key: if envelope == Envelope::Append { Vec::new() } else { vec![0] },
            kind: TableKind::Source(source),
            sql: String::new(),
            created: Epoch(0),
        }
    }

    #[test]
    fn what_is_said_of_a_topic() {
        let said = |envelope, keeping| warnings(&table(envelope), "x", keeping, Duration::from_secs(10));
        let plain = |after| Keeping { expires_after_ms: after, ..Keeping::default() };
        assert!(
            said(Envelope::Append, plain(None)).is_empty() && said(Envelope::Append, plain(Some(10_000))).is_empty()
        );
        assert!(said(Envelope::Append, plain(Some(9_999)))[0].contains("raise retention.ms"));
        let compacted =
            |after, kept| Keeping { compacted_after_ms: Some(after), tombstones_ms: kept, expires_after_ms: None };
        assert!(said(Envelope::Upsert, compacted(10_000, 60_000)).is_empty());
        let both = said(Envelope::Upsert, compacted(0, 100));
        assert!(both[0].contains("min.compaction.lag.ms=10000") && both[1].contains("whole again"), "{both:?}");
        assert!(said(Envelope::Debezium, compacted(10_000, 100))[0].contains("is halted"));
        assert!(said(Envelope::Append, compacted(10_000, 100))[0].contains("envelope = 'upsert'"));
    }
}
