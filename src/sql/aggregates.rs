//! The aggregates count, sum, avg, min, max, with PostgreSQL's types, as functions of DataFusion that are planned and
//! never run: the engine has accumulators of its own, which retract.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result as DfResult, not_impl_err};
use datafusion::logical_expr::expr::AggregateFunction as Call;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, TypeSignature, Volatility,
};
use plan::AggregateFunction;
use zset::ColumnType as T;
use zset::{Column, ColumnType};

use crate::error::{Detail, Result, code, error, unsupported};
use crate::expr::{Typed, cast};

/// One aggregate of exact types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Aggregate {
    pub(crate) function: AggregateFunction,
    pub(crate) argument: ColumnType,
    pub(crate) output: ColumnType,
    name: String,
    signature: Signature,
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.output.arrow())
    }

    fn return_field(&self, _: &[FieldRef]) -> DfResult<FieldRef> {
        Ok(Arc::new(Column::new(self.name.clone(), self.output, true).field()))
    }

    fn accumulator(&self, _: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        not_impl_err!("the engine computes {}", self.name)
    }
}

/// The aggregate of a call, if it is one of ours.
pub(crate) fn of(function: &AggregateUDF) -> Option<&Aggregate> {
    function.inner().downcast_ref::<Aggregate>()
}

/// A call. `count(*)` has no argument.
pub(crate) fn call(name: &str, argument: Option<Typed>, distinct: bool, filter: Option<Typed>) -> Result<Typed> {
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        _ => AggregateFunction::Max,
    };
    let argument = argument.map(|typed| argument_of(name, function, typed)).transpose()?;
    let ty = argument.as_ref().and_then(|typed| typed.ty).unwrap_or(T::BigInt);
    if distinct && ty == T::Jsonb {
        return Err(unsupported(
            format!("{name}(DISTINCT jsonb)"),
            "one document has many texts here: use x::text if the texts are what you mean",
        ));
    }
    let output = output_of(name, function, ty)?;
    let args: Vec<Expr> = argument.into_iter().map(|typed| typed.expr).collect();
    let any = if args.is_empty() { TypeSignature::Nullary } else { TypeSignature::Any(args.len()) };
    let signature = Signature::new(any, Volatility::Immutable);
    let aggregate = Aggregate { function, argument: ty, output, name: name.to_string(), signature };
    let filter = filter.map(|typed| Box::new(typed.expr));
    let call = Call::new_udf(Arc::new(AggregateUDF::from(aggregate)), args, distinct, filter, vec![], None);
    Ok(Typed::new(Expr::AggregateFunction(call), output))
}

/// The argument in the type that is aggregated.
fn argument_of(name: &str, function: AggregateFunction, typed: Typed) -> Result<Typed> {
    match (function, typed.ty) {
        (AggregateFunction::Sum | AggregateFunction::Avg, None) => {
            Err(error(code::AMBIGUOUS_FUNCTION, format!("function {name}(unknown) is not unique"))
                .with_hint("cast the literal, as in '1'::integer"))
        }
        (_, None) => cast::of_unknown(typed, T::Text),
        (AggregateFunction::Min | AggregateFunction::Max, Some(T::Varchar(_))) => cast::convert(typed, T::Text),
        (AggregateFunction::Min | AggregateFunction::Max, Some(T::Timestamp(_))) => {
            cast::convert(typed, T::Timestamp(6))
        }
        (AggregateFunction::Min | AggregateFunction::Max, Some(T::TimestampTz(_))) => {
            cast::convert(typed, T::TimestampTz(6))
        }
        _ => Ok(typed),
    }
}

fn output_of(name: &str, function: AggregateFunction, ty: ColumnType) -> Result<ColumnType> {
    let missing = |hint: &str| {
        error(code::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", crate::types::message_name(ty)))
            .with_hint(hint)
    };
    Ok(match (function, ty) {
        (AggregateFunction::Count, _) => T::BigInt,
        (AggregateFunction::Sum, T::SmallInt | T::Int) => T::BigInt,
        (AggregateFunction::Sum, T::BigInt) => T::Numeric { precision: 38, scale: 0 },
        // room for 10^19 values, in 128 bits where that is enough
        (AggregateFunction::Sum, T::Numeric { precision, scale }) => {
            T::Numeric { precision: if precision <= 19 { 38 } else { 76 }, scale }
        }
        (AggregateFunction::Sum, T::Real | T::Double) => ty,
        (AggregateFunction::Avg, T::SmallInt | T::Int | T::BigInt | T::Numeric { .. }) => {
            T::Numeric { precision: 76, scale: 38 }
        }
        (AggregateFunction::Avg, T::Real | T::Double) => T::Double,
        (AggregateFunction::Sum | AggregateFunction::Avg, _) => {
            return Err(missing("only numbers are added: cast the argument, as in x::numeric(20,2)"));
        }
        (AggregateFunction::Min | AggregateFunction::Max, T::Boolean) => {
            return Err(missing("PostgreSQL has none either: use min(x::integer), or count(*) FILTER (WHERE x)"));
        }
        (AggregateFunction::Min | AggregateFunction::Max, T::Uuid | T::Jsonb | T::Bytea) => {
            return Err(missing("PostgreSQL 15 has none either: cast the argument, as in x::text"));
        }
        (AggregateFunction::Min | AggregateFunction::Max, ty) => ty,
    })
}
