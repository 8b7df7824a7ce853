//! SERIAL and GENERATED ... AS IDENTITY: what is declared, and the sequence that it means.

use datafusion::sql::sqlparser::ast::{DataType, Expr, GeneratedAs, SequenceOptions, UnaryOperator, Value};
use plan::{Identity, Sequence};
use zset::{Column, ColumnType};

use super::cursor::identifier;
use super::unique::Names;
use crate::error::{Result, code, error, syntax, unsupported};

/// A sequence as declared, of the column at a place.
pub(super) struct DeclaredSequence {
    pub(super) column: usize,
    identity: Option<Identity>,
    start: i64,
    increment: i64,
    min: i64,
    max: i64,
}

/// The type of the column that SERIAL and its like mean.
pub(super) fn serial(data_type: &DataType) -> Option<ColumnType> {
    let DataType::Custom(name, arguments) = data_type else { return None };
    let [part] = name.0.as_slice() else { return None };
    if !arguments.is_empty() {
        return None;
    }
    match part.as_ident().map(identifier)?.as_str() {
        "serial" | "serial4" => Some(ColumnType::Int),
        "bigserial" | "serial8" => Some(ColumnType::BigInt),
        "smallserial" | "serial2" => Some(ColumnType::SmallInt),
        _ => None,
    }
}

/// The least and the greatest value of a column that a sequence fills.
fn range(ty: ColumnType) -> Option<(i64, i64, &'static str)> {
    match ty {
        ColumnType::SmallInt => Some((i64::from(i16::MIN), i64::from(i16::MAX), "smallint")),
        ColumnType::Int => Some((i64::from(i32::MIN), i64::from(i32::MAX), "integer")),
        ColumnType::BigInt => Some((i64::MIN, i64::MAX, "bigint")),
        _ => None,
    }
}

impl DeclaredSequence {
    /// That of SERIAL.
    pub(super) fn serial(column: usize, ty: ColumnType) -> Result<Self> {
        Self::new(column, ty, None, &[])
    }

    /// That of an identity.
    pub(super) fn identity(
        column: usize,
        ty: ColumnType,
        generated: &GeneratedAs,
        options: &[SequenceOptions],
    ) -> Result<Self> {
        let identity = match generated {
            GeneratedAs::Always => Identity::Always,
            GeneratedAs::ByDefault => Identity::ByDefault,
            GeneratedAs::ExpStored => return Err(refused_expression()),
        };
        Self::new(column, ty, Some(identity), options)
    }

    fn new(column: usize, ty: ColumnType, identity: Option<Identity>, options: &[SequenceOptions]) -> Result<Self> {
        let Some((least, greatest, type_name)) = range(ty) else {
            return Err(invalid("identity column type must be smallint, integer, or bigint".to_string()));
        };
        let (mut increment, mut min, mut max, mut start) = (1, None, None, None);
        for option in options {
            match option {
                SequenceOptions::IncrementBy(value, _) => increment = number(value)?,
                SequenceOptions::MinValue(value) => min = value.as_ref().map(number).transpose()?,
                SequenceOptions::MaxValue(value) => max = value.as_ref().map(number).transpose()?,
                SequenceOptions::StartWith(value, _) => start = Some(number(value)?),
                SequenceOptions::Cache(value) => {
                    let cache = number(value)?;
                    if cache <= 0 {
                        return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
                    }
                }
                // the parser says true of NO CYCLE
                SequenceOptions::Cycle(true) => {}
                SequenceOptions::Cycle(false) => {
                    return Err(unsupported("CYCLE", "leave it out: a value is never given twice"));
                }
            }
        }
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero".to_string()));
        }
        let up = increment > 0;
        let max = max.unwrap_or(if up { greatest } else { -1 });
        let min = min.unwrap_or(if up { 1 } else { least });
        for (name, value) in [("MAXVALUE", max), ("MINVALUE", min)] {
            if !(least..=greatest).contains(&value) {
                return Err(invalid(format!("{name} ({value}) is out of range for sequence data type {type_name}")));
            }
        }
        if min >= max {
            return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
        }
        let start = start.unwrap_or(if up { min } else { max });
        if start < min {
            return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
        }
        if start > max {
            return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
        }
        Ok(Self { column, identity, start, increment, min, max })
    }

    /// The sequence, named as PostgreSQL names it.
    pub(super) fn named(&self, columns: &[Column], names: &mut Names<'_>, next_slot: &mut u32) -> Sequence {
        let slot = *next_slot;
        *next_slot += 1;
        Sequence {
            name: names.choose(&columns[self.column].name, "seq"),
            column: self.column,
            slot,
            identity: self.identity,
            start: self.start,
            increment: self.increment,
            min: self.min,
            max: self.max,
        }
    }

    /// Whether it is that of SERIAL.
    pub(super) fn is_serial(&self) -> bool {
        self.identity.is_none()
    }
}

/// The default of a SERIAL column, as SQL.
pub(super) fn default_of(sequence: &Sequence) -> String {
    let name = crate::catalog::quote_ident(&sequence.name).replace('\'', "''");
    format!("nextval('{name}'::regclass)")
}

pub(super) fn refused_expression() -> dataflow::StatementError {
    unsupported("GENERATED ALWAYS AS (expression)", "give the value in INSERT, or compute the column in a stream table")
}

fn invalid(message: String) -> dataflow::StatementError {
    error(code::INVALID_PARAMETER, message)
}

fn number(expr: &Expr) -> Result<i64> {
    let (minus, value) = match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (true, expr.as_ref()),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => (false, expr.as_ref()),
        value => (false, value),
    };
    let text = match value {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    let text = if minus { format!("-{text}") } else { text };
    text.parse().map_err(|_| syntax(format!("{expr} is no number that a sequence can have")))
}
