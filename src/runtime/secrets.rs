//! Passwords of statements, kept in the data folder and nowhere else: not in the epoch topic, not in checkpoints, not in what
//! is shown.
//!
//! ```text
//! CREATE SINK ... url = 'postgres://u:geheim@h/d'  ─►  the statement, planned, logged, shown:  ...://u:millstream-secret-1@h/d
//!                                                  ─►  DATA/secrets.json, for its owner alone:  {"1": "geheim"}
//! ```
//! A password gets the same number again, so that a statement that is said again is the same statement. Numbers are written,
//! durably, before the statement that has them is logged. Who opens a connection has them replaced at that moment, where a
//! password is and nowhere else; a number that somebody types there is a password like any other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::{Connectors, Lines, LogError, Target, TargetError, TargetSpec, Transport};
use plan::{Options, SinkDef, SourceDef};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// What a password's number stands behind.
const REFERENCE: &str = "millstream-secret-";
const FORMAT: u32 = 1;

/// The passwords of a data folder.
#[derive(Debug)]
pub(crate) struct Vault {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    secrets: BTreeMap<u64, String>,
    /// Whether the file has them all.
    written: bool,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({} secrets)", self.secrets.len())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    secrets: BTreeMap<u64, String>,
}

impl Vault {
    /// Reads the passwords of a file, if it is there.
    pub fn open(path: PathBuf) -> Result<Self, EngineError> {
        let secrets = match fs::read(&path) {
            Ok(bytes) => {
                let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
                    EngineError::Recovery(format!("cannot read {}: {error}; restore it from a backup", path.display()))
                })?;
                if stored.format != FORMAT {
                    return Err(EngineError::Recovery(format!(
                        "{} has format {}, and this version knows {FORMAT}: start the newer millstream that wrote it",
                        path.display(),
                        stored.format
                    )));
                }
                stored.secrets
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(cause) => return Err(file_error("read", &path, cause)),
        };
        Ok(Self { path, known: Mutex::new(Known { secrets, written: true }) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A statement without its passwords. [`Vault::keep`] must follow before it is logged.
    pub fn hide(&self, statement: &str) -> String {
        let mut known = self.known();
        plan::replace_passwords(statement, &mut |secret| {
            let number = known.secrets.iter().find(|(_, there)| *there == secret).map(|(number, _)| *number);
            let number = number.unwrap_or_else(|| {
                let next = known.secrets.keys().last().map_or(1, |last| last + 1);
                known.secrets.insert(next, secret.to_string());
                known.written = false;
                next
            });
            format!("{REFERENCE}{number}")
        })
    }

    /// Writes what is not written yet.
    pub fn keep(&self) -> Result<(), EngineError> {
        let mut known = self.known();
        if !known.written {
            let stored = Stored { format: FORMAT, secrets: known.secrets.clone() };
            write(&self.path, &stored).map_err(|cause| file_error("write", &self.path, cause))?;
            known.written = true;
        }
        Ok(())
    }

    /// An option's value with its passwords.
    fn reveal(&self, name: &str, value: &str) -> Result<String, String> {
        let known = self.known();
        let mut missing = None;
        let revealed = plan::reveal_in_option(name, value, &mut |shown| {
            let Some(number) = shown.strip_prefix(REFERENCE) else { return shown.to_string() };
            // An older version may have left the end of a password where it was.
            let (number, rest) = number.split_at(number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len()));
            let secret = number.parse().ok().and_then(|number: u64| known.secrets.get(&number));
            secret.map(|secret| format!("{secret}{rest}")).unwrap_or_else(|| {
                missing = Some(format!(
                    "the password {REFERENCE}{number} is not in {}: put that file back, or DROP and CREATE again what has it",
                    self.path.display()
                ));
                String::new()
            })
        });
        missing.map_or(Ok(revealed), Err)
    }

    fn revealed(&self, options: &Options) -> Result<Options, String> {
        let pairs = options.0.iter().map(|(name, value)| Ok((name.clone(), self.reveal(name, value)?)));
        pairs.collect::<Result<_, String>>().map(Options)
    }
}

fn write(path: &Path, stored: &Stored) -> io::Result<()> {
    let temp = path.with_extension("json.tmp");
    match fs::remove_file(&temp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temp)?;
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_all()?;
    fs::rename(&temp, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn file_error(action: &'static str, path: &Path, cause: io::Error) -> EngineError {
    EngineError::File { action, path: path.display().to_string(), cause }
}

/// Connectors that are given passwords where the engine has numbers.
pub(crate) struct Revealing {
    pub inner: Arc<dyn Connectors>,
    pub vault: Arc<Vault>,
}

impl Revealing {
    fn spec(&self, spec: &TargetSpec) -> Result<TargetSpec, TargetError> {
        Ok(TargetSpec { sink: self.sink(&spec.sink).map_err(TargetError::Refused)?, ..spec.clone() })
    }

    fn sink(&self, sink: &SinkDef) -> Result<SinkDef, String> {
        Ok(SinkDef { options: self.vault.revealed(&sink.options)?, ..sink.clone() })
    }
}

impl Connectors for Revealing {
    fn transport(&self, source: &SourceDef) -> Result<Option<Arc<dyn Transport>>, LogError> {
        let options = self.options(&source.options).map_err(LogError::Unusable)?;
        self.inner.transport(&SourceDef { options, ..source.clone() })
    }

    fn target(&self, spec: &TargetSpec) -> Result<Box<dyn Target>, TargetError> {
        self.inner.target(&self.spec(spec)?)
    }

    fn lines(&self, spec: &TargetSpec) -> Result<Box<dyn Lines>, TargetError> {
        self.inner.lines(&self.spec(spec)?)
    }

    fn check(&self, sink: &SinkDef) -> Result<(), String> {
        self.inner.check(&self.sink(sink)?)
    }

    fn options(&self, options: &Options) -> Result<Options, String> {
        self.inner.options(&self.vault.revealed(options)?)
    }

    fn without_secrets(&self, options: &Options) -> Options {
        self.inner.without_secrets(options)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_in_the_file_alone_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.json");
        let statement = "CREATE SINK s FROM t WITH (url = 'postgres://u:ge%40heim@h/d', \"kafka.sasl.password\" = 'it''s', x = 'y')";
        let vault = Vault::open(path.clone()).unwrap();
        let hidden = vault.hide(statement);
        let shown = "CREATE SINK s FROM t WITH (url = 'postgres://u:millstream-secret-1@h/d', \
                     \"kafka.sasl.password\" = 'millstream-secret-2', x = 'y')";
        assert_eq!(hidden, shown);
        assert!(!path.exists());
        vault.keep().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Vault::open(path.clone()).unwrap();
        assert_eq!(again.hide(statement), shown, "the same statement is the same text");
        assert_eq!(again.reveal("url", "postgres://u:millstream-secret-1@h/d").unwrap(), "postgres://u:ge%40heim@h/d");
        assert_eq!(again.reveal("kafka.sasl.password", "millstream-secret-2").unwrap(), "it's");
        assert!(again.reveal("password", "millstream-secret-3").unwrap_err().contains("put that file back"));
        assert!(!format!("{again:?}").contains("heim"));

        let typed = "CREATE SINK p FROM t WITH (url = 'postgres://u:millstream-secret-1@h/d', application_name = 'millstream-secret-1')";
        let hidden = again.hide(typed);
        assert!(hidden.contains("u:millstream-secret-3@h/d', application_name = 'millstream-secret-1'"), "{hidden}");
        let url = again.reveal("url", "postgres://u:millstream-secret-3@h/d").unwrap();
        assert_eq!(url, "postgres://u:millstream-secret-1@h/d", "who types a number is not given what it stands for");
        assert_eq!(again.reveal("application_name", "millstream-secret-1").unwrap(), "millstream-secret-1");

        fs::write(&path, "{\"format\":2,\"secrets\":{}}").unwrap();
        assert!(Vault::open(path.clone()).unwrap_err().to_string().contains("format 2"));
        fs::write(&path, "{").unwrap();
        assert!(Vault::open(path).unwrap_err().to_string().contains("restore it"));
    }
}
