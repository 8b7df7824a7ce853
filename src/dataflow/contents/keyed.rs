//! Changes of a keyed table: the keys are probed once, then the records are walked in order in memory.
//!
//! A key's present row is a place: in the decoded rows, or behind them in the old rows of the touched keys. A value to keep is the
//! place of the row it is taken from, so that it is copied once at the end, by column.

use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::compute::interleave;
use state::{Matches, Snapshot, StateError};
use zset::{Changes, Delta, DeltaBuilder, Op, Partition, RowBytes, sorted_by_key};

use super::{Contents, Moved, Resolved, read};
use crate::rows::{Interned, batch, describe};

/// The walk's result.
struct Walked {
    /// The place of every touched key's row.
    now: Vec<Option<u32>>,
    /// (row, column) -> the place that its value comes from.
    kept: HashMap<(u32, u32), u32>,
    unresolved: Vec<(u32, u32)>,
    truncated: bool,
}

/// The keys whose rows are other than before.
#[derive(Default)]
struct Touched {
    /// Their numbers.
    keys: Vec<u32>,
    /// Where their old rows are among those found.
    before: Vec<Option<usize>>,
    /// Where their new rows are among the decoded ones.
    now: Vec<Option<u32>>,
}

impl Contents {
    pub(super) fn apply_keyed(
        &mut self,
        changes: &Changes,
        rows: &RecordBatch,
        runs: &[(u32, Partition)],
    ) -> Result<Resolved, StateError> {
        let keys = Interned::new(&self.keys(rows));
        let moved = self.moved(changes, rows, &keys, runs);
        let snapshot = self.arrangement.staged();
        let old = snapshot.probe_hashed(&keys.keys, &keys.hashes)?;
        let walked = walk(changes, &keys, &old, rows.num_rows() as u32);
        let rows = self.filled(rows, &old, &walked.kept);
        let bytes = self.codec.encode_batch(&rows);
        let mut touched = Touched::default();
        for (key, now) in walked.now.iter().enumerate() {
            let before = old.range(key).next();
            let is_old = now.is_some_and(|place| place as usize >= rows.num_rows());
            if !is_old && now.map(|place| bytes.row(place as usize)) != before.map(|place| old.rows.row(place)) {
                touched.keys.push(key as u32);
                touched.before.push(before);
                touched.now.push(*now);
            }
        }
        let delta = self.changed(&touched, (&rows, &bytes), &old);
        if walked.truncated {
            let delta = self.truncate(&snapshot, &keys, &touched, &bytes, delta)?;
            return Ok(Resolved { delta, unresolved: walked.unresolved, missing_retractions: 0, moved });
        }
        let order = touched.keys.iter().zip(0..).map(|(key, at)| (keys.hashes[*key as usize], at));
        let key = |at: usize| keys.keys.row(touched.keys[at] as usize);
        let order = sorted_by_key(order, key, |_| &[]);
        let entries = order.iter().map(|&at| {
            let (at, now) = (at as usize, touched.now[at as usize]);
            (keys.hashes[touched.keys[at] as usize], key(at), now.map(|now| bytes.row(now as usize)))
        });
        self.arrangement.stage_replace_sorted(order.len(), bytes.data_len() + keys.keys.data_len(), entries);
        Ok(Resolved { delta, unresolved: walked.unresolved, missing_retractions: 0, moved })
    }

