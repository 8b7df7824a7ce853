//! Assignment: what may become the value of a column without a cast, and how, as PostgreSQL's assignment casts have it.

use zset::Column;
use zset::ColumnType as T;

use crate::error::{Detail, Result, code, error};
use crate::expr::scalar::Scalar;
use crate::expr::{Op, Typed, cast, literal};
use crate::types::{BARE_NUMERIC, message_name};

/// An expression as the value of a column. `what` it is, for the message: `expression`, `default expression`.
pub(crate) fn assign(typed: Typed, column: &Column, what: &str) -> Result<Typed> {
    let to = column.ty;
    let Some(from) = typed.ty else {
        return match to {
            // a literal is as long as it is
            T::Varchar(_) => Ok(fit(cast::of_unknown(typed, T::Text)?, to)),
            BARE_NUMERIC => cast::of_unknown_exactly(typed, to),
            to => cast::of_unknown(typed, to),
        };
    };
    if from == to {
        return Ok(typed);
    }
    match to {
        T::Text => cast::explicit(typed, T::Text, false),
        T::Varchar(_) if matches!(from, T::Varchar(_) | T::Text) => Ok(fit(typed, to)),
        T::Varchar(_) => Ok(fit(cast::explicit(typed, T::Text, false)?, to)),
        // NUMERIC without digits rounds nothing: what it cannot hold is an error
        BARE_NUMERIC if cast::number_rank(from).is_some() => {
            literal::fold(Scalar::call(Op::CastExactly, vec![typed], to))
        }
        to if is_assignable(from, to) => cast::convert(typed, to),
        to => Err(error(
            code::DATATYPE_MISMATCH,
            format!(
                "column \"{}\" is of type {} but {what} is of type {}",
                column.name,
                message_name(to),
                message_name(from)
            ),
        )
        .with_hint("You will need to rewrite or cast the expression.")),
    }
}

fn fit(typed: Typed, to: T) -> Typed {
    Scalar::call(Op::Fit, vec![typed], to)
}

/// Whether PostgreSQL assigns values of the one type to columns of the other.
fn is_assignable(from: T, to: T) -> bool {
    if cast::number_rank(from).is_some() && cast::number_rank(to).is_some() {
        return true;
    }
    match (from, to) {
        (T::Date | T::Timestamp(_) | T::TimestampTz(_), T::Date | T::Timestamp(_) | T::TimestampTz(_)) => true,
        (T::Timestamp(_) | T::TimestampTz(_), T::Time) => true,
        (a, b) => std::mem::discriminant(&a) == std::mem::discriminant(&b),
    }
}
