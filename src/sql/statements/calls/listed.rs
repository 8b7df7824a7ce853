//! Queries that call functions of sequences. `currval` and `lastval` may stand anywhere; `nextval` and `setval` are items of the
//! list: the query is run with values in their place, and then they are called, row by row of its answer.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Int64Type, Schema};
use dataflow::{Limits, Prepared, Read, ResultColumn, ResultType, RowChanges, Rows, View, Work, Written};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, Query, SelectItem, SetExpr, Spanned, visit_expressions,
};
use plan::{Catalog, Sequence, TableId};
use zset::ColumnType;

use super::super::cursor::identifier;
use super::super::write::numbers::Numbers;
use super::{Asks, Call, arguments, number, replace_serial_names, sequence};
use crate::error::{Detail, Result, code, error, from_datafusion, unsupported};
use crate::expr::names;
use crate::expr::parameter::Parameters;
use crate::query;
use crate::run::Runnable;

/// What is called in a query, besides pg_get_serial_sequence.
fn called(query: &Query) -> (bool, bool) {
    let (mut any, mut changes) = (false, false);
    let _: ControlFlow<()> = visit_expressions(query, |expr| {
        if let Some((kind, _)) = Call::of(expr).filter(|(kind, _)| *kind != Call::SerialName) {
            any = true;
            changes |= kind.changes();
        }
        ControlFlow::Continue(())
    });
    (any, changes)
}

/// Prepares a query that calls one of the functions; `None` if it does not.
pub(crate) fn prepare(asked: &Query, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Option<Prepared>> {
    let (any, changes) = called(asked);
    if !any {
        return Ok(None);
    }
    let mut asked = asked.clone();
    replace_serial_names(&mut asked, catalog)?;
    let listed = if changes { Listed::new(&asked, catalog)? } else { Listed { query: asked, items: Vec::new() } };
    let mut shown = listed.query.clone();
    asks(catalog, None).settle(&mut shown)?;
    let mut parameters = Parameters::new(types);
    let planned = query::client(&shown, catalog, &mut parameters)?;
    let parameters = parameters.types();
    let hidden = listed.items.iter().filter(|item| item.given.is_some()).count();
    let shown = planned.columns.len() - hidden;
    let columns: Vec<ResultColumn> = planned.columns[..shown]
        .iter()
        .map(|column| ResultColumn { name: column.name.clone(), ty: ResultType::Column(column.ty) })
        .collect();
    let run = Arc::new(Calls { listed, parameters: parameters.clone(), shown });
    let work = if changes { Work::Write(run) } else { Work::Read(run) };
    Ok(Some(Prepared { parameters, columns, notices: Vec::new(), work }))
}

fn asks<'a>(catalog: &'a Catalog, numbers: Option<&'a Numbers<'a>>) -> Asks<'a> {
    Asks { catalog, numbers, each_once: false, written: None }
}

/// A query whose list has calls that change sequences: values stand in their place that the calls are made with.
#[derive(Debug)]
struct Listed {
    query: Query,
    items: Vec<Item>,
}

/// A call in the list.
#[derive(Debug)]
struct Item {
    /// Its column.
    at: usize,
    table: TableId,
    sequence: Sequence,
    /// setval: its value is in the column; else nextval.
    sets: bool,
    /// The column, behind those of the list, that says whether the value counts as given.
    given: Option<usize>,
}

impl Listed {
    fn new(asked: &Query, catalog: &Catalog) -> Result<Self> {
        let mut query = asked.clone();
        let SetExpr::Select(select) = query.body.as_mut() else { return Err(not_listed()) };
        if select.distinct.is_some() {
            return Err(not_listed());
        }
        let mut items = Vec::new();
        let mut behind = Vec::new();
        let length = select.projection.len();
        for (at, item) in select.projection.iter_mut().enumerate() {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (&*expr, names::column_name(expr)),
                SelectItem::ExprWithAlias { expr, alias } => (&*expr, identifier(alias)),
                _ => continue,
            };
            let Some((kind, call)) = Call::of(expr).filter(|(kind, _)| kind.changes()) else { continue };
            let arguments = arguments(call, if kind == Call::Set { &[2, 3] } else { &[1] }).at(call.span())?;
            let (table, of) = sequence(arguments[0], catalog)?;
            let given = arguments.get(2).map(|given| {
                behind.push(cast((*given).clone(), DataType::Boolean));
                length + behind.len() - 1
            });
            let value = match kind {
                Call::Set => cast(arguments[1].clone(), DataType::BigInt(None)),
                _ => number(0),
            };
            items.push(Item { at, table: table.id, sequence: of.clone(), sets: kind == Call::Set, given });
            *item = SelectItem::ExprWithAlias { expr: value, alias: Ident::with_quote('"', alias) };
        }
        let both = |item: &Item| {
            items.iter().any(|other| {
                item.sets && !other.sets && (item.table, item.sequence.slot) == (other.table, other.sequence.slot)
            })
        };
        if items.iter().any(both) {
            return Err(unsupported("setval and nextval of one sequence in a SELECT", "write two statements"));
        }
        let starred = select
            .projection
            .iter()
            .any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
        if starred {
            return Err(not_listed());
        }
        select.projection.extend(behind.into_iter().map(SelectItem::UnnamedExpr));
        if called(&query).1 {
            return Err(not_listed());
        }
        Ok(Self { query, items })
    }
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    let expr = Box::new(Expr::Nested(Box::new(expr)));
    Expr::Cast { kind: CastKind::DoubleColon, expr, data_type, array: false, format: None }
}

