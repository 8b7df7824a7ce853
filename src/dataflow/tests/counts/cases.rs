//! Every operator in every way that it is used, over tables 1 and 2: the table that all counting goes through.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use dataflow::{Eval, TableFlow};
use plan::AggregateFunction::{Avg, Count, Max, Min, Sum};
use plan::{AggregateCall, AggregateFunction, Graph, Node, NodeId, NodeKind, TableId};
use state::Arrangement;
use zset::ColumnType::{BigInt, Double, Text};
use zset::{Column, ColumnType, RowError, RowType};

use super::rows::{COLUMNS, NUMERIC, columns, row_type};

thread_local! {
    /// How often an expression was evaluated over no rows.
    static OVER_NOTHING: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has evaluated an expression over no rows.
pub fn evaluated_over_nothing() -> u64 {
    OVER_NOTHING.get()
}

/// A column, whether one of whole numbers is even, or a number.
#[derive(Debug, Clone, Copy)]
enum Expr {
    Column(usize),
    Even(usize),
    Number(i64),
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Eval for Expr {
    fn eval(&self, batch: &RecordBatch) -> Result<ArrayRef, RowError> {
        if batch.num_rows() == 0 {
            OVER_NOTHING.set(OVER_NOTHING.get() + 1);
        }
        Ok(match self {
            Self::Column(at) => Arc::clone(batch.column(*at)),
            Self::Even(at) => {
                let values = batch.column(*at).as_primitive::<Int64Type>().values();
                Arc::new(values.iter().map(|value| Some(value % 2 == 0)).collect::<BooleanArray>())
            }
            Self::Number(number) => Arc::new(Int64Array::from_value(*number, batch.num_rows())),
        })
    }
}

pub type Kind = NodeKind<Arc<dyn Eval>>;

pub fn col(at: usize) -> Arc<dyn Eval> {
    Arc::new(Expr::Column(at))
}

pub fn even(at: usize) -> Arc<dyn Eval> {
    Arc::new(Expr::Even(at))
}

/// Nodes, of which the first two are tables 1 and 2.
pub struct Nodes(Vec<Node<Arc<dyn Eval>>>);

pub const ONE: NodeId = NodeId(0);
pub const TWO: NodeId = NodeId(1);

impl Nodes {
    pub fn new() -> Self {
        let input =
            |table| Node { kind: NodeKind::Input { table: TableId(table), only_comes: false }, output: columns() };
        Self(vec![input(1), input(2)])
    }

    pub fn add(&mut self, kind: Kind, output: RowType) -> NodeId {
        self.0.push(Node { kind, output });
        NodeId(self.0.len() as u32 - 1)
    }

    fn of(&self, node: NodeId) -> Vec<Column> {
        self.0[node.0 as usize].output.0.clone()
    }

    pub fn join(&mut self, (left, right): (NodeId, NodeId), keys: &[usize], residual: Option<Arc<dyn Eval>>) -> NodeId {
        let types = [self.of(left), self.of(right)].concat().into_iter().map(|column| column.ty);
        let output = row_type(types);
        let keys = || keys.iter().map(|&at| col(at)).collect();
        self.add(NodeKind::Join { left, right, left_keys: keys(), right_keys: keys(), residual }, output)
    }

    pub fn aggregate(&mut self, input: NodeId, group: Vec<usize>, calls: Vec<Call>) -> NodeId {
        let keys = group.iter().map(|&at| COLUMNS[at].1);
        let output = row_type(keys.chain(calls.iter().map(|call| call.output_type)));
        let group = group.into_iter().map(col).collect();
        self.add(NodeKind::Aggregate { input, group, calls }, output)
    }

    pub fn flow(self) -> TableFlow {
        TableFlow::new(TableId(9), &Graph { nodes: self.0 }, &mut Arrangement::new)
    }

    /// The kinds of these nodes.
    pub fn kinds(&self, nodes: Range<usize>) -> impl Iterator<Item = &Kind> {
        self.0[nodes].iter().map(|node| &node.kind)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// An operator in one way that it is used.
pub struct Case {
    pub name: String,
    /// At how many rows it is counted what is read of state, besides at 10^3; none: alone it is not, but among all aggregates.
    pub rows: i64,
    add: Box<dyn Fn(&mut Nodes) -> NodeId>,
}

impl Case {
    /// Adds its nodes; which they are.
    pub fn add(&self, nodes: &mut Nodes) -> Range<usize> {
        let first = nodes.len();
        (self.add)(nodes);
        first..nodes.len()
    }
}

fn case(name: impl Into<String>, rows: i64, add: impl Fn(&mut Nodes) -> NodeId + 'static) -> Case {
    Case { name: name.into(), rows, add: Box::new(add) }
}

/// Rows of a table where there are many, and where there are most.
const MANY: i64 = 50_000;
pub const MOST: i64 = 1_000_000;

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut all = vec![
        case("filter", MANY, |of| of.add(NodeKind::Filter { input: ONE, predicate: even(1) }, columns())),
        case("project", MANY, |of| {
            let expressions = vec![col(4), col(0)];
            of.add(NodeKind::Project { input: ONE, expressions }, row_type([Text, BigInt]))
        }),
        case("union", MANY, |of| of.add(NodeKind::Union { inputs: vec![ONE, TWO] }, columns())),
        case("distinct", MOST, |of| of.add(NodeKind::Distinct { input: ONE }, columns())),
        case("distinct of a union", MANY, |of| {
            let input = of.add(NodeKind::Union { inputs: vec![ONE, TWO] }, columns());
            of.add(NodeKind::Distinct { input }, columns())
        }),
        case("join", MOST, |of| of.join((ONE, TWO), &[0], None)),
        case("join with a condition", MANY, |of| of.join((ONE, TWO), &[0], Some(even(1)))),
        case("join by two keys", MOST, |of| of.join((ONE, TWO), &[0, 4], None)),
        case("join with itself", MANY, |of| of.join((ONE, ONE), &[0], None)),
        case("cross join with VALUES", MANY, |of| {
            let number = |number| vec![Arc::new(Expr::Number(number)) as Arc<dyn Eval>];
            let values = of.add(NodeKind::Values { rows: vec![number(1), number(2)] }, row_type([BigInt]));
            of.join((ONE, values), &[], Some(even(1)))
        }),
        case("aggregate without calls", 0, |of| of.aggregate(ONE, vec![0], vec![])),
        case("all aggregates", MANY, |of| of.aggregate(ONE, vec![0], all_calls(|_| true))),
        case("all global aggregates", MANY, |of| of.aggregate(ONE, vec![], all_calls(|_| true))),
        case("aggregates of numbers", MOST, |of| of.aggregate(ONE, vec![0], all_calls(is_of_value))),
        case("global aggregates of numbers", MOST, |of| of.aggregate(ONE, vec![], all_calls(is_of_value))),
    ];
    for (name, call) in calls() {
        let (of_groups, of_all) = (call.clone(), call);
        all.push(case(format!("{name} by group"), 0, move |of| of.aggregate(ONE, vec![0], vec![of_groups.clone()])));
        all.push(case(name, 0, move |of| of.aggregate(ONE, vec![], vec![of_all.clone()])));
    }
    all
}

/// Every aggregate of each type, of all values, of each value once, and with a filter.
fn calls() -> Vec<(String, Call)> {
    let mut calls = Vec::new();
    for (function, argument, output_type) in functions() {
        for (distinct, filter) in [(false, false), (true, false), (false, true)] {
            if argument.is_none() && distinct {
                continue;
            }
            let of = argument.map_or("rows", |at| COLUMNS[at].0);
            let how = if distinct { "distinct " } else { "" };
            let end = if filter { " with a filter" } else { "" };
            let call = AggregateCall {
                function,
                argument: argument.map(col),
                argument_type: argument.map_or(BigInt, |at| COLUMNS[at].1),
                output_type,
                filter: filter.then(|| even(1)),
                distinct,
            };
            calls.push((format!("{function} of {how}{of}{end}"), call));
        }
    }
    calls
}

type Call = AggregateCall<Arc<dyn Eval>>;

fn all_calls(which: impl Fn(&str) -> bool) -> Vec<Call> {
    calls().into_iter().filter(|(name, _)| which(name)).map(|(_, call)| call).collect()
}

fn is_of_value(name: &str) -> bool {
    name.ends_with(" value") || name == "count of rows"
}

/// The aggregates of each type, with their results.
fn functions() -> Vec<(AggregateFunction, Option<usize>, ColumnType)> {
    let numeric = |precision, scale| ColumnType::Numeric { precision, scale };
    let (wide, of_type) = (numeric(76, 38), |at: usize| COLUMNS[at].1);
    assert_eq!([1, 2, 3, 4].map(of_type), [BigInt, Double, NUMERIC, Text]);
    let mut functions = vec![
        (Count, None, BigInt),
        (Sum, Some(1), numeric(38, 0)),
        (Sum, Some(2), Double),
        (Sum, Some(3), numeric(38, 2)),
        (Avg, Some(1), wide),
        (Avg, Some(2), Double),
        (Avg, Some(3), wide),
    ];
    for at in 1..COLUMNS.len() {
        functions.extend([(Count, Some(at), BigInt), (Min, Some(at), of_type(at)), (Max, Some(at), of_type(at))]);
    }
    functions
}

/// What a node is called here. One that is not in this list is not counted: give it a name, and a case above.
fn name(kind: &Kind) -> String {
    match kind {
        NodeKind::Input { .. } => "input".into(),
        NodeKind::Filter { .. } => "filter".into(),
        NodeKind::Project { .. } => "project".into(),
        NodeKind::Join { .. } => "join".into(),
        NodeKind::Distinct { .. } => "distinct".into(),
        NodeKind::Union { .. } => "union".into(),
        NodeKind::Values { .. } => "values".into(),
        NodeKind::Aggregate { calls, .. } => match calls.as_slice() {
            [call] => function(call.function).into(),
            _ => "aggregate".into(),
        },
    }
}

fn function(function: AggregateFunction) -> &'static str {
    match function {
        Count => "count",
        Sum => "sum",
        Avg => "avg",
        Min => "min",
        Max => "max",
    }
}

/// What [`name`] knows.
const NAMES: [&str; 13] = [
    "aggregate",
    "avg",
    "count",
    "distinct",
    "filter",
    "input",
    "join",
    "max",
    "min",
    "project",
    "sum",
    "union",
    "values",
];

#[test]
fn every_operator_has_a_case() {
    let mut nodes = Nodes::new();
    for case in cases() {
        case.add(&mut nodes);
    }
    let there: BTreeSet<String> = nodes.kinds(0..nodes.len()).map(name).collect();
    assert_eq!(there.iter().map(String::as_str).collect::<Vec<_>>(), NAMES);
}
