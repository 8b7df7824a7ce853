//! The thread of one target: it applies what it is given, one job at a time, again and again until the target has it.
//!
//! Whether it has it is asked of the target itself each time it is opened: after an answer that was lost, the job is found to
//! be done, or is done again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use api::{Connectors, Progress, Target, TargetError, TargetSpec};
use plan::SinkId;
use state::Snapshot;
use zset::Epoch;

use super::{Decision, KeyedRows, Mine, decide};
use crate::run::Event;

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

/// What the thread is made of.
pub(crate) struct Start {
    pub id: SinkId,
    pub mine: Mine,
    pub spec: TargetSpec,
    pub connectors: Arc<dyn Connectors>,
    pub events: Sender<Event>,
}

/// The thread, seen from the loop. It ends by itself when this is dropped, and is not waited for: a target may be slow, and
/// what it still does with its last job is what a crash would leave.
pub(crate) struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

struct Thread {
    start: Start,
    rows: Arc<KeyedRows>,
    opened: Option<Opened>,
    jobs: Receiver<Job>,
}

impl Worker {
    /// Starts the thread, with the target that was opened already, if one was.
    pub fn start(start: Start, opened: Option<Opened>, rows: Arc<KeyedRows>) -> std::io::Result<Self> {
        let (jobs, receiver) = channel();
        let name = format!("sink-{}", start.mine.sink);
        let thread = Thread { start, rows, opened, jobs: receiver };
        let thread = std::thread::Builder::new().name(name).spawn(move || thread.run())?;
        Ok(Self { jobs, thread })
    }

    /// Gives it a job. It must have none.
    pub fn send(&self, job: Job) {
        // A thread that has ended is found by the loop.
        let _ = self.jobs.send(job);
    }

    /// Whether it has ended, which it does not by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Thread {
    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            let mut pause = PAUSE_FIRST;
            while let Err(error) = self.apply(&job) {
                self.opened = None;
                let wait = match error {
                    TargetError::Retriable(_) => pause,
                    TargetError::Refused(_) => PAUSE_REFUSED,
                };
                pause = (pause * 2).min(PAUSE_LONGEST);
                self.report(Report::Failed(error));
                match self.jobs.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Ok(_) => unreachable!("one job at a time"),
                }
            }
            self.report(Report::Confirmed(job.mark));
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
        match decide(mine, opened.progress.as_ref(), job.confirmed, job.mark) {
            Decision::Skip => Ok(()),
            Decision::Refuse(why) => Err(TargetError::Refused(why)),
            Decision::Apply => {
                let after =
                    Progress { incarnation: mine.incarnation.clone(), generation: mine.generation, epoch: job.mark };
                opened.target.apply(&mut self.rows.read(&job.snapshot), opened.progress.as_ref(), &after)?;
                opened.progress = Some(after);
                Ok(())
            }
        }
    }
}
