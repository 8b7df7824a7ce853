//! What makes a table's contents those of another of the same columns and key, and putting it into effect. Nothing is decoded
//! but the rows that differ.

use std::collections::HashMap;

use state::{Law, Matches, Snapshot, StateError};
use zset::{Delta, DeltaBuilder, RowBytes, RowCodec};

use super::{Contents, read};

impl Contents {
    /// What is to be added to these contents, as they are committed, so that they are the other's. Consolidated.
    pub fn difference(&self, other: &Contents) -> Result<Delta, StateError> {
        let (mine, theirs) = (self.snapshot(), other.snapshot());
        let mut out = DeltaBuilder::new(self.codec.schema().clone());
        compare(&mine, &theirs, &self.codec, &mut out, |mine, theirs| theirs.unwrap_or(0) - mine)?;
        compare(&theirs, &mine, &self.codec, &mut out, |theirs, mine| if mine.is_none() { theirs } else { 0 })?;
        Ok(out.finish())
    }

    /// Stages a consolidated change of a source table that is known to be exact.
    pub fn stage_exact(&mut self, delta: &Delta) {
        let (bytes, keys) = self.bytes(delta.batch());
        let weights = delta.weights().values();
        match self.arrangement.law() {
            Law::Add => self.arrangement.stage(&keys, &bytes, weights),
            Law::Replace => {
                let mut newest: HashMap<&[u8], usize> = HashMap::new();
                for (at, weight) in weights.iter().enumerate() {
                    let place = newest.entry(keys.row(at)).or_insert(at);
                    // Of a row that is replaced, the one that comes says what its key has.
                    if *weight > 0 {
                        *place = at;
                    }
                }
                let mut places: Vec<usize> = newest.into_values().collect();
                places.sort_unstable();
                let pick = |of: &RowBytes| places.iter().map(|&at| of.row(at)).collect::<RowBytes>();
                let present: Vec<bool> = places.iter().map(|&at| weights[at] > 0).collect();
                self.arrangement.stage_replace(&pick(&keys), &pick(&bytes), &present);
            }
        }
        self.stage_indexes(delta);
        self.rows_staged += weights.iter().sum::<i64>();
    }
}

/// Adds the rows of one snapshot with the weight that `weight` makes of theirs here and there; `None`: it is not there.
fn compare(
    one: &Snapshot,
    other: &Snapshot,
    codec: &RowCodec,
    out: &mut DeltaBuilder,
    weight: impl Fn(i64, Option<i64>) -> i64,
) -> Result<(), StateError> {
    for entries in one.scan(read::CHUNK_ROWS) {
        let entries = entries?;
        let found = other.probe(&entries.keys)?;
        let there = |at: usize| same(&found, at, entries.rows.row(at));
        let weights = (0..entries.rows.len()).map(|at| (at, weight(entries.weights[at], there(at))));
        let (places, weights): (Vec<usize>, Vec<i64>) = weights.filter(|(_, weight)| *weight != 0).unzip();
        if !places.is_empty() {
            let batch = codec.decode_batch(places.iter().map(|&at| entries.rows.row(at)));
            out.push(Delta::new(batch, weights.into()));
        }
    }
    Ok(())
}

/// The weight of a row among what was found of its key.
fn same(found: &Matches, probe: usize, row: &[u8]) -> Option<i64> {
    found.range(probe).find(|&place| found.rows.row(place) == row).map(|place| found.weights[place])
}
