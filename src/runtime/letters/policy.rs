//! What becomes of bad records: dead letters, all of them or so many in a minute, or the source stops before the first.
//!
//! The minute is that of epochs' timestamps, which are in their records. Where a source stops is in the record too, as the
//! end of its ranges: replay obeys, and decides nothing.

use std::collections::BTreeMap;

use api::Record;
use plan::SourceDef;
use serde::{Deserialize, Serialize};
use zset::{Offset, Partition, TimestampMs};

/// The minute of a ceiling begins with its first dead letter.
const MINUTE_MS: i64 = 60_000;

/// How many dead letters a source may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// `on_error = 'dead_letter'`.
    Any,
    /// `max_dead_letters_per_minute`.
    PerMinute(u64),
    /// `on_error = 'stop'`.
    Stop,
}

impl Policy {
    /// As the options say, which were checked when the table was planned.
    pub fn of(source: &SourceDef) -> Self {
        let ceiling = source.options.get("max_dead_letters_per_minute").and_then(|n| n.parse().ok());
        match (source.options.get("on_error"), ceiling) {
            (Some("stop"), _) => Self::Stop,
            (_, Some(ceiling)) => Self::PerMinute(ceiling),
            (_, None) => Self::Any,
        }
    }

    /// How many more it may make; `None`: any number.
    pub fn room(self, minute: Minute, now: TimestampMs) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Stop => Some(0),
            Self::PerMinute(ceiling) => Some(ceiling.saturating_sub(minute.at(now).letters)),
        }
    }
}

/// The dead letters of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Minute {
    began: TimestampMs,
    letters: u64,
}

impl Minute {
    fn at(self, now: TimestampMs) -> Self {
        let over = self.letters == 0 || now.0 - self.began.0 >= MINUTE_MS;
        if over { Self { began: now, letters: 0 } } else { self }
    }

    /// Counts the dead letters of an epoch.
    pub fn count(&mut self, now: TimestampMs, letters: u64) {
        if letters > 0 {
            *self = self.at(now);
            self.letters += letters;
        }
    }
}

/// Where a source stops.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The bad record that is one too many, by its place.
    pub at: usize,
    /// The first record of each partition that is not taken.
    ends: BTreeMap<Partition, Offset>,
}

/// Where a source stops whose records, in order, are bad at these places and which has room for so many. Every partition is
/// taken up to its first bad record that there is no room for.
pub(crate) fn cut(records: &[Record], bad: &[usize], room: Option<u64>) -> Option<Cut> {
    let over = bad.get(usize::try_from(room?).unwrap_or(usize::MAX)..)?;
    let at = *over.first()?;
    let mut ends = BTreeMap::new();
    for place in over {
        ends.entry(records[*place].at.partition).or_insert(records[*place].offset);
    }
    Some(Cut { at, ends })
}

impl Cut {
    /// The records that are taken.
    pub fn taken(&self, records: &[Record]) -> Vec<Record> {
        let is_taken = |record: &&Record| self.ends.get(&record.at.partition).is_none_or(|end| record.offset < *end);
        records.iter().filter(is_taken).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use api::TopicPartition;

    use super::*;

    fn record(partition: i32, offset: i64) -> Record {
        let at = TopicPartition { topic: "t".into(), partition: Partition(partition) };
        Record { at, offset: Offset(offset), timestamp: TimestampMs(0), key: None, value: None, headers: Vec::new() }
    }

    /// Partition 0 has offsets 0 to 3, partition 1 has 4 to 7, and bad is every record with an odd offset.
    #[test]
    fn a_source_stops_before_the_record_that_is_too_much() {
        let records: Vec<Record> = (0..8).map(|offset| record(i32::from(offset > 3), offset)).collect();
        let bad = [1, 3, 5, 7];
        let cases: [(Option<u64>, Option<usize>, &[i64]); 7] = [
            (None, None, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (Some(0), Some(1), &[0, 4]),
            (Some(1), Some(3), &[0, 1, 2, 4]),
            (Some(2), Some(5), &[0, 1, 2, 3, 4]),
            (Some(3), Some(7), &[0, 1, 2, 3, 4, 5, 6]),
            (Some(4), None, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (Some(u64::MAX), None, &[0, 1, 2, 3, 4, 5, 6, 7]),
        ];
        for (room, at, taken) in cases {
            let cut = cut(&records, &bad, room);
            assert_eq!(cut.as_ref().map(|cut| cut.at), at, "{room:?}");
            let kept = cut.map_or(records.clone(), |cut| cut.taken(&records));
            let offsets: Vec<i64> = kept.iter().map(|record| record.offset.0).collect();
            assert_eq!(offsets, taken, "{room:?}");
        }
    }

    #[test]
    fn a_minute_begins_with_its_first_letter() {
        let mut minute = Minute::default();
        let room = |minute, now| Policy::PerMinute(3).room(minute, TimestampMs(now));
        assert_eq!(room(minute, 1000), Some(3));
        minute.count(TimestampMs(1000), 0);
        minute.count(TimestampMs(5000), 2);
        assert_eq!(room(minute, 5000), Some(1));
        assert_eq!(room(minute, 64_999), Some(1));
        minute.count(TimestampMs(64_999), 1);
        assert_eq!(room(minute, 64_999), Some(0));
        assert_eq!(room(minute, 65_000), Some(3), "the next minute");
        minute.count(TimestampMs(100_000), 9);
        assert_eq!(room(minute, 100_000), Some(0));
        assert_eq!(Policy::Stop.room(Minute::default(), TimestampMs(0)), Some(0));
        assert_eq!(Policy::Any.room(minute, TimestampMs(100_000)), None);
    }
}
