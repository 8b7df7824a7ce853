//! sum and avg of floats: exact sums, with NaN and the infinities counted beside them, so that they can leave again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use zset::{RowBytes, RowError};

use super::accumulator::{Accumulator, Failed, Part, added, proper};
use super::encoding::{Reader, put_i64};
use super::exact::Exact;
use super::totals::out_of_range;
use crate::FlowError;

/// What is computed of the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// sum(real), rounded once to a real.
    SumReal,
    /// sum(double precision)
    SumDouble,
    /// avg of either: the sum rounded to a double, divided by the count.
    Avg,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sum {
    /// All values, also those that are no number.
    count: i64,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
    finite: Exact,
}

#[derive(Debug)]
pub(super) struct FloatSum {
    of: Of,
    sums: Vec<Sum>,
}

impl Sum {
    fn add(&mut self, value: f64, weight: i64) -> Result<(), FlowError> {
        self.count = added("count", self.count, weight)?;
        let special = match value {
            value if value.is_nan() => &mut self.nans,
            f64::INFINITY => &mut self.infinities,
            f64::NEG_INFINITY => &mut self.negative_infinities,
            finite => {
                self.finite.add(finite, weight);
                return Ok(());
            }
        };
        *special = added("count", *special, weight)?;
        Ok(())
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

    fn double(&self) -> Result<f64, RowError> {
        let sum = self.special().or_else(|| self.finite.to_f64());
        sum.ok_or_else(|| out_of_range("double precision"))
    }

    fn real(&self) -> Result<f32, RowError> {
        let sum = self.special().map(|special| special as f32).or_else(|| self.finite.to_f32());
        sum.ok_or_else(|| out_of_range("real"))
    }
}

impl FloatSum {
    pub fn new(of: Of) -> Self {
        Self { of, sums: Vec::new() }
    }

    /// The result of every group that has values.
    fn each<T>(&self, result: impl Fn(&Sum) -> Result<T, RowError>) -> Result<Vec<Option<T>>, Failed> {
        let all = self.sums.iter().enumerate();
        all.map(|(group, sum)| match sum.count {
            0 => Ok(None),
            _ => result(sum).map(Some).map_err(|error| Failed::Row(group, error)),
        })
        .collect()
    }
}

impl Accumulator for FloatSum {
    fn start(&mut self, groups: usize) {
        self.sums.clear();
        self.sums.resize(groups, Sum::default());
    }

    fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError> {
        let (count, nans, infinities, negative_infinities) = (from.i64()?, from.i64()?, from.i64()?, from.i64()?);
        self.sums[group] = Sum { count, nans, infinities, negative_infinities, finite: Exact::load(from)? };
        Ok(())
    }

    fn update(&mut self, part: &Part, _: &RowBytes) -> Result<(), FlowError> {
        let values = part.values.as_ref().ok_or_else(|| FlowError::invariant("a sum: it has no argument"))?;
        let mut add = |at: usize, value: f64| self.sums[part.groups[at] as usize].add(value, part.weights[at]);
        match values.data_type() {
            DataType::Float32 => {
                let values = values.as_primitive::<Float32Type>().values();
                values.iter().enumerate().try_for_each(|(at, value)| add(at, (*value).into()))?;
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>().values();
                values.iter().enumerate().try_for_each(|(at, value)| add(at, *value))?;
            }
            other => return Err(FlowError::invariant(format!("a sum of floats: its argument is {other}"))),
        }
        let counts = |sum: &Sum| [sum.count, sum.nans, sum.infinities, sum.negative_infinities];
        proper("sum", &self.sums.iter().flat_map(counts).collect::<Vec<_>>())
    }

    fn is_empty(&self, group: usize) -> bool {
        let sum = &self.sums[group];
        sum.count == 0 && sum.special().is_none() && sum.finite.is_zero()
    }

    fn store(&self, group: usize, into: &mut Vec<u8>) {
        let sum = &self.sums[group];
        [sum.count, sum.nans, sum.infinities, sum.negative_infinities].iter().for_each(|count| put_i64(into, *count));
        sum.finite.store(into);
    }

    fn finish(&self) -> Result<ArrayRef, Failed> {
        Ok(match self.of {
            Of::SumReal => Arc::new(Float32Array::from(self.each(Sum::real)?)),
            Of::SumDouble => Arc::new(Float64Array::from(self.each(Sum::double)?)),
            // Adding 0.0 makes a tiny negative quotient that rounds to -0 a 0.
            Of::Avg => {
                let quotient = |sum: &Sum| sum.double().map(|total| total / sum.count as f64 + 0.0);
                Arc::new(Float64Array::from(self.each(quotient)?))
            }
        })
    }
}
