//! The difference of two multisets of rows, one of which is a table's contents, in bounded memory.
//!
//! Both are summed in buckets by the rows' hash: a bucket is the sum over its rows of weight x xxh3_128(row bytes), modulo 2^128,
//! as a digest is. Where all buckets are zero the two are equal, and nothing was kept. Else both are read once more, and only
//! the rows of buckets that are not zero are kept, until they cancel.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use dataflow::TableRows;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use zset::{Digest, RowCodec};

use super::super::context::Context;
use super::super::limits::from_execution;
use super::Again;
use crate::error::Result;

/// Bits of the hash that name a bucket: its sum is zero by chance with the others.
const BUCKET_BITS: u32 = 12;

/// What a kept row costs besides its bytes.
const ROW_OVERHEAD: usize = 80;

/// What came of comparing.
#[derive(Debug)]
pub(super) struct Compared {
    /// The rows that are in the table, copies counted.
    pub(super) there: i64,
    /// The rows that the table counts.
    pub(super) counted: i64,
    /// What differs, in the order of the rows' bytes.
    pub(super) different: Vec<Different>,
}

/// A row that is there more or less often than it should be.
#[derive(Debug)]
pub(super) struct Different {
    pub(super) bytes: Box<[u8]>,
    /// How much more often the table has it than the query.
    pub(super) weight: i64,
}

/// Buckets of sums.
struct Buckets(Vec<Digest>);

impl Buckets {
    fn bucket(row: &[u8]) -> (usize, Digest) {
        let mut hash = Digest::default();
        hash.add(row, 1);
        ((hash.0 >> (128 - BUCKET_BITS)) as usize, hash)
    }

    fn add(&mut self, row: &[u8], weight: i64) {
        let (bucket, hash) = Self::bucket(row);
        let times = Digest(hash.0.wrapping_mul(i128::from(weight) as u128));
        self.0[bucket] = self.0[bucket].plus(times);
    }

    fn are_equal(&self) -> bool {
        self.0.iter().all(|sum| *sum == Digest::default())
    }

    fn differs(&self, row: &[u8]) -> bool {
        self.0[Self::bucket(row).0] != Digest::default()
    }
}

/// Compares a table's contents with the query.
pub(super) fn compare(rows: &TableRows, again: &Again<'_>) -> Result<Compared> {
    let codec = RowCodec::new(again.columns.schema());
    let mut buckets = Buckets(vec![Digest::default(); 1 << BUCKET_BITS]);
    let mut there = 0i64;
    let context = again.run(&mut |batch, _| {
        each_row(&codec, batch, &mut |row| {
            buckets.add(row, -1);
            Ok(())
        })
    })?;
    each_stored(&codec, rows, &context, &mut |row, weight| {
        buckets.add(row, weight);
        there = there.saturating_add(weight);
        Ok(())
    })?;
    drop(context);
    let different = if buckets.are_equal() { Vec::new() } else { differing(&codec, rows, again, &buckets)? };
    Ok(Compared { there, counted: rows.rows, different })
}

fn differing(codec: &RowCodec, rows: &TableRows, again: &Again<'_>, buckets: &Buckets) -> Result<Vec<Different>> {
    let mut kept = Kept::default();
    let context = again.run(&mut |batch, context| {
        let memory = kept.memory(context);
        each_row(codec, batch, &mut |row| if buckets.differs(row) { memory.add(row, -1) } else { Ok(()) })
    })?;
    let memory = kept.memory(&context);
    each_stored(codec, rows, &context, &mut |row, weight| {
        if buckets.differs(row) { memory.add(row, weight) } else { Ok(()) }
    })?;
    let rows = kept.rows.into_iter().filter(|(_, weight)| *weight != 0);
    let mut different: Vec<Different> = rows.map(|(bytes, weight)| Different { bytes, weight }).collect();
    different.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
    Ok(different)
}

/// Rows that may differ, with the sum of their weights.
#[derive(Default)]
struct Kept {
    rows: HashMap<Box<[u8]>, i64>,
    memory: Option<(MemoryReservation, Context)>,
}

impl Kept {
    /// Counted in this context's memory from now on.
    fn memory(&mut self, context: &Context) -> &mut Self {
        let register = || (MemoryConsumer::new("rows that differ").register(context.memory()), context.clone());
        self.memory.get_or_insert_with(register);
        self
    }

    fn add(&mut self, row: &[u8], weight: i64) -> Result<()> {
        if let Some(sum) = self.rows.get_mut(row) {
            *sum = sum.saturating_add(weight);
            return Ok(());
        }
        if let Some((memory, context)) = &self.memory {
            memory.try_grow(row.len() + ROW_OVERHEAD).map_err(|e| context.failed(e))?;
        }
        self.rows.insert(row.into(), weight);
        Ok(())
    }
}

fn each_row(codec: &RowCodec, batch: &RecordBatch, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    codec.encode_batch(batch).iter().try_for_each(take)
}

fn each_stored(
    codec: &RowCodec,
    rows: &TableRows,
    context: &Context,
    take: &mut dyn FnMut(&[u8], i64) -> Result<()>,
) -> Result<()> {
    for chunk in rows.read() {
        context.watch().check()?;
        let chunk = chunk.map_err(|e| from_execution(DataFusionError::External(Box::new(e))))?;
        let bytes = codec.encode_batch(chunk.batch());
        for (row, weight) in bytes.iter().zip(chunk.weights().values()) {
            take(row, *weight)?;
        }
    }
    Ok(())
}
