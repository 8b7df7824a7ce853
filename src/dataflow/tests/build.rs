//! Graphs as tests write them: tiny expressions that the naive interpreter and the operators both evaluate.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use plan::{AggregateCall, AggregateFunction, Graph, Node, NodeId, NodeKind, TableId};
use testkit::{Row, Value};
use zset::{Column, ColumnType, Delta, RowError, RowType, sqlstate};

use crate::Eval;

type Function = Arc<dyn Fn(&[Value]) -> Result<Value, RowError> + Send + Sync>;

/// An expression: a column, or a function of the row.
#[derive(Clone)]
pub struct Expr {
    pub text: String,
    pub ty: ColumnType,
    column: Option<usize>,
    function: Function,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expr {
    pub fn value(&self, row: &[Value]) -> Result<Value, RowError> {
        (self.function)(row)
    }
}

impl Eval for Expr {
    fn eval(&self, batch: &RecordBatch) -> Result<ArrayRef, RowError> {
        if let Some(column) = self.column {
            return Ok(Arc::clone(batch.column(column)));
        }
        let rows = testkit::rows(&Delta::inserts(batch.clone()));
        let named = |row: &Row| {
            let text = row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.value(row).map_err(|error| error.at_row(format!("({text})")))
        };
        let values = rows.iter().map(|(row, _)| named(row)).collect::<Result<Vec<_>, _>>()?;
        Ok(testkit::column(self.ty, &values.iter().collect::<Vec<_>>()))
    }
}

/// A column.
pub fn col(at: usize, ty: ColumnType) -> Expr {
    Expr { text: format!("#{at}"), ty, column: Some(at), function: Arc::new(move |row| Ok(row[at].clone())) }
}

/// A function of the row that cannot fail.
pub fn fun(text: &str, ty: ColumnType, f: impl Fn(&[Value]) -> Value + Send + Sync + 'static) -> Expr {
    Expr { text: text.to_string(), ty, column: None, function: Arc::new(move |row| Ok(f(row))) }
}

/// A condition over integer columns; NULL if one of them is.
pub fn test(text: &str, at: &'static [usize], f: impl Fn(&[i64]) -> bool + Send + Sync + 'static) -> Expr {
    fun(text, ColumnType::Boolean, move |row| {
        let ints: Option<Vec<i64>> = at.iter().map(|&at| int(&row[at])).collect();
        ints.map_or(Value::Null, |ints| Value::Bool(f(&ints)))
    })
}

/// 100 / column, which fails on zero.
pub fn hundred_by(at: usize) -> Expr {
    let function = move |row: &[Value]| match int(&row[at]) {
        None => Ok(Value::Null),
        Some(0) => Err(RowError::new(sqlstate::DIVISION_BY_ZERO, "division by zero")),
        Some(value) => Ok(Value::Int(100 / value)),
    };
    Expr { text: format!("100 / #{at}"), ty: ColumnType::BigInt, column: None, function: Arc::new(function) }
}

pub fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        _ => None,
    }
}

/// Nullable columns c0, c1, ...
pub fn columns(types: &[ColumnType]) -> RowType {
    RowType(types.iter().enumerate().map(|(at, ty)| Column::new(format!("c{at}"), *ty, true)).collect())
}

/// An aggregate with PostgreSQL's result type.
pub fn call(function: AggregateFunction, argument: Option<Expr>) -> AggregateCall<Expr> {
    use AggregateFunction::*;
    use ColumnType::*;
    let argument_type = argument.as_ref().map_or(BigInt, |argument| argument.ty);
    let output_type = match (function, argument_type) {
        (Count, _) | (Sum, SmallInt | Int) => BigInt,
        (Sum, BigInt) => Numeric { precision: 38, scale: 0 },
        (Sum, Numeric { scale, .. }) => Numeric { precision: 38, scale },
        (Avg, Real | Double) => Double,
        (Avg, _) => Numeric { precision: 76, scale: 38 },
        (Sum | Min | Max, ty) => ty,
    };
    AggregateCall { function, argument, argument_type, output_type, filter: None, distinct: false }
}

pub fn distinct(mut call: AggregateCall<Expr>) -> AggregateCall<Expr> {
    call.distinct = true;
    call
}

pub fn filtered(mut call: AggregateCall<Expr>, filter: Expr) -> AggregateCall<Expr> {
    call.filter = Some(filter);
    call
}

/// Builds a graph node by node.
#[derive(Default)]
pub struct Build(pub Vec<Node<Expr>>);

