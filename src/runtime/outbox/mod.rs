//! An outbox: the newest state of every key that a detached sink's target may not have yet.
//!
//! ```text
//! delta of a committed epoch ─► gathering ──rotate──► in flight ─► the target's thread ─► confirmed: dropped
//! ```
//!
//! It maps the sink's key to its row, or to nothing: the row is gone. So it is as large as the number of keys that changed,
//! and applying it is idempotent: after a crash the outbox of an older checkpoint, with the epochs since then gathered
//! again, is applied to a target that is ahead of the checkpoint, and the last state of each key is the same. (A net change
//! would not do: a key that was changed and changed back would be missing, while the target may be in between.)
//!
//! Past its bound it keeps no rows any more, and the target is compared with the table later: `resync`.
//!
//! Both generations are in every checkpoint. Only committed epochs are gathered, so nothing else reaches the target.

mod bound;
mod decide;
mod drain;
mod resync;
mod rows;
mod turn;
mod worker;

use std::sync::Arc;

use api::TargetError;
use plan::{Options, SinkDef, SinkId};
use serde::{Deserialize, Serialize};
use state::{Arrangement, ArrangementId, Law, Snapshot, StateError};
use zset::{Delta, Epoch, RowType};

use bound::{Phase, Waiting};
pub(crate) use decide::{Decision, Mine, decide};
use drain::Drain;
use resync::{Resync, Whole};
pub(crate) use rows::KeyedChanges;
use rows::KeyedRows;
use worker::{Job, Worker};
pub(crate) use worker::{Opened, Report, Start};

/// The node number under which a sink's outbox is kept, a slot for each generation.
const OUTBOX_NODE: u32 = u32::MAX - 2;

/// Keys that may wait, unless the sink's option says otherwise.
const ROWS_MAX: u64 = 10_000_000;

/// Entries of rows that are kept no longer, looked at in a turn of the loop.
const DRAINED_ROWS: usize = 1 << 17;

/// Keys that may wait: option `outbox_rows_max`, which planning has checked.
fn rows_max(options: &Options) -> u64 {
    options.get("outbox_rows_max").and_then(|text| text.parse().ok()).unwrap_or(ROWS_MAX)
}

/// See the module.
pub(crate) struct Outbox {
    rows: Arc<KeyedRows>,
    gathering: Generation,
    in_flight: Option<InFlight>,
    /// The last epoch that the target is known to have.
    confirmed: Option<Epoch>,
    rows_max: u64,
    /// The most keys of rows that are gone, while the target is to be compared.
    gone_max: u64,
    resync: Option<Resync>,
    /// Of a resynchronisation: what is dropped, with keys that are gone.
    drain: Option<Drain>,
    drained_rows: usize,
    /// The target was compared, and more than `rows_max` keys have changed meanwhile: they follow as any.
    catches_up: bool,
    /// Why the target did not take what is in flight.
    trouble: Option<TargetError>,
    /// What the statement that made the sink has opened.
    opened: Option<Opened>,
    worker: Option<Worker>,
}

struct Generation {
    arrangement: Arrangement,
    keys: u64,
}

/// What the target's thread has in hand: all changes since the last confirmed epoch up to its mark.
struct InFlight {
    generation: Generation,
    mark: Epoch,
    sent: bool,
}

/// An outbox outside of its arrangements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutboxState {
    confirmed: Option<Epoch>,
    gathering: GenerationState,
    in_flight: Option<(Epoch, GenerationState)>,
    /// The target is to be compared with the table: what gathers, or is in flight, are keys that are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    resync: bool,
    /// Of a resynchronisation: what is dropped, the older first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<GenerationState>,
    /// More than may wait is on its way to a target that was compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    catches_up: bool,
}

/// What the target has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Changes,
    /// It is as the table.
    Resynchronised,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GenerationState {
    slot: u32,
    keys: u64,
}

impl Generation {
    fn new(arrangement: Arrangement) -> Self {
        Self { arrangement, keys: 0 }
    }

    /// Another one of the same sink, stored where this one is.
    fn beside(&self, slot: u32) -> Self {
        Self::new(self.arrangement.beside(ArrangementId { slot, ..self.arrangement.id() }, Law::Replace))
    }

    fn state(&self) -> GenerationState {
        GenerationState { slot: self.arrangement.id().slot, keys: self.keys }
    }
}

