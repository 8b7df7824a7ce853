//! count(*) and count(x): the sum of the weights.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use zset::RowBytes;

use super::accumulator::{Accumulator, Failed, Part, added, proper};
use super::encoding::{Reader, put_i64};
use crate::FlowError;

#[derive(Debug, Default)]
pub(super) struct Count {
    counts: Vec<i64>,
}

impl Accumulator for Count {
    fn start(&mut self, groups: usize) {
        self.counts.clear();
        self.counts.resize(groups, 0);
    }

    fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError> {
        self.counts[group] = from.i64()?;
        Ok(())
    }

    fn update(&mut self, part: &Part, _: &RowBytes) -> Result<(), FlowError> {
        for (group, weight) in part.groups.iter().zip(&part.weights) {
            let count = &mut self.counts[*group as usize];
            *count = added("count", *count, *weight)?;
        }
        proper("count", &self.counts)
    }

    fn is_empty(&self, group: usize) -> bool {
        self.counts[group] == 0
    }

    fn store(&self, group: usize, into: &mut Vec<u8>) {
        put_i64(into, self.counts[group]);
    }

    fn finish(&self) -> Result<ArrayRef, Failed> {
        Ok(Arc::new(Int64Array::from(self.counts.clone())))
    }
}
