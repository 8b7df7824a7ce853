//! Is what the sources read still what was read? Asked at every start, and whenever one of them cannot be read on.

use std::collections::BTreeMap;

use api::{Keeping, LogError, Reader};
use plan::{Envelope, InputRange, TableDef, TableId};
use zset::Partition;

use crate::engine::Position;
use crate::feed::Feed;
use crate::inputs::{WAYS_OUT, first_from};
use crate::mend::{Facts, Keepings, Kind, Last, Loss, Verdict, decide};
use crate::{Engine, EngineError, range};

/// A source that is not what was read of it.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub verdict: Verdict,
    /// What and where.
    pub what: String,
}

impl Engine {
    /// Checks that a new stream table begins with what it began with the first time.
    pub(crate) fn compare_backfill(
        &self,
        name: &str,
        mine: &[InputRange],
        theirs: &[InputRange],
    ) -> Result<(), EngineError> {
        if mine == theirs {
            return Ok(());
        }
        let ranges = mine.iter().chain(theirs);
        let other = ranges.filter(|range| !(mine.contains(range) && theirs.contains(range))).map(|range| {
            let (start, end) = (range.range.start, range.range.end);
            format!("topic \"{}\" partition {} offsets {start} to {end}", range.topic, range.partition)
        });
        Err(EngineError::Recovery(format!(
            "what stream table {name} began with is not what it was: {}; it was compacted, expired or made anew; {WAYS_OUT}",
            other.take(1).collect::<String>()
        )))
    }

    /// Checks every source partition: same last record, position within its bounds, no delete missed. The sources that are lost;
    /// a table of our own that is cannot be mended.
    pub(crate) fn check_sources(&self) -> Result<BTreeMap<TableId, Lost>, EngineError> {
        let mut all = BTreeMap::new();
        for (id, table) in &self.tables {
            let Some(lost) = self.check_source(*id)? else { continue };
            if table.def.is_own() {
                return Err(EngineError::Recovery(format!("cannot go on: {}; {WAYS_OUT}", lost.what)));
            }
            all.insert(*id, lost);
        }
        Ok(all)
    }

    /// Checks the partitions of one source: what halts it goes before what is reconciled.
    pub(crate) fn check_source(&self, id: TableId) -> Result<Option<Lost>, EngineError> {
        let mut found: Option<Lost> = None;
        for lost in self.check_partitions(id)?.into_values().flatten() {
            let worse = matches!(lost.verdict, Verdict::Halt(_));
            if found.as_ref().is_none_or(|found| worse && matches!(found.verdict, Verdict::Reconcile(_))) {
                found = Some(lost);
            }
        }
        Ok(found)
    }

    /// What is wrong with each partition that a source has a position in. A partition that may go away and is gone was read as
    /// far as it was: nothing of it is needed any more.
    pub(crate) fn check_partitions(&self, id: TableId) -> Result<BTreeMap<Partition, Option<Lost>>, EngineError> {
        let mut all = BTreeMap::new();
        let Some(table) = self.tables.get(&id) else { return Ok(all) };
        let Some(source) = table.source_def() else { return Ok(all) };
        if self.positions_of(id).next().is_none() {
            return Ok(all);
        }
        let feed = Feed::of(&self.parts, source)?;
        let mut reader = feed.reader()?;
        let mut keepings = Keepings::new();
        let there = if feed.transport.partitions_go() { Some(feed.partitions()?) } else { None };
        for (partition, position) in self.positions_of(id) {
            if there.as_ref().is_some_and(|there| !there.contains(&partition)) {
                tracing::warn!(
                    table = %table.def.name, %partition,
                    "a file of {} is gone; it was read up to offset {}, and its rows stay", source.topic, position.next
                );
                continue;
            }
            let place = partition.place();
            let asked = || self.keeping_of(id, &feed, place).unwrap_or_default();
            let keeping = *keepings.entry(place).or_insert_with(asked);
            all.insert(
                partition,
                self.check_partition(&table.def, (&feed, keeping), &mut *reader, (partition, position))?,
            );
        }
        Ok(all)
    }

