//! What an aggregate function remembers of a group, for all groups of one step at once.

use arrow::array::ArrayRef;
use state::Snapshot;
use zset::{RowBytes, RowError};

use super::encoding::Reader;
use crate::FlowError;

/// The values that a step feeds to the calls of one argument.
pub(super) struct Part {
    /// The group of each value.
    pub groups: Vec<u32>,
    /// The values, none NULL; for `count(*)` there are none.
    pub values: Option<ArrayRef>,
    /// Their weights: how many times each comes or goes.
    pub weights: Vec<i64>,
    /// For min and max.
    pub ordered: Option<Ordered>,
}

/// The same values as bytes, those of a group behind one another, each once, and where all of a group's values are.
pub(super) struct Ordered {
    pub bytes: RowBytes,
    /// Group key -> value, with this step's changes; `None`: values only come, and are not kept.
    pub all: Option<Snapshot>,
}

/// The accumulators of one call. Groups are numbered within a step.
pub(super) trait Accumulator: Send {
    /// Forgets, and makes room for so many empty ones.
    fn start(&mut self, groups: usize);

    /// Reads a group's from state.
    fn load(&mut self, group: usize, from: &mut Reader<'_>) -> Result<(), FlowError>;

    /// Takes a step's values. `keys` are the groups' keys.
    fn update(&mut self, part: &Part, keys: &RowBytes) -> Result<(), FlowError>;

    /// Whether nothing is left of a group's values: what must be when its last row went.
    fn is_empty(&self, group: usize) -> bool;

    /// Writes a group's for state.
    fn store(&self, group: usize, into: &mut Vec<u8>);

    /// The result of every group; an error names the group.
    fn finish(&self) -> Result<ArrayRef, Failed>;
}

/// A result that cannot be computed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Of which group, and why.
    Row(usize, RowError),
    /// A bug of ours.
    Flow(FlowError),
}

/// A sum of weights, or the reason why it cannot be one.
pub(super) fn added(what: &str, sum: i64, weight: i64) -> Result<i64, FlowError> {
    sum.checked_add(weight).ok_or_else(|| FlowError::too_often(format!("{what}: {sum} {weight:+}")))
}

/// Refuses counts below zero.
pub(super) fn proper<'a>(what: &str, counts: impl IntoIterator<Item = &'a i64>) -> Result<(), FlowError> {
    match counts.into_iter().find(|count| **count < 0) {
        None => Ok(()),
        Some(count) => Err(FlowError::invariant(format!("{what}: a group has {count} values"))),
    }
}
