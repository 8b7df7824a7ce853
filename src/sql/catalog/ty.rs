//! PostgreSQL's types by their oids, as the catalog's queries have them; and how a column of each is answered.

use dataflow::ResultType;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType};
use zset::ColumnType;

use super::facts;
use crate::error::{Result, code, error};
use crate::statements::identifier;

/// A type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ty(pub(crate) u32);

impl Ty {
    pub(crate) const BOOL: Ty = Ty(16);
    pub(crate) const BYTEA: Ty = Ty(17);
    pub(crate) const CHAR: Ty = Ty(18);
    pub(crate) const NAME: Ty = Ty(19);
    pub(crate) const INT8: Ty = Ty(20);
    pub(crate) const INT2: Ty = Ty(21);
    pub(crate) const INT2VECTOR: Ty = Ty(22);
    pub(crate) const INT4: Ty = Ty(23);
    pub(crate) const REGPROC: Ty = Ty(24);
    pub(crate) const TEXT: Ty = Ty(25);
    pub(crate) const OID: Ty = Ty(26);
    pub(crate) const XID: Ty = Ty(28);
    pub(crate) const OIDVECTOR: Ty = Ty(30);
    pub(crate) const JSON: Ty = Ty(114);
    pub(crate) const FLOAT4: Ty = Ty(700);
    pub(crate) const FLOAT8: Ty = Ty(701);
    pub(crate) const UNKNOWN: Ty = Ty(705);
    pub(crate) const INET: Ty = Ty(869);
    pub(crate) const TEXT_ARRAY: Ty = Ty(1009);
    pub(crate) const NAME_ARRAY: Ty = Ty(1003);
    pub(crate) const OID_ARRAY: Ty = Ty(1028);
    pub(crate) const BPCHAR: Ty = Ty(1042);
    pub(crate) const VARCHAR: Ty = Ty(1043);
    pub(crate) const DATE: Ty = Ty(1082);
    pub(crate) const TIME: Ty = Ty(1083);
    pub(crate) const TIMESTAMP: Ty = Ty(1114);
    pub(crate) const TIMESTAMPTZ: Ty = Ty(1184);
    pub(crate) const INTERVAL: Ty = Ty(1186);
    pub(crate) const NUMERIC: Ty = Ty(1700);
    pub(crate) const REGPROCEDURE: Ty = Ty(2202);
    pub(crate) const REGCLASS: Ty = Ty(2205);
    pub(crate) const REGTYPE: Ty = Ty(2206);
    pub(crate) const RECORD: Ty = Ty(2249);
    /// Any array, for arguments of functions.
    pub(crate) const ANYARRAY: Ty = Ty(2277);
    /// Anything, for arguments and results of functions.
    pub(crate) const ANY: Ty = Ty(2276);
    pub(crate) const UUID: Ty = Ty(2950);
    pub(crate) const JSONB: Ty = Ty(3802);
    pub(crate) const REGNAMESPACE: Ty = Ty(4089);
    pub(crate) const REGROLE: Ty = Ty(4096);

