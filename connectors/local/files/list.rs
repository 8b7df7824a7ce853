//! Which files there are, and the number of each.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use api::LogError;
use glob::MatchOptions;
use xxhash_rust::xxh3::xxh3_64;
use zset::Partition;

/// Files by their numbers.
pub(super) type Files = BTreeMap<Partition, PathBuf>;

/// As a shell does it: a star stays within a folder, and what begins with a dot is named or not meant.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Refuses what is no pattern.
pub(crate) fn check(pattern: &str) -> Result<(), LogError> {
    let refuse = |why: String| Err(LogError::Unusable(format!("path '{pattern}' cannot be used: {why}")));
    if pattern.is_empty() {
        return refuse("it is empty; name a file, or a pattern such as 'data/*.jsonl'".to_string());
    }
    if Path::new(pattern).is_dir() {
        return refuse(format!("it is a folder; name its files: '{}/*'", pattern.trim_end_matches('/')));
    }
    match glob::Pattern::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => refuse(error.to_string()),
    }
}

/// The files that match now. Several paths of one file are one file.
pub(super) fn files(pattern: &str) -> Result<Files, LogError> {
    let unusable = |why: String| LogError::Unusable(format!("cannot list the files {pattern}: {why}"));
    let mut files = Files::new();
    for path in glob::glob_with(pattern, OPTIONS).map_err(|error| unusable(error.to_string()))? {
        let path = path.map_err(|error| unusable(error.to_string()))?;
        if path.is_dir() {
            continue;
        }
        // Gone since it was listed: as if it had not been there.
        let Ok(path) = path.canonicalize() else { continue };
        let number = number(&path);
        if let Some(other) = files.insert(number, path.clone()).filter(|other| *other != path) {
            return Err(unusable(format!(
                "{} and {} would have the same number, {number}; rename one of them",
                other.display(),
                path.display()
            )));
        }
    }
    Ok(files)
}

/// The number of a file: 31 bits of its path.
pub(crate) fn number(path: &Path) -> Partition {
    Partition((xxh3_64(path.as_os_str().as_bytes()) & 0x7fff_ffff) as i32)
}

/// Whether the folder is there into which files could come.
pub(super) fn folder_exists(pattern: &str) -> bool {
    let fixed: PathBuf = Path::new(pattern)
        .components()
        .take_while(|part| !part.as_os_str().as_bytes().iter().any(|byte| b"*?[".contains(byte)))
        .collect();
    let folder = if fixed == Path::new(pattern) { fixed.parent().unwrap_or(Path::new("")) } else { &fixed };
    folder.as_os_str().is_empty() || folder.is_dir()
}
