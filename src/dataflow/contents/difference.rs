//! What makes a table's contents those of another of the same columns and key, and putting it into effect. Nothing is decoded
//! but the rows that differ.

use std::collections::HashMap;

use state::{Law, Matches, Snapshot, StateError};
use zset::{Delta, DeltaBuilder, RowBytes};

use super::{Contents, ContentsReader, beside, read};

impl Contents {
    /// What is to be added to these contents, as they are committed, so that they are the other's. Consolidated. `go_on` is asked
    /// again and again.
    pub fn difference<E: From<StateError>>(
        &self,
        other: &Contents,
        go_on: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Delta, E> {
        let mut out = DeltaBuilder::new(self.codec.schema().clone());
        let of = |contents: &Self| (contents.snapshot(), self.reader());
        let (mine, theirs) = (of(self), of(other));
        compare(&mine, &theirs.0, &mut out, go_on, |mine, theirs| theirs.unwrap_or(0) - mine)?;
        compare(&theirs, &mine.0, &mut out, go_on, |theirs, mine| if mine.is_none() { theirs } else { 0 })?;
        Ok(out.finish())
    }

    /// Stages a consolidated change of a source table that is known to be exact.
    pub fn stage_exact(&mut self, delta: &Delta) {
        let (bytes, keys) = self.bytes(delta.batch());
        let weights = delta.weights().values();
        match self.arrangement.law() {
            Law::Add => self.arrangement.stage(&keys, &beside(self.beside, &bytes), weights),
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
fn compare<E: From<StateError>>(
    (one, reader): &(Snapshot, ContentsReader),
    other: &Snapshot,
    out: &mut DeltaBuilder,
    go_on: &mut dyn FnMut() -> Result<(), E>,
    weight: impl Fn(i64, Option<i64>) -> i64,
) -> Result<(), E> {
    for entries in one.scan(read::CHUNK_ROWS) {
        go_on()?;
        let entries = entries?;
        let found = other.probe(&entries.keys)?;
        let rows = read::stored(reader.alone, &entries);
        let there = |at: usize| same(&found, at, (!reader.alone).then(|| rows.row(at)));
        let weights = (0..rows.len()).map(|at| (at, weight(entries.weights[at], there(at))));
        let (places, weights): (Vec<usize>, Vec<i64>) = weights.filter(|(_, weight)| *weight != 0).unzip();
        if !places.is_empty() {
            let batch = reader.rows(places.iter().map(|&at| rows.row(at)));
            out.push(Delta::new(batch, weights.into()));
        }
    }
    Ok(())
}

/// The weight of a row among what was found of its key; of the key itself if that is the row.
fn same(found: &Matches, probe: usize, row: Option<&[u8]>) -> Option<i64> {
    let same = |place: &usize| row.is_none_or(|row| found.rows.row(*place) == row);
    found.range(probe).find(same).map(|place| found.weights[place])
}
