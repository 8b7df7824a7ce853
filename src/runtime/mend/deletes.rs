//! Whether a reader of a compacted topic is fast enough for its deletes: whoever is behind by more than `delete.retention.ms` may miss
//! that a key is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Keeping;
use zset::{Offset, Partition, TimestampMs};

use super::Keepings;

/// While it runs, a reader is not taken to be behind before this: the ends are looked at once a second.
const BEHIND_MS_MIN: i64 = 5_000;

type Clock = Arc<dyn Fn() -> TimestampMs + Send + Sync>;

/// What is known of the partitions of a source's topics.
pub(crate) struct Deletes {
    /// Those of which nothing is known are not in it.
    keepings: Keepings,
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
    /// It was last read to its end so many milliseconds ago, and its tombstones are kept for fewer.
    Missed { unseen_ms: i64, kept_ms: i64 },
}

impl Deletes {
    /// Partitions that were last read to their ends at a time; others are by now.
    pub fn new(keepings: Keepings, seen: BTreeMap<Partition, TimestampMs>, clock: &Clock) -> Self {
        Self { keepings, seen, asked: BTreeMap::new(), clock: Arc::clone(clock) }
    }

    /// Whether it is known what the topic of a partition keeps.
    pub fn knows(&self, partition: Partition) -> bool {
        self.keepings.contains_key(&partition.place())
    }

    /// What the topic of a partition keeps.
    pub fn learn(&mut self, partition: Partition, keeping: Option<Keeping>) {
        self.keepings.insert(partition.place(), keeping);
    }

    /// The time.
    pub fn now(&self) -> TimestampMs {
        (self.clock)()
    }

    /// The time, to be taken before a partition is looked at; `None`: there is no need to look, as its topic is not compacted.
    pub fn begin_look(&self, partition: Partition) -> Option<TimestampMs> {
        self.kept_ms(partition).map(|_| self.now())
    }

    /// A look at a partition: its end, how far it is read, and whether that is the end.
    pub fn look(&mut self, partition: Partition, now: TimestampMs, (end, read): (Offset, Offset), met: bool) -> Look {
        let Some(kept_ms) = self.kept_ms(partition) else { return Look::Same };
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
        let unseen_ms = now.0 - seen.0;
        if unseen_ms >= kept_ms.max(BEHIND_MS_MIN) { Look::Missed { unseen_ms, kept_ms } } else { Look::Same }
    }

    /// How long a tombstone is kept of a partition that is compacted.
    fn kept_ms(&self, partition: Partition) -> Option<i64> {
        let keeping = self.keepings.get(&partition.place()).copied().flatten()?;
        keeping.compacted_after_ms.map(|_| keeping.tombstones_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_always_a_little_behind_misses_nothing_and_who_falls_behind_is_told() {
        let keeping = Keeping { compacted_after_ms: Some(0), tombstones_ms: 10_000, expires_after_ms: None };
        let clock: Clock = Arc::new(|| TimestampMs(0));
        let mut deletes = Deletes::new([(0, Some(keeping))].into(), [(Partition(0), TimestampMs(0))].into(), &clock);
        let mut look =
            |now, end, read, met| deletes.look(Partition(0), TimestampMs(now), (Offset(end), Offset(read)), met);
        assert_eq!(look(1_000, 100, 10, false), Look::Same);
        assert_eq!(look(9_000, 900, 100, false), Look::End(Offset(100), TimestampMs(1_000)), "as it was then");
        assert_eq!(look(10_900, 1_000, 800, false), Look::Same);
        assert_eq!(look(11_000, 1_000, 899, false), Look::Missed { unseen_ms: 10_000, kept_ms: 10_000 });
        assert_eq!(look(12_000, 1_000, 1_000, true), Look::End(Offset(1_000), TimestampMs(12_000)));
        assert_eq!(look(21_999, 2_000, 1_000, false), Look::End(Offset(1_000), TimestampMs(12_000)));
        assert_eq!(look(22_000, 2_000, 1_999, false), Look::Missed { unseen_ms: 10_000, kept_ms: 10_000 });
    }

    /// What one topic of a source keeps says nothing of another.
    #[test]
    fn each_topic_has_its_own_time() {
        let compacted = |tombstones_ms| Keeping { compacted_after_ms: Some(0), tombstones_ms, expires_after_ms: None };
        let plain = Keeping { expires_after_ms: Some(1), ..Keeping::default() };
        let keepings = [(0, Some(compacted(10_000))), (1, Some(plain)), (2, None), (3, Some(compacted(20_000)))];
        let [first, second, third, fourth, fifth] =
            [0, 1, 2, 3, 4].map(|place| Partition::of(place, 0).expect("a place"));
        let seen = [first, second, third, fourth, fifth].map(|partition| (partition, TimestampMs(0)));
        let clock: Clock = Arc::new(|| TimestampMs(7));
        let mut deletes = Deletes::new(keepings.into(), seen.into(), &clock);
        let behind = |deletes: &mut Deletes, partition| {
            deletes.look(partition, TimestampMs(15_000), (Offset(9), Offset(3)), false)
        };
        assert_eq!(behind(&mut deletes, first), Look::Missed { unseen_ms: 15_000, kept_ms: 10_000 });
        for partition in [second, third, fourth, fifth] {
            assert_eq!(behind(&mut deletes, partition), Look::Same, "{partition:?}");
        }
        let looked_at = [first, second, third, fourth, fifth].map(|partition| deletes.begin_look(partition).is_some());
        assert_eq!(looked_at, [true, false, false, true, false]);
        assert!(deletes.knows(third) && !deletes.knows(fifth));
        deletes.learn(fifth, Some(compacted(1)));
        assert_eq!(behind(&mut deletes, fifth), Look::Missed { unseen_ms: 15_000, kept_ms: 1 });
    }
}
