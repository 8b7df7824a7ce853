//! psql at a terminal: completion by Tab, and Ctrl-C. The terminal is that of `script`, from util-linux.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::start;
use crate::cli::support::{LONG, Running};

/// psql, as somebody sits before it.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(running: &Running) -> Self {
        let (host, port) = running.pg.rsplit_once(':').unwrap();
        let psql = format!("psql -X -h {host} -p {port} -U ann -d shop");
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &psql, "/dev/null"])
            .envs([("TERM", "xterm"), ("PAGER", ""), ("LC_ALL", "C.UTF-8"), ("PSQL_HISTORY", "/dev/null")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = out.read(&mut bytes) {
                if read == 0 || send.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = child.stdin.take().unwrap();
        let mut terminal = Self { child, keys, screen, seen: String::new() };
        terminal.wait_for("shop=> ", "shop=# ");
        terminal
    }

    fn press(&mut self, keys: &str) {
        self.seen.clear();
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until one of two texts is on the screen.
    fn wait_for(&mut self, text: &str, or: &str) {
        let deadline = Instant::now() + LONG;
        while !self.seen.contains(text) && !self.seen.contains(or) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(left) else { panic!("no {text} on the screen: {}", self.seen) };
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn see(&mut self, text: &str) {
        self.wait_for(text, text);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tab_completes_tables_and_columns() {
    let dir = tempfile::tempdir().unwrap();
    let running =
        Running::start(dir.path(), "CREATE TABLE customers_of_ours (id integer PRIMARY KEY, favourite_colour text);");
    let mut terminal = Terminal::open(&running);
    terminal.press("SELECT count(*) FROM cust\t");
    terminal.see("customers_of_ours ");
    terminal.press(";\n");
    terminal.see("(1 row)");
    terminal.press("UPDATE customers_of_ours SET favou\t");
    terminal.see("favourite_colour ");
    terminal.press("= 'red';\n");
    terminal.see("UPDATE 0");
}

#[test]
fn ctrl_c_cancels() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut terminal = Terminal::open(&running);
    terminal.press(&format!("{};\n", super::types::ENDLESS));
    // Cancelled before it has begun, the query would not be: ask the metrics whether it runs.
    let deadline = Instant::now() + LONG;
    while !running.get("/metrics").2.contains("millstream_pg_queries_running 1") {
        assert!(Instant::now() < deadline, "the query runs");
        std::thread::yield_now();
    }
    terminal.press("\x03");
    terminal.see("ERROR:  canceling statement due to user request");
    terminal.press("SELECT 'still ' || 'here';\n");
    terminal.see("still here");
}
