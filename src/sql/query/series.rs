//! `generate_series(start, stop [, step])` in FROM: whole numbers, of constants and parameters.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, TableScanBuilder, TableSource};
use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, TableAlias};
use zset::{Column, ColumnType, RowType};

use super::from::{self, Relation};
use super::{Planner, Scope};
use crate::error::{Detail, Result, code, error, from_datafusion, unsupported};
use crate::expr::bind::Binder;
use crate::expr::{Typed, cast, literal};
use crate::statements::identifier;

/// A series, as a table.
#[derive(Debug)]
pub(crate) struct Series {
    arguments: [Expr; 3],
    schema: SchemaRef,
    /// integer or bigint.
    pub(crate) ty: ColumnType,
}

impl Series {
    /// Start, stop, step.
    pub(crate) fn arguments(&self) -> &[Expr; 3] {
        &self.arguments
    }

    /// The same series of other numbers.
    pub(crate) fn with_arguments(&self, arguments: [Expr; 3]) -> Self {
        Self { arguments, schema: Arc::clone(&self.schema), ty: self.ty }
    }
}

impl TableSource for Series {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// The series of a scan, if it is one.
pub(crate) fn of(scan: &TableScan) -> Option<&Series> {
    scan.source.downcast_ref::<Series>()
}

impl Planner<'_> {
    /// The series as a table.
    pub(super) fn series(&mut self, arguments: &[FunctionArg], alias: Option<&TableAlias>) -> Result<Relation> {
        let nothing = Scope::default();
        let mut all: Vec<Typed> = Vec::with_capacity(3);
        for argument in arguments {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) = argument else {
                return Err(unsupported("a named argument of generate_series", "give the arguments by position"));
            };
            all.push(Binder::new(&nothing, "a function in FROM", self).bind(ast)?);
        }
        let numbers = all.iter().all(|typed| typed.ty.is_none_or(cast::is_integer));
        if !(2..=3).contains(&all.len()) || !numbers {
            let types: Vec<&str> = all.iter().map(Typed::type_name).collect();
            return Err(unsupported(
                format!("generate_series({})", types.join(", ")),
                "the arguments are two or three whole numbers",
            ));
        }
        let ty = if all.iter().any(|typed| typed.ty == Some(ColumnType::BigInt)) {
            ColumnType::BigInt
        } else {
            ColumnType::Int
        };
        if all.len() == 2 {
            all.push(literal::number("1", false)?);
        }
        let mut converted = Vec::with_capacity(3);
        for typed in all {
            converted.push(cast::convert(typed, ty)?.expr);
        }
        let arguments = <[Expr; 3]>::try_from(converted)
            .map_err(|_| error(code::INTERNAL, "generate_series has three arguments"))?;
        if arguments.iter().any(|expr| !is_constant(expr)) {
            return Err(unsupported("generate_series of columns or subqueries", "give it constants or parameters"));
        }
        let name = alias.map_or_else(|| "generate_series".to_string(), |alias| identifier(&alias.name));
        let columns = RowType(vec![Column::new(name.clone(), ty, true)]);
        let source = Series { arguments, schema: columns.schema(), ty };
        let scan = TableScanBuilder::new(TableReference::bare(name.as_str()), Arc::new(source)).build();
        from::scanned(LogicalPlan::TableScan(scan.map_err(from_datafusion)?), &columns, &name, alias)
            .with_hint("FROM generate_series(1, 10) AS g(x)")
    }
}

/// Whether nothing but literals, parameters and our functions are in an expression.
pub(super) fn is_constant(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    !expr
        .exists(|node| {
            Ok(match node {
                Expr::Literal(..) => false,
                Expr::Placeholder(placeholder) => super::subquery::captured_of(&placeholder.id).is_some(),
                Expr::ScalarFunction(call) => crate::expr::scalar::of(&call.func).is_none(),
                _ => true,
            })
        })
        .unwrap_or(true)
}
