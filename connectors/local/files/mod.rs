//! Files of JSON lines, read as a topic: each file is a partition, each line a record, its offset the byte it begins at.
//!
//! A file is known by its path (links resolved), and its partition is a number made from that. Files only grow: a line that
//! was read stays as it was. One that got shorter or was written anew is an error as soon as that is seen; one that is gone
//! was read as far as it was. The end of a file, as of a log, is one behind the offset of its last line.
//!
//! | `follow` | |
//! |---|---|
//! | true | Lines and files that come later are read; the last line waits for its line feed. |
//! | false | What is there when reading begins is read, to the last byte, and nothing that comes after that. |
//!
//! Lines end with LF or CR LF; empty ones are no records. A line is the record's value; where records have keys it may
//! be `{"key": ..., "value": ...}`. A record has a time only if such a line says one.

mod cursor;
mod cut;
mod end;
mod line;
mod list;
mod reader;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use api::{Bounds, LogError, Reader, TopicPartition, Transport};
use plan::{Envelope, SourceDef};
use zset::{Offset, Partition, TimestampMs};

#[cfg(test)]
pub(crate) use cut::LINE_BYTES_MAX;
use list::Files;
#[cfg(test)]
pub(crate) use list::{check, number};
use reader::FileReader;

/// The files of one source.
#[derive(Debug, Clone)]
pub struct FileTransport {
    shared: Arc<Shared>,
}

/// What a transport and its readers share.
#[derive(Debug)]
struct Shared {
    pattern: String,
    follow: bool,
    /// Whether a line may hold key and value.
    keyed: bool,
    /// Without `follow`: the files as they were first listed.
    listed: OnceLock<Files>,
    /// Without `follow`: how long each file was when it was first looked at.
    lengths: Mutex<HashMap<PathBuf, u64>>,
    /// The end of each file of a length, so that it is searched for once.
    ends: Mutex<HashMap<PathBuf, (u64, i64)>>,
}

impl FileTransport {
    /// The files of a source with connector 'file'.
    pub fn new(source: &SourceDef) -> Result<Self, LogError> {
        let pattern = source.options.get("path").unwrap_or(&source.topic);
        let follow = source.options.get("follow").is_none_or(|follow| follow != "false");
        list::check(pattern)?;
        Ok(Self::of(pattern, follow, source.envelope != Envelope::Append))
    }

    pub(crate) fn of(pattern: &str, follow: bool, keyed: bool) -> Self {
        let shared = Shared {
            pattern: pattern.to_string(),
            follow,
            keyed,
            listed: OnceLock::new(),
            lengths: Mutex::default(),
            ends: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    fn files(&self) -> Result<Files, LogError> {
        if self.follow {
            return list::files(&self.pattern);
        }
        if let Some(files) = self.listed.get() {
            return Ok(files.clone());
        }
        let files = list::files(&self.pattern)?;
        Ok(self.listed.get_or_init(|| files).clone())
    }

    fn path(&self, partition: Partition) -> Result<PathBuf, LogError> {
        self.files()?.remove(&partition).ok_or_else(|| {
            LogError::Unusable(format!(
                "no file that matches {} has the number {partition}: it is gone, or was moved; put it back as it was",
                self.pattern
            ))
        })
    }

    /// How many bytes of a file there are to read; `None`: the file is gone.
    fn length(&self, path: &Path) -> Result<Option<u64>, LogError> {
        let now = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("look at", path, &error)),
        };
        if self.follow {
            return Ok(Some(now));
        }
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that got shorter shows it.
        Ok(Some(now.min(*lengths.entry(path.to_path_buf()).or_insert(now))))
    }

    fn bounds(&self, path: &Path) -> Result<Bounds, LogError> {
        let Some(length) = self.length(path)? else {
            return Err(LogError::Unusable(format!("the file {} is gone; put it back as it was", path.display())));
        };
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ends.get(path).filter(|(of, _)| *of == length).map(|(_, end)| *end);
        let end = match known {
            Some(end) => end,
            None => end::end(path, length, self.follow).map_err(|error| failed("read", path, &error))?,
        };
        ends.insert(path.to_path_buf(), (length, end));
        Ok(Bounds { low: Offset(0), high: Offset(end) })
    }
}

fn failed(doing: &str, path: &Path, error: &std::io::Error) -> LogError {
    LogError::Unusable(format!("cannot {doing} the file {}: {error}", path.display()))
}

impl Transport for FileTransport {
    fn name(&self) -> String {
        format!("files {}", self.shared.pattern)
    }

    /// `None`: there is no such file, or not even the folder it could come into.
    fn partitions(&self, _: &str) -> Result<Option<Vec<Partition>>, LogError> {
        let files = self.shared.files()?;
        let may_come = self.shared.follow && list::folder_exists(&self.shared.pattern);
        Ok((may_come || !files.is_empty()).then(|| files.into_keys().collect()))
    }

    fn partitions_go(&self) -> bool {
        true
    }

    fn place(&self, at: &TopicPartition) -> String {
        match self.shared.path(at.partition) {
            Ok(path) => format!("file {}", path.display()),
            Err(_) => format!("file number {} of {}", at.partition, self.shared.pattern),
        }
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.shared.bounds(&self.shared.path(at.partition)?)
    }

    fn offset_at(&self, _: &TopicPartition, _: TimestampMs) -> Result<Offset, LogError> {
        Err(LogError::Unusable(
            "the lines of files have no time to start at; say start = 'earliest' or 'latest'".into(),
        ))
    }

    fn reader(&self, properties: &BTreeMap<String, String>) -> Result<Box<dyn Reader>, LogError> {
        if let Some(name) = properties.keys().next() {
            return Err(LogError::Unusable(format!("files have no property {name}; take it out")));
        }
        Ok(Box::new(FileReader::new(&self.shared)))
    }
}
