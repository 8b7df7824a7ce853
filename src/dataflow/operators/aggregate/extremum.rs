//! min and max: the least or greatest value's bytes, per group.
//!
//! All of a group's values are in an arrangement (group -> value) that min and max of one argument share. Inserts are
//! compared with the extremum that is known; only when a retraction meets it, the arrangement is asked for the new one.

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
    /// NULL's bytes.
    null: Vec<u8>,
    /// The extremum of every group; `None` without values.
    found: Vec<Option<Vec<u8>>>,
}

impl Extremum {
    pub fn new(end: End, codec: RowCodec, argument: ColumnType) -> Self {
        let null = codec.encode(&[new_null_array(&argument.arrow(), 1)]).row(0).to_vec();
        Self { end, codec, null, found: Vec::new() }
    }

    /// Whether a value comes before another, seen from the end.
    fn before(&self, value: &[u8], other: &[u8]) -> bool {
        let order = value.cmp(other);
        if self.end == End::First { order == Ordering::Less } else { order == Ordering::Greater }
    }

    /// Takes one group's changes; says whether the arrangement must be asked.
    fn lost(&mut self, group: usize, values: &[(&[u8], i64)]) -> bool {
        let known = self.found[group].as_deref();
        // A value gone that is the extremum, or, impossibly, beyond it.
        let gone = |value: &[u8]| known.is_none_or(|known| !self.before(known, value));
        if values.iter().any(|(value, weight)| *weight < 0 && gone(value)) {
            return true;
        }
        let mut best = known;
        for (value, _) in values.iter().filter(|(_, weight)| *weight > 0) {
            if best.is_none_or(|best| self.before(value, best)) {
                best = Some(value);
            }
        }
        let best = best.map(<[u8]>::to_vec);
        self.found[group] = best;
        false
    }
}

impl Accumulator for Extremum {
    fn start(&mut self, groups: usize) {
        self.found.clear();
        self.found.resize(groups, None);
    }

    fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError> {
        self.found[group] = if from.u8()? == 1 { Some(from.bytes()?.to_vec()) } else { None };
        Ok(())
    }

    fn update(&mut self, part: &Part, keys: &RowBytes) -> Result<(), FlowError> {
        let ordered =
            part.ordered.as_ref().ok_or_else(|| FlowError::invariant("min or max: its values are not kept"))?;
        let mut ask: Vec<u32> = Vec::new();
        let places: Vec<usize> = (0..part.groups.len()).collect();
        for run in places.chunk_by(|&a, &b| part.groups[a] == part.groups[b]) {
            let values: Vec<(&[u8], i64)> = run.iter().map(|&at| (ordered.bytes.row(at), part.weights[at])).collect();
            let group = part.groups[run[0]];
            if self.lost(group as usize, &values) {
                ask.push(group);
            }
        }
        if ask.is_empty() {
            return Ok(());
        }
        let ends = ordered.all.probe_end(&keys.gather(&ask), self.end)?;
        if ends.weights.iter().any(|weight| *weight < 0) {
            return Err(FlowError::invariant(format!("arrangement {}: a value below zero times", ordered.all.id())));
        }
        for (at, group) in ask.into_iter().enumerate() {
            self.found[group as usize] = ends.range(at).next().map(|row| ends.rows.row(row).to_vec());
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        self.found[group].is_none()
    }

    fn store(&self, group: usize, into: &mut Vec<u8>) {
        into.push(u8::from(self.found[group].is_some()));
        if let Some(value) = &self.found[group] {
            put_bytes(into, value);
        }
    }

    fn finish(&self) -> Result<ArrayRef, Failed> {
        let values = self.found.iter().map(|value| value.as_deref().unwrap_or(&self.null));
        Ok(self.codec.decode(values).remove(0))
    }
}
