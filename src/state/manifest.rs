//! A checkpoint's manifest: one JSON file, written last, that makes the checkpoint count.
//!
//! `{"checksum": xxh3 of the body's bytes, "body": {...}}`. The checksum is looked at first, then the format's number,
//! then the rest; so a torn file is told from one that a newer program wrote.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;
use zset::{Epoch, ROW_FORMAT};

use crate::{ArrangementId, Law, StateError};

/// The format of checkpoints: manifest, block keys, blocks. Raised with any change of them. Of 1, the indexes of batches have no
/// filter; of 2, no batch has a file of its own, and blocks are of the first kind.
pub(crate) const FORMAT: u32 = 3;
/// The oldest format that is read.
const FORMAT_MIN: u32 = 1;

/// What the file is called.
pub(crate) const FILE: &str = "manifest.json";

/// What a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) row_format: u32,
    pub(crate) epoch: Epoch,
    /// The next batch id: ids are never used twice.
    pub(crate) next_batch: u64,
    /// What the runtime wanted kept beside the arrangements.
    pub(crate) metadata: Metadata,
    pub(crate) arrangements: Vec<ArrangementEntry>,
    /// Every other file of the checkpoint.
    pub(crate) files: Vec<FileEntry>,
}

/// Bytes, readable where they are text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Metadata {
    Text(String),
    Hex(String),
}

/// The list of an arrangement's batches, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArrangementEntry {
    pub(crate) id: ArrangementId,
    pub(crate) law: Law,
    pub(crate) batches: Vec<BatchEntry>,
}

/// A batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchEntry {
    pub(crate) id: u64,
    pub(crate) entries: u64,
    pub(crate) blocks: u32,
    /// It has a file of its own, and is not in RocksDB.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) file: bool,
}

/// A file of the checkpoint's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Of RocksDB's own small files. Of the tables only the size is kept: every block of theirs is checked when read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) xxh3: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    checksum: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Formats {
    format: u32,
    row_format: u32,
}

/// The checksum of bytes as it is written in JSON.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

impl Metadata {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_string()),
            Err(_) => Self::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }

    /// The bytes; `None` if the hexadecimal form is none.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Hex(hex) => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect(),
        }
    }
}

impl Manifest {
    /// The file's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let body = serde_json::value::to_raw_value(self).expect("a manifest is JSON");
        let sealed = Sealed { checksum: checksum(body.get().as_bytes()), body: &body };
        let mut bytes = serde_json::to_vec(&sealed).expect("a manifest is JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the file's bytes. `path` is for the errors.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self, StateError> {
        let damaged = |reason: String| StateError::damaged(format!("manifest {}", path.display()), reason);
        let sealed: Sealed<'_> = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        let found = checksum(sealed.body.get().as_bytes());
        if found != sealed.checksum {
            return Err(damaged(format!("its checksum is {found}, written was {}", sealed.checksum)));
        }
        let formats: Formats = serde_json::from_str(sealed.body.get()).map_err(|error| damaged(error.to_string()))?;
        for (what, found, oldest, known) in [
            ("checkpoint format", formats.format, FORMAT_MIN, FORMAT),
            ("row format", formats.row_format, ROW_FORMAT, ROW_FORMAT),
        ] {
            if !(oldest..=known).contains(&found) {
                return Err(StateError::OtherFormat { path: path.to_path_buf(), what, found, known });
            }
        }
        serde_json::from_str(sealed.body.get()).map_err(|error| damaged(error.to_string()))
    }
}