    /// The rows that go and come, key by key.
    fn changed(&self, touched: &Touched, (rows, bytes): (&RecordBatch, &RowBytes), old: &Matches) -> Delta {
        if touched.keys.is_empty() {
            return Delta::empty(self.codec.schema().clone());
        }
        let gone: Vec<usize> = touched.before.iter().copied().flatten().collect();
        let gone = self.codec.decode_batch(gone.iter().map(|&place| old.rows.row(place)));
        let room = touched.keys.len() + gone.num_rows();
        let (mut at, mut weights) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let mut of_delta = RowBytes::with_capacity(room, bytes.data_len());
        let mut next_gone = 0;
        for (before, now) in touched.before.iter().zip(&touched.now) {
            if let Some(place) = before {
                at.push((1, next_gone));
                weights.push(-1);
                of_delta.push(old.rows.row(*place));
                next_gone += 1;
            }
            if let Some(row) = now {
                at.push((0, *row as usize));
                weights.push(1);
                of_delta.push(bytes.row(*row as usize));
            }
        }
        let columns = rows.columns().iter().zip(gone.columns());
        let columns = columns.map(|(rows, gone)| interleave(&[rows.as_ref(), gone.as_ref()], &at));
        let columns = columns.collect::<Result<_, _>>().expect("places in columns of one type");
        let rows = batch(self.codec.schema(), columns, at.len()).expect("columns of the table's type");
        Delta::new(rows, weights.into()).with_bytes(of_delta).known_distinct()
    }

    /// Stages what was touched, and that every other key has no row any more; adds those rows to the delta.
    fn truncate(
        &mut self,
        snapshot: &Snapshot,
        keys: &Interned,
        changed: &Touched,
        bytes: &RowBytes,
        delta: Delta,
    ) -> Result<Delta, StateError> {
        let mut out = DeltaBuilder::new(self.codec.schema().clone());
        let (mut touched, mut values, mut present) = (RowBytes::default(), RowBytes::default(), Vec::new());
        for (key, now) in changed.keys.iter().zip(&changed.now) {
            touched.push(keys.keys.row(*key as usize));
            values.push(now.map_or(&[], |now| bytes.row(now as usize)));
            present.push(now.is_some());
        }
        let named: HashSet<&[u8]> = keys.keys.iter().collect();
        for entries in snapshot.scan(read::CHUNK_ROWS) {
            let entries = entries?;
            let gone: Vec<usize> =
                (0..entries.keys.len()).filter(|&at| !named.contains(entries.keys.row(at))).collect();
            let batch = self.codec.decode_batch(gone.iter().map(|&at| entries.rows.row(at)));
            out.push(Delta::inserts(batch).negated());
            for at in gone {
                touched.push(entries.keys.row(at));
                values.push(&[]);
                present.push(false);
            }
        }
        self.arrangement.stage_replace(&touched, &values, &present);
        out.push(delta);
        Ok(out.finish().known_distinct())
    }

    fn moved(
        &mut self,
        changes: &Changes,
        rows: &RecordBatch,
        keys: &Interned,
        runs: &[(u32, Partition)],
    ) -> Option<Moved> {
        let homes = self.homes.as_mut().filter(|_| !runs.is_empty())?;
        let moves = homes.follow(&changes.ops, &changes.origin, keys, runs)?;
        let columns: Vec<_> = self.key.iter().map(|&at| rows.column(at).clone()).collect();
        let key = describe(self.key_codec.schema(), &columns, moves.row);
        Some(Moved { times: moves.times, key, from: moves.from, to: moves.to })
    }

    /// The decoded rows, with kept values filled in.
    fn filled(&self, rows: &RecordBatch, old: &Matches, kept: &HashMap<(u32, u32), u32>) -> RecordBatch {
        if kept.is_empty() {
            return rows.clone();
        }
        let old = self.codec.decode_batch(old.rows.iter());
        let mut arrays = rows.columns().to_vec();
        let columns: HashSet<u32> = kept.keys().map(|(_, column)| *column).collect();
        for column in columns {
            let from = |row: u32| kept.get(&(row, column)).copied().unwrap_or(row) as usize;
            let place = |at: usize| if at < rows.num_rows() { (0, at) } else { (1, at - rows.num_rows()) };
            let from: Vec<(usize, usize)> = (0..rows.num_rows() as u32).map(|row| place(from(row))).collect();
            let parts = [rows.column(column as usize).as_ref(), old.column(column as usize).as_ref()];
            arrays[column as usize] = interleave(&parts, &from).expect("places in columns of one type");
        }
        RecordBatch::try_new(rows.schema(), arrays).expect("columns of the same schema")
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
