//! The commit that is on its way: an epoch whose transaction runs beside the loop, which processes the next one meanwhile.
//!
//! Such an epoch is *applied* when its commit begins, so that the next one is processed on top of it; nothing of it is shown to readers,
//! delivered to a target or put into a checkpoint before it has *landed*. It is never taken back: a transaction that was aborted is made
//! again, what a sink's topic refuses waits in its backlog, and a commit whose end is not known ends the process. So it can only be
//! an epoch that nobody may refuse: of what came from topics, without statements and without a change of the catalog. Everything but
//! gathering records waits until it has landed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use api::{CommitError, Writer};
use plan::EpochRecord;
use zset::{Epoch, Offset, TimestampMs};

use crate::commit::{Committed, following, record};
use crate::group::Input;
use crate::phases::Phases;
use crate::run::Event;
use crate::scheduler::{Once, Task};
use crate::sink::Sink;
use crate::stage::Staged;
use crate::{Engine, EngineError};

/// What comes back of a commit: the writer, what it says, and how long that took.
type Landed = (Box<dyn Writer>, Result<Vec<Offset>, CommitError>, Duration);

/// See the module.
pub(crate) struct Flight {
    staged: Staged,
    record: EpochRecord,
    bytes: Vec<u8>,
    work: Work,
}

/// The transaction at work.
struct Work {
    task: Option<Box<dyn Task>>,
    landed: Receiver<Landed>,
}

impl Work {
    fn join(&mut self) {
        if let Some(task) = self.task.take() {
            task.join();
        }
    }
}

impl Drop for Work {
    /// Whoever opens the log next must not find it being written to.
    fn drop(&mut self) {
        self.join();
    }
}

impl Engine {
    /// The number of the epoch that is processed next.
    pub(crate) fn next_epoch(&self) -> Epoch {
        self.flight.as_ref().map_or(self.chain.epoch, |flight| flight.record.epoch).next()
    }

    /// The time of the last epoch, committed or on its way.
    pub(crate) fn last_time(&self) -> TimestampMs {
        self.flight.as_ref().map_or(self.chain.timestamp, |flight| flight.record.timestamp)
    }

    /// Processes records of topics while the epoch before is being committed, and begins their commit.
    pub(crate) fn stream(&mut self, input: &Input) -> Result<(), EngineError> {
        if self.wants_quiet() {
            self.land()?;
        }
        let mut phases = Phases::begin();
        let mut staged = Staged::at(self.now());
        self.stage_input(&mut staged, input)?;
        phases.decoded();
        self.stage_results(&mut staged, input, &mut phases)?;
        // Nothing takes more than two epochs at once.
        self.parts.memory.notice();
        let refused = self.refused_sinks();
        self.land()?;
        if self.refused_sinks() != refused {
            // What is encoded is for sinks as they were.
            staged.outputs.clear();
            self.stage_sinks(&mut staged);
        }
        self.turn_beside();
        self.note_input(&staged, input);
        match staged.is_plain() && !self.wants_quiet() {
            true => self.take_off(staged)?,
            false => self.commit(staged, None)?,
        }
        self.tell_phases(&phases);
        Ok(())
    }

    fn refused_sinks(&self) -> usize {
        self.sinks.values().filter(|sink| sink.error.is_some()).count()
    }

    /// Whether something is due that only happens between two epochs.
    fn wants_quiet(&self) -> bool {
        let waits = |sink: &Sink| sink.backlog().is_some_and(|backlog| backlog.waits());
        !self.doubts.is_empty()
            || self.journal.is_full()
            || self.held
            || self.checkpoint_is_due()
            || self.sinks.values().any(waits)
    }

    /// Applies a staged epoch and begins its commit.
    fn take_off(&mut self, mut staged: Staged) -> Result<(), EngineError> {
        self.place_dead_letters(&mut staged)?;
        let record = record(&self.chain, &staged, &[], None, &[]);
        let bytes = record.encode();
        let topic: Arc<str> = self.config.epoch_topic().into();
        let records = following(&staged, &topic, &bytes);
        self.apply(&mut staged, &record);
        self.ahead = true;
        let mut writer = self.writer.take().expect("one commit at a time");
        let (done, landed) = channel();
        let (events, epoch) = (self.events_in.clone(), record.epoch);
        let work = Once::new(move || {
            let began = Instant::now();
            let result = writer.commit_all(&records);
            // The engine may be gone.
            let _ = done.send((writer, result, began.elapsed()));
            let _ = events.send(Event::Landed { epoch });
        });
        let task = self
            .parts
            .scheduler
            .begin("commit", Box::new(work))
            .map_err(|error| EngineError::Log(format!("cannot start a thread for a commit: {error}")))?;
        let work = Work { task: Some(task), landed };
        self.flight = Some(Flight { staged, record, bytes, work });
        Ok(())
    }

    /// Whether a commit is on its way.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// Shows an epoch, if it is still its commit that is on its way.
    pub(crate) fn land_of(&mut self, epoch: Epoch) -> Result<(), EngineError> {
        if self.flight.as_ref().is_some_and(|flight| flight.record.epoch == epoch) { self.land() } else { Ok(()) }
    }

    /// The same of one whose thread is over: if that panicked, it told nobody.
    pub(crate) fn land_if_over(&mut self) -> Result<(), EngineError> {
        let is_over = |flight: &Flight| flight.work.task.as_ref().is_none_or(|task| task.is_finished());
        if self.flight.as_ref().is_some_and(is_over) { self.land() } else { Ok(()) }
    }

    /// Waits for the commit that is on its way, and shows its epoch.
    pub(crate) fn land(&mut self) -> Result<(), EngineError> {
        let Some(Flight { staged, record, bytes, mut work }) = self.flight.take() else { return Ok(()) };
        work.join();
        let (writer, result, took) = work.landed.try_recv().map_err(|_| {
            EngineError::Log("the thread of a commit panicked: its message is on standard error".to_string())
        })?;
        self.writer = Some(writer);
        self.shared.metrics.commit_seconds.observe(took.as_secs_f64());
        let result = result.map(|offsets| Committed::of(record, bytes, &offsets));
        let concluded = self.conclude(staged, None, Vec::new(), Some(result));
        // No statement was in it: none is in doubt.
        self.committing = false;
        concluded?.map_err(|(_, refused)| refused.of_statement())?;
        self.ahead = false;
        Ok(())
    }
}
