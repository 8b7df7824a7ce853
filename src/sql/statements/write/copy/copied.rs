//! The rows that a COPY read, on their way into the table. Its client cannot be asked for them again: where another statement would
//! be evaluated anew, it fails.

use std::sync::Arc;

use arrow::array::RecordBatch;
use dataflow::{Limits, RowChanges, StatementError, View, Write, Written};
use plan::{SequenceMark, TableId};
use zset::Epoch;

use super::super::target::Target;
use crate::error::{Detail, error};

/// The rows of a COPY, to be written.
#[derive(Debug)]
pub(super) struct Copied {
    pub target: Target,
    pub rows: RecordBatch,
    pub sequences: Vec<SequenceMark>,
    /// The epoch of the view that its numbers were taken on.
    pub seen: Epoch,
}

impl Write for Copied {
    fn table(&self) -> TableId {
        self.target.def.id
    }

    fn reads_its_table(&self) -> bool {
        false
    }

    fn evaluate(&self, _: &[Option<String>], view: &Arc<View>, _: &Limits) -> Result<Written, StatementError> {
        let def = &self.target.def;
        let meanwhile = |what: &str| {
            let message = format!("{what} while rows were copied into it");
            error("40001", message).with_hint("copy them again")
        };
        if !view.catalog.table(def.id).is_some_and(|now| now.has_rows_of(def)) {
            return Err(meanwhile(&format!("table \"{}\" was altered", def.name)));
        }
        let changes = RowChanges {
            table: def.id,
            evaluated_on: Arc::clone(def),
            seen: self.seen,
            gone: self.target.nothing(),
            come: self.rows.clone(),
            arbiters: Vec::new(),
            sequences: self.sequences.clone(),
            restarts: false,
        };
        if view.tables.get(&def.id).is_some_and(|now| now.last.conflicts(&changes)) {
            return Err(meanwhile(&format!("the sequences of table \"{}\" were restarted", def.name)));
        }
        Ok(Written { changes, tag: format!("COPY {}", self.rows.num_rows()), returning: Vec::new() })
    }
}
