//! Dead letters read back: which records of a dead-letter topic are letters of a table, and the records that they were.

use std::time::Duration;

use api::{Headers, LogError, Record, TopicPartition};
use zset::{Epoch, Offset, Partition, TimestampMs};

/// How the names of our headers begin.
const PREFIX: &str = "millstream.error.";
/// How long a poll waits for records.
pub(super) const POLL_WAIT: Duration = Duration::from_millis(50);

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Where it is in the dead-letter topic.
    pub at: TopicPartition,
    /// Its offset there.
    pub offset: Offset,
    /// The record that it was, from where it came.
    pub record: Record,
    /// The epoch that made it.
    pub epoch: Epoch,
    /// The column that was bad, if it was one.
    pub column: Option<String>,
    /// Why it is one.
    pub reason: String,
    /// Whether something of it is missing.
    pub truncated: bool,
}

/// Whose letters are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The pipeline's incarnation: another one may have a table of the same name.
    pub incarnation: &'a str,
    /// The epoch that made the table, or from which its topic is read anew: older letters are of rows that are gone.
    pub created: Epoch,
}

impl Letter {
    /// The letter that a record is; `None`: it is none, or another table's.
    pub fn of(record: Record, of: Of<'_>) -> Option<Self> {
        // A source may be a dead-letter topic itself: what the record came with is before our own.
        let own = record.headers.iter().rposition(|(name, _)| name.strip_prefix(PREFIX) == Some("table"))?;
        let Record { at, offset, key, value, mut headers, .. } = record;
        let ours: Headers = headers.split_off(own);
        let text = |wanted: &str| {
            let (_, value) = ours.iter().find(|(name, _)| name.strip_prefix(PREFIX) == Some(wanted))?;
            std::str::from_utf8(value.as_deref()?).ok()
        };
        let number = |wanted: &str| text(wanted)?.parse::<i64>().ok();
        let epoch = Epoch(text("epoch")?.parse().ok()?);
        let is_its = text("table")? == of.table && text("incarnation")? == of.incarnation && epoch > of.created;
        let source = TopicPartition {
            topic: text("topic")?.into(),
            partition: Partition(i32::try_from(number("partition")?).ok()?),
        };
        let record = Record {
            at: source,
            offset: Offset(number("offset")?),
            timestamp: TimestampMs(number("timestamp")?),
            key,
            value,
            headers,
        };
        is_its.then(|| Self {
            at,
            offset,
            record,
            epoch,
            column: text("column").map(str::to_string),
            reason: text("reason").unwrap_or_default().to_string(),
            truncated: text("truncated").is_some(),
        })
    }
}

/// Waits for a log that does not answer.
pub(super) fn polled(polled: Result<Vec<Record>, LogError>) -> Result<Vec<Record>, LogError> {
    match polled {
        Err(LogError::Retriable(reason)) => {
            tracing::warn!("reading dead letters: {reason}");
            Ok(Vec::new())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::dead_letter::{Cause, dead_letter};

    const OF: Of<'static> = Of { table: "t", incarnation: "i", created: Epoch(3) };

    fn source_record() -> Record {
        Record {
            at: TopicPartition { topic: "s".into(), partition: Partition(2) },
            offset: Offset(7),
            timestamp: TimestampMs(-1),
            key: None,
            value: Some(Bytes::from_static(b"\xff{")),
            headers: vec![
                ("a".into(), Some("b".into())),
                ("millstream.error.table".into(), Some("other".into())),
                ("c".into(), None),
            ],
        }
    }

    fn letter(record: &Record, table: &str, incarnation: &str, epoch: u64) -> Record {
        let cause = Cause { column: Some("x".into()), reason: "because".into() };
        let out = dead_letter(table, "t.dlq", record, cause, (incarnation, Epoch(epoch), TimestampMs(5)));
        let api::OutRecord { to, timestamp, key, value, headers } = out;
        Record { at: to, offset: Offset(11), timestamp, key, value, headers }
    }

    #[test]
    fn a_letter_is_the_record_that_it_was() {
        let read = Letter::of(letter(&source_record(), "t", "i", 4), OF).expect("a letter of t");
        assert_eq!(read.record, source_record(), "headers like ours, a value that is no text, no time");
        assert_eq!((read.offset, read.epoch, read.truncated), (Offset(11), Epoch(4), false));
        assert_eq!((read.column.as_deref(), read.reason.as_str()), (Some("x"), "because"));
        let large = Record { value: Some(vec![b'x'; 2_000_000].into()), ..source_record() };
        assert!(Letter::of(letter(&large, "t", "i", 4), OF).expect("a letter of t").truncated);
    }

    #[test]
    fn letters_of_others_are_not_ours() {
        for (table, incarnation, epoch) in [("u", "i", 4), ("t", "j", 4), ("t", "i", 3)] {
            assert_eq!(Letter::of(letter(&source_record(), table, incarnation, epoch), OF), None);
        }
        assert_eq!(Letter::of(Record { headers: Vec::new(), ..source_record() }, OF), None, "no letter at all");
        assert_eq!(Letter::of(source_record(), OF), None, "it only looks like one");
    }
}
