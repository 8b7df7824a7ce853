//! CASE, COALESCE, NULLIF, IN, BETWEEN, IS, LIKE: what chooses and what tests.

use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Case, Expr, Operator};
use zset::ColumnType;
use zset::ColumnType as T;

use super::scalar::Scalar;
use super::{Op, Typed, cast, literal, operator};
use crate::error::{Detail, Result, code, error, unsupported};

/// CASE as DataFusion's, whose branches are computed only for the rows that take them. Arrow types carry no SQL types,
/// so where they differ the result is labelled.
fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>, ty: ColumnType) -> Typed {
    let branches = branches.into_iter().map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    let expr = Expr::Case(Case::new(None, branches, otherwise.map(Box::new)));
    let typed = Typed::new(expr, ty);
    if ColumnType::from_arrow(&ty.arrow()) == Some(ty) { typed } else { Scalar::call(Op::Relabel, vec![typed], ty) }
}

/// `CASE [operand] WHEN ... THEN ... ELSE ... END`.
pub(crate) fn searched(
    operand: Option<Typed>,
    branches: Vec<(Typed, Typed)>,
    otherwise: Option<Typed>,
) -> Result<Typed> {
    let types: Vec<Option<ColumnType>> =
        branches.iter().map(|(_, then)| then).chain(&otherwise).map(|t| t.ty).collect();
    let ty = cast::common_of(&types, "CASE")?;
    let value = |typed: Typed| cast::implicit(typed, ty, |t| format!("CASE cannot be {}", t.type_name()));
    let mut whens = Vec::with_capacity(branches.len());
    for (when, then) in branches {
        let when = match &operand {
            Some(operand) => operator::compare(Operator::Eq, operand.clone(), when)?,
            None => operator::condition(when, "CASE/WHEN")?,
        };
        whens.push((when.expr, value(then)?.expr));
    }
    let otherwise = match otherwise {
        Some(typed) => value(typed)?,
        None => literal::null(ty)?,
    };
    Ok(case(whens, Some(otherwise.expr), ty))
}

/// `COALESCE(...)`: later arguments are computed only where the earlier ones are NULL.
pub(crate) fn coalesce(arguments: Vec<Typed>) -> Result<Typed> {
    let types: Vec<Option<ColumnType>> = arguments.iter().map(|t| t.ty).collect();
    let ty = cast::common_of(&types, "COALESCE")?;
    let mut values = Vec::with_capacity(arguments.len());
    for typed in arguments {
        values.push(cast::implicit(typed, ty, |t| format!("COALESCE cannot be {}", t.type_name()))?.expr);
    }
    let last = values.pop().ok_or_else(|| error(code::SYNTAX, "COALESCE needs an argument"))?;
    if values.is_empty() {
        return Ok(Typed::new(last, ty));
    }
    let branches = values.into_iter().map(|v| (Expr::IsNotNull(Box::new(v.clone())), v)).collect();
    Ok(case(branches, Some(last), ty))
}

/// `NULLIF(a, b)`.
pub(crate) fn null_if(a: Typed, b: Typed) -> Result<Typed> {
    let a = if a.ty.is_none() { cast::of_unknown(a, b.ty.unwrap_or(T::Text))? } else { a };
    // The comparison is that of text, and what it compared is the result.
    let ty = match a.ty {
        None | Some(T::Varchar(_)) => T::Text,
        Some(ty) => ty,
    };
    let equal = operator::compare(Operator::Eq, a.clone(), b)?;
    Ok(case(vec![(equal.expr, literal::null(ty)?.expr)], Some(a.expr), ty))
}

/// `x BETWEEN low AND high`.
pub(crate) fn between(x: Typed, low: Typed, high: Typed, negated: bool) -> Result<Typed> {
    let (from, to, both) = if negated {
        (Operator::Lt, Operator::Gt, Operator::Or)
    } else {
        (Operator::GtEq, Operator::LtEq, Operator::And)
    };
    operator::logical(both, operator::compare(from, x.clone(), low)?, operator::compare(to, x, high)?)
}

/// `x IN (...)`: a set of literals where it can be, else comparisons.
pub(crate) fn in_list(x: Typed, list: Vec<Typed>, negated: bool) -> Result<Typed> {
    if let Some(set) = literal_set(&x, &list, negated)? {
        return Ok(set);
    }
    let (op, both) = if negated { (Operator::NotEq, Operator::And) } else { (Operator::Eq, Operator::Or) };
    let mut all: Option<Typed> = None;
    for item in list {
        let one = operator::compare(op, x.clone(), item)?;
        all = Some(match all {
            None => one,
            Some(before) => operator::logical(both, before, one)?,
        });
    }
    all.ok_or_else(|| error(code::SYNTAX, "IN needs a list of values"))
}

