//! Encryption, against the real thing: psql and HTTPS clients at our listeners, PostgreSQL as a target, a Kafka that wants TLS
//! and a login; each with a private authority, and each refused where it must be.

mod kafka;
mod listeners;
mod target;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::cli::support::{LONG, Running, outcome};

/// A folder of certificates, and services started for one test, which end with it.
struct World {
    dir: tempfile::TempDir,
    /// What was started: the script, its folder.
    services: Vec<(&'static str, PathBuf)>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // User postgres passes through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let world = Self { dir, services: Vec::new() };
        script("certificates", &[&world.certificates()]);
        world
    }

    fn certificates(&self) -> PathBuf {
        self.dir.path().join("certificates")
    }

    /// The path of a PEM file, as text.
    fn pem(&self, name: &str) -> String {
        self.certificates().join(name).display().to_string()
    }

    /// Starts a service that speaks TLS; answers its folder.
    fn start(&mut self, service: &'static str) -> PathBuf {
        let dir = self.dir.path().join(service);
        self.services.push((service, dir.clone()));
        script(service, &[Path::new("start"), &dir, &self.certificates()]);
        dir
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (service, dir) in &self.services {
            let _ = Command::new(path_of(service)).arg("stop").arg(dir).status();
        }
    }
}

fn path_of(script: &str) -> String {
    format!("{}/tests/services/{script}", env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str, arguments: &[&Path]) {
    let (code, _, errors) = outcome(&Command::new(path_of(name)).args(arguments).output().unwrap());
    assert_eq!(code, 0, "{name}: {errors}");
}

/// Runs psql with one statement; its exit code, answer and errors.
fn psql(url: &str, statement: &str) -> (i32, String, String) {
    outcome(&Command::new("psql").args(["-X", "-At", url, "-c", statement]).output().unwrap())
}

/// Waits until a statement has this answer at a server.
fn wait_answer(url: &str, statement: &str, answer: &str, trouble: impl Fn() -> String) {
    let deadline = Instant::now() + LONG;
    loop {
        let (_, found, errors) = psql(url, statement);
        if found == answer {
            return;
        }
        assert!(Instant::now() < deadline, "{statement}: {found:?}, {errors}; {}", trouble());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The url of a pipeline without encryption.
fn url_of(running: &Running) -> String {
    format!("postgres://u@{}/d", running.pg)
}
