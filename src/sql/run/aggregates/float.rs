//! sum and avg of floats: exact, with NaN and the infinities counted beside, so that no order of rows shows.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use dataflow::Exact;
use datafusion::common::Result as DfResult;
use datafusion::scalar::ScalarValue;
use zset::ColumnType;

use super::{Group, out_of_range};

#[derive(Debug)]
pub(super) struct FloatSum {
    average: bool,
    output: ColumnType,
    count: i64,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
    finite: Exact,
}

impl FloatSum {
    pub(super) fn new(average: bool, output: ColumnType) -> Self {
        let finite = Exact::default();
        Self { average, output, count: 0, nans: 0, infinities: 0, negative_infinities: 0, finite }
    }

    fn each(&mut self, values: &[ArrayRef], sign: i64) {
        let values = &values[0];
        let narrow = *values.data_type() == DataType::Float32;
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = if narrow {
                f64::from(values.as_primitive::<Float32Type>().value(row))
            } else {
                values.as_primitive::<Float64Type>().value(row)
            };
            self.count += sign;
            match value {
                value if value.is_nan() => self.nans += sign,
                f64::INFINITY => self.infinities += sign,
                f64::NEG_INFINITY => self.negative_infinities += sign,
                finite => self.finite.add(finite, sign),
            }
        }
    }

    /// The sum, if it is not a finite number.
    fn special(&self) -> Option<f64> {
        match (self.nans > 0, self.infinities > 0, self.negative_infinities > 0) {
            (true, _, _) | (_, true, true) => Some(f64::NAN),
            (_, true, _) => Some(f64::INFINITY),
            (_, _, true) => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }
}

impl Group for FloatSum {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.each(values, 1);
        Ok(())
    }

    fn remove(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.each(values, -1);
        Ok(())
    }

    fn result(&self) -> DfResult<ScalarValue> {
        let some = self.count > 0;
        if self.output == ColumnType::Real {
            let sum = self.special().map(|special| special as f32).or_else(|| self.finite.to_f32());
            let sum = if some { Some(sum.ok_or_else(|| out_of_range("real"))?) } else { None };
            return Ok(ScalarValue::Float32(sum));
        }
        let sum = self.special().or_else(|| self.finite.to_f64());
        let sum = if some { Some(sum.ok_or_else(|| out_of_range("double precision"))?) } else { None };
        // adding 0.0 makes a tiny negative quotient that rounds to -0 a 0
        let quotient = |sum: f64| if self.average { sum / self.count as f64 + 0.0 } else { sum };
        Ok(ScalarValue::Float64(sum.map(quotient)))
    }

    fn bytes(&self) -> usize {
        // the widest sum of doubles
        size_of::<Self>() + 272
    }
}
