//! Random values, as SQL and as the JSON that Debezium and an upsert topic carry.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The types that tables are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    Boolean,
    SmallInt,
    Int,
    BigInt,
    Real,
    Double,
    Numeric,
    Text,
    Varchar,
    Date,
    Timestamp,
    TimestampTz,
    Uuid,
}

pub const ALL: [Type; 13] = [
    Type::Boolean,
    Type::SmallInt,
    Type::Int,
    Type::BigInt,
    Type::Real,
    Type::Double,
    Type::Numeric,
    Type::Text,
    Type::Varchar,
    Type::Date,
    Type::Timestamp,
    Type::TimestampTz,
    Type::Uuid,
];

impl Type {
    pub fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::SmallInt => "smallint",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric => "numeric(12,2)",
            Self::Text => "text",
            Self::Varchar => "varchar(12)",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Uuid => "uuid",
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self, Self::SmallInt | Self::Int | Self::BigInt | Self::Real | Self::Double | Self::Numeric)
    }

    pub fn is_int(self) -> bool {
        matches!(self, Self::SmallInt | Self::Int | Self::BigInt)
    }

    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Varchar)
    }
}

/// A value: the literal for PostgreSQL, the JSON of a plain record, the JSON of a Debezium event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub sql: String,
    pub json: String,
    pub debezium: String,
}

impl Value {
    pub fn null() -> Self {
        Self { sql: "NULL".into(), json: "null".into(), debezium: "null".into() }
    }

    fn same(text: String) -> Self {
        Self { sql: text.clone(), json: text.clone(), debezium: text }
    }

    fn quoted(text: &str) -> Self {
        let json = serde_json::to_string(text).expect("a string is JSON");
        Self { sql: format!("'{}'", text.replace('\'', "''")), json: json.clone(), debezium: json }
    }
}

const TEXTS: [&str; 10] = ["", "a", "b", "ab", "Abc", "ü", "x y", "it's", "zz top", "10"];

/// A value of a type: few different ones, so that keys meet and groups fill; NULL one time in seven.
pub fn value(rng: &mut ChaCha8Rng, ty: Type) -> Value {
    if rng.random_range(0..7) == 0 { Value::null() } else { not_null(rng, ty) }
}

/// A value that is not NULL.
pub fn not_null(rng: &mut ChaCha8Rng, ty: Type) -> Value {
    match ty {
        Type::Boolean => Value::same(rng.random_bool(0.5).to_string()),
        Type::SmallInt | Type::Int | Type::BigInt => Value::same(rng.random_range(-6..=6).to_string()),
        Type::Real | Type::Double => {
            let eighths: i32 = rng.random_range(-24..=24);
            Value::same(format!("{:?}", f64::from(eighths) / 8.0))
        }
        Type::Numeric => {
            let cents: i64 = if rng.random_range(0..4) == 0 {
                rng.random_range(-999_999_999..=999_999_999)
            } else {
                rng.random_range(-5..=5) * 25
            };
            let text = format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
            Value { sql: text.clone(), json: format!("\"{text}\""), debezium: format!("\"{text}\"") }
        }
        Type::Text | Type::Varchar => Value::quoted(TEXTS[rng.random_range(0..TEXTS.len())]),
        Type::Date => {
            let day: i64 = rng.random_range(0..5);
            let text = format!("2024-02-{:02}", 27 + day.min(2));
            let days = 19_780 + day.min(2);
            Value { sql: format!("'{text}'"), json: format!("\"{text}\""), debezium: days.to_string() }
        }
        Type::Timestamp => {
            let micros: i64 = rng.random_range(0..4) * 250_000;
            let text = format!("2024-02-27 00:00:00.{micros:06}");
            let debezium = 19_780 * 86_400_000_000 + micros;
            Value { sql: format!("'{text}'"), json: format!("\"{text}\""), debezium: debezium.to_string() }
        }
        Type::TimestampTz => {
            let micros: i64 = rng.random_range(0..4) * 250_000;
            let sql = format!("'2024-02-27 00:00:00.{micros:06}+00'");
            let json = format!("\"2024-02-27T00:00:00.{micros:06}Z\"");
            Value { sql, json: json.clone(), debezium: json }
        }
        Type::Uuid => Value::quoted(&format!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{:02x}", rng.random_range(0..4))),
    }
}
