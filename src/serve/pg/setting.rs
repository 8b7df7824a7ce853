//! The settings that a session knows, and what each of them takes. Most do nothing: they are there so that drivers, which set
//! them unasked, are content.

use std::time::Duration;

use super::error::PgError;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Anything.
    Any,
    /// Nothing: it says what is so.
    Nothing,
    /// Its default alone, in whatever case: another value would promise what is not kept.
    Itself,
    Boolean,
    Encoding,
    DateStyle,
    TimeZone,
    Time,
    Isolation,
}

/// One that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The name, as SHOW says it.
    pub name: &'static str,
    pub default: &'static str,
    pub takes: Takes,
    /// Whether the client is told its value when it changes.
    pub reported: bool,
}

const fn plain(name: &'static str, default: &'static str, takes: Takes) -> Setting {
    Setting { name, default, takes, reported: false }
}

const fn reported(name: &'static str, default: &'static str, takes: Takes) -> Setting {
    Setting { name, default, takes, reported: true }
}

/// The version that clients are told, and behave by.
pub(crate) const SERVER_VERSION: &str = concat!("15.0 (millstream ", env!("CARGO_PKG_VERSION"), ")");

/// All that are known, by name.
pub(crate) const KNOWN: &[Setting] = &[
    reported("application_name", "", Takes::Any),
    plain("backslash_quote", "safe_encoding", Takes::Any),
    plain("bytea_output", "hex", Takes::Itself),
    reported("client_encoding", "UTF8", Takes::Encoding),
    plain("client_min_messages", "notice", Takes::Any),
    reported("DateStyle", "ISO, MDY", Takes::DateStyle),
    plain("default_transaction_deferrable", "off", Takes::Boolean),
    plain("default_transaction_isolation", "read committed", Takes::Isolation),
    reported("default_transaction_read_only", "off", Takes::Boolean),
    plain("escape_string_warning", "on", Takes::Boolean),
    plain("extra_float_digits", "1", Takes::Any),
    plain("idle_in_transaction_session_timeout", "0", Takes::Time),
    reported("in_hot_standby", "off", Takes::Nothing),
    reported("integer_datetimes", "on", Takes::Nothing),
    reported("IntervalStyle", "postgres", Takes::Itself),
    reported("is_superuser", "on", Takes::Nothing),
    plain("lc_collate", "C", Takes::Nothing),
    plain("lc_ctype", "C.UTF-8", Takes::Nothing),
    plain("lc_messages", "C", Takes::Any),
    plain("lc_monetary", "C", Takes::Any),
    plain("lc_numeric", "C", Takes::Any),
    plain("lc_time", "C", Takes::Any),
    plain("lock_timeout", "0", Takes::Any),
    plain("max_identifier_length", "63", Takes::Nothing),
    plain("max_index_keys", "32", Takes::Nothing),
    plain("row_security", "on", Takes::Any),
    plain("search_path", "\"$user\", public", Takes::Any),
    reported("server_encoding", "UTF8", Takes::Nothing),
    reported("server_version", SERVER_VERSION, Takes::Nothing),
    plain("server_version_num", "150000", Takes::Nothing),
    reported("session_authorization", "", Takes::Nothing),
    reported("standard_conforming_strings", "on", Takes::Itself),
    plain("statement_timeout", "0", Takes::Time),
    plain("synchronous_commit", "on", Takes::Any),
    reported("TimeZone", "UTC", Takes::TimeZone),
    plain("transaction_deferrable", "off", Takes::Boolean),
    plain("transaction_isolation", "read committed", Takes::Isolation),
    plain("transaction_read_only", "off", Takes::Boolean),
    plain("xmloption", "content", Takes::Any),
];

/// The setting of a name, in whatever case.
pub(crate) fn known(name: &str) -> Option<&'static Setting> {
    KNOWN.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

impl Setting {
    /// The value as it is kept, and a warning where it is kept only.
    pub fn check(&self, value: &str) -> Result<(String, Option<String>), PgError> {
        let invalid = || PgError::new("22023", format!("invalid value for parameter \"{}\": \"{value}\"", self.name));
        let kept = match self.takes {
            Takes::Any => value.to_string(),
            Takes::Nothing => {
                return Err(PgError::new("55P02", format!("parameter \"{}\" cannot be changed", self.name)));
            }
            Takes::Itself if value.eq_ignore_ascii_case(self.default) => self.default.to_string(),
            Takes::Itself if self.default == "on" && boolean(value) == Some(true) => self.default.to_string(),
            Takes::Itself => return Err(invalid().hint(format!("only \"{}\" is supported", self.default))),
            Takes::Boolean => if boolean(value).ok_or_else(invalid)? { "on" } else { "off" }.to_string(),
            Takes::Encoding => encoding(value).ok_or_else(|| invalid().hint("only UTF8 is supported"))?,
            Takes::DateStyle => date_style(value).ok_or_else(|| invalid().hint("only ISO is supported"))?,
            Takes::Time => {
                let hint = "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".";
                in_words(time(value).ok_or_else(|| invalid().hint(hint))?)
            }
            Takes::Isolation => {
                let level = ISOLATION.iter().find(|level| level.eq_ignore_ascii_case(value));
                level.ok_or_else(|| invalid().hint(format!("Available values: {}.", ISOLATION.join(", "))))?.to_string()
            }
            Takes::TimeZone if is_utc(value) => value.to_string(),
            Takes::TimeZone => {
                let warning = format!("times are shown in UTC, not in \"{value}\": no other time zone is supported");
                return Ok((value.to_string(), Some(warning)));
            }
        };
        Ok((kept, None))
    }
}

