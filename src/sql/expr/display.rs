//! An expression as text that two expressions share only if they compute the same: columns by position, literals with
//! their types. It is part of the plan's fingerprint.

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, Operator};

use crate::error::{Result, code, error, from_datafusion};

/// The text of an expression over the columns of a schema.
pub(crate) fn show(expr: &Expr, schema: &DFSchema) -> Result<String> {
    let one = |expr: &Expr| show(expr, schema);
    let all = |list: &[Expr]| list.iter().map(one).collect::<Result<Vec<String>>>().map(|texts| texts.join(", "));
    Ok(match expr {
        Expr::Alias(alias) => one(&alias.expr)?,
        Expr::Column(column) => {
            let at = schema.index_of_column(column).map_err(from_datafusion)?;
            format!("{}@{at}", column.name)
        }
        Expr::Literal(value, metadata) => {
            let ty = metadata.as_ref().and_then(|m| m.inner().get(zset::TYPE_METADATA_KEY).cloned());
            let ty = ty.unwrap_or_else(|| value.data_type().to_string());
            match value {
                _ if value.is_null() => format!("NULL::{ty}"),
                datafusion::scalar::ScalarValue::Utf8(Some(text)) => format!("'{}'::{ty}", text.replace('\'', "''")),
                _ => format!("{value}::{ty}"),
            }
        }
        Expr::BinaryExpr(binary) => {
            format!("({} {} {})", one(&binary.left)?, symbol(binary.op), one(&binary.right)?)
        }
        Expr::Not(x) => format!("NOT {}", one(x)?),
        Expr::IsNull(x) => format!("({} IS NULL)", one(x)?),
        Expr::IsNotNull(x) => format!("({} IS NOT NULL)", one(x)?),
        Expr::IsTrue(x) => format!("({} IS TRUE)", one(x)?),
        Expr::IsNotTrue(x) => format!("({} IS NOT TRUE)", one(x)?),
        Expr::IsFalse(x) => format!("({} IS FALSE)", one(x)?),
        Expr::IsNotFalse(x) => format!("({} IS NOT FALSE)", one(x)?),
        Expr::IsUnknown(x) => format!("({} IS UNKNOWN)", one(x)?),
        Expr::IsNotUnknown(x) => format!("({} IS NOT UNKNOWN)", one(x)?),
        Expr::Between(b) => {
            let not = if b.negated { "NOT " } else { "" };
            format!("({} {not}BETWEEN {} AND {})", one(&b.expr)?, one(&b.low)?, one(&b.high)?)
        }
        Expr::InList(list) => {
            let not = if list.negated { "NOT " } else { "" };
            format!("({} {not}IN ({}))", one(&list.expr)?, all(&list.list)?)
        }
        Expr::Case(case) => {
            let mut text = "CASE".to_string();
            if let Some(operand) = &case.expr {
                text += &format!(" {}", one(operand)?);
            }
            for (when, then) in &case.when_then_expr {
                text += &format!(" WHEN {} THEN {}", one(when)?, one(then)?);
            }
            if let Some(otherwise) = &case.else_expr {
                text += &format!(" ELSE {}", one(otherwise)?);
            }
            text + " END"
        }
        Expr::Cast(cast) => format!("CAST({} AS {})", one(&cast.expr)?, cast.field.data_type()),
        Expr::ScalarFunction(call) => format!("{}({})", call.func.name(), all(&call.args)?),
        other => return Err(error(code::INTERNAL, format!("cannot lower the expression {other}"))),
    })
}

fn symbol(op: Operator) -> String {
    match op {
        Operator::NotEq => "<>".into(),
        other => other.to_string(),
    }
}
