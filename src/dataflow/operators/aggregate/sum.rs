//! sum of integers and numerics: exact, NULL without values, 22003 where the result's type cannot hold it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Decimal256Array, Int64Array};
use arrow::datatypes::i256;
use zset::{ColumnType, RowBytes, RowError};

use super::accumulator::{Accumulator, Failed, Part};
use super::encoding::Reader;
use super::totals::{Totals, divide_rounded, out_of_range, power_of_ten};
use crate::FlowError;

#[derive(Debug)]
pub(super) struct Sum {
    totals: Totals,
    /// Of the argument.
    scale: i8,
    output: ColumnType,
}

impl Sum {
    pub fn new(argument: ColumnType, output: ColumnType) -> Self {
        Self { totals: Totals::default(), scale: scale_of(argument), output }
    }
}

/// The digits behind the point.
pub(super) fn scale_of(ty: ColumnType) -> i8 {
    match ty {
        ColumnType::Numeric { scale, .. } => scale,
        _ => 0,
    }
}

impl Accumulator for Sum {
    fn start(&mut self, groups: usize) {
        self.totals.start(groups);
    }

    fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError> {
        self.totals.load(group, from)
    }

    fn update(&mut self, part: &Part, _: &RowBytes) -> Result<(), FlowError> {
        self.totals.update(part)
    }

    fn is_empty(&self, group: usize) -> bool {
        self.totals.is_empty(group)
    }

    fn store(&self, group: usize, into: &mut Vec<u8>) {
        self.totals.store(group, into);
    }

    fn finish(&self) -> Result<ArrayRef, Failed> {
        let scale = match self.output {
            ColumnType::Numeric { scale, .. } => scale,
            _ => 0,
        };
        let mut units = Vec::with_capacity(self.totals.sums.len());
        for (group, (sum, count)) in self.totals.sums.iter().zip(&self.totals.counts).enumerate() {
            let unit = if *count == 0 { None } else { Some(rescaled(*sum, self.scale, scale)) };
            units.push(unit.transpose().map_err(|error| Failed::Row(group, error))?);
        }
        numerics(self.output, &units)
    }
}

/// A number of one scale at another.
pub(super) fn rescaled(units: i256, from: i8, to: i8) -> Result<i256, RowError> {
    let digits = i16::from(to) - i16::from(from);
    let power = power_of_ten(digits.unsigned_abs().into()).ok_or_else(|| out_of_range("numeric"))?;
    if digits < 0 {
        return Ok(divide_rounded(units, power));
    }
    units.checked_mul(power).ok_or_else(|| out_of_range("numeric"))
}

/// A column of `bigint` or `numeric` from unscaled integers of its scale.
pub(super) fn numerics(ty: ColumnType, units: &[Option<i256>]) -> Result<ArrayRef, Failed> {
    let all = |fits: &dyn Fn(i256) -> bool, what: &str| match units.iter().position(|u| u.is_some_and(|u| !fits(u))) {
        Some(group) => Err(Failed::Row(group, out_of_range(what))),
        None => Ok(()),
    };
    let wrong = || Failed::Flow(FlowError::invariant(format!("a sum: its result is {ty}")));
    match ty {
        ColumnType::BigInt => {
            all(&|unit| unit.to_i128().is_some_and(|unit| i64::try_from(unit).is_ok()), "bigint")?;
            Ok(Arc::new(units.iter().map(|unit| unit.map(|unit| unit.as_i128() as i64)).collect::<Int64Array>()))
        }
        ColumnType::Numeric { precision, scale } => {
            let bound = power_of_ten(precision.into()).ok_or_else(wrong)?;
            let name = ty.to_string();
            all(&|unit| unit.checked_abs().is_some_and(|unit| unit < bound), &name)?;
            let array: ArrayRef = if precision <= 38 {
                let array: Decimal128Array = units.iter().map(|unit| unit.map(i256::as_i128)).collect();
                Arc::new(array.with_precision_and_scale(precision, scale).map_err(|_| wrong())?)
            } else {
                let array: Decimal256Array = units.iter().copied().collect();
                Arc::new(array.with_precision_and_scale(precision, scale).map_err(|_| wrong())?)
            };
            Ok(array)
        }
        _ => Err(wrong()),
    }
}
