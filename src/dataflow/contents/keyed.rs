//! Changes of a keyed table: the keys are probed once, then the records are walked in order in memory.
//!
//! A *pool* holds the decoded rows, then the old rows of the touched keys; a key's present row is a place in it. A value to
//! keep is the place of the row it is taken from, so that it is copied once at the end, by column.

use std::collections::{HashMap, HashSet};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use state::{Matches, StateError};
use zset::{Changes, Delta, DeltaBuilder, Op, Partition, RowBytes};

use super::{Contents, Moved, Resolved, read};
use crate::rows::{Interned, describe};

/// The walk's result.
struct Walked {
    /// The place of every touched key's row.
    now: Vec<Option<u32>>,
    /// (row, column) -> the place that its value comes from.
    kept: HashMap<(u32, u32), u32>,
    unresolved: Vec<(u32, u32)>,
    truncated: bool,
}

impl Contents {
    pub(super) fn apply_keyed(
        &mut self,
        changes: &Changes,
        rows: &RecordBatch,
        runs: &[(u32, Partition)],
    ) -> Result<Resolved, StateError> {
        let mut keys = Interned::new(&self.keys(rows));
        let moved = self.moved(changes, rows, &mut keys, runs);
        let snapshot = self.arrangement.staged();
        let old = snapshot.probe(&keys.keys)?;
        let walked = walk(changes, &keys, &old, rows.num_rows() as u32);
        let pool = Delta::inserts(self.pool(rows, &old, &walked.kept));
        let bytes = pool.bytes(&self.codec);
        let mut out = DeltaBuilder::new(self.codec.schema().clone());
        let (mut at, mut weights) = (Vec::new(), Vec::new());
        let (mut touched, mut values, mut present) = (RowBytes::default(), RowBytes::default(), Vec::new());
        for (key, now) in walked.now.iter().enumerate() {
            let before = old.range(key).next().map(|place| (rows.num_rows() + place) as u32);
            let row = |place: Option<u32>| place.map(|place| bytes.row(place as usize));
            if row(before) == row(*now) {
                continue;
            }
            for (place, weight) in [(before, -1), (*now, 1)] {
                at.extend(place);
                weights.extend(place.map(|_| weight));
            }
            touched.push(keys.keys.row(key));
            values.push(row(*now).unwrap_or_default());
            present.push(now.is_some());
        }
        if walked.truncated {
            let touched_keys: HashSet<&[u8]> = keys.keys.iter().collect();
            for entries in snapshot.scan(read::CHUNK_ROWS) {
                let entries = entries?;
                let gone = (0..entries.keys.len()).filter(|&at| !touched_keys.contains(entries.keys.row(at)));
                let gone: Vec<usize> = gone.collect();
                let batch = self.codec.decode_batch(gone.iter().map(|&at| entries.rows.row(at)));
                out.push(Delta::inserts(batch).negated());
                for at in gone {
                    touched.push(entries.keys.row(at));
                    values.push(&[]);
                    present.push(false);
                }
            }
        }
        self.arrangement.stage_replace(&touched, &values, &present);
        out.push(pool.gather(at, weights));
        Ok(Resolved { delta: out.finish(), unresolved: walked.unresolved, missing_retractions: 0, moved })
    }

    fn moved(
        &mut self,
        changes: &Changes,
        rows: &RecordBatch,
        keys: &mut Interned,
        runs: &[(u32, Partition)],
    ) -> Option<Moved> {
        let homes = self.homes.as_mut().filter(|_| !runs.is_empty())?;
        let moves = homes.follow(&changes.ops, &changes.origin, keys, runs)?;
        let columns: Vec<_> = self.key.iter().map(|&at| rows.column(at).clone()).collect();
        let key = describe(self.key_codec.schema(), &columns, moves.row);
        Some(Moved { times: moves.times, key, from: moves.from, to: moves.to })
    }

    /// The decoded rows, with kept values filled in, then the old rows.
    fn pool(&self, rows: &RecordBatch, old: &Matches, kept: &HashMap<(u32, u32), u32>) -> RecordBatch {
        let old = self.codec.decode_batch(old.rows.iter());
        let mut pool = concat_batches(self.codec.schema(), [rows, &old]).expect("rows of one schema");
        let columns: HashSet<u32> = kept.keys().map(|(_, column)| *column).collect();
        if columns.is_empty() {
            return pool;
        }
        let mut arrays = pool.columns().to_vec();
        for column in columns {
            let from = |row: u32| kept.get(&(row, column)).copied().unwrap_or(row);
            let from: UInt32Array = (0..pool.num_rows() as u32).map(from).collect();
            let array = &mut arrays[column as usize];
            *array = take(array, &from, None).expect("places in the pool");
        }
        pool = RecordBatch::try_new(pool.schema(), arrays).expect("columns of the same schema");
        pool
    }
}

/// Follows the records in order. Old rows are in the pool from `base`.
fn walk(changes: &Changes, keys: &Interned, old: &Matches, base: u32) -> Walked {
    let mut now: Vec<Option<u32>> =
        (0..keys.keys.len()).map(|key| old.range(key).next().map(|place| base + place as u32)).collect();
    let mut kept: HashMap<(u32, u32), u32> = HashMap::new();
    let mut unresolved = Vec::new();
    let mut truncated = false;
    let mut keep = changes.keep.as_slice();
    for (at, op) in changes.ops.iter().enumerate() {
        let row = at as u32;
        let passed = keep.partition_point(|(keeper, _)| *keeper < row);
        let mine = keep.partition_point(|(keeper, _)| *keeper <= row);
        let columns = &keep[passed..mine];
        keep = &keep[mine..];
        let key = keys.ids[at] as usize;
        match op {
            Op::Upsert | Op::Insert => match now[key] {
                None if !columns.is_empty() => {
                    unresolved.extend(columns.iter().map(|(_, column)| (changes.origin[at], *column)));
                }
                present => {
                    for (_, column) in columns {
                        let from = present.unwrap_or(row);
                        let from = kept.get(&(from, *column)).copied().unwrap_or(from);
                        kept.insert((row, *column), from);
                    }
                    now[key] = Some(row);
                }
            },
            Op::Delete | Op::Retract => now[key] = None,
            Op::Truncate => {
                now.fill(None);
                truncated = true;
            }
        }
    }
    Walked { now, kept, unresolved, truncated }
}
