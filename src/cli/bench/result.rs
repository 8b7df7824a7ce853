//! What a run came to: the rows of its stream table, as one hash that depends neither on their order nor on how they came.
//!
//! It is the sum over the rows of xxh3_128 of the row's JSON (as a sink writes it: compact, all columns in their order), modulo
//! 2^128, in 32 hexadecimal digits; `benches/confirm.py` computes the same of what DuckDB answers.

use runtime::Handle;
use schemas::RowWriter;
use zset::Digest;

use super::sources::RESULT;
use crate::cli::Failure;

/// Rows and their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Contents {
    pub rows: i64,
    pub hash: Digest,
}

impl Contents {
    /// Adds `weight` copies of a row in JSON.
    pub fn add(&mut self, json: &[u8], weight: i64) {
        self.rows += weight;
        self.hash.add(json, weight);
    }

    /// Those of the stream table at the last committed epoch.
    pub fn read(handle: &Handle) -> Result<Self, Failure> {
        let missing = || Failure::other(format!("there is no table {RESULT}"));
        let view = handle.table(RESULT)?.ok_or_else(missing)?;
        let positions: Vec<usize> = (0..view.def.columns.0.len()).collect();
        let writer = RowWriter::new(&view.def.columns, &positions);
        let mut contents = Self::default();
        let mut json = Vec::new();
        view.read(|delta| {
            let bound = writer.bind(delta.batch());
            for (at, weight) in delta.weights().values().iter().enumerate() {
                json.clear();
                bound.write(at, &mut json);
                contents.add(&json, *weight);
            }
        })?;
        Ok(contents)
    }
}
