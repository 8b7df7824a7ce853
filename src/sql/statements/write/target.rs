//! The table that a statement writes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use dataflow::StatementError;
use datafusion::sql::sqlparser::ast::{ObjectName, Spanned};
use plan::{Catalog, Identity, TableDef, TableKind};

use super::super::constraint::{Constraints, Default};
use super::super::cursor::object_name;
use super::super::value;
use super::Run;
use crate::error::{Detail, Result, code, error, from_datafusion};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) def: Arc<TableDef>,
    /// The name that its columns are known by in the statement.
    pub(super) name: String,
    pub(super) defaults: Vec<Option<Default>>,
    pub(super) constraints: Arc<Constraints>,
}

impl Target {
    /// The table of a name. `doing` is for the message: `insert into`.
    pub(super) fn new(name: &ObjectName, alias: Option<String>, catalog: &Catalog, doing: &str) -> Result<Self> {
        Self::named(&object_name(name).at(name.span())?, alias, catalog, doing).at(name.span())
    }

    fn named(name: &str, alias: Option<String>, catalog: &Catalog, doing: &str) -> Result<Self> {
        let def = catalog.table_named(name).ok_or_else(|| missing(name, catalog, doing))?;
        let own = match &def.kind {
            TableKind::Source(source) => source.own.as_ref().ok_or_else(|| not_own(name, def, doing))?,
            TableKind::Stream(_) => return Err(not_own(name, def, doing)),
        };
        let mut defaults = Vec::with_capacity(def.columns.0.len());
        for (at, column) in def.columns.0.iter().enumerate() {
            let sql = own.defaults.get(at).and_then(Option::as_ref).filter(|_| def.sequence_of(at).is_none());
            defaults.push(sql.map(|sql| Default::new(sql, column)).transpose()?);
        }
        let constraints = Constraints::new(name, &def.columns, &own.checks)?;
        Ok(Self {
            def: Arc::new(def.clone()),
            name: alias.unwrap_or_else(|| name.to_string()),
            defaults,
            constraints: Arc::new(constraints),
        })
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        self.def.columns.position(name).ok_or_else(|| {
            let names: Vec<&str> = self.def.columns.0.iter().map(|column| column.name.as_str()).take(50).collect();
            error(code::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{}\" does not exist", self.def.name))
                .with_hint(format!("its columns are {}; names in upper case are quoted", names.join(", ")))
        })
    }

    /// Whether all rows of a statement have the same default of a column.
    pub(super) fn has_one_default(&self, at: usize) -> bool {
        self.def.sequence_of(at).is_none() && self.defaults[at].as_ref().is_none_or(Default::is_one)
    }

    /// The values of a column are given by its sequence alone: UPDATE may set none.
    pub(super) fn refuse_set(&self, at: usize) -> Result<()> {
        if self.def.sequence_of(at).and_then(|sequence| sequence.identity) != Some(Identity::Always) {
            return Ok(());
        }
        let name = &self.def.columns.0[at].name;
        Err(self.generated(at, format!("column \"{name}\" can only be updated to DEFAULT")))
    }

    /// The error of a value for a column that is GENERATED ALWAYS.
    pub(super) fn generated(&self, at: usize, message: String) -> StatementError {
        let name = &self.def.columns.0[at].name;
        let detail = Some(format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS."));
        StatementError { detail, ..error("428C9", message) }
    }

    /// A column's defaults for so many rows.
    pub(super) fn default(&self, at: usize, rows: usize, run: &Run<'_>) -> Result<ArrayRef> {
        if let Some(sequence) = self.def.sequence_of(at) {
            let values = Int64Array::from(run.numbers.take(&self.def, sequence, rows)?);
            return cast(&values, &self.def.columns.0[at].ty.arrow()).map_err(|e| from_datafusion(e.into()));
        }
        match &self.defaults[at] {
            Some(default) => default.values(rows, run.moment),
            None => value::repeated(&crate::expr::literal::null(self.def.columns.0[at].ty)?, rows),
        }
    }

    /// Rows of the table of its columns' values.
    pub(super) fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.def.columns.schema(), columns, &options)
            .map_err(|e| from_datafusion(e.into()))
    }

    /// No rows.
    pub(super) fn nothing(&self) -> RecordBatch {
        RecordBatch::new_empty(self.def.columns.schema())
    }
}

fn missing(name: &str, catalog: &Catalog, doing: &str) -> dataflow::StatementError {
    if catalog.sink_named(name).is_some() {
        return error(code::WRONG_OBJECT_TYPE, format!("cannot {doing} sink \"{name}\""))
            .with_hint("its records are the changes of its table: write into a table of your own");
    }
    error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
        .with_hint("SHOW TABLES lists what there is")
}

fn not_own(name: &str, def: &TableDef, doing: &str) -> dataflow::StatementError {
    let (what, hint) = match &def.kind {
        TableKind::Stream(_) => {
            ("stream table", "its rows are those of its query: change the tables that the query reads".to_string())
        }
        TableKind::Source(source) => (
            if source.stored { "table" } else { "source" },
            format!(
                "its rows come from {} '{}' (connector '{}'): write them there; a table without a connector is written \
                 by SQL",
                if source.connector == "file" { "file" } else { "topic" },
                source.topic,
                source.connector
            ),
        ),
    };
    error(code::WRONG_OBJECT_TYPE, format!("cannot {doing} {what} \"{name}\"")).with_hint(hint)
}
