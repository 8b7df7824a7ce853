//! The options of a sink to PostgreSQL: where it is, which table, and where the password comes from. The password is read
//! when the connection is opened, and never shown.

use std::fmt;
use std::path::PathBuf;

use plan::Options;
use tokio_postgres::Config;

use crate::encryption::Encryption;
use crate::error::Failure;
use crate::session::Session;

/// What every session begins with: text forms that mean one thing, and no waiting for ever. A commit that is reported must
/// outlive a crash of the server. And a session whose other end has gone without a word may not hold our progress for ever.
const SESSION: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'; \
    SET client_min_messages = warning; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// See the module.
#[derive(Clone)]
pub(crate) struct Settings {
    config: Config,
    encryption: Encryption,
    password: Password,
    /// The schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
}

#[derive(Debug, Clone)]
enum Password {
    /// As the url says, or none.
    Url,
    File(PathBuf),
    Env(String),
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Checks a sink's options, touching nothing.
pub fn check(options: &Options) -> Result<(), String> {
    Settings::parse(options).map(|_| ())
}

impl Settings {
    /// Reads the options.
    pub fn parse(options: &Options) -> Result<Self, String> {
        let missing = |name: &str, example: &str| {
            format!("a sink to PostgreSQL needs {name}: say WITH (..., {name} = '{example}')")
        };
        let url = options.get("url").ok_or_else(|| missing("url", "postgres://user@host:5432/database"))?;
        let (config, encryption) = parse_url(url)?;
        let table = options.get("table").ok_or_else(|| missing("table", "schema.table"))?;
        let (schema, table) = parse_table(table)?;
        let password = match (options.get("password_file"), options.get("password_env")) {
            (None, None) => Password::Url,
            (Some(_), Some(_)) => {
                return Err("password_file and password_env are both given: leave one out".to_string());
            }
            _ if config.get_password().is_some() => {
                return Err(
                    "the url has a password, and password_file or password_env is given: leave one out".to_string()
                );
            }
            (Some(path), None) => Password::File(path.into()),
            (None, Some(name)) if name.is_empty() || name.contains('=') => {
                return Err(format!("password_env = '{name}' is no name of an environment variable"));
            }
            (None, Some(name)) => Password::Env(name.to_string()),
        };
        Ok(Self { config, encryption, password, schema, table })
    }

    /// For errors and logs: where it is, without the password.
    pub fn name(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let ports = self.config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let hosts: Vec<String> = hosts.enumerate().map(|(at, host)| format!("{host}:{}", port(at))).collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("PostgreSQL at {}/{database}, table {}", hosts.join(","), self.quoted())
    }

    /// The table's name in SQL.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.table))
    }

    /// Connects, and prepares the session.
    pub fn connect(&self) -> Result<Session, Failure> {
        let mut config = self.config.clone();
        match &self.password {
            Password::Url => {}
            Password::File(path) => {
                let read = std::fs::read_to_string(path).map_err(|error| {
                    Failure::refused(format!("cannot read password_file {}: {error}", path.display()))
                })?;
                config.password(read.trim_end_matches(['\r', '\n']));
            }
            Password::Env(name) => {
                let value = std::env::var(name).map_err(|_| {
                    Failure::refused(format!("the environment has no variable {name}, which password_env names"))
                })?;
                config.password(value);
            }
        }
        config.application_name("millstream");
        let mut session = self.encryption.connect(&config)?;
        session.batch("prepare the session", SESSION)?;
        Ok(session)
    }
}

fn parse_url(url: &str) -> Result<(Config, Encryption), String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("url must begin with postgres://, as postgres://user@host:5432/database".to_string());
    }
    let (url, encryption) = Encryption::split(url)?;
    // The parser names the option that is wrong, never its value.
    let config: Config = url.parse().map_err(|error| {
        let error: tokio_postgres::Error = error;
        let cause = std::error::Error::source(&error).map_or(error.to_string(), |cause| cause.to_string());
        format!(
            "url cannot be understood: {cause}; write postgres://user@host:5432/database, special characters as %XX"
        )
    })?;
    if config.get_hosts().is_empty() {
        return Err("url names no host: write postgres://user@host:5432/database".to_string());
    }
    if config.get_user().is_none() {
        return Err("url names no user: write postgres://user@host:5432/database".to_string());
    }
    Ok((config, encryption))
}

