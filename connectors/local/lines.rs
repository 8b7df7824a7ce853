//! A file of JSON lines that a sink appends to, `{"key":...,"value":...}` a line: each epoch once, whatever crashes.
//!
//! Beside the file lies `FILE.progress`, which says whose the file is and how long it was after which epoch. An epoch's lines
//! are on disk before it is written, by renaming; what the file holds beyond that length is of an epoch that did not come to
//! an end, and is cut off when it is opened. A file that is not this sink's is refused, and not touched.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use api::{Lines, Progress, TargetError, TargetSpec};
use serde::{Deserialize, Serialize};
use zset::{Epoch, Generation};

/// See the module.
#[derive(Debug)]
pub struct LinesFile {
    path: PathBuf,
    owner: Owner,
    open: Option<(File, Stored)>,
}

/// Whose a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    pipeline: String,
    sink: String,
    incarnation: String,
}

/// What is in `FILE.progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    owner: Owner,
    generation: Generation,
    /// `None`: the file was claimed, and has no epoch yet.
    epoch: Option<Epoch>,
    length: u64,
}

impl LinesFile {
    /// The file of a sink; nothing is touched yet.
    pub fn new(spec: &TargetSpec) -> Result<Self, TargetError> {
        let path = check_path(spec.sink.options.get("path")).map_err(TargetError::Refused)?;
        let TargetSpec { pipeline, incarnation, .. } = spec.clone();
        let owner = Owner { pipeline, sink: spec.sink.name.clone(), incarnation };
        Ok(Self { path, owner, open: None })
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn failed(&self, what: &str, path: &Path, error: &std::io::Error) -> TargetError {
        TargetError::Refused(format!("cannot {what} {}: {error}", path.display()))
    }

    fn refuse<T>(&self, why: &str) -> Result<T, TargetError> {
        let progress = self.beside(".progress");
        Err(TargetError::Refused(format!(
            "{why}; give this sink another path, or remove {} and {}",
            self.path.display(),
            progress.display()
        )))
    }

    /// How far the file is, by the file beside it; `None`: there is none.
    fn stored(&self) -> Result<Option<Stored>, TargetError> {
        let path = self.beside(".progress");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", &path, &error)),
        };
        match serde_json::from_slice::<Stored>(&bytes) {
            Ok(stored) if stored.owner == self.owner => Ok(Some(stored)),
            Ok(Stored { owner: Owner { pipeline, sink, incarnation }, .. }) => self.refuse(&format!(
                "{} belongs to sink {sink} of pipeline \"{pipeline}\", incarnation {incarnation}, and this one is sink {} of \
                 pipeline \"{}\", incarnation {}",
                self.path.display(),
                self.owner.sink,
                self.owner.pipeline,
                self.owner.incarnation
            )),
            Err(error) => self.refuse(&format!("cannot understand {}: {error}", path.display())),
        }
    }

    fn store(&self, stored: &Stored) -> Result<(), TargetError> {
        let (path, temporary) = (self.beside(".progress"), self.beside(".progress.tmp"));
        let bytes = serde_json::to_vec(stored).expect("progress is always JSON");
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| self.failed("write", &path, &error))
    }
}

impl Lines for LinesFile {
    fn open(&mut self) -> Result<Option<Progress>, TargetError> {
        self.open = None;
        let stored = self.stored()?;
        let file = OpenOptions::new().read(true).write(true).create(stored.is_none()).truncate(false).open(&self.path);
        let mut file = file.map_err(|error| self.failed("open", &self.path, &error))?;
        let length = file.metadata().map_err(|error| self.failed("look at", &self.path, &error))?.len();
        let stored = match stored {
            Some(stored) if length < stored.length => {
                return self.refuse(&format!(
                    "{} has {length} bytes, and had {} after epoch {}: it was cut or replaced",
                    self.path.display(),
                    stored.length,
                    stored.epoch.unwrap_or_default()
                ));
            }
            Some(stored) => stored,
            None if length > 0 => {
                return self.refuse(&format!("{} is there already, and is not this sink's", self.path.display()));
            }
            None => {
                let stored = Stored { owner: self.owner.clone(), generation: Generation(0), epoch: None, length: 0 };
                self.store(&stored)?;
                stored
            }
        };
        file.set_len(stored.length)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(|error| self.failed("cut", &self.path, &error))?;
        let progress = stored.epoch.map(|epoch| Progress {
            incarnation: self.owner.incarnation.clone(),
            generation: stored.generation,
            epoch,
        });
        self.open = Some((file, stored));
        Ok(progress)
    }

    fn append(&mut self, lines: &[u8], after: &Progress) -> Result<(), TargetError> {
        let there = self.stored()?;
        let Some((file, stored)) = &mut self.open else {
            return Err(TargetError::Refused(format!("{} is not open", self.path.display())));
        };
        if there.as_ref() != Some(&*stored) {
            let path = self.path.display();
            return Err(TargetError::Refused(format!("{path} was written by somebody else meanwhile; start again")));
        }
        let seen = fs::metadata(&self.path).and_then(|there| Ok((there, file.metadata()?)));
        if !seen.is_ok_and(|(there, open)| there.ino() == open.ino() && open.len() == stored.length) {
            let path = self.path.display();
            return Err(TargetError::Refused(format!(
                "{path} was cut, renamed or removed while it was written; put it back as it was and start again, or DROP the sink \
                 and CREATE it with another path (to rotate, do that too)"
            )));
        }
        let length = stored.length + lines.len() as u64;
        let after =
            Stored { owner: self.owner.clone(), generation: after.generation, epoch: Some(after.epoch), length };
        if let Err(error) = file.write_all(lines).and_then(|()| file.sync_data()) {
            // Opening cuts it off too; but who reads the file meanwhile should see whole epochs.
            let _ = file.set_len(stored.length);
            self.open = None;
            return Err(self.failed("append to", &self.path, &error));
        }
        self.store(&after)?;
        if let Some((_, stored)) = &mut self.open {
            *stored = after;
        }
        Ok(())
    }
}

/// Checks option `path`.
pub fn check_path(path: Option<&str>) -> Result<PathBuf, String> {
    match path {
        None | Some("") => {
            Err("a sink to a file needs a path: say WITH (connector = 'file', path = '/folder/name')".to_string())
        }
        Some(path) if path.ends_with('/') || Path::new(path).is_dir() => {
            Err(format!("path = '{path}' is a folder: name a file in it"))
        }
        Some(path) if path.contains("://") => {
            Err(format!("path = '{path}' is a url: a path of this machine is needed"))
        }
        Some(path) => Ok(path.into()),
    }
}
