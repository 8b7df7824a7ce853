//! Compiled expressions: what the engine computes deltas with.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use dataflow::Eval;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use zset::{RowError, sqlstate};

use super::{display, logic};
use crate::error::{self, Result, from_datafusion};

/// A compiled expression.
pub(crate) struct Compiled {
    physical: Arc<dyn PhysicalExpr>,
    text: String,
    /// The position of the column it is, if it is nothing else.
    pub(crate) column: Option<usize>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Compiles an expression over the columns of a schema.
pub(crate) fn compile(expr: &Expr, schema: &DFSchema) -> Result<Compiled> {
    let text = display::show(expr, schema)?;
    let physical =
        create_physical_expr(expr, schema, &ExecutionProps::new(), &Default::default()).map_err(from_datafusion)?;
    let physical = logic::guard(physical).map_err(from_datafusion)?;
    let mut plain = expr;
    while let Expr::Alias(alias) = plain {
        plain = &alias.expr;
    }
    let column = match plain {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    };
    Ok(Compiled { physical, text, column })
}

/// A row as `(id=3, amount=0)`.
fn print_row(batch: &RecordBatch) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.schema();
    let cells = columns.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let value = ArrayFormatter::try_new(array.as_ref(), &options).map(|f| f.value(0).to_string());
        format!("{}={}", field.name(), value.unwrap_or_else(|_| "?".into()))
    });
    format!("({})", cells.collect::<Vec<_>>().join(", "))
}

fn row_error(e: &DataFusionError) -> RowError {
    error::row_error(e).unwrap_or_else(|| RowError::new(sqlstate::DATA_EXCEPTION, e.strip_backtrace()))
}

impl Compiled {
    fn batch(&self, batch: &RecordBatch) -> std::result::Result<ArrayRef, DataFusionError> {
        self.physical.evaluate(batch)?.into_array(batch.num_rows())
    }

    /// Row by row: the failing row is named, and a row that did not fail after all does not fail the batch.
    fn rows(&self, batch: &RecordBatch) -> std::result::Result<ArrayRef, RowError> {
        let mut parts = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let one = batch.slice(row, 1);
            parts.push(self.batch(&one).map_err(|e| row_error(&e).at_row(print_row(&one)))?);
        }
        let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
        concat(&parts).map_err(|e| RowError::new(sqlstate::DATA_EXCEPTION, e.to_string()))
    }
}

impl Eval for Compiled {
    fn eval(&self, batch: &RecordBatch) -> std::result::Result<ArrayRef, RowError> {
        match self.batch(batch) {
            Ok(array) => Ok(array),
            Err(e) if batch.num_rows() == 0 => Err(row_error(&e)),
            Err(_) => self.rows(batch),
        }
    }

    fn column(&self) -> Option<usize> {
        self.column
    }
}
