//! The binary as a process: started, asked, killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A running `millstream run`, killed when it goes out of scope.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts `millstream` with arguments; its standard error goes to a file, appended.
    pub fn start(arguments: &[&str], log: &Path) -> Self {
        Self::start_with(arguments, log, "")
    }

    /// The same, with failpoints; none if the text is empty.
    pub fn start_with(arguments: &[&str], log: &Path, failpoints: &str) -> Self {
        // Long runs by hand are not to notice that the binary is built anew.
        let binary = std::env::var("MILLSTREAM_TEST_BINARY").unwrap_or(env!("CARGO_BIN_EXE_millstream").to_string());
        let errors = std::fs::File::options().create(true).append(true).open(log).expect("a log file can be made");
        let mut child = Command::new(binary)
            .args(arguments)
            .env("MILLSTREAM_FAILPOINTS", failpoints)
            // What is processed here is little: it is to be shared out among workers all the same.
            .env("MILLSTREAM_EAGER_WORKERS", "1")
            .env_remove("MILLSTREAM_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the binary starts");
        let out = child.stdout.take().expect("its output is piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for the ready line; the address of its HTTP listener. `None` if it ends before.
    pub fn ready(&self, deadline: Duration) -> Option<String> {
        self.ready_on("http", deadline)
    }

    /// Waits for the ready line; the address of its listener `pg` or `http`. `None` if it ends before.
    pub fn ready_on(&self, listener: &str, deadline: Duration) -> Option<String> {
        self.ready_line(deadline).map(|line| address_in(&line, listener))
    }

    /// Waits for the ready line. `None` if it ends before.
    pub fn ready_line(&self, deadline: Duration) -> Option<String> {
        match self.lines.recv_timeout(deadline) {
            Ok(line) => {
                assert!(line.starts_with("millstream ready "), "the first line says it is ready: {line}");
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("not ready after {deadline:?}"),
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end (SIGTERM) and waits; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().expect("it ends").code()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill is there");
        assert!(sent.success(), "the signal is sent");
    }

    /// How it ended, if it has by then.
    pub fn ended_by(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            let ended = self.child.try_wait().expect("it can be asked");
            if ended.is_some() || Instant::now() >= deadline {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The address of a listener, `pg` or `http`, in the ready line.
pub fn address_in(line: &str, listener: &str) -> String {
    let prefix = format!("{listener}=");
    let address = line.split_whitespace().find_map(|word| word.strip_prefix(&prefix));
    address.unwrap_or_else(|| panic!("it listens on {listener}: {line}")).to_string()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
