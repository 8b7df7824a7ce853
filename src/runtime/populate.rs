//! The rows of a stream table that is made: its query, over all that its inputs hold.
//!
//! Where that is more than there is memory for at once, the table is given it in pieces. Nobody knows the table yet, so each piece
//! becomes its state before the next one comes, and by the law of the operators it ends with the same rows. But on the way it has
//! rows that no epoch has, and an expression may fail at one of those: then it is made once more, at once. So it is with a table that
//! is made anew because it is resumed, or planned otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow::{Contents, Eval, FlowError, TableFlow, contents_id};
use plan::{Graph, InputRange, Outcome, StreamDef, TableDef, TableId, TableKind};
use zset::{Delta, Digest, RowCodec, RowError, TimestampMs};

use crate::backfill::Anew;
use crate::stage::{Staged, digest};
use crate::table::{Refresh, Table};
use crate::{Engine, EngineError, alter};

/// What inputs hold is taken at once up to this share of the memory that may be taken.
const AT_ONCE: u64 = 16;

/// Why a piece was not taken.
enum Halt {
    Failed(RowError),
    Error(EngineError),
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        Self::Error(error)
    }
}

impl Engine {
    /// A new stream table, complete: its first rows are staged.
    pub(crate) fn populate(
        &self,
        def: &TableDef,
        graph: &Graph<Arc<dyn Eval>>,
        timestamp: TimestampMs,
    ) -> Result<(Table, Staged), EngineError> {
        let (stream, none) = (stream_of(def), Anew::new());
        let codec = RowCodec::new(def.columns.schema());
        let mut staged = Staged::at(timestamp);
        staged.touched.insert(def.id);
        if self.is_much(stream, &none) {
            let (mut sum, mut changed) = (Digest::default(), 0);
            let made = self.in_pieces(def, graph, &none, &mut |delta| {
                sum = sum.plus(digest(delta, &codec));
                changed += delta.len() as u64;
            })?;
            if let Some((table, backfill)) = made {
                staged.backfill = backfill;
                staged.outcomes.insert(def.id, Outcome::Digest(sum));
                staged.in_pieces = Some((def.id, changed));
                return Ok((table, staged));
            }
        }
        let (table, refresh, backfill) = self.at_once(def, graph, &none)?;
        staged.backfill = backfill;
        match refresh {
            Refresh::Done(delta) => staged.keep(def.id, delta, &codec, true),
            Refresh::Failed(error) => return Err(FlowError::Row(error).into()),
        }
        Ok((table, staged))
    }

    /// A stream table made of all that its inputs hold, as it is to be in the place of what it was; and what was read again. Or why it
    /// cannot be made.
    pub(crate) fn make_anew(
        &self,
        def: &TableDef,
        graph: &Graph<Arc<dyn Eval>>,
        anew: &Anew,
    ) -> Result<Result<(Table, Vec<InputRange>), RowError>, EngineError> {
        let pieced = match self.is_much(stream_of(def), anew) {
            true => self.in_pieces(def, graph, anew, &mut |_| ())?,
            false => None,
        };
        let (mut table, backfill) = match pieced {
            Some(made) => made,
            None => match self.at_once(def, graph, anew)? {
                (table, Refresh::Done(_), backfill) => (table, backfill),
                (_, Refresh::Failed(error), _) => return Ok(Err(error)),
            },
        };
        table.commit();
        Ok(Ok((table, backfill)))
    }

    /// Makes a table of all that its inputs hold in one step, which is staged.
    fn at_once(
        &self,
        def: &TableDef,
        graph: &Graph<Arc<dyn Eval>>,
        anew: &Anew,
    ) -> Result<(Table, Refresh, Vec<InputRange>), EngineError> {
        let stream = stream_of(def);
        let at_work = self.shared.jobs.begin("population", &def.name, None, "operators");
        let (inputs, backfill) = self.all_of(&stream.inputs, anew)?;
        let inputs = inputs.into_iter().map(|(id, rows)| (id, alter::seen_by(stream, id, &rows))).collect();
        let mut table = self.new_stream(def, graph);
        let refresh = table.stage_refresh_watched(inputs, &mut |done, total| at_work.reach(done, total))?;
        Ok((table, refresh, backfill))
    }

    /// Whether the inputs of a stream table hold more than is taken at once.
    fn is_much(&self, stream: &StreamDef, anew: &Anew) -> bool {
        self.bytes_of(&stream.inputs, anew) > self.parts.memory.limit() / AT_ONCE
    }

    fn new_stream(&self, def: &TableDef, graph: &Graph<Arc<dyn Eval>>) -> Table {
        let flow = self.new_flow(def, graph);
        let arrangement = self.store.arrangement(contents_id(def.id), Contents::law(def));
        let contents = Contents::with_rows(def, arrangement, 0);
        let mut table = Table::stream(def.clone(), contents, flow, &mut |id, law| self.store.arrangement(id, law));
        table.blind = self.blind(&stream_of(def).inputs);
        table
    }

