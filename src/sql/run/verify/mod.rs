//! VERIFY STREAM TABLE v: v's query computed again from the rows of its inputs, on one epoch's view, and compared with v's rows.
//!
//! What is verified came by deltas through our operators; what it is compared with is computed at once, by DataFusion's
//! operators, in the way of a client's query: of the two ways only the expressions are the same code. It reads snapshots, so
//! that nothing waits for it, within the statement's memory and time. No row of the answer: the contents are exactly those of
//! the query. A row in it: `missing` (the query has it so much more often), `unexpected` (the table has), `count` (SHOW STREAM
//! TABLES says another number of rows than there are).

mod difference;
mod inputs;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use dataflow::{Limits, Prepared, Read, ResultColumn, ResultType, Rows, StatementError, View, Work};
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt;
use plan::{Catalog, StreamDef, TableDef, TableId, TableKind};
use zset::{Column, ColumnType, RowType};

use super::context::Context;
use super::{settle, stream, substitute};
use crate::error::{Detail, Result, code, error, from_parser, from_row, syntax};
use crate::expr::parameter::Parameters;
use crate::statements::Cursor;
use crate::{expr, query};
use difference::{Compared, Different};

/// The rows that are listed of one table; the others are counted.
const LISTED_MAX: usize = 100;

/// What there is to verify: one table, or all.
#[derive(Debug)]
struct Verify {
    table: Option<TableId>,
}

/// Prepares it; the cursor is behind VERIFY.
pub(crate) fn prepare(cursor: &mut Cursor, catalog: &Catalog) -> Result<Prepared> {
    let table = if cursor.eat(&["STREAM", "TABLES"]) || cursor.eat(&["MATERIALIZED", "VIEWS"]) {
        None
    } else if cursor.eat(&["STREAM", "TABLE"]) || cursor.eat(&["MATERIALIZED", "VIEW"]) {
        let span = cursor.span();
        Some(stream_table(&cursor.name()?, catalog).at(span)?)
    } else {
        let hint = "VERIFY STREAM TABLE name compares one with its query, VERIFY STREAM TABLES all of them";
        return Err(syntax(format!("syntax error at or near \"{}\"", cursor.peek_text()))
            .with_hint(hint)
            .at(cursor.span()));
    };
    cursor.end()?;
    let columns = columns().0.into_iter().map(|c| ResultColumn { name: c.name, ty: ResultType::Column(c.ty) });
    let work = Work::Read(Arc::new(Verify { table }));
    Ok(Prepared { parameters: Vec::new(), columns: columns.collect(), notices: Vec::new(), work })
}

fn stream_table(name: &str, catalog: &Catalog) -> Result<TableId> {
    let Some(def) = catalog.table_named(name) else {
        return Err(error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .with_hint("SHOW STREAM TABLES lists what can be verified"));
    };
    match def.kind {
        TableKind::Stream(_) => Ok(def.id),
        TableKind::Source(_) => Err(error(code::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a stream table"))
            .with_hint(
                "a table has no query that its rows could be compared with; SHOW STREAM TABLES lists those that do",
            )),
    }
}

fn columns() -> RowType {
    RowType(vec![
        Column::new("table", ColumnType::Text, true),
        Column::new("difference", ColumnType::Text, true),
        Column::new("weight", ColumnType::BigInt, true),
        Column::new("row", ColumnType::Text, true),
    ])
}

impl Read for Verify {
    fn run(&self, _: &[Option<String>], view: &Arc<View>, limits: &Limits) -> Result<Rows, StatementError> {
        let (view, limits) = (Arc::clone(view), limits.clone());
        let Some(id) = self.table else {
            let all: Vec<TableDef> = view.catalog.tables().filter(|def| def.source().is_none()).cloned().collect();
            let each = move |def: TableDef| match verified(&def, &view, &limits) {
                // one that cannot be verified now says why, and the others are
                Err(e) if e.sqlstate == NOT_NOW || e.sqlstate == code::NOT_SUPPORTED => {
                    Ok(Lines::default().with(&def, "unverified", None, e.message).batch())
                }
                other => other,
            };
            return Ok(Box::new(all.into_iter().map(each).filter(is_something)));
        };
        let one = std::iter::once_with(move || {
            let gone = || error(code::UNDEFINED_TABLE, "the stream table was dropped");
            verified(view.catalog.table(id).ok_or_else(gone)?, &view, &limits)
        });
        Ok(Box::new(one.filter(is_something)))
    }
}

/// Errors and batches with rows.
fn is_something(batch: &Result<RecordBatch>) -> bool {
    batch.as_ref().map_or(true, |batch| batch.num_rows() > 0)
}

/// PostgreSQL's code for an object that is not in the state for this.
const NOT_NOW: &str = "55000";

/// The rows of the answer for one table.
fn verified(def: &TableDef, view: &Arc<View>, limits: &Limits) -> Result<RecordBatch> {
    let TableKind::Stream(query) = &def.kind else {
        return Err(error(code::INTERNAL, format!("table {} has no query", def.name)));
    };
    let rows = view.tables.get(&def.id).ok_or_else(|| {
        error(code::INTERNAL, format!("the view of epoch {} does not have table {}", view.epoch, def.name))
    })?;
    inputs::refuse_those_not_stored(def, query, &view.catalog)?;
    if let Some(trouble) = &rows.trouble {
        return Err(error(NOT_NOW, format!("cannot verify stream table {}: it {trouble}", def.name))
            .with_hint("its rows are those from before, and no epoch's query; mend what it says, then verify"));
    }
    let again = Again { plan: planned(def, query, view)?, columns: &def.columns, view, limits };
    let compared = difference::compare(rows, &again)?;
    lines(def, &compared).map(Lines::batch)
}

/// The plan of a stream table's query over the view's tables.
fn planned(def: &TableDef, query: &StreamDef, view: &View) -> Result<LogicalPlan> {
    let catalog = view.catalog.as_planned(query);
    let ast = Cursor::new(&query.query)?.parser.parse_query().map_err(from_parser)?;
    let planned = query::client(&ast, &catalog, &mut Parameters::new(&[]))?;
    let types = |columns: &RowType| columns.0.iter().map(|column| column.ty).collect::<Vec<_>>();
    let now: Vec<ColumnType> = planned.columns.iter().map(|column| column.ty).collect();
    if now != types(&def.columns) {
        return Err(error(
            code::INTERNAL,
            format!(
                "this version of millstream gives the query of {} the types {now:?}, the table has others",
                def.name
            ),
        ));
    }
    inputs::as_they_are(substitute::values(planned.plan, &[], view.timestamp)?, query, &view.catalog)
}

/// A query that can be computed again and again, each time with all the memory.
struct Again<'a> {
    plan: LogicalPlan,
    /// The table's.
    columns: &'a RowType,
    view: &'a Arc<View>,
    limits: &'a Limits,
}

