//! Operators: arithmetic, comparison, concatenation, AND, OR, NOT, with the types PostgreSQL gives them.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use zset::ColumnType;
use zset::ColumnType as T;

use super::cast::{self, as_numeric, integer_digits, is_text, number_rank, numeric_of};
use super::scalar::Scalar;
use super::{Op, Typed, literal, scale_is_known};
use crate::error::{Detail, Result, code, error, unsupported};

/// `left op right`.
pub(crate) fn binary(op: &BinaryOperator, left: Typed, right: Typed) -> Result<Typed> {
    use BinaryOperator as B;
    match op {
        B::And => logical(Operator::And, left, right),
        B::Or => logical(Operator::Or, left, right),
        B::Eq => compare(Operator::Eq, left, right),
        B::NotEq => compare(Operator::NotEq, left, right),
        B::Lt => compare(Operator::Lt, left, right),
        B::LtEq => compare(Operator::LtEq, left, right),
        B::Gt => compare(Operator::Gt, left, right),
        B::GtEq => compare(Operator::GtEq, left, right),
        B::Plus => arithmetic(Op::Add, "+", left, right),
        B::Minus => arithmetic(Op::Sub, "-", left, right),
        B::Multiply => arithmetic(Op::Mul, "*", left, right),
        B::Divide => arithmetic(Op::Div, "/", left, right),
        B::Modulo => arithmetic(Op::Rem, "%", left, right),
        B::StringConcat => concat(left, right),
        B::PGExp => Err(unsupported("the operator ^", "use power(x, y)")),
        B::PGRegexMatch | B::PGRegexIMatch | B::PGRegexNotMatch | B::PGRegexNotIMatch => {
            Err(unsupported(format!("the operator {op} (regular expressions)"), "use LIKE, strpos or split_part"))
        }
        B::Arrow | B::LongArrow | B::HashArrow | B::HashLongArrow | B::AtArrow | B::ArrowAt | B::Question => Err(
            unsupported(format!("the operator {op} on jsonb"), "declare the fields you need as columns of the table"),
        ),
        _ => Err(unsupported(
            format!("the operator {op}"),
            "the operators are + - * / % || = <> < <= > >= AND OR NOT LIKE ILIKE IN BETWEEN IS",
        )),
    }
}

/// An expression where a truth value is wanted.
pub(crate) fn condition(typed: Typed, place: &str) -> Result<Typed> {
    cast::implicit(typed, T::Boolean, |t| {
        format!("argument of {place} must be type boolean, not type {}", t.type_name())
    })
}

