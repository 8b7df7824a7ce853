//! The operators of one stream table, wired as its graph says.
//!
//! A step pushes the input tables' deltas through the graph in topological order. An operator whose inputs did not change
//! and that owes nothing is not touched. Inputs are made canonical, and consolidated if rows can cancel, once, so that an
//! expression never meets a row that was in neither the old nor the new contents. So is the result: no row of
//! it comes and goes in one step, and rows that only come stay in the order in which they came.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{Graph, NodeId, NodeKind, TableId};
use state::{Arrangement, ArrangementId, Law};
use zset::{Delta, RowCodec, consolidate};

use crate::operators::{self, Operator, Slots};
use crate::reads::reads;
use crate::rows::canonical_under;
use crate::{Eval, FlowError};

/// See the module.
pub struct TableFlow {
    table: TableId,
    nodes: Vec<Node>,
    /// Of each input table, which columns are read.
    reads: BTreeMap<TableId, Vec<bool>>,
    /// Of the result.
    codec: RowCodec,
}

struct Node {
    work: Work,
    /// What it gives when nothing changes.
    empty: Delta,
    /// The last node that reads its output: then it is dropped.
    last_reader: usize,
    /// How often it was touched.
    steps: u64,
    /// How many rows it gave.
    rows: u64,
}

enum Work {
    Input { table: TableId, codec: RowCodec },
    Operator { inputs: Vec<usize>, operator: Box<dyn Operator> },
}

/// An operator, as SHOW STATE and tests see it.
#[derive(Debug)]
pub struct OperatorInfo<'a> {
    /// Its node.
    pub node: NodeId,
    /// What it is called.
    pub name: &'static str,
    /// How many steps touched it since the process started.
    pub steps: u64,
    /// How many rows it gave since then.
    pub rows: u64,
    /// Its state.
    pub arrangements: Vec<&'a Arrangement>,
}

