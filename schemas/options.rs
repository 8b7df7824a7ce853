//! The options of CREATE TABLE that are the decoder's: their names, values and defaults.

use plan::{Envelope, Options};

/// Why a decoder cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// An option has a value that it does not take.
    #[error("option {name} = '{value}' is not known; it takes {}", one_of(.allowed))]
    Value {
        /// The option.
        name: &'static str,
        /// The value.
        value: String,
        /// The values it takes.
        allowed: &'static [&'static str],
    },
    /// The envelope needs what the table does not have.
    #[error("{0}")]
    Envelope(String),
}

fn one_of(values: &[&str]) -> String {
    values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ")
}

/// An option of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceOption {
    /// The name.
    pub name: &'static str,
    /// The values it takes.
    pub values: &'static [&'static str],
    /// The value if it is not given; `None`: it must be given, or depends on the envelope as `what` says.
    pub default: Option<&'static str>,
    /// What it is, in a sentence.
    pub what: &'static str,
}

const OPTIONS: &[SourceOption] = &[
    SourceOption { name: "format", values: &["json"], default: Some("json"), what: "The encoding of keys and values." },
    SourceOption {
        name: "envelope",
        values: &["append", "upsert", "debezium"],
        default: None,
        what: "What a record means: a row more, the row of its key, or a change event.",
    },
    SourceOption {
        name: "replica_identity",
        values: &["default", "full"],
        default: Some("default"),
        what: "Whether Debezium's before holds the whole row (REPLICA IDENTITY FULL at the source).",
    },
    SourceOption {
        name: "decimal_handling_mode",
        values: &["precise", "string", "double"],
        default: None,
        what: "Debezium's decimal.handling.mode: precise under envelope 'debezium'; otherwise, unless given, numbers \
               and their text. A schema part in the record overrides it.",
    },
    SourceOption {
        name: "time_precision_mode",
        values: &["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"],
        default: None,
        what: "Debezium's time.precision.mode: adaptive under envelope 'debezium'; otherwise, unless given, ISO text. \
               A schema part in the record overrides it.",
    },
    SourceOption {
        name: "binary_handling_mode",
        values: &["bytes", "base64", "base64-url-safe", "hex"],
        default: Some("bytes"),
        what: "Debezium's binary.handling.mode: bytes and base64 are both base64 in JSON. A schema part in the record \
               overrides it.",
    },
];

/// Not an option of a statement: the records are ours, and hold neither Debezium's placeholders nor Kafka Connect's schemas,
/// but perhaps values that look like them.
pub const OWN_RECORDS: &str = "millstream.own_records";

/// The options that a decoder takes.
pub fn source_options() -> &'static [SourceOption] {
    OPTIONS
}

/// Checks the values of the decoder's options; others are not looked at.
pub fn check_options(options: &Options) -> Result<(), SchemaError> {
    for option in OPTIONS {
        if let Some(value) = options.get(option.name)
            && !option.values.contains(&value)
        {
            return Err(SchemaError::Value { name: option.name, value: value.into(), allowed: option.values });
        }
    }
    Ok(())
}

/// How numerics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalMode {
    /// The unscaled integer's bytes; `{"scale","value"}` if the column has no scale of its own.
    Precise,
    /// As decimal text, or as numbers.
    Text,
}

/// How dates and times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeMode {
    /// By the declared precision.
    Adaptive,
    /// Milliseconds.
    Connect,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// ISO text.
    Text,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryMode {
    /// Base64.
    Base64,
    /// Base64 with the alphabet of URLs.
    Base64Url,
    /// Hexadecimal digits.
    Hex,
}

/// The handling modes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes {
    pub decimal: DecimalMode,
    pub time: TimeMode,
    pub binary: BinaryMode,
    /// Whether a value may be a placeholder, and a record may bring its schema.
    pub foreign: bool,
}

impl Modes {
    /// The modes that checked options ask for.
    pub fn of(options: &Options, envelope: Envelope) -> Self {
        let debezium = envelope == Envelope::Debezium;
        let decimal = match options.get("decimal_handling_mode") {
            Some("precise") => DecimalMode::Precise,
            None if debezium => DecimalMode::Precise,
            _ => DecimalMode::Text,
        };
        let time = match options.get("time_precision_mode") {
            Some("adaptive" | "adaptive_time_microseconds") => TimeMode::Adaptive,
            Some("connect") => TimeMode::Connect,
            Some("microseconds") => TimeMode::Micros,
            Some("nanoseconds") => TimeMode::Nanos,
            None if debezium => TimeMode::Adaptive,
            _ => TimeMode::Text,
        };
        let binary = match options.get("binary_handling_mode") {
            Some("base64-url-safe") => BinaryMode::Base64Url,
            Some("hex") => BinaryMode::Hex,
            _ => BinaryMode::Base64,
        };
        Self { decimal, time, binary, foreign: options.get(OWN_RECORDS).is_none() }
    }
}

/// Whether the source's `before` is declared to be the whole old row.
pub(crate) fn full_identity(options: &Options) -> bool {
    options.get("replica_identity") == Some("full")
}
