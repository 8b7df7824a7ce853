//! The rows that are there, and the walk of the rows that are to come, each on what those before it left.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use zset::{RowBytes, RowType};

use super::super::super::value;
use super::super::target::Target;
use super::super::{Run, rows, unreadable};
use super::Arbiter;
use crate::error::{Detail, Result, code, error, from_datafusion};

/// The keys of rows by an arbiter.
pub(super) struct Keys {
    bytes: RowBytes,
    /// Whether it is one at all: NULL is like nothing else.
    is_key: Vec<bool>,
}

impl Keys {
    fn of(&self, row: usize) -> Option<&[u8]> {
        self.is_key[row].then(|| self.bytes.row(row))
    }
}

impl Arbiter {
    pub(super) fn keys(&self, rows: &RecordBatch) -> Keys {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|&at| Arc::clone(rows.column(at))).collect();
        let like_others = self.unique.as_ref().is_some_and(|unique| unique.nulls_not_distinct);
        let is_key = |row: usize| like_others || columns.iter().all(|column| column.is_valid(row));
        let is_key = (0..rows.num_rows()).map(is_key).collect();
        Keys { bytes: self.codec.encode(&columns), is_key }
    }
}

/// Who has a key.
#[derive(Debug, Clone, Copy)]
enum Holder {
    /// A row that was there.
    There(u32),
    /// A row of this statement.
    Own,
    /// Nobody any more.
    Nobody,
}

/// The rows that are there, and by each arbiter who has a key.
pub(super) struct There {
    pub(super) rows: RecordBatch,
    holders: Vec<HashMap<Vec<u8>, Holder>>,
}

/// What becomes of all rows: places in those that are there, and in those proposed followed by those updated.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) gone: Vec<u32>,
    pub(super) come: Vec<u32>,
}

impl There {
    /// Looks for rows that have the keys of `rows`, by each arbiter.
    pub(super) fn new(target: &Target, arbiters: &[Arbiter], rows: &RecordBatch, run: &Run<'_>) -> Result<Self> {
        let mut there = Self { rows: target.nothing(), holders: vec![HashMap::new(); arbiters.len()] };
        for at in arbiters.iter().enumerate() {
            there.look(target, at, rows, run)?;
        }
        Ok(there)
    }

    /// Looks for rows that have the keys of `rows`; of keys that are known the holders stay.
    pub(super) fn look(
        &mut self,
        target: &Target,
        (at, arbiter): (usize, &Arbiter),
        rows: &RecordBatch,
        run: &Run<'_>,
    ) -> Result<()> {
        let stored = run.stored(target)?;
        let found = match &arbiter.unique {
            None => {
                let keys = arbiter.keys(rows);
                let asked: HashSet<&[u8]> = (0..rows.num_rows()).filter_map(|row| keys.of(row)).collect();
                stored.find(&asked.into_iter().collect())
            }
            Some(unique) => {
                let missing = || error(code::INTERNAL, format!("\"{}\" has no index in the view", unique.name));
                let index = stored.unique(unique.slot).ok_or_else(missing)?;
                stored.find_unique(index, rows).map(|(found, _)| found)
            }
        };
        let found = rows::expanded(&found.map_err(|e| unreadable(&target.def.name, &e))?)?;
        let before = self.rows.num_rows();
        self.rows = concat_batches(&target.def.columns.schema(), [&self.rows, &found])
            .map_err(|e| from_datafusion(e.into()))?;
        let keys = arbiter.keys(&found);
        for row in 0..found.num_rows() {
            if let Some(key) = keys.of(row) {
                self.holders[at].entry(key.to_vec()).or_insert(Holder::There((before + row) as u32));
            }
        }
        Ok(())
    }

    /// The rows whose key a row has that was there: their places, and those of the rows they meet.
    pub(super) fn met(&self, keys: &[Keys]) -> Vec<(u32, u32)> {
        let Some(first) = keys.first() else { return Vec::new() };
        let meets = |row: usize| match first.of(row).and_then(|key| self.holders[0].get(key)) {
            Some(Holder::There(there)) => Some((row as u32, *there)),
            _ => None,
        };
        (0..first.bytes.len()).filter_map(meets).collect()
    }

    /// DO NOTHING: the rows that no arbiter knows.
    pub(super) fn walk_inserts(&mut self, keys: &[Keys], count: usize) -> Vec<u32> {
        let mut kept = Vec::with_capacity(count);
        for row in 0..count {
            let of_row: Vec<Option<&[u8]>> = keys.iter().map(|keys| keys.of(row)).collect();
            let known = |(key, holders): (&Option<&[u8]>, &HashMap<Vec<u8>, Holder>)| {
                key.is_some_and(|key| holders.contains_key(key))
            };
            if std::iter::zip(&of_row, &self.holders).any(known) {
                continue;
            }
            for (key, holders) in std::iter::zip(of_row, &mut self.holders) {
                holders.extend(key.map(|key| (key.to_vec(), Holder::Own)));
            }
            kept.push(row as u32);
        }
        kept
    }

    /// DO UPDATE: each row in its turn. `met` are those to update that meet a row that was there, `updated` what these become.
    pub(super) fn walk(
        &mut self,
        target: &Target,
        arbiter: &Arbiter,
        (old, new): (&Keys, &Keys),
        met: &[(u32, u32)],
        updated: &RecordBatch,
    ) -> Result<Walked> {
        let proposed = old.bytes.len() as u32;
        let place: HashMap<u32, usize> = met.iter().enumerate().map(|(at, (row, _))| (*row, at)).collect();
        let holders = &mut self.holders[0];
        let mut walked = Walked::default();
        for row in 0..proposed {
            let key = old.of(row as usize);
            match key.and_then(|key| holders.get(key)).copied() {
                None | Some(Holder::Nobody) => {
                    holders.extend(key.map(|key| (key.to_vec(), Holder::Own)));
                    walked.come.push(row);
                }
                Some(Holder::Own) => return Err(second_time()),
                Some(Holder::There(there)) => {
                    let (Some(key), Some(&at)) = (key, place.get(&row)) else { continue };
                    holders.insert(key.to_vec(), Holder::Nobody);
                    let becomes = new.of(at);
                    if let Some(Holder::There(_) | Holder::Own) = becomes.and_then(|key| holders.get(key)) {
                        return Err(taken(target, arbiter, updated, at)?);
                    }
                    holders.extend(becomes.map(|key| (key.to_vec(), Holder::Own)));
                    walked.gone.push(there);
                    walked.come.push(proposed + at as u32);
                }
            }
        }
        Ok(walked)
    }
}

fn second_time() -> dataflow::StatementError {
    error(code::CARDINALITY_VIOLATION, "ON CONFLICT DO UPDATE command cannot affect row a second time").with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

fn taken(target: &Target, arbiter: &Arbiter, rows: &RecordBatch, row: usize) -> Result<dataflow::StatementError> {
    let of = RowType(arbiter.columns.iter().map(|&at| target.def.columns.0[at].clone()).collect());
    let names: Vec<&str> = of.0.iter().map(|column| column.name.as_str()).collect();
    let key = rows.project(&arbiter.columns).map_err(|e| from_datafusion(e.into()))?;
    let mut refusal = error("23505", format!("duplicate key value violates unique constraint \"{}\"", arbiter.name));
    let values = value::row_text(&of, &key, row)?;
    refusal.detail = Some(format!("Key ({})=({values}) already exists.", names.join(", ")));
    refusal.about = dataflow::About::constraint(&target.def.name, &arbiter.name);
    Ok(refusal)
}
