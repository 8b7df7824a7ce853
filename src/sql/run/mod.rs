//! Reading: a client's query on one epoch's view, once.
//!
//! The values of parameters and the view's time become literals; named optimizer rules rewrite the plan; tables become their
//! snapshots, subqueries functions that run plans of their own, conditions that may fail guarded ones; DataFusion's operators
//! compute the answer batch by batch, on the caller's thread, in one partition, within the statement's memory and time.

pub(crate) mod aggregates;
mod bound;
mod context;
mod guarded;
mod limits;
mod memory;
mod physical;
mod settle;
mod stream;
mod subplan;
mod substitute;
mod table;
pub(crate) mod verify;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use dataflow::{Limits, Read, ResultColumn, ResultType, Rows, StatementError, View};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use zset::{Column, ColumnType, RowType};

use crate::error::{Result, code, error};
use crate::expr::parameter::{self, Parameters};
use crate::query::Planned;
use context::Context;

/// A client's query that can be run.
pub(crate) struct Runnable {
    plan: LogicalPlan,
    columns: RowType,
    parameters: Vec<ColumnType>,
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.plan.display_indent())
    }
}

impl Runnable {
    /// A planned query and the types of its parameters.
    pub(crate) fn new(planned: Planned, parameters: Parameters) -> Self {
        let columns = planned.columns.into_iter().map(|column| Column::new(column.name, column.ty, true)).collect();
        Self { plan: planned.plan, columns: RowType(columns), parameters: parameters.types() }
    }

    /// The columns of the answer.
    pub(crate) fn columns(&self) -> Vec<ResultColumn> {
        let column = |c: &Column| ResultColumn { name: c.name.clone(), ty: ResultType::Column(c.ty) };
        self.columns.0.iter().map(column).collect()
    }

    /// The plan with its values in place.
    fn with_values(&self, values: &[Option<String>], view: &View) -> Result<LogicalPlan> {
        if values.len() != self.parameters.len() {
            return Err(error(
                code::PROTOCOL_VIOLATION,
                format!("the statement has {} parameters, {} values were given", self.parameters.len(), values.len()),
            ));
        }
        let mut literals = Vec::with_capacity(values.len());
        for (value, ty) in values.iter().zip(&self.parameters) {
            literals.push(parameter::value(value.as_deref(), *ty)?.expr);
        }
        substitute::values(self.plan.clone(), &literals, view.timestamp)
    }
}

impl Read for Runnable {
    fn run(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits) -> Result<Rows, StatementError> {
        let context = Context::new(view, limits)?;
        context.watch().check()?;
        let plan = settle::optimized(self.with_values(values, view)?)?;
        let stream = context.started(plan)?;
        Ok(Box::new(Answer { stream: Some(stream), schema: self.columns.schema(), context }))
    }
}

/// The rows of an answer, computed as they are asked for.
struct Answer {
    /// `None` behind the end, or an error.
    stream: Option<SendableRecordBatchStream>,
    schema: SchemaRef,
    context: Context,
}

impl Answer {
    /// A batch in the types that were announced.
    fn typed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), batch.columns().to_vec(), &options)
            .map_err(|e| error(code::INTERNAL, format!("the answer is of other types than planned: {e}")))
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, StatementError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let stream = self.stream.as_mut()?;
            let next = match self.context.watch().check() {
                Err(e) => Some(Err(e)),
                Ok(()) => stream::block_on(stream.next()).map(|batch| batch.map_err(|e| self.context.failed(e))),
            };
            match next {
                None => {
                    self.stream = None;
                    return None;
                }
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => return Some(self.typed(&batch)),
                Some(Err(e)) => {
                    self.stream = None;
                    return Some(Err(e));
                }
            }
        }
    }
}