/// `table`, `schema.table`; names in double quotes are taken as they are, others in lower case, as PostgreSQL does.
fn parse_table(text: &str) -> Result<(String, String), String> {
    let wrong = || {
        format!(
            "table = '{text}' is no name of a table: write 'table' or 'schema.table', and \"Name\" where case matters"
        )
    };
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        let (name, behind) = one_name(rest).ok_or_else(wrong)?;
        names.push(name);
        match behind.strip_prefix('.') {
            Some(behind) => rest = behind,
            None if behind.is_empty() => break,
            None => return Err(wrong()),
        }
    }
    match names.as_slice() {
        [table] => Ok(("public".to_string(), table.clone())),
        [schema, table] => Ok((schema.clone(), table.clone())),
        _ => Err(wrong()),
    }
}

/// The first name, and what is behind it.
fn one_name(text: &str) -> Option<(String, &str)> {
    if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let end = rest.find('"')?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(behind) => {
                    name.push('"');
                    rest = behind;
                }
                None => return (!name.is_empty()).then_some((name, rest)),
            }
        }
    }
    let end = text.find('.').unwrap_or(text.len());
    let name = &text[..end];
    let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (begins && name.chars().all(good)).then(|| (name.to_lowercase(), &text[end..]))
}

/// A name in SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        Options(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        Settings::parse(&options(pairs)).unwrap_err()
    }

    #[test]
    fn names_of_tables() {
        let parsed = |text: &str| parse_table(text).ok();
        let names = |schema: &str, table: &str| Some((schema.to_string(), table.to_string()));
        assert_eq!(parsed("t"), names("public", "t"));
        assert_eq!(parsed("Sales.Orders"), names("sales", "orders"));
        assert_eq!(parsed("\"Sales.x\".\"a\"\"b\""), names("Sales.x", "a\"b"));
        for wrong in ["", ".", "a.", ".a", "a.b.c", "a b", "\"a", "\"\"", "a;drop", "\"a\"b", "1a"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn wrong_options_are_told_of_and_no_password_is_shown() {
        let url = ("url", "postgres://u:geheim@h:1/d");
        let table = ("table", "t");
        for (pairs, why) in [
            (&[table][..], "needs url"),
            (&[url], "needs table"),
            (&[("url", "mysql://u:geheim@h/d"), table], "must begin with postgres://"),
            (&[("url", "postgres://u:geheim@h:x/d"), table], "cannot be understood"),
            (&[("url", "postgres://u:geheim@h/d?sslmode=always"), table], "sslmode=always"),
            (&[("url", "postgres://u:geheim@h/d?sslmode=verify-full"), table], "sslrootcert"),
            (&[("url", "postgres://u:geheim@h/d?sslcert=/c"), table], "sslkey"),
            (&[("url", "postgres://h/d"), table], "no user"),
            (&[("url", "postgres:///d"), table], "no host"),
            (&[url, table, ("password_env", "P")], "leave one out"),
            (&[("url", "postgres://u@h/d"), table, ("password_env", "P"), ("password_file", "/p")], "leave one out"),
            (&[url, ("table", "a.b.c")], "no name of a table"),
        ] {
            let message = refusal(pairs);
            assert!(message.contains(why) && !message.contains("geheim"), "{message}");
        }
        let settings = Settings::parse(&options(&[url, table])).unwrap();
        let shown = format!("{settings:?} {}", settings.name());
        assert!(shown.contains("h:1/d") && !shown.contains("geheim"), "{shown}");
    }
}
