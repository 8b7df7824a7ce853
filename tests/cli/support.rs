//! The binary as a child process: started, waited for, never left behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

/// The binary, with nothing of this environment in its flags.
pub fn millstream(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MILLSTREAM_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn output(args: &[&str]) -> Output {
    millstream(args).output().unwrap()
}

/// Exit code, standard output, standard error.
pub fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Runs it with an input.
pub fn with_input(args: &[&str], input: &str) -> (i32, String, String) {
    let mut child =
        millstream(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    outcome(&child.wait_with_output().unwrap())
}

/// A running pipeline. Killed when dropped.
pub struct Running {
    child: Option<Child>,
    pid: u32,
    pub http: String,
    pub pg: String,
    pub epoch: u64,
    stdout: Option<BufReader<ChildStdout>>,
    agent: Agent,
}

impl Running {
    /// Starts `millstream run` on the embedded log in `dir/data`, with a file of SQL, and waits for its ready line.
    pub fn start(dir: &Path, sql: &str) -> Self {
        Self::start_with(dir, sql, &[])
    }

    pub fn start_with(dir: &Path, sql: &str, flags: &[&str]) -> Self {
        let file = dir.join("pipeline.sql");
        fs::write(&file, sql).unwrap();
        let data = dir.join("data");
        let mut args =
            vec!["run", "--data", data.to_str().unwrap(), "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        args.extend(flags);
        args.push(file.to_str().unwrap());
        let log = dir.join("stderr.log");
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = millstream(&args).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let pid = child.id();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            let _ = sender.send((read, line, stdout));
        });
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let Ok((_, line, stdout)) = receiver.recv_timeout(LONG) else {
            signal(pid, "KILL");
            panic!("no ready line; standard error: {}", said());
        };
        let (pg, http, epoch) = parse_ready(&line).unwrap_or_else(|| panic!("not a ready line: {line:?}; {}", said()));
        let agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Self { child: Some(child), pid, http, pg, epoch, stdout: Some(stdout), agent }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Status, content type, text.
    pub fn get(&self, path: &str) -> (u16, String, String) {
        let mut response = self.agent.get(self.url(path)).call().unwrap();
        let kind = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_string();
        (response.status().as_u16(), kind, response.body_mut().read_to_string().unwrap())
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let mut response = self.agent.post(self.url(path)).send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The status of a POST as a web page would send it.
    pub fn post_from_page(&self, path: &str, body: &str) -> u16 {
        let request = self.agent.post(self.url(path)).header("Origin", "http://evil.example");
        request.send(body).unwrap().status().as_u16()
    }

    /// The rows of the one answer to a statement.
    pub fn sql(&self, statement: &str) -> Vec<Vec<Value>> {
        let (status, answer) = self.post("/sql", statement);
        assert_eq!(status, 200, "{statement}: {answer}");
        serde_json::from_value(answer["results"][0]["rows"].clone()).unwrap()
    }

    /// Waits until a stream table has so many rows.
    pub fn wait_rows(&self, table: &str, rows: u64) {
        let deadline = Instant::now() + LONG;
        loop {
            let shown = self.sql("SHOW STREAM TABLES");
            let row = shown.iter().find(|row| row[0] == *table).unwrap_or_else(|| panic!("no {table} in {shown:?}"));
            if row[3].as_str() == Some(rows.to_string().as_str()) {
                return;
            }
            assert!(Instant::now() < deadline, "{table} does not come to {rows} rows: {shown:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// Waits for its end; answers its status and what was on standard output behind the ready line.
    pub fn wait(mut self, at_most: Duration) -> (ExitStatus, String) {
        let mut child = self.child.take().unwrap();
        let mut stdout = self.stdout.take().unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = std::io::Read::read_to_string(&mut stdout, &mut rest);
            let _ = sender.send((child.wait().unwrap(), rest));
        });
        receiver.recv_timeout(at_most).unwrap_or_else(|_| {
            signal(self.pid, "KILL");
            panic!("it did not end within {at_most:?}")
        })
    }

    /// Ends it by SIGTERM.
    pub fn stop(self) {
        self.signal("TERM");
        let (status, _) = self.wait(LONG);
        assert_eq!(status.code(), Some(0));
    }

    /// Ends it as a power cut would.
    pub fn kill(self) {
        self.signal("KILL");
        self.wait(LONG);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The addresses of the PostgreSQL protocol and of HTTP, and the epoch.
fn parse_ready(line: &str) -> Option<(String, String, u64)> {
    let rest = line.strip_prefix("millstream ready pg=")?.strip_suffix('\n')?;
    let (pg, rest) = rest.split_once(" http=")?;
    let (http, epoch) = rest.split_once(" epoch=")?;
    Some((pg.to_string(), http.to_string(), epoch.parse().ok()?))
}

pub fn signal(pid: u32, name: &str) {
    let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(done.success(), "kill -{name} {pid}");
}
