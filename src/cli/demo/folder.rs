//! The demo's data folder: where it is, and how it is emptied without ever emptying somebody else's.

use std::fs;
use std::path::{Path, PathBuf};

use runtime::DataDir;

use crate::cli::Failure;

/// What a data folder holds. The identity goes last: as long as it is there, the folder is known to be ours.
const PARTS: [&str; 4] = ["state", "log", "identity.json.tmp", "identity.json"];

/// `${XDG_DATA_HOME:-~/.local/share}/millstream/demo`
pub(super) fn default() -> Result<PathBuf, Failure> {
    let given = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = given("XDG_DATA_HOME").or_else(|| given("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("millstream/demo"))
        .ok_or_else(|| Failure::usage("neither XDG_DATA_HOME nor HOME is set; say where the demo may live: --data DIR"))
}

/// Deletes what a demo has left in a folder; refuses a folder that is not one of ours, or in use.
pub(super) fn empty(folder: &Path) -> Result<(), Failure> {
    let there = |name: &str| folder.join(name).exists();
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(());
    }
    if !(there("lock") && there("identity.json")) {
        let only_lock =
            fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == "lock"));
        if only_lock {
            return Ok(());
        }
        return Err(Failure::usage(format!(
            "--fresh: {} is not empty, and not a data folder of millstream (it has no lock and identity.json); delete it \
             yourself, or give --data another folder",
            folder.display()
        )));
    }
    let _locked = DataDir::lock(folder)?;
    for name in PARTS {
        let path = folder.join(name);
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match gone {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::while_doing(&format!("cannot delete {}", path.display()), error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_our_own_folder_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("demo");
        empty(&folder).unwrap();
        fs::create_dir_all(folder.join("state")).unwrap();
        fs::write(folder.join("lock"), "").unwrap();
        fs::write(folder.join("thesis.tex"), "").unwrap();
        assert_eq!(empty(&folder).unwrap_err().code, 2, "a folder without an identity is not ours");
        assert!(folder.join("state").exists());
        fs::write(folder.join("identity.json"), "{}").unwrap();
        let held = DataDir::lock(&folder).unwrap();
        assert_eq!(empty(&folder).unwrap_err().code, 3, "it is in use");
        drop(held);
        empty(&folder).unwrap();
        assert!(!folder.join("state").exists() && !folder.join("identity.json").exists());
        assert!(folder.join("thesis.tex").exists(), "what is not ours stays");
    }
}
