//! The exact sum and count of integers or numerics per group, in 256 bits: what sum and avg share.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int16Type, Int32Type, Int64Type, i256};
use zset::{RowError, sqlstate};

use super::accumulator::{Part, added, proper};
use super::encoding::{Reader, put_i64, put_i256};
use crate::FlowError;

#[derive(Debug, Default)]
pub(super) struct Totals {
    pub counts: Vec<i64>,
    /// Of unscaled integers: the scale is the argument's.
    pub sums: Vec<i256>,
}

impl Totals {
    pub fn start(&mut self, groups: usize) {
        self.counts.clear();
        self.counts.resize(groups, 0);
        self.sums.clear();
        self.sums.resize(groups, i256::ZERO);
    }

    pub fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError> {
        self.counts[group] = from.i64()?;
        self.sums[group] = from.i256()?;
        Ok(())
    }

    pub fn store(&self, group: usize, into: &mut Vec<u8>) {
        put_i64(into, self.counts[group]);
        put_i256(into, self.sums[group]);
    }

    pub fn is_empty(&self, group: usize) -> bool {
        self.counts[group] == 0 && self.sums[group] == i256::ZERO
    }

    pub fn update(&mut self, part: &Part) -> Result<(), FlowError> {
        let values = part.values.as_ref().ok_or_else(|| FlowError::invariant("a sum: it has no argument"))?;
        match values.data_type() {
            DataType::Int16 => {
                self.narrow(part, values.as_primitive::<Int16Type>().values().iter().map(|v| (*v).into()))
            }
            DataType::Int32 => {
                self.narrow(part, values.as_primitive::<Int32Type>().values().iter().map(|v| (*v).into()))
            }
            DataType::Int64 => {
                self.narrow(part, values.as_primitive::<Int64Type>().values().iter().map(|v| (*v).into()))
            }
            DataType::Decimal128(_, _) => {
                self.narrow(part, values.as_primitive::<Decimal128Type>().values().iter().copied())
            }
            DataType::Decimal256(_, _) => self.wide(part, values),
            other => Err(FlowError::invariant(format!("a sum: its argument is {other}"))),
        }?;
        proper("sum", &self.counts)
    }

    fn narrow(&mut self, part: &Part, values: impl Iterator<Item = i128>) -> Result<(), FlowError> {
        for ((group, weight), value) in part.groups.iter().zip(&part.weights).zip(values) {
            match value.checked_mul(i128::from(*weight)) {
                Some(product) => self.add(*group as usize, *weight, Some(i256::from_i128(product)))?,
                None => {
                    let product = i256::from_i128(value).checked_mul(i256::from(*weight));
                    self.add(*group as usize, *weight, product)?;
                }
            }
        }
        Ok(())
    }

    fn wide(&mut self, part: &Part, values: &ArrayRef) -> Result<(), FlowError> {
        let values = values.as_primitive::<Decimal256Type>().values();
        for ((group, weight), value) in part.groups.iter().zip(&part.weights).zip(values) {
            self.add(*group as usize, *weight, value.checked_mul(i256::from(*weight)))?;
        }
        Ok(())
    }

    fn add(&mut self, group: usize, weight: i64, product: Option<i256>) -> Result<(), FlowError> {
        self.counts[group] = added("count", self.counts[group], weight)?;
        let sum = product.and_then(|product| self.sums[group].checked_add(product));
        self.sums[group] = sum.ok_or_else(|| out_of_range("numeric"))?;
        Ok(())
    }
}

/// 22003 for a type.
pub(super) fn out_of_range(ty: &str) -> RowError {
    RowError::new(sqlstate::OUT_OF_RANGE, format!("{ty} out of range"))
}

/// 10^exponent; `None` over 76 digits.
pub(super) fn power_of_ten(exponent: u32) -> Option<i256> {
    (exponent <= 76).then(|| i256::from(10).wrapping_pow(exponent))
}

/// A quotient, rounded half away from zero. The divisor is positive.
pub(super) fn divide_rounded(dividend: i256, divisor: i256) -> i256 {
    let quotient = dividend.wrapping_div(divisor);
    let rest = dividend.wrapping_rem(divisor).wrapping_abs();
    // Not 2 * rest >= divisor, which may be over 256 bits.
    if rest >= divisor.wrapping_sub(rest) { quotient.wrapping_add(dividend.signum()) } else { quotient }
}
