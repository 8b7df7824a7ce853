//! RETURNING: expressions over the rows that a statement wrote or took away, and over the other tables that it names.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use dataflow::{Eval, ResultColumn, ResultType};
use datafusion::common::{Column as DfColumn, DFSchema};
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
use crate::query::scope::Visible;

/// The items, over the columns of the table and of those beside it.
#[derive(Debug)]
pub(super) struct Returning {
    items: Vec<(Expr, Column)>,
    schema: DFSchema,
    /// The columns of the tables beside it that are named.
    beside: Vec<Visible>,
}

impl Returning {
    /// The items of a RETURNING, if there is one. `others` are the tables of FROM or USING.
    pub(super) fn new(
        items: Option<&[SelectItem]>,
        target: &Target,
        others: &Scope,
        parameters: &mut Parameters,
    ) -> Result<Option<Self>> {
        let Some(items) = items else { return Ok(None) };
        let (scope, schema) = value::table_scope(&target.def.columns, &target.name)?;
        let mut numbered = others.clone();
        for (at, visible) in numbered.columns.iter_mut().enumerate() {
            visible.column = DfColumn::new_unqualified(beside(at));
        }
        let scope = scope.join(numbered)?;
        let mut out = Self { items: Vec::with_capacity(items.len()), schema, beside: Vec::new() };
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
                SelectItem::Wildcard(_) => out.columns_of(scope.star.iter().copied(), &scope, parameters)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let table = object_name(name)?;
                    if !scope.tables.contains(&table) {
                        return Err(error(
                            code::UNDEFINED_TABLE,
                            format!("missing FROM-clause entry for table \"{table}\""),
                        )
                        .with_hint(format!("the tables here are {}", scope.tables.join(", ")))
                        .at(item.span()));
                    }
                    let of = (0..scope.columns.len()).filter(|&at| scope.columns[at].table == table);
                    out.columns_of(of, &scope, parameters)?;
                }
                other => {
                    return Err(unsupported(format!("the item {other}"), "write expression AS name").at(item.span()));
                }
            }
        }
        out.keep_what_is_named(others)?;
        Ok(Some(out))
    }

    fn columns_of(
        &mut self,
        places: impl Iterator<Item = usize>,
        scope: &Scope,
        parameters: &mut Parameters,
    ) -> Result<()> {
        for at in places {
            let visible = &scope.columns[at];
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

    fn keep_what_is_named(&mut self, others: &Scope) -> Result<()> {
        let mut fields = Vec::new();
        for (at, visible) in others.columns.iter().enumerate() {
            let column = DfColumn::new_unqualified(beside(at));
            if self.items.iter().any(|(expr, _)| expr.column_refs().contains(&column)) {
                fields.push(Column::new(column.name, visible.ty, true).field());
                self.beside.push(visible.clone());
            }
        }
        let others = DFSchema::from_unqualified_fields(fields.into(), Default::default()).map_err(from_datafusion)?;
        self.schema = self.schema.join(&others).map_err(from_datafusion)?;
        Ok(())
    }

    /// The columns of tables beside the target that it names.
    pub(super) fn beside(&self) -> &[Visible] {
        &self.beside
    }

    /// The columns of the answer.
    pub(super) fn columns(&self) -> Vec<ResultColumn> {
        let column = |column: &Column| ResultColumn { name: column.name.clone(), ty: ResultType::Column(column.ty) };
        self.items.iter().map(|(_, of)| column(of)).collect()
    }

    /// The answer for rows of the table, with the columns beside them.
    pub(super) fn answer(&self, rows: &RecordBatch, beside: &[ArrayRef], values: &[Typed]) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let all = rows.columns().iter().chain(beside).cloned().collect();
        let rows = RecordBatch::try_new_with_options(Arc::clone(self.schema.inner()), all, &options)
            .map_err(|e| from_datafusion(e.into()))?;
        let mut columns = Vec::with_capacity(self.items.len());
        for (expr, _) in &self.items {
            let compiled = compile(&value::filled(expr, values)?, &self.schema)?;
            columns.push(compiled.eval(&rows).map_err(from_row)?);
        }
        let fields: Vec<_> = self.items.iter().map(|(_, column)| column.field()).collect();
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|e| from_datafusion(e.into()))
    }
}

/// The name of a column beside the target, by its place: theirs may be the same as its own.
fn beside(at: usize) -> String {
    format!("beside:{at}")
}

fn bind(ast: &datafusion::sql::sqlparser::ast::Expr, scope: &Scope, parameters: &mut Parameters) -> Result<Typed> {
    if value::has_subquery(ast) {
        return Err(unsupported("a subquery in RETURNING", "ask for it with a SELECT of its own").at(ast.span()));
    }
    value::bound(ast, scope, "RETURNING", Some(parameters))
}
