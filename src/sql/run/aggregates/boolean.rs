//! bool_and and bool_or: whether all values, or any, are true; NULL without values.

use arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::Result as DfResult;
use datafusion::scalar::ScalarValue;

use super::Group;

#[derive(Debug)]
pub(super) struct Boolean {
    and: bool,
    trues: usize,
    falses: usize,
}

impl Boolean {
    pub(super) fn new(and: bool) -> Self {
        Self { and, trues: 0, falses: 0 }
    }
}

fn counts(values: &[ArrayRef]) -> (usize, usize) {
    let values = values[0].as_boolean();
    let trues = values.true_count();
    (trues, values.len() - values.null_count() - trues)
}

impl Group for Boolean {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let (trues, falses) = counts(values);
        self.trues += trues;
        self.falses += falses;
        Ok(())
    }

    fn remove(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let (trues, falses) = counts(values);
        self.trues -= trues;
        self.falses -= falses;
        Ok(())
    }

    fn result(&self) -> DfResult<ScalarValue> {
        let some = self.trues + self.falses > 0;
        let value = if self.and { self.falses == 0 } else { self.trues > 0 };
        Ok(ScalarValue::Boolean(some.then_some(value)))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
