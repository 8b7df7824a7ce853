//! min and max, in the order of the values' bytes, which is PostgreSQL's: text by its bytes, NaN above all.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result as DfResult;
use datafusion::scalar::ScalarValue;
use zset::{ColumnType, canonical};

use super::Group;

/// Values as bytes that have their order.
fn bytes(values: &ArrayRef) -> DfResult<arrow::row::Rows> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    Ok(converter.convert_columns(&[canonical(values)])?)
}

/// Only ever takes more values.
#[derive(Debug)]
pub(super) struct Extreme {
    output: ColumnType,
    greatest: bool,
    found: Option<(Box<[u8]>, ScalarValue)>,
}

impl Extreme {
    pub(super) fn new(output: ColumnType, greatest: bool) -> Self {
        Self { output, greatest, found: None }
    }
}

impl Group for Extreme {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let values = &values[0];
        let rows = bytes(values)?;
        let mut best: Option<usize> = None;
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let better = |than: &[u8]| {
                let value = rows.row(row).data();
                if self.greatest { value > than } else { value < than }
            };
            let beats = match (best, &self.found) {
                (Some(best), _) => better(rows.row(best).data()),
                (None, Some((found, _))) => better(found),
                (None, None) => true,
            };
            if beats {
                best = Some(row);
            }
        }
        if let Some(row) = best {
            let value = ScalarValue::try_from_array(&canonical(values), row)?;
            self.found = Some((rows.row(row).data().into(), value));
        }
        Ok(())
    }

    fn remove(&mut self, _: &[ArrayRef]) -> DfResult<()> {
        datafusion::common::internal_err!("min and max of a frame that moves have an accumulator of their own")
    }

    fn result(&self) -> DfResult<ScalarValue> {
        match &self.found {
            Some((_, value)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.output.arrow()),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.found.as_ref().map_or(0, |(bytes, value)| bytes.len() + value.size())
    }
}

/// Keeps every value, as often as it is there.
#[derive(Debug)]
pub(super) struct Sliding {
    output: ColumnType,
    greatest: bool,
    values: BTreeMap<Box<[u8]>, (usize, ScalarValue)>,
}

impl Sliding {
    pub(super) fn new(output: ColumnType, greatest: bool) -> Self {
        Self { output, greatest, values: BTreeMap::new() }
    }
}

impl Group for Sliding {
    fn add(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let (values, rows) = (canonical(&values[0]), bytes(&values[0])?);
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            match self.values.get_mut(rows.row(row).data()) {
                Some((count, _)) => *count += 1,
                None => {
                    let value = ScalarValue::try_from_array(&values, row)?;
                    self.values.insert(rows.row(row).data().into(), (1, value));
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let (values, rows) = (&values[0], bytes(&values[0])?);
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let key = rows.row(row).data();
            if let Some((count, _)) = self.values.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.values.remove(key);
                }
            }
        }
        Ok(())
    }

    fn result(&self) -> DfResult<ScalarValue> {
        let end = if self.greatest { self.values.last_key_value() } else { self.values.first_key_value() };
        match end {
            Some((_, (_, value))) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.output.arrow()),
        }
    }

    fn bytes(&self) -> usize {
        let held = self.values.iter().map(|(bytes, (_, value))| bytes.len() + value.size() + 64);
        size_of::<Self>() + held.sum::<usize>()
    }
}
