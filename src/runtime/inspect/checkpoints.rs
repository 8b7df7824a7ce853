//! The checkpoints of a data folder: listed beside the process that works in it, checked and pruned only without one.

use std::path::Path;

use plan::Catalog;
use state::{CheckpointContent, Checkpoints, StateError, list_checkpoints};
use zset::{Epoch, TimestampMs};

use crate::checkpoint::Metadata;
use crate::{DataDir, EngineError};

/// A checkpoint, as it is shown.
#[derive(Debug)]
pub struct CheckpointLine {
    /// Its epoch.
    pub epoch: Epoch,
    /// The epoch's time, where it can be read.
    pub timestamp: Option<TimestampMs>,
    /// The hash of its epoch record.
    pub hash: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// The formats of its blocks and of its metadata.
    pub formats: Option<(u32, u32)>,
    /// Rows' entries in its arrangements.
    pub entries: Option<u64>,
    /// Its tables and sinks.
    pub catalog: Option<Catalog>,
    /// What is wrong with it; `None`: it is whole, as far as was looked.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is not what was written.
    Damaged(String),
    /// It cannot be read by this millstream, or now; it may well be whole.
    Unreadable(String),
}

impl Trouble {
    /// In words.
    pub fn text(&self) -> &str {
        match self {
            Self::Damaged(text) | Self::Unreadable(text) => text,
        }
    }
}

/// The checkpoints of a data folder, oldest first, by their manifests.
pub fn list(data: &Path) -> Result<Vec<CheckpointLine>, EngineError> {
    let dir = DataDir::existing(data)?;
    let found = list_checkpoints(&dir.join("state"))?;
    Ok(found.into_iter().map(|found| line(found.epoch, found.bytes, found.content)).collect())
}

/// The same, each opened and read whole. The folder is locked meanwhile.
pub fn check(data: &Path) -> Result<Vec<CheckpointLine>, EngineError> {
    let dir = DataDir::lock(DataDir::existing(data)?)?;
    check_all(&Checkpoints::lock(&dir.state())?, &dir)
}

fn check_all(checkpoints: &Checkpoints, dir: &DataDir) -> Result<Vec<CheckpointLine>, EngineError> {
    let found = list_checkpoints(&dir.state())?;
    Ok(found.into_iter().map(|found| line(found.epoch, found.bytes, checkpoints.check(found.epoch))).collect())
}

/// Removes damaged checkpoints, and all but the newest `keep` whole ones; answers which went and which are left.
pub fn prune(data: &Path, keep: usize) -> Result<(Vec<CheckpointLine>, Vec<CheckpointLine>), EngineError> {
    let dir = DataDir::lock(DataDir::existing(data)?)?;
    let checkpoints = Checkpoints::lock(&dir.state())?;
    let found = check_all(&checkpoints, &dir)?;
    let states: Vec<(Epoch, Option<Trouble>)> = found.iter().map(|line| (line.epoch, line.trouble.clone())).collect();
    let gone = to_prune(&states, keep).map_err(EngineError::Recovery)?;
    checkpoints.remove(&gone)?;
    Ok(found.into_iter().partition(|line| gone.contains(&line.epoch)))
}

/// Which checkpoints are to go, of all there are, oldest first.
fn to_prune(found: &[(Epoch, Option<Trouble>)], keep: usize) -> Result<Vec<Epoch>, String> {
    if let Some((epoch, Some(trouble))) = found.iter().find(|(_, t)| matches!(t, Some(Trouble::Unreadable(_)))) {
        return Err(format!(
            "nothing is removed: whether checkpoint {epoch} is whole is not known: {}",
            trouble.text()
        ));
    }
    let whole: Vec<Epoch> = found.iter().filter(|(_, trouble)| trouble.is_none()).map(|(epoch, _)| *epoch).collect();
    if whole.is_empty() && !found.is_empty() {
        return Err(format!(
            "nothing is removed: none of the {} checkpoints is whole, and they are all there is; restore the folder from a backup",
            found.len()
        ));
    }
    let old = &whole[..whole.len().saturating_sub(keep.max(1))];
    Ok(found.iter().filter(|(epoch, trouble)| trouble.is_some() || old.contains(epoch)).map(|(e, _)| *e).collect())
}

fn line(epoch: Epoch, bytes: u64, content: Result<CheckpointContent, StateError>) -> CheckpointLine {
    let mut line = CheckpointLine {
        epoch,
        timestamp: None,
        hash: None,
        bytes,
        formats: None,
        entries: None,
        catalog: None,
        trouble: None,
    };
    match content {
        Err(error) if Checkpoints::is_damage(&error) => line.trouble = Some(Trouble::Damaged(error.to_string())),
        Err(error) => line.trouble = Some(Trouble::Unreadable(error.to_string())),
        Ok(content) => {
            line.entries = Some(content.entries);
            match Metadata::decode(&content.metadata) {
                Err(error) => line.trouble = Some(Trouble::Unreadable(error.to_string())),
                Ok(metadata) => {
                    line.formats = Some((content.format, metadata.format));
                    line.timestamp = Some(metadata.timestamp);
                    line.hash = Some(metadata.hash);
                    line.catalog = Some(metadata.catalog);
                }
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of folder: `w` whole, `d` damaged, `u` unreadable, oldest first; what is kept of the whole ones, what goes.
    #[test]
    fn what_goes() {
        for (folder, keep, goes) in [
            ("", 1, Ok("")),
            ("w", 1, Ok("")),
            ("w", 0, Ok("")),
            ("ww", 1, Ok("0")),
            ("ww", 0, Ok("0")),
            ("ww", 2, Ok("")),
            ("www", 2, Ok("0")),
            ("dw", 1, Ok("0")),
            ("wd", 1, Ok("1")),
            ("wdw", 2, Ok("1")),
            ("wdwdw", 1, Ok("0123")),
            ("wdwd", 5, Ok("13")),
            ("d", 1, Err("none of the 1 checkpoints is whole")),
            ("ddd", 2, Err("none of the 3 checkpoints is whole")),
            ("wu", 1, Err("whether checkpoint 1 is whole")),
            ("du", 1, Err("whether checkpoint 1 is whole")),
            ("uw", 2, Err("whether checkpoint 0 is whole")),
        ] {
            let trouble = |kind: char| match kind {
                'd' => Some(Trouble::Damaged("torn".into())),
                'u' => Some(Trouble::Unreadable("newer".into())),
                _ => None,
            };
            let found: Vec<_> = folder.chars().zip(0..).map(|(kind, at)| (Epoch(at), trouble(kind))).collect();
            match (to_prune(&found, keep), goes) {
                (Ok(gone), Ok(goes)) => {
                    assert_eq!(gone.iter().map(|epoch| epoch.to_string()).collect::<String>(), goes, "{folder} {keep}");
                }
                (Err(why), Err(words)) => assert!(why.contains(words), "{folder} {keep}: {why}"),
                (found, _) => panic!("{folder} {keep}: {found:?}"),
            }
        }
    }
}
