//! INSERT INTO t [(columns)] VALUES ... | SELECT ... | DEFAULT VALUES.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::Schema;
use dataflow::Eval;
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Insert as InsertAst, Query, SelectItem, SetExpr, Spanned, TableObject,
};
use plan::Catalog;
use zset::Column;

use super::super::assign::assign;
use super::super::constraint::Default;
use super::super::cursor::{identifier, object_name};
use super::super::value;
use super::rows::{RowQuery, select, typed_by};
use super::target::Target;
use super::{Change, Planned, Rows, Run};
use crate::error::{Detail, Result, code, error, from_datafusion, from_row, syntax, unsupported};
use crate::expr::eval::compile;
use crate::expr::literal;
use crate::expr::parameter::Parameters;

/// What becomes of a column in one row.
#[derive(Debug)]
enum Cell {
    Default,
    /// A value of the column's type, over nothing; it may have parameters.
    Value(Expr),
}

/// Where the rows come from.
#[derive(Debug)]
enum Source {
    /// VALUES: for each row the cells of the columns given.
    Values(Vec<Vec<Cell>>),
    /// VALUES of one row with queries in it: which columns the query gives; the others are DEFAULT.
    Row(Vec<usize>, RowQuery),
    /// A query, whose columns are the first of those given.
    Query(RowQuery),
}

#[derive(Debug)]
struct Insert {
    /// The columns given; the others get their defaults.
    columns: Vec<usize>,
    sources: Vec<Source>,
}

/// Whether the rows are written out.
pub(super) fn is_values(ast: &InsertAst) -> bool {
    ast.source.as_ref().is_none_or(|query| bare_values(query).is_some())
}

/// The rows of a query that is VALUES and nothing else.
fn bare_values(query: &Query) -> Option<&[datafusion::sql::sqlparser::ast::Parens<Vec<Ast>>]> {
    match query.body.as_ref() {
        SetExpr::Values(values)
            if query.with.is_none()
                && query.order_by.is_none()
                && query.limit_clause.is_none()
                && query.fetch.is_none()
                && !values.explicit_row
                && !values.value_keyword =>
        {
            Some(&values.rows)
        }
        _ => None,
    }
}

pub(super) fn plan<'a>(ast: &'a InsertAst, catalog: &Catalog, parameters: &mut Parameters) -> Result<Planned<'a>> {
    refuse_clauses(ast)?;
    let TableObject::TableName(name) = &ast.table else {
        return Err(unsupported("INSERT INTO a function or query", "name a table"));
    };
    let alias = ast.table_alias.as_ref().map(|alias| identifier(&alias.alias));
    let target = Target::new(name, alias, catalog, "insert into")?;
    let mut columns = columns(ast, &target)?;
    let explicit = !ast.columns.is_empty();
    let sources = match &ast.source {
        None => {
            columns.clear();
            vec![Source::Values(vec![Vec::new()])]
        }
        Some(query) => match bare_values(query) {
            Some(rows) => values(rows, &mut columns, explicit, &target, catalog, parameters)?,
            None => {
                let of: Vec<&Column> = columns.iter().map(|&at| &target.def.columns.0[at]).collect();
                let rows = RowQuery::new(&with_types(query, &of)?, &of, catalog, parameters)?;
                columns.truncate(width(rows.width(), columns.len(), explicit)?);
                vec![Source::Query(rows)]
            }
        },
    };
    let insert = Insert { columns, sources };
    Ok((target, Box::new(insert), ast.returning.as_deref()))
}

fn refuse_clauses(ast: &InsertAst) -> Result<()> {
    if ast.on.is_some() {
        return Err(unsupported(
            "INSERT ... ON CONFLICT",
            "UPDATE the row first and INSERT it if there was none, or DELETE and INSERT it",
        ));
    }
    let others = [
        (ast.or.is_some() || ast.ignore || ast.replace_into, "INSERT OR, IGNORE or REPLACE"),
        (ast.overwrite || ast.partitioned.is_some() || !ast.after_columns.is_empty(), "OVERWRITE and PARTITION"),
        (!ast.assignments.is_empty(), "INSERT ... SET"),
        (ast.output.is_some(), "OUTPUT"),
        (ast.has_table_keyword || !ast.into, "INSERT without INTO"),
        (ast.insert_alias.is_some() || ast.priority.is_some(), "this form of INSERT"),
        (ast.settings.is_some() || ast.format_clause.is_some(), "SETTINGS and FORMAT"),
        (ast.multi_table_insert_type.is_some(), "INSERT into several tables"),
    ];
    match others.iter().find(|(there, _)| *there) {
        Some((_, what)) => Err(unsupported(*what, "write INSERT INTO t (columns) VALUES (...) or SELECT ...")),
        None => Ok(()),
    }
}

