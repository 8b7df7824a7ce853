//! sum and avg of integers and numerics, in 256 bits.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int16Type, Int32Type, Int64Type, i256};
use dataflow::quotient;
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::scalar::ScalarValue;
use zset::ColumnType;

use super::{Group, out_of_range};
use crate::error::into_datafusion;

#[derive(Debug)]
pub(super) struct Sum {
    argument: ColumnType,
    output: ColumnType,
    average: bool,
    count: i64,
    /// Of unscaled integers: the scale is the argument's.
    sum: i256,
}

impl Sum {
    pub(super) fn new(argument: ColumnType, output: ColumnType, average: bool) -> Self {
        Self { argument, output, average, count: 0, sum: i256::ZERO }
    }

    fn each(&mut self, values: &[ArrayRef], sign: i64) -> DfResult<()> {
        let values = &values[0];
        for row in 0..values.len() {
            if values.is_null(row) {
                continue;
            }
            let value = match values.data_type() {
                DataType::Int16 => i256::from(values.as_primitive::<Int16Type>().value(row)),
                DataType::Int32 => i256::from(values.as_primitive::<Int32Type>().value(row)),
                DataType::Int64 => i256::from(values.as_primitive::<Int64Type>().value(row)),
                DataType::Decimal128(..) => i256::from_i128(values.as_primitive::<Decimal128Type>().value(row)),
                DataType::Decimal256(..) => values.as_primitive::<Decimal256Type>().value(row),
                other => return internal_err!("a sum of {other}"),
            };
            let sum = if sign > 0 { self.sum.checked_add(value) } else { self.sum.checked_sub(value) };
            self.sum = sum.ok_or_else(|| out_of_range("numeric"))?;
            self.count += sign;
        }
        Ok(())
    }
}

fn scale(ty: ColumnType) -> i8 {
    if let ColumnType::Numeric { scale, .. } = ty { scale } else { 0 }
}

/// Unscaled units as a value of a type that must hold it.
fn value(units: Option<i256>, ty: ColumnType) -> DfResult<ScalarValue> {
    match ty {
        ColumnType::Numeric { precision, scale } => {
            let bound = i256::from(10).checked_pow(precision.into()).ok_or_else(|| out_of_range("numeric"))?;
            if units.is_some_and(|units| units.checked_abs().is_none_or(|units| units >= bound)) {
                return Err(out_of_range(&ty.to_string()));
            }
            Ok(if precision <= 38 {
                ScalarValue::Decimal128(units.and_then(i256::to_i128), precision, scale)
            } else {
                ScalarValue::Decimal256(units, precision, scale)
            })
        }
        _ => match units {
            None => Ok(ScalarValue::Int64(None)),
            Some(units) => {
                let value = units.to_i128().and_then(|units| i64::try_from(units).ok());
                Ok(ScalarValue::Int64(Some(value.ok_or_else(|| out_of_range("bigint"))?)))
            }
        },
    }
}

impl Group for Sum {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.each(values, 1)
    }

    fn remove(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.each(values, -1)
    }

    fn result(&self) -> DfResult<ScalarValue> {
        if self.count == 0 {
            return value(None, self.output);
        }
        if !self.average {
            return value(Some(self.sum), self.output);
        }
        // the digits of a quotient or an average are those in use: it is kept with 38
        let shown = self.argument != ColumnType::Numeric { precision: 76, scale: 38 };
        let units = quotient(self.sum, scale(self.argument), self.count, shown, scale(self.output));
        value(Some(units.map_err(into_datafusion)?), self.output)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
