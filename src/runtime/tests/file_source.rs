//! Files as a source: followed, replayed, and never read otherwise than they were without a word.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use super::world::{Between, Running, World, halted, read};

struct Files {
    world: World,
}

impl Files {
    fn new() -> Self {
        let world = World::new();
        fs::create_dir(world.dir.path().join("in")).unwrap();
        Self { world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.dir.path().join("in").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// The table, and the lines' number and sum.
    fn create(&self, running: &Running, kind: &str, more: &str) {
        let path = self.path("*.jsonl").display().to_string();
        running.sql(&format!(
            "CREATE {kind} t (id INT, v INT) WITH (connector = 'file', path = '{path}'{more}); \
             CREATE STREAM TABLE s AS SELECT count(*) AS n, sum(v) AS v FROM t;"
        ));
    }
}

fn line(id: i64, v: i64) -> String {
    format!("{{\"id\":{id},\"v\":{v}}}\n")
}

/// Waits until a table is one row.
#[track_caller]
fn until(running: &Running, table: &str, row: &str) {
    running.until_rows(table, &[row]);
}

#[test]
fn files_are_followed_over_stops_and_crashes() {
    for kind in ["TABLE", "SOURCE"] {
        for between in [Between::Nothing, Between::Stop, Between::Crash] {
            let files = Files::new();
            files.append("a.jsonl", &line(1, 1));
            let mut running = files.world.start();
            files.create(&running, kind, "");
            until(&running, "s", r#"{"n":1,"v":1}"#);
            files.append("a.jsonl", &format!("{}{{\"id\":3,", line(2, 2)));
            until(&running, "s", r#"{"n":2,"v":3}"#);
            running = files.world.again(running, between);
            files.append("b.jsonl", &format!("\r\n{}", line(4, 4)));
            until(&running, "s", r#"{"n":3,"v":7}"#);
            files.append("a.jsonl", "\"v\":3}\n");
            until(&running, "s", r#"{"n":4,"v":10}"#);
            running = files.world.again(running, between);
            running.sql("CREATE STREAM TABLE late AS SELECT count(*) AS n, sum(v) AS v FROM t");
            until(&running, "late", r#"{"n":4,"v":10}"#);
            assert_eq!(running.sql("SHOW SOURCES")[0].rows.len(), 2, "a partition for each file");
        }
    }
}

#[test]
fn a_start_behind_what_is_there() {
    let files = Files::new();
    files.append("a.jsonl", &line(1, 1));
    let running = files.world.start();
    files.create(&running, "TABLE", ", start = 'latest'");
    files.append("a.jsonl", &line(2, 20));
    files.append("b.jsonl", &line(3, 300));
    until(&running, "s", r#"{"n":2,"v":320}"#);
}

#[test]
fn files_that_are_not_followed_are_read_to_the_last_byte() {
    let files = Files::new();
    files.append("a.jsonl", &format!("{}{}", line(1, 1), line(2, 2).trim_end()));
    let mut running = files.world.start();
    files.create(&running, "TABLE", ", follow = false");
    until(&running, "s", r#"{"n":2,"v":3}"#);
    for between in [Between::Stop, Between::Crash] {
        running = files.world.again(running, between);
        assert_eq!(running.rows("s").into_keys().next().unwrap(), r#"{"n":2,"v":3}"#);
    }
    running.stop().unwrap();
    files.append("b.jsonl", &line(3, 3));
    until(&files.world.start(), "s", r#"{"n":3,"v":6}"#);
}

/// What is in the tables stands on the files as they were.
#[test]
fn files_that_changed_while_away_halt_their_source_or_stop_replay() {
    for between in [Between::Stop, Between::Crash] {
        let files = Files::new();
        let whole = format!("{}{}", line(1, 1), line(2, 2));
        files.append("a.jsonl", &whole);
        let running = files.world.start();
        files.create(&running, "TABLE", "");
        until(&running, "s", r#"{"n":2,"v":3}"#);
        if between == Between::Stop {
            running.stop().unwrap()
        } else {
            running.crash()
        }
        let path = files.path("a.jsonl").canonicalize().unwrap();
        for changed in [line(1, 1), whole.replace("\"v\":2", "\"v\":9"), format!("{}{whole}", line(0, 0))] {
            fs::write(&path, &changed).unwrap();
            let why = match between {
                Between::Crash => files.world.refusal(),
                _ => {
                    let running = files.world.start();
                    let why = halted(&running, "t").unwrap();
                    running.stop().unwrap();
                    why
                }
            };
            assert!(why.contains(&path.display().to_string()) && why.contains("offset"), "{why}");
        }
        fs::write(&path, &whole).unwrap();
        until(&files.world.start(), "s", r#"{"n":2,"v":3}"#);
    }
}

#[test]
fn a_file_that_is_changed_under_the_reader_halts_its_source() {
    let files = Files::new();
    files.append("a.jsonl", &format!("{}{}", line(1, 1), line(2, 2)));
    let running = files.world.start();
    files.create(&running, "TABLE", "");
    until(&running, "s", r#"{"n":2,"v":3}"#);
    fs::write(files.path("a.jsonl"), line(1, 1)).unwrap();
    let why = running.why_halted("t");
    assert!(why.contains("a.jsonl") && why.contains("ALTER TABLE t RESTART FROM"), "{why}");
    running.sql("ALTER TABLE t RESTART FROM 'earliest'");
    until(&running, "s", r#"{"n":1,"v":1}"#);
}

/// A file that was read and deleted is done with, unless it must be read again.
#[test]
fn a_file_that_is_gone_is_needed_only_for_replay() {
    let files = Files::new();
    files.append("a.jsonl", &line(1, 1));
    files.append("b.jsonl", &line(2, 2));
    let mut running = files.world.start();
    files.create(&running, "SOURCE", "");
    until(&running, "s", r#"{"n":2,"v":3}"#);
    running = files.world.again(running, Between::Stop);
    let (path, hidden) = (files.path("a.jsonl"), files.path("hidden"));
    fs::rename(&path, &hidden).unwrap();
    files.append("b.jsonl", &line(3, 3));
    until(&running, "s", r#"{"n":3,"v":6}"#);
    running = files.world.again(running, Between::Crash);
    until(&running, "s", r#"{"n":3,"v":6}"#);
    let why = running.refusal("CREATE STREAM TABLE late AS SELECT count(*) AS n FROM t").to_string();
    assert!(why.contains("cannot be read again") && why.contains("it is gone"), "{why}");

    // It comes back, longer, and is read on.
    fs::rename(&hidden, &path).unwrap();
    files.append("a.jsonl", &line(4, 4));
    until(&running, "s", r#"{"n":4,"v":10}"#);

    fs::rename(&path, &hidden).unwrap();
    running.crash();
    let why = files.world.refusal();
    assert!(why.contains("it is gone") && why.contains("replay cannot be exact"), "{why}");
    fs::rename(&hidden, &path).unwrap();
    until(&files.world.start(), "s", r#"{"n":4,"v":10}"#);
}

#[test]
fn a_file_that_comes_back_shorter_halts_its_source() {
    let files = Files::new();
    files.append("a.jsonl", &format!("{}{}", line(1, 1), line(2, 2)));
    let running = files.world.start();
    files.create(&running, "TABLE", "");
    until(&running, "s", r#"{"n":2,"v":3}"#);
    running.stop().unwrap();
    fs::remove_file(files.path("a.jsonl")).unwrap();
    let running = files.world.start();
    until(&running, "s", r#"{"n":2,"v":3}"#);
    files.append("a.jsonl", &line(1, 1));
    let why = running.why_halted("t");
    assert!(why.contains("a.jsonl"), "{why}");
}

#[test]
fn lines_that_cannot_be_read_are_dead_letters() {
    let files = Files::new();
    let running = files.world.start();
    files.create(&running, "TABLE", "");
    fs::write(
        files.path("a.jsonl"),
        [line(1, 1).as_bytes(), b"not json\n\xff\xfe\n{}\n", line(2, 2).as_bytes()].concat(),
    )
    .unwrap();
    until(&running, "s", r#"{"n":3,"v":3}"#);
    let letters = read(&files.world.log, "t.dlq", 0);
    assert_eq!(
        letters.iter().map(|letter| letter.value.as_deref().unwrap()).collect::<Vec<_>>(),
        [&b"not json"[..], b"\xff\xfe"]
    );
    let header = |name: &str| {
        let (_, value) = letters[0].headers.iter().find(|(found, _)| found == name).unwrap();
        String::from_utf8(value.as_ref().unwrap().to_vec()).unwrap()
    };
    assert!(header("millstream.error.topic").ends_with("/in/*.jsonl"));
    assert_eq!(header("millstream.error.offset"), line(1, 1).len().to_string());
}

#[test]
fn lines_with_keys_upsert_and_delete() {
    let files = Files::new();
    let mut running = files.world.start();
    let path = files.path("a.jsonl").display().to_string();
    running.sql(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT) INCLUDE OFFSET AS o \
         WITH (connector = 'file', path = '{path}', envelope = 'upsert'); \
         CREATE STREAM TABLE s AS SELECT count(*) AS n, sum(v) AS v, max(o) AS o FROM t;"
    ));
    let first = "{\"key\":{\"id\":1},\"value\":{\"v\":10}}\n{\"id\":2,\"v\":20}\n{\"key\":3,\"value\":{\"v\":30}}\n";
    files.append("a.jsonl", &format!("{first}{{\"key\":{{\"id\":1}},\"value\":null}}\n"));
    let offset = first.rfind("{\"key\":3").unwrap();
    until(&running, "s", &format!("{{\"n\":2,\"v\":50,\"o\":{offset}}}"));
    running = files.world.again(running, Between::Crash);
    until(&running, "s", &format!("{{\"n\":2,\"v\":50,\"o\":{offset}}}"));
}

#[test]
fn what_cannot_be_read_is_refused_before_there_is_a_table() {
    let files = Files::new();
    let running = files.world.start();
    let refused = |path: String, more: &str| {
        let sql = format!("CREATE TABLE t (id INT) WITH (connector = 'file', path = '{path}'{more})");
        running.refusal(&sql).to_string()
    };
    let folder = files.path("").display().to_string();
    assert!(refused(folder.clone(), "").contains("it is a folder"));
    assert!(refused(format!("{folder}nowhere/a.jsonl"), "").contains("does not exist"));
    assert!(refused(format!("{folder}a.jsonl"), ", follow = false").contains("does not exist"));
    files.append("a.jsonl", "");
    assert!(refused(format!("{folder}a.jsonl"), ", start = '2024-01-01'").contains("have no time"));
    assert!(running.show("TABLES").is_empty());
}

/// ACCEPT LOSS is about the file that was changed: one that is gone was read as far as it was.
#[test]
fn a_file_that_is_gone_is_not_forgotten_when_a_loss_is_accepted() {
    let files = Files::new();
    files.append("a.jsonl", &format!("{}{}", line(1, 1), line(2, 2)));
    files.append("b.jsonl", &line(3, 30));
    let running = files.world.start();
    files.create(&running, "TABLE", "");
    until(&running, "s", r#"{"n":3,"v":33}"#);
    running.stop().unwrap();
    fs::write(files.path("a.jsonl"), line(1, 1)).unwrap();
    fs::rename(files.path("b.jsonl"), files.path("hidden")).unwrap();
    let running = files.world.start();
    assert!(halted(&running, "t").is_some());
    running.sql("ALTER TABLE t ACCEPT LOSS");
    until(&running, "s", r#"{"n":4,"v":34}"#);
    fs::rename(files.path("hidden"), files.path("b.jsonl")).unwrap();
    files.append("b.jsonl", &line(4, 400));
    until(&running, "s", r#"{"n":5,"v":434}"#);
}