/// The columns that are given.
fn columns(ast: &InsertAst, target: &Target) -> Result<Vec<usize>> {
    if ast.columns.is_empty() {
        return Ok((0..target.def.columns.0.len()).collect());
    }
    let mut columns = Vec::with_capacity(ast.columns.len());
    for name in &ast.columns {
        let at = object_name(name).and_then(|name| target.column(&name)).at(name.span())?;
        if columns.contains(&at) {
            let name = &target.def.columns.0[at].name;
            return Err(error(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
                .at(ast.columns[columns.len()].span()));
        }
        columns.push(at);
    }
    Ok(columns)
}

/// How many columns are given, where so many expressions are.
fn width(expressions: usize, columns: usize, explicit: bool) -> Result<usize> {
    if expressions > columns {
        return Err(syntax("INSERT has more expressions than target columns"));
    }
    if expressions < columns && explicit {
        return Err(syntax("INSERT has more target columns than expressions"));
    }
    Ok(expressions)
}

fn values(
    rows: &[datafusion::sql::sqlparser::ast::Parens<Vec<Ast>>],
    columns: &mut Vec<usize>,
    explicit: bool,
    target: &Target,
    catalog: &Catalog,
    parameters: &mut Parameters,
) -> Result<Vec<Source>> {
    let first = rows.first().map_or(0, |row| row.content.len());
    if rows.iter().any(|row| row.content.len() != first) {
        return Err(syntax("VALUES lists must all be the same length"));
    }
    columns.truncate(width(first, columns.len(), explicit)?);
    let mut sources: Vec<Source> = Vec::new();
    for row in rows {
        if row.content.iter().any(value::has_subquery) {
            sources.push(row_query(&row.content, columns, target, catalog, parameters)?);
            continue;
        }
        let mut cells = Vec::with_capacity(columns.len());
        for (ast, &at) in row.content.iter().zip(columns.iter()) {
            cells.push(cell(ast, &target.def.columns.0[at], parameters)?);
        }
        match sources.last_mut() {
            Some(Source::Values(before)) => before.push(cells),
            _ => sources.push(Source::Values(vec![cells])),
        }
    }
    Ok(sources)
}

/// Whether an expression is the word DEFAULT.
pub(super) fn is_default(ast: &Ast) -> bool {
    matches!(ast, Ast::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

fn cell(ast: &Ast, column: &Column, parameters: &mut Parameters) -> Result<Cell> {
    if is_default(ast) {
        return Ok(Cell::Default);
    }
    let scope = crate::query::Scope::default();
    let typed = value::bound(ast, &scope, "VALUES", Some(parameters))?;
    let typed = assign(typed, column, "expression").at(ast.span())?;
    parameters.learn_expression(&typed.expr)?;
    Ok(Cell::Value(typed.expr))
}

/// A row with queries in it, as a query itself.
fn row_query(
    row: &[Ast],
    columns: &[usize],
    target: &Target,
    catalog: &Catalog,
    parameters: &mut Parameters,
) -> Result<Source> {
    let mut given = Vec::new();
    let mut items = Vec::new();
    for (ast, &at) in row.iter().zip(columns) {
        if !is_default(ast) {
            items.push(SelectItem::UnnamedExpr(typed_by(ast, &target.def.columns.0[at])?));
            given.push(at);
        }
    }
    let of: Vec<&Column> = given.iter().map(|&at| &target.def.columns.0[at]).collect();
    let query = RowQuery::new(&select(items, Vec::new(), None)?, &of, catalog, parameters)?;
    Ok(Source::Row(given, query))
}

/// The query, with the literals and parameters of its list typed by the columns they go to.
fn with_types(query: &Query, columns: &[&Column]) -> Result<Query> {
    let mut query = query.clone();
    if let SetExpr::Select(select) = query.body.as_mut() {
        // what stands behind a star is at a place that only planning tells
        let plain = select
            .projection
            .iter()
            .take_while(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
        let plain = plain.count();
        for (item, column) in select.projection.iter_mut().take(plain).zip(columns) {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                *expr = typed_by(expr, column)?;
            }
        }
    }
    Ok(query)
}

impl Change for Insert {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        let mut parts = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            parts.push(self.part(source, target, run)?);
        }
        let schema = target.def.columns.schema();
        let come = arrow::compute::concat_batches(&schema, &parts).map_err(|e| from_datafusion(e.into()))?;
        Ok(Rows { gone: target.nothing(), come })
    }

    fn tag(&self, rows: usize) -> String {
        format!("INSERT 0 {rows}")
    }
}

impl Insert {
    fn part(&self, source: &Source, target: &Target, run: &Run<'_>) -> Result<RecordBatch> {
        let (given, columns, rows) = match source {
            Source::Values(rows) => {
                let mut columns = Vec::with_capacity(self.columns.len());
                for (place, &at) in self.columns.iter().enumerate() {
                    columns.push(self.column(rows, place, at, target, run)?);
                }
                (&self.columns, columns, rows.len())
            }
            Source::Row(given, query) => {
                let (columns, rows) = query.run(run)?;
                (given, columns, rows)
            }
            Source::Query(query) => {
                let (columns, rows) = query.run(run)?;
                (&self.columns, columns, rows)
            }
        };
        let mut all = Vec::with_capacity(target.def.columns.0.len());
        for at in 0..target.def.columns.0.len() {
            all.push(match given.iter().position(|&given| given == at) {
                Some(place) => Arc::clone(&columns[place]),
                None => target.default(at, rows, run.moment)?,
            });
        }
        target.batch(all, rows)
    }

    /// The values of one column of VALUES.
    fn column(&self, rows: &[Vec<Cell>], place: usize, at: usize, target: &Target, run: &Run<'_>) -> Result<ArrayRef> {
        let ty = target.def.columns.0[at].ty;
        if rows.is_empty() {
            return Ok(new_null_array(&ty.arrow(), 0));
        }
        let mut literals: Vec<ScalarValue> = Vec::with_capacity(rows.len());
        let mut default: Option<ScalarValue> = None;
        for row in rows {
            literals.push(match (&row[place], &default) {
                (Cell::Value(expr), _) => computed(expr, run)?,
                (Cell::Default, Some(known)) if target.defaults[at].as_ref().is_none_or(Default::is_one) => {
                    known.clone()
                }
                (Cell::Default, _) => {
                    let array = target.default(at, 1, run.moment)?;
                    let value = ScalarValue::try_from_array(&array, 0).map_err(from_datafusion)?;
                    default.insert(value).clone()
                }
            });
        }
        let array = ScalarValue::iter_to_array(literals).map_err(from_datafusion)?;
        // one type, whatever the literals call it
        let array = if *array.data_type() == ty.arrow() { array } else { concat_as(&array, &ty.arrow())? };
        Ok(array)
    }
}

fn concat_as(array: &ArrayRef, to: &arrow::datatypes::DataType) -> Result<ArrayRef> {
    let cast = arrow::compute::cast(array, to).map_err(|e| from_datafusion(e.into()))?;
    concat(&[cast.as_ref()]).map_err(|e| from_datafusion(e.into()))
}

/// The value of an expression over nothing.
fn computed(expr: &Expr, run: &Run<'_>) -> Result<ScalarValue> {
    if let Some(value) = literal::value_of(expr) {
        return Ok(value.clone());
    }
    let expr = value::filled(expr, &run.values)?;
    if let Some(value) = literal::value_of(&expr) {
        return Ok(value.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .map_err(|e| from_datafusion(e.into()))?;
    let array = compile(&expr, &DFSchema::empty())?.eval(&one).map_err(from_row)?;
    ScalarValue::try_from_array(&array, 0).map_err(from_datafusion)
}
