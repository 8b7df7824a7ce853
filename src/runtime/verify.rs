//! At start: is what the sources read still what was read?

use std::collections::BTreeMap;

use api::{LogError, Reader};
use plan::{InputRange, TableId};
use zset::Partition;

use crate::engine::Position;
use crate::feed::Feed;
use crate::inputs::{WAYS_OUT, first_from};
use crate::{Engine, EngineError, range};

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

    /// Checks that every source partition still is the one that was read: same last record, position within its bounds. A
    /// partition that may go away and is gone was read as far as it was: nothing of it is needed any more.
    pub(crate) fn verify_positions(&self) -> Result<(), EngineError> {
        let mut feeds: BTreeMap<TableId, (Feed, Box<dyn Reader>)> = BTreeMap::new();
        for ((id, partition), position) in &self.positions {
            let Some(source) = self.tables.get(id).and_then(|table| table.source_def()) else { continue };
            if !feeds.contains_key(id) {
                let feed = Feed::of(&self.parts, source)?;
                let reader = feed.reader()?;
                feeds.insert(*id, (feed, reader));
            }
            let Some((feed, reader)) = feeds.get_mut(id) else { continue };
            if feed.transport.partitions_go() && !feed.partitions()?.contains(partition) {
                tracing::warn!(
                    table = %self.tables[id].def.name, %partition,
                    "a file of {} is gone; it was read up to offset {}, and its rows stay", feed.topic, position.next
                );
                continue;
            }
            self.verify(feed, &mut **reader, *partition, position)?;
        }
        Ok(())
    }

    fn verify(
        &self,
        feed: &Feed,
        reader: &mut dyn Reader,
        partition: Partition,
        position: &Position,
    ) -> Result<(), EngineError> {
        let at = feed.at(partition);
        let name = feed.transport.place(&at);
        let bounds = feed.transport.bounds(&at).map_err(|error| match error {
            LogError::NoTopic(_) | LogError::OutOfRange { .. } | LogError::Unusable(_) => EngineError::Recovery(
                format!("cannot go on with {name} from offset {}: {error}; {WAYS_OUT}", position.next),
            ),
            other => other.into(),
        })?;
        if position.next < bounds.low || position.next > bounds.high {
            return Err(EngineError::Recovery(format!(
                "cannot go on with {name} from offset {}: it holds offsets {} to {}. It was {}; {WAYS_OUT}",
                position.next,
                bounds.low,
                bounds.high,
                if position.next > bounds.high { "deleted and made anew, or truncated" } else { "expired past it" }
            )));
        }
        let Some(last) = position.last.as_ref().filter(|last| last.offset >= bounds.low) else { return Ok(()) };
        let found = first_from(reader, &at, last.offset, &self.shared)?;
        // A record that was compacted away says nothing: a later one of its key is there.
        if let Some(found) = found.filter(|found| found.offset == last.offset).map(|found| range::last_record(&found))
            && found != *last
        {
            return Err(EngineError::Recovery(format!(
                "{name} was deleted and made anew: the record at offset {} has hash {} and timestamp {}, and had {} and \
                 {}; {WAYS_OUT}",
                last.offset, found.hash, found.timestamp.0, last.hash, last.timestamp.0
            )));
        }
        Ok(())
    }
}
