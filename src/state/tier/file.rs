//! The file of a large batch, which is written once and never changed: its blocks one behind the other, its index, and where that
//! begins.
//!
//! ```text
//! file  block x blocks, index, index_start:u64
//! ```
//!
//! RocksDB would write the blocks of a batch to a table, and again to another one when it compacts; nothing here needs either.
//! A file may be read as soon as it is written. It is durable from [`BatchFile::make_durable`] on, and counts through a manifest only.
//!
//! Who reads opens it, and closes it again: there may be as many files as all tables have levels, and a process may have fewer open.
//! A file that is not durable yet is open until it is; [`Handles`] says when those are many. So is one that a merge writes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::StateError;

/// A batch that may have so many bytes has a file; those of others are values in RocksDB.
pub(super) const FILE_BYTES: usize = 1 << 20;
/// What the name of such a file ends with.
pub(crate) const SUFFIX: &str = ".blocks";

/// So many bytes are written at once.
const BUFFER: usize = 256 << 10;
const FOOTER: u64 = 8;
/// So many files may be open because they are not durable.
const HANDLES_MAX: usize = 64;

/// The files that are whole, and open because they are not durable yet.
#[derive(Debug, Default)]
pub(super) struct Handles(Arc<()>);

impl Handles {
    /// Whether another one should rather be made durable than stay open.
    pub(super) fn are_many(&self) -> bool {
        Arc::strong_count(&self.0) - 1 > HANDLES_MAX
    }
}

/// What the file of a batch is called.
pub(super) fn name(batch: u64) -> String {
    format!("batch-{batch}{SUFFIX}")
}

/// See the module.
#[derive(Debug)]
pub(crate) struct BatchFile {
    path: PathBuf,
    unsynced: Mutex<Unsynced>,
}

/// Whether a file has survived what may come.
#[derive(Debug)]
enum Unsynced {
    /// It has.
    Nothing,
    /// By what it was written: the system tells of an error once, and to whom had the file open when it came to be.
    Written(Handle),
    /// It was told: nobody knows what is in the file.
    Lost,
}

/// A file that is open, and counted.
#[derive(Debug)]
struct Handle {
    file: File,
    _counted: Arc<()>,
}

impl BatchFile {
    /// One that a checkpoint had.
    pub(crate) fn of_checkpoint(path: PathBuf) -> Self {
        Self { path, unsynced: Mutex::new(Unsynced::Nothing) }
    }

    /// Has it survive a crash. Whether it had to be done.
    pub(crate) fn make_durable(&self) -> Result<bool, StateError> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = match &*unsynced {
            Unsynced::Nothing => return Ok(false),
            Unsynced::Written(handle) => handle.file.sync_all(),
            Unsynced::Lost => {
                Err(io::Error::other("it failed before, and what is in the file is not known; start again"))
            }
        };
        *unsynced = if synced.is_ok() { Unsynced::Nothing } else { Unsynced::Lost };
        synced.map(|()| true).map_err(StateError::io("sync", &self.path))
    }

    /// Gives it a second name, in a checkpoint.
    pub(crate) fn link(&self, folder: &Path) -> Result<(), StateError> {
        let Some(name) = self.path.file_name() else { unreachable!("the path of a batch's file has a name") };
        let target = folder.join(name);
        link(&self.path, &target).map_err(StateError::io("make", &target))
    }

    /// The bytes of a block.
    pub(crate) fn read(&self, place: Range<u64>) -> io::Result<Vec<u8>> {
        read(&File::open(&self.path)?, place)
    }

    /// The bytes of the index.
    pub(crate) fn read_index(&self) -> io::Result<Vec<u8>> {
        let file = File::open(&self.path)?;
        let end = file.metadata()?.len().checked_sub(FOOTER).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut start = [0; FOOTER as usize];
        file.read_exact_at(&mut start, end)?;
        let start = u64::from_le_bytes(start);
        if start > end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read(&file, start..end)
    }
}

/// Gives a file a second name, or copies it: some file systems have no hard links. Nothing that stands there is ever written to: it
/// may be the file itself.
pub(crate) fn link(source: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(source, target) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let mut copy = File::create_new(target)?;
            io::copy(&mut File::open(source)?, &mut copy)?;
            copy.sync_all()
        }
        linked => linked,
    }
}

fn read(file: &File, place: Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (place.end - place.start) as usize];
    file.read_exact_at(&mut bytes, place.start)?;
    Ok(bytes)
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct FileWriter {
    path: PathBuf,
    handles: Weak<()>,
    file: Option<File>,
    buffer: Vec<u8>,
    /// Bytes that are in the file.
    written: u64,
}

impl FileWriter {
    pub(super) fn new(path: PathBuf, handles: &Handles) -> Self {
        Self { path, handles: Arc::downgrade(&handles.0), file: None, buffer: Vec::new(), written: 0 }
    }

    /// Adds what `encode` appends. Returns where it ends.
    pub(super) fn add(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<u64, StateError> {
        encode(&mut self.buffer);
        let end = self.written + self.buffer.len() as u64;
        if self.buffer.len() >= BUFFER {
            self.write()?;
        }
        Ok(end)
    }

    /// Writes the last of it: the index was added, and begins there.
    pub(super) fn finish(mut self, index_start: u64) -> Result<BatchFile, StateError> {
        self.buffer.extend_from_slice(&index_start.to_le_bytes());
        self.write()?;
        let file = self.file.expect("it has been written to");
        let handle = Handle { file, _counted: self.handles.upgrade().unwrap_or_default() };
        Ok(BatchFile { path: self.path, unsynced: Mutex::new(Unsynced::Written(handle)) })
    }

    fn write(&mut self) -> Result<(), StateError> {
        let file = match &mut self.file {
            Some(file) => file,
            // A batch's number is never used twice.
            none => none.insert(File::create_new(&self.path).map_err(StateError::io("make", &self.path))?),
        };
        file.write_all(&self.buffer).map_err(StateError::io("write", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
