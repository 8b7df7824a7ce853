//! Our scalar functions, one DataFusion function for all: an operation, the types of its arguments, the type it gives.
//!
//! DataFusion never chooses types for them: the arguments are of exactly these types already.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use zset::{Column, ColumnType};

use super::{Typed, kernel};
use crate::error::into_datafusion;

/// A field of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DateField {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Epoch,
}

/// What a function computes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Neg,
    Abs,
    Sign,
    Ceil,
    Floor,
    /// To so many digits; for floats 0 only.
    Round(i32),
    /// To so many digits; for floats 0 only.
    Trunc(i32),
    Sqrt,
    Power,
    Exp,
    Ln,
    /// A float as a key: one NaN, one zero.
    Canonical,
    /// The same bytes as another type.
    Relabel,
    Cast,
    /// To NUMERIC without precision: digits that do not fit are an error.
    CastExactly,
    /// Text into a varchar(n) column: what is too long is an error.
    Fit,
    /// `||`: NULL if an argument is.
    Concat,
    /// `concat`: NULLs are left out.
    ConcatSkippingNulls,
    Upper,
    Lower,
    Length,
    OctetLength,
    Substr,
    Left,
    Right,
    TrimBoth,
    TrimLeft,
    TrimRight,
    Replace,
    Strpos,
    Repeat,
    Reverse,
    LeftPad,
    RightPad,
    StartsWith,
    SplitPart,
    Translate,
    Like {
        insensitive: bool,
        escape: Option<char>,
    },
    Greatest,
    Least,
    /// As numeric.
    Extract(DateField),
    /// As double precision.
    DatePart(DateField),
    DateTrunc(DateField),
}

impl Op {
    /// Whether no value of the right types makes it fail.
    pub(crate) fn is_total(&self) -> bool {
        matches!(
            self,
            Self::Canonical
                | Self::Relabel
                | Self::Sign
                | Self::Concat
                | Self::ConcatSkippingNulls
                | Self::Upper
                | Self::Lower
                | Self::Length
                | Self::OctetLength
                | Self::Left
                | Self::Right
                | Self::TrimBoth
                | Self::TrimLeft
                | Self::TrimRight
                | Self::Strpos
                | Self::Reverse
                | Self::StartsWith
                | Self::Translate
                | Self::Greatest
                | Self::Least
        )
    }

    fn name(&self) -> String {
        match self {
            Self::Round(n) => format!("round_{n}"),
            Self::Trunc(n) => format!("trunc_{n}"),
            Self::Like { insensitive, escape } => {
                let name = if *insensitive { "ilike" } else { "like" };
                match escape {
                    Some('\\') => name.into(),
                    Some(c) => format!("{name}_escape_{c}"),
                    None => format!("{name}_plain"),
                }
            }
            Self::Extract(field) => format!("extract_{field}"),
            Self::DatePart(field) => format!("date_part_{field}"),
            Self::DateTrunc(field) => format!("date_trunc_{field}"),
            other => {
                let mut name = String::new();
                for c in format!("{other:?}").chars() {
                    if c.is_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.push(c.to_ascii_lowercase());
                }
                name
            }
        }
    }
}

impl fmt::Display for DateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// One function of exact types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scalar {
    pub(crate) op: Op,
    pub(crate) arguments: Vec<ColumnType>,
    pub(crate) output: ColumnType,
    name: String,
    signature: Signature,
}

impl Scalar {
    /// The function applied.
    pub(crate) fn call(op: Op, arguments: Vec<Typed>, output: ColumnType) -> Typed {
        let types: Vec<ColumnType> = arguments.iter().map(|a| a.ty.unwrap_or(ColumnType::Text)).collect();
        let args = arguments.into_iter().map(|a| a.expr).collect();
        let name = match op {
            Op::Cast | Op::CastExactly | Op::Fit | Op::Relabel => format!("{}_to_{output}", op.name()),
            _ => op.name(),
        };
        let any = if types.is_empty() { TypeSignature::Nullary } else { TypeSignature::Any(types.len()) };
        let signature = Signature::new(any, Volatility::Immutable);
        let scalar = Self { op, arguments: types, output, name, signature };
        let function = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(scalar)), args);
        Typed::new(Expr::ScalarFunction(function), output)
    }
}

/// The function of an expression, if it is one of ours.
pub(crate) fn of(function: &ScalarUDF) -> Option<&Scalar> {
    function.inner().downcast_ref::<Scalar>()
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.output.arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        Ok(Arc::new(Column::new(self.name.clone(), self.output, true).field()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<DfResult<Vec<_>>>()?;
        let output = kernel::compute(self, &arrays, rows).map_err(into_datafusion)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&output, 0)?));
        }
        Ok(ColumnarValue::Array(output))
    }
}
