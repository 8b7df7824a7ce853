//! Checkpoints seen from outside: which there are, whether each is whole, and the removal of those that are not needed.
//!
//! Listing reads manifests and sizes, beside whoever works in the folder. Checking opens a checkpoint as a start does, by way
//! of a folder of its own, and reads every block; it and removing hold the folder's lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fault::Failpoints;
use zset::Epoch;

use super::{files, open};
use crate::manifest::{FILE, Manifest};
use crate::{Budget, StateError};

/// The folder in which a checkpoint is opened to be checked.
const SCRATCH: &str = "check";

/// A checkpoint that is there.
#[derive(Debug)]
pub struct CheckpointFiles {
    /// The epoch that its folder is named by.
    pub epoch: Epoch,
    /// Bytes of its files.
    pub bytes: u64,
    /// When its manifest was written.
    pub made: Option<SystemTime>,
    /// What its manifest says; else why that cannot be read, or what of its files is not as it says.
    pub content: Result<CheckpointContent, StateError>,
}

/// What a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointContent {
    /// The format of its manifest and blocks.
    pub format: u32,
    /// What was given to [`crate::Store::checkpoint`].
    pub metadata: Vec<u8>,
    /// Its arrangements.
    pub arrangements: usize,
    /// Their batches.
    pub batches: usize,
    /// The blocks of these.
    pub blocks: u64,
    /// The entries in them.
    pub entries: u64,
}

/// The checkpoints in a folder, oldest first, by their manifests and the sizes of their files. One that is removed meanwhile is
/// left out.
pub fn list_checkpoints(dir: &Path) -> Result<Vec<CheckpointFiles>, StateError> {
    let folder = files::checkpoints(dir);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut epochs: Vec<u64> = files::names(&folder)?.iter().filter_map(|name| name.parse().ok()).collect();
    epochs.sort_unstable();
    let mut found = Vec::with_capacity(epochs.len());
    for epoch in epochs.into_iter().map(Epoch) {
        let path = files::checkpoint(dir, epoch);
        let content = read_manifest(&path, epoch).and_then(|manifest| {
            files::compare_sizes(&path, &manifest.files)?;
            content(manifest)
        });
        if !path.exists() {
            continue;
        }
        let made = fs::metadata(path.join(FILE)).and_then(|metadata| metadata.modified()).ok();
        found.push(CheckpointFiles { epoch, bytes: bytes_of(&path), made, content });
    }
    Ok(found)
}

fn read_manifest(folder: &Path, epoch: Epoch) -> Result<Manifest, StateError> {
    let path = folder.join(FILE);
    let bytes = fs::read(&path).map_err(StateError::io("read", &path))?;
    let manifest = Manifest::decode(&bytes, &path)?;
    if manifest.epoch != epoch {
        let reason = format!("it is of epoch {}", manifest.epoch);
        return Err(StateError::damaged(format!("manifest {}", path.display()), reason));
    }
    Ok(manifest)
}

fn content(manifest: Manifest) -> Result<CheckpointContent, StateError> {
    let batches = || manifest.arrangements.iter().flat_map(|list| &list.batches);
    let content = CheckpointContent {
        format: manifest.format,
        arrangements: manifest.arrangements.len(),
        batches: batches().count(),
        blocks: batches().map(|batch| u64::from(batch.blocks)).sum(),
        entries: batches().map(|batch| batch.entries).sum(),
        metadata: Vec::new(),
    };
    let what = format!("metadata of checkpoint {}", manifest.epoch);
    let metadata = manifest.metadata.bytes().ok_or_else(|| StateError::damaged(what, "it is not hexadecimal"))?;
    Ok(CheckpointContent { metadata, ..content })
}

fn bytes_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// A folder of checkpoints that nobody else works in.
#[derive(Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    _lock: File,
}

impl Checkpoints {
    /// Takes the folder.
    pub fn lock(dir: &Path) -> Result<Self, StateError> {
        Ok(Self { dir: dir.to_path_buf(), _lock: open::lock(dir)? })
    }

    /// Opens a checkpoint as a start does, and reads and checks all of it: manifest, files, every block.
    pub fn check(&self, epoch: Epoch) -> Result<CheckpointContent, StateError> {
        let scratch = self.dir.join(SCRATCH);
        files::remove_dir(&scratch)?;
        // With no room, so that what is checked is not kept.
        let opened =
            open::open_checkpoint(&self.dir, epoch, &scratch, &Failpoints::default(), &Arc::new(Budget::new(0)));
        let checked = opened.and_then(|opened| opened.check()).and_then(content);
        files::remove_dir(&scratch)?;
        checked
    }

    /// Whether an error says that the checkpoint is damaged, and not that it could not be looked at.
    pub fn is_damage(error: &StateError) -> bool {
        open::is_damage(error)
    }

    /// Removes checkpoints.
    pub fn remove(&self, epochs: &[Epoch]) -> Result<(), StateError> {
        epochs.iter().try_for_each(|epoch| files::remove_checkpoint(&self.dir, *epoch))?;
        files::sync_dir(&files::checkpoints(&self.dir))
    }
}
