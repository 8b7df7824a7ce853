//! All that tables hold, for a stream table that is made: stored rows are there; what a CREATE SOURCE passed on is read
//! again from where the source began up to where it is.
//!
//! The ranges that were read are in the record of the new table, and must be the same when that is replayed. Dead letters
//! among them were reported when they first came.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use api::LogError;
use dataflow::StatementError;
use plan::{InputRange, TableId};
use zset::{Delta, DeltaBuilder, Partition};

use crate::engine::Position;
use crate::feed::Feed;
use crate::range::Running;
use crate::table::Table;
use crate::{Engine, EngineError};

/// Records asked for at once.
const POLL_RECORDS_MAX: usize = 16 * 1024;
/// How long a poll waits for them.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// What a record that is read again is taken to have.
const RECORD_BYTES: u64 = 256;

/// Tables that are made anew, before they are in the place of what they were.
pub(crate) type Anew = BTreeMap<TableId, Table>;

impl Engine {
    /// Whether retractions of rows that never came may reach what reads these tables.
    pub(crate) fn blind(&self, inputs: &[TableId]) -> bool {
        inputs.iter().any(|id| {
            let table = &self.tables[id];
            table.blind || !(table.def.is_stored() || table.def.append_only())
        })
    }

    /// All rows of tables, as deltas.
    pub(crate) fn contents_of(&self, tables: &[TableId]) -> Result<BTreeMap<TableId, Delta>, EngineError> {
        Ok(self.all_of(tables, &Anew::new())?.0)
    }

    /// All rows of tables, as deltas, and the ranges that were read again for those that are not stored. Of those that are made anew,
    /// the rows that they will have.
    pub(crate) fn all_of(
        &self,
        tables: &[TableId],
        anew: &Anew,
    ) -> Result<(BTreeMap<TableId, Delta>, Vec<InputRange>), EngineError> {
        let new = |id: &TableId| (*id, DeltaBuilder::new(self.tables[id].def.columns.schema()));
        let mut all: BTreeMap<_, _> = tables.iter().map(new).collect();
        let ranges = self.each_piece(tables, anew, &mut |id, piece| {
            all.get_mut(&id).expect("a table that was asked for").push(piece);
            Ok::<_, EngineError>(())
        })?;
        Ok((all.into_iter().map(|(id, rows)| (id, rows.finish())).collect(), ranges))
    }

    /// All rows of tables, one table after another, piece by piece; answers the ranges that were read again for those that are not
    /// stored.
    pub(crate) fn each_piece<E: From<EngineError>>(
        &self,
        tables: &[TableId],
        anew: &Anew,
        out: &mut dyn FnMut(TableId, Delta) -> Result<(), E>,
    ) -> Result<Vec<InputRange>, E> {
        let mut ranges = Vec::new();
        for id in tables {
            let table = self.as_it_will_be(*id, anew);
            if !table.def.is_stored() {
                ranges.extend(self.read_again(table, &mut |piece| out(*id, piece))?);
                continue;
            }
            for piece in table.contents.read(&table.contents.snapshot()) {
                self.shared.go_on()?;
                out(*id, piece.map_err(EngineError::from)?)?;
            }
        }
        Ok(ranges)
    }

    /// About how many bytes the rows of tables would take in memory.
    pub(crate) fn bytes_of(&self, tables: &[TableId], anew: &Anew) -> u64 {
        let passed_on = |id: &TableId| self.positions_of(*id).map(|(_, position)| position.records).sum::<u64>();
        let bytes = |id: &TableId| match self.as_it_will_be(*id, anew) {
            table if table.def.is_stored() => table.contents.snapshot().bytes_at_most() as u64,
            _ => passed_on(id).saturating_mul(RECORD_BYTES),
        };
        tables.iter().map(bytes).sum()
    }

    fn as_it_will_be<'a>(&'a self, id: TableId, anew: &'a Anew) -> &'a Table {
        anew.get(&id).unwrap_or_else(|| &self.tables[&id])
    }

    /// A stream table was committed that began with what was read again of sources: if their topics may lose that, it is to be in a
    /// checkpoint soon, for it may be too much for the journal.
    pub(crate) fn keep_read_again(&mut self, sources: &[TableId]) -> Result<(), EngineError> {
        let loses = |id: &TableId| self.positions_of(*id).any(|(partition, _)| self.may_lose(*id, partition));
        if sources.iter().any(loses) { self.checkpoint_soon() } else { Ok(()) }
    }

    /// What a source passed on since it was made.
    fn read_again<E: From<EngineError>>(
        &self,
        table: &Table,
        out: &mut dyn FnMut(Delta) -> Result<(), E>,
    ) -> Result<Vec<InputRange>, E> {
        let source = table.source_def().expect("only sources are not stored");
        let feed = Feed::of(&self.parts, source).map_err(EngineError::of_statement)?;
        // A decoder of its own: the other one counts what it has seen, for its warnings.
        let mut again = self.new_source(table.def.clone(), source)?;
        let mut ranges = Vec::new();
        for (partition, position) in self.positions_of(table.def.id).filter(|(_, p)| p.start < p.next) {
            ranges.extend(self.read_partition(&feed, &mut again, (partition, position), out)?);
        }
        Ok(ranges)
    }

    fn read_partition<E: From<EngineError>>(
        &self,
        feed: &Feed,
        again: &mut Table,
        (partition, position): (Partition, &Position),
        out: &mut dyn FnMut(Delta) -> Result<(), E>,
    ) -> Result<Option<InputRange>, E> {
        let name = again.def.name.clone();
        let gone = |why: &dyn Display| gone(&name, feed, partition, position, why);
        let at = feed.at(partition);
        let mut reader = feed.reader().map_err(EngineError::of_statement)?;
        reader.assign(&at, position.start).map_err(|error| gone(&error))?;
        let mut running = Running::new(again.def.id, position.start);
        let mut done = false;
        while !done {
            self.shared.go_on()?;
            let mut records = match reader.poll(POLL_RECORDS_MAX, POLL_WAIT) {
                Err(LogError::Retriable(reason)) => {
                    tracing::warn!(table = %name, "reading the source again waits: {reason}");
                    continue;
                }
                polled => polled.map_err(|error| gone(&error))?,
            };
            done = match records.last() {
                Some(last) => last.offset.0 + 1 >= position.next.0,
                None => reader.at_end(&at).map_err(|error| gone(&error))?,
            };
            records.retain(|record| record.offset < position.next);
            let decoded = again.decode(&records, None)?;
            running.push(&records, decoded.dead.len() as u64);
            out(decoded.delta)?;
        }
        if running.count() != position.records {
            let left = format!("{} records came from there, and {} are left", position.records, running.count());
            return Err(gone(&left).into());
        }
        Ok(running.finish())
    }
}

/// What a source began with is not in its topic any more, or cannot be read.
fn gone(name: &str, feed: &Feed, partition: Partition, position: &Position, why: &dyn Display) -> EngineError {
    let message = format!(
        "a stream table over source {name} starts with all that the source passed on, and {} offsets {} to {} cannot be read \
         again: {why}",
        feed.transport.place(&feed.at(partition)),
        position.start,
        position.next
    );
    let hint = "if records have expired, make another source, which starts at what is there (or say start = 'latest'); or use \
                CREATE TABLE, which keeps the rows";
    StatementError {
        sqlstate: "55000",
        message,
        hint: Some(hint.to_string()),
        detail: None,
        position: None,
        about: None,
    }
    .into()
}
