//! A Kafka of the test's own, which is killed and comes back while others use theirs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A broker, stopped when it goes out of scope.
pub struct Broker {
    dir: PathBuf,
    pub address: String,
    up: bool,
}

impl Broker {
    pub fn start(dir: &Path) -> Self {
        let dir = dir.join("kafka");
        // A folder that is there already is not removed by stop.
        std::fs::create_dir(&dir).expect("a folder can be made");
        let mut broker = Self { dir, address: String::new(), up: false };
        broker.come_back();
        broker
    }

    /// A broker of `tests/services/cluster`, in its folder; not started yet.
    pub fn prepared(dir: PathBuf) -> Self {
        Self { dir, address: String::new(), up: false }
    }

    fn service(&self, what: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/kafka");
        let done = Command::new(script).arg(what).arg(&self.dir).stdin(Stdio::null()).output().expect("a script");
        assert!(done.status.success(), "Kafka does not {what}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("an address").trim().to_string()
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        if !std::mem::take(&mut self.up) {
            return;
        }
        let pid = std::fs::read_to_string(self.dir.join("pid")).expect("it runs");
        let sent = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill is there");
        assert!(sent.success(), "the signal is sent");
        wait_gone(pid.trim());
    }

    /// Serves again, on its port and its data.
    pub fn come_back(&mut self) {
        if !self.up {
            self.address = self.service("start");
            self.up = true;
        }
    }
}

/// Waits until a process that was told to end is gone.
pub fn wait_gone(pid: &str) {
    let is_alive = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("State:") && !status.contains("State:\tZ")
    };
    let deadline = std::time::Instant::now() + super::rig::PATIENCE;
    while is_alive() {
        assert!(std::time::Instant::now() < deadline, "process {pid} is gone");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/kafka");
        let _ = Command::new(script).arg("stop").arg(&self.dir).stdin(Stdio::null()).status();
    }
}