/// Three and more literals of x's own type, floats left out (their keys are not their bytes).
fn literal_set(x: &Typed, list: &[Typed], negated: bool) -> Result<Option<Typed>> {
    let Some(ty) = x.ty else { return Ok(None) };
    let whole = matches!(ty, T::SmallInt | T::Int | T::BigInt | T::Date | T::Text | T::Varchar(_) | T::Uuid);
    if !whole || list.len() < 3 || !list.iter().all(|item| literal::value_of(&item.expr).is_some()) {
        return Ok(None);
    }
    let to = if cast::is_text(ty) { T::Text } else { ty };
    let mut values = Vec::with_capacity(list.len());
    for item in list {
        if item.ty.is_some_and(|of| cast::common(of, to) != Some(to)) {
            return Ok(None);
        }
        values.push(cast::convert(item.clone(), to)?.expr);
    }
    let expr = Expr::InList(InList::new(Box::new(x.expr.clone()), values, negated));
    Ok(Some(Typed::new(expr, T::Boolean)))
}

/// What `IS` asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Is {
    Null,
    NotNull,
    True,
    NotTrue,
    False,
    NotFalse,
    Unknown,
    NotUnknown,
}

/// `x IS ...`.
pub(crate) fn is(x: Typed, what: Is) -> Result<Typed> {
    let x = match what {
        Is::Null | Is::NotNull => match x.ty {
            None => cast::of_unknown(x, T::Text)?,
            Some(_) => x,
        },
        _ => operator::condition(x, "IS TRUE, FALSE or UNKNOWN")?,
    };
    let x = Box::new(x.expr);
    let expr = match what {
        Is::Null => Expr::IsNull(x),
        Is::NotNull => Expr::IsNotNull(x),
        Is::True => Expr::IsTrue(x),
        Is::NotTrue => Expr::IsNotTrue(x),
        Is::False => Expr::IsFalse(x),
        Is::NotFalse => Expr::IsNotFalse(x),
        Is::Unknown => Expr::IsUnknown(x),
        Is::NotUnknown => Expr::IsNotUnknown(x),
    };
    Ok(Typed::new(expr, T::Boolean))
}

/// `x [NOT] LIKE pattern [ESCAPE c]`.
pub(crate) fn like(x: Typed, pattern: Typed, escape: Option<&str>, insensitive: bool, negated: bool) -> Result<Typed> {
    let symbol = if insensitive { "~~*" } else { "~~" };
    for side in [&x, &pattern] {
        if side.ty.is_some_and(|ty| !cast::is_text(ty)) {
            return Err(operator::no_operator(symbol, &x, &pattern));
        }
    }
    let escape = match escape {
        None => Some('\\'),
        Some("") => None,
        Some(text) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => Some(c),
                _ => {
                    return Err(error("22025", format!("invalid escape string '{text}'"))
                        .with_hint("the escape string is empty or one character"));
                }
            }
        }
    };
    let x = text(x)?;
    let pattern = text(pattern)?;
    let like = Scalar::call(Op::Like { insensitive, escape }, vec![x, pattern], T::Boolean);
    if negated { operator::not(like) } else { Ok(like) }
}

fn text(typed: Typed) -> Result<Typed> {
    if typed.ty.is_none() { cast::of_unknown(typed, T::Text) } else { Ok(typed) }
}

/// The greatest or least of several values, NULLs left out.
pub(crate) fn extreme(arguments: Vec<Typed>, greatest: bool) -> Result<Typed> {
    let name = if greatest { "GREATEST" } else { "LEAST" };
    let types: Vec<Option<ColumnType>> = arguments.iter().map(|t| t.ty).collect();
    let ty = cast::common_of(&types, name)?;
    if ty == T::Jsonb {
        return Err(unsupported(format!("{name} of jsonb"), "compare x::text if the texts are what you mean"));
    }
    let mut values = Vec::with_capacity(arguments.len());
    for typed in arguments {
        values.push(cast::implicit(typed, ty, |t| format!("{name} cannot be {}", t.type_name()))?);
    }
    Ok(Scalar::call(if greatest { Op::Greatest } else { Op::Least }, values, ty))
}
