//! Parameters `$1`, `$2`, ...: of the types that the client gave, else of those that their first use decides, as
//! PostgreSQL has it; text where no use decides.
//!
//! In a plan a parameter is a placeholder with its type in its field. Planning is repeated with the types that it found,
//! so that every use of a parameter sees the type that the first one gave it.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use zset::{Column, ColumnType};

use super::{Typed, cast};
use crate::error::{Detail, Result, code, error, from_datafusion};

/// How many parameters a statement may have: as many as the protocol can name.
const COUNT_MAX: usize = 65_535;

/// The parameters of one statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters {
    types: Vec<Option<ColumnType>>,
}

impl Parameters {
    /// Parameters of which some types are given.
    pub(crate) fn new(given: &[Option<ColumnType>]) -> Self {
        Self { types: given.to_vec() }
    }

    /// The expression of `$n`; without type where none is known yet.
    pub(crate) fn bind(&mut self, name: &str) -> Result<Typed> {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let Some(number) = number.filter(|n| (1..=COUNT_MAX).contains(n)) else {
            return Err(error(code::UNDEFINED_PARAMETER, format!("there is no parameter {name}"))
                .with_hint("parameters are $1, $2, ..."));
        };
        if self.types.len() < number {
            self.types.resize(number, None);
        }
        let ty = self.types[number - 1];
        Ok(Typed { expr: expr(name, ty), ty })
    }

    /// Takes the types that a plan's uses gave to parameters that had none; whether there were such.
    pub(crate) fn learn(&mut self, plan: &LogicalPlan) -> Result<bool> {
        let mut learned = false;
        crate::query::subquery::each_expression(plan, &mut |node| {
            if let Expr::Placeholder(Placeholder { id, field: Some(field) }) = node
                && let Some(at) = number(id)
                && let Some(open @ None) = self.types.get_mut(at - 1)
            {
                *open = ColumnType::of_field(field);
                learned = true;
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
        Ok(learned)
    }

    /// As [`Parameters::learn`], from one expression.
    pub(crate) fn learn_expression(&mut self, expr: &Expr) -> Result<bool> {
        let mut learned = false;
        expr.apply(|node| {
            if let Expr::Placeholder(Placeholder { id, field: Some(field) }) = node
                && let Some(at) = number(id)
                && let Some(open @ None) = self.types.get_mut(at - 1)
            {
                *open = ColumnType::of_field(field);
                learned = true;
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
        Ok(learned)
    }

    /// The types of all; text where nothing decides.
    pub(crate) fn types(&self) -> Vec<ColumnType> {
        self.types.iter().map(|ty| ty.unwrap_or(ColumnType::Text)).collect()
    }
}

/// The number of a parameter, by its name.
pub(crate) fn number(id: &str) -> Option<usize> {
    id.strip_prefix('$').and_then(|digits| digits.parse().ok()).filter(|n| *n > 0)
}

/// A placeholder of a type.
pub(crate) fn expr(name: &str, ty: Option<ColumnType>) -> Expr {
    let field = ty.map(|ty| Arc::new(Column::new(name, ty, true).field()));
    Expr::Placeholder(Placeholder::new_with_field(name.to_string(), field))
}

/// The name of a parameter whose type is open.
pub(crate) fn open(typed: &Typed) -> Option<&str> {
    match (&typed.expr, typed.ty) {
        (Expr::Placeholder(placeholder), None) => Some(&placeholder.id),
        _ => None,
    }
}

/// A value in its text form as a literal of its parameter's type.
pub(crate) fn value(text: Option<&str>, ty: ColumnType) -> Result<Typed> {
    let Some(text) = text else { return super::literal::null(ty) };
    let literal = super::literal::unknown_text(text);
    if matches!(ty, ColumnType::Numeric { precision: 38, .. }) {
        // digits that do not fit are an error, never rounded
        return cast::of_unknown_exactly(literal, ty);
    }
    cast::of_unknown(literal, ty)
}
