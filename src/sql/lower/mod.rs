//! From the optimized logical plan to the operator graph: one logical node a file, nodes that compute the same are one.
//!
//! Invariants: inputs come before what reads them; every expression is over the columns of its input by position; the
//! last node is the result, with the names that SQL gives its columns.

mod aggregate;
mod join;
mod project;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use dataflow::Eval;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Distinct, LogicalPlan};
use plan::{AggregateCall, Graph, Node, NodeId, NodeKind};
use zset::{Column, ColumnType, RowType};

use crate::error::{Result, code, error};
use crate::expr::eval::{Compiled, compile};
use crate::query::source;

/// A graph whose expressions are still known to be ours.
pub(crate) type Lowered = Graph<Arc<Compiled>>;

/// Nodes as they are added, found again by what they compute.
struct Builder {
    graph: Lowered,
    known: HashMap<String, NodeId>,
}

/// The graph of a plan; `names` are those of its columns.
pub(crate) fn lower(plan: &LogicalPlan, names: &[String]) -> Result<Lowered> {
    let mut builder = Builder { graph: Graph { nodes: Vec::new() }, known: HashMap::new() };
    let root = builder.node(plan)?;
    let last = NodeId(builder.graph.nodes.len() as u32 - 1);
    let table = matches!(builder.graph.nodes[root.0 as usize].kind, NodeKind::Input { .. });
    if root != last || table {
        // the result is a node of its own, the last one
        let output = builder.graph.nodes[root.0 as usize].output.clone();
        let schema = DFSchema::from_unqualified_fields(output.schema().fields().clone(), Default::default());
        let expressions = builder.columns(&schema.map_err(crate::error::from_datafusion)?, output.0.len())?;
        builder.graph.nodes.push(Node { kind: NodeKind::Project { input: root, expressions }, output });
    }
    if let Some(node) = builder.graph.nodes.last_mut() {
        for (column, name) in node.output.0.iter_mut().zip(names) {
            column.name.clone_from(name);
        }
    }
    Ok(builder.graph)
}

/// The graph as the engine takes it.
pub(crate) fn erase(graph: Lowered) -> Graph<Arc<dyn Eval>> {
    let one = |e: Arc<Compiled>| -> Arc<dyn Eval> { e };
    let all = |list: Vec<Arc<Compiled>>| -> Vec<Arc<dyn Eval>> { list.into_iter().map(one).collect() };
    let kind = |kind: NodeKind<Arc<Compiled>>| match kind {
        NodeKind::Input { table, only_comes } => NodeKind::Input { table, only_comes },
        NodeKind::Filter { input, predicate } => NodeKind::Filter { input, predicate: one(predicate) },
        NodeKind::Project { input, expressions } => NodeKind::Project { input, expressions: all(expressions) },
        NodeKind::Join { left, right, left_keys, right_keys, residual } => NodeKind::Join {
            left,
            right,
            left_keys: all(left_keys),
            right_keys: all(right_keys),
            residual: residual.map(one),
        },
        NodeKind::Aggregate { input, group, calls } => NodeKind::Aggregate {
            input,
            group: all(group),
            calls: calls
                .into_iter()
                .map(|call| AggregateCall {
                    function: call.function,
                    argument: call.argument.map(one),
                    argument_type: call.argument_type,
                    output_type: call.output_type,
                    filter: call.filter.map(one),
                    distinct: call.distinct,
                })
                .collect(),
        },
        NodeKind::Distinct { input } => NodeKind::Distinct { input },
        NodeKind::Union { inputs } => NodeKind::Union { inputs },
        NodeKind::Values { rows } => NodeKind::Values { rows: rows.into_iter().map(all).collect() },
    };
    Graph { nodes: graph.nodes.into_iter().map(|node| Node { kind: kind(node.kind), output: node.output }).collect() }
}

/// The columns of a plan node; every one may be NULL.
fn row_type(schema: &DFSchema) -> Result<RowType> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let ty = ColumnType::of_field(field).ok_or_else(|| {
            error(code::INTERNAL, format!("no column type for {} of column {}", field.data_type(), field.name()))
        })?;
        columns.push(Column::new(field.name().clone(), ty, true));
    }
    Ok(RowType(columns))
}

impl Builder {
    /// Adds a node, or gives the one that computes the same from the same.
    fn add(&mut self, kind: NodeKind<Arc<Compiled>>, output: RowType) -> NodeId {
        let types: Vec<String> = output.0.iter().map(|column| column.ty.to_string()).collect();
        let key = format!("{kind} -> {}", types.join(", "));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let id = NodeId(self.graph.nodes.len() as u32);
        self.graph.nodes.push(Node { kind, output });
        self.known.insert(key, id);
        id
    }

    /// Lowers a plan node and all below it.
    fn node(&mut self, plan: &LogicalPlan) -> Result<NodeId> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let table = source::of(scan).ok_or_else(|| refused(plan))?;
                if !scan.filters.is_empty() || scan.fetch.is_some() {
                    return Err(refused(plan));
                }
                let kind = NodeKind::Input { table: table.id, only_comes: table.only_comes };
                let input = self.add(kind, table.columns.clone());
                match &scan.projection {
                    None => Ok(input),
                    Some(positions) => self.pick(input, &table.columns, positions),
                }
            }
            LogicalPlan::SubqueryAlias(alias) => self.node(&alias.input),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => {
                let input = self.node(&filter.input)?;
                let predicate = Arc::new(compile(&filter.predicate, filter.input.schema())?);
                let output = self.graph.nodes[input.0 as usize].output.clone();
                Ok(self.add(NodeKind::Filter { input, predicate }, output))
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = self.node(input)?;
                let output = self.graph.nodes[input.0 as usize].output.clone();
                Ok(self.add(NodeKind::Distinct { input }, output))
            }
            LogicalPlan::Union(union) => {
                let inputs = union.inputs.iter().map(|input| self.node(input)).collect::<Result<Vec<_>>>()?;
                Ok(self.add(NodeKind::Union { inputs }, row_type(&union.schema)?))
            }
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) => {
                let rows = if empty.produce_one_row { vec![vec![]] } else { vec![] };
                Ok(self.add(NodeKind::Values { rows }, row_type(&empty.schema)?))
            }
            other => Err(refused(other)),
        }
    }
}

/// A node that no query that is let through has: our own bug, told as what it is.
fn refused(plan: &LogicalPlan) -> dataflow::StatementError {
    error(code::INTERNAL, format!("cannot lower the plan node {}", plan.display()))
}
