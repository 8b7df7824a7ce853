//! UPDATE t [AS x] SET column = value, (a, b) = (x, y) [WHERE condition]: the old columns of the rows that fit, and the new
//! values, are one query.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, AssignmentTarget, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, SelectItem,
    SelectItemQualifiedWildcardKind, Spanned, TableFactor, TableWithJoins, Update as UpdateAst,
    WildcardAdditionalOptions,
};
use plan::Catalog;
use zset::Column;

use super::super::cursor::identifier;
use super::super::value;
use super::insert::is_default;
use super::rows::{RowQuery, select, typed_by};
use super::target::Target;
use super::{Change, Planned, Rows, Run};
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
    query: RowQuery,
    set: Vec<(usize, To)>,
}

pub(super) fn plan<'a>(ast: &'a UpdateAst, catalog: &Catalog, parameters: &mut Parameters) -> Result<Planned<'a>> {
    let others = [
        (ast.from.is_some(), "UPDATE ... FROM", "take the values by a subquery: SET a = (SELECT ... WHERE ...)"),
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
    for assignment in &ast.assignments {
        for (name, value) in pairs(assignment)? {
            let at = column(name, &target).at(name.span())?;
            if set.iter().any(|(before, _)| *before == at) {
                let name = &target.def.columns.0[at].name;
                return Err(syntax(format!("multiple assignments to same column \"{name}\"")).at(assignment.span()));
            }
            if is_default(value) {
                set.push((at, To::Default));
                continue;
            }
            refuse_windows(value)?;
            let of = &target.def.columns.0[at];
            items.push(SelectItem::UnnamedExpr(typed_by(value, of)?));
            set.push((at, To::Column(columns.len())));
            columns.push(of.clone());
        }
    }
    let query = select(items, vec![ast.table.clone()], ast.selection.clone())?;
    let targets: Vec<&Column> = columns.iter().collect();
    let query = RowQuery::new(&query, &targets, catalog, parameters)?;
    Ok((target, Box::new(Update { query, set }), ast.returning.as_deref()))
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
fn pairs(assignment: &ast::Assignment) -> Result<Vec<(&ObjectName, &Ast)>> {
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => return Ok(vec![(name, &assignment.value)]),
        AssignmentTarget::Tuple(names) => names,
    };
    let values: Vec<&Ast> = match &assignment.value {
        Ast::Tuple(values) => values.iter().collect(),
        Ast::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => row(call)?,
        Ast::Subquery(_) => {
            return Err(
                unsupported("SET (a, b) = (SELECT ...)", "write a subquery for each column").at(assignment.span())
            );
        }
        _ => {
            return Err(syntax("source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
                .with_hint("write SET (a, b) = (x, y)")
                .at(assignment.span()));
        }
    };
    if names.len() != values.len() {
        return Err(syntax("number of columns does not match number of values").at(assignment.span()));
    }
    Ok(names.iter().zip(values).collect())
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
        let (columns, rows) = self.query.run(run)?;
        let own = target.def.columns.0.len();
        let gone = target.batch(columns[..own].to_vec(), rows)?;
        let mut new = columns[..own].to_vec();
        for (at, to) in &self.set {
            new[*at] = match to {
                To::Default => target.default(*at, rows, run.moment)?,
                To::Column(place) => Arc::clone(&columns[*place]),
            };
        }
        Ok(Rows { gone, come: target.batch(new, rows)? })
    }

    fn tag(&self, rows: usize) -> String {
        format!("UPDATE {rows}")
    }
}
