//! What operators do with rows: batches of a schema, evaluated columns, and runs of equal bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use zset::{Delta, RowBytes, canonical, first_bytes, key_hash, sorted_by};

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
        let sum = run.iter().map(|&at| i128::from(weights[at as usize])).sum::<i128>();
        if sum != 0 {
            let sum = i64::try_from(sum).map_err(|_| FlowError::invariant("the weight of a row: over 64 bits"))?;
            out.push((run[0], sum));
        }
    }
    Ok(out)
}

/// The same of rows sorted by their bytes.
pub(crate) fn net_rows(weights: &[i64], rows: &RowBytes) -> Result<Vec<(u32, i64)>, FlowError> {
    net(weights, &zset::sorted(rows), |a, b| rows.row(a) == rows.row(b))
}

/// The same of rows sorted by their groups, then their bytes.
pub(crate) fn net_groups(weights: &[i64], groups: &[u32], rows: &RowBytes) -> Result<Vec<(u32, i64)>, FlowError> {
    let number = |at: usize| u128::from(groups[at]) << 96 | first_bytes(rows.row(at)) >> 32;
    let sorted = sorted_by(weights.len(), number, |a, b| rows.row(a).cmp(rows.row(b)));
    net(weights, &sorted, |a, b| groups[a] == groups[b] && rows.row(a) == rows.row(b))
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

impl Interned {
    /// Numbers rows.
    pub fn new(rows: &RowBytes) -> Self {
        let mut known: HashMap<Hashed<'_>, u32, BuildHasherDefault<Known>> =
            HashMap::with_capacity_and_hasher(rows.len(), BuildHasherDefault::default());
        let (mut keys, mut hashes) = (RowBytes::default(), Vec::new());
        let mut ids = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            let next = known.len() as u32;
            let hash = key_hash(row);
            let id = *known.entry(Hashed { hash, row }).or_insert_with(|| {
                keys.push(row);
                hashes.push(hash);
                next
            });
            ids.push(id);
        }
        Self { ids, keys, hashes }
    }
}

/// A byte string with its hash, which is computed once.
#[derive(PartialEq, Eq)]
struct Hashed<'a> {
    hash: u64,
    row: &'a [u8],
}

impl Hash for Hashed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The hash of what is a hash already.
#[derive(Default)]
struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = key_hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
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