    fn check_partition(
        &self,
        def: &TableDef,
        (feed, keeping): (&Feed, Option<Keeping>),
        reader: &mut dyn Reader,
        (partition, position): (Partition, &Position),
    ) -> Result<Option<Lost>, EngineError> {
        let at = feed.at(partition);
        let bounds = match feed.transport.bounds(&at) {
            Ok(bounds) => Some(bounds),
            Err(LogError::NoTopic(_) | LogError::OutOfRange { .. } | LogError::Unusable(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let mut last = Last::Unknown;
        let read = position.last.as_ref().zip(bounds);
        if let Some((read, _)) = read.filter(|(read, bounds)| bounds.low <= read.offset && read.offset < bounds.high) {
            let found = match first_from(reader, &at, read.offset, &self.shared) {
                // A file whose lines begin elsewhere cannot be read from there at all.
                Err(EngineError::Log(_)) if feed.transport.partitions_go() => None,
                found => found?,
            };
            last = match found.filter(|found| found.offset == read.offset).map(|found| range::last_record(&found)) {
                // A line does not go, unless its file is another.
                None if feed.transport.partitions_go() => Last::Other,
                None => Last::Absent,
                Some(found) if found == *read => Last::Same,
                Some(_) => Last::Other,
            };
        }
        let now = (self.parts.clock)();
        let facts = Facts {
            kind: kind(def),
            next: position.next,
            bounds,
            absent: position.absent,
            last,
            keeping,
            unseen_ms: self.ends.of(def.id, partition).map(|time| now.0.saturating_sub(time.0)),
        };
        let verdict = decide(&facts);
        Ok(match verdict {
            Verdict::Fine => None,
            Verdict::Reconcile(loss) | Verdict::Halt(loss) => {
                Some(Lost { verdict, what: describe(&feed.transport.place(&at), &facts, loss, position) })
            }
        })
    }
}

/// What a source's records are to its rows. An event of a table with a key may leave out values that did not change, and may have
/// another key than its row: what compaction leaves of them need not say all of the table.
pub(crate) fn kind(def: &TableDef) -> Kind {
    // Of a table of our own only what we committed is read: what is behind that, aborted or of others, is no delete of its rows.
    if def.is_own() {
        return Kind::Records;
    }
    match def.source().map(|source| source.envelope) {
        Some(Envelope::Upsert) => Kind::Upsert,
        Some(Envelope::Debezium) if !def.key.is_empty() => Kind::Events,
        _ => Kind::Records,
    }
}

fn describe(place: &str, facts: &Facts, loss: Loss, position: &Position) -> String {
    let next = facts.next;
    let holds =
        facts.bounds.map_or(String::new(), |bounds| format!("it holds offsets {} to {}", bounds.low, bounds.high));
    let last = position.last.as_ref().map_or(next, |last| last.offset);
    match loss {
        Loss::Gone => format!("{place} does not exist, and was read up to offset {next}"),
        Loss::Cut => {
            format!("{place} was deleted and made anew, or truncated: it was read up to offset {next}, and {holds}")
        }
        Loss::Anew => format!(
            "{place} was deleted and made anew: its record at offset {last} is not the one that was read there, and {holds}"
        ),
        Loss::Expired => format!(
            "{place} has lost records that were not read yet, offsets {next} to {}: they expired or were deleted, and {holds}",
            facts.bounds.map_or(next, |bounds| bounds.low)
        ),
        Loss::Deletes => {
            let away = facts.unseen_ms.map_or("an unknown time".to_string(), |time| format!("{} s", time / 1000));
            let kept = facts.keeping.map_or(0, |keeping| keeping.tombstones_ms);
            format!(
                "{place} is compacted, and may have lost deletes that were not read yet, from offset {next} on: it was last read \
                 to its end {away} ago, and keeps a tombstone for {kept} ms (delete.retention.ms)"
            )
        }
    }
}
