//! min and max: the least or greatest value's bytes, per group.
//!
//! All of a group's values are in an arrangement (group -> value) that min and max of one argument share. Inserts are
//! compared with the extremum that is known; only when a retraction meets it, the arrangement is asked for the new one. Where
//! nothing is ever retracted there is none.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, new_null_array};
use state::End;
use zset::{ColumnType, RowBytes, RowCodec};

use super::accumulator::{Accumulator, Failed, Part};
use super::encoding::{Reader, put_bytes};
use crate::FlowError;

pub(super) struct Extremum {
    end: End,
    codec: RowCodec,
    /// The values of this step's groups, those that were replaced too. The first is NULL's.
    values: RowBytes,
    /// Which of them is the extremum of every group.
    found: Vec<usize>,
    null: Vec<u8>,
}

/// The place of NULL among the values: what a group without values has.
const NOTHING: usize = 0;

impl Extremum {
    pub fn new(end: End, codec: RowCodec, argument: ColumnType) -> Self {
        let null = codec.encode(&[new_null_array(&argument.arrow(), 1)]).row(0).to_vec();
        Self { end, codec, values: RowBytes::new(), found: Vec::new(), null }
    }

    /// Whether a value comes before another, seen from the end.
    fn before(&self, value: &[u8], other: &[u8]) -> bool {
        let order = value.cmp(other);
        if self.end == End::First { order == Ordering::Less } else { order == Ordering::Greater }
    }

    fn known(&self, group: usize) -> Option<&[u8]> {
        Some(self.found[group]).filter(|at| *at != NOTHING).map(|at| self.values.row(at))
    }

    fn set(&mut self, group: usize, value: Option<&[u8]>) {
        self.found[group] = value.map_or(NOTHING, |value| {
            self.values.push(value);
            self.values.len() - 1
        });
    }

    /// Takes one group's changes; says whether the arrangement must be asked.
    fn lost<'a>(&mut self, group: usize, changes: impl Iterator<Item = (&'a [u8], i64)> + Clone) -> bool {
        let known = self.known(group);
        // A value gone that is the extremum, or, impossibly, beyond it.
        let gone = |value: &[u8]| known.is_none_or(|known| !self.before(known, value));
        if changes.clone().any(|(value, weight)| weight < 0 && gone(value)) {
            return true;
        }
        let better = |best: Option<&'a [u8]>, value: &'a [u8]| match best.or(known) {
            Some(best) if !self.before(value, best) => None,
            _ => Some(value),
        };
        let come = changes.filter(|(_, weight)| *weight > 0).map(|(value, _)| value);
        if let Some(best) = come.fold(None, |best, value| better(best, value).or(best)) {
            self.set(group, Some(best));
        }
        false
    }
}

impl Accumulator for Extremum {
    fn start(&mut self, groups: usize) {
        self.values = RowBytes::new();
        self.values.push(&self.null);
        self.found.clear();
        self.found.resize(groups, NOTHING);
    }

    fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError> {
        let value = if from.u8()? == 1 { Some(from.bytes()?) } else { None };
        self.set(group, value);
        Ok(())
    }

    fn update(&mut self, part: &Part, keys: &RowBytes) -> Result<(), FlowError> {
        let ordered =
            part.ordered.as_ref().ok_or_else(|| FlowError::invariant("min or max: its values are not kept"))?;
        let mut ask: Vec<u32> = Vec::new();
        let mut end = 0;
        for run in part.groups.chunk_by(|a, b| a == b) {
            let start = end;
            end += run.len();
            let changes = (start..end).map(|at| (ordered.bytes.row(at), part.weights[at]));
            if self.lost(run[0] as usize, changes) {
                ask.push(run[0]);
            }
        }
        if ask.is_empty() {
            return Ok(());
        }
        let all = ordered.all.as_ref();
        let all = all.ok_or_else(|| FlowError::invariant("min or max: a value goes of those that only come"))?;
        let ends = all.probe_end(&keys.gather(&ask), self.end)?;
        if ends.weights.iter().any(|weight| *weight < 0) {
            return Err(FlowError::invariant(format!("arrangement {}: a value below zero times", all.id())));
        }
        for (at, group) in ask.into_iter().enumerate() {
            self.set(group as usize, ends.range(at).next().map(|row| ends.rows.row(row)));
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        self.found[group] == NOTHING
    }

    fn store(&self, group: usize, into: &mut Vec<u8>) {
        let value = self.known(group);
        into.push(u8::from(value.is_some()));
        value.into_iter().for_each(|value| put_bytes(into, value));
    }

    fn finish(&self) -> Result<ArrayRef, Failed> {
        Ok(self.codec.decode(self.found.iter().map(|&at| self.values.row(at))).remove(0))
    }
}
