//! Files in, changes out: lines become rows of a stream table, whose changes are printed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::support::{LONG, Running, millstream};

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Waits until the source has read all of its files.
fn wait_read(running: &Running, files: usize) {
    let deadline = Instant::now() + LONG;
    loop {
        let sources = running.sql("SHOW SOURCES");
        let done = sources.iter().filter(|row| row[5].as_str() == Some("0") && row[3].as_str() != Some("0")).count();
        if done == files {
            return;
        }
        assert!(Instant::now() < deadline, "{sources:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn lines_of_files_to_standard_output_over_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    let sql = format!(
        "CREATE SOURCE lines (shop text, amount integer) INCLUDE OFFSET AS place
           WITH (connector = 'file', path = '{}/*.jsonl');
         CREATE STREAM TABLE totals AS SELECT shop, sum(amount) AS amount FROM lines GROUP BY shop;
         CREATE SINK out FROM totals WITH (connector = 'stdout', envelope = 'upsert');",
        folder.display()
    );
    let (a, b) = (folder.join("a.jsonl"), folder.join("b.jsonl"));
    append(&a, "{\"shop\":\"x\",\"amount\":1}\n");
    let first = Running::start(dir.path(), &sql);
    first.wait_rows("totals", 1);
    append(&b, "{\"shop\":\"y\",\"amount\":10}\r\n{\"shop\":\"z\",\"amount\":");
    first.wait_rows("totals", 2);
    first.kill();

    append(&b, "100}\nno line\n");
    append(&a, "{\"shop\":\"y\",\"amount\":5}\n");
    let second = Running::start(dir.path(), &sql);
    second.wait_rows("totals", 3);
    wait_read(&second, 2);
    let letters = second.get("/topics/lines.dlq").2;
    assert_eq!(letters.lines().count(), 1, "{letters}");
    assert!(letters.contains("no line"), "{letters}");
    second.signal("TERM");
    let (status, printed) = second.wait(LONG);
    assert_eq!(status.code(), Some(0));
    assert!(printed.contains("15") && printed.contains("100"), "{printed}");
    assert!(!printed.contains("\"x\""), "what was printed before is not printed again: {printed}");
}

#[test]
fn what_is_wrong_with_a_path_is_said_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.sql");
    let sql =
        format!("CREATE TABLE t (a integer) WITH (connector = 'file', path = '{}/no/*.jsonl')", dir.path().display());
    fs::write(&file, sql).unwrap();
    let data = dir.path().join("data");
    let args = ["run", "--data", data.to_str().unwrap(), "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    let output = millstream(&args).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no/*.jsonl") && said.contains("folder"), "{said}");
}
