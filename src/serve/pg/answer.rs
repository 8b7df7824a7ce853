//! What a running statement answers: rows, as they come, and at the end a tag.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::error::PgError;
use super::read::Slot;
use super::row::{Chunk, RowEncoder};

/// The tag at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `INSERT 0 1`, `CREATE TABLE`, ...
    Fixed(String),
    /// `SELECT 3`: the rows sent are counted.
    Rows,
    /// `COPY 3`: the same, of rows as lines, which have no description.
    Copy,
    /// There was no statement.
    Empty,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None`: it has no rows, and no columns.
    pub rows: Option<Rows>,
    pub tag: Tag,
}

impl Answer {
    /// Without rows.
    pub fn tag(tag: impl Into<String>) -> Self {
        Self { rows: None, tag: Tag::Fixed(tag.into()) }
    }

    /// With rows that are there already.
    pub fn batches(encoder: &RowEncoder, batches: &[RecordBatch], tag: Tag) -> Result<Self, PgError> {
        let mut chunks = VecDeque::new();
        for batch in batches {
            encoder.encode(batch, |chunk| {
                chunks.push_back(chunk);
                std::ops::ControlFlow::Continue(())
            })?;
        }
        Ok(Self { rows: Some(Rows { chunks, source: None }), tag })
    }
}

/// Rows, those that are here and those to come.
#[derive(Debug)]
pub(crate) struct Rows {
    pub chunks: VecDeque<Chunk>,
    pub source: Option<Source>,
}

/// Where further rows come from: a thread that reads.
#[derive(Debug)]
pub(crate) struct Source {
    pub chunks: Receiver<Result<Chunk, PgError>>,
    pub thread: JoinHandle<()>,
    pub slot: Slot,
}

impl Rows {
    /// Sees to it that the next chunk is here; false: there are no more rows. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<bool, PgError> {
        while self.chunks.front().is_some_and(Chunk::is_empty) {
            self.chunks.pop_front();
        }
        if !self.chunks.is_empty() {
            return Ok(true);
        }
        let Some(source) = &mut self.source else { return Ok(false) };
        if let Some(chunk) = source.chunks.recv().await {
            self.chunks.push_back(chunk?);
            return Ok(true);
        }
        let ended = (&mut source.thread).await;
        self.source = None;
        ended.map(|()| false).map_err(PgError::internal)
    }
}

/// An encoder for columns, and what it writes for.
pub(crate) type Encoder = Arc<RowEncoder>;
