//! The answer of a catalog query, as the rows of any other.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use dataflow::{Limits, Read, ResultType, Rows, View};
use zset::ColumnType;

use super::bind::Bound;
use super::cast::{display, read};
use super::run::Run;
use super::ty::Ty;
use super::value::{Row, Value};
use super::world::World;
use crate::error::{Result, code, error};

/// A prepared catalog query.
#[derive(Debug)]
pub(super) struct Answer {
    bound: Bound,
}

impl Answer {
    pub(super) fn new(bound: Bound) -> Self {
        Self { bound }
    }

    fn batch(&self, world: &World, rows: &[Row]) -> Result<RecordBatch> {
        let columns = &self.bound.query.columns;
        let arrays: Vec<ArrayRef> =
            columns.iter().enumerate().map(|(at, column)| array(world, column.ty, rows, at)).collect();
        let field = |(column, array): (&super::node::Output, &ArrayRef)| {
            Field::new(&column.name, array.data_type().clone(), true)
        };
        let schema = Schema::new(columns.iter().zip(&arrays).map(field).collect::<Vec<_>>());
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(internal)
    }
}

fn internal(e: ArrowError) -> dataflow::StatementError {
    error(code::INTERNAL, format!("cannot make the answer of a catalog query: {e}"))
}

impl Read for Answer {
    fn run(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits) -> Result<Rows> {
        let world = World { catalog: &view.catalog, view: Some(view) };
        let parameters = self.bound.parameters.iter().enumerate().map(|(at, ty)| match values.get(at) {
            Some(Some(text)) => read(&world, text, *ty),
            Some(None) => Ok(Value::Null),
            None => Err(error("08P01", format!("a value is missing for parameter ${}", at + 1))),
        });
        let parameters = parameters.collect::<Result<Vec<_>>>()?;
        let rows = Run::new(&world, &parameters, limits).rows(&self.bound.query)?;
        let batch = self.batch(&world, &rows)?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

/// A column, in the Arrow type of its result type.
fn array(world: &World, ty: Ty, rows: &[Row], at: usize) -> ArrayRef {
    let values = || rows.iter().map(|row| &row[at]);
    let integers = || values().map(Value::as_int);
    match ty.result() {
        ResultType::Column(ColumnType::Boolean) => {
            let value = |value: &Value| if let Value::Bool(value) = value { Some(*value) } else { None };
            Arc::new(values().map(value).collect::<BooleanArray>())
        }
        ResultType::Column(ColumnType::SmallInt) => {
            Arc::new(integers().map(|value| value.map(|value| value as i16)).collect::<Int16Array>())
        }
        ResultType::Column(ColumnType::Int) => {
            Arc::new(integers().map(|value| value.map(|value| value as i32)).collect::<Int32Array>())
        }
        ResultType::Column(ColumnType::BigInt) | ResultType::Oid => Arc::new(integers().collect::<Int64Array>()),
        ResultType::Column(ColumnType::Real) => {
            Arc::new(values().map(|value| value.as_float().map(|value| value as f32)).collect::<Float32Array>())
        }
        ResultType::Column(ColumnType::Double) => Arc::new(values().map(Value::as_float).collect::<Float64Array>()),
        ResultType::Column(ColumnType::TimestampTz(_)) => {
            Arc::new(integers().collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        _ => {
            let text = |value: &Value| (!value.is_null()).then(|| display(world, value, ty));
            Arc::new(values().map(text).collect::<StringArray>())
        }
    }
}
