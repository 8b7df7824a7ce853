//! The operators: one file each. Deltas in, a delta out; what they remember they keep in arrangements.

pub(crate) mod aggregate;
mod distinct;
mod filter;
mod join;
mod project;
mod union;
mod values;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plan::{NodeKind, TableId};
use state::{Arrangement, ArrangementId, Law};
use zset::{Delta, RowType};

use crate::{Eval, FlowError};

/// A node at work. `step` stages; `commit` and `discard` decide. Within an epoch several steps see each other's staging.
pub(crate) trait Operator: Send {
    /// What SHOW STATE calls it.
    fn name(&self) -> &'static str;

    /// Whether it has rows to give though no input changed: the first step of VALUES and of a global aggregate.
    fn due(&self) -> bool {
        false
    }

    /// The change of the output for a change of the inputs, whose rows carry the schemas of the nodes they come from.
    /// Input deltas hold no row twice with opposite weights that was in neither the old nor the new input.
    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError>;

    /// Its state.
    fn arrangements(&self) -> Vec<&Arrangement> {
        Vec::new()
    }

    /// What was staged holds.
    fn commit(&mut self) {}

    /// What was staged vanishes.
    fn discard(&mut self) {}
}

/// Makes the arrangements of one node: empty ones, or those of a checkpoint.
pub(crate) struct Slots<'a> {
    pub table: TableId,
    pub node: u32,
    pub make: &'a mut dyn FnMut(ArrangementId, Law) -> Arrangement,
}

impl Slots<'_> {
    /// The arrangement of a slot. A slot keeps its meaning for ever: checkpoints are read by it.
    pub fn arrangement(&mut self, slot: u32, law: Law) -> Arrangement {
        (self.make)(ArrangementId { owner: self.table.0, node: self.node, slot }, law)
    }
}

/// The operator of a node; `None` for an input. `schemas` are those of the graph's nodes so far; `only_come`: no row of its inputs
/// ever goes.
pub(crate) fn operator(
    kind: &NodeKind<Arc<dyn Eval>>,
    output: &RowType,
    (schemas, only_come): (&[SchemaRef], bool),
    slots: &mut Slots<'_>,
) -> Option<Box<dyn Operator>> {
    let schema = output.schema();
    let of = |node: &plan::NodeId| Arc::clone(&schemas[node.0 as usize]);
    Some(match kind {
        NodeKind::Input { .. } => return None,
        NodeKind::Filter { predicate, .. } => Box::new(filter::Filter::new(predicate, schema)),
        NodeKind::Project { expressions, .. } => Box::new(project::Project::new(expressions, schema)),
        NodeKind::Join { left, right, left_keys, right_keys, residual } => {
            let left = join::Side::new(left_keys, of(left), slots.arrangement(0, Law::Add));
            let right = join::Side::new(right_keys, of(right), slots.arrangement(1, Law::Add));
            Box::new(join::Join::new(left, right, residual.clone(), schema))
        }
        NodeKind::Aggregate { group, calls, .. } => {
            Box::new(aggregate::Aggregate::new(group, calls, schema, only_come, slots))
        }
        NodeKind::Distinct { .. } => Box::new(distinct::Distinct::new(schema, slots.arrangement(0, Law::Add))),
        NodeKind::Union { .. } => Box::new(union::Union::new(schema)),
        NodeKind::Values { rows } => Box::new(values::Values::new(rows, schema, slots.arrangement(0, Law::Replace))),
    })
}

/// The inputs of a node.
pub(crate) fn inputs(kind: &NodeKind<Arc<dyn Eval>>) -> Vec<usize> {
    let nodes = match kind {
        NodeKind::Input { .. } | NodeKind::Values { .. } => vec![],
        NodeKind::Filter { input, .. }
        | NodeKind::Project { input, .. }
        | NodeKind::Aggregate { input, .. }
        | NodeKind::Distinct { input } => vec![*input],
        NodeKind::Join { left, right, .. } => vec![*left, *right],
        NodeKind::Union { inputs } => inputs.clone(),
    };
    nodes.into_iter().map(|node| node.0 as usize).collect()
}
