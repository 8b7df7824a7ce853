//! The aggregates of clients' queries, computed as the engine computes those of stream tables: sums exact, integers and
//! numerics in 256 bits, floats in a fixed-point number wide enough for all; 22003 where the result's type cannot hold it.
//!
//! Each is an accumulator of one group. It also takes values back, for frames of windows that move on.

mod boolean;
mod count;
mod distinct;
mod extreme;
mod float;
mod sum;
mod text;

use arrow::array::ArrayRef;
use datafusion::common::{Result as DfResult, not_impl_err};
use datafusion::logical_expr::Accumulator;
use datafusion::scalar::ScalarValue;
use plan::AggregateFunction as Known;
use zset::{ColumnType, RowError, sqlstate};

use crate::aggregates::{Aggregate, Function};
use crate::error::into_datafusion;

/// What an aggregate remembers of one group.
trait Group: std::fmt::Debug + Send + Sync {
    /// Takes values; NULLs are among them.
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()>;

    /// Takes values back that were added.
    fn remove(&mut self, values: &[ArrayRef]) -> DfResult<()>;

    /// The result.
    fn result(&self) -> DfResult<ScalarValue>;

    /// The bytes it holds.
    fn bytes(&self) -> usize;
}

/// A group as DataFusion's accumulator.
#[derive(Debug)]
struct Adapted<G>(G);

impl<G: Group + 'static> Accumulator for Adapted<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.0.add(values)
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        self.0.result()
    }

    fn size(&self) -> usize {
        self.0.bytes()
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        not_impl_err!("aggregates are computed in one step")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> DfResult<()> {
        not_impl_err!("aggregates are computed in one step")
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.0.remove(values)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

fn adapted(group: impl Group + 'static, distinct: bool) -> DfResult<Box<dyn Accumulator>> {
    if distinct { Ok(Box::new(Adapted(distinct::Distinct::new(group)))) } else { Ok(Box::new(Adapted(group))) }
}

/// The accumulator of an aggregate.
pub(crate) fn accumulator(aggregate: &Aggregate, distinct: bool) -> DfResult<Box<dyn Accumulator>> {
    let (argument, output) = (aggregate.argument, aggregate.output);
    let float = matches!(argument, ColumnType::Real | ColumnType::Double);
    match &aggregate.function {
        Function::Known(Known::Count) => adapted(count::Count::default(), distinct),
        Function::Known(Known::Sum) if float => adapted(float::FloatSum::new(false, output), distinct),
        Function::Known(Known::Avg) if float => adapted(float::FloatSum::new(true, output), distinct),
        Function::Known(Known::Sum) => adapted(sum::Sum::new(argument, output, false), distinct),
        Function::Known(Known::Avg) => adapted(sum::Sum::new(argument, output, true), distinct),
        // each value once or often: the extremum is the same
        Function::Known(Known::Min) => adapted(extreme::Extreme::new(output, false), false),
        Function::Known(Known::Max) => adapted(extreme::Extreme::new(output, true), false),
        Function::BoolAnd => adapted(boolean::Boolean::new(true), false),
        Function::BoolOr => adapted(boolean::Boolean::new(false), false),
        Function::StringAgg(order) => adapted(text::Texts::new(order.clone()), distinct),
    }
}

/// The accumulator of an aggregate over a frame that rows leave.
pub(crate) fn sliding(aggregate: &Aggregate) -> DfResult<Box<dyn Accumulator>> {
    match &aggregate.function {
        Function::Known(Known::Min) => adapted(extreme::Sliding::new(aggregate.output, false), false),
        Function::Known(Known::Max) => adapted(extreme::Sliding::new(aggregate.output, true), false),
        _ => accumulator(aggregate, false),
    }
}

fn out_of_range(name: &str) -> datafusion::common::DataFusionError {
    into_datafusion(RowError::new(sqlstate::OUT_OF_RANGE, format!("{name} out of range")))
}
