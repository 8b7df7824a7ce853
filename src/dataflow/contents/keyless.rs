//! Changes of a table without a key: copies of rows come and go. Only rows that are retracted are looked up.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use state::StateError;
use zset::{Changes, Delta, DeltaBuilder, Op, RowBytes};

use super::{Contents, Resolved, read};
use crate::rows::Interned;

impl Contents {
    pub(super) fn apply_keyless(&mut self, changes: &Changes, rows: &RecordBatch) -> Result<Resolved, StateError> {
        let ids = Interned::new(&self.codec.encode_batch(rows));
        let truncated = changes.ops.contains(&Op::Truncate);
        // How many copies of each row there were: asked where it matters, else taken as none.
        let mut asked = vec![truncated; ids.keys.len()];
        let retracted = changes.ops.iter().zip(&ids.ids).filter(|(op, _)| matches!(op, Op::Retract | Op::Delete));
        retracted.for_each(|(_, id)| asked[*id as usize] = true);
        let before = self.copies(&ids.keys, &asked)?;
        let mut now = before.clone();
        let mut missing_retractions = 0;
        for (op, id) in changes.ops.iter().zip(&ids.ids) {
            let copies = &mut now[*id as usize];
            match op {
                Op::Insert | Op::Upsert => *copies += 1,
                Op::Retract | Op::Delete if *copies > 0 => *copies -= 1,
                Op::Retract | Op::Delete => missing_retractions += 1,
                Op::Truncate => now.fill(0),
            }
        }
        let mut out = DeltaBuilder::new(self.codec.schema().clone());
        if truncated {
            self.others_gone(&ids.keys, &mut out)?;
        }
        let mut first = vec![u32::MAX; ids.keys.len()];
        ids.ids.iter().enumerate().rev().for_each(|(at, id)| first[*id as usize] = at as u32);
        let changed = first.into_iter().zip(now.iter().zip(&before)).filter(|(_, (now, before))| now != before);
        let (at, weights) = changed.map(|(at, (now, before))| (at, now - before)).unzip();
        out.push(Delta::inserts(rows.clone()).gather(at, weights));
        let delta = out.finish();
        let bytes = delta.bytes(&self.codec);
        self.arrangement.stage(bytes, bytes, delta.weights().values());
        Ok(Resolved { delta, unresolved: Vec::new(), missing_retractions, moved: None })
    }

    /// The copies of the rows that are asked for.
    fn copies(&self, rows: &RowBytes, asked: &[bool]) -> Result<Vec<i64>, StateError> {
        let mut copies = vec![0; rows.len()];
        let asked: Vec<usize> = (0..rows.len()).filter(|&row| asked[row]).collect();
        if asked.is_empty() {
            return Ok(copies);
        }
        let found = self.arrangement.staged().probe(&asked.iter().map(|&row| rows.row(row)).collect())?;
        for (probe, row) in asked.into_iter().enumerate() {
            copies[row] = found.weights[found.range(probe)].iter().sum();
        }
        Ok(copies)
    }

    /// Retracts all that is stored but `known`.
    fn others_gone(&self, known: &RowBytes, out: &mut DeltaBuilder) -> Result<(), StateError> {
        let known: HashSet<&[u8]> = known.iter().collect();
        for entries in self.arrangement.staged().scan(read::CHUNK_ROWS) {
            let entries = entries?;
            let gone: Vec<usize> =
                (0..entries.rows.len()).filter(|&at| !known.contains(entries.rows.row(at))).collect();
            let batch = self.codec.decode_batch(gone.iter().map(|&at| entries.rows.row(at)));
            let weights: Vec<i64> = gone.iter().map(|&at| -entries.weights[at]).collect();
            out.push(Delta::new(batch, weights.into()));
        }
        Ok(())
    }
}