    /// Whether its values are whole numbers here.
    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::INT2 | Self::INT4 | Self::INT8 | Self::OID | Self::XID) || self.is_reg()
    }

    /// Whether its values are floats here.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::FLOAT4 | Self::FLOAT8 | Self::NUMERIC)
    }

    /// Whether it names an object by its oid.
    pub(crate) fn is_reg(self) -> bool {
        matches!(self.0, 24 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191)
    }

    /// Whether it is a kind of text.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::TEXT | Self::VARCHAR | Self::BPCHAR | Self::NAME | Self::CHAR | Self::UNKNOWN)
    }

    /// The type of its elements, if it is an array or vector.
    pub(crate) fn element(self) -> Option<Ty> {
        facts::type_by_oid(self).filter(|ty| ty.fields.get(5) == Some(&"A")).map(|ty| ty.element)
    }

    /// The type of arrays of it.
    pub(crate) fn array(self) -> Ty {
        match self {
            Self::UNKNOWN => Self::TEXT_ARRAY,
            _ => facts::type_by_oid(self).map(|ty| ty.array).filter(|ty| ty.0 != 0).unwrap_or(Self::TEXT_ARRAY),
        }
    }

    /// The name in SQL and in messages.
    pub(crate) fn sql(self) -> &'static str {
        facts::type_by_oid(self).map_or("record", |ty| ty.sql)
    }

    /// How a column of it is answered. What has no form of its own is text, as PostgreSQL prints it.
    pub(crate) fn result(self) -> ResultType {
        match self {
            Self::BOOL => ResultType::Column(ColumnType::Boolean),
            Self::INT2 => ResultType::Column(ColumnType::SmallInt),
            Self::INT4 => ResultType::Column(ColumnType::Int),
            Self::INT8 => ResultType::Column(ColumnType::BigInt),
            Self::FLOAT4 => ResultType::Column(ColumnType::Real),
            Self::FLOAT8 => ResultType::Column(ColumnType::Double),
            Self::TIMESTAMPTZ => ResultType::Column(ColumnType::TimestampTz(6)),
            Self::OID => ResultType::Oid,
            Self::NAME => ResultType::Name,
            Self::CHAR => ResultType::Char,
            Self::INTERVAL => ResultType::Interval,
            Self::INT2VECTOR => ResultType::Int2Vector,
            Self::OIDVECTOR | Self::OID_ARRAY => ResultType::OidVector,
            _ if self.element().is_some() => ResultType::TextArray,
            _ => ResultType::Column(ColumnType::Text),
        }
    }

    /// The type that holds a parameter of it.
    pub(crate) fn parameter(self) -> ColumnType {
        match self {
            Self::OID => ColumnType::BigInt,
            _ if self.is_reg() => ColumnType::Text,
            _ => match self.result() {
                ResultType::Column(ty) => ty,
                _ => ColumnType::Text,
            },
        }
    }

    /// The type of a column of a table, and its modifier.
    pub(crate) fn of_column(ty: ColumnType) -> (Ty, i64) {
        match ty {
            ColumnType::Boolean => (Self::BOOL, -1),
            ColumnType::SmallInt => (Self::INT2, -1),
            ColumnType::Int => (Self::INT4, -1),
            ColumnType::BigInt => (Self::INT8, -1),
            ColumnType::Real => (Self::FLOAT4, -1),
            ColumnType::Double => (Self::FLOAT8, -1),
            ColumnType::Numeric { precision, scale } => {
                (Self::NUMERIC, ((i64::from(precision) << 16) | i64::from(scale)) + 4)
            }
            ColumnType::Text => (Self::TEXT, -1),
            ColumnType::Varchar(length) => (Self::VARCHAR, i64::from(length) + 4),
            ColumnType::Bytea => (Self::BYTEA, -1),
            ColumnType::Date => (Self::DATE, -1),
            ColumnType::Time => (Self::TIME, -1),
            ColumnType::Timestamp(digits) => (Self::TIMESTAMP, if digits == 6 { -1 } else { digits.into() }),
            ColumnType::TimestampTz(digits) => (Self::TIMESTAMPTZ, if digits == 6 { -1 } else { digits.into() }),
            ColumnType::Uuid => (Self::UUID, -1),
            ColumnType::Jsonb => (Self::JSONB, -1),
        }
    }

    /// The type that a name in SQL means.
    pub(crate) fn named(ast: &DataType) -> Result<Ty> {
        if let DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) = ast {
            return Ok(Self::named(inner)?.array());
        }
        let text = match ast {
            DataType::Custom(name, _) => {
                let last = name.0.last().and_then(|part| part.as_ident());
                match last {
                    // "char" in quotes is the one-byte type, char is character(1)
                    Some(ident) if ident.quote_style.is_some() && ident.value == "char" => return Ok(Self::CHAR),
                    Some(ident) => identifier(ident),
                    None => name.to_string(),
                }
            }
            other => other.to_string().to_lowercase(),
        };
        let bare = text.split('(').next().unwrap_or_default().trim();
        facts::type_named(bare)
            .map(|ty| ty.ty)
            .ok_or_else(|| error(code::UNDEFINED_OBJECT, format!("type \"{bare}\" does not exist")))
    }
}
