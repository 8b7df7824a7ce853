//! What the topics of the sources lose by themselves: of each topic its own, known since its source was first read. A failure is not
//! remembered: it is asked again. A topic that is gone loses nothing, and is asked when it is back.

use std::collections::BTreeMap;

use api::{Keeping, LogError};
use plan::TableId;
use zset::Partition;

use crate::Engine;
use crate::feed::Feed;
use crate::topics::least;

/// By the place of the topic in its source.
pub(crate) type Keepings = BTreeMap<usize, Option<Keeping>>;

impl Engine {
    /// What the topic at a place loses by itself.
    pub(crate) fn keeping_of(&self, id: TableId, feed: &Feed, place: usize) -> Result<Option<Keeping>, LogError> {
        match self.keepings.get(&id).and_then(|known| known.get(&place)) {
            Some(known) => Ok(*known),
            None => feed.keeping(place),
        }
    }

    /// The most that any topic of a source loses by itself.
    pub(crate) fn most_lost(&self, id: TableId, feed: &Feed) -> Result<Option<Keeping>, LogError> {
        let mut all = None;
        for place in 0..feed.topics().count() {
            match self.keeping_of(id, feed, place) {
                Err(LogError::NoTopic(_)) => {}
                keeping => all = least(all, keeping?),
            }
        }
        Ok(all)
    }

    /// What is known of the topics of a source that is to be read. Of one of which nobody knows it, what is read goes into the
    /// journal.
    pub(crate) fn learn_keepings(&mut self, id: TableId, feed: &Feed) -> Keepings {
        let mut known = self.keepings.remove(&id).unwrap_or_default();
        let mut unknown: Option<(&str, LogError)> = None;
        for (place, topic) in feed.topics().enumerate() {
            if known.contains_key(&place) {
                continue;
            }
            match feed.keeping(place) {
                Ok(keeping) => drop(known.insert(place, keeping)),
                Err(LogError::NoTopic(_)) => {}
                Err(error) => {
                    let waits = matches!(error, LogError::Retriable(_));
                    unknown = unknown.or(Some((topic, error)));
                    // The others would be waited for as long.
                    if waits {
                        break;
                    }
                }
            }
        }
        match unknown {
            None => drop(self.unknown_keepings.remove(&id)),
            Some((topic, error)) if self.unknown_keepings.insert(id) => tracing::warn!(
                "cannot see what topic \"{topic}\" keeps: {error}; what is read of it goes into the journal, and deletes that it \
                 compacts away are not noticed; give the right to describe the topic and its settings, and start again"
            ),
            Some(_) => {}
        }
        self.keepings.insert(id, known.clone());
        known
    }

    /// Whether the topic of a source's partition may lose what was read of it.
    pub(crate) fn may_lose(&self, id: TableId, partition: Partition) -> bool {
        let known = self.keepings.get(&id).and_then(|known| known.get(&partition.place()));
        known.is_none_or(Option::is_some)
    }
}
