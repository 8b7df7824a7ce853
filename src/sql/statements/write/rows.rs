//! The rows of a query as rows of a table.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use dataflow::{Eval, Read as _};
use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{self, Expr as Ast, Query, SelectItem, SetExpr};
use datafusion::sql::sqlparser::parser::Parser;
use plan::Catalog;
use zset::{Column, ColumnType, Delta, RowType};

use super::super::assign::assign;
use super::Run;
use crate::error::{Result, code, error, from_datafusion, from_row};
use crate::expr::Typed;
use crate::expr::eval::{Compiled, compile};
use crate::expr::parameter::Parameters;
use crate::run::Runnable;
use crate::{query, text};

/// A query whose columns become values of a table's columns.
#[derive(Debug)]
pub(super) struct RowQuery {
    runnable: Runnable,
    columns: RowType,
    casts: Vec<Compiled>,
}

impl RowQuery {
    /// Plans a query whose columns become those of `targets`.
    pub(super) fn new(
        ast: &Query,
        targets: &[&Column],
        catalog: &Catalog,
        parameters: &mut Parameters,
    ) -> Result<Self> {
        let planned = query::client(ast, catalog, parameters)?;
        let types: Vec<ColumnType> = planned.columns.iter().map(|column| column.ty).collect();
        let runnable = Runnable::new(planned, parameters.clone());
        Self::over(runnable, &types, targets)
    }

    fn over(runnable: Runnable, types: &[ColumnType], targets: &[&Column]) -> Result<Self> {
        let name = |at: usize| format!("c{at}");
        let of = RowType(types.iter().enumerate().map(|(at, ty)| Column::new(name(at), *ty, true)).collect());
        let schema = DFSchema::from_unqualified_fields(of.schema().fields().clone(), std::default::Default::default())
            .map_err(from_datafusion)?;
        let mut casts = Vec::with_capacity(targets.len());
        for (at, (target, ty)) in targets.iter().zip(types).enumerate() {
            let typed = Typed::new(Expr::Column(DfColumn::new_unqualified(name(at))), *ty);
            casts.push(compile(&assign(typed, target, "expression")?.expr, &schema)?);
        }
        Ok(Self { runnable, columns: of, casts })
    }

    /// How many columns the query has.
    pub(super) fn width(&self) -> usize {
        self.columns.0.len()
    }

    /// Its rows, each column as its target has it.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<(Vec<ArrayRef>, usize)> {
        let schema = self.columns.schema();
        let mut parts = Vec::new();
        for batch in self.runnable.run(run.texts, run.view, run.limits)? {
            let batch = batch?;
            let part = RecordBatch::try_new_with_options(
                schema.clone(),
                batch.columns().to_vec(),
                &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
            );
            let part = part.map_err(|e| from_datafusion(e.into()))?;
            run.afford(&[&part])?;
            parts.push(part);
        }
        let all = concat_batches(&schema, &parts).map_err(|e| from_datafusion(e.into()))?;
        run.afford(&[&all])?;
        let columns = self.casts.iter().map(|cast| cast.eval(&all).map_err(from_row)).collect::<Result<Vec<_>>>()?;
        Ok((columns, all.num_rows()))
    }
}

/// Rows as often as their weights say.
pub(super) fn expanded(delta: &Delta) -> Result<RecordBatch> {
    let weights = delta.weights().values();
    if weights.iter().all(|weight| *weight == 1) {
        return Ok(delta.batch().clone());
    }
    let mut places = Vec::with_capacity(weights.len());
    for (at, weight) in (0u32..).zip(weights.iter()) {
        places.extend((0..(*weight).max(0)).map(|_| at));
    }
    take_record_batch(delta.batch(), &UInt32Array::from(places)).map_err(|e| from_datafusion(e.into()))
}

/// A literal without a type or a parameter, whose type is that of the column it goes to, gets a cast that says so.
pub(super) fn typed_by(ast: &Ast, column: &Column) -> Result<Ast> {
    let mut bare = ast;
    while let Ast::Nested(inner) = bare {
        bare = inner;
    }
    use ast::Value as V;
    let open = matches!(
        bare,
        Ast::Value(value) if matches!(
            value.value,
            V::SingleQuotedString(_) | V::EscapedStringLiteral(_) | V::UnicodeStringLiteral(_) | V::DollarQuotedString(_)
                | V::Null | V::Placeholder(_)
        )
    );
    if !open {
        return Ok(ast.clone());
    }
    let ty = match column.ty {
        ColumnType::Varchar(_) => ColumnType::Text,
        ty => ty,
    };
    let data_type = text::read_again(&ty.to_string(), Parser::parse_data_type)?;
    Ok(Ast::Cast {
        kind: ast::CastKind::DoubleColon,
        expr: Box::new(bare.clone()),
        data_type,
        array: false,
        format: None,
    })
}

/// A SELECT of these items, from these tables, of the rows that fit a condition.
pub(super) fn select(items: Vec<SelectItem>, from: Vec<ast::TableWithJoins>, condition: Option<Ast>) -> Result<Query> {
    let mut query = *text::read_again("SELECT 1", Parser::parse_query)?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(error(code::INTERNAL, "SELECT 1 is no SELECT"));
    };
    select.projection = items;
    select.from = from;
    select.selection = condition;
    Ok(query)
}
