//! The operator graph of one stream table: nodes in topological order, the last one is the result.
//!
//! `E` is a compiled scalar expression: the graph neither knows nor cares how it is evaluated. Its `Display` is part of
//! the plan's fingerprint.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;
use zset::{ColumnType, RowType};

use crate::{NodeId, TableId};

/// A node and the columns of its output.
#[derive(Debug, Clone)]
pub struct Node<E> {
    /// What it does.
    pub kind: NodeKind<E>,
    /// The columns of its output delta.
    pub output: RowType,
}

/// What a node does. Inputs are nodes earlier in the graph.
#[derive(Debug, Clone)]
pub enum NodeKind<E> {
    /// The delta of a table, all columns.
    Input {
        /// Which.
        table: TableId,
        /// Whether its rows only ever come ([`crate::TableDef::only_passes_on`]). No part of the fingerprint: it decides what is
        /// remembered, not what is computed.
        only_comes: bool,
    },
    /// Rows for which the predicate is true (not false, not NULL).
    Filter {
        /// The rows.
        input: NodeId,
        /// A boolean expression over the input's columns.
        predicate: E,
    },
    /// One output column per expression.
    Project {
        /// The rows.
        input: NodeId,
        /// Expressions over the input's columns.
        expressions: Vec<E>,
    },
    /// Inner equi-join: columns of the left, then of the right. A NULL key matches nothing.
    Join {
        /// The left rows.
        left: NodeId,
        /// The right rows.
        right: NodeId,
        /// Key expressions over the left columns; empty: a cross join.
        left_keys: Vec<E>,
        /// Key expressions over the right columns, of the same types.
        right_keys: Vec<E>,
        /// A further condition over the columns of both.
        residual: Option<E>,
    },
    /// GROUP BY: the group columns, then one column per call. Without group columns: exactly one row, always.
    Aggregate {
        /// The rows.
        input: NodeId,
        /// Group expressions over the input's columns.
        group: Vec<E>,
        /// The aggregates.
        calls: Vec<AggregateCall<E>>,
    },
    /// Every row once.
    Distinct {
        /// The rows.
        input: NodeId,
    },
    /// UNION ALL of inputs with the same column types.
    Union {
        /// The inputs.
        inputs: Vec<NodeId>,
    },
    /// Fixed rows (VALUES, SELECT without FROM), given once, at creation. Rows are encoded by the row codec.
    Values {
        /// The rows, as expressions without columns.
        rows: Vec<Vec<E>>,
    },
}

/// One aggregate of a GROUP BY.
#[derive(Debug, Clone)]
pub struct AggregateCall<E> {
    /// The function.
    pub function: AggregateFunction,
    /// Its argument; `None` for `count(*)`.
    pub argument: Option<E>,
    /// The argument's type; `bigint` for `count(*)`.
    pub argument_type: ColumnType,
    /// The result's type.
    pub output_type: ColumnType,
    /// `FILTER (WHERE ...)`.
    pub filter: Option<E>,
    /// Whether each distinct value counts once.
    pub distinct: bool,
}

/// The aggregates there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// Rows, or values that are not NULL.
    Count,
    /// NULL if there is no value.
    Sum,
    /// NULL if there is no value; for integers and numerics with the digits PostgreSQL gives.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
}

/// The operator graph of one stream table.
#[derive(Debug, Clone)]
pub struct Graph<E> {
    /// In topological order; the last node is the result.
    pub nodes: Vec<Node<E>>,
}

impl<E> Graph<E> {
    /// The result.
    pub fn root(&self) -> NodeId {
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The tables it reads, each once, in order of first use.
    pub fn tables(&self) -> Vec<TableId> {
        let mut tables = Vec::new();
        for node in &self.nodes {
            if let NodeKind::Input { table, .. } = node.kind
                && !tables.contains(&table)
            {
                tables.push(table);
            }
        }
        tables
    }

    /// Of each node, whether the rows of its output only ever come, whatever becomes of the tables.
    pub fn only_come(&self) -> Vec<bool> {
        let mut all: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let of = |input: &NodeId| all[input.0 as usize];
            let only = match &node.kind {
                NodeKind::Input { only_comes, .. } => *only_comes,
                NodeKind::Filter { input, .. } | NodeKind::Project { input, .. } | NodeKind::Distinct { input } => {
                    of(input)
                }
                NodeKind::Join { left, right, .. } => of(left) && of(right),
                NodeKind::Union { inputs } => inputs.iter().all(of),
                NodeKind::Values { .. } => true,
                NodeKind::Aggregate { .. } => false,
            };
            all.push(only);
        }
        all
    }
}

impl<E: fmt::Display> Graph<E> {
    /// A number that changes when the plan does. State is only reused under the same one.
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(self.to_string().as_bytes())
    }
}

impl fmt::Display for AggregateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        })
    }
}

impl<E: fmt::Display> fmt::Display for AggregateCall<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distinct = if self.distinct { "distinct " } else { "" };
        match &self.argument {
            Some(argument) => write!(f, "{}({distinct}{argument})", self.function)?,
            None => write!(f, "{}(*)", self.function)?,
        }
        if let Some(filter) = &self.filter {
            write!(f, " filter ({filter})")?;
        }
        write!(f, ": {}", self.output_type)
    }
}

impl<E: fmt::Display> fmt::Display for Graph<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node) in self.nodes.iter().enumerate() {
            write!(f, "{id}: {} -> (", node.kind)?;
            for (at, column) in node.output.0.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{} {}", column.name, column.ty)?;
            }
            writeln!(f, ")")?;
        }
        Ok(())
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl<E: fmt::Display> fmt::Display for NodeKind<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { table, .. } => write!(f, "input table {table}"),
            Self::Filter { input, predicate } => write!(f, "filter {input} by {predicate}"),
            Self::Project { input, expressions } => write!(f, "project {input} to {}", list(expressions)),
            Self::Join { left, right, left_keys, right_keys, residual } => {
                write!(f, "join {left} and {right} on [{}] = [{}]", list(left_keys), list(right_keys))?;
                residual.as_ref().map_or(Ok(()), |residual| write!(f, " if {residual}"))
            }
            Self::Aggregate { input, group, calls } => {
                write!(f, "aggregate {input} by [{}]: {}", list(group), list(calls))
            }
            Self::Distinct { input } => write!(f, "distinct {input}"),
            Self::Union { inputs } => write!(f, "union {}", list(inputs)),
            Self::Values { rows } => {
                let rows: Vec<String> = rows.iter().map(|row| format!("({})", list(row))).collect();
                write!(f, "values {}", rows.join(", "))
            }
        }
    }
}
