//! A sink's topic, read as others read it and put together: what it comes to must be the stream table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::{Log, Record, TopicPartition};
use serde_json::value::RawValue;
use zset::{Offset, Partition};

use super::result::Contents;
use crate::cli::Failure;

const POLL_RECORDS_MAX: usize = 16 * 1024;
/// How long a committed transaction may take to be shown.
const SHOWN_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// What the records so far come to.
#[derive(Default)]
struct Reader {
    contents: Contents,
    /// The row of each record key.
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads a topic until it comes to what it should: a cluster shows a transaction a moment after it is committed.
pub(super) fn read_until(log: &dyn Log, topic: &str, should: &Contents) -> Result<Contents, Failure> {
    let deadline = Instant::now() + SHOWN_MAX;
    loop {
        let contents = read(log, topic)?;
        if contents == *should {
            return Ok(contents);
        }
        if Instant::now() > deadline {
            return Err(Failure::other(format!(
                "topic {topic} comes to {} rows, hash {}, and the stream table has {} rows, hash {}: that is a bug",
                contents.rows, contents.hash, should.rows, should.hash
            )));
        }
    }
}

/// Reads a topic of one partition from its first record to its end.
fn read(log: &dyn Log, topic: &str) -> Result<Contents, Failure> {
    let at = TopicPartition { topic: topic.into(), partition: Partition(0) };
    let mut reader = log.reader(&BTreeMap::new())?;
    reader.assign(&at, Offset(0))?;
    let mut all = Reader::default();
    loop {
        let records = reader.poll(POLL_RECORDS_MAX, POLL)?;
        if records.is_empty() && reader.at_end(&at)? {
            break;
        }
        records.iter().try_for_each(|record| all.take(record))?;
    }
    Ok(all.together())
}

impl Reader {
    /// A record with a key is the row of that key, or that it is gone; one without is a change, or a row more.
    fn take(&mut self, record: &Record) -> Result<(), Failure> {
        match (&record.key, &record.value) {
            (Some(key), Some(row)) => drop(self.rows.insert(key.to_vec(), row.to_vec())),
            (Some(key), None) => drop(self.rows.remove(&key[..])),
            (None, Some(value)) => self.change(value)?,
            (None, None) => {}
        }
        Ok(())
    }

    fn together(mut self) -> Contents {
        for row in self.rows.values() {
            self.contents.add(row, 1);
        }
        self.contents
    }

    fn change(&mut self, value: &[u8]) -> Result<(), Failure> {
        if !value.starts_with(b"{\"before\":") {
            self.contents.add(value, 1);
            return Ok(());
        }
        let cannot = |error| Failure::while_doing("cannot read a record of the sink's topic", error);
        let parts: BTreeMap<String, &RawValue> = serde_json::from_slice(value).map_err(cannot)?;
        for (part, weight) in [("before", -1), ("after", 1)] {
            if let Some(row) = parts.get(part).map(|row| row.get()).filter(|row| *row != "null") {
                self.contents.add(row.as_bytes(), weight);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use zset::TimestampMs;

    use super::*;

    fn together(records: &[(Option<&str>, Option<&str>)]) -> Contents {
        let mut reader = Reader::default();
        for (key, value) in records {
            let at = TopicPartition { topic: "t".into(), partition: Partition(0) };
            let [key, value] = [key, value].map(|part| part.map(|part| part.to_string().into()));
            let record = Record { at, offset: Offset(0), timestamp: TimestampMs(0), key, value, headers: Vec::new() };
            reader.take(&record).unwrap();
        }
        reader.together()
    }

    fn rows(rows: &[&str]) -> Contents {
        let mut contents = Contents::default();
        rows.iter().for_each(|row| contents.add(row.as_bytes(), 1));
        contents
    }

    #[test]
    fn records_come_to_rows() {
        let (one, two) = (r#"{"a":1}"#, r#"{"a":2}"#);
        let newest = [(Some("k"), Some(one)), (Some("k"), Some(two)), (Some("l"), Some(one)), (Some("l"), None)];
        assert_eq!(together(&newest), rows(&[two]));
        assert_eq!(together(&[(None, Some(one)), (None, Some(one))]), rows(&[one, one]));
        let made = r#"{"before":null,"after":{"a":1},"op":"c"}"#;
        let changed = r#"{"before":{"a":1},"after":{"a":2},"op":"u"}"#;
        assert_eq!(together(&[(None, Some(made)), (None, Some(made)), (None, Some(changed))]), rows(&[one, two]));
    }
}
