//! avg of integers and numerics: the exact sum divided by the count, with the digits that PostgreSQL gives.

use arrow::array::ArrayRef;
use zset::{ColumnType, RowBytes};

use super::accumulator::{Accumulator, Failed, Part};
use super::division::quotient;
use super::encoding::Reader;
use super::sum::{numerics, scale_of};
use super::totals::Totals;
use crate::FlowError;

#[derive(Debug)]
pub(super) struct Avg {
    totals: Totals,
    argument: ColumnType,
    output: ColumnType,
}

impl Avg {
    pub fn new(argument: ColumnType, output: ColumnType) -> Self {
        Self { totals: Totals::default(), argument, output }
    }
}

impl Accumulator for Avg {
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
        let (scale, output) = (scale_of(self.argument), scale_of(self.output));
        // The results of avg and division are kept with 38 digits whatever PostgreSQL's scale of them would be, so there
        // the digits in use stand for it.
        let shown = self.argument != ColumnType::Numeric { precision: 76, scale: 38 };
        let mut units = Vec::with_capacity(self.totals.sums.len());
        for (group, (sum, count)) in self.totals.sums.iter().zip(&self.totals.counts).enumerate() {
            let unit = match count {
                0 => None,
                count => Some(quotient(*sum, scale, *count, shown, output).map_err(|e| Failed::Row(group, e))?),
            };
            units.push(unit);
        }
        numerics(self.output, &units)
    }
}
