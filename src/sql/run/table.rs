//! A table of the view, as DataFusion reads it: its snapshot, chunk by chunk, each row as often as it is there.
//!
//! It states no statistics, no constraints and no order. Where a subquery reads a table again and again, its rows are kept,
//! within the statement's memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use dataflow::TableRows;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use zset::{ColumnType, Delta, RowBytes};

use super::limits::Watch;
use super::physical::{Batches, Leaf};

/// Rows given at once.
const CHUNK_ROWS: usize = 8192;

/// Where a table's rows come from.
#[derive(Clone)]
pub(super) enum Rows {
    /// The whole snapshot.
    All(TableRows),
    /// The rows of one key, in its bytes.
    Of(TableRows, RowBytes),
    /// The whole snapshot, read once and kept.
    Kept(Arc<Kept>),
    /// Whole numbers.
    Series { start: i64, stop: i64, step: i64, ty: ColumnType },
    /// None: an argument of a series is NULL.
    Nothing,
}

impl Rows {
    /// How many there are, about.
    fn count(&self) -> usize {
        match self {
            Self::All(rows) => usize::try_from(rows.rows).unwrap_or(0),
            Self::Kept(kept) => usize::try_from(kept.rows.rows).unwrap_or(0),
            Self::Of(..) => 1,
            Self::Series { start, stop, step, .. } => {
                let steps = (i128::from(*stop) - i128::from(*start)) / i128::from(*step) + 1;
                usize::try_from(steps).unwrap_or(if steps < 0 { 0 } else { usize::MAX })
            }
            Self::Nothing => 0,
        }
    }
}

/// Rows that were read once.
pub(super) struct Kept {
    rows: TableRows,
    batches: Mutex<Option<Arc<Vec<RecordBatch>>>>,
    memory: MemoryReservation,
}

impl Kept {
    pub(super) fn new(rows: TableRows, pool: &Arc<dyn MemoryPool>) -> Self {
        let memory = MemoryConsumer::new("rows of a table that a subquery reads").register(pool);
        Self { rows, batches: Mutex::new(None), memory }
    }

    fn batches(&self, watch: &Watch) -> DfResult<Arc<Vec<RecordBatch>>> {
        let mut kept = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batches) = kept.as_ref() {
            return Ok(Arc::clone(batches));
        }
        let mut batches = Vec::new();
        for batch in snapshot(&self.rows, None, watch) {
            let batch = batch?;
            self.memory.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        let batches = Arc::new(batches);
        *kept = Some(Arc::clone(&batches));
        Ok(batches)
    }
}

/// A table.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) schema: SchemaRef,
    /// The places of its key's columns.
    pub(super) key: Vec<usize>,
    pub(super) rows: Rows,
    pub(super) watch: Watch,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.rows {
            Rows::All(_) => "snapshot",
            Rows::Of(..) => "snapshot, by key",
            Rows::Kept(_) => "snapshot, kept",
            Rows::Series { .. } | Rows::Nothing => "series",
        })
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema(),
        };
        let rows = self.rows.count();
        let (table, columns) = (self.clone(), projection.cloned());
        let source = format!("{self:?}");
        let open = move || table.batches(columns.clone());
        Ok(Arc::new(Leaf::new(schema, source, rows, Arc::new(open))))
    }
}

impl Table {
    fn batches(&self, columns: Option<Vec<usize>>) -> DfResult<Batches> {
        let watch = self.watch.clone();
        let checked = move |batch: DfResult<RecordBatch>| {
            watch.look()?;
            batch
        };
        Ok(match &self.rows {
            Rows::All(rows) => Box::new(snapshot(rows, columns, &self.watch)),
            Rows::Of(rows, key) => {
                let found = rows.find(key).map_err(damaged)?;
                Box::new(std::iter::once(unfolded(found, columns.as_deref())))
            }
            Rows::Kept(kept) => {
                let batches = kept.batches(&self.watch)?;
                let count = batches.len();
                let projected = move |at: usize| match &columns {
                    Some(columns) => Ok(batches[at].project(columns)?),
                    None => Ok(batches[at].clone()),
                };
                Box::new((0..count).map(projected).map(checked))
            }
            Rows::Series { start, stop, step, ty } => {
                let schema = match &columns {
                    Some(columns) => Arc::new(self.schema.project(columns)?),
                    None => self.schema(),
                };
                Box::new(series(*start, *stop, *step, *ty, schema).map(checked))
            }
            Rows::Nothing => Box::new(std::iter::empty()),
        })
    }
}

fn damaged(e: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

/// The rows of a snapshot.
fn snapshot(
    rows: &TableRows,
    columns: Option<Vec<usize>>,
    watch: &Watch,
) -> impl Iterator<Item = DfResult<RecordBatch>> + Send + use<> {
    let watch = watch.clone();
    rows.read().map(move |delta| {
        watch.look()?;
        unfolded(delta.map_err(damaged)?, columns.as_deref())
    })
}

/// Rows with weights as rows, each as often as its weight says.
fn unfolded(delta: Delta, columns: Option<&[usize]>) -> DfResult<RecordBatch> {
    let weights = delta.weights();
    let batch = match columns {
        Some(columns) => delta.batch().project(columns)?,
        None => delta.batch().clone(),
    };
    if weights.values().iter().all(|weight| *weight == 1) {
        return Ok(batch);
    }
    let mut places = Vec::with_capacity(batch.num_rows());
    for (at, weight) in weights.values().iter().enumerate() {
        places.extend(std::iter::repeat_n(at as u64, usize::try_from(*weight).unwrap_or(0)));
    }
    if batch.num_columns() == 0 {
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        return Ok(RecordBatch::try_new_with_options(batch.schema(), vec![], &options)?);
    }
    Ok(take_record_batch(&batch, &UInt64Array::from(places))?)
}

/// From a number to another, in steps; the last one is not passed.
fn series(
    start: i64,
    stop: i64,
    step: i64,
    ty: ColumnType,
    schema: SchemaRef,
) -> impl Iterator<Item = DfResult<RecordBatch>> + Send {
    let inside = move |n: &i64| if step > 0 { *n <= stop } else { *n >= stop };
    let mut numbers = std::iter::successors(Some(start), move |n| n.checked_add(step)).take_while(inside);
    std::iter::from_fn(move || {
        let chunk: Vec<i64> = numbers.by_ref().take(CHUNK_ROWS).collect();
        if chunk.is_empty() {
            return None;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        let column: ArrayRef = match ty {
            ColumnType::Int => Arc::new(chunk.into_iter().map(|n| n as i32).collect::<Int32Array>()),
            _ => Arc::new(Int64Array::from(chunk)),
        };
        let columns = if schema.fields().is_empty() { vec![] } else { vec![column] };
        Some(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options).map_err(DataFusionError::from))
    })
}