    /// Makes a table of all that its inputs hold, piece by piece; the last of them is staged. `told` hears of what each adds. `None`:
    /// it failed at a piece.
    fn in_pieces(
        &self,
        def: &TableDef,
        graph: &Graph<Arc<dyn Eval>>,
        anew: &Anew,
        told: &mut dyn FnMut(&Delta),
    ) -> Result<Option<(Table, Vec<InputRange>)>, EngineError> {
        let mut table = self.new_stream(def, graph);
        let fed = self.feed(def, anew, &mut |inputs| {
            table.commit();
            match table.stage_refresh(inputs)? {
                Refresh::Done(delta) => {
                    told(&delta);
                    Ok(())
                }
                Refresh::Failed(error) => Err(Halt::Failed(error)),
            }
        })?;
        Ok(fed.map(|backfill| (table, backfill)))
    }

    /// Makes the operators' state of a table anew, whose contents are there. Whether it gives them.
    pub(crate) fn rebuild(&self, table: &mut Table, graph: &Graph<Arc<dyn Eval>>) -> Result<bool, EngineError> {
        let def = table.def.clone();
        let (stream, none) = (stream_of(&def), Anew::new());
        // What waits may fail: it is taken off what the inputs hold before the operators see that.
        if self.is_much(stream, &none) && !table.waits() {
            let codec = RowCodec::new(def.columns.schema());
            let (mut rebuilt, blind) = (Digest::default(), table.blind);
            table.put_flow(self.new_flow(&def, graph));
            let fed = self.feed(&def, &none, &mut |inputs| match table.step_anew(&inputs) {
                Ok(delta) => {
                    rebuilt = rebuilt.plus(digest(&delta, &codec));
                    Ok(())
                }
                Err(FlowError::Row(error)) => Err(Halt::Failed(error)),
                // One piece may retract what only a later one brings.
                Err(FlowError::Invariant(what)) if blind => Err(Halt::Failed(RowError::new("55000", what))),
                Err(error) => Err(Halt::Error(error.into())),
            })?;
            if fed.is_some() {
                let mut there = Digest::default();
                for piece in table.contents.read(&table.contents.snapshot()) {
                    there = there.plus(digest(&piece?, &codec));
                }
                return Ok(rebuilt == there);
            }
        }
        table.put_flow(self.new_flow(&def, graph));
        let inputs = self.contents_of(&stream.inputs)?.into_iter();
        table.rebuild(inputs.map(|(id, rows)| (id, alter::seen_by(stream, id, &rows))).collect())
    }

    fn new_flow(&self, def: &TableDef, graph: &Graph<Arc<dyn Eval>>) -> TableFlow {
        TableFlow::new(def.id, graph, &mut |id, law| self.store.arrangement(id, law))
    }

    /// Gives all that the inputs hold to `step`, piece by piece; answers what was read again, or `None` if it failed at a piece.
    fn feed(
        &self,
        def: &TableDef,
        anew: &Anew,
        step: &mut dyn FnMut(BTreeMap<TableId, Delta>) -> Result<(), Halt>,
    ) -> Result<Option<Vec<InputRange>>, EngineError> {
        let stream = stream_of(def);
        let at_work = self.shared.jobs.begin("population", &def.name, None, "rows");
        // The largest last: a piece of it meets what is joined with it, and not a piece of that all that it has.
        let mut order = stream.inputs.clone();
        order.sort_by_key(|id| self.bytes_of(&[*id], anew));
        // The first step gives what is there whatever the inputs hold.
        let fed = step(BTreeMap::new()).and_then(|()| {
            self.each_piece(&order, anew, &mut |id, piece| {
                self.parts.faults.reach("populate-piece").map_err(EngineError::from)?;
                step(BTreeMap::from([(id, alter::seen_by(stream, id, &piece))]))?;
                self.parts.memory.measure();
                at_work.advance(piece.len() as u64);
                Ok(())
            })
        });
        match fed {
            Ok(mut backfill) => {
                // As in a record of one that was made at once.
                backfill.sort_by_key(|range| stream.inputs.iter().position(|input| *input == range.table));
                Ok(Some(backfill))
            }
            Err(Halt::Failed(error)) => {
                tracing::info!(table = %def.name, "a piece of the inputs fails ({error}): all of them are taken at once");
                Ok(None)
            }
            Err(Halt::Error(error)) => Err(error),
        }
    }
}

fn stream_of(def: &TableDef) -> &StreamDef {
    let TableKind::Stream(stream) = &def.kind else { unreachable!("only stream tables are made of others") };
    stream
}
