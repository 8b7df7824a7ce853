//! PostgreSQL's oids, lengths and type modifiers of our types, and our types of its oids.

use dataflow::ResultType;
use zset::ColumnType;

pub(crate) const BOOL: u32 = 16;
pub(crate) const BYTEA: u32 = 17;
pub(crate) const CHAR: u32 = 18;
pub(crate) const NAME: u32 = 19;
pub(crate) const INT8: u32 = 20;
pub(crate) const INT2: u32 = 21;
pub(crate) const INT2VECTOR: u32 = 22;
pub(crate) const INT4: u32 = 23;
pub(crate) const TEXT: u32 = 25;
pub(crate) const OID: u32 = 26;
pub(crate) const JSON: u32 = 114;
pub(crate) const FLOAT4: u32 = 700;
pub(crate) const FLOAT8: u32 = 701;
pub(crate) const UNKNOWN: u32 = 705;
pub(crate) const TEXT_ARRAY: u32 = 1009;
pub(crate) const OID_ARRAY: u32 = 1028;
pub(crate) const BPCHAR: u32 = 1042;
pub(crate) const VARCHAR: u32 = 1043;
pub(crate) const DATE: u32 = 1082;
pub(crate) const TIME: u32 = 1083;
pub(crate) const TIMESTAMP: u32 = 1114;
pub(crate) const TIMESTAMPTZ: u32 = 1184;
pub(crate) const INTERVAL: u32 = 1186;
pub(crate) const NUMERIC: u32 = 1700;
pub(crate) const REGCLASS: u32 = 2205;
pub(crate) const REGTYPE: u32 = 2206;
pub(crate) const UUID: u32 = 2950;
pub(crate) const JSONB: u32 = 3802;

/// What a numeric parameter is where its use says nothing: as a column declared NUMERIC.
pub(crate) const PLAIN_NUMERIC: ColumnType = ColumnType::Numeric { precision: 38, scale: 10 };

/// A type as a RowDescription says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireType {
    pub oid: u32,
    /// Bytes; -1: as many as it needs.
    pub length: i16,
    /// -1: none.
    pub modifier: i32,
}

impl WireType {
    fn new(oid: u32, length: i16) -> Self {
        Self { oid, length, modifier: -1 }
    }
}

/// The wire's name for a type.
pub(crate) fn wire(ty: ResultType) -> WireType {
    match ty {
        ResultType::Column(ty) => wire_of_column(ty),
        ResultType::Oid => WireType::new(OID, 4),
        ResultType::Name => WireType::new(NAME, 64),
        ResultType::Char => WireType::new(CHAR, 1),
        ResultType::Interval => WireType::new(INTERVAL, 16),
        ResultType::TextArray => WireType::new(TEXT_ARRAY, -1),
        ResultType::Int2Vector => WireType::new(INT2VECTOR, -1),
        ResultType::OidVector => WireType::new(OID_ARRAY, -1),
    }
}

fn wire_of_column(ty: ColumnType) -> WireType {
    match ty {
        ColumnType::Boolean => WireType::new(BOOL, 1),
        ColumnType::SmallInt => WireType::new(INT2, 2),
        ColumnType::Int => WireType::new(INT4, 4),
        ColumnType::BigInt => WireType::new(INT8, 8),
        ColumnType::Real => WireType::new(FLOAT4, 4),
        ColumnType::Double => WireType::new(FLOAT8, 8),
        // Beyond 38 digits only results of arithmetic are, which have no declared precision.
        ColumnType::Numeric { precision, scale } if precision <= 38 => {
            let modifier = (i32::from(precision) << 16 | (i32::from(scale) & 0x7ff)) + 4;
            WireType { oid: NUMERIC, length: -1, modifier }
        }
        ColumnType::Numeric { .. } => WireType::new(NUMERIC, -1),
        ColumnType::Text => WireType::new(TEXT, -1),
        ColumnType::Varchar(n) => WireType { oid: VARCHAR, length: -1, modifier: n.saturating_add(4) as i32 },
        ColumnType::Bytea => WireType::new(BYTEA, -1),
        ColumnType::Date => WireType::new(DATE, 4),
        ColumnType::Time => WireType::new(TIME, 8),
        ColumnType::Timestamp(p) => WireType { oid: TIMESTAMP, length: 8, modifier: digits(p) },
        ColumnType::TimestampTz(p) => WireType { oid: TIMESTAMPTZ, length: 8, modifier: digits(p) },
        ColumnType::Uuid => WireType::new(UUID, 16),
        ColumnType::Jsonb => WireType::new(JSONB, -1),
    }
}

/// Six digits are what a type without a modifier has.
fn digits(p: u8) -> i32 {
    if p < 6 { i32::from(p) } else { -1 }
}

/// The type that a client gives a parameter by its oid; `None`: its use decides. `numeric` is among these: its use knows the
/// digits (see [`PLAIN_NUMERIC`]); so are types that we do not have, whose text may still suit.
pub(crate) fn given(oid: u32) -> Option<ColumnType> {
    Some(match oid {
        BOOL => ColumnType::Boolean,
        INT2 => ColumnType::SmallInt,
        INT4 => ColumnType::Int,
        INT8 | OID | REGCLASS | REGTYPE => ColumnType::BigInt,
        FLOAT4 => ColumnType::Real,
        FLOAT8 => ColumnType::Double,
        TEXT | VARCHAR | BPCHAR | NAME | CHAR => ColumnType::Text,
        BYTEA => ColumnType::Bytea,
        DATE => ColumnType::Date,
        TIME => ColumnType::Time,
        TIMESTAMP => ColumnType::Timestamp(6),
        TIMESTAMPTZ => ColumnType::TimestampTz(6),
        UUID => ColumnType::Uuid,
        JSON | JSONB => ColumnType::Jsonb,
        _ => return None,
    })
}

/// The oid that a ParameterDescription says: the client's own, else that of the type.
pub(crate) fn parameter_oid(given: u32, ty: ColumnType) -> u32 {
    match given {
        0 | UNKNOWN => wire_of_column(ty).oid,
        _ => given,
    }
}
