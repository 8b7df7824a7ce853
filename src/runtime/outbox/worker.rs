//! The work at one target, beside the loop: it applies what it is given, one job at a time, again and again until the target has it.
//!
//! Whether it has it is asked of the target itself each time it is opened: after an answer that was lost, the job is found to
//! be done, or is done again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use api::{Connectors, Progress, Target, TargetError, TargetSpec};
use plan::SinkId;
use state::Snapshot;
use zset::Epoch;

use super::{Decision, KeyedRows, Mine, decide};
use crate::run::Event;
use crate::scheduler::{Scheduler, Steps, Task};

/// The first pause after a target did not answer; each further one is twice as long, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// The pause after a target refused: somebody has to mend it.
const PAUSE_REFUSED: Duration = Duration::from_secs(15);

/// What is to be applied: the newest state of every key that changed behind `confirmed`, up to `mark`.
pub(crate) struct Job {
    pub snapshot: Snapshot,
    pub mark: Epoch,
    pub confirmed: Option<Epoch>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Report {
    /// The target has everything up to this epoch.
    Confirmed(Epoch),
    /// Not yet; it is tried again.
    Failed(TargetError),
}

/// A target that is open, and how far it is.
pub(crate) struct Opened {
    pub target: Box<dyn Target>,
    pub progress: Option<Progress>,
}

/// What the work is made of.
pub(crate) struct Start {
    pub id: SinkId,
    pub mine: Mine,
    pub spec: TargetSpec,
    pub connectors: Arc<dyn Connectors>,
    pub events: Sender<Event>,
    pub scheduler: Arc<dyn Scheduler>,
}

/// The work, seen from the loop. It ends by itself when this is dropped, and is not waited for: a target may be slow, and
/// what it still does with its last job is what a crash would leave.
pub(crate) struct Worker {
    jobs: Sender<Job>,
    task: Box<dyn Task>,
}

struct AtTarget {
    start: Start,
    rows: Arc<KeyedRows>,
    opened: Option<Opened>,
    jobs: Receiver<Job>,
    in_hand: Option<InHand>,
    /// The newest mark that was tried, whatever became of it.
    tried: Option<Epoch>,
}

/// A job that the target has not taken yet.
struct InHand {
    job: Job,
    /// How long it waits after the next failure.
    pause: Duration,
    /// When it is tried next.
    at: Instant,
}

impl Worker {
    /// Begins the work, with the target that was opened already, if one was.
    pub fn start(start: Start, opened: Option<Opened>, rows: Arc<KeyedRows>) -> std::io::Result<Self> {
        let (jobs, receiver) = channel();
        let name = format!("sink-{}", start.mine.sink);
        let scheduler = Arc::clone(&start.scheduler);
        let task = scheduler
            .begin(&name, Box::new(AtTarget { start, rows, opened, jobs: receiver, in_hand: None, tried: None }))?;
        Ok(Self { jobs, task })
    }

    /// Gives it a job. It must have none.
    pub fn send(&self, job: Job) {
        // Work that has ended is found by the loop.
        let _ = self.jobs.send(job);
    }

    /// Whether it has ended, which it does not by itself.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Steps for AtTarget {
    fn step(&mut self, wait: Duration) -> bool {
        let now = self.start.scheduler.now();
        let wait = self.in_hand.as_ref().map_or(wait, |in_hand| in_hand.at.saturating_duration_since(now).min(wait));
        match self.jobs.recv_timeout(wait) {
            Ok(job) => {
                assert!(self.in_hand.is_none(), "one job at a time");
                self.in_hand = Some(InHand { job, pause: PAUSE_FIRST, at: now });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.try_job();
        true
    }
}

impl AtTarget {
    /// Tries what is in hand, if it is time.
    fn try_job(&mut self) {
        let due = |in_hand: &mut InHand| in_hand.at <= self.start.scheduler.now();
        let Some(mut in_hand) = self.in_hand.take_if(due) else { return };
        match self.apply(&in_hand.job) {
            Ok(()) => self.report(Report::Confirmed(in_hand.job.mark)),
            Err(error) => {
                self.opened = None;
                let wait = match error {
                    TargetError::Retriable(_) => in_hand.pause,
                    TargetError::Refused(_) => PAUSE_REFUSED,
                };
                self.report(Report::Failed(error));
                in_hand.at = self.start.scheduler.now() + wait;
                in_hand.pause = (in_hand.pause * 2).min(PAUSE_LONGEST);
                self.in_hand = Some(in_hand);
            }
        }
    }

    fn report(&self, report: Report) {
        // The loop may have ended.
        let _ = self.start.events.send(Event::Target { sink: self.start.id, report });
    }

    fn apply(&mut self, job: &Job) -> Result<(), TargetError> {
        let mine = &self.start.mine;
        if self.opened.is_none() {
            let mut target = self.start.connectors.target(&self.start.spec)?;
            let progress = target.open()?;
            self.opened = Some(Opened { target, progress });
        }
        let Some(opened) = &mut self.opened else { unreachable!("it was opened") };
        match decide(mine, opened.progress.as_ref(), (job.confirmed, self.tried), job.mark) {
            Decision::Skip => Ok(()),
            Decision::Refuse(why) => Err(TargetError::Refused(why)),
            Decision::Apply => {
                self.tried = self.tried.max(Some(job.mark));
                let after =
                    Progress { incarnation: mine.incarnation.clone(), generation: mine.generation, epoch: job.mark };
                opened.target.apply(&mut self.rows.read(&job.snapshot), opened.progress.as_ref(), &after)?;
                opened.progress = Some(after);
                Ok(())
            }
        }
    }
}
