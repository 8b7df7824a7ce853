//! What operators do with rows: batches of a schema, evaluated columns, and runs of equal bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use zset::{Delta, RowBytes, canonical, key_hash};

use crate::{Eval, FlowError};

/// A batch of a schema. The columns are ours to have made right: a mismatch is an invariant.
pub(crate) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, FlowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| FlowError::invariant(format!("the columns of an operator's output: {error}")))
}

/// The same rows under an operator's own schema.
pub(crate) fn under(schema: &SchemaRef, delta: &Delta) -> Result<Delta, FlowError> {
    Ok(delta.in_batch(batch(schema, delta.batch().columns().to_vec(), delta.len())?))
}

/// As [`under`], with floats made canonical: where rows enter.
pub(crate) fn canonical_under(schema: &SchemaRef, delta: &Delta) -> Result<Delta, FlowError> {
    let columns = delta.batch().columns().iter().map(canonical).collect();
    Ok(delta.in_batch(batch(schema, columns, delta.len())?))
}

/// The columns of expressions over a batch.
pub(crate) fn eval_all(expressions: &[Arc<dyn Eval>], over: &RecordBatch) -> Result<Vec<ArrayRef>, FlowError> {
    expressions.iter().map(|expression| eval(expression, over)).collect()
}

/// The column of an expression over a batch.
pub(crate) fn eval(expression: &Arc<dyn Eval>, over: &RecordBatch) -> Result<ArrayRef, FlowError> {
    let column = expression.eval(over)?;
    if column.len() == over.num_rows() {
        return Ok(column);
    }
    let (got, want) = (column.len(), over.num_rows());
    Err(FlowError::invariant(format!("expression {expression}: {got} values for {want} rows")))
}

/// The positions of the rows for which a boolean column is true.
pub(crate) fn where_true(column: &ArrayRef) -> Result<Vec<u32>, FlowError> {
    use arrow::array::{Array, BooleanArray};
    let booleans = column.as_any().downcast_ref::<BooleanArray>();
    let booleans = booleans
        .ok_or_else(|| FlowError::invariant(format!("a predicate: it is {}, not boolean", column.data_type())))?;
    Ok((0..booleans.len()).filter(|&at| booleans.is_valid(at) && booleans.value(at)).map(|at| at as u32).collect())
}

/// The values at `indices`.
pub(crate) fn gather(column: &ArrayRef, indices: &UInt32Array) -> Result<ArrayRef, FlowError> {
    take(column, indices, None).map_err(|error| FlowError::invariant(format!("rows taken from a column: {error}")))
}

/// `count` empty byte strings.
pub(crate) fn empty_rows(count: usize) -> RowBytes {
    (0..count).map(|_| [].as_slice()).collect()
}

/// Rows in a sorted order, equal ones summed, zero gone: the first row's position and the sum. A function of the Z-set alone, up to
/// which of equal rows stands for them.
pub(crate) fn net(
    weights: &[i64],
    sorted: &[u32],
    same: impl Fn(usize, usize) -> bool,
) -> Result<Vec<(u32, i64)>, FlowError> {
    let mut out = Vec::with_capacity(sorted.len());
    for run in sorted.chunk_by(|&a, &b| same(a as usize, b as usize)) {
        let sum = summed(run, weights)?;
        if sum != 0 {
            out.push((run[0], sum));
        }
    }
    Ok(out)
}

/// The sum of the weights at these positions.
pub(crate) fn summed(at: &[u32], weights: &[i64]) -> Result<i64, FlowError> {
    let sum = at.iter().map(|&at| i128::from(weights[at as usize])).sum::<i128>();
    i64::try_from(sum).map_err(|_| FlowError::too_often("how often a row is there"))
}

/// The same of rows sorted by their bytes.
pub(crate) fn net_rows(weights: &[i64], rows: &RowBytes) -> Result<Vec<(u32, i64)>, FlowError> {
    net(weights, &zset::sorted(rows), |a, b| rows.row(a) == rows.row(b))
}

/// Gives equal byte strings equal numbers, from 0, in the order of first appearance.
#[derive(Debug)]
pub(crate) struct Interned {
    /// The number of every row.
    pub ids: Vec<u32>,
    /// The byte string of every number.
    pub keys: RowBytes,
    /// Its hash.
    pub hashes: Vec<u64>,
}

/// A place of the table without a number.
const FREE: u32 = u32::MAX;
/// Places of the table at first.
const PLACES: usize = 1 << 10;

impl Interned {
    /// Numbers rows.
    pub fn new(rows: &RowBytes) -> Self {
        assert!(u32::try_from(rows.len()).is_ok_and(|rows| rows != FREE), "fewer than 2^32 rows in one delta");
        let (mut keys, mut hashes) = (RowBytes::new(), Vec::new());
        let mut ids = Vec::with_capacity(rows.len());
        // Numbers by hash, each at the first free place from its own on; at most half of the places are taken.
        let mut places = vec![FREE; PLACES];
        for row in rows.iter() {
            let hash = key_hash(row);
            let is_there = |id: u32| hashes[id as usize] == hash && keys.row(id as usize) == row;
            let at = from(&places, hash, is_there);
            if places[at] == FREE {
                places[at] = hashes.len() as u32;
                ids.push(places[at]);
                keys.push(row);
                hashes.push(hash);
                if hashes.len() * 2 > places.len() {
                    places = grown(&hashes, places.len() * 4);
                }
            } else {
                ids.push(places[at]);
            }
        }
        Self { ids, keys, hashes }
    }
}

/// The place of what is looked for, or the free one where it belongs.
fn from(places: &[u32], hash: u64, is_there: impl Fn(u32) -> bool) -> usize {
    let mask = places.len() - 1;
    let mut at = hash as usize & mask;
    while places[at] != FREE && !is_there(places[at]) {
        at = (at + 1) & mask;
    }
    at
}

/// A larger table of the same.
fn grown(hashes: &[u64], len: usize) -> Vec<u32> {
    let mut places = vec![FREE; len];
    for (hash, id) in hashes.iter().zip(0..) {
        let at = from(&places, *hash, |_| false);
        places[at] = id;
    }
    places
}

/// A row as an error shows it: `(id=3, amount=0)`.
pub(crate) fn describe(schema: &SchemaRef, columns: &[ArrayRef], row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let value = |column: &ArrayRef| match ArrayFormatter::try_new(column, &options) {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(_) => "?".to_string(),
    };
    let fields = schema.fields().iter().zip(columns);
    format!("({})", fields.map(|(f, c)| format!("{}={}", f.name(), value(c))).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn equal_byte_strings_have_one_number() {
        // More than the table has places for at first; each comes back later.
        let strings: Vec<[u8; 4]> = (0..20_000u32).map(|at| (at * 7919 % 6000).to_be_bytes()).collect();
        let interned = Interned::new(&strings.iter().map(|bytes| bytes.as_slice()).collect());
        let mut known = BTreeMap::new();
        let wanted: Vec<u32> = strings
            .iter()
            .map(|bytes| {
                let next = known.len() as u32;
                *known.entry(*bytes).or_insert(next)
            })
            .collect();
        assert_eq!(interned.ids, wanted);
        assert_eq!((interned.keys.len(), interned.hashes.len()), (6000, 6000));
        for (bytes, id) in known {
            assert_eq!(interned.keys.row(id as usize), bytes);
            assert_eq!(interned.hashes[id as usize], key_hash(&bytes));
        }
    }
}
