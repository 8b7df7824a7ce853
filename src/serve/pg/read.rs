//! Reads: a thread runs the query on a view and writes its rows; a bounded channel carries them.
//!
//! A query that waits for its client to ask for more has no place among the running ones, so that cursors which are left open hold
//! up nobody. It has its thread and its memory still: more than [`WAITING_MAX`] keep their places.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow::{Limits, Read, View};
use runtime::Counted;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{Answer, Encoder, Rows, Source, Tag};
use super::error::PgError;
use super::row::Chunk;
use super::statement;

/// Chunks that may wait for the client.
const CHUNKS_MAX: usize = 4;

/// So many queries may wait for their clients without a place: half of the threads that the server has.
pub(crate) const WAITING_MAX: usize = 256;

/// A place among the running queries, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub _permit: OwnedSemaphorePermit,
    pub _counted: Counted,
}

/// What a query has.
#[derive(Debug)]
enum Held {
    Running(#[allow(dead_code, reason = "held")] Place),
    Waiting(#[allow(dead_code, reason = "held")] OwnedSemaphorePermit),
    Ended,
}

/// Where a query has its place.
#[derive(Debug, Clone)]
pub(crate) struct Slot(Arc<Mutex<Held>>);

impl Slot {
    pub fn new(place: Place) -> Self {
        Self(Arc::new(Mutex::new(Held::Running(place))))
    }

    /// Whether it must have a place again before it goes on.
    pub fn is_waiting(&self) -> bool {
        matches!(*self.held(), Held::Waiting(_))
    }

    /// It runs again, unless it has ended meanwhile.
    pub fn run(&self, place: Place) {
        let mut held = self.held();
        if !matches!(*held, Held::Ended) {
            *held = Held::Running(place);
        }
    }

    /// It waits for its client; without a place if one of those `waiting` is free.
    pub fn wait(&self, waiting: &Arc<Semaphore>) {
        let mut held = self.held();
        if let (Held::Running(_), Ok(permit)) = (&*held, Arc::clone(waiting).try_acquire_owned()) {
            *held = Held::Waiting(permit);
        }
    }

    fn end(&self) {
        *self.held() = Held::Ended;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query to run.
pub(crate) struct Reading {
    pub read: Arc<dyn Read>,
    pub values: Vec<Option<String>>,
    pub view: Arc<View>,
    pub limits: Limits,
    pub encoder: Encoder,
    pub source: statement::Source,
    /// Its place among the running queries, given back when its thread ends or its client lets it wait.
    pub slot: Slot,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.slot.end();
    }
}

impl Reading {
    /// Starts it.
    pub fn start(self, tag: Tag) -> Answer {
        let (sender, chunks) = channel(CHUNKS_MAX);
        let slot = self.slot.clone();
        let thread = tokio::task::spawn_blocking(move || {
            if let Err(error) = self.run(&sender) {
                // Who does not listen does not care.
                let _ = sender.blocking_send(Err(error));
            }
        });
        let source = Some(Source { chunks, thread, slot });
        Answer { rows: Some(Rows { chunks: Default::default(), source }), tag }
    }

    fn run(&self, sender: &Sender<Result<Chunk, PgError>>) -> Result<(), PgError> {
        let wrong = |error| PgError::of_statement(error, &self.source);
        let mut gone = false;
        for batch in self.read.run(&self.values, &self.view, &self.limits).map_err(wrong)? {
            self.encoder.encode(&batch.map_err(wrong)?, |chunk| {
                gone = sender.blocking_send(Ok(chunk)).is_err();
                if gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if gone {
                break;
            }
        }
        Ok(())
    }
}
