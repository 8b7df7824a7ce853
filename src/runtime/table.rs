//! One table at work: its contents, and what fills them, with what is staged for the epoch in hand.
//!
//! A stream table whose refresh fails keeps its last good contents and collects the deltas it could not apply, as
//! Z-sets: when the bad row is gone they cancel, and one refresh catches up.

mod records;

use std::collections::BTreeMap;

use dataflow::{Contents, FlowError, RowChanges, StatementError, TableFlow};
use plan::{SourceDef, TableDef, TableId, TableKind};
use schemas::{Decoder, SinkEpoch};
use state::{Arrangement, ArrangementId, Law, Snapshot, StateError};
use zset::{Delta, Epoch, RowBytes, RowCodec, RowError};

use crate::letters::Letters;
use crate::own::{Checked, Own};
use crate::{EngineError, WriteError};
pub(crate) use records::Decoded;

/// The node number under which a table's uncollected deltas are kept, a slot for each input.
const PENDING_NODE: u32 = u32::MAX - 1;

/// A table at work.
pub(crate) struct Table {
    pub def: TableDef,
    pub contents: Contents,
    pub work: Work,
    /// What only a table of our own has.
    pub own: Option<Own>,
    /// Whether retractions may reach it of rows that never came: those of a source that is not stored.
    pub blind: bool,
    /// Why its last refresh failed.
    pub error: Option<String>,
    /// How many refreshes of its own failed in a row; one that an error above it kept from being tried is none.
    pub consecutive_errors: u64,
    /// Whether it is not refreshed any more.
    pub suspended: bool,
    /// The epoch of its rows, if that is not the last one.
    pub frontier: Option<Epoch>,
    /// What is remembered of its dead letters.
    pub letters: Letters,
    /// Whether it was told that a key came from two partitions.
    pub told_moves: bool,
    /// What the staged epoch is to it, if it touched the table.
    staged_turn: Option<Turn>,
}

/// What an epoch is to a stream table.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// It was refreshed.
    Well,
    /// Its refresh failed.
    Failed(String),
    /// A table that it reads is in ERROR.
    Blocked(String),
    /// It is not tried again.
    Suspended(String),
}

/// What fills a table.
pub(crate) enum Work {
    Source(Box<dyn Decoder>),
    Stream { flow: Box<TableFlow>, pending: BTreeMap<TableId, Pending> },
}

/// Deltas of one input that could not be applied yet.
pub(crate) struct Pending {
    arrangement: Arrangement,
    codec: RowCodec,
    clear_on_commit: bool,
}

/// How a refresh ended.
pub(crate) enum Refresh {
    Done(Delta),
    Failed(RowError),
}

impl Table {
    /// Why its rows are not those of the last epoch, as what it is; `None`: they are.
    pub fn trouble(&self) -> Option<String> {
        let state = if self.suspended { "SUSPENDED" } else { "in ERROR" };
        self.error.as_ref().map(|error| format!("is {state}: {error}"))
    }

    /// A source table over its contents.
    pub fn source(def: TableDef, source: &SourceDef, contents: Contents) -> Result<Self, EngineError> {
        let decoder = Self::decoder(&def, source)?;
        Ok(Self::new(def, contents, Work::Source(decoder)))
    }

