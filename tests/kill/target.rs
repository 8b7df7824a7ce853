//! The target: a PostgreSQL of the test's own, which leaves, dies and comes back, and whose tables are judged at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use postgres::{Client, NoTls};

use super::model::Expected;

/// A PostgreSQL, stopped when it goes out of scope.
pub struct Target {
    dir: PathBuf,
    url: String,
    up: bool,
}

impl Target {
    pub fn start(dir: &Path) -> Self {
        // Its user passes through.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711)).expect("the folder is ours");
        let dir = dir.join("postgres");
        // A folder that is there already is not removed by stop.
        std::fs::create_dir(&dir).expect("a folder can be made");
        let mut target = Self { dir, url: String::new(), up: false };
        target.come_back();
        target
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn service(&self, what: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/postgres");
        let done = Command::new(script).arg(what).arg(&self.dir).stdin(Stdio::null()).output().expect("a script");
        assert!(done.status.success(), "PostgreSQL does not {what}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("a url").trim().to_string()
    }

    /// Ends: in good order, or at once with all that is being committed.
    pub fn leave(&mut self, at_once: bool) {
        if !std::mem::take(&mut self.up) {
            return;
        }
        if at_once {
            let pid = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("it runs");
            let pid = pid.lines().next().expect("its pid").to_string();
            let sent = Command::new("kill").args(["-QUIT", &pid]).status().expect("kill is there");
            assert!(sent.success(), "the signal is sent");
            super::broker::wait_gone(&pid);
        } else {
            self.service("stop");
        }
    }

    pub fn come_back(&mut self) {
        if !self.up {
            self.url = self.service("start");
            self.up = true;
        }
    }

    /// Its tables have the rows they are to have, and its progress is that of this pipeline.
    pub fn judge(&self, expected: &Expected, pipeline: &str) {
        let mut client = Client::connect(&self.url, NoTls).expect("PostgreSQL answers");
        let mut rows = |sql: &str| -> BTreeMap<String, String> {
            let rows = client.query(sql, &[]).expect("a query");
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        };
        let joined = rows(
            "SELECT format('{\"id\":%s,\"customer_id\":%s}', id, customer_id), \
             format('{\"id\":%s,\"amount\":%s,\"customer_id\":%s,\"region\":\"%s\"}', id, amount, customer_id, region) FROM joined",
        );
        assert_eq!(joined, expected.joined, "the join, in the target");
        let totals = rows(
            "SELECT format('{\"region\":\"%s\"}', region), \
             format('{\"region\":\"%s\",\"orders\":%s,\"total\":\"%s\"}', region, orders, total) FROM totals",
        );
        assert_eq!(totals, expected.totals, "the aggregate, in the target");
        let progress = client
            .query("SELECT pipeline, sink, incarnation, generation, epoch FROM millstream_progress", &[])
            .expect("a query");
        let sinks: BTreeSet<&str> = progress.iter().map(|row| row.get(1)).collect();
        assert_eq!(sinks, BTreeSet::from(["joined_rows", "totals_rows"]));
        let incarnations: BTreeSet<&str> = progress.iter().map(|row| row.get(2)).collect();
        assert!(incarnations.len() == 1 && progress.iter().all(|row| row.get::<_, &str>(0) == pipeline));
        for row in &progress {
            let (sink, generation, epoch): (&str, i64, i64) = (row.get(1), row.get(3), row.get(4));
            println!("target: {sink} at epoch {epoch}, generation {generation}");
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.up {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/postgres");
            let _ = Command::new(script).arg("stop").arg(&self.dir).stdin(Stdio::null()).status();
        }
    }
}
