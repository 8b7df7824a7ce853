//! SQL type names: PostgreSQL's, with its aliases, for every type there is a [`ColumnType`] for.

use datafusion::sql::sqlparser::ast::{CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo};
use zset::ColumnType;

use crate::error::{Detail, Result, code, error, unsupported};

/// What a type name means.
pub(crate) struct Named {
    /// The type.
    pub(crate) ty: ColumnType,
    /// Whether it is NUMERIC without precision, which is NUMERIC(38,10) and told in a notice.
    pub(crate) bare_numeric: bool,
}

/// The precision and scale of NUMERIC alone.
pub(crate) const BARE_NUMERIC: ColumnType = ColumnType::Numeric { precision: 38, scale: 10 };

const TYPES: &str = "the types are boolean, smallint, integer, bigint, real, double precision, numeric(p,s), text, \
                     varchar(n), bytea, date, time, timestamp(p), timestamptz(p), uuid, jsonb";

fn numeric(info: ExactNumberInfo) -> Result<Named> {
    let (p, s) = match info {
        ExactNumberInfo::None => return Ok(Named { ty: BARE_NUMERIC, bare_numeric: true }),
        ExactNumberInfo::Precision(p) => (p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (p, s),
    };
    if p == 0 || p > 1000 {
        return Err(error(code::INVALID_PARAMETER, format!("NUMERIC precision {p} must be between 1 and 1000")));
    }
    if p > 38 {
        return Err(unsupported(
            format!("NUMERIC({p},{s})"),
            "a numeric column has at most 38 digits: use numeric(38, s)",
        ));
    }
    if s < 0 || s as u64 > p {
        return Err(unsupported(format!("NUMERIC({p},{s})"), "the scale must be between 0 and the precision"));
    }
    Ok(Named { ty: ColumnType::Numeric { precision: p as u8, scale: s as i8 }, bare_numeric: false })
}

fn float(info: ExactNumberInfo) -> Result<ColumnType> {
    match info {
        ExactNumberInfo::None => Ok(ColumnType::Double),
        ExactNumberInfo::Precision(p @ 1..=24) if p > 0 => Ok(ColumnType::Real),
        ExactNumberInfo::Precision(25..=53) => Ok(ColumnType::Double),
        _ => Err(error(code::INVALID_PARAMETER, "precision for type float must be between 1 and 53 bits")),
    }
}

fn varchar(length: Option<CharacterLength>, name: &DataType) -> Result<ColumnType> {
    match length {
        None => Ok(ColumnType::Text),
        Some(CharacterLength::IntegerLength { length, unit: None }) if (1..=10_485_760).contains(&length) => {
            Ok(ColumnType::Varchar(length as u32))
        }
        Some(_) => Err(error(
            code::INVALID_PARAMETER,
            format!("length of {name} must be between 1 and 10485760 characters; without (n) it is text"),
        )),
    }
}

/// The digits of timestamp(p): 0 to 6, 6 without.
fn digits(p: Option<u64>, name: &str) -> Result<u8> {
    match p {
        None => Ok(6),
        Some(p @ 0..=6) => Ok(p as u8),
        Some(p) => Err(error(
            code::INVALID_PARAMETER,
            format!("{name}({p}) precision must be between 0 and 6: values are kept in microseconds"),
        )),
    }
}

fn custom(name: &ObjectName, modifiers: &[String], whole: &DataType) -> Result<ColumnType> {
    let lower = name.to_string().to_lowercase();
    let digit = || -> Result<Option<u64>> {
        match modifiers {
            [] => Ok(None),
            [one] => one.trim().parse().map(Some).map_err(|_| unknown(whole)),
            _ => Err(unknown(whole)),
        }
    };
    match lower.as_str() {
        "timestamptz" => Ok(ColumnType::TimestampTz(digits(digit()?, "timestamptz")?)),
        "uuid" => Ok(ColumnType::Uuid),
        "jsonb" => Ok(ColumnType::Jsonb),
        "bpchar" => Err(char_refused(whole)),
        "serial" | "bigserial" | "smallserial" | "serial4" | "serial8" | "serial2" => Err(unsupported(
            format!("type {lower}"),
            "a stream's rows carry their own values: declare integer or bigint",
        )),
        _ => Err(unknown(whole)),
    }
}

fn char_refused(name: &DataType) -> dataflow::StatementError {
    unsupported(
        format!("type {name}"),
        "char(n) pads with blanks, which no stream carries: use text, or varchar(n) for a limit",
    )
}

fn unknown(name: &DataType) -> dataflow::StatementError {
    error(code::UNDEFINED_OBJECT, format!("type {name} is not known")).with_hint(TYPES)
}

/// The type that a name means.
pub(crate) fn named(name: &DataType) -> Result<Named> {
    let ty = match name {
        DataType::Boolean | DataType::Bool => ColumnType::Boolean,
        DataType::SmallInt(None) | DataType::Int2(None) => ColumnType::SmallInt,
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => ColumnType::Int,
        DataType::BigInt(None) | DataType::Int8(None) => ColumnType::BigInt,
        DataType::Real | DataType::Float4 => ColumnType::Real,
        DataType::DoublePrecision | DataType::Float8 => ColumnType::Double,
        DataType::Float(info) => float(*info)?,
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => return numeric(*info),
        DataType::Text => ColumnType::Text,
        DataType::Varchar(n) | DataType::CharacterVarying(n) | DataType::CharVarying(n) => varchar(*n, name)?,
        DataType::Char(_) | DataType::Character(_) => return Err(char_refused(name)),
        DataType::Bytea => ColumnType::Bytea,
        DataType::Date => ColumnType::Date,
        DataType::Time(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => match digits(*p, "time")? {
            6 => ColumnType::Time,
            p => return Err(unsupported(format!("type time({p})"), "use time: it keeps microseconds")),
        },
        DataType::Time(..) => {
            return Err(unsupported("type time with time zone", "use timestamptz, or time"));
        }
        DataType::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            ColumnType::Timestamp(digits(*p, "timestamp")?)
        }
        DataType::Timestamp(p, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            ColumnType::TimestampTz(digits(*p, "timestamptz")?)
        }
        DataType::Uuid => ColumnType::Uuid,
        DataType::JSONB => ColumnType::Jsonb,
        DataType::JSON => {
            return Err(unsupported("type json", "use jsonb, or text to keep the document's own spelling"));
        }
        DataType::Interval { .. } => {
            return Err(unsupported("type interval", "keep durations as bigint or numeric seconds"));
        }
        DataType::Array(_) => return Err(unsupported(format!("type {name}"), "arrays: use jsonb, or a row each")),
        DataType::Custom(object, modifiers) => custom(object, modifiers, name)?,
        _ => return Err(unknown(name)),
    };
    Ok(Named { ty, bare_numeric: false })
}

/// The name a column gets from a cast to this type: PostgreSQL's internal one.
pub(crate) fn internal_name(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "bool",
        ColumnType::SmallInt => "int2",
        ColumnType::Int => "int4",
        ColumnType::BigInt => "int8",
        ColumnType::Real => "float4",
        ColumnType::Double => "float8",
        ColumnType::Numeric { .. } => "numeric",
        ColumnType::Text => "text",
        ColumnType::Varchar(_) => "varchar",
        ColumnType::Bytea => "bytea",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::Timestamp(_) => "timestamp",
        ColumnType::TimestampTz(_) => "timestamptz",
        ColumnType::Uuid => "uuid",
        ColumnType::Jsonb => "jsonb",
    }
}

/// The name of a type in messages: PostgreSQL's, without modifiers.
pub(crate) fn message_name(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "boolean",
        ColumnType::SmallInt => "smallint",
        ColumnType::Int => "integer",
        ColumnType::BigInt => "bigint",
        ColumnType::Real => "real",
        ColumnType::Double => "double precision",
        ColumnType::Numeric { .. } => "numeric",
        ColumnType::Text => "text",
        ColumnType::Varchar(_) => "character varying",
        ColumnType::Bytea => "bytea",
        ColumnType::Date => "date",
        ColumnType::Time => "time without time zone",
        ColumnType::Timestamp(_) => "timestamp without time zone",
        ColumnType::TimestampTz(_) => "timestamp with time zone",
        ColumnType::Uuid => "uuid",
        ColumnType::Jsonb => "jsonb",
    }
}
