//! PostgreSQL's text forms of values, read and written by our own code.
//!
//! Every reader here accepts what PostgreSQL 15 accepts for the type with `TimeZone = 'UTC'` and `DateStyle = ISO`, as far
//! as machines write it (ISO 8601 and PostgreSQL's own output; no month names, no `now`), and nothing that would lose a
//! digit where the type promises to keep it.

mod binary;
mod civil;
mod datetime;
mod datetime_out;
mod jsonb;
mod number;
mod numeric;
mod plain;

use std::borrow::Cow;

pub use binary::{base64, base64_url, bytea, hex, uuid};
pub use civil::{civil_from_days, days_from_civil, days_in_month};
pub use datetime::{MICROS_PER_DAY, check_date, check_timestamp, date, round_timestamp, time, timestamp, timestamptz};
pub use datetime_out::{write_date, write_time, write_timestamp};
pub use jsonb::{JSON_DEPTH_MAX, jsonb};
pub(crate) use jsonb::{unescape, write_json_string};
pub use number::{boolean, double, integer, real};
pub use numeric::{
    Digits, numeric128, numeric256, rescale, write_i64, write_i256_trimmed, write_numeric128, write_numeric256,
};
pub(crate) use plain::{plain_len, plain_run};

/// Why a value does not fit a type, as the rest of a sentence that begins with the value: `is not a number`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub Cow<'static, str>);

/// A misfit told in fixed words.
pub(crate) fn misfit<T>(why: &'static str) -> Result<T, Misfit> {
    Err(Misfit(Cow::Borrowed(why)))
}

/// A misfit told with numbers.
pub(crate) fn misfit_with<T>(why: String) -> Result<T, Misfit> {
    Err(Misfit(Cow::Owned(why)))
}

/// The text without the white space that PostgreSQL's input functions skip.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}
