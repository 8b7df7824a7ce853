//! A table's dead letters after they were sent: how many in a minute ([`policy`]), which are older than what came since
//! ([`Letters`]), how they are read back ([`read`]), shown ([`show`]) and replayed ([`replay`]).
//!
//! ```text
//! records ─► decoded ─► bad ones ─► policy: letter, or halt ─► dead-letter topic ─► SHOW DEAD LETTERS
//!                                                                     └► REPLAY: decoded again ─► the table, or a letter again
//! ```
//! A letter is not applied over a newer record of its key. What is newer is known by the bytes of record keys: of those keys
//! that a letter waits for, the last good record since is remembered. All of it follows from the records read, so that replay
//! comes to the same; it is in every checkpoint.

mod policy;
mod read;
mod replay;
mod show;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use api::Record;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;
use zset::{Epoch, Offset, Partition, TimestampMs};

use policy::Minute;
pub(crate) use replay::Replayed;
pub(crate) use stage::stage;

/// So many keys are remembered at most. What a letter of another key would overwrite is not known then.
const KEYS_MAX: usize = 64 * 1024;

/// What is remembered of a table's dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Letters {
    /// For the ceiling.
    pub minute: Minute,
    /// By the hash of topic, partition and record key, for every key with a letter: the last good record after it.
    keys: BTreeMap<u64, Option<Offset>>,
    /// Up to where the partitions of the dead-letter topic were replayed.
    pub replayed: BTreeMap<Partition, Offset>,
    /// Of letters of epochs up to here it is not known what came since.
    forgotten: Epoch,
    /// Letters of epochs up to here are of rows that are gone: the table was made then, or its topic read anew.
    pub gone: Epoch,
}

/// What an epoch makes of that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<u64, Option<Offset>>);

/// What came after a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// Nothing of its key.
    Nothing,
    /// A good record of its key.
    Newer,
    /// That is not known: it has no record key, or too many keys had letters.
    Unknown,
}

impl Letters {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What records do to it, in order, of which those at `dead` are bad.
    pub fn see(&self, records: &[Record], dead: &BTreeSet<usize>) -> Seen {
        let mut seen = BTreeMap::new();
        if self.keys.is_empty() && dead.is_empty() {
            return Seen(seen);
        }
        for (place, record) in records.iter().enumerate() {
            let Some(key) = hash(record) else { continue };
            let known = seen.get(&key).or_else(|| self.keys.get(&key)).copied();
            if dead.contains(&place) {
                seen.insert(key, known.unwrap_or_default());
            } else if let Some(newer) = known {
                seen.insert(key, newer.max(Some(record.offset)));
            }
        }
        Seen(seen)
    }

    /// Makes it so, in an epoch.
    pub fn apply(&mut self, seen: Seen, epoch: Epoch) {
        for (key, newer) in seen.0 {
            if self.keys.len() < KEYS_MAX || self.keys.contains_key(&key) {
                self.keys.insert(key, newer);
            } else {
                self.forgotten = epoch;
            }
        }
    }

    /// The table and its topic were brought together again, by records that were not seen here; or its rows are gone.
    pub fn mended(&mut self, epoch: Epoch, gone: bool) {
        self.keys.clear();
        self.forgotten = epoch;
        if gone {
            self.gone = epoch;
        }
    }

    /// Letters were sent again of which it was not known what came since; it is not known of the new ones either.
    pub fn forget(&mut self, epoch: Epoch) {
        self.forgotten = epoch;
    }

    /// What came since a letter is not known any more: the source's topic is another.
    pub fn forget_keys(&mut self) {
        self.keys.clear();
    }

    /// Forgets all keys but those of records that still are letters.
    pub fn keep(&mut self, records: &[Record]) {
        let keys: BTreeSet<u64> = records.iter().filter_map(hash).collect();
        self.keys.retain(|key, _| keys.contains(key));
    }

