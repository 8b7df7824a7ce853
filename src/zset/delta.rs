//! A delta: the Z-set of changes of one epoch, as an Arrow batch and a weight per row.
//!
//! A delta need not be consolidated: a row may occur several times, with any weights, zero included. What it means is
//! the sum.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, SchemaRef};

use crate::{RowBytes, RowCodec};

/// Columns of fewer rows are not shared out among workers.
const ROWS_MIN: usize = 32_768;

/// Rows with weights.
#[derive(Debug, Clone)]
pub struct Delta {
    batch: RecordBatch,
    weights: Int64Array,
    /// The bytes of the rows, from the first who asks for them on: copies of a delta share them.
    bytes: Arc<OnceLock<RowBytes>>,
    /// Whether it is known that no row is there twice and no weight is zero.
    distinct: bool,
}

impl Delta {
    /// Rows and their weights; panics if the lengths differ or a weight is NULL, which would be our own bug.
    pub fn new(batch: RecordBatch, weights: Int64Array) -> Self {
        assert_eq!(batch.num_rows(), weights.len(), "a weight for every row");
        assert_eq!(weights.null_count(), 0, "weights are never NULL");
        Self { batch, weights, bytes: Arc::default(), distinct: false }
    }

    /// Every row of a batch, once.
    pub fn inserts(batch: RecordBatch) -> Self {
        let weights = Int64Array::from_value(1, batch.num_rows());
        Self::new(batch, weights)
    }

    /// No rows.
    pub fn empty(schema: SchemaRef) -> Self {
        Self::new(RecordBatch::new_empty(schema), Int64Array::from_value(0, 0))
    }

    /// The rows.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The weights.
    pub fn weights(&self) -> &Int64Array {
        &self.weights
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    /// The number of rows, not of their weights.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every weight is above zero: then no two rows cancel, whatever they are.
    pub fn only_inserts(&self) -> bool {
        self.weights.values().iter().all(|weight| *weight > 0)
    }

    /// The same delta, of which its maker knows that no row is there twice and no weight is zero.
    #[must_use]
    pub fn known_distinct(self) -> Self {
        Self { distinct: true, ..self }
    }

    /// Whether that is known: then no two rows cancel.
    pub fn is_distinct(&self) -> bool {
        self.distinct
    }

    /// The same delta with the bytes of its rows, which somebody has already.
    #[must_use]
    pub fn with_bytes(self, bytes: RowBytes) -> Self {
        assert_eq!(bytes.len(), self.len(), "bytes for every row");
        Self { bytes: Arc::new(OnceLock::from(bytes)), ..self }
    }

    /// The bytes of the rows; `codec` must be one of their types, or it panics: others that ask are given the same bytes.
    pub fn bytes(&self, codec: &RowCodec) -> &RowBytes {
        let types = codec.schema().fields().iter().map(|field| field.data_type());
        assert!(self.has_types(types), "a codec of {:?} for rows of {:?}", codec.schema(), self.schema());
        self.bytes.get_or_init(|| codec.encode_batch(&self.batch))
    }

    /// The same delta with its rows in another batch, which has the same bytes for each: under other names, with canonical floats.
    pub fn in_batch(&self, batch: RecordBatch) -> Self {
        assert_eq!(batch.num_rows(), self.len(), "the same rows");
        let types = batch.columns().iter().map(|column| column.data_type());
        assert!(self.has_types(types), "rows of {:?} as rows of {:?}", self.schema(), batch.schema());
        Self { batch, ..self.clone() }
    }

    fn has_types<'a>(&self, types: impl ExactSizeIterator<Item = &'a DataType>) -> bool {
        let columns = self.batch.columns();
        columns.len() == types.len()
            && columns.iter().zip(types).all(|(column, ty)| column.data_type().equals_datatype(ty))
    }

    /// The same rows with every weight negated.
    #[must_use]
    pub fn negated(&self) -> Self {
        let weights = self.weights.values().iter().map(|w| -w).collect::<Vec<_>>();
        Self { weights: weights.into(), ..self.clone() }
    }

    /// The sum of several deltas of one schema: their rows one after another, not consolidated.
    pub fn sum(schema: SchemaRef, deltas: &[Delta]) -> Self {
        let full: Vec<&Delta> = deltas.iter().filter(|delta| !delta.is_empty()).collect();
        match full.as_slice() {
            [] => Self::empty(schema),
            [one] => (*one).clone(),
            many => {
                let batch = stacked(&schema, &many.iter().map(|d| &d.batch).collect::<Vec<_>>());
                let weights: Vec<&dyn Array> = many.iter().map(|d| &d.weights as &dyn Array).collect();
                let weights = concat(&weights).expect("weights are of one type");
                let weights = weights.as_any().downcast_ref::<Int64Array>().expect("weights are Int64").clone();
                Self::new(batch, weights)
            }
        }
    }

    /// The rows at `indices`, in that order, with weights of their own.
    pub fn gather(&self, indices: Vec<u32>, weights: Vec<i64>) -> Self {
        let bytes = match self.bytes.get() {
            Some(bytes) => OnceLock::from(bytes.gather(&indices)),
            None => OnceLock::new(),
        };
        // Not take_record_batch: it loses the number of rows of a batch without columns.
        let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
        let indices = UInt32Array::from(indices);
        let column = |column: &ArrayRef| take(column, &indices, None).expect("indices are in range");
        let columns = self.batch.columns().iter().collect();
        let columns = workers::map_large(columns, indices.len(), ROWS_MIN, column);
        let batch = RecordBatch::try_new_with_options(self.schema(), columns, &options).expect("columns of the schema");
        Self { bytes: Arc::new(bytes), ..Self::new(batch, weights.into()) }
    }

    /// Some of its rows, one behind the other, as they are.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let (start, len) = (rows.start, rows.len());
        Self { distinct: self.distinct, ..Self::new(self.batch.slice(start, len), self.weights.slice(start, len)) }
    }

    /// The same weights over other columns of the same length (a projection).
    pub fn with_batch(&self, batch: RecordBatch) -> Self {
        Self::new(batch, self.weights.clone())
    }
}

/// Batches of a schema, one upon another; workers take a column each.
pub fn stacked(schema: &SchemaRef, batches: &[&RecordBatch]) -> RecordBatch {
    let rows = batches.iter().map(|batch| batch.num_rows()).sum();
    let stack = |column: usize| {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
        concat(&parts).expect("batches of one schema")
    };
    let columns = workers::map_large((0..schema.fields().len()).collect(), rows, ROWS_MIN, stack);
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).expect("batches of one schema")
}

/// Collects deltas of one schema, to be summed at the end.
#[derive(Debug)]
pub struct DeltaBuilder {
    schema: SchemaRef,
    parts: Vec<Delta>,
}

impl DeltaBuilder {
    /// Nothing yet.
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema, parts: Vec::new() }
    }

    /// Adds a part.
    pub fn push(&mut self, delta: Delta) {
        self.parts.push(delta);
    }

    /// Adds what another has collected.
    pub fn append(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    /// The sum.
    pub fn finish(self) -> Delta {
        Delta::sum(self.schema, &self.parts)
    }
}
