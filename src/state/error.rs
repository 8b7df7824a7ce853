//! What can go wrong with state: what was being done, to what, why, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use zset::Epoch;

use crate::ArrangementId;

/// A failure of the state or of its store.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process, or another store of this one, works in the folder.
    #[error("cannot open the state in {}: another process holds its lock; stop that process or take another folder", .0.display())]
    Locked(PathBuf),
    /// The file system refused.
    #[error("cannot {action} {}: {source}; check the disk's space and the folder's rights", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// RocksDB refused.
    #[error("cannot {action}: RocksDB says: {source}")]
    Rocks {
        /// What was being done.
        action: &'static str,
        /// Why not.
        source: rocksdb::Error,
    },
    /// A file, a block or a manifest is not what was written.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// What is.
        what: String,
        /// How that is known.
        reason: String,
    },
    /// What is not in memory was asked for after the store was closed.
    #[error("cannot read state that is not in memory: its store is closed")]
    Closed,
    /// A newer program wrote it.
    #[error(
        "{} has {what} {found}, and this program knows {known}: start it with the version of Millstream that wrote it, \
         or with a newer one",
        path.display()
    )]
    OtherFormat {
        /// The manifest.
        path: PathBuf,
        /// Which format.
        what: &'static str,
        /// What is written there.
        found: u32,
        /// What this program writes.
        known: u32,
    },
    /// There are checkpoints and none can be opened.
    #[error(
        "no whole checkpoint among the {} in {}: {}; restore the folder from a backup. Starting from nothing would \
         lose state, so it is not done",
        skipped.len(),
        dir.display(),
        list(skipped)
    )]
    NoWholeCheckpoint {
        /// The folder of the checkpoints.
        dir: PathBuf,
        /// Each one and what is wrong with it.
        skipped: Vec<(Epoch, String)>,
    },
    /// A row's weights sum to more than 64 bits hold.
    #[error("a row of arrangement {0} has a weight of more than 64 bits: it was inserted or retracted too often")]
    WeightOverflow(ArrangementId),
    /// One probe found more rows than can be counted.
    #[error("a probe of arrangement {0} matches more than {max} rows: make the epochs smaller", max = u32::MAX)]
    TooManyMatches(ArrangementId),
    /// A step of a checkpoint was made to fail.
    #[error("the checkpoint is not made: {0}")]
    Stopped(#[from] fault::Fault),
}

impl StateError {
    /// Wraps an I/O error with what was being done and where.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Wraps a RocksDB error with what was being done.
    pub(crate) fn rocks(action: &'static str) -> impl FnOnce(rocksdb::Error) -> Self {
        move |source| Self::Rocks { action, source }
    }

    /// Something read back is not what was written.
    pub(crate) fn damaged(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), reason: reason.into() }
    }
}

fn list(skipped: &[(Epoch, String)]) -> String {
    skipped.iter().map(|(epoch, reason)| format!("{epoch}: {reason}")).collect::<Vec<_>>().join("; ")
}
