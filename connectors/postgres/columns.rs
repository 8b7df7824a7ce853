//! Our types in PostgreSQL: what a column is made as, what is accepted instead, and how values are sent.

use tokio_postgres::types::Type;
use zset::ColumnType;

/// A column's type as CREATE TABLE says it. What avg and division give has as many digits as it has.
pub(crate) fn declared(ty: ColumnType) -> String {
    match ty {
        ColumnType::Numeric { precision, .. } if precision > 38 => "numeric".to_string(),
        other => other.to_string(),
    }
}

/// The array type in which values are sent.
pub(crate) fn sent_as(ty: ColumnType) -> Type {
    match ty {
        ColumnType::Boolean => Type::BOOL_ARRAY,
        ColumnType::SmallInt => Type::INT2_ARRAY,
        ColumnType::Int => Type::INT4_ARRAY,
        ColumnType::BigInt => Type::INT8_ARRAY,
        ColumnType::Real => Type::FLOAT4_ARRAY,
        ColumnType::Double => Type::FLOAT8_ARRAY,
        ColumnType::Numeric { .. } => Type::NUMERIC_ARRAY,
        ColumnType::Text | ColumnType::Varchar(_) => Type::TEXT_ARRAY,
        ColumnType::Bytea => Type::BYTEA_ARRAY,
        ColumnType::Date => Type::DATE_ARRAY,
        ColumnType::Time => Type::TIME_ARRAY,
        ColumnType::Timestamp(_) => Type::TIMESTAMP_ARRAY,
        ColumnType::TimestampTz(_) => Type::TIMESTAMPTZ_ARRAY,
        ColumnType::Uuid => Type::UUID_ARRAY,
        ColumnType::Jsonb => Type::JSONB_ARRAY,
    }
}

/// Whether a column of a type, with its modifier, holds every value of ours, and tells any two of them apart.
pub(crate) fn accepts(ty: ColumnType, oid: u32, modifier: i32) -> bool {
    let Some(there) = Type::from_oid(oid) else { return false };
    // Digits behind the point of a second; none said is all six.
    let seconds = |digits: u8| modifier < 0 || modifier >= i32::from(digits.min(6));
    match ty {
        ColumnType::Boolean => there == Type::BOOL,
        ColumnType::SmallInt => {
            [Type::INT2, Type::INT4, Type::INT8].contains(&there) || numeric(&there, modifier, 5, 0)
        }
        ColumnType::Int => [Type::INT4, Type::INT8].contains(&there) || numeric(&there, modifier, 10, 0),
        ColumnType::BigInt => there == Type::INT8 || numeric(&there, modifier, 19, 0),
        ColumnType::Real => [Type::FLOAT4, Type::FLOAT8].contains(&there),
        ColumnType::Double => there == Type::FLOAT8,
        ColumnType::Numeric { precision, scale } => {
            numeric(&there, modifier, i32::from(precision) - i32::from(scale), i32::from(scale))
        }
        ColumnType::Text => there == Type::TEXT || (there == Type::VARCHAR && modifier < 0),
        ColumnType::Varchar(length) => {
            there == Type::TEXT || (there == Type::VARCHAR && (modifier < 0 || modifier - 4 >= length as i32))
        }
        ColumnType::Bytea => there == Type::BYTEA,
        ColumnType::Date => there == Type::DATE,
        ColumnType::Time => there == Type::TIME && seconds(6),
        ColumnType::Timestamp(digits) => there == Type::TIMESTAMP && seconds(digits),
        ColumnType::TimestampTz(digits) => there == Type::TIMESTAMPTZ && seconds(digits),
        ColumnType::Uuid => [Type::UUID, Type::TEXT].contains(&there),
        ColumnType::Jsonb => [Type::JSONB, Type::JSON, Type::TEXT].contains(&there),
    }
}

/// Whether it is a numeric with so many digits before and behind the point.
fn numeric(there: &Type, modifier: i32, before: i32, behind: i32) -> bool {
    if *there != Type::NUMERIC {
        return false;
    }
    // numeric(precision, scale), the scale in eleven bits with a sign; without them it holds anything.
    let packed = modifier - 4;
    let (precision, scale) = ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024);
    modifier < 0 || (scale >= behind && precision - scale >= before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_would_lose_something_are_not_accepted() {
        let typmod = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        let ours = ColumnType::Numeric { precision: 10, scale: 2 };
        for (precision, scale, holds) in [(10, 2, true), (12, 4, true), (10, 3, false), (9, 2, false), (20, -2, false)]
        {
            assert_eq!(accepts(ours, Type::NUMERIC.oid(), typmod(precision, scale)), holds, "({precision}, {scale})");
        }
        assert!(accepts(ours, Type::NUMERIC.oid(), -1) && !accepts(ours, Type::FLOAT8.oid(), -1));
        assert!(accepts(ColumnType::Varchar(10), Type::VARCHAR.oid(), 14));
        assert!(!accepts(ColumnType::Varchar(10), Type::VARCHAR.oid(), 13));
        assert!(
            !accepts(ColumnType::Text, Type::VARCHAR.oid(), 1004) && !accepts(ColumnType::Text, Type::BPCHAR.oid(), 14)
        );
        assert!(accepts(ColumnType::Timestamp(3), Type::TIMESTAMP.oid(), 3));
        assert!(!accepts(ColumnType::Timestamp(6), Type::TIMESTAMP.oid(), 3));
        assert!(!accepts(ColumnType::Timestamp(6), Type::TIMESTAMPTZ.oid(), -1));
        assert!(accepts(ColumnType::Int, Type::INT8.oid(), -1) && !accepts(ColumnType::BigInt, Type::INT4.oid(), -1));
        assert!(accepts(ColumnType::BigInt, Type::NUMERIC.oid(), typmod(19, 0)));
        assert!(!accepts(ColumnType::BigInt, Type::NUMERIC.oid(), typmod(18, 0)));
        assert!(!accepts(ColumnType::Int, 999_999, -1), "a type of the user's own");
    }
}
