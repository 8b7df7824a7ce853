//! The scheduler of a run: work goes on when it is told to, and time passes when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::{Scheduler, Steps, Task};

/// See the module. A clone is the same.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<State>>);

struct State {
    works: Vec<(String, Slot)>,
    began: Instant,
    passed: Duration,
    dead: bool,
}

enum Slot {
    Waiting(Box<dyn Steps>),
    AtWork,
    Over,
}

impl Stage {
    pub fn new() -> Self {
        let state = State { works: Vec::new(), began: Instant::now(), passed: Duration::ZERO, dead: false };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The work that is not over, by its number.
    pub fn works(&self) -> Vec<(usize, String)> {
        let state = self.lock();
        let alive = state.works.iter().enumerate().filter(|(_, (_, slot))| !matches!(slot, Slot::Over));
        alive.map(|(at, (name, _))| (at, name.clone())).collect()
    }

    /// Does one step of a work; false if it is over.
    pub fn step(&self, at: usize) -> bool {
        let slot = std::mem::replace(&mut self.lock().works[at].1, Slot::AtWork);
        let Slot::Waiting(mut work) = slot else {
            self.lock().works[at].1 = slot;
            return false;
        };
        let goes_on = work.step(Duration::ZERO);
        self.lock().works[at].1 = if goes_on { Slot::Waiting(work) } else { Slot::Over };
        goes_on
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.lock().passed += time;
    }

    /// Forgets all work.
    pub fn clear(&self) {
        // Dropped outside of the lock: it may hold tasks.
        let works = std::mem::take(&mut self.lock().works);
        drop(works);
    }

    /// The process dies: what is not done will not be.
    pub fn die(&self) {
        self.lock().dead = true;
    }
}

impl Scheduler for Stage {
    fn begin(&self, name: &str, work: Box<dyn Steps>) -> io::Result<Box<dyn Task>> {
        let mut state = self.lock();
        state.works.push((name.to_string(), Slot::Waiting(work)));
        Ok(Box::new(Part { stage: self.clone(), at: state.works.len() - 1 }))
    }

    fn now(&self) -> Instant {
        let state = self.lock();
        state.began + state.passed
    }

    fn sleep(&self, time: Duration) {
        self.pass(time);
    }
}

struct Part {
    stage: Stage,
    at: usize,
}

impl Task for Part {
    fn is_finished(&self) -> bool {
        matches!(self.stage.lock().works[self.at].1, Slot::Over)
    }

    fn join(self: Box<Self>) {
        if self.stage.lock().dead {
            // Dropped outside of the lock: it may hold other tasks.
            let slot = std::mem::replace(&mut self.stage.lock().works[self.at].1, Slot::Over);
            drop(slot);
            return;
        }
        while self.stage.step(self.at) {}
    }
}
