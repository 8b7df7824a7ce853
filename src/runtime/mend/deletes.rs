//! Whether a reader of a compacted topic is fast enough for its deletes: whoever is behind by more than `delete.retention.ms` may miss
//! that a key is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Keeping;
use zset::{Offset, Partition, TimestampMs};

/// While it runs, a reader is not taken to be behind before this: the ends are looked at once a second.
const BEHIND_MS_MIN: i64 = 5_000;

type Clock = Arc<dyn Fn() -> TimestampMs + Send + Sync>;

/// What is known of the partitions of one topic.
pub(crate) struct Deletes {
    keeping: Keeping,
    /// When they were last read to their ends.
    seen: BTreeMap<Partition, TimestampMs>,
    /// Ends that there were, and when.
    asked: BTreeMap<Partition, (Offset, TimestampMs)>,
    clock: Clock,
}

/// What a look at a partition found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// All that there was at a time is read, up to there.
    End(Offset, TimestampMs),
    /// Nothing new.
    Same,
    /// It was last read to its end so many milliseconds ago.
    Missed(i64),
}

impl Deletes {
    /// Partitions that were last read to their ends at a time; others are by now.
    pub fn new(keeping: Keeping, seen: BTreeMap<Partition, TimestampMs>, clock: &Clock) -> Self {
        Self { keeping, seen, asked: BTreeMap::new(), clock: Arc::clone(clock) }
    }

    /// The time, to be taken before a partition is looked at.
    pub fn now(&self) -> TimestampMs {
        (self.clock)()
    }

    /// A look at a partition: its end, how far it is read, and whether that is the end.
    pub fn look(&mut self, partition: Partition, now: TimestampMs, (end, read): (Offset, Offset), met: bool) -> Look {
        let before = self.asked.get(&partition).copied();
        let found = match before {
            _ if met => Some((read, now)),
            Some((end, time)) if read >= end => Some((end, time)),
            _ => None,
        };
        if found.is_some() || before.is_none() {
            self.asked.insert(partition, (end, now));
        }
        let seen = self.seen.entry(partition).or_insert(now);
        if let Some((end, time)) = found {
            *seen = time.max(*seen);
            return Look::End(end, time);
        }
        let unseen = now.0 - seen.0;
        if unseen >= self.keeping.tombstones_ms.max(BEHIND_MS_MIN) { Look::Missed(unseen) } else { Look::Same }
    }

    /// How long a tombstone is kept.
    pub fn kept_ms(&self) -> i64 {
        self.keeping.tombstones_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_always_a_little_behind_misses_nothing_and_who_falls_behind_is_told() {
        let keeping = Keeping { compacted_after_ms: Some(0), tombstones_ms: 10_000, expires_after_ms: None };
        let clock: Clock = Arc::new(|| TimestampMs(0));
        let mut deletes = Deletes::new(keeping, [(Partition(0), TimestampMs(0))].into(), &clock);
        let mut look =
            |now, end, read, met| deletes.look(Partition(0), TimestampMs(now), (Offset(end), Offset(read)), met);
        assert_eq!(look(1_000, 100, 10, false), Look::Same);
        assert_eq!(look(9_000, 900, 100, false), Look::End(Offset(100), TimestampMs(1_000)), "as it was then");
        assert_eq!(look(10_900, 1_000, 800, false), Look::Same);
        assert_eq!(look(11_000, 1_000, 899, false), Look::Missed(10_000));
        assert_eq!(look(12_000, 1_000, 1_000, true), Look::End(Offset(1_000), TimestampMs(12_000)));
        assert_eq!(look(21_999, 2_000, 1_000, false), Look::End(Offset(1_000), TimestampMs(12_000)));
        assert_eq!(look(22_000, 2_000, 1_999, false), Look::Missed(10_000));
    }
}
