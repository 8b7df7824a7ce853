//! What the listener answers from: parts that come one after another while the process starts.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use api::{Log, LogError, TopicPartition};
use runtime::{Handle, Phase, Shared};
use zset::{Offset, Partition};

use crate::error::HttpError;
use crate::pg::Password;

/// The parts of a process that are there by now.
#[derive(Debug)]
pub struct Door {
    shared: Arc<Shared>,
    /// What clients of other machines must know.
    pub(crate) password: Option<Password>,
    log: OnceLock<Arc<LogDoor>>,
    engine: OnceLock<Handle>,
}

/// The log, as others may use it.
pub struct LogDoor {
    pub(crate) log: Arc<dyn Log>,
    /// The pipeline's own topic: nobody else writes to it.
    pub(crate) epoch_topic: String,
    /// Whether a topic that is missing is made by writing to it: so on the embedded log.
    pub(crate) makes_topics: bool,
    /// Where the next record without a key goes.
    pub(crate) turn: AtomicUsize,
}

impl LogDoor {
    /// A log; `makes_topics`: whether a missing topic is made when it is first written to.
    pub fn new(log: Arc<dyn Log>, epoch_topic: String, makes_topics: bool) -> Self {
        Self { log, epoch_topic, makes_topics, turn: AtomicUsize::new(0) }
    }

    /// Where the partitions of a topic end now.
    pub fn ends(&self, topic: &str) -> Result<Vec<(Partition, Offset)>, LogError> {
        let info = self.log.topic(topic)?.ok_or_else(|| LogError::NoTopic(topic.to_string()))?;
        let end = |partition| {
            let at = TopicPartition { topic: topic.into(), partition: Partition(partition) };
            Ok((at.partition, self.log.bounds(&at)?.high))
        };
        (0..info.partitions as i32).map(end).collect()
    }
}

impl fmt::Debug for LogDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogDoor({})", self.log.name())
    }
}

impl Door {
    /// A process that has nothing yet but its phase.
    pub fn new(shared: Arc<Shared>, password: Option<Password>) -> Self {
        Self { shared, password, log: OnceLock::new(), engine: OnceLock::new() }
    }

    /// The log is open. The first call counts.
    pub fn set_log(&self, log: Arc<LogDoor>) {
        let _ = self.log.set(log);
    }

    /// The engine is about to run. The first call counts.
    pub fn set_engine(&self, handle: Handle) {
        let _ = self.engine.set(handle);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn log(&self) -> Result<&Arc<LogDoor>, HttpError> {
        self.log.get().ok_or_else(|| HttpError::not_yet(&self.shared.phase()))
    }

    /// The engine, once it answers: before it serves, a statement would wait for the whole of recovery.
    pub(crate) fn engine(&self) -> Result<&Handle, HttpError> {
        let phase = self.shared.phase();
        match self.engine.get() {
            Some(handle) if phase == Phase::Serving => Ok(handle),
            _ => Err(HttpError::not_yet(&phase)),
        }
    }
}

/// A phase, for people.
pub(crate) fn in_words(phase: &Phase) -> String {
    match phase {
        Phase::Starting => "starting: opening, recovering, applying SQL files".to_string(),
        Phase::Serving => "serving".to_string(),
        Phase::Stopping => "stopping".to_string(),
        Phase::Fenced => "fenced: another process runs this pipeline".to_string(),
        Phase::Failed(why) => format!("failed: {why}"),
    }
}
