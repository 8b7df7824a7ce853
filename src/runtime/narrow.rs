//! Which columns of a source are decoded: of one that is not stored, and whose rows only come, those that stream tables read.
//!
//! The other columns hold one and the same value in all rows; what is wrong with theirs is found all the same. All columns are decoded
//! where whole rows are needed: of a record that tells the digest of the source's rows, and for a table that cannot be refreshed, which
//! keeps the rows that wait (another version may plan it so that it reads other columns of them) and names the one that it failed at. That
//! it cannot be refreshed may be known only when the epoch is decoded: then it is decoded again.

use std::collections::BTreeMap;

use api::Record;
use plan::{TableId, TableKind};
use zset::Delta;

use crate::group::Input;
use crate::stage::Staged;
use crate::table::Work;
use crate::{Engine, EngineError, alter};

impl Engine {
    /// Of a source's columns those that are read, now; `None`: all.
    pub(crate) fn columns_read(&self, id: TableId, staged: &Staged) -> Option<Vec<bool>> {
        let def = &self.tables.get(&id)?.def;
        let has_sink = || self.sinks.values().any(|sink| sink.def.input == id);
        if !def.only_passes_on() || staged.told.contains(&id) || has_sink() {
            return None;
        }
        let mut read = vec![false; def.columns.0.len()];
        for table in self.tables.values() {
            let (TableKind::Stream(stream), Work::Stream { flow, .. }) = (&table.def.kind, &table.work) else {
                continue;
            };
            let Some(input) = stream.inputs.iter().position(|input| *input == id) else { continue };
            if table.error.is_some() && !table.suspended {
                return None;
            }
            let positions = stream.input_positions.get(input);
            let columns = flow.reads(id).into_iter().flatten().enumerate().filter(|(_, is_read)| **is_read);
            // Where a column stands now that stood there when the table was planned.
            columns
                .filter_map(|(at, _)| positions.map_or(Some(at), |positions| positions[at]))
                .for_each(|at| read[at] = true);
        }
        read.contains(&false).then_some(read)
    }

    /// The changes that reach a stream table that cannot be refreshed: whole rows, where only some columns were decoded.
    pub(crate) fn whole(
        &mut self,
        staged: &mut Staged,
        id: TableId,
        inputs: BTreeMap<TableId, Delta>,
        records: Option<&Input>,
    ) -> Result<BTreeMap<TableId, Delta>, EngineError> {
        let narrow = std::mem::take(&mut staged.narrow);
        if narrow.is_empty() {
            return Ok(inputs);
        }
        for source in narrow {
            let records = records.and_then(|records| records.get(&source)).expect("the records that were decoded");
            let delta = self.decoded_whole(source, records)?;
            if !delta.is_empty() {
                staged.deltas.insert(source, delta);
            }
        }
        let TableKind::Stream(stream) = &self.tables[&id].def.kind else {
            unreachable!("only stream tables are refreshed")
        };
        let seen = |input: &TableId| Some((*input, alter::seen_by(stream, *input, staged.deltas.get(input)?)));
        Ok(inputs.keys().filter_map(seen).collect())
    }

    /// What records of a source say, in all columns. By a decoder of its own: the other one counts what it has seen.
    fn decoded_whole(&self, id: TableId, records: &[Record]) -> Result<Delta, EngineError> {
        let def = self.tables[&id].def.clone();
        let TableKind::Source(source) = &def.kind else { unreachable!("only sources have records") };
        let source = source.clone();
        Ok(self.new_source(def, &source)?.decode(records, None)?.delta)
    }
}