fn not_listed() -> dataflow::StatementError {
    unsupported(
        "nextval or setval inside of an expression or a subquery",
        "call it as an item of the list of a plain SELECT: SELECT nextval('t_id_seq')",
    )
}

/// A query with calls, planned anew for every run.
#[derive(Debug)]
struct Calls {
    listed: Listed,
    parameters: Vec<ColumnType>,
    /// How many columns its answer has.
    shown: usize,
}

impl Calls {
    fn runnable(&self, view: &View, numbers: &Numbers<'_>) -> Result<Runnable> {
        let mut query = self.listed.query.clone();
        asks(&view.catalog, Some(numbers)).settle(&mut query)?;
        let types: Vec<Option<ColumnType>> = self.parameters.iter().copied().map(Some).collect();
        let mut parameters = Parameters::new(&types);
        let planned = query::client(&query, &view.catalog, &mut parameters)?;
        Ok(Runnable::new(planned, parameters))
    }

    /// Makes the calls of every row, in the order of the list.
    fn call(&self, batch: &RecordBatch, view: &View, numbers: &Numbers<'_>) -> Result<RecordBatch> {
        let mut columns: Vec<Vec<Option<i64>>> = vec![Vec::new(); self.listed.items.len()];
        for row in 0..batch.num_rows() {
            for (item, column) in self.listed.items.iter().zip(&mut columns) {
                column.push(item.call(batch, row, view, numbers)?);
            }
        }
        let mut arrays: Vec<ArrayRef> = batch.columns()[..self.shown].to_vec();
        for (item, column) in self.listed.items.iter().zip(columns) {
            arrays[item.at] = Arc::new(Int64Array::from(column));
        }
        let field =
            |(array, field): (&ArrayRef, &Arc<Field>)| Field::new(field.name(), array.data_type().clone(), true);
        let fields: Vec<Field> = arrays.iter().zip(batch.schema_ref().fields()).map(field).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|e| from_datafusion(e.into()))
    }
}

impl Item {
    fn call(&self, batch: &RecordBatch, row: usize, view: &View, numbers: &Numbers<'_>) -> Result<Option<i64>> {
        let gone = || error(code::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", self.sequence.name));
        let table = view.catalog.table(self.table).ok_or_else(gone)?;
        if !self.sets {
            return Ok(Some(numbers.take(table, &self.sequence, 1)?[0]));
        }
        let values = batch.column(self.at).as_primitive::<Int64Type>();
        let given: Option<&BooleanArray> = self.given.map(|at| batch.column(at).as_boolean());
        if values.is_null(row) || given.is_some_and(|given| given.is_null(row)) {
            return Ok(None);
        }
        numbers.set(table, &self.sequence, values.value(row), given.is_none_or(|given| given.value(row)))?;
        Ok(Some(values.value(row)))
    }
}

impl Read for Calls {
    fn run(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits) -> Result<Rows> {
        let numbers = Numbers::new(&view.sequences, &limits.session);
        self.runnable(view, &numbers)?.run(values, view, limits)
    }
}

impl dataflow::Write for Calls {
    fn table(&self) -> TableId {
        self.listed.items[0].table
    }

    fn reads_its_table(&self) -> bool {
        false
    }

    fn is_of_sequences(&self) -> bool {
        true
    }

    fn evaluate(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits) -> Result<Written> {
        let numbers = Numbers::new(&view.sequences, &limits.session);
        let mut returning = Vec::new();
        for batch in self.runnable(view, &numbers)?.run(values, view, limits)? {
            returning.push(self.call(&batch?, view, &numbers)?);
        }
        let table = self.table();
        let gone = || error(code::UNDEFINED_TABLE, "the sequence's table does not exist any more");
        let def = view.catalog.table(table).ok_or_else(gone)?;
        let nothing = RecordBatch::new_empty(def.columns.schema());
        let count: usize = returning.iter().map(RecordBatch::num_rows).sum();
        let changes = RowChanges {
            table,
            evaluated_on: Arc::new(def.clone()),
            seen: view.epoch,
            gone: nothing.clone(),
            come: nothing,
            arbiters: Vec::new(),
            sequences: numbers.marks(),
            restarts: false,
        };
        Ok(Written { changes, tag: format!("SELECT {count}"), returning })
    }
}
