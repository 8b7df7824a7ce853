//! RETURNING: expressions over the rows that a statement wrote or took away.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use dataflow::{Eval, ResultColumn, ResultType};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{SelectItem, SelectItemQualifiedWildcardKind, Spanned};
use zset::{Column, ColumnType};

use super::super::cursor::{identifier, object_name};
use super::super::value;
use super::target::Target;
use crate::error::{Detail, Result, code, error, from_datafusion, from_row, unsupported};
use crate::expr::eval::compile;
use crate::expr::parameter::Parameters;
use crate::expr::{Typed, cast, names};
use crate::query::Scope;

/// The items, over the columns of a table.
#[derive(Debug)]
pub(super) struct Returning {
    items: Vec<(Expr, Column)>,
    schema: DFSchema,
}

impl Returning {
    pub(super) fn new(items: &[SelectItem], target: &Target, parameters: &mut Parameters) -> Result<Self> {
        let (scope, schema) = value::table_scope(&target.def.columns, &target.name)?;
        let mut out = Self { items: Vec::with_capacity(items.len()), schema };
        for item in items {
            match item {
                SelectItem::UnnamedExpr(ast) => {
                    let typed = bind(ast, &scope, parameters)?;
                    out.push(typed, names::column_name(ast), parameters)?;
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let typed = bind(expr, &scope, parameters)?;
                    out.push(typed, identifier(alias), parameters)?;
                }
                SelectItem::Wildcard(_) => out.star(&scope, parameters)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let table = object_name(name)?;
                    if table != target.name {
                        return Err(error(
                            code::UNDEFINED_TABLE,
                            format!("missing FROM-clause entry for table \"{table}\""),
                        )
                        .with_hint(format!("the table here is {}", target.name))
                        .at(item.span()));
                    }
                    out.star(&scope, parameters)?;
                }
                other => {
                    return Err(unsupported(format!("the item {other}"), "write expression AS name").at(item.span()));
                }
            }
        }
        Ok(out)
    }

    fn star(&mut self, scope: &Scope, parameters: &mut Parameters) -> Result<()> {
        for visible in &scope.columns {
            let typed = Typed::new(Expr::Column(visible.column.clone()), visible.ty);
            self.push(typed, visible.name.clone(), parameters)?;
        }
        Ok(())
    }

    fn push(&mut self, typed: Typed, name: String, parameters: &mut Parameters) -> Result<()> {
        let typed = if typed.ty.is_none() { cast::of_unknown(typed, ColumnType::Text)? } else { typed };
        parameters.learn_expression(&typed.expr)?;
        let ty = typed.ty.unwrap_or(ColumnType::Text);
        self.items.push((typed.expr, Column::new(name, ty, true)));
        Ok(())
    }

    /// The columns of the answer.
    pub(super) fn columns(&self) -> Vec<ResultColumn> {
        let column = |column: &Column| ResultColumn { name: column.name.clone(), ty: ResultType::Column(column.ty) };
        self.items.iter().map(|(_, of)| column(of)).collect()
    }

    /// The answer for rows of the table.
    pub(super) fn answer(&self, rows: &RecordBatch, values: &[Typed]) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.items.len());
        for (expr, _) in &self.items {
            let compiled = compile(&value::filled(expr, values)?, &self.schema)?;
            columns.push(compiled.eval(rows).map_err(from_row)?);
        }
        let fields: Vec<_> = self.items.iter().map(|(_, column)| column.field()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|e| from_datafusion(e.into()))
    }
}

fn bind(ast: &datafusion::sql::sqlparser::ast::Expr, scope: &Scope, parameters: &mut Parameters) -> Result<Typed> {
    if value::has_subquery(ast) {
        return Err(unsupported("a subquery in RETURNING", "ask for it with a SELECT of its own").at(ast.span()));
    }
    value::bound(ast, scope, "RETURNING", Some(parameters))
}
