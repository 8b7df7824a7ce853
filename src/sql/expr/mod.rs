//! Scalar expressions: typed by PostgreSQL's rules, computed by our own `kernels`.
//!
//! `bind` reads the AST; `operator`, `function`, `cast`, `condition` give it types; the result is a DataFusion `Expr` of
//! columns, literals, comparisons of equal types, AND/OR/NOT, CASE, and [`scalar::Scalar`] functions. `eval` computes it.

mod absent;
pub(crate) mod bind;
mod call;
pub(crate) mod cast;
pub(crate) mod condition;
pub(crate) mod display;
pub(crate) mod eval;
pub(crate) mod function;
pub(crate) mod host;
pub(crate) mod literal;
mod logic;
pub(crate) mod names;
pub(crate) mod operator;
pub(crate) mod parameter;
pub(crate) mod precedence;
pub(crate) mod scalar;
mod window;

use datafusion::logical_expr::Expr;
use zset::ColumnType;

pub(crate) use kernels::{DateField, Op, text_form};

/// An expression and its type. No type: PostgreSQL's `unknown`, a string literal or NULL whose type its use decides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) ty: Option<ColumnType>,
}

impl Typed {
    pub(crate) fn new(expr: Expr, ty: ColumnType) -> Self {
        Self { expr, ty: Some(ty) }
    }

    /// The name of its type in messages.
    pub(crate) fn type_name(&self) -> &'static str {
        self.ty.map_or("unknown", crate::types::message_name)
    }
}

/// Whether the number of digits behind the point of a numeric's values is that of its type. It is not for results of
/// division and avg, which are kept with 38 digits and shown by PostgreSQL with fewer.
pub(crate) fn scale_is_known(ty: ColumnType) -> bool {
    !matches!(ty, ColumnType::Numeric { scale, .. } if scale >= 38)
}
