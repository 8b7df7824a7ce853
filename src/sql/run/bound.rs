//! What a subquery's plan has from outside, while it is run: values in cells, read by functions without arguments.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// The captured values of all frames of a statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Cells(Arc<Mutex<HashMap<(usize, usize), ScalarValue>>>);

impl Cells {
    /// Sets a value for what is run next.
    pub(super) fn set(&self, frame: usize, at: usize, value: ScalarValue) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((frame, at), value);
    }

    fn get(&self, frame: usize, at: usize) -> Option<ScalarValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(frame, at)).cloned()
    }

    /// The function that gives a captured value.
    pub(super) fn reader(&self, frame: usize, at: usize, field: FieldRef) -> Expr {
        let bound =
            Bound { frame, at, field, cells: self.clone(), signature: Signature::nullary(Volatility::Volatile) };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(bound)), vec![]))
    }
}

/// One captured value.
#[derive(Debug)]
struct Bound {
    frame: usize,
    at: usize,
    field: FieldRef,
    cells: Cells,
    signature: Signature,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        (self.frame, self.at) == (other.frame, other.at)
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.frame, self.at).hash(state);
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        "outer"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        match self.cells.get(self.frame, self.at) {
            Some(value) => Ok(ColumnarValue::Scalar(value)),
            None => internal_err!("the outer value {}.{} is not set", self.frame, self.at),
        }
    }
}
