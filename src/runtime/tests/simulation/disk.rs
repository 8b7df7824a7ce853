//! What a crash, or a disk that lied, leaves of the data folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::dice::Dice;

/// The checkpoints of a data folder, oldest first.
pub fn checkpoints(data: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(data.join("state/checkpoints")) else { return Vec::new() };
    let named = |path: PathBuf| Some((path.file_name()?.to_str()?.parse().ok()?, path));
    let mut all: Vec<(u64, PathBuf)> = entries.filter_map(|entry| named(entry.unwrap().path())).collect();
    all.sort();
    all
}

/// Copies what is durable of a data folder: not the live database, which is worth nothing after a crash. Tables of RocksDB
/// are linked: they never change.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let target = to.join(&name);
        if path.is_dir() {
            if name != "live" {
                copy(&path, &target);
            }
        } else if name.ends_with(".sst") {
            fs::hard_link(&path, &target).unwrap();
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Puts a copy in place of the folder.
pub fn put_back(data: &Path, copied: &Path) {
    fs::remove_dir_all(data).unwrap();
    copy(copied, data);
}

/// Damages one file of a checkpoint: cut, flipped, emptied or gone. Answers what it did. The file is made anew first: its
/// tables are links to those of the checkpoint before.
pub fn damage(checkpoint: &Path, dice: &mut Dice) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(checkpoint).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let file = dice.pick(&files);
    let mut bytes = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let what = match dice.below(4) {
        0 => return format!("{name} is gone"),
        1 => {
            bytes.truncate(dice.below(bytes.len()));
            format!("{name} is cut to {} bytes", bytes.len())
        }
        2 if !bytes.is_empty() => {
            let bit = dice.below(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            format!("bit {bit} of {name} is flipped")
        }
        _ => {
            bytes.fill(0);
            format!("{name} is all zeros")
        }
    };
    fs::write(file, bytes).unwrap();
    what
}

/// A checkpoint that was being made when the process died.
pub fn leave_unfinished(data: &Path, epoch: u64) {
    let folder = data.join(format!("state/checkpoints/{epoch}.tmp"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("manifest.json"), b"{\"checksum\":").unwrap();
}
