//! count(x): the values that are not NULL; count(*) counts a constant.

use arrow::array::{Array, ArrayRef};
use datafusion::common::Result as DfResult;
use datafusion::scalar::ScalarValue;

use super::Group;

#[derive(Debug, Default)]
pub(super) struct Count(i64);

fn values(arrays: &[ArrayRef]) -> i64 {
    arrays.first().map_or(0, |array| (array.len() - array.null_count()) as i64)
}

impl Group for Count {
    fn add(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        self.0 += values(arrays);
        Ok(())
    }

    fn remove(&mut self, arrays: &[ArrayRef]) -> DfResult<()> {
        self.0 -= values(arrays);
        Ok(())
    }

    fn result(&self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0)))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