fn id(sink: SinkId, slot: u32) -> ArrangementId {
    ArrangementId { owner: sink.0, node: OUTBOX_NODE, slot }
}

impl Outbox {
    /// An empty outbox of a sink, whose table has these columns.
    pub fn new(def: &SinkDef, columns: &RowType, make: &mut dyn FnMut(ArrangementId, Law) -> Arrangement) -> Self {
        Self {
            rows: Arc::new(KeyedRows::new(columns, &def.key)),
            gathering: Generation::new(make(id(def.id, 0), Law::Replace)),
            in_flight: None,
            confirmed: None,
            rows_max: rows_max(&def.options),
            gone_max: rows_max(&def.options).max(ROWS_MAX),
            resync: None,
            drain: None,
            drained_rows: DRAINED_ROWS,
            catches_up: false,
            trouble: None,
            opened: None,
            worker: None,
        }
    }

    /// The outbox of a checkpoint.
    pub fn restored(
        def: &SinkDef,
        columns: &RowType,
        state: &OutboxState,
        take: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Self {
        let mut generation = |state: &GenerationState| Generation {
            arrangement: take(id(def.id, state.slot), Law::Replace),
            keys: state.keys,
        };
        let gathering = generation(&state.gathering);
        let in_flight = state.in_flight.as_ref().map(|(mark, state)| InFlight {
            generation: generation(state),
            mark: *mark,
            sent: false,
        });
        let marked = match in_flight {
            Some(_) => Resync::Comparing,
            None => Resync::Marked { asked: false },
        };
        let resync = state.resync.then_some(marked);
        let dropped: Vec<Generation> = state.dropped.iter().map(generation).collect();
        let drain = (!dropped.is_empty()).then(|| Drain::restored(dropped));
        let (confirmed, catches_up) = (state.confirmed, state.catches_up);
        let empty = Self::new(def, columns, &mut |id, law| gathering.arrangement.beside(id, law));
        Self { gathering, in_flight, resync, drain, confirmed, catches_up, ..empty }
    }

    /// What a consolidated delta does to the keys. Nothing is gathered yet.
    pub fn changes(&self, delta: &Delta) -> KeyedChanges {
        self.rows.changes(delta)
    }

    /// Gathers the changes of a committed epoch.
    pub fn gather(&mut self, changes: &KeyedChanges) {
        if self.gather_marked(changes) {
            return;
        }
        let arrangement = &mut self.gathering.arrangement;
        let new = match arrangement.committed().probe(&changes.keys) {
            Ok(found) => (0..changes.keys.len()).filter(|probe| found.is_absent(*probe)).count(),
            // Too many to say: counted as if all were new.
            Err(_) => changes.keys.len(),
        };
        self.gathering.keys += new as u64;
        // Never "not present": that a row is gone is an entry too, and must outlive every merge.
        arrangement.stage_replace(&changes.keys, &changes.rows, &vec![true; changes.keys.len()]);
        arrangement.commit();
    }

    /// Keeps a target that was opened for the worker to start with.
    pub fn keep(&mut self, opened: Opened) {
        self.opened = Some(opened);
    }

    /// Starts the thread of the target.
    pub fn start(&mut self, start: Start) -> std::io::Result<()> {
        let opened = self.opened.take();
        self.worker = Some(Worker::start(start, opened, Arc::clone(&self.rows))?);
        Ok(())
    }

    /// Gives the thread its next job, if it is free and there is one. `committed` is the last committed epoch, up to which
    /// everything is gathered.
    pub fn turn(&mut self, committed: Epoch) -> Result<(), StateError> {
        if self.resync.is_some() {
            return self.turn_resync();
        }
        let slot = self.free_slot();
        let Some(worker) = &self.worker else { return Ok(()) };
        if self.in_flight.is_none() && self.gathering.keys > 0 {
            let next = self.gathering.beside(slot);
            let generation = std::mem::replace(&mut self.gathering, next);
            self.in_flight = Some(InFlight { generation, mark: committed, sent: false });
        }
        if let Some(in_flight) = self.in_flight.as_mut().filter(|in_flight| !in_flight.sent) {
            in_flight.sent = true;
            let snapshot = in_flight.generation.arrangement.committed();
            worker.send(Job::Changes { snapshot, mark: in_flight.mark, confirmed: self.confirmed });
        }
        Ok(())
    }

    /// Whether the thread of the target has ended by a bug: nobody takes what is in flight.
    pub fn is_orphaned(&self) -> bool {
        self.worker.as_ref().is_some_and(Worker::has_ended)
    }

    /// The target has all epochs up to a mark: what was in flight is dropped. Of what was given up since, nothing is known: `None`.
    pub fn confirm(&mut self, mark: Epoch) -> Option<Confirmed> {
        self.in_flight.take_if(|in_flight| in_flight.mark == mark)?;
        let compared = self.resync.take().is_some();
        self.catches_up = (compared || self.catches_up) && self.pending() > self.rows_max;
        self.confirmed = Some(mark);
        self.trouble = None;
        Some(if compared { Confirmed::Resynchronised } else { Confirmed::Changes })
    }

    /// The target did not take what is in flight; it is kept, and its thread tries again. Whether this is news.
    pub fn refuse(&mut self, error: TargetError) -> bool {
        let news = self.trouble.as_ref() != Some(&error);
        self.trouble = Some(error);
        // What is compared is compared at a newer epoch the next time.
        if let (Some(Resync::Comparing), Some(in_flight)) = (self.resync, &mut self.in_flight) {
            in_flight.sent = false;
        }
        news
    }

    /// Why the target did not take what is in flight.
    pub fn trouble(&self) -> Option<&TargetError> {
        self.trouble.as_ref()
    }

    /// Keys that wait; one that is in flight and has changed again counts twice.
    pub fn pending(&self) -> u64 {
        self.gathering.keys + self.in_flight.as_ref().map_or(0, |in_flight| in_flight.generation.keys)
    }

    /// What its bound is held against, with a table of so many rows. What is in flight to a target that was reached is no more than
    /// was allowed when it was gathered.
    pub fn waiting(&self, table: i64) -> Waiting {
        let (phase, keys) = match self.resync {
            Some(Resync::Marked { .. }) => (Phase::Marked, self.pending()),
            Some(Resync::Comparing) => (Phase::Comparing, self.gathering.keys),
            None if self.catches_up => (Phase::Comparing, self.gathering.keys),
            None => (Phase::Following, self.pending()),
        };
        Waiting { phase, keys, rows_max: self.rows_max, gone_max: self.gone_max, table: table.max(0) as u64 }
    }

    /// The same for a table of so many rows: all of them wait while the target is to be compared.
    pub fn pending_of(&self, rows: i64) -> u64 {
        self.pending() + if self.resync.is_some() { rows.max(1) as u64 } else { 0 }
    }

    /// The epoch up to which the target has everything; `None`: it has nothing yet.
    pub fn frontier(&self, committed: Epoch) -> Option<Epoch> {
        if self.pending() == 0 && self.resync.is_none() { Some(committed) } else { self.confirmed }
    }

    /// Drops all that waits, and ends the thread.
    pub fn close(&mut self) {
        self.gathering = self.gathering.beside(self.free_slot());
        self.in_flight = None;
        self.resync = None;
        self.drain = None;
        self.catches_up = false;
        self.trouble = None;
        self.worker = None;
    }

    /// What a checkpoint keeps beside the arrangements.
    pub fn state(&self) -> OutboxState {
        OutboxState {
            confirmed: self.confirmed,
            gathering: self.gathering.state(),
            in_flight: self.in_flight.as_ref().map(|in_flight| (in_flight.mark, in_flight.generation.state())),
            resync: self.resync.is_some(),
            dropped: self.dropped().map(Generation::state).collect(),
            catches_up: self.catches_up,
        }
    }

    /// The arrangements, as a checkpoint keeps them.
    pub fn snapshots(&self) -> impl Iterator<Item = Snapshot> {
        let in_flight = self.in_flight.as_ref().map(|in_flight| &in_flight.generation);
        let all = std::iter::once(&self.gathering).chain(in_flight).chain(self.dropped());
        all.map(|generation| generation.arrangement.committed())
    }

    fn dropped(&self) -> impl Iterator<Item = &Generation> {
        self.drain.iter().flat_map(Drain::generations)
    }
}

#[cfg(test)]
impl Outbox {
    /// Other bounds than usual, as tests cannot have millions of rows.
    pub fn with_bounds(&mut self, gone_max: u64, drained_rows: usize) {
        (self.gone_max, self.drained_rows) = (gone_max, drained_rows);
    }
}