impl TableFlow {
    /// The operators of a graph, over the arrangements that `arrangement` makes: empty ones, or those of a checkpoint.
    pub fn new(
        table: TableId,
        graph: &Graph<Arc<dyn Eval>>,
        arrangement: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Self {
        let mut nodes: Vec<Node> = Vec::with_capacity(graph.nodes.len());
        let mut schemas = Vec::with_capacity(graph.nodes.len());
        let only_come = graph.only_come();
        for (at, node) in graph.nodes.iter().enumerate() {
            let schema = node.output.schema();
            let inputs = operators::inputs(&node.kind);
            inputs.iter().for_each(|&input| nodes[input].last_reader = at);
            let mut slots = Slots { table, node: at as u32, make: &mut *arrangement };
            let only = inputs.iter().all(|&input| only_come[input]);
            let work = match (&node.kind, operators::operator(&node.kind, &node.output, (&schemas, only), &mut slots)) {
                (NodeKind::Input { table, .. }, _) => {
                    Work::Input { table: *table, codec: RowCodec::new(schema.clone()) }
                }
                (_, Some(operator)) => Work::Operator { inputs, operator },
                (kind, None) => unreachable!("{kind} has an operator"),
            };
            nodes.push(Node { work, empty: Delta::empty(schema.clone()), last_reader: at, steps: 0, rows: 0 });
            schemas.push(schema);
        }
        let result = schemas.pop().expect("a graph has a node");
        Self { table, nodes, reads: reads(graph), codec: RowCodec::new(result) }
    }

    /// Which columns of an input table are read; `None`: it is no input.
    pub fn reads(&self, input: TableId) -> Option<&[bool]> {
        self.reads.get(&input).map(Vec::as_slice)
    }

    /// The table.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// The change of the result for changes of the input tables; a table that is missing did not change. It is consolidated, unless
    /// rows only come: then equal ones may be apart.
    ///
    /// State is staged: [`TableFlow::commit`] or [`TableFlow::discard`] must follow; further steps before that see what is
    /// staged. On an error everything staged since the last commit is discarded. The first step after creation gives the
    /// row of a global aggregate and the rows of VALUES, whatever the input.
    pub fn step(&mut self, inputs: &BTreeMap<TableId, Delta>) -> Result<Delta, FlowError> {
        self.step_watched(inputs, &mut |_, _| ())
    }

    /// As [`TableFlow::step`], telling `progress` how many of its operators are done, of how many.
    pub fn step_watched(
        &mut self,
        inputs: &BTreeMap<TableId, Delta>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Delta, FlowError> {
        let result = self.run(inputs, progress);
        if result.is_err() {
            self.discard();
        }
        result
    }

    fn run(
        &mut self,
        inputs: &BTreeMap<TableId, Delta>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Delta, FlowError> {
        let total = self.nodes.len() as u64;
        let mut outputs: Vec<Option<Delta>> = Vec::with_capacity(self.nodes.len());
        let mut entered: BTreeMap<TableId, Delta> = BTreeMap::new();
        for at in 0..self.nodes.len() {
            let (before, rest) = self.nodes.split_at_mut(at);
            let node = &mut rest[0];
            let output = match &mut node.work {
                Work::Input { table, codec } => enter(*table, codec, inputs, &mut entered)?,
                Work::Operator { inputs, operator } => {
                    if operator.due() || inputs.iter().any(|&input| outputs[input].is_some()) {
                        let given = |&input: &usize| outputs[input].as_ref().unwrap_or(&before[input].empty).clone();
                        node.steps += 1;
                        Some(operator.step(&inputs.iter().map(given).collect::<Vec<_>>())?)
                    } else {
                        None
                    }
                }
            };
            node.rows += output.as_ref().map_or(0, |delta| delta.len() as u64);
            outputs.push(output.filter(|delta| !delta.is_empty()));
            let done = (0..at).filter(|&earlier| before[earlier].last_reader == at);
            done.for_each(|earlier| outputs[earlier] = None);
            progress(at as u64 + 1, total);
        }
        match outputs.pop().flatten() {
            Some(delta) => Ok(apart(delta, &self.codec)),
            None => Ok(Delta::empty(Arc::clone(self.codec.schema()))),
        }
    }

    /// What was staged holds.
    pub fn commit(&mut self) {
        self.operators_mut().for_each(|operator| operator.commit());
    }

    /// What was staged vanishes.
    pub fn discard(&mut self) {
        self.operators_mut().for_each(|operator| operator.discard());
    }

    fn operators_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn Operator>> {
        self.nodes.iter_mut().filter_map(|node| match &mut node.work {
            Work::Operator { operator, .. } => Some(operator),
            Work::Input { .. } => None,
        })
    }

    /// All state.
    pub fn arrangements(&self) -> Vec<&Arrangement> {
        self.operators().into_iter().flat_map(|operator| operator.arrangements).collect()
    }

    /// The operators in topological order.
    pub fn operators(&self) -> Vec<OperatorInfo<'_>> {
        let mut all = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if let Work::Operator { operator, .. } = &node.work {
                let (name, arrangements) = (operator.name(), operator.arrangements());
                all.push(OperatorInfo {
                    node: NodeId(at as u32),
                    name,
                    steps: node.steps,
                    rows: node.rows,
                    arrangements,
                });
            }
        }
        all
    }
}

/// A table's delta as it enters: once per step, however many nodes read it.
fn enter(
    table: TableId,
    codec: &RowCodec,
    inputs: &BTreeMap<TableId, Delta>,
    entered: &mut BTreeMap<TableId, Delta>,
) -> Result<Option<Delta>, FlowError> {
    if let Some(known) = entered.get(&table) {
        return Ok(Some(known.clone()));
    }
    let Some(delta) = inputs.get(&table).filter(|delta| !delta.is_empty()) else { return Ok(None) };
    let delta = apart(canonical_under(codec.schema(), delta)?, codec);
    entered.insert(table, delta.clone());
    Ok(Some(delta))
}

/// The same change, in which no two rows cancel.
fn apart(delta: Delta, codec: &RowCodec) -> Delta {
    if delta.is_distinct() || delta.only_inserts() { delta } else { consolidate(&delta, codec) }
}
