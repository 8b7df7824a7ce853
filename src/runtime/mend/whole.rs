//! A topic read whole: the rows that it says, and where its partitions end.
//!
//! While it is read, compaction may take a value after it was read and its tombstone before. A tombstone outlives the values below
//! it by `delete.retention.ms`; a pass that took longer counts only if the next one finds the same records.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Keeping, LogError, Record};
use plan::{InputRange, MendedPosition, TableId};
use zset::{Offset, Partition, TimestampMs};

use crate::dead_letter::Cause;
use crate::feed::Feed;
use crate::range::Running;
use crate::table::Table;
use crate::{Engine, EngineError};

/// Records asked for at once.
const POLL_RECORDS_MAX: usize = 16 * 1024;
/// How long a poll waits for them.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// How often a topic is read that never stays the same.
const PASSES_MAX: usize = 10;

/// What a topic says.
pub(super) struct Whole {
    /// The table, with the rows that it should have.
    pub table: Table,
    pub positions: Vec<MendedPosition>,
    /// Records that cannot be decoded and were not read before.
    pub dead: Vec<(Record, Cause)>,
    /// When reading began: nothing that was there then is missing.
    pub began: TimestampMs,
}

/// One reading of it.
struct Pass {
    table: Table,
    ranges: BTreeMap<Partition, (Offset, Option<InputRange>)>,
    dead: Vec<(Record, Cause)>,
}

/// A topic cannot be read whole: what was tried, and why it failed.
pub(super) enum Failed {
    Topic(String),
    Engine(EngineError),
}

impl From<LogError> for Failed {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(_) => Self::Engine(error.into()),
            _ => Self::Topic(error.to_string()),
        }
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Engine {
    /// Reads the topic of a source from its first record up to `ends`; as it ends now, where that is not said.
    pub(super) fn read_whole(&self, id: TableId, ends: Option<&BTreeMap<Partition, Offset>>) -> Result<Whole, Failed> {
        let table = &self.tables[&id];
        let source = table.source_def().expect("a source table");
        let feed = Feed::of(&self.parts, source)?;
        // Of a topic of which nobody knows what it keeps, two readings are to be the same.
        let unknown = Keeping { compacted_after_ms: Some(0), ..Keeping::default() };
        let keeping = self.most_lost(id, &feed).unwrap_or(Some(unknown));
        let keeping = keeping.filter(|keeping| keeping.compacted_after_ms.is_some());
        let began = (self.parts.clock)();
        let ends = match ends {
            Some(ends) => ends.clone(),
            None => {
                let partitions = feed.partitions()?.into_iter();
                let end = |partition| Ok((partition, feed.transport.bounds(&feed.at(partition))?.high));
                partitions.map(end).collect::<Result<BTreeMap<_, _>, LogError>>()?
            }
        };
        let at_work = self.shared.jobs.begin("reconciliation", &table.def.name, None, "records");
        let mut before: Option<Pass> = None;
        for _ in 0..PASSES_MAX {
            let start = self.instant();
            let pass = match self.pass(id, &feed, &ends, &mut |records| at_work.advance(records)) {
                Err(Failed::Topic(why)) if before.is_none() => {
                    // What it began with may have gone while it was read.
                    tracing::warn!(table = %table.def.name, "reading {} whole begins anew: {why}", feed.words());
                    self.pass(id, &feed, &ends, &mut |records| at_work.advance(records))?
                }
                pass => pass?,
            };
            let took = self.instant().saturating_duration_since(start).as_millis() as i64;
            let sure = keeping.is_none_or(|keeping| took < keeping.tombstones_ms)
                || before.is_some_and(|before| before.ranges == pass.ranges);
            if sure {
                let positions = pass
                    .ranges
                    .into_iter()
                    .map(|(partition, (start, range))| position(partition, start, ends[&partition], range));
                return Ok(Whole { table: pass.table, positions: positions.collect(), dead: pass.dead, began });
            }
            before = Some(pass);
        }
        Err(Failed::Topic(format!(
            "{} was read {PASSES_MAX} times, and was compacted each time before its end was reached; give it a larger \
             delete.retention.ms",
            feed.words()
        )))
    }

    fn pass(
        &self,
        id: TableId,
        feed: &Feed,
        ends: &BTreeMap<Partition, Offset>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Pass, Failed> {
        let old = &self.tables[&id];
        let source = old.source_def().expect("a source table");
        let mut table = self.new_source(old.def.clone(), source)?;
        let (mut ranges, mut dead) = (BTreeMap::new(), Vec::new());
        for (&partition, &end) in ends {
            let at = feed.at(partition);
            let low = feed.transport.bounds(&at)?.low.min(end);
            // What was read before was told before.
            let told = self.positions.get(&(id, partition)).map_or(low, |position| position.next);
            let mut reader = feed.reader()?;
            let mut running = Running::new(id, low);
            let mut done = low >= end;
            if !done {
                reader.assign(&at, low)?;
            }
            while !done {
                self.shared.go_on()?;
                self.parts.faults.reach("reconcile-read").map_err(EngineError::from)?;
                let mut records = match reader.poll(POLL_RECORDS_MAX, POLL_WAIT) {
                    Err(LogError::Retriable(reason)) => {
                        tracing::warn!(table = %old.def.name, "reading the topic whole waits: {reason}");
                        continue;
                    }
                    polled => polled?,
                };
                done = match records.last() {
                    Some(last) => last.offset.0 + 1 >= end.0,
                    None => reader.at_end(&at)?,
                };
                records.retain(|record| record.offset < end);
                let decoded = table.stage_records(&records, None)?;
                table.commit();
                running.push(&records, decoded.dead.len() as u64);
                progress(records.len() as u64);
                let new = decoded.dead.into_iter().filter(|(index, _)| records[*index].offset >= told);
                dead.extend(new.map(|(index, cause)| (records[index].clone(), cause)));
            }
            ranges.insert(partition, (low, running.finish()));
        }
        Ok(Pass { table, ranges, dead })
    }
}

fn position(partition: Partition, start: Offset, next: Offset, range: Option<InputRange>) -> MendedPosition {
    let (records, last) = range.map_or((0, None), |range| (range.count, Some(range.last)));
    MendedPosition { partition, start, next, records, last, absent: false }
}