impl Build {
    pub fn add(&mut self, kind: NodeKind<Expr>, output: RowType) -> NodeId {
        self.0.push(Node { kind, output });
        NodeId(self.0.len() as u32 - 1)
    }

    fn types(&self, node: NodeId) -> Vec<ColumnType> {
        self.0[node.0 as usize].output.0.iter().map(|column| column.ty).collect()
    }

    pub fn input(&mut self, table: u32, types: &[ColumnType]) -> NodeId {
        self.add(NodeKind::Input { table: TableId(table), only_comes: false }, columns(types))
    }

    /// A table whose rows only ever come.
    pub fn source(&mut self, table: u32, types: &[ColumnType]) -> NodeId {
        self.add(NodeKind::Input { table: TableId(table), only_comes: true }, columns(types))
    }

    pub fn filter(&mut self, input: NodeId, predicate: Expr) -> NodeId {
        let output = columns(&self.types(input));
        self.add(NodeKind::Filter { input, predicate }, output)
    }

    pub fn project(&mut self, input: NodeId, expressions: Vec<Expr>) -> NodeId {
        let output = columns(&expressions.iter().map(|expression| expression.ty).collect::<Vec<_>>());
        self.add(NodeKind::Project { input, expressions }, output)
    }

    pub fn join(&mut self, left: NodeId, right: NodeId, on: &[(Expr, Expr)], residual: Option<Expr>) -> NodeId {
        let output = columns(&[self.types(left), self.types(right)].concat());
        let (left_keys, right_keys) = on.iter().cloned().unzip();
        self.add(NodeKind::Join { left, right, left_keys, right_keys, residual }, output)
    }

    pub fn aggregate(&mut self, input: NodeId, group: Vec<Expr>, calls: Vec<AggregateCall<Expr>>) -> NodeId {
        let types = group.iter().map(|group| group.ty).chain(calls.iter().map(|call| call.output_type));
        let output = columns(&types.collect::<Vec<_>>());
        self.add(NodeKind::Aggregate { input, group, calls }, output)
    }

    pub fn distinct(&mut self, input: NodeId) -> NodeId {
        let output = columns(&self.types(input));
        self.add(NodeKind::Distinct { input }, output)
    }

    pub fn union(&mut self, inputs: Vec<NodeId>) -> NodeId {
        let output = columns(&self.types(inputs[0]));
        self.add(NodeKind::Union { inputs }, output)
    }

    pub fn done(self) -> Graph<Expr> {
        Graph { nodes: self.0 }
    }
}

/// The same graph as the engine takes it.
pub fn compiled(graph: &Graph<Expr>) -> Graph<Arc<dyn Eval>> {
    let one = |expr: &Expr| Arc::new(expr.clone()) as Arc<dyn Eval>;
    let all = |exprs: &[Expr]| exprs.iter().map(one).collect::<Vec<_>>();
    let kind = |kind: &NodeKind<Expr>| match kind {
        NodeKind::Input { table, only_comes } => NodeKind::Input { table: *table, only_comes: *only_comes },
        NodeKind::Filter { input, predicate } => NodeKind::Filter { input: *input, predicate: one(predicate) },
        NodeKind::Project { input, expressions } => NodeKind::Project { input: *input, expressions: all(expressions) },
        NodeKind::Join { left, right, left_keys, right_keys, residual } => NodeKind::Join {
            left: *left,
            right: *right,
            left_keys: all(left_keys),
            right_keys: all(right_keys),
            residual: residual.as_ref().map(one),
        },
        NodeKind::Aggregate { input, group, calls } => {
            let call = |call: &AggregateCall<Expr>| AggregateCall {
                function: call.function,
                argument: call.argument.as_ref().map(one),
                argument_type: call.argument_type,
                output_type: call.output_type,
                filter: call.filter.as_ref().map(one),
                distinct: call.distinct,
            };
            NodeKind::Aggregate { input: *input, group: all(group), calls: calls.iter().map(call).collect() }
        }
        NodeKind::Distinct { input } => NodeKind::Distinct { input: *input },
        NodeKind::Union { inputs } => NodeKind::Union { inputs: inputs.clone() },
        NodeKind::Values { rows } => NodeKind::Values { rows: rows.iter().map(|row| all(row)).collect() },
    };
    Graph {
        nodes: graph.nodes.iter().map(|node| Node { kind: kind(&node.kind), output: node.output.clone() }).collect(),
    }
}
