//! Generations whose rows are kept no longer: which of their keys are gone is taken over a part at a time, so that the loop does not
//! stand still for a large one.
//!
//! What changes meanwhile is newer, whatever they say of it. A start does not know what that was: then a key may be taken for gone whose
//! row is there again, never the other way round. The target deletes it and then has all rows of the table, in one transaction, which
//! comes to the same.

use std::collections::{HashSet, VecDeque};

use state::{Scan, StateError};
use zset::RowBytes;

use super::Generation;

/// Entries read at once.
const CHUNK_ROWS: usize = 8192;

/// See the module.
pub(super) struct Drain {
    /// The older first: what is said later holds.
    generations: VecDeque<Generation>,
    scan: Option<Scan>,
    /// Keys that have changed since.
    newer: HashSet<Box<[u8]>>,
    /// These are all of them.
    all_newer: bool,
}

impl Drain {
    pub fn of(generations: impl IntoIterator<Item = Generation>) -> Self {
        let generations = generations.into_iter().collect();
        Self { generations, scan: None, newer: HashSet::new(), all_newer: true }
    }

    /// Those of a checkpoint.
    pub fn restored(generations: impl IntoIterator<Item = Generation>) -> Self {
        Self { all_newer: false, ..Self::of(generations) }
    }

    /// These have changed.
    pub fn changed(&mut self, keys: &RowBytes) {
        self.newer.extend((0..keys.len()).map(|at| Box::from(keys.row(at))));
    }

    /// Takes over the keys that are gone of at most about so many entries; whether that was all.
    pub fn step(&mut self, gone: &mut Generation, rows_max: usize) -> Result<bool, StateError> {
        let mut read = 0;
        while read < rows_max {
            let Some(first) = self.generations.front() else { return Ok(true) };
            let scan = self.scan.get_or_insert_with(|| first.arrangement.committed().scan(CHUNK_ROWS.min(rows_max)));
            let Some(entries) = scan.next().transpose()? else {
                self.generations.pop_front();
                self.scan = None;
                continue;
            };
            read += entries.keys.len();
            // Of a key with a row nobody knows after a start whether it has gone since.
            let counts = |at: usize| self.all_newer || entries.rows.row(at).is_empty();
            let is_older = |at: usize| counts(at) && !self.newer.contains(entries.keys.row(at));
            let older: Vec<usize> = (0..entries.keys.len()).filter(|&at| is_older(at)).collect();
            let pick = |all: &RowBytes| {
                let mut some = RowBytes::with_capacity(older.len(), all.data_len());
                older.iter().for_each(|&at| some.push(all.row(at)));
                some
            };
            gone.gather_gone(&pick(&entries.keys), &pick(&entries.rows));
        }
        Ok(self.generations.is_empty())
    }

    /// What is left, as a checkpoint keeps it.
    pub fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use plan::SinkId;

    use super::*;

    fn bytes(rows: &[&str]) -> RowBytes {
        let mut bytes = RowBytes::with_capacity(rows.len(), 8);
        rows.iter().for_each(|row| bytes.push(row.as_bytes()));
        bytes
    }

    fn empty(slot: u32) -> Generation {
        Generation::new(state::Arrangement::new(super::super::id(SinkId(1), slot), state::Law::Replace))
    }

    /// A generation of keys and rows; no row: it is gone.
    fn generation(slot: u32, entries: &[(&str, &str)]) -> Generation {
        let mut generation = empty(slot);
        let (keys, rows): (Vec<_>, Vec<_>) = entries.iter().copied().unzip();
        generation.arrangement.stage_replace(&bytes(&keys), &bytes(&rows), &vec![true; keys.len()]);
        generation.arrangement.commit();
        generation
    }

    fn keys(gone: &Generation) -> Vec<String> {
        let entries = gone.arrangement.committed().scan(100).map(Result::unwrap);
        let mut keys: Vec<String> = entries
            .flat_map(|entries| {
                (0..entries.keys.len())
                    .map(|at| String::from_utf8(entries.keys.row(at).to_vec()).unwrap())
                    .collect::<Vec<_>>()
            })
            .collect();
        keys.sort();
        assert_eq!(keys.len() as u64, gone.keys);
        keys
    }

    #[test]
    fn what_is_said_last_holds() {
        for rows_max in [1, 2, 100] {
            let older = generation(0, &[("a", ""), ("b", ""), ("c", ""), ("d", "row"), ("e", "row")]);
            let newer = generation(1, &[("b", "row"), ("d", ""), ("f", "")]);
            let mut gone = empty(2);
            let mut drain = Drain::of([older, newer]);
            let mut steps = 0;
            loop {
                steps += 1;
                if steps == 1 {
                    // Whatever of them was read by now.
                    let all = bytes(&["c", "e", "f"]);
                    drain.changed(&all);
                    gone.gather_gone(&all, &bytes(&["row", "", "row"]));
                }
                if drain.step(&mut gone, rows_max).unwrap() {
                    break;
                }
            }
            assert_eq!(keys(&gone), ["a", "d", "e"], "{rows_max}");
            assert!(steps >= 8usize.div_ceil(rows_max), "{steps} parts of {rows_max}");
        }
    }

    #[test]
    fn after_a_start_what_has_gone_meanwhile_is_not_forgotten() {
        let mut gone = empty(2);
        gone.gather_gone(&bytes(&["b", "x"]), &bytes(&["", ""]));
        let mut drain =
            Drain::restored([generation(0, &[("a", ""), ("b", "row"), ("c", "")]), generation(1, &[("c", "row")])]);
        drain.changed(&bytes(&["a"]));
        assert!(drain.step(&mut gone, 100).unwrap());
        assert_eq!(keys(&gone), ["b", "c", "x"]);
    }
}
