//! Work beside the loop, and the passing of time: threads and the machine's clock, unless whoever runs the engine steps the
//! work and moves the clock himself, as a simulation does.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest a thread's step waits, of work that nobody wakes.
pub(crate) const STEP_WAIT: Duration = Duration::from_millis(200);

/// Work that goes on beside the loop.
pub trait Steps: Send {
    /// Does a little, and waits at most `wait` for something to do. False: it is over, and this is not called again.
    fn step(&mut self, wait: Duration) -> bool;

    /// The longest that a thread lets it wait: how soon it ends when it is asked to.
    fn wait_max(&self) -> Duration {
        STEP_WAIT
    }
}

/// Work that was begun. Dropping this leaves it alone.
pub trait Task: Send {
    /// Whether it is over.
    fn is_finished(&self) -> bool;

    /// Waits until it is over.
    fn join(self: Box<Self>);
}

/// What runs work and knows the time.
pub trait Scheduler: Send + Sync {
    /// Begins work.
    fn begin(&self, name: &str, work: Box<dyn Steps>) -> io::Result<Box<dyn Task>>;

    /// The time that passes. (That of epochs is another: [`crate::Parts::clock`].)
    fn now(&self) -> Instant;

    /// Lets time pass.
    fn sleep(&self, time: Duration);
}

/// A thread for each work, and the machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Threads;

impl Scheduler for Threads {
    fn begin(&self, name: &str, mut work: Box<dyn Steps>) -> io::Result<Box<dyn Task>> {
        let run = move || while work.step(work.wait_max()) {};
        Ok(Box::new(Thread(thread::Builder::new().name(name.to_string()).spawn(run)?)))
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }
}

struct Thread(JoinHandle<()>);

impl Task for Thread {
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    fn join(self: Box<Self>) {
        // A panic was reported by its own message; what it was to bring is missing.
        let _ = self.0.join();
    }
}

/// Work of one step.
pub(crate) struct Once<F>(Option<F>);

impl<F: FnOnce() + Send> Once<F> {
    /// Does it in one step.
    pub fn new(work: F) -> Self {
        Self(Some(work))
    }
}

impl<F: FnOnce() + Send> Steps for Once<F> {
    fn step(&mut self, _: Duration) -> bool {
        if let Some(work) = self.0.take() {
            work();
        }
        false
    }
}
