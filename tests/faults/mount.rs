//! File systems of a test's own, where mounting is permitted: one in memory of a size, and one on an image that its kernel can be told
//! to find an error in, whereupon it is read-only.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system, gone when this is.
pub struct Mount {
    pub at: PathBuf,
    /// The name of the device of an image.
    device: Option<String>,
}

fn run(command: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(command).args(arguments).output().map_err(|error| format!("{command}: {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if done.status.success() { Ok(said(&done.stdout)) } else { Err(format!("{command}: {}", said(&done.stderr))) }
}

/// Says why a test does nothing here.
fn skipped<T>(result: Result<T, String>) -> Option<T> {
    result.inspect_err(|why| println!("SKIPPED, nothing can be mounted here: {why}")).ok()
}

impl Mount {
    /// Memory of a size; `None` if mounting is not permitted, which is printed.
    pub fn memory(at: &Path, size: &str) -> Option<Self> {
        let make = || {
            std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
            run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", path(at)])?;
            Ok(Self { at: at.to_path_buf(), device: None })
        };
        skipped(make())
    }

    /// An image; `None` if mounting is not permitted, which is printed.
    pub fn image(at: &Path) -> Option<Self> {
        let make = || {
            let image = at.with_extension("image");
            let file = std::fs::File::create(&image).and_then(|file| file.set_len(96 << 20));
            file.map_err(|error| error.to_string())?;
            std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
            run("mkfs.ext4", &["-q", "-F", path(&image)])?;
            let device = run("losetup", &["--find", "--show", path(&image)])?;
            let mount = Self { at: at.to_path_buf(), device: Some(device.clone()) };
            run("mount", &["-o", "errors=remount-ro", &device, path(at)])?;
            Ok(mount)
        };
        skipped(make())
    }

    /// Mounts it anew with an option.
    pub fn remount(&self, option: &str) {
        run("mount", &["-o", &format!("remount,{option}"), path(&self.at)]).expect("it can be mounted anew");
    }

    /// The kernel finds an error in the image.
    pub fn fail(&self) {
        let device = self.device.as_deref().expect("an image");
        let name = device.rsplit('/').next().expect("a name");
        std::fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "test").expect("the kernel takes it");
    }

    /// Somebody mends the image.
    pub fn mend(&self) {
        let device = self.device.as_deref().expect("an image");
        run("umount", &[path(&self.at)]).expect("nobody uses it");
        // It says by its code that it has mended something.
        let _ = run("e2fsck", &["-fy", device]);
        run("mount", &["-o", "errors=remount-ro", device, path(&self.at)]).expect("it can be mounted");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path")
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", path(&self.at)]);
        if let Some(device) = &self.device {
            let _ = run("losetup", &["-d", device]);
        }
    }
}