impl Again<'_> {
    /// A batch in the table's types.
    fn typed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.columns.schema(), batch.columns().to_vec(), &options)
            .map_err(|e| error(code::INTERNAL, format!("the query's rows are of other types than the table's: {e}")))
    }

    /// Gives every batch of the answer to `take`, which may keep things within the context's memory.
    fn run(&self, take: &mut dyn FnMut(&RecordBatch, &Context) -> Result<()>) -> Result<Context> {
        let context = Context::new(self.view, self.limits)?;
        let mut batches = context.started(settle::optimized(self.plan.clone())?)?;
        loop {
            context.watch().check()?;
            let Some(batch) = stream::block_on(batches.next()) else { return Ok(context) };
            take(&self.typed(&batch.map_err(|e| context.failed(e))?)?, &context)?;
        }
    }
}

/// The answer's rows, as they are gathered.
#[derive(Default)]
struct Lines {
    table: Vec<String>,
    difference: Vec<&'static str>,
    weight: Vec<Option<i64>>,
    row: Vec<String>,
}

impl Lines {
    fn with(mut self, def: &TableDef, difference: &'static str, weight: Option<i64>, row: String) -> Self {
        self.table.push(def.name.clone());
        self.difference.push(difference);
        self.weight.push(weight);
        self.row.push(row);
        self
    }

    fn batch(self) -> RecordBatch {
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.table)),
            Arc::new(StringArray::from(self.difference)),
            Arc::new(Int64Array::from(self.weight)),
            Arc::new(StringArray::from(self.row)),
        ];
        RecordBatch::try_new(columns().schema(), arrays).expect("four columns of their types")
    }
}

fn lines(def: &TableDef, compared: &Compared) -> Result<Lines> {
    let Compared { there, counted, different } = compared;
    let mut lines = Lines::default();
    if there != counted {
        let text = format!("SHOW STREAM TABLES counts {counted} rows, there are {there}");
        lines = lines.with(def, "count", Some(counted.saturating_sub(*there)), text);
    }
    let listed = &different[..different.len().min(LISTED_MAX)];
    for (Different { weight, .. }, text) in listed.iter().zip(shown(&def.columns, listed)?) {
        lines =
            lines.with(def, if *weight < 0 { "missing" } else { "unexpected" }, Some(weight.saturating_abs()), text);
    }
    if let Some(others) = different.len().checked_sub(LISTED_MAX + 1).map(|others| others + 1) {
        let missing = different.iter().filter(|row| row.weight < 0).count();
        let text = format!(
            "and {others} more: in all {missing} different rows are missing, {} unexpected",
            different.len() - missing
        );
        lines = lines.with(def, "more", Some(i64::try_from(others).unwrap_or(i64::MAX)), text);
    }
    Ok(lines)
}

/// Rows as text: `(id=1, name=x, note=NULL)`.
fn shown(columns: &RowType, rows: &[Different]) -> Result<Vec<String>> {
    let codec = zset::RowCodec::new(columns.schema());
    let batch = codec.decode_batch(rows.iter().map(|row| row.bytes.as_ref()));
    let mut texts = vec![String::from("("); rows.len()];
    for (at, (column, values)) in columns.0.iter().zip(batch.columns()).enumerate() {
        let values = expr::text_form(column.ty, values).map_err(from_row)?;
        let values = values.as_any().downcast_ref::<StringArray>();
        let values = values.ok_or_else(|| error(code::INTERNAL, "a text form is no text"))?;
        for (text, value) in texts.iter_mut().zip(values) {
            let comma = if at == 0 { "" } else { ", " };
            text.push_str(&format!("{comma}{}={}", column.name, value.unwrap_or("NULL")));
        }
    }
    texts.iter_mut().for_each(|text| text.push(')'));
    Ok(texts)
}
