//! How the values of a column are written in JSON: as the declared modes say, or the schema part.

use zset::ColumnType;

use super::connect::Part;
use crate::options::{BinaryMode, DecimalMode, Modes, TimeMode};

/// The unit in which a time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// A way of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// As JSON has it, or as text that PostgreSQL reads.
    Plain,
    /// A string is the base64 of an unscaled integer, of which so many digits are behind the point.
    Unscaled(i32),
    /// A number counts days since 1970.
    Days,
    /// A number counts since midnight.
    Time(Unit),
    /// A number counts since 1970.
    Instant(Unit),
    /// A string is base64.
    Base64,
    /// A string is base64 with the alphabet of URLs.
    Base64Url,
    /// A string is hexadecimal.
    Hex,
}

impl Wire {
    /// As the declared modes say.
    pub fn declared(ty: ColumnType, modes: Modes) -> Self {
        match ty {
            ColumnType::Numeric { scale, .. } if modes.decimal == DecimalMode::Precise => {
                Self::Unscaled(i32::from(scale))
            }
            ColumnType::Bytea => Self::binary(modes.binary),
            ColumnType::Date if modes.time != TimeMode::Text => Self::Days,
            ColumnType::Time => match modes.time {
                TimeMode::Adaptive | TimeMode::Micros => Self::Time(Unit::Micros),
                TimeMode::Connect => Self::Time(Unit::Millis),
                TimeMode::Nanos => Self::Time(Unit::Nanos),
                TimeMode::Text => Self::Plain,
            },
            ColumnType::Timestamp(digits) => match modes.time {
                TimeMode::Adaptive if digits <= 3 => Self::Instant(Unit::Millis),
                TimeMode::Adaptive | TimeMode::Micros => Self::Instant(Unit::Micros),
                TimeMode::Connect => Self::Instant(Unit::Millis),
                TimeMode::Nanos => Self::Instant(Unit::Nanos),
                TimeMode::Text => Self::Plain,
            },
            _ => Self::Plain,
        }
    }

    fn binary(mode: BinaryMode) -> Self {
        match mode {
            BinaryMode::Base64 => Self::Base64,
            BinaryMode::Base64Url => Self::Base64Url,
            BinaryMode::Hex => Self::Hex,
        }
    }

    /// As the schema part says of the field.
    pub fn described(ty: ColumnType, field: &Part<'_>, binary: BinaryMode) -> Self {
        match field.name.as_deref().unwrap_or_default() {
            "org.apache.kafka.connect.data.Decimal" => {
                let scale = field.parameters.as_ref().and_then(|parameters| parameters.get("scale"));
                Self::Unscaled(scale.and_then(|scale| scale.parse().ok()).unwrap_or(0))
            }
            // The value holds its own scale.
            "io.debezium.data.VariableScaleDecimal" => Self::Unscaled(0),
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Self::Days,
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Self::Time(Unit::Millis),
            "io.debezium.time.MicroTime" => Self::Time(Unit::Micros),
            "io.debezium.time.NanoTime" => Self::Time(Unit::Nanos),
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Self::Instant(Unit::Millis),
            "io.debezium.time.MicroTimestamp" => Self::Instant(Unit::Micros),
            "io.debezium.time.NanoTimestamp" => Self::Instant(Unit::Nanos),
            _ if ty == ColumnType::Bytea => match field.kind.as_deref() {
                // Which text of bytes a string is, only the declared mode knows.
                Some("string") => Self::binary(binary),
                _ => Self::Base64,
            },
            _ => Self::Plain,
        }
    }
}