    /// What came after the letter of a record, which an epoch made.
    pub fn since(&self, record: &Record, epoch: Epoch) -> Since {
        match hash(record).filter(|_| epoch > self.forgotten).and_then(|key| self.keys.get(&key)) {
            None => Since::Unknown,
            Some(newer) if *newer > Some(record.offset) => Since::Newer,
            Some(_) => Since::Nothing,
        }
    }

    /// The next dead letter is the first of its minute.
    pub fn begin_minute(&mut self) {
        self.minute = Minute::default();
    }

    /// The dead letters of an epoch.
    pub fn count(&mut self, now: TimestampMs, letters: u64) {
        self.minute.count(now, letters);
    }
}

/// Which key of which partition a record has; `None`: it has none.
fn hash(record: &Record) -> Option<u64> {
    let mut hasher = Xxh3::new();
    hasher.update(record.at.topic.as_bytes());
    // A letter that is read back says the number in its topic alone.
    hasher.update(&record.at.partition.number().to_le_bytes());
    hasher.update(record.key.as_ref()?);
    Some(hasher.digest())
}

#[cfg(test)]
mod tests {
    use api::TopicPartition;

    use super::*;

    fn record(key: Option<&'static str>, offset: i64) -> Record {
        let at = TopicPartition { topic: "t".into(), partition: Partition(0) };
        let key = key.map(bytes::Bytes::from);
        Record { at, offset: Offset(offset), timestamp: TimestampMs(0), key, value: None, headers: Vec::new() }
    }

    #[test]
    fn a_letter_is_older_than_a_good_record_of_its_key_that_came_since() {
        let (a, b, epoch) = (Some("a"), Some("b"), Epoch(5));
        let mut letters = Letters::default();
        letters.apply(letters.see(&[record(a, 0), record(b, 1)], &BTreeSet::new()), epoch);
        assert!(letters.is_empty(), "nothing is remembered while there are no letters");
        let records = [record(a, 2), record(b, 3), record(a, 4), record(None, 5)];
        letters.apply(letters.see(&records, &[0, 1, 3].into()), epoch);
        let since = |letters: &Letters, key, offset| letters.since(&record(key, offset), epoch);
        assert_eq!(since(&letters, a, 2), Since::Newer, "in the same epoch");
        assert_eq!(since(&letters, b, 3), Since::Nothing);
        assert_eq!(since(&letters, None, 5), Since::Unknown);
        assert_eq!(since(&letters, Some("c"), 6), Since::Unknown);
        letters.apply(letters.see(&[record(b, 7), record(b, 8)], &[1].into()), epoch);
        assert_eq!(since(&letters, b, 3), Since::Newer);
        assert_eq!(since(&letters, b, 8), Since::Nothing, "a later letter of the same key");
        letters.keep(&[record(b, 8)]);
        assert_eq!((since(&letters, b, 8), since(&letters, a, 2)), (Since::Nothing, Since::Unknown));
        let kept: Letters = serde_json::from_str(&serde_json::to_string(&letters).expect("it is JSON")).expect("it is");
        assert_eq!(kept, letters);
    }

    #[test]
    fn what_was_not_seen_is_not_known() {
        let (mut letters, a) = (Letters::default(), record(Some("a"), 2));
        letters.apply(letters.see(std::slice::from_ref(&a), &[0].into()), Epoch(5));
        letters.mended(Epoch(7), false);
        let later = record(Some("a"), 9);
        letters.apply(letters.see(std::slice::from_ref(&later), &[0].into()), Epoch(8));
        assert_eq!((letters.since(&a, Epoch(5)), letters.since(&later, Epoch(8))), (Since::Unknown, Since::Nothing));
        let all: Vec<Record> =
            (0..=KEYS_MAX).map(|n| Record { key: Some(n.to_string().into()), ..a.clone() }).collect();
        letters.apply(letters.see(&all, &(0..all.len()).collect()), Epoch(9));
        assert_eq!(letters.keys.len(), KEYS_MAX, "not more than that");
        assert_eq!(letters.since(&later, Epoch(8)), Since::Unknown, "some key is missing, and nobody knows which");
    }
}
