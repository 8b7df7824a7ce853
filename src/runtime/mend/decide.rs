//! What to do about a source partition whose topic may not be what was read of it: a pure function of what is found.

use api::{Bounds, Keeping};
use zset::Offset;

/// What is found of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub kind: Kind,
    /// The next offset to be read.
    pub next: Offset,
    /// What the partition holds; `None`: there is no such topic or partition.
    pub bounds: Option<Bounds>,
    /// Whether the user has accepted that it is not there.
    pub absent: bool,
    /// What is at the offset of the last record that was read.
    pub last: Last,
    pub keeping: Option<Keeping>,
    /// How long ago the partition was last known to be read to its end, in milliseconds.
    pub unseen_ms: Option<i64>,
}

/// What a source's records are to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The newest record of a key is its row: the topic as it is says all of the table.
    Upsert,
    /// Events about rows with keys: what the topic still has of a key may not say the whole row.
    Events,
    /// Every record counts.
    Records,
}

/// What is where the last record was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// None was read, or it is below what the partition holds.
    Unknown,
    /// That record.
    Same,
    /// Another one.
    Other,
    /// None.
    Absent,
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// There is no such topic or partition.
    Gone,
    /// It ends before the next offset.
    Cut,
    /// It has other records.
    Anew,
    /// It begins behind the next offset.
    Expired,
    /// Deletes may have been compacted away before they were read.
    Deletes,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Read on.
    Fine,
    /// The topic is the same, and says all of the table: read it whole.
    Reconcile(Loss),
    /// Only the user knows.
    Halt(Loss),
}

/// Decides.
pub(crate) fn decide(facts: &Facts) -> Verdict {
    let Facts { kind, next, bounds, absent, last, keeping, unseen_ms } = facts;
    let Some(bounds) = bounds else {
        return if *absent { Verdict::Fine } else { Verdict::Halt(Loss::Gone) };
    };
    if *next > bounds.high {
        return Verdict::Halt(Loss::Cut);
    }
    match last {
        Last::Other => return Verdict::Halt(Loss::Anew),
        // Compaction may have taken it: a later record of its key is there.
        Last::Absent if keeping.is_some_and(|keeping| keeping.compacted_after_ms.is_none()) => {
            return Verdict::Halt(Loss::Anew);
        }
        Last::Absent | Last::Same | Last::Unknown => {}
    }
    let loss = if *next < bounds.low {
        Loss::Expired
    } else if *next < bounds.high && missed_deletes(*kind, *keeping, *unseen_ms) {
        Loss::Deletes
    } else {
        return Verdict::Fine;
    };
    match kind {
        Kind::Upsert => Verdict::Reconcile(loss),
        Kind::Events | Kind::Records => Verdict::Halt(loss),
    }
}

/// Whether tombstones may have come and gone since the partition was last read to its end.
fn missed_deletes(kind: Kind, keeping: Option<Keeping>, unseen_ms: Option<i64>) -> bool {
    let compacted = keeping.filter(|keeping| keeping.compacted_after_ms.is_some());
    kind != Kind::Records
        && compacted.is_some_and(|keeping| unseen_ms.is_none_or(|unseen| unseen >= keeping.tombstones_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 3] = [Kind::Upsert, Kind::Events, Kind::Records];

    /// Every combination: kind, whether it is there and may not be, position (behind, at the beginning, at the end, beyond), last record, compaction, time away.
    #[test]
    fn every_combination() {
        let plain = Some(Keeping { expires_after_ms: Some(1), ..Keeping::default() });
        let compacted = Some(Keeping { compacted_after_ms: Some(0), tombstones_ms: 100, expires_after_ms: None });
        let bounds = Some(Bounds { low: Offset(10), high: Offset(20) });
        for kind in KINDS {
            for (bounds, absent) in [(None, false), (None, true), (bounds, false), (bounds, true)] {
                for next in [9, 10, 15, 20, 21] {
                    for last in [Last::Unknown, Last::Same, Last::Other, Last::Absent] {
                        for keeping in [None, plain, compacted] {
                            for unseen_ms in [None, Some(99), Some(100)] {
                                let next_offset = Offset(next);
                                let facts = Facts { kind, next: next_offset, bounds, absent, last, keeping, unseen_ms };
                                let verdict = decide(&facts);
                                let long = keeping == compacted && unseen_ms != Some(99);
                                let lossy = |loss| match kind {
                                    Kind::Upsert => Verdict::Reconcile(loss),
                                    _ => Verdict::Halt(loss),
                                };
                                let expected = match (bounds, next, last) {
                                    (None, ..) if absent => Verdict::Fine,
                                    (None, ..) => Verdict::Halt(Loss::Gone),
                                    (_, 21, _) => Verdict::Halt(Loss::Cut),
                                    (_, _, Last::Other) => Verdict::Halt(Loss::Anew),
                                    (_, _, Last::Absent) if keeping == plain => Verdict::Halt(Loss::Anew),
                                    (_, 9, _) => lossy(Loss::Expired),
                                    (_, 10 | 15, _) if long && kind != Kind::Records => lossy(Loss::Deletes),
                                    _ => Verdict::Fine,
                                };
                                assert_eq!(verdict, expected, "{facts:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
