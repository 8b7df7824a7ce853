//! The aggregates count, sum, avg, min, max, with PostgreSQL's types, as functions of DataFusion. In stream tables they are
//! planned and never run: the engine has accumulators of its own, which retract. Clients' queries run those of
//! `run::aggregates`, and have bool_and, bool_or and string_agg besides.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::expr::{AggregateFunction as Call, Sort};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;
use plan::AggregateFunction;
use zset::ColumnType as T;
use zset::{Column, ColumnType};

use crate::error::{Detail, Result, code, error, unsupported};
use crate::expr::{Typed, cast, operator};
use crate::run;

/// What is aggregated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    /// One that stream tables have too.
    Known(AggregateFunction),
    /// Whether no value is false.
    BoolAnd,
    /// Whether a value is true.
    BoolOr,
    /// Texts, joined, in the order of further arguments.
    StringAgg(Vec<SortOptions>),
}

/// One aggregate of exact types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Aggregate {
    pub(crate) function: Function,
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

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        run::aggregates::accumulator(self, args.is_distinct)
    }

    fn create_sliding_accumulator(&self, _: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        run::aggregates::sliding(self)
    }

    /// What an empty window frame gives.
    fn default_value(&self, data_type: &DataType) -> DfResult<ScalarValue> {
        match self.function {
            Function::Known(AggregateFunction::Count) => Ok(ScalarValue::Int64(Some(0))),
            _ => ScalarValue::try_from(data_type),
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The aggregate of a call, if it is one of ours.
pub(crate) fn of(function: &AggregateUDF) -> Option<&Aggregate> {
    function.inner().downcast_ref::<Aggregate>()
}

/// Whether a name is that of an aggregate that only clients' queries have.
pub(crate) fn is_for_clients(name: &str) -> bool {
    matches!(name, "bool_and" | "every" | "bool_or" | "string_agg")
}

/// An aggregate with its arguments, of the right types.
pub(crate) struct Resolved {
    pub(crate) function: Arc<AggregateUDF>,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) output: ColumnType,
}

/// The call.
pub(crate) fn call(resolved: Resolved, distinct: bool, filter: Option<Typed>) -> Typed {
    let filter = filter.map(|typed| Box::new(typed.expr));
    let call = Call::new_udf(resolved.function, resolved.arguments, distinct, filter, vec![], None);
    Typed::new(Expr::AggregateFunction(call), resolved.output)
}

fn resolved(
    name: &str,
    function: Function,
    argument: ColumnType,
    output: ColumnType,
    arguments: Vec<Expr>,
) -> Resolved {
    let count = arguments.len();
    let any = if count == 0 { TypeSignature::Nullary } else { TypeSignature::Any(count) };
    let signature = Signature::new(any, Volatility::Immutable);
    let aggregate = Aggregate { function, argument, output, name: name.to_string(), signature };
    Resolved { function: Arc::new(AggregateUDF::from(aggregate)), arguments, output }
}

/// The aggregate of a name and one argument. `count(*)` has none.
pub(crate) fn resolve(name: &str, argument: Option<Typed>, distinct: bool) -> Result<Resolved> {
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        _ => return boolean(name, argument),
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
    let arguments: Vec<Expr> = argument.into_iter().map(|typed| typed.expr).collect();
    Ok(resolved(name, Function::Known(function), ty, output, arguments))
}

fn boolean(name: &str, argument: Option<Typed>) -> Result<Resolved> {
    let function = if name == "bool_or" { Function::BoolOr } else { Function::BoolAnd };
    let wrong = |typed: Option<&Typed>| {
        let of = typed.map_or("", Typed::type_name);
        error(code::UNDEFINED_FUNCTION, format!("function {name}({of}) does not exist"))
            .with_hint("it takes a boolean: write a comparison")
    };
    match argument {
        Some(typed) if typed.ty.is_none_or(|ty| ty == T::Boolean) => {
            let typed = operator::condition(typed, name)?;
            Ok(resolved(name, function, T::Boolean, T::Boolean, vec![typed.expr]))
        }
        other => Err(wrong(other.as_ref())),
    }
}

/// `string_agg(text, delimiter [ORDER BY ...])`.
pub(crate) fn string_agg(arguments: Vec<Typed>, distinct: bool, order: Vec<Sort>) -> Result<Resolved> {
    let types: Vec<&str> = arguments.iter().map(Typed::type_name).collect();
    let types = types.join(", ");
    let text = arguments.iter().all(|typed| typed.ty.is_none_or(cast::is_text));
    let Ok([value, delimiter]) = <[Typed; 2]>::try_from(arguments) else {
        return Err(error(code::UNDEFINED_FUNCTION, format!("function string_agg({types}) does not exist"))
            .with_hint("it takes a text and a delimiter"));
    };
    if !text {
        return Err(error(code::UNDEFINED_FUNCTION, format!("function string_agg({types}) does not exist"))
            .with_hint("cast the value: string_agg(x::text, ',')"));
    }
    let value = operator::as_text(value)?;
    if distinct && !(order.is_empty() || (order.len() == 1 && order[0].expr == value.expr)) {
        return Err(error(
            code::INVALID_COLUMN_REFERENCE,
            "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
        )
        .with_hint("order by the value itself"));
    }
    // what PostgreSQL makes distinct it sorts
    let order = if distinct && order.is_empty() { vec![Sort::new(value.expr.clone(), true, false)] } else { order };
    let options = order.iter().map(|key| SortOptions { descending: !key.asc, nulls_first: key.nulls_first }).collect();
    let mut all = vec![value.expr, operator::as_text(delimiter)?.expr];
    all.extend(order.into_iter().map(|key| key.expr));
    Ok(resolved("string_agg", Function::StringAgg(options), T::Text, T::Text, all))
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