    /// A stream table over its contents and operators.
    pub fn stream(
        def: TableDef,
        contents: Contents,
        flow: TableFlow,
        arrangement: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Self {
        let TableKind::Stream(stream) = &def.kind else { unreachable!("a stream table has a query") };
        let pending = stream
            .inputs
            .iter()
            .zip(&stream.input_columns)
            .enumerate()
            .map(|(slot, (input, columns))| {
                let id = ArrangementId { owner: def.id.0, node: PENDING_NODE, slot: slot as u32 };
                let codec = RowCodec::new(columns.schema());
                (*input, Pending { arrangement: arrangement(id, Law::Add), codec, clear_on_commit: false })
            })
            .collect();
        Self::new(def, contents, Work::Stream { flow: Box::new(flow), pending })
    }

    fn new(def: TableDef, contents: Contents, work: Work) -> Self {
        Self {
            def,
            contents,
            work,
            own: None,
            blind: false,
            error: None,
            consecutive_errors: 0,
            suspended: false,
            frontier: None,
            letters: Letters::default(),
            told_moves: false,
            staged_turn: None,
        }
    }

    /// Refreshes a stream table by its inputs' deltas and what it could not apply before, and stages the result.
    pub fn stage_refresh(&mut self, inputs: BTreeMap<TableId, Delta>) -> Result<Refresh, EngineError> {
        self.stage_refresh_watched(inputs, &mut |_, _| ())
    }

    /// As [`Table::stage_refresh`], telling `progress` how many operators are done, of how many.
    pub fn stage_refresh_watched(
        &mut self,
        mut inputs: BTreeMap<TableId, Delta>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Refresh, EngineError> {
        let Work::Stream { flow, pending } = &mut self.work else { unreachable!("only stream tables refresh") };
        if self.error.is_some() {
            for (table, waiting) in pending.iter() {
                let schema = waiting.codec.schema().clone();
                let mut parts = waiting.read()?;
                parts.extend(inputs.remove(table));
                inputs.insert(*table, Delta::sum(schema, &parts));
            }
        }
        let failed = match flow.step_watched(&inputs, progress) {
            Ok(delta) => match self.contents.apply_delta(&delta) {
                Ok(()) => {
                    pending.values_mut().for_each(|waiting| waiting.clear_on_commit = self.error.is_some());
                    self.staged_turn = Some(Turn::Well);
                    return Ok(Refresh::Done(delta));
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        let error = match failed {
            FlowError::Row(error) => error,
            FlowError::Invariant(what) if self.blind => RowError::new(
                "55000",
                format!(
                    "a change event retracts a row that its source did not pass on before ({what}); let the source start where \
                     its rows were first sent, or use CREATE TABLE, which passes over such a retraction"
                ),
            ),
            other => return Err(other.into()),
        };
        flow.discard();
        self.contents.discard();
        Ok(Refresh::Failed(error))
    }

    /// Makes the operators' state anew from all that the inputs hold, except what waits. Whether it gives the contents
    /// that are there.
    pub fn rebuild(&mut self, mut inputs: BTreeMap<TableId, Delta>) -> Result<bool, EngineError> {
        let Work::Stream { flow, pending } = &mut self.work else { unreachable!("only stream tables have operators") };
        for (table, waiting) in pending.iter() {
            let mut parts: Vec<Delta> = waiting.read()?.iter().map(Delta::negated).collect();
            parts.extend(inputs.remove(table));
            inputs.insert(*table, Delta::sum(waiting.codec.schema().clone(), &parts));
        }
        let rebuilt = flow.step(&inputs)?;
        flow.commit();
        let mut parts = self.contents.read(&self.contents.snapshot()).collect::<Result<Vec<_>, _>>()?;
        parts.push(rebuilt.negated());
        let schema = self.def.columns.schema();
        let difference = Delta::sum(schema.clone(), &parts);
        Ok(zset::consolidate(&difference, &RowCodec::new(schema)).is_empty())
    }

    /// Puts other operators in the place of those that it has.
    pub fn put_flow(&mut self, flow: TableFlow) {
        let Work::Stream { flow: there, .. } = &mut self.work else {
            unreachable!("only stream tables have operators")
        };
        **there = flow;
    }

    /// Has the operators take a piece of the inputs, and nothing else.
    pub fn step_anew(&mut self, inputs: &BTreeMap<TableId, Delta>) -> Result<Delta, FlowError> {
        let Work::Stream { flow, .. } = &mut self.work else { unreachable!("only stream tables have operators") };
        let delta = flow.step(inputs)?;
        flow.commit();
        Ok(delta)
    }

    /// Whether anything waits.
    pub fn waits(&self) -> bool {
        let Work::Stream { pending, .. } = &self.work else { return false };
        pending.values().any(|waiting| !waiting.arrangement.committed().is_empty())
    }

    /// What waits, by input; empty unless it is in error.
    pub fn waiting(&self) -> Result<BTreeMap<TableId, Delta>, StateError> {
        let Work::Stream { pending, .. } = &self.work else { return Ok(BTreeMap::new()) };
        let sum = |waiting: &Pending| -> Result<Delta, StateError> {
            Ok(Delta::sum(waiting.codec.schema().clone(), &waiting.read()?))
        };
        pending.iter().map(|(table, waiting)| Ok((*table, sum(waiting)?))).collect()
    }

    /// Says the staged error in other words.
    pub fn reword(&mut self, text: &str) {
        if let Some(Turn::Failed(error) | Turn::Suspended(error)) = &mut self.staged_turn {
            *error = text.to_string();
        }
    }

    /// Whether one more failure is the last.
    pub fn fails_for_good(&self) -> bool {
        let TableKind::Stream(stream) = &self.def.kind else { return false };
        let most = u64::from(stream.max_consecutive_errors);
        most > 0 && self.consecutive_errors + 1 >= most
    }

    /// Suspends it: what waits is dropped, for it is made anew when it is resumed.
    pub fn stage_suspended(&mut self, error: String) {
        let Work::Stream { pending, .. } = &mut self.work else { unreachable!("only stream tables are suspended") };
        pending.values_mut().for_each(|waiting| waiting.clear_on_commit = true);
        self.staged_turn = Some(Turn::Suspended(error));
    }

    /// Keeps deltas that cannot be applied now, because of an error here or upstream.
    pub fn stage_waiting(&mut self, inputs: &BTreeMap<TableId, Delta>, turn: Turn) {
        let Work::Stream { pending, .. } = &mut self.work else { unreachable!("only stream tables wait") };
        for (table, delta) in inputs {
            let Some(waiting) = pending.get_mut(table) else { continue };
            let keys = waiting.codec.encode_batch(delta.batch());
            let rows: RowBytes = (0..delta.len()).map(|_| [].as_slice()).collect();
            waiting.arrangement.stage(&keys, &rows, delta.weights().values());
        }
        self.staged_turn = Some(turn);
    }

    /// Makes what is staged so.
    pub fn commit(&mut self) {
        self.contents.commit();
        self.own.iter_mut().for_each(Own::commit);
        if let Work::Stream { flow, pending } = &mut self.work {
            flow.commit();
            for waiting in pending.values_mut() {
                if std::mem::take(&mut waiting.clear_on_commit) {
                    waiting.arrangement = waiting.arrangement.emptied();
                }
                waiting.arrangement.commit();
            }
        }
        let Some(turn) = self.staged_turn.take() else { return };
        self.consecutive_errors = match turn {
            Turn::Well => 0,
            Turn::Failed(_) => self.consecutive_errors + 1,
            Turn::Blocked(_) | Turn::Suspended(_) => self.consecutive_errors,
        };
        self.suspended = matches!(turn, Turn::Suspended(_));
        self.error = match turn {
            Turn::Well => None,
            Turn::Failed(error) | Turn::Blocked(error) | Turn::Suspended(error) => Some(error),
        };
    }

    /// Makes what is staged never have been.
    pub fn discard(&mut self) {
        self.contents.discard();
        self.own.iter_mut().for_each(Own::discard);
        if let Work::Stream { flow, pending } = &mut self.work {
            flow.discard();
            for waiting in pending.values_mut() {
                waiting.clear_on_commit = false;
                waiting.arrangement.discard();
            }
        }
        self.staged_turn = None;
    }

    /// Checks the rows of a statement against what is staged.
    pub fn check_statement(
        &mut self,
        changes: &RowChanges,
        at: &SinkEpoch,
    ) -> Result<Result<Checked, WriteError>, EngineError> {
        match (&self.own, &mut self.work) {
            (Some(own), Work::Source(decoder)) => own.check(&self.def, &self.contents, &mut **decoder, changes, at),
            _ => Ok(Err(not_ours(&self.def.name))),
        }
    }

    /// Stages rows that were checked; answers what they change.
    pub fn stage_statement(&mut self, checked: &Checked) -> Result<Delta, EngineError> {
        let own = self.own.as_mut().expect("rows were checked of a table of our own");
        own.stage(checked, &mut self.contents)
    }

    /// The source's definition; `None` for a stream table.
    pub fn source_def(&self) -> Option<&SourceDef> {
        match &self.def.kind {
            TableKind::Source(source) => Some(source),
            TableKind::Stream(_) => None,
        }
    }

    /// The committed state: what a checkpoint keeps of it.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let mut all = vec![self.contents.arrangement()];
        all.extend(self.contents.index_arrangements());
        if let Work::Stream { flow, pending } = &self.work {
            all.extend(flow.arrangements());
            all.extend(pending.values().map(|waiting| &waiting.arrangement));
        }
        all.into_iter().map(Arrangement::committed).collect()
    }
}

fn not_ours(name: &str) -> WriteError {
    EngineError::Statement(StatementError {
        sqlstate: "42809",
        message: format!("cannot change rows of \"{name}\": it is not a table of our own"),
        hint: Some("its rows follow from its topic or its query; change them there".to_string()),
        detail: None,
        position: None,
        about: None,
    })
    .into()
}

impl Pending {
    /// What waits.
    fn read(&self) -> Result<Vec<Delta>, StateError> {
        let mut parts = Vec::new();
        for entries in self.arrangement.committed().scan(16 * 1024) {
            let entries = entries?;
            parts.push(Delta::new(self.codec.decode_batch(entries.keys.iter()), entries.weights.into()));
        }
        Ok(parts)
    }
}
