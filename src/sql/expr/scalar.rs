//! Our scalar functions, one DataFusion function for all: an operation, the types of its arguments, the type it gives.
//!
//! DataFusion never chooses types for them: the arguments are of exactly these types already.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use zset::{Column, ColumnType, RowError};

use super::{Op, Typed};
use crate::error::into_datafusion;

/// One function of exact types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scalar {
    pub(crate) op: Op,
    pub(crate) arguments: Vec<ColumnType>,
    pub(crate) output: ColumnType,
    name: String,
    signature: Signature,
}

impl Scalar {
    /// The function applied.
    pub(crate) fn call(op: Op, arguments: Vec<Typed>, output: ColumnType) -> Typed {
        let types: Vec<ColumnType> = arguments.iter().map(|a| a.ty.unwrap_or(ColumnType::Text)).collect();
        let args = arguments.into_iter().map(|a| a.expr).collect();
        let name = match op {
            Op::Cast | Op::CastExactly | Op::Fit | Op::Relabel => format!("{}_to_{output}", op.name()),
            _ => op.name(),
        };
        let any = if types.is_empty() { TypeSignature::Nullary } else { TypeSignature::Any(types.len()) };
        let signature = Signature::new(any, Volatility::Immutable);
        let scalar = Self { op, arguments: types, output, name, signature };
        let function = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(scalar)), args);
        Typed::new(Expr::ScalarFunction(function), output)
    }
}

impl Scalar {
    /// Computes it over its arguments, which have its types and `rows` rows.
    pub(crate) fn compute(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef, RowError> {
        kernels::compute(&self.op, (&self.arguments, self.output), arrays, rows)
    }
}

/// The function of an expression, if it is one of ours.
pub(crate) fn of(function: &ScalarUDF) -> Option<&Scalar> {
    function.inner().downcast_ref::<Scalar>()
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.output.arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        Ok(Arc::new(Column::new(self.name.clone(), self.output, true).field()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<DfResult<Vec<_>>>()?;
        let output = self.compute(&arrays, rows).map_err(into_datafusion)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&output, 0)?));
        }
        Ok(ColumnarValue::Array(output))
    }
}
