//! DISTINCT: each value once. What is one value is decided by its bytes, in which there is one NaN and one zero.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::scalar::ScalarValue;
use zset::canonical;

use super::Group;

#[derive(Debug)]
pub(super) struct Distinct<G> {
    inner: G,
    known: HashSet<Box<[u8]>>,
    held: usize,
}

impl<G> Distinct<G> {
    pub(super) fn new(inner: G) -> Self {
        Self { inner, known: HashSet::new(), held: 0 }
    }
}

impl<G: Group> Group for Distinct<G> {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let first = &values[0];
        let converter = RowConverter::new(vec![SortField::new(first.data_type().clone())])?;
        let rows = converter.convert_columns(&[canonical(first)])?;
        let mut new: Vec<u32> = Vec::new();
        for row in (0..first.len()).filter(|row| first.is_valid(*row)) {
            let bytes = rows.row(row).data();
            if !self.known.contains(bytes) {
                self.held += bytes.len() + 48;
                self.known.insert(bytes.into());
                new.push(row as u32);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let new = UInt32Array::from(new);
        let values = values.iter().map(|array| Ok(take(array, &new, None)?)).collect::<DfResult<Vec<ArrayRef>>>()?;
        self.inner.add(&values)
    }

    fn remove(&mut self, _: &[ArrayRef]) -> DfResult<()> {
        internal_err!("windows have no DISTINCT")
    }

    fn result(&self) -> DfResult<ScalarValue> {
        self.inner.result()
    }

    fn bytes(&self) -> usize {
        self.inner.bytes() + self.held
    }
}
