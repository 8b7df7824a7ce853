//! Rows as DataRow or CopyData messages, in chunks that can be cut between any two rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::{BufMut, BytesMut};
use dataflow::{CopyFormat, Queries, ResultType};

use super::binary::{Cells, Format};
use super::copy_out;
use super::error::PgError;

/// A chunk is sent once it has so many bytes.
const CHUNK_BYTES: usize = 32 << 10;

/// Messages of rows.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub bytes: BytesMut,
    /// Where each row ends.
    pub ends: Vec<usize>,
}

impl Chunk {
    /// Takes the first rows out: so many, or all that there are. Answers their bytes and their number.
    pub fn take(&mut self, rows: usize) -> (BytesMut, usize) {
        if rows >= self.ends.len() {
            let taken = std::mem::take(self);
            return (taken.bytes, taken.ends.len());
        }
        let cut = rows.checked_sub(1).map_or(0, |last| self.ends[last]);
        let bytes = self.bytes.split_to(cut);
        self.ends.drain(..rows);
        self.ends.iter_mut().for_each(|end| *end -= cut);
        (bytes, rows)
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Writes rows in the formats that the client asked for.
pub(crate) struct RowEncoder {
    queries: Arc<dyn Queries>,
    columns: Vec<(ResultType, Format)>,
    /// As lines of COPY.
    copy: Option<Arc<CopyFormat>>,
}

impl RowEncoder {
    pub fn new(queries: Arc<dyn Queries>, columns: Vec<(ResultType, Format)>) -> Self {
        Self { queries, columns, copy: None }
    }

    /// One that writes lines of COPY.
    pub fn copy(queries: Arc<dyn Queries>, columns: impl Iterator<Item = ResultType>, format: Arc<CopyFormat>) -> Self {
        Self { queries, columns: columns.map(|ty| (ty, Format::Text)).collect(), copy: Some(format) }
    }

    /// Writes all rows of a batch, giving each full chunk to `send`, which says whether to go on.
    pub fn encode(
        &self,
        batch: &RecordBatch,
        mut send: impl FnMut(Chunk) -> std::ops::ControlFlow<()>,
    ) -> Result<(), PgError> {
        if batch.num_columns() != self.columns.len() {
            let message = format!("an answer of {} columns came with {}", self.columns.len(), batch.num_columns());
            return Err(PgError::internal(message));
        }
        let cells = std::iter::zip(&self.columns, batch.columns())
            .map(|((ty, format), values)| Cells::new(&*self.queries, *ty, *format, values))
            .collect::<Result<Vec<_>, _>>()?;
        let mut chunk = Chunk::default();
        for row in 0..batch.num_rows() {
            match &self.copy {
                None => write_row(&cells, row, &mut chunk.bytes)?,
                Some(format) => copy_out::write_row(&cells, row, format, &mut chunk.bytes)?,
            }
            chunk.ends.push(chunk.bytes.len());
            if chunk.bytes.len() >= CHUNK_BYTES && send(std::mem::take(&mut chunk)).is_break() {
                return Ok(());
            }
        }
        if !chunk.is_empty() {
            let _ = send(chunk);
        }
        Ok(())
    }
}

/// One DataRow.
fn write_row(cells: &[Cells], row: usize, out: &mut BytesMut) -> Result<(), PgError> {
    out.put_u8(b'D');
    let start = out.len();
    out.put_i32(0);
    out.put_u16(cells.len() as u16);
    cells.iter().try_for_each(|cells| cells.write(row, out))?;
    let length = i32::try_from(out.len() - start)
        .map_err(|_| PgError::new("54000", "a row is larger than the 2 GiB that a message can have"))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
