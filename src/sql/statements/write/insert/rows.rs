//! The rows of an INSERT: its cells and queries computed, defaults in the other columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::Schema;
use dataflow::Eval;
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

use super::super::super::value;
use super::super::target::Target;
use super::super::{Change, Rows, Run};
use super::{Cell, Insert, Source};
use crate::error::{Result, from_datafusion, from_row};
use crate::expr::eval::compile;
use crate::expr::literal;

impl Change for Insert {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        let mut parts = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            parts.push(self.part(source, target, run)?);
        }
        let schema = target.def.columns.schema();
        let come = arrow::compute::concat_batches(&schema, &parts).map_err(|e| from_datafusion(e.into()))?;
        match &self.on_conflict {
            None => Ok(Rows::new(target.nothing(), come)),
            Some(on_conflict) => on_conflict.rows(target, come, run),
        }
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
                    columns.push(match self.overridden.contains(&at) {
                        // its DEFAULTs would take numbers twice
                        true => target.nothing().column(at).clone(),
                        false => self.column(rows, place, at, target, run)?,
                    });
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
            let given = given.iter().position(|&given| given == at).filter(|_| !self.overridden.contains(&at));
            all.push(match given {
                Some(place) => Arc::clone(&columns[place]),
                None => target.default(at, rows, run)?,
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
                (Cell::Default, Some(known)) if target.has_one_default(at) => known.clone(),
                (Cell::Default, _) => {
                    let array = target.default(at, 1, run)?;
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
