//! A session's settings: the known ones, and whatever else a driver sets, kept and shown back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::PgError;
use super::setting::{self, KNOWN, Setting, known};
use super::transaction::begin_anew;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    values: BTreeMap<String, String>,
    /// What RESET goes back to: what the client said when it came.
    start: BTreeMap<String, String>,
}

/// What changed.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// The client is told these.
    pub reported: Vec<(&'static str, String)>,
    pub warning: Option<String>,
}

impl Settings {
    /// Those of a client that says these parameters; and warnings.
    pub fn new(
        user: &str,
        statement_timeout: Duration,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(Self, Vec<String>), PgError> {
        let mut values: BTreeMap<String, String> =
            KNOWN.iter().map(|setting| (key(setting.name), setting.default.to_string())).collect();
        values.insert("session_authorization".to_string(), user.to_string());
        values.insert("statement_timeout".to_string(), setting::in_words(statement_timeout));
        let mut settings = Self { values, start: BTreeMap::new() };
        let mut warnings = Vec::new();
        let options = parameters.get("options").map(|options| of_options(options)).transpose()?.unwrap_or_default();
        let said = parameters.iter().filter(|(name, _)| !is_about_connecting(name));
        for (name, value) in said.map(|(name, value)| (name.as_str(), value.as_str())).chain(pairs(&options)) {
            warnings.extend(settings.set(name, Some(value))?.warning);
        }
        begin_anew(&mut settings);
        settings.start.clone_from(&settings.values);
        Ok((settings, warnings))
    }

    /// Sets one; `None`: back to where it was at the start.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<Changed, PgError> {
        let name = canonical(name);
        let Some(setting) = known(&name) else {
            match value.or(self.start.get(&name).map(String::as_str)).map(str::to_string) {
                Some(value) => self.values.insert(name, value),
                None => self.values.remove(&name),
            };
            return Ok(Changed::default());
        };
        let (value, warning) = match (value, self.start.get(&name)) {
            (Some(value), _) => setting.check(value)?,
            (None, Some(start)) => (start.clone(), None),
            (None, None) => (setting.default.to_string(), None),
        };
        let before = self.values.insert(name, value.clone());
        let reported = setting.reported && before.as_ref() != Some(&value);
        Ok(Changed { reported: reported.then_some((setting.name, value)).into_iter().collect(), warning })
    }

    /// All back to the start.
    pub fn reset(&mut self) -> Changed {
        self.replace(Self { values: self.start.clone(), start: self.start.clone() })
    }

    /// All become others.
    pub fn replace(&mut self, others: Self) -> Changed {
        let before = std::mem::replace(&mut self.values, others.values);
        let changed = |setting: &&Setting| before.get(&key(setting.name)) != self.values.get(&key(setting.name));
        let reported = KNOWN.iter().filter(|setting| setting.reported).filter(changed);
        Changed {
            reported: reported.map(|setting| (setting.name, self.get(setting.name).to_string())).collect(),
            warning: None,
        }
    }

    /// The name as SHOW says it, and the value.
    pub fn show(&self, name: &str) -> Result<(String, String), PgError> {
        let name = canonical(name);
        match self.values.get(&name) {
            Some(value) => Ok((shown_name(&name), value.clone())),
            None => Err(PgError::new("42704", format!("unrecognized configuration parameter \"{name}\""))),
        }
    }

    /// All, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (known(name).map_or(name.as_str(), |setting| setting.name), value.as_str()))
    }

    /// Those that a client hears when it comes.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().filter(|setting| setting.reported).map(|setting| (setting.name, self.get(setting.name)))
    }

    /// How long a statement may take.
    pub fn statement_timeout(&self) -> Option<Duration> {
        setting::time(self.get("statement_timeout")).filter(|time| !time.is_zero())
    }

    /// How long a transaction may wait for its client.
    pub fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        setting::time(self.get("idle_in_transaction_session_timeout")).filter(|time| !time.is_zero())
    }

    /// Whether statements may change nothing.
    pub fn is_read_only(&self) -> bool {
        self.get("transaction_read_only") == "on"
    }

    fn get(&self, name: &str) -> &str {
        self.values.get(&key(name)).map_or("", String::as_str)
    }
}

