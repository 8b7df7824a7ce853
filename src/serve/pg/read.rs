//! Reads: a thread runs the query on a view and writes its rows; a bounded channel carries them.
//!
//! A query that waits for its client to ask for more has no place among the running ones: cursors that are left open hold up
//! nobody. What it keeps in memory is bounded as when it runs.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow::{Limits, Read, View};
use runtime::Counted;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Sender, channel};

use super::answer::{Answer, Encoder, Rows, Source, Tag};
use super::error::PgError;
use super::row::Chunk;
use super::statement;

/// Chunks that may wait for the client.
const CHUNKS_MAX: usize = 4;

/// A place among the running queries, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub _permit: OwnedSemaphorePermit,
    pub _counted: Counted,
}

/// Where a query has its place, if it has one now.
#[derive(Debug, Clone)]
pub(crate) struct Slot(Arc<Mutex<Option<Place>>>);

impl Slot {
    pub fn new(place: Place) -> Self {
        Self(Arc::new(Mutex::new(Some(place))))
    }

    /// It runs again.
    pub fn take(&self, place: Place) {
        self.put(Some(place));
    }

    /// It waits for its client, or has ended.
    pub fn give_back(&self) {
        self.put(None);
    }

    fn put(&self, place: Option<Place>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
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
        self.slot.give_back();
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
