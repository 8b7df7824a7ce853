//! Files and folders of the store, and what is done to them durably.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zset::Epoch;

use crate::StateError;
use crate::manifest::{self, FileEntry};
use crate::tier::{FILE_SUFFIX, link};

/// The folder of this run's database.
pub(super) fn live(dir: &Path) -> PathBuf {
    dir.join("live")
}

/// The folder of all checkpoints.
pub(super) fn checkpoints(dir: &Path) -> PathBuf {
    dir.join("checkpoints")
}

/// A checkpoint's folder.
pub(super) fn checkpoint(dir: &Path, epoch: Epoch) -> PathBuf {
    checkpoints(dir).join(epoch.to_string())
}

/// The folder of a checkpoint that is being made or removed; removed at opening.
pub(super) fn unfinished(dir: &Path, epoch: Epoch) -> PathBuf {
    checkpoints(dir).join(format!("{epoch}.tmp"))
}

/// Removes a folder with all in it, if it is there.
pub(super) fn remove_dir(path: &Path) -> Result<(), StateError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a checkpoint. It is renamed first, so that a folder half removed is not taken for a damaged checkpoint.
pub(super) fn remove_checkpoint(dir: &Path, epoch: Epoch) -> Result<(), StateError> {
    let (path, temporary) = (checkpoint(dir, epoch), unfinished(dir, epoch));
    remove_dir(&temporary)?;
    if path.exists() {
        fs::rename(&path, &temporary).map_err(StateError::io("rename", &path))?;
    }
    remove_dir(&temporary)
}

/// The names in a folder, sorted.
pub(super) fn names(path: &Path) -> Result<Vec<String>, StateError> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = read().map_err(StateError::io("list", path))?;
    names.sort();
    Ok(names)
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StateError::io("sync", path))
}

/// Writes a file so that after a crash it is there whole or not at all.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let temporary = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(StateError::io("write", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Renames a folder and makes the new name durable.
pub(super) fn rename_dir(from: &Path, to: &Path) -> Result<(), StateError> {
    fs::rename(from, to).map_err(StateError::io("rename", from))?;
    to.parent().map_or(Ok(()), sync_dir)
}

/// Whether the file is never changed again, so that it may be linked, and has checksums of its own.
fn is_table(name: &str) -> bool {
    name.ends_with(".sst") || name.ends_with(FILE_SUFFIX)
}

/// Describes the files of a checkpoint that is being made, and makes those durable that RocksDB copied.
pub(super) fn describe(path: &Path) -> Result<Vec<FileEntry>, StateError> {
    let mut files = Vec::new();
    for name in names(path)? {
        let file = path.join(&name);
        if is_table(&name) {
            let size = fs::metadata(&file).map_err(StateError::io("inspect", &file))?.len();
            files.push(FileEntry { name, size, xxh3: None });
        } else {
            let bytes = fs::read(&file).map_err(StateError::io("read", &file))?;
            File::open(&file).and_then(|open| open.sync_all()).map_err(StateError::io("sync", &file))?;
            let xxh3 = Some(manifest::checksum(&bytes));
            files.push(FileEntry { name, size: bytes.len() as u64, xxh3 });
        }
    }
    Ok(files)
}

/// Compares the sizes of a checkpoint's files with what the manifest says of them.
pub(super) fn compare_sizes(folder: &Path, files: &[FileEntry]) -> Result<(), StateError> {
    for FileEntry { name, size, .. } in files {
        let source = folder.join(name);
        let damaged = |reason: String| StateError::damaged(format!("file {}", source.display()), reason);
        let found = match fs::metadata(&source) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("it is missing".into())),
            Err(error) => return Err(StateError::io("inspect", &source)(error)),
        };
        if found != *size {
            return Err(damaged(format!("it has {found} bytes, written were {size}")));
        }
    }
    Ok(())
}

/// Brings a checkpoint's files into the live folder, comparing each with what the manifest says of it. The checkpoint
/// itself is only read: RocksDB writes to the copies, and never to a table.
pub(super) fn bring(from: &Path, files: &[FileEntry], to: &Path) -> Result<(), StateError> {
    fs::create_dir_all(to).map_err(StateError::io("make the folder", to))?;
    compare_sizes(from, files)?;
    for FileEntry { name, xxh3, .. } in files {
        let (source, target) = (from.join(name), to.join(name));
        let damaged = |reason: String| StateError::damaged(format!("file {}", source.display()), reason);
        if is_table(name) {
            link(&source, &target).map_err(StateError::io("make", &target))?;
            continue;
        }
        let bytes = fs::read(&source).map_err(StateError::io("read", &source))?;
        if xxh3.as_ref().is_some_and(|written| *written != manifest::checksum(&bytes)) {
            return Err(damaged("its checksum is not the one written".into()));
        }
        fs::write(&target, &bytes).map_err(StateError::io("write", &target))?;
    }
    Ok(())
}
