//! Writing rows of a table of our own without SQL: rows are JSON objects, as `Running::rows` shows them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use arrow::array::RecordBatch;
use dataflow::RowChanges;
use plan::{Envelope, Options, TableDef};
use schemas::{DecoderSpec, RawRecord};
use zset::{Epoch, RowType};

use super::world::Running;
use crate::run::Event;
use crate::{EngineError, WriteError};

/// What a statement is answered.
pub type Answer = Result<Epoch, WriteError>;

/// Rows of columns.
pub fn rows(columns: &RowType, json: &[&str]) -> RecordBatch {
    let options = [("decimal_handling_mode", "string"), ("time_precision_mode", "isostring")];
    let options = Options(options.map(|(name, value)| (name.to_string(), value.to_string())).into());
    let spec = DecoderSpec { table: "t", columns, key: &[], envelope: Envelope::Append, options: &options };
    let raw: Vec<RawRecord<'_>> = json.iter().map(|row| RawRecord::new(None, Some(row.as_bytes()))).collect();
    let decoded = schemas::decoder(&spec).unwrap().decode(&raw);
    assert_eq!(decoded.dead, [], "{json:?}");
    decoded.changes.rows
}

/// What a statement changes in a table, seen from the newest view: rows go, rows come.
pub fn row_changes(def: &TableDef, gone: &[&str], come: &[&str]) -> RowChanges {
    RowChanges {
        table: def.id,
        evaluated_on: Arc::new(def.clone()),
        seen: Epoch(u64::MAX),
        gone: rows(&def.columns, gone),
        come: rows(&def.columns, come),
        arbiters: Vec::new(),
        sequences: Vec::new(),
        restarts: false,
    }
}

impl Running {
    pub fn def(&self, table: &str) -> TableDef {
        self.handle.view().catalog.table_named(table).unwrap_or_else(|| panic!("no table {table}")).clone()
    }

    /// What a statement changes: rows go, rows come.
    pub fn changes(&self, table: &str, gone: &[&str], come: &[&str]) -> RowChanges {
        row_changes(&self.def(table), gone, come)
    }

    /// A statement.
    pub fn write(&self, table: &str, gone: &[&str], come: &[&str]) -> Answer {
        self.handle.write(self.changes(table, gone, come))
    }

    pub fn insert(&self, table: &str, come: &[&str]) -> Epoch {
        self.write(table, &[], come).unwrap()
    }

    /// Sends a statement, and does not wait for the answer.
    pub fn send(&self, changes: RowChanges) -> Receiver<Answer> {
        let (reply, answer) = channel();
        self.handle.events.send(Event::Write { changes: vec![changes], reply }).unwrap();
        answer
    }
}

/// The SQLSTATE of a refusal.
pub fn sqlstate(answer: &Answer) -> &'static str {
    match answer {
        Err(WriteError::Engine(error)) => error.sqlstate(),
        other => panic!("not refused: {other:?}"),
    }
}

/// The DETAIL of a refusal, and its message.
pub fn told(answer: &Answer) -> (String, String) {
    match answer {
        Err(WriteError::Engine(EngineError::Statement(error))) => {
            (error.message.clone(), error.detail.clone().unwrap_or_default())
        }
        other => panic!("not refused: {other:?}"),
    }
}

pub fn is_conflict(answer: &Answer) -> bool {
    matches!(answer, Err(WriteError::Conflict))
}

/// Rows, each so many times.
pub fn only<const N: usize>(rows: [(&str, i64); N]) -> BTreeMap<String, i64> {
    rows.into_iter().map(|(row, weight)| (row.to_string(), weight)).collect()
}

/// Rows, each once.
pub fn once<S: Into<String>>(rows: impl IntoIterator<Item = S>) -> BTreeMap<String, i64> {
    rows.into_iter().map(|row| (row.into(), 1)).collect()
}
