//! Topics of a source that the log does not show just then: they may be back in a moment, so that nothing of theirs is forgotten without
//! a word.

use std::collections::BTreeSet;

use api::LogError;
use dataflow::ReadFrom;
use plan::{MendedPosition, Mending, StartAt, TableId};
use zset::Partition;

use super::statement::refuse;
use crate::feed::Feed;
use crate::{Engine, EngineError};

/// What becomes of their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// They stay: reading goes on there when the topic is back.
    Kept,
    /// They go with the rows: the topic is read from its first record when it is back.
    Anew,
    /// Nobody can say where it is to begin.
    Unknown,
}

/// Decides. `accepted`: it was not there before, and the user took that.
fn decide(way: Mending, from: Option<&ReadFrom>, accepted: bool) -> Becomes {
    match (way, from) {
        (Mending::Restarted, Some(ReadFrom::Start(StartAt::Earliest))) => Becomes::Anew,
        (Mending::Restarted, Some(ReadFrom::Start(StartAt::Time(_)) | ReadFrom::Offsets(_))) if !accepted => {
            Becomes::Unknown
        }
        _ => Becomes::Kept,
    }
}

/// The positions of topics that are not there, and what the user is told.
#[derive(Default)]
pub(super) struct Absent {
    pub positions: Vec<MendedPosition>,
    pub notices: Vec<String>,
}

impl Engine {
    /// What a statement makes of the topics that are not there; `there` are the partitions that are.
    pub(super) fn absent(
        &self,
        id: TableId,
        (feed, there): (&Feed, &[Partition]),
        (way, from): (Mending, Option<&ReadFrom>),
    ) -> Result<Absent, EngineError> {
        let mut absent = Absent::default();
        for partition in self.not_there(id, feed, there) {
            let position = &self.positions[&(id, partition)];
            let at = feed.at(partition);
            let topic = format!("topic \"{}\" is not in {} now", at.topic, feed.transport.name());
            let notice = match decide(way, from, position.absent) {
                Becomes::Unknown => {
                    return refuse(
                        "55000",
                        format!("{topic}: nobody can say where it is to begin anew"),
                        "bring it back, or begin at 'earliest' or 'latest'; ACCEPT LOSS keeps its place and goes on without it",
                    );
                }
                Becomes::Kept => {
                    absent.positions.push(MendedPosition { absent: true, ..position.mended(partition) });
                    format!("{topic}: its place is kept, and it is read on from there when it is back")
                }
                Becomes::Anew => {
                    format!("{topic}: its rows go too, and it is read from its first record when it is back")
                }
            };
            if absent.notices.last() != Some(&notice) {
                absent.notices.push(notice);
            }
        }
        Ok(absent)
    }

    /// Why a source cannot be read whole: a topic is not there, and its rows would go.
    pub(super) fn cannot_be_whole(&self, id: TableId) -> Result<Option<String>, LogError> {
        let Some(source) = self.tables.get(&id).and_then(|table| table.source_def()) else { return Ok(None) };
        let feed = Feed::of(&self.parts, source)?;
        let first = self.not_there(id, &feed, &feed.partitions()?).into_iter().next();
        Ok(first.map(|partition| format!("topic \"{}\" is not there, and its rows would go", feed.at(partition).topic)))
    }

    /// The partitions that were read of topics that are not there. A file that is gone is another matter: it is not awaited.
    fn not_there(&self, id: TableId, feed: &Feed, there: &[Partition]) -> Vec<Partition> {
        if feed.transport.partitions_go() {
            return Vec::new();
        }
        let there: BTreeSet<usize> = there.iter().map(|partition| partition.place()).collect();
        let all = self.positions_of(id).map(|(partition, _)| partition);
        all.filter(|partition| !there.contains(&partition.place())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_a_topic_that_is_not_there() {
        let start = |at| Some(ReadFrom::Start(at));
        let offsets = Some(ReadFrom::Offsets([].into()));
        let loss = Mending::LossAccepted;
        for (way, from, accepted, expected) in [
            (loss, None, false, Becomes::Kept),
            (loss, start(StartAt::Latest), false, Becomes::Kept),
            (loss, start(StartAt::Time(1)), false, Becomes::Kept),
            (loss, offsets.clone(), true, Becomes::Kept),
            (Mending::Restarted, start(StartAt::Earliest), false, Becomes::Anew),
            (Mending::Restarted, start(StartAt::Earliest), true, Becomes::Anew),
            (Mending::Restarted, start(StartAt::Latest), false, Becomes::Kept),
            (Mending::Restarted, start(StartAt::Time(1)), false, Becomes::Unknown),
            (Mending::Restarted, start(StartAt::Time(1)), true, Becomes::Kept),
            (Mending::Restarted, offsets.clone(), false, Becomes::Unknown),
            (Mending::Restarted, offsets, true, Becomes::Kept),
        ] {
            assert_eq!(decide(way, from.as_ref(), accepted), expected, "{way:?} {from:?} {accepted}");
        }
    }
}
