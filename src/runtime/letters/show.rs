//! SHOW DEAD LETTERS: the newest first, as text.

use std::collections::VecDeque;

use api::{LogError, Record};
use bytes::Bytes;
use plan::TableId;
use schemas::text;
use zset::{Offset, TimestampMs};

use super::Letters;
use super::read::{Letter, Of, POLL_WAIT, polled};
use crate::dead_letter::first_chars;
use crate::feed::Feed;
use crate::{Engine, EngineError, Reply};

/// A key or value is shown with no more characters than this.
const SHOWN_CHARS_MAX: usize = 200;
/// So far back letters are looked for, in a topic that other tables' letters fill too.
const LOOKED_AT_MAX: i64 = 1 << 20;

/// A letter as it is shown.
struct Shown {
    letter: Letter,
    key: Option<String>,
    value: Option<String>,
}

impl Engine {
    /// The newest dead letters of a table.
    pub(crate) fn show_dead_letters(&self, id: TableId, limit: usize) -> Result<Reply, EngineError> {
        let table = &self.tables[&id];
        let feed = self.dead_letter_feed(id)?;
        let mut letters = Vec::new();
        for partition in feed.partitions().map_err(EngineError::of_statement)? {
            letters.extend(self.newest(&feed, partition, self.letters_of(table), limit)?);
        }
        letters.sort_by_key(|shown| (shown.letter.epoch, shown.letter.offset));
        letters.reverse();
        letters.truncate(limit);
        let columns = dataflow::DEAD_LETTER_COLUMNS.iter().map(|(name, _)| *name).collect();
        let rows = letters.into_iter().map(|shown| row(shown, &table.letters)).collect();
        Ok(Reply { tag: "SHOW".to_string(), notices: Vec::new(), columns, rows })
    }

    /// The newest letters of a partition: its end is read, and more of it until there are enough.
    fn newest(
        &self,
        feed: &Feed,
        partition: zset::Partition,
        of: Of<'_>,
        limit: usize,
    ) -> Result<VecDeque<Shown>, EngineError> {
        let at = feed.at(partition);
        let bounds = feed.transport.bounds(&at).map_err(EngineError::of_statement)?;
        let mut back = 2 * limit as i64;
        loop {
            let from = Offset((bounds.high.0 - back).max(bounds.low.0));
            let found = match self.read_from(feed, partition, from, of, limit) {
                // The topic was trimmed meanwhile.
                Err(LogError::OutOfRange { .. }) => VecDeque::new(),
                other => other.map_err(EngineError::of_statement)?,
            };
            if found.len() >= limit || from == bounds.low || back >= LOOKED_AT_MAX {
                return Ok(found);
            }
            back *= 8;
        }
    }

    fn read_from(
        &self,
        feed: &Feed,
        partition: zset::Partition,
        from: Offset,
        of: Of<'_>,
        limit: usize,
    ) -> Result<VecDeque<Shown>, LogError> {
        let at = feed.at(partition);
        let mut reader = feed.reader()?;
        reader.assign(&at, from)?;
        let mut found = VecDeque::new();
        while !self.shared.stop_asked() && !reader.at_end(&at)? {
            for record in polled(reader.poll(1000, POLL_WAIT))? {
                let shown = Letter::of(record, of).map(shorten);
                found.extend(shown);
                if found.len() > limit {
                    found.pop_front();
                }
            }
        }
        Ok(found)
    }
}

/// Keeps what is shown of the bytes, so that large letters do not add up.
fn shorten(mut letter: Letter) -> Shown {
    let Record { key, value, headers, .. } = &mut letter.record;
    headers.clear();
    let (key, value) = (key.take().map(words), value.take().map(words));
    Shown { letter, key, value }
}

/// Bytes as text; as PostgreSQL shows bytea where they are none.
fn words(bytes: Bytes) -> String {
    let most = bytes.len().min(4 * SHOWN_CHARS_MAX);
    let text = match std::str::from_utf8(&bytes[..most]) {
        Ok(text) => Some(text),
        // A character may be cut in two where we cut.
        Err(error) if error.error_len().is_none() && most < bytes.len() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let text = text.filter(|text| !text.contains('\0')).map(str::to_string).unwrap_or_else(|| {
        bytes.iter().take(SHOWN_CHARS_MAX).fold("\\x".to_string(), |text, byte| format!("{text}{byte:02x}"))
    });
    let whole = most == bytes.len() && text.chars().count() <= SHOWN_CHARS_MAX;
    if whole { text } else { format!("{} ({} bytes)", first_chars(text, SHOWN_CHARS_MAX), bytes.len()) }
}

fn row(shown: Shown, letters: &Letters) -> Vec<Option<String>> {
    let Shown { letter, key, value } = shown;
    let Letter { at, offset, record, column, reason, truncated, .. } = letter;
    let replayed = letters.replayed.get(&at.partition).is_some_and(|end| offset < *end);
    let status = match (truncated, replayed) {
        (true, _) => "truncated",
        (false, true) => "replayed",
        (false, false) => "waiting",
    };
    vec![
        Some(at.partition.to_string()),
        Some(offset.to_string()),
        Some(record.at.topic.to_string()),
        Some(record.at.partition.to_string()),
        Some(record.offset.to_string()),
        time(record.timestamp),
        column,
        Some(reason),
        key,
        value,
        Some(status.to_string()),
    ]
}

/// A record's time, if it has one.
fn time(TimestampMs(millis): TimestampMs) -> Option<String> {
    let micros = Some(millis).filter(|millis| *millis >= 0)?.checked_mul(1000)?;
    let mut out = Vec::new();
    text::write_timestamp(text::check_timestamp(i128::from(micros)).ok()?, true, &mut out);
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_and_not_too_much_of_them() {
        let shown = |bytes: &[u8]| words(Bytes::copy_from_slice(bytes));
        assert_eq!(shown(b"{\"a\":1}"), "{\"a\":1}");
        assert_eq!(shown(b""), "");
        assert_eq!(shown(b"\xff\x00a"), "\\xff0061");
        assert_eq!(shown(b"a\0b"), "\\x610062", "no text of PostgreSQL has the character 0");
        let long = "ä".repeat(1_000_000);
        assert_eq!(shown(long.as_bytes()), format!("{}… (2000000 bytes)", "ä".repeat(200)));
        let odd = format!("a{long}");
        assert_eq!(shown(odd.as_bytes()), format!("a{}… (2000001 bytes)", "ä".repeat(199)), "cut within a character");
        assert!(shown(&[0xff; 5000]).ends_with("… (5000 bytes)"));
    }

    #[test]
    fn times_are_shown_as_they_are_sent() {
        assert_eq!(time(TimestampMs(1_600_000_000_123)).as_deref(), Some("2020-09-13T12:26:40.123000Z"));
        assert_eq!(time(TimestampMs(-1)), None);
        assert_eq!(time(TimestampMs(i64::MAX)), None);
    }
}