/// The levels of isolation.
const ISOLATION: [&str; 4] = ["serializable", "repeatable read", "read committed", "read uncommitted"];

/// PostgreSQL's words for it, which may be cut short.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "tru" | "tr" | "t" | "yes" | "ye" | "y" | "1" => Some(true),
        "off" | "of" | "false" | "fals" | "fal" | "fa" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Without an encoding of its own, a client takes the bytes as they are: that is UTF-8 too.
fn encoding(value: &str) -> Option<String> {
    let name: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    match name.to_ascii_uppercase().as_str() {
        "UTF8" | "UNICODE" => Some("UTF8".to_string()),
        "SQLASCII" => Some("SQL_ASCII".to_string()),
        _ => None,
    }
}

/// The order is that of dates that are read, of which ISO's needs none.
fn date_style(value: &str) -> Option<String> {
    let mut order = "MDY";
    for word in value.split(',') {
        match word.trim().to_ascii_uppercase().as_str() {
            "ISO" | "DEFAULT" => {}
            "MDY" | "US" | "NONEUROPEAN" => order = "MDY",
            "DMY" | "EUROPEAN" => order = "DMY",
            "YMD" => order = "YMD",
            _ => return None,
        }
    }
    Some(format!("ISO, {order}"))
}

fn is_utc(zone: &str) -> bool {
    let names =
        ["UTC", "GMT", "Etc/UTC", "Etc/GMT", "Z", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT", "Universal", "Etc/Universal"];
    names.iter().any(|name| name.eq_ignore_ascii_case(zone))
        || matches!(zone, "0" | "+00" | "+00:00" | "-00:00" | "GMT0")
}

/// `1000`, `'1s'`, `'5 min'`: milliseconds without a unit.
pub(crate) fn time(value: &str) -> Option<Duration> {
    let value = value.trim();
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = value[..value.len() - unit.len()].trim().parse().ok()?;
    let factor = match unit.trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let millis = (number * factor).round();
    (0.0..=f64::from(i32::MAX)).contains(&millis).then(|| Duration::from_millis(millis as u64))
}

/// In the largest unit that divides it, as PostgreSQL shows it.
pub(crate) fn in_words(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)];
    match units.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0".to_string(),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kept(name: &str, value: &str) -> Result<String, &'static str> {
        known(name).unwrap().check(value).map(|(kept, _)| kept).map_err(|error| error.sqlstate)
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(kept("client_encoding", "'utf-8'").unwrap(), "UTF8");
        assert_eq!(kept("client_encoding", "LATIN1"), Err("22023"));
        assert_eq!(kept("datestyle", "iso").unwrap(), "ISO, MDY");
        assert_eq!(kept("datestyle", "ISO, DMY").unwrap(), "ISO, DMY");
        assert_eq!(kept("datestyle", "German"), Err("22023"));
        assert_eq!(kept("standard_conforming_strings", "true").unwrap(), "on");
        assert_eq!(kept("standard_conforming_strings", "off"), Err("22023"));
        assert_eq!(kept("server_version", "9"), Err("55P02"));
        assert_eq!(kept("default_transaction_read_only", "yes").unwrap(), "on");
        assert_eq!(kept("default_transaction_read_only", "perhaps"), Err("22023"));
    }

    #[test]
    fn another_time_zone_is_kept_with_a_warning() {
        let zone = known("TimeZone").unwrap();
        assert_eq!(zone.check("Etc/UTC").unwrap(), ("Etc/UTC".to_string(), None));
        let (kept, warning) = zone.check("Europe/Berlin").unwrap();
        assert_eq!(kept, "Europe/Berlin");
        assert!(warning.unwrap().contains("UTC"));
    }

    #[test]
    fn times_have_units() {
        for (value, shown) in
            [("0", "0"), ("1500", "1500ms"), ("2s", "2s"), ("90 s", "90s"), ("60000", "1min"), ("1.5h", "90min")]
        {
            assert_eq!(kept("statement_timeout", value).unwrap(), shown);
        }
        for wrong in ["", "soon", "-1", "1 fortnight", "3000000000"] {
            assert_eq!(kept("statement_timeout", wrong), Err("22023"), "{wrong}");
        }
    }
}
