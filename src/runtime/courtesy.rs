//! A courtesy: tools that watch consumer groups are told how far the pipeline is. Nothing reads it back.
//!
//! A thread of its own tells, for that may block; the loop only leaves the newest positions here.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use api::{Log, TopicPartition};
use zset::{Epoch, Offset};

use crate::feed::Feed;
use crate::topics::alone;
use crate::{Engine, EngineError};

/// How often positions are told at most.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long the end of the process may wait for the last ones to be told.
const LAST_WAIT: Duration = Duration::from_secs(2);

type Positions = Vec<(TopicPartition, Offset)>;

/// The thread, as the loop sees it. Dropping it lets it tell what it has, and waits a little for that.
pub(crate) struct Courtesy {
    positions: Option<SyncSender<Positions>>,
    ended: Receiver<()>,
    told: (Epoch, Instant),
}

impl Courtesy {
    /// Starts the thread.
    pub fn start(log: &Arc<dyn Log>) -> Result<Self, EngineError> {
        // One may wait while another is told; a newer one comes at the next turn.
        let (positions, waiting) = sync_channel::<Positions>(1);
        let (end, ended) = channel();
        let log = Arc::clone(log);
        std::thread::Builder::new()
            .name("positions".to_string())
            .spawn(move || {
                for positions in waiting {
                    if let Err(error) = log.tell_positions(&positions) {
                        tracing::debug!("cannot tell the consumer group's positions: {error}");
                    }
                }
                // Before anybody is told that it has ended: the log is closed by its last holder.
                drop(log);
                let _ = end.send(());
            })
            .map_err(|error| EngineError::Log(format!("cannot start a thread for the positions: {error}")))?;
        Ok(Self { positions: Some(positions), ended, told: (Epoch(0), Instant::now()) })
    }
}

impl Drop for Courtesy {
    fn drop(&mut self) {
        self.positions = None;
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(LAST_WAIT) {
            tracing::debug!("the log does not answer: the last positions are not told");
        }
    }
}

impl Engine {
    /// Tells the committed positions, if there are new ones and it is time (or `now`).
    pub(crate) fn tell_positions(&mut self, now: bool) {
        let (epoch, at) = self.courtesy.told;
        if epoch == self.chain.epoch || !(now || at.elapsed() >= TELL_EVERY) {
            return;
        }
        let mut positions: Positions = Vec::new();
        for (id, table) in &self.tables {
            let Some(source) = table.source_def().filter(|source| !source.is_own()) else { continue };
            let Some(feed) = Feed::of(&self.parts, source).ok().filter(|feed| feed.is_log) else { continue };
            // Tools know topics, and no places of theirs.
            let there = self.positions_of(*id).filter(|(_, position)| !position.absent);
            positions.extend(there.map(|(partition, position)| (alone(&feed.at(partition)), position.next)));
        }
        let told = match &self.courtesy.positions {
            Some(thread) if !positions.is_empty() => thread.try_send(positions),
            _ => Ok(()),
        };
        if !matches!(told, Err(TrySendError::Full(_))) {
            self.courtesy.told = (self.chain.epoch, Instant::now());
        }
    }
}
