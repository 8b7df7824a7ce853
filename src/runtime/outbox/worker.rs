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

use super::{Decision, KeyedRows, Mine, Whole, decide};
use crate::run::Event;
use crate::scheduler::{Scheduler, Steps, Task};

/// The first pause after a target did not answer; each further one is twice as long, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// The pause after a target refused: somebody has to mend it.
const PAUSE_REFUSED: Duration = Duration::from_secs(15);

/// What is to be done. A job takes the place of the one that is in hand.
pub(crate) enum Job {
    /// Open the target.
    Reach,
    /// Apply the newest state of every key that changed behind `confirmed`, up to `mark`.
    Changes { snapshot: Snapshot, mark: Epoch, confirmed: Option<Epoch> },
    /// Compare it with all rows of the table at `mark`, and take away the keys that are gone. Tried once: the next time it is
    /// another epoch.
    Whole { gone: Snapshot, whole: Whole, mark: Epoch, confirmed: Option<Epoch> },
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Report {
    /// The target has everything up to this epoch.
    Confirmed(Epoch),
    /// It can be reached.
    Reached,
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
    /// What the target has not taken yet.
    in_hand: Option<Job>,
    /// The newest mark that was tried, whatever became of it.
    tried: Option<Epoch>,
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
        let at = scheduler.now();
        let (in_hand, tried, pause) = (None, None, PAUSE_FIRST);
        let work = AtTarget { start, rows, opened, jobs: receiver, in_hand, tried, pause, at };
        let task = scheduler.begin(&name, Box::new(work))?;
        Ok(Self { jobs, task })
    }

    /// Gives it a job.
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
        let wait = self.in_hand.as_ref().map_or(wait, |_| self.at.saturating_duration_since(now).min(wait));
        match self.jobs.recv_timeout(wait) {
            Ok(job) => self.in_hand = Some(job),
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
        if self.at > self.start.scheduler.now() {
            return;
        }
        let Some(job) = self.in_hand.take() else { return };
        match self.work(&job) {
            Ok(report) => {
                // That it can be reached does not mean that it takes anything.
                if matches!(report, Report::Confirmed(_)) {
                    self.pause = PAUSE_FIRST;
                }
                self.report(report);
            }
            Err(error) => {
                self.opened = None;
                let wait = match error {
                    TargetError::Retriable(_) => self.pause,
                    TargetError::Refused(_) => PAUSE_REFUSED,
                };
                self.report(Report::Failed(error));
                self.at = self.start.scheduler.now() + wait;
                self.pause = (self.pause * 2).min(PAUSE_LONGEST);
                if !matches!(job, Job::Whole { .. }) {
                    self.in_hand = Some(job);
                }
            }
        }
    }

    fn report(&self, report: Report) {
        // The loop may have ended.
        let _ = self.start.events.send(Event::Target { sink: self.start.id, report });
    }

    fn work(&mut self, job: &Job) -> Result<Report, TargetError> {
        // What was open may have gone meanwhile, without anybody being told.
        if self.opened.is_none() || matches!(job, Job::Reach) {
            self.opened = None;
            let mut target = self.start.connectors.target(&self.start.spec)?;
            let progress = target.open()?;
            self.opened = Some(Opened { target, progress });
        }
        let (mark, confirmed) = match job {
            Job::Reach => return Ok(Report::Reached),
            Job::Changes { mark, confirmed, .. } | Job::Whole { mark, confirmed, .. } => (*mark, *confirmed),
        };
        let Some(opened) = &mut self.opened else { unreachable!("it was opened") };
        let (mine, rows) = (&self.start.mine, &self.rows);
        match decide(mine, opened.progress.as_ref(), (confirmed, self.tried), mark) {
            Decision::Skip => {}
            Decision::Refuse(why) => return Err(TargetError::Refused(why)),
            Decision::Apply => {
                self.tried = self.tried.max(Some(mark));
                let after =
                    Progress { incarnation: mine.incarnation.clone(), generation: mine.generation, epoch: mark };
                let (target, before) = (&mut opened.target, opened.progress.as_ref());
                match job {
                    Job::Whole { gone, whole, .. } => {
                        target.resynchronise(&mut rows.read(gone).chain(rows.all(whole)), before, &after)?;
                    }
                    Job::Changes { snapshot, .. } => target.apply(&mut rows.read(snapshot), before, &after)?,
                    Job::Reach => {}
                }
                opened.progress = Some(after);
            }
        }
        Ok(Report::Confirmed(mark))
    }
}
