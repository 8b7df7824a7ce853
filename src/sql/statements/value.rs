//! Expressions beside a query: over nothing, or over the columns of one table; and their values.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use dataflow::Eval;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as DfColumn, DFSchema, TableReference};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr as Ast, FunctionArguments, Visit, visit_expressions};
use zset::{ColumnType, RowType};

use crate::aggregates;
use crate::error::{Result, code, error, from_datafusion, from_row};
use crate::expr::bind::Binder;
use crate::expr::eval::compile;
use crate::expr::host::Host;
use crate::expr::parameter::{self, Parameters};
use crate::expr::{Typed, function, literal, text_form};
use crate::query::Scope;
use crate::query::scope::Visible;

/// As many bytes of a value as PostgreSQL shows of a failing row's.
const SHOWN_BYTES: usize = 64;

/// The statement around an expression that has parameters and nothing else.
struct Plain<'a> {
    parameters: Option<&'a mut Parameters>,
}

impl Host for Plain<'_> {
    fn note(&mut self, _: &str) {}

    fn parameter(&mut self, name: &str) -> Result<Typed> {
        match &mut self.parameters {
            Some(parameters) => parameters.bind(name),
            None => Err(error(code::UNDEFINED_PARAMETER, format!("there is no parameter {name}"))),
        }
    }
}

/// An expression over the columns of a scope; without `parameters` it can have none.
pub(crate) fn bound(
    ast: &Ast,
    scope: &Scope,
    clause: &'static str,
    parameters: Option<&mut Parameters>,
) -> Result<Typed> {
    Binder::new(scope, clause, &mut Plain { parameters }).bind(ast)
}

/// An expression over nothing.
pub(crate) fn constant(ast: &Ast, clause: &'static str) -> Result<Typed> {
    bound(ast, &Scope::default(), clause, None)
}

/// The columns of a table under a name, for expressions, and the schema that they are compiled over.
pub(crate) fn table_scope(columns: &RowType, name: &str) -> Result<(Scope, DFSchema)> {
    let table = TableReference::bare(name);
    let visible = columns.0.iter().map(|column| Visible {
        table: name.to_string(),
        name: column.name.clone(),
        column: DfColumn::new(Some(table.clone()), &column.name),
        ty: column.ty,
        merged: false,
    });
    let star = (0..columns.0.len()).collect();
    let scope = Scope { columns: visible.collect(), star, tables: vec![name.to_string()], keyed: Vec::new() };
    let schema = DFSchema::try_from_qualified_schema(table, &columns.schema()).map_err(from_datafusion)?;
    Ok((scope, schema))
}

/// One row without columns.
fn one_row() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).expect("no columns")
}

/// An expression over nothing as a literal.
pub(crate) fn computed(typed: Typed) -> Result<Typed> {
    let Some(ty) = typed.ty.filter(|_| literal::value_of(&typed.expr).is_none()) else { return Ok(typed) };
    let array = compile(&typed.expr, &DFSchema::empty())?.eval(&one_row()).map_err(from_row)?;
    Ok(literal::literal(ScalarValue::try_from_array(&array, 0).map_err(from_datafusion)?, ty))
}

/// A literal so many times.
pub(crate) fn repeated(typed: &Typed, rows: usize) -> Result<ArrayRef> {
    let value = literal::value_of(&typed.expr).ok_or_else(|| error(code::INTERNAL, "a constant was not computed"))?;
    value.to_array_of_size(rows).map_err(from_datafusion)
}

/// The values of parameters, as literals of their types.
pub(crate) fn parameters(texts: &[Option<String>], types: &[ColumnType]) -> Result<Vec<Typed>> {
    if texts.len() != types.len() {
        return Err(error(
            "08P01",
            format!("the statement has {} parameters, but {} values were given", types.len(), texts.len()),
        ));
    }
    texts.iter().zip(types).map(|(text, ty)| parameter::value(text.as_deref(), *ty)).collect()
}

/// The expression with values in the place of its parameters.
pub(crate) fn filled(expr: &Expr, values: &[Typed]) -> Result<Expr> {
    if values.is_empty() {
        return Ok(expr.clone());
    }
    let filled = expr.clone().transform(|node| {
        let value = match &node {
            Expr::Placeholder(placeholder) => parameter::number(&placeholder.id).and_then(|n| values.get(n - 1)),
            _ => None,
        };
        Ok(match value {
            Some(value) => Transformed::yes(value.expr.clone()),
            None => Transformed::no(node),
        })
    });
    Ok(filled.map_err(from_datafusion)?.data)
}

/// A row as PostgreSQL shows it where it is refused: `1, null, abc`.
pub(crate) fn row_text(columns: &RowType, rows: &RecordBatch, row: usize) -> Result<String> {
    let mut cells = Vec::with_capacity(columns.0.len());
    for (column, array) in columns.0.iter().zip(rows.columns()) {
        if array.is_null(row) {
            cells.push("null".to_string());
            continue;
        }
        let text = text_form(column.ty, &array.slice(row, 1)).map_err(from_row)?;
        let text = text.as_string::<i32>().value(0);
        cells.push(match shown_bytes(text) {
            Some(end) => format!("{}...", &text[..end]),
            None => text.to_string(),
        });
    }
    Ok(cells.join(", "))
}

/// Where a text that is too long to be shown is cut.
fn shown_bytes(text: &str) -> Option<usize> {
    let too_long = text.len() > SHOWN_BYTES;
    too_long.then(|| (0..=SHOWN_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0))
}

/// Whether a query stands in an expression.
pub(crate) fn has_subquery(ast: &Ast) -> bool {
    let flow = visit_expressions(ast, |node| match node {
        Ast::Subquery(_) | Ast::Exists { .. } | Ast::InSubquery { .. } => ControlFlow::Break(()),
        Ast::Function(call) if matches!(call.args, FunctionArguments::Subquery(_)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    flow.is_break()
}

/// Whether an aggregate stands in it, by its name.
pub(crate) fn has_aggregate<T: Visit>(what: &T) -> bool {
    let flow = visit_expressions(what, |node| match node {
        Ast::Function(call) if call.over.is_none() && is_aggregate(&call.name.to_string().to_lowercase()) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    flow.is_break()
}

fn is_aggregate(name: &str) -> bool {
    function::is_aggregate(name) || aggregates::is_for_clients(name)
}

/// Whether a window function stands in an expression.
pub(crate) fn has_window(ast: &Ast) -> bool {
    let flow = visit_expressions(ast, |node| match node {
        Ast::Function(call) if call.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    flow.is_break()
}
