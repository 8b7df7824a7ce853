//! The settings that clients look up. What a session has set is the session's; here are the values it starts with.

use super::super::value::Value;
use super::super::world::World;
use super::Filler;

/// Name, value, kind of value, who can change it.
const SETTINGS: [(&str, &str, &str, &str); 38] = [
    ("application_name", "", "string", "user"),
    ("block_size", "8192", "integer", "internal"),
    ("bytea_output", "hex", "enum", "user"),
    ("client_encoding", "UTF8", "string", "user"),
    ("client_min_messages", "notice", "enum", "user"),
    ("DateStyle", "ISO, MDY", "string", "user"),
    ("default_table_access_method", "heap", "string", "user"),
    ("default_tablespace", "", "string", "user"),
    ("default_transaction_isolation", "read committed", "enum", "user"),
    ("default_transaction_read_only", "off", "bool", "user"),
    ("extra_float_digits", "1", "integer", "user"),
    ("idle_in_transaction_session_timeout", "0", "integer", "user"),
    ("in_hot_standby", "off", "bool", "internal"),
    ("integer_datetimes", "on", "bool", "internal"),
    ("IntervalStyle", "postgres", "enum", "user"),
    ("is_superuser", "on", "bool", "internal"),
    ("lc_collate", "C", "string", "internal"),
    ("lc_ctype", "C.UTF-8", "string", "internal"),
    ("lc_messages", "C", "string", "superuser"),
    ("lc_monetary", "C", "string", "user"),
    ("lc_numeric", "C", "string", "user"),
    ("lc_time", "C", "string", "user"),
    ("lock_timeout", "0", "integer", "user"),
    ("max_connections", "100", "integer", "postmaster"),
    ("max_identifier_length", "63", "integer", "internal"),
    ("max_index_keys", "32", "integer", "internal"),
    ("search_path", "\"$user\", public", "string", "user"),
    ("server_encoding", "UTF8", "string", "internal"),
    ("server_version", concat!("15.0 (millstream ", env!("CARGO_PKG_VERSION"), ")"), "string", "internal"),
    ("server_version_num", "150000", "integer", "internal"),
    ("session_authorization", "millstream", "string", "user"),
    ("standard_conforming_strings", "on", "bool", "user"),
    ("statement_timeout", "0", "integer", "user"),
    ("synchronous_commit", "on", "enum", "user"),
    ("TimeZone", "UTC", "string", "user"),
    ("transaction_isolation", "read committed", "enum", "user"),
    ("transaction_read_only", "off", "bool", "user"),
    ("wal_level", "logical", "enum", "postmaster"),
];

/// The values that an enum may have.
fn choices(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "bytea_output" => &["escape", "hex"],
        "client_min_messages" => {
            &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]
        }
        "default_transaction_isolation" | "transaction_isolation" => {
            &["serializable", "repeatable read", "read committed", "read uncommitted"]
        }
        "IntervalStyle" => &["postgres", "postgres_verbose", "sql_standard", "iso_8601"],
        _ => return None,
    })
}

/// The value of a setting, by its name in any case.
pub(crate) fn setting(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|setting| setting.0.eq_ignore_ascii_case(name)).map(|setting| setting.1)
}

pub(super) fn pg_settings(out: &mut Filler, _: &World) {
    for (name, value, kind, context) in SETTINGS {
        let choices = choices(name).map(|values| Value::array(values.iter().map(|value| (*value).into())));
        out.add([
            ("name", name.into()),
            ("setting", value.into()),
            ("category", "Client Connection Defaults".into()),
            ("context", context.into()),
            ("vartype", kind.into()),
            ("source", "default".into()),
            ("enumvals", choices.unwrap_or_default()),
            ("boot_val", value.into()),
            ("reset_val", value.into()),
            ("pending_restart", false.into()),
        ]);
    }
}
