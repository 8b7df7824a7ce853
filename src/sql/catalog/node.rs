//! A bound catalog query: names are resolved to places, every expression has a type, nothing is looked up by name again.

use super::facts::Relation;
use super::functions::{Aggregate, Function, Series};
use super::ty::Ty;
use super::value::Value;

/// An expression and its type.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) node: Node,
    pub(crate) ty: Ty,
}

impl Expr {
    pub(crate) fn new(node: Node, ty: Ty) -> Self {
        Self { node, ty }
    }

    pub(crate) fn constant(value: impl Into<Value>, ty: Ty) -> Self {
        Self::new(Node::Constant(value.into()), ty)
    }
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(Value),
    /// $1 is 0.
    Parameter(usize),
    /// A column of the query `up` levels out: which relation of its FROM, which column of that.
    Column {
        up: usize,
        slot: usize,
        at: usize,
    },
    Aggregate(usize),
    Window(usize),
    Series(usize),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// IS TRUE, IS FALSE.
    Is(Box<Expr>, bool),
    /// IS DISTINCT FROM.
    Distinct(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    /// `||` of texts or arrays.
    Concat(Box<Expr>, Box<Expr>),
    Match {
        kind: Match,
        text: Box<Expr>,
        pattern: Box<Expr>,
        insensitive: bool,
    },
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    /// To the expression's type.
    Cast(Box<Expr>),
    Call(&'static Function, Vec<Expr>),
    /// `x = ANY (array)`, `x <> ALL (array)`.
    Any {
        comparison: Comparison,
        left: Box<Expr>,
        array: Box<Expr>,
        all: bool,
    },
    /// `x = ANY (SELECT ...)`, `x IN (SELECT ...)`.
    AnyOf {
        comparison: Comparison,
        left: Vec<Expr>,
        query: Box<Query>,
        all: bool,
    },
    Exists(Box<Query>),
    Scalar(Box<Query>),
    /// ARRAY(SELECT ...).
    ArrayOf(Box<Query>),
    Array(Vec<Expr>),
    Subscript(Box<Expr>, Box<Expr>),
    /// A field of a record, from 0.
    Field(Box<Expr>, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    BitAnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// LIKE, with its escape.
    Like(Option<char>),
    /// `~`.
    Regex,
}

/// A query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Unlike that of every other query of the statement.
    pub(crate) id: usize,
    /// Whether it looks at a row of a query around it; if not, one run answers for all rows.
    pub(crate) correlated: bool,
    pub(crate) columns: Vec<Output>,
    pub(crate) body: Body,
    /// Over the columns of the body, of which those behind `columns` are for this alone.
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

/// A column of a query.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) ty: Ty,
}

/// What to order by: a column of the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) at: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    /// The first, and what is done with each of the others.
    Set {
        operator: SetOperator,
        all: bool,
        parts: Vec<Query>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOperator {
    Union,
    Intersect,
    Except,
}

/// SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) from: Option<From>,
    /// How many relations FROM has.
    pub(crate) slots: usize,
    pub(crate) filter: Vec<Conjunct>,
    pub(crate) grouped: bool,
    pub(crate) group: Vec<Expr>,
    pub(crate) aggregates: Vec<AggregateCall>,
    pub(crate) having: Option<Expr>,
    pub(crate) windows: Vec<WindowCall>,
    pub(crate) series: Vec<SeriesCall>,
    pub(crate) items: Vec<Expr>,
    pub(crate) distinct: Distinct,
}

#[derive(Debug, Clone)]
pub(crate) enum Distinct {
    No,
    /// On this many of the first items.
    Rows(usize),
    /// DISTINCT ON items at these places.
    On(Vec<usize>),
}

/// A condition, and which relations of its query's FROM it looks at, as bits.
#[derive(Debug, Clone)]
pub(crate) struct Conjunct {
    pub(crate) expr: Expr,
    pub(crate) slots: u64,
    /// `a = b`: what each side looks at.
    pub(crate) equality: Option<(u64, u64)>,
}

/// FROM.
#[derive(Debug, Clone)]
pub(crate) enum From {
    Leaf(Leaf),
    Join { kind: JoinKind, left: Box<From>, right: Box<From>, on: Vec<Conjunct> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// One relation of FROM.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) slot: usize,
    pub(crate) source: Source,
    /// Whether it looks at relations before it.
    pub(crate) lateral: bool,
}

#[derive(Clone)]
pub(crate) enum Source {
    Relation(&'static Relation),
    Query(Query),
    /// Functions that give rows, side by side; with their position if asked.
    Series {
        calls: Vec<SeriesCall>,
        ordinality: bool,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relation(relation) => write!(f, "{}.{}", relation.schema, relation.name),
            Self::Query(query) => query.fmt(f),
            Self::Series { calls, .. } => calls.fmt(f),
        }
    }
}

/// A call of an aggregate.
#[derive(Debug, Clone)]
pub(crate) struct AggregateCall {
    pub(crate) aggregate: Aggregate,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) distinct: bool,
    pub(crate) order: Vec<(Expr, bool, bool)>,
    pub(crate) filter: Option<Expr>,
}

/// A call of a window function: over partitions, in an order.
#[derive(Debug, Clone)]
pub(crate) struct WindowCall {
    pub(crate) function: WindowFunction,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<(Expr, bool, bool)>,
}

#[derive(Debug, Clone)]
pub(crate) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    /// Over the whole partition.
    Aggregate(AggregateCall),
}

/// A call of a function that gives rows.
#[derive(Debug, Clone)]
pub(crate) struct SeriesCall {
    pub(crate) series: Series,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) ty: Ty,
}
