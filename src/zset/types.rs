//! The column types of SQL as Millstream keeps them, and their one mapping to Arrow.
//!
//! Every value of a type has exactly one Arrow representation, so that equality of rows is equality of bytes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// The Arrow field metadata key under which a column's SQL type travels (`varchar(20)`, `uuid`, ...).
pub const TYPE_METADATA_KEY: &str = "millstream.type";

/// A SQL type. The Arrow representation is in [`ColumnType::arrow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ColumnType {
    /// `boolean`
    Boolean,
    /// `smallint`, 16 bits
    SmallInt,
    /// `integer`, 32 bits
    Int,
    /// `bigint`, 64 bits
    BigInt,
    /// `real`
    Real,
    /// `double precision`
    Double,
    /// `numeric(precision, scale)`; a precision over 38 is kept in 256 bits (results of avg and division)
    Numeric {
        /// All digits, at most 76.
        precision: u8,
        /// Digits behind the point.
        scale: i8,
    },
    /// `text`
    Text,
    /// `varchar(n)`, n characters
    Varchar(u32),
    /// `bytea`
    Bytea,
    /// `date`, days
    Date,
    /// `time`, microseconds
    Time,
    /// `timestamp(p)`, always stored in microseconds, rounded to p digits where it enters
    Timestamp(u8),
    /// `timestamptz(p)`, stored as UTC microseconds
    TimestampTz(u8),
    /// `uuid`, kept as its canonical lower-case text, whose order is the order of its bytes
    Uuid,
    /// `jsonb`, kept as PostgreSQL's text form of it
    Jsonb,
}

impl ColumnType {
    /// The Arrow type that holds it.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Numeric { precision, scale } if precision <= 38 => DataType::Decimal128(precision, scale),
            Self::Numeric { precision, scale } => DataType::Decimal256(precision, scale),
            Self::Text | Self::Varchar(_) | Self::Uuid | Self::Jsonb => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// The SQL type of an Arrow type that carries no metadata of ours; `None` where there is none.
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::BigInt,
            DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Self::Numeric { precision: *p, scale: *s },
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Bytea,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::Time,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp(6),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::TimestampTz(6),
            _ => return None,
        })
    }

    /// The SQL type of an Arrow field: its metadata if it agrees with the Arrow type, else the plain mapping.
    pub fn of_field(field: &Field) -> Option<Self> {
        field
            .metadata()
            .get(TYPE_METADATA_KEY)
            .and_then(|name| name.parse::<Self>().ok())
            .filter(|ty| ty.arrow() == *field.data_type())
            .or_else(|| Self::from_arrow(field.data_type()))
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Varchar(n) => write!(f, "varchar({n})"),
            Self::Bytea => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp(p) => write!(f, "timestamp({p})"),
            Self::TimestampTz(p) => write!(f, "timestamptz({p})"),
            Self::Uuid => f.write_str("uuid"),
            Self::Jsonb => f.write_str("jsonb"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("unknown type \"{text}\"");
        let (name, args) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(unknown)?),
            None => (text, ""),
        };
        let number = |n: &str| n.trim().parse::<u32>().map_err(|_| unknown());
        let digits = || number(args).map(|p| p.min(6) as u8);
        Ok(match name {
            "boolean" => Self::Boolean,
            "smallint" => Self::SmallInt,
            "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "real" => Self::Real,
            "double precision" => Self::Double,
            "numeric" => {
                let (p, s) = args.split_once(',').ok_or_else(unknown)?;
                let precision = u8::try_from(number(p)?).map_err(|_| unknown())?;
                Self::Numeric { precision, scale: s.trim().parse().map_err(|_| unknown())? }
            }
            "text" => Self::Text,
            "varchar" => Self::Varchar(number(args)?),
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp(digits()?),
            "timestamptz" => Self::TimestampTz(digits()?),
            "uuid" => Self::Uuid,
            "jsonb" => Self::Jsonb,
            _ => return Err(unknown()),
        })
    }
}

impl TryFrom<String> for ColumnType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ColumnType> for String {
    fn from(ty: ColumnType) -> Self {
        ty.to_string()
    }
}

/// A named, typed column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name, exactly as SQL resolved it (unquoted names are lower case).
    pub name: String,
    /// The SQL type.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, ty: ColumnType, nullable: bool) -> Self {
        Self { name: name.into(), ty, nullable }
    }

    /// The Arrow field, with the SQL type in its metadata. Arrow's own nullability is always true: NOT NULL is
    /// enforced where rows enter, and a column that Arrow believes to be free of NULLs would be a promise twice.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.ty.arrow(), true)
            .with_metadata([(TYPE_METADATA_KEY.to_string(), self.ty.to_string())].into())
    }
}

/// The columns of a table, in declared order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowType(pub Vec<Column>);

impl RowType {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.0.iter().map(Column::field).collect::<Vec<_>>()))
    }

    /// The position of a column by exact name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|column| column.name == name)
    }
}
