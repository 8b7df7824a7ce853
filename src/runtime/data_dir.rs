//! The data folder: locked by one process, belonging to one log.
//!
//! ```text
//! DATA/lock           held while the process lives
//! DATA/identity.json  which pipeline and which incarnation of its log the folder belongs to
//! DATA/secrets.json   the passwords of statements
//! DATA/state/         checkpoints and the live store
//! DATA/log/           the embedded log, where there is no Kafka
//! DATA/journal/       what was read since the oldest kept checkpoint
//! DATA/ends.json      when the sources were last read to their ends
//! ```

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zset::Generation;

use crate::EngineError;

/// A locked data folder.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// What a data folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The pipeline.
    pub pipeline: String,
    /// The incarnation of its epoch topic.
    pub incarnation: String,
    /// The last start.
    pub generation: Generation,
}

impl DataDir {
    /// Makes the folder if it is missing and locks it.
    pub fn lock(path: &Path) -> Result<Self, EngineError> {
        let file_error = |action, path: &Path| {
            let path = path.display().to_string();
            move |cause| EngineError::File { action, path, cause }
        };
        fs::create_dir_all(path).map_err(file_error("make data folder", path))?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(file_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(EngineError::Locked(path.display().to_string())),
            Err(TryLockError::Error(cause)) => Err(file_error("lock", &lock_path)(cause)),
        }
    }

    /// The path of a data folder that must be there already.
    pub fn existing(path: &Path) -> Result<&Path, EngineError> {
        if path.join("lock").is_file() || path.join("state").is_dir() {
            return Ok(path);
        }
        Err(EngineError::Recovery(format!(
            "there is no data folder in {}: give --data the folder of `millstream run --data`",
            path.display()
        )))
    }

    /// Where the state is.
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Where the embedded log is.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where passwords are.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.path.join("secrets.json")
    }

    /// Where the journal is.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Where it is written when the sources were last read to their ends.
    pub fn ends(&self) -> PathBuf {
        self.path.join("ends.json")
    }

    fn identity_path(&self) -> PathBuf {
        self.path.join("identity.json")
    }

    /// What the folder belongs to; `None` if it is new.
    pub fn identity(&self) -> Result<Option<Identity>, EngineError> {
        let path = self.identity_path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                return Err(EngineError::File { action: "read", path: path.display().to_string(), cause });
            }
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            EngineError::Recovery(format!("cannot read {}: {error}; restore it from a backup", path.display()))
        })
    }

    /// Writes what the folder belongs to: whole or not at all.
    pub fn write_identity(&self, identity: &Identity) -> Result<(), EngineError> {
        let path = self.identity_path();
        let temp = self.path.join("identity.json.tmp");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&temp)?;
            file.write_all(&serde_json::to_vec(identity)?)?;
            file.sync_all()?;
            fs::rename(&temp, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|cause| EngineError::File { action: "write", path: path.display().to_string(), cause })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_has_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::lock(dir.path()).unwrap();
        assert!(matches!(DataDir::lock(dir.path()), Err(EngineError::Locked(_))));
        drop(first);
        DataDir::lock(dir.path()).unwrap();
    }
}
