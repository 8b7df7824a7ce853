//! UPDATE t [AS x] SET column = value, (a, b) = (x, y) [FROM other, ...] [WHERE condition]: the old columns of the rows that
//! fit, and the new values, are one query.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, AssignmentTarget, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, ObjectName,
    Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned, TableFactor, TableWithJoins,
    Update as UpdateAst, UpdateTableFromKind, WildcardAdditionalOptions, With,
};
use plan::Catalog;
use zset::Column;

use super::super::cursor::identifier;
use super::super::value;
use super::insert::is_default;
use super::joined::{JoinQuery, Others};
use super::rows::typed_by;
use super::target::Target;
use super::{Change, Planned, Returning, Rows, Run};
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::expr::parameter::Parameters;

/// What becomes of a column that is set.
#[derive(Debug)]
enum To {
    Default,
    /// The column of the query, behind the table's own.
    Column(usize),
}

#[derive(Debug)]
struct Update {
    query: JoinQuery,
    set: Vec<(usize, To)>,
}

pub(super) fn plan(
    ast: &UpdateAst,
    with: Option<&With>,
    catalog: &Catalog,
    parameters: &mut Parameters,
) -> Result<Planned> {
    let from = match &ast.from {
        None => &[],
        Some(UpdateTableFromKind::AfterSet(tables)) => tables.as_slice(),
        Some(UpdateTableFromKind::BeforeSet(_)) => {
            return Err(unsupported("FROM before SET", "write UPDATE t SET column = value FROM other WHERE ..."));
        }
    };
    let others = [
        (
            ast.or.is_some() || ast.output.is_some(),
            "UPDATE OR and OUTPUT",
            "write UPDATE t SET column = value WHERE ...",
        ),
        (!ast.order_by.is_empty() || ast.limit.is_some(), "ORDER BY and LIMIT in UPDATE", "say which rows in WHERE"),
    ];
    if let Some((_, what, hint)) = others.iter().find(|(there, _, _)| *there) {
        return Err(unsupported(*what, *hint));
    }
    let target = table(&ast.table, catalog, "update")?;
    let mut set: Vec<(usize, To)> = Vec::new();
    let mut items = vec![star(&target)];
    let mut columns: Vec<Column> = target.def.columns.0.clone();
    for (at, value) in assignments(&ast.assignments, &target)? {
        if is_default(&value) {
            set.push((at, To::Default));
            continue;
        }
        target.refuse_set(at).at(value.span())?;
        refuse_windows(&value)?;
        let of = &target.def.columns.0[at];
        items.push(SelectItem::UnnamedExpr(typed_by(&value, of)?));
        set.push((at, To::Column(columns.len())));
        columns.push(of.clone());
    }
    let others = Others::new(from, with, catalog, parameters)?;
    let returning = Returning::new(ast.returning.as_deref(), &target, &others.scope, parameters)?;
    let query = others.query(
        (&ast.table, &target),
        items,
        columns,
        ast.selection.as_ref(),
        returning.as_ref(),
        (catalog, parameters),
    )?;
    Ok((target, Box::new(Update { query, set }), returning))
}

/// What is set: places of columns, each once, and their values.
pub(super) fn assignments<'a>(list: &'a [ast::Assignment], target: &Target) -> Result<Vec<(usize, Cow<'a, Ast>)>> {
    let mut set: Vec<(usize, Cow<'a, Ast>)> = Vec::new();
    for assignment in list {
        for (name, value) in pairs(assignment)? {
            let at = column(name, target).at(name.span())?;
            if set.iter().any(|(before, _)| *before == at) {
                let name = &target.def.columns.0[at].name;
                return Err(syntax(format!("multiple assignments to same column \"{name}\"")).at(assignment.span()));
            }
            set.push((at, value));
        }
    }
    Ok(set)
}

/// The table of an UPDATE or DELETE: one name, with an alias if it likes.
pub(super) fn table(from: &TableWithJoins, catalog: &Catalog, doing: &str) -> Result<Target> {
    let TableFactor::Table { name, alias, args: None, .. } = &from.relation else {
        return Err(syntax(format!("cannot {doing} {}", from.relation)).with_hint("name one table").at(from.span()));
    };
    if !from.joins.is_empty() {
        return Err(unsupported("JOIN here", "name one table, and the others in a subquery of WHERE").at(from.span()));
    }
    if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
        return Err(syntax("the alias of a table that is written names no columns").at(from.span()));
    }
    Target::new(name, alias.as_ref().map(|alias| identifier(&alias.name)), catalog, doing)
}

