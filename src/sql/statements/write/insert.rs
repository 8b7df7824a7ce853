//! INSERT INTO t [(columns)] VALUES ... | SELECT ... | DEFAULT VALUES [ON CONFLICT ...].

mod rows;

use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Insert as InsertAst, Query, SelectItem, SetExpr, Spanned, Statement, TableObject, With,
};
use plan::{Catalog, Identity};
use zset::Column;

use super::super::Overriding;
use super::super::assign::assign;
use super::super::cursor::{identifier, object_name};
use super::super::value;
use super::conflict::OnConflict;
use super::rows::{RowQuery, select, typed_by};
use super::target::Target;
use super::{Planned, Returning};
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::expr::parameter::Parameters;
use crate::query::Scope;

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
    /// Columns whose values are those of their sequences, whatever is given (OVERRIDING USER VALUE).
    overridden: Vec<usize>,
    on_conflict: Option<OnConflict>,
}

/// Whether the rows are written out.
pub(super) fn is_values(ast: &InsertAst) -> bool {
    ast.source.as_ref().is_none_or(|query| bare_values(query).is_some())
}

/// The table that an INSERT writes.
pub(super) fn table_of(statement: &Statement) -> Option<String> {
    let Statement::Insert(InsertAst { table: TableObject::TableName(name), .. }) = statement else { return None };
    object_name(name).ok()
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

pub(super) fn plan(
    ast: &InsertAst,
    (with, overriding): (Option<&With>, Option<Overriding>),
    catalog: &Catalog,
    parameters: &mut Parameters,
) -> Result<Planned> {
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
            Some(rows) => values((rows, with), &mut columns, explicit, &target, catalog, parameters)?,
            None => {
                let of: Vec<&Column> = columns.iter().map(|&at| &target.def.columns.0[at]).collect();
                let query = behind(with, with_types(query, &of)?);
                let rows = RowQuery::new(&query, &of, catalog, parameters)?;
                columns.truncate(width(rows.width(), columns.len(), explicit)?);
                vec![Source::Query(rows)]
            }
        },
    };
    let overridden = overridden(&sources, &columns, &target, overriding)?;
    let on_conflict = ast.on.as_ref().map(|on| OnConflict::new(on, &target, parameters)).transpose()?;
    let returning = Returning::new(ast.returning.as_deref(), &target, &Scope::default(), parameters)?;
    Ok((target, Box::new(Insert { columns, sources, overridden, on_conflict }), returning))
}

/// The identity columns whose given values are not taken; where they may not be given, that is an error.
fn overridden(
    sources: &[Source],
    columns: &[usize],
    target: &Target,
    overriding: Option<Overriding>,
) -> Result<Vec<usize>> {
    let mut overridden = Vec::new();
    for (place, &at) in columns.iter().enumerate() {
        let Some(identity) = target.def.sequence_of(at).and_then(|sequence| sequence.identity) else { continue };
        let is_given = |source: &Source| match source {
            Source::Values(rows) => rows.iter().any(|row| matches!(row[place], Cell::Value(_))),
            Source::Row(given, _) => given.contains(&at),
            Source::Query(_) => true,
        };
        match (identity, overriding) {
            (_, Some(Overriding::User)) => overridden.push(at),
            (Identity::Always, None) if sources.iter().any(is_given) => {
                let name = &target.def.columns.0[at].name;
                let refusal = target.generated(at, format!("cannot insert a non-DEFAULT value into column \"{name}\""));
                return Err(refusal.with_hint("Use OVERRIDING SYSTEM VALUE to override."));
            }
            _ => {}
        }
    }
    Ok(overridden)
}

/// A query behind the WITH of its statement.
fn behind(with: Option<&With>, query: Query) -> Query {
    let Some(with) = with else { return query };
    // its own WITH, if it has one, is nearer
    Query {
        with: Some(with.clone()),
        body: Box::new(SetExpr::Query(Box::new(query))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn refuse_clauses(ast: &InsertAst) -> Result<()> {
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
    (rows, with): (&[datafusion::sql::sqlparser::ast::Parens<Vec<Ast>>], Option<&With>),
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
            sources.push(row_query((&row.content, with), columns, target, catalog, parameters)?);
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
    let scope = Scope::default();
    let typed = value::bound(ast, &scope, "VALUES", Some(parameters))?;
    let typed = assign(typed, column, "expression").at(ast.span())?;
    parameters.learn_expression(&typed.expr)?;
    Ok(Cell::Value(typed.expr))
}

/// A row with queries in it, as a query itself.
fn row_query(
    (row, with): (&[Ast], Option<&With>),
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
    let query = Query { with: with.cloned(), ..select(items, Vec::new(), None)? };
    let query = RowQuery::new(&query, &of, catalog, parameters)?;
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