/// An expression of parts.
pub(crate) fn raw(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// AND and OR.
pub(crate) fn logical(op: Operator, left: Typed, right: Typed) -> Result<Typed> {
    let place = if op == Operator::And { "AND" } else { "OR" };
    let (left, right) = (condition(left, place)?, condition(right, place)?);
    Ok(Typed::new(raw(left.expr, op, right.expr), T::Boolean))
}

/// NOT.
pub(crate) fn not(typed: Typed) -> Result<Typed> {
    Ok(Typed::new(Expr::Not(Box::new(condition(typed, "NOT")?.expr)), T::Boolean))
}

/// PostgreSQL's answer to operands of types that it has no operator for.
pub(crate) fn no_operator(symbol: &str, left: &Typed, right: &Typed) -> dataflow::StatementError {
    error(
        code::UNDEFINED_FUNCTION,
        format!("operator does not exist: {} {symbol} {}", left.type_name(), right.type_name()),
    )
    .with_hint("no operator matches these types: cast one side, as in x::bigint or x::text")
}

/// The type in which two values are compared.
fn comparable(left: &Typed, right: &Typed, symbol: &str) -> Result<ColumnType> {
    let ty = match (left.ty, right.ty) {
        (None, None) => T::Text,
        (Some(a), Some(b)) => match (number_rank(a), number_rank(b)) {
            (Some(x), Some(y)) if x.max(y) >= 4 => {
                if x == 4 && y == 4 {
                    T::Real
                } else {
                    T::Double
                }
            }
            _ => cast::common(a, b).ok_or_else(|| no_operator(symbol, left, right))?,
        },
        // a literal is as long as it is
        (Some(T::Varchar(_)), None) | (None, Some(T::Varchar(_))) => T::Text,
        (Some(a), None) | (None, Some(a)) => a,
    };
    if ty == T::Jsonb {
        return Err(unsupported(
            "comparing jsonb",
            "one document has many texts here: compare its fields, or x::text if the texts are what you mean",
        ));
    }
    Ok(ty)
}

/// The two sides as values of one type that the engine's own comparison orders as PostgreSQL does.
pub(crate) fn comparands(left: Typed, right: Typed, symbol: &str) -> Result<(Expr, Expr)> {
    let (left, right) = match (left.ty, right.ty) {
        (Some(ty), None) if ty != T::Jsonb => (left, cast::operand(right, ty)?),
        (None, Some(ty)) if ty != T::Jsonb => (cast::operand(left, ty)?, right),
        _ => (left, right),
    };
    let mut ty = comparable(&left, &right, symbol)?;
    if let (T::Numeric { .. }, Some(a), Some(b)) = (ty, left.ty, right.ty) {
        // a literal that the other side's type holds exactly is compared in that type
        if exactly(&right, a).is_some() {
            ty = a;
        } else if exactly(&left, b).is_some() {
            ty = b;
        }
    }
    let side = |typed: Typed| -> Result<Expr> {
        // equal bytes need no conversion, which would only hide a column
        if typed.ty.is_some_and(|from| is_text(from) && is_text(ty)) {
            return Ok(typed.expr);
        }
        Ok(canonical(cast::convert(typed, ty)?)?.expr)
    };
    Ok((side(left)?, side(right)?))
}

/// A number literal in a numeric type that holds it exactly.
fn exactly(typed: &Typed, ty: ColumnType) -> Option<Typed> {
    literal::value_of(&typed.expr)?;
    let (T::Numeric { scale, .. }, (_, own)) = (ty, as_numeric(typed.ty?)?) else { return None };
    if own <= scale { cast::convert(typed.clone(), ty).ok() } else { None }
}

/// A float with one NaN and one zero, for Arrow's total order; others as they are.
pub(crate) fn canonical(typed: Typed) -> Result<Typed> {
    match typed.ty {
        Some(ty @ (T::Real | T::Double)) => literal::fold(Scalar::call(Op::Canonical, vec![typed], ty)),
        _ => Ok(typed),
    }
}

/// `=` and its like.
pub(crate) fn compare(op: Operator, left: Typed, right: Typed) -> Result<Typed> {
    let symbol = op.to_string();
    let symbol = if op == Operator::NotEq { "<>" } else { symbol.as_str() };
    let (left, right) = comparands(left, right, symbol)?;
    Ok(Typed::new(raw(left, op, right), T::Boolean))
}

/// `IS [NOT] DISTINCT FROM`.
pub(crate) fn distinct_from(negated: bool, left: Typed, right: Typed) -> Result<Typed> {
    let op = if negated { Operator::IsNotDistinctFrom } else { Operator::IsDistinctFrom };
    let (left, right) = comparands(left, right, "=")?;
    Ok(Typed::new(raw(left, op, right), T::Boolean))
}

fn arithmetic(op: Op, symbol: &str, left: Typed, right: Typed) -> Result<Typed> {
    let (left, right) = match (left.ty, right.ty) {
        (None, None) => {
            return Err(error(code::AMBIGUOUS_FUNCTION, format!("operator is not unique: unknown {symbol} unknown"))
                .with_hint("cast a side, as in '1'::integer"));
        }
        (Some(ty), None) if number_rank(ty).is_some() => (left, cast::operand(right, ty)?),
        (None, Some(ty)) if number_rank(ty).is_some() => (cast::operand(left, ty)?, right),
        (Some(T::Date), None) if op == Op::Sub => (left, cast::of_unknown(right, T::Date)?),
        (None, Some(T::Date)) if op == Op::Sub => (cast::of_unknown(left, T::Date)?, right),
        _ => (left, right),
    };
    let moment = |typed: &Typed| matches!(typed.ty, Some(T::Date | T::Time | T::Timestamp(_) | T::TimestampTz(_)));
    let (Some(a), Some(b)) = (left.ty, right.ty) else {
        let time = |typed: &Typed| typed.ty == Some(T::Time);
        let duration = (matches!(op, Op::Add | Op::Sub) && (moment(&left) || moment(&right)))
            || (matches!(op, Op::Mul | Op::Div) && (time(&left) || time(&right)));
        return Err(if duration { durations(symbol, &left, &right) } else { no_operator(symbol, &left, &right) });
    };
    match (number_rank(a), number_rank(b)) {
        (Some(x), Some(y)) if x.max(y) >= 4 => {
            if op == Op::Rem {
                return Err(no_operator(symbol, &left, &right));
            }
            let ty = if x == 4 && y == 4 { T::Real } else { T::Double };
            Ok(Scalar::call(op, vec![cast::convert(left, ty)?, cast::convert(right, ty)?], ty))
        }
        (Some(x), Some(y)) if x.max(y) == 3 => numeric(op, left, right),
        (Some(x), Some(y)) => {
            let ty = if x > y { a } else { b };
            Ok(Scalar::call(op, vec![cast::convert(left, ty)?, cast::convert(right, ty)?], ty))
        }
        _ => moments(op, symbol, left, right),
    }
}

/// The arithmetic of numerics: exact, or an error where PostgreSQL rounds a product that is longer than 38 digits behind
/// the point. A quotient has PostgreSQL's digits.
fn numeric(op: Op, left: Typed, right: Typed) -> Result<Typed> {
    let digits = |typed: &Typed| typed.ty.and_then(as_numeric).expect("a whole number or a numeric");
    let ((p1, s1), (p2, s2)) = (digits(&left), digits(&right));
    let (i1, i2) = (integer_digits(p1, s1), integer_digits(p2, s2));
    let as_type = |typed: Typed, (precision, scale)| cast::convert(typed, T::Numeric { precision, scale });
    let output = match op {
        Op::Add | Op::Sub => numeric_of(i1.max(i2) + 1, s1.max(s2)),
        Op::Rem => numeric_of(i1.min(i2).max(1), s1.max(s2)),
        Op::Mul => numeric_of(i1 + i2, (s1 + s2).min(38)),
        _ => {
            let known = |typed: &Typed| typed.ty.is_none_or(scale_is_known);
            if !known(&left) || !known(&right) {
                return Err(cast::unknown_scale("dividing by or into the value"));
            }
            T::Numeric { precision: 76, scale: 38 }
        }
    };
    Ok(Scalar::call(op, vec![as_type(left, (p1, s1))?, as_type(right, (p2, s2))?], output))
}

/// date + integer, date - integer, date - date; what gives or takes an interval is refused.
fn moments(op: Op, symbol: &str, left: Typed, right: Typed) -> Result<Typed> {
    let (Some(a), Some(b)) = (left.ty, right.ty) else { return Err(no_operator(symbol, &left, &right)) };
    let whole = |ty| matches!(ty, T::SmallInt | T::Int);
    match (op, a, b) {
        (op @ (Op::Add | Op::Sub), T::Date, b) if whole(b) => {
            let days = cast::convert(right, T::Int)?;
            Ok(Scalar::call(op, vec![left, days], T::Date))
        }
        (Op::Add, a, T::Date) if whole(a) => {
            let days = cast::convert(left, T::Int)?;
            Ok(Scalar::call(Op::Add, vec![right, days], T::Date))
        }
        (Op::Sub, T::Date, T::Date) => Ok(Scalar::call(Op::Sub, vec![left, right], T::Int)),
        (Op::Add | Op::Sub, T::Date | T::Timestamp(_) | T::TimestampTz(_) | T::Time, T::Time)
        | (Op::Add, T::Time, T::Date | T::Timestamp(_) | T::TimestampTz(_)) => Err(durations(symbol, &left, &right)),
        (Op::Mul | Op::Div, T::Time, x) | (Op::Mul, x, T::Time) if number_rank(x).is_some() => {
            Err(durations(symbol, &left, &right))
        }
        (Op::Sub, T::Timestamp(_) | T::TimestampTz(_) | T::Date, T::Timestamp(_) | T::TimestampTz(_) | T::Date) => {
            Err(unsupported(
                "the difference of timestamps (an interval)",
                "use extract(epoch FROM a) - extract(epoch FROM b), in seconds, or a::date - b::date, in days",
            ))
        }
        _ => Err(no_operator(symbol, &left, &right)),
    }
}

/// The refusal of what takes or gives an interval.
fn durations(symbol: &str, left: &Typed, right: &Typed) -> dataflow::StatementError {
    unsupported(
        format!("{} {symbol} {} (an interval)", left.type_name(), right.type_name()),
        "add whole days to a date (d + 7), or calculate with extract(epoch FROM t), in seconds",
    )
}

/// `-x`.
pub(crate) fn negate(typed: Typed) -> Result<Typed> {
    match typed.ty {
        None => Err(error(code::AMBIGUOUS_FUNCTION, "operator is not unique: - unknown")
            .with_hint("cast the literal, as in -('1'::integer)")),
        Some(ty) if number_rank(ty).is_some() => literal::fold(Scalar::call(Op::Neg, vec![typed], ty)),
        Some(_) => Err(error(code::UNDEFINED_FUNCTION, format!("operator does not exist: - {}", typed.type_name()))
            .with_hint("only numbers are negated")),
    }
}

/// `a || b`: text, where one side is; the other side's text.
fn concat(left: Typed, right: Typed) -> Result<Typed> {
    let text = |typed: &Typed| typed.ty.is_none_or(is_text);
    if !(text(&left) || text(&right))
        || (left.ty.is_some() && !text(&left) && right.ty.is_none() && left.ty == Some(T::Jsonb))
    {
        return Err(no_operator("||", &left, &right));
    }
    for side in [&left, &right] {
        if matches!(side.ty, Some(T::Jsonb | T::Bytea)) {
            return Err(unsupported(format!("|| on {}", side.type_name()), "cast it: x::text"));
        }
    }
    let left = as_text(left)?;
    let right = as_text(right)?;
    Ok(Scalar::call(Op::Concat, vec![left, right], T::Text))
}

/// An expression's text.
pub(crate) fn as_text(typed: Typed) -> Result<Typed> {
    match typed.ty {
        Some(ty) if is_text(ty) => Ok(typed),
        _ => cast::explicit(typed, T::Text, false),
    }
}