/// All columns of the table.
pub(super) fn star(target: &Target) -> SelectItem {
    let name = ObjectName::from(vec![ast::Ident::with_quote('"', &target.name)]);
    let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
    SelectItem::QualifiedWildcard(kind, WildcardAdditionalOptions::default())
}

/// An assignment as columns and their values.
fn pairs(assignment: &ast::Assignment) -> Result<Vec<(&ObjectName, Cow<'_, Ast>)>> {
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => return Ok(vec![(name, Cow::Borrowed(&assignment.value))]),
        AssignmentTarget::Tuple(names) => names,
    };
    let values: Vec<Cow<'_, Ast>> = match &assignment.value {
        Ast::Tuple(values) => values.iter().map(Cow::Borrowed).collect(),
        Ast::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => {
            row(call)?.into_iter().map(Cow::Borrowed).collect()
        }
        Ast::Subquery(query) => columns_of(query, names.len()).at(assignment.span())?,
        _ => {
            return Err(syntax("source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
                .with_hint("write SET (a, b) = (x, y)")
                .at(assignment.span()));
        }
    };
    if names.len() != values.len() {
        return Err(wrong_number().at(assignment.span()));
    }
    Ok(names.iter().zip(values).collect())
}

fn wrong_number() -> dataflow::StatementError {
    syntax("number of columns does not match number of values")
}

/// The columns of a subquery, each as a subquery of its own over the same rows.
fn columns_of(query: &Query, names: usize) -> Result<Vec<Cow<'static, Ast>>> {
    let each = || unsupported("SET (a, b) = (SELECT ...) of this form", "write a subquery for each column");
    let SetExpr::Select(select) = query.body.as_ref() else { return Err(each()) };
    let expression = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    // one that has no aggregate would not be of one group without those that have
    let aggregates = |item: &SelectItem| value::has_aggregate(item);
    // what orders or groups by a name or a number of the list would mean something else without the list
    let plain = query.order_by.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && select.projection.iter().all(expression)
        && (select.projection.iter().all(aggregates) || !select.projection.iter().any(aggregates));
    if !plain {
        return Err(each());
    }
    if select.projection.len() != names {
        return Err(wrong_number());
    }
    let of = |at: usize| {
        let mut query = query.clone();
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = vec![select.projection[at].clone()];
        }
        Cow::Owned(Ast::Subquery(Box::new(query)))
    };
    Ok((0..names).map(of).collect())
}

fn row(call: &ast::Function) -> Result<Vec<&Ast>> {
    let FunctionArguments::List(list) = &call.args else { return Ok(Vec::new()) };
    let argument = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
        other => Err(syntax(format!("{other} is no value"))),
    };
    list.args.iter().map(argument).collect()
}

/// The place of a column that is set: its bare name.
fn column(name: &ObjectName, target: &Target) -> Result<usize> {
    match name.0.as_slice() {
        [part] => target.column(&part.as_ident().map(identifier).unwrap_or_default()),
        [first, ..] => {
            let first = first.as_ident().map(identifier).unwrap_or_default();
            target
                .column(&first)
                .and(Err(syntax(format!("{name} is not a column"))))
                .with_hint("SET target columns are not qualified with the relation name")
        }
        [] => Err(error(code::INTERNAL, "a name without parts")),
    }
}

fn refuse_windows(value: &Ast) -> Result<()> {
    if !value::has_subquery(value) && value::has_window(value) {
        return Err(error("42P20", "window functions are not allowed in UPDATE")
            .with_hint("compute them in a subquery")
            .at(value.span()));
    }
    Ok(())
}

impl Change for Update {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        let (columns, beside, rows) = self.query.run(target, run)?;
        let own = target.def.columns.0.len();
        let gone = target.batch(columns[..own].to_vec(), rows)?;
        let mut new = columns[..own].to_vec();
        for (at, to) in &self.set {
            new[*at] = match to {
                To::Default => target.default(*at, rows, run)?,
                To::Column(place) => Arc::clone(&columns[*place]),
            };
        }
        Ok(Rows { beside, ..Rows::new(gone, target.batch(new, rows)?) })
    }

    fn tag(&self, rows: usize) -> String {
        format!("UPDATE {rows}")
    }
}