/// The name as SHOW says it.
pub(crate) fn shown_name(name: &str) -> String {
    let name = canonical(name);
    known(&name).map_or(name.clone(), |setting| setting.name.to_string())
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Some have a name of several words as well.
fn canonical(name: &str) -> String {
    match key(name.trim()).as_str() {
        "time zone" => "timezone".to_string(),
        "names" => "client_encoding".to_string(),
        "session authorization" => "session_authorization".to_string(),
        "transaction isolation level" => "transaction_isolation".to_string(),
        name => name.to_string(),
    }
}

fn is_about_connecting(name: &str) -> bool {
    matches!(name, "user" | "database" | "options" | "replication") || name.starts_with("_pq_.")
}

/// `-c name=value --name=value`; a backslash keeps a space.
fn of_options(options: &str) -> Result<Vec<String>, PgError> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(chars.next()),
            (c, _) if c.is_whitespace() => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let named = match word.strip_prefix("--") {
            Some(long) => {
                Some(long.replacen('-', "_", long.split('=').next().unwrap_or_default().matches('-').count()))
            }
            None if word == "-c" => words.next(),
            None => word.strip_prefix("-c").map(str::to_string),
        };
        match named.filter(|named| named.contains('=')) {
            Some(named) => settings.push(named),
            None => {
                return Err(PgError::fatal(
                    "42601",
                    format!("invalid command-line argument for server process: {word}"),
                )
                .hint("options are -c name=value"));
            }
        }
    }
    Ok(settings)
}

fn pairs(options: &[String]) -> impl Iterator<Item = (&str, &str)> {
    options.iter().filter_map(|option| option.split_once('='))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(parameters: &[(&str, &str)]) -> Settings {
        let parameters = parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Settings::new("ann", Duration::from_secs(60), &parameters).unwrap().0
    }

    fn shown(settings: &Settings, name: &str) -> String {
        settings.show(name).unwrap().1
    }

    #[test]
    fn what_the_client_says_first_is_where_reset_goes() {
        let mut settings = settings(&[
            ("user", "ann"),
            ("application_name", "a"),
            ("options", "-c statement_timeout=5s --my-own=x\\ y"),
        ]);
        assert_eq!(settings.show("DATESTYLE").unwrap(), ("DateStyle".to_string(), "ISO, MDY".to_string()));
        assert_eq!(shown(&settings, "session_authorization"), "ann");
        assert_eq!(shown(&settings, "my_own"), "x y");
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        assert_eq!(
            settings.set("application_name", Some("b")).unwrap().reported,
            [("application_name", "b".to_string())]
        );
        assert_eq!(settings.set("statement_timeout", Some("0")).unwrap().reported, []);
        assert_eq!(settings.statement_timeout(), None);
        settings.set("whatever.it", Some("1")).unwrap();
        assert_eq!(shown(&settings, "whatever.it"), "1");
        assert_eq!(settings.reset().reported, [("application_name", "a".to_string())]);
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        assert_eq!(settings.show("whatever.it").unwrap_err().sqlstate, "42704");
    }

    #[test]
    fn what_is_wrong_keeps_the_client_out() {
        let refused = |name: &str, value: &str| {
            let parameters = [(name.to_string(), value.to_string())].into();
            Settings::new("ann", Duration::ZERO, &parameters).unwrap_err().sqlstate
        };
        assert_eq!(refused("client_encoding", "EUC_JP"), "22023");
        assert_eq!(refused("options", "-x"), "42601");
        assert_eq!(refused("options", "-c nothing"), "42601");
    }
}
