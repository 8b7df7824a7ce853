//! A password that is said in a statement is in the data folder's own file, and reaches the target; it is in no topic, no
//! checkpoint and no answer.

use std::fs;
use std::path::Path;

use super::world::{Between, T, World, put, read};

const SINK: &str = "CREATE SINK s FROM v WITH (connector = 'postgres', url = 'postgres://u:geheim@h/d', table = 't');";

/// The files under a folder that have the bytes.
fn files_with(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
fn a_password_is_kept_beside_the_log() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T} CREATE STREAM TABLE v AS SELECT id, a FROM t;"));
    let replies = running.sql(SINK);
    assert!(!format!("{replies:?}{:?}", running.show("SINKS")).contains("geheim"));
    running.feed("t", &[put(1, 1, 0)]);
    world.database.wait_rows(&[r#"{"id":1,"a":1}"#]);
    assert_eq!(world.database.state().url.as_deref(), Some("postgres://u:geheim@h/d"));
    running.handle.checkpoint().unwrap();
    let said = |text: &str| {
        read(&world.log, "p.epochs", 0)
            .iter()
            .any(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).contains(text))
    };
    assert!(said("millstream-secret-1") && !said("geheim"));
    let running = world.again(running, Between::Crash);
    assert_eq!(files_with(&world.data(), b"geheim"), ["secrets.json"]);
    // said again, in a file, it is the same sink
    running.feed("t", &[put(2, 2, 0)]);
    world.database.wait_rows(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":2}"#]);
    assert_eq!(world.database.state().url.as_deref(), Some("postgres://u:geheim@h/d"));
    running.stop().unwrap();
    let mut engine = world.open().unwrap();
    engine.apply_file(SINK).unwrap();
    assert!(engine.apply_file(&SINK.replace("geheim", "other")).is_err(), "another password is another definition");
    drop(engine);

    fs::remove_file(world.data().join("secrets.json")).unwrap();
    let running = world.start();
    running.feed("t", &[put(3, 3, 0)]);
    running.sink("s", |row| row[2].contains("put that file back"));
    running.stop().unwrap();
}

#[test]
fn a_password_reaches_the_target_however_it_is_written() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T} CREATE STREAM TABLE v AS SELECT id, a FROM t;"));
    for (at, (written, url)) in [
        ("'postgres://o''brien:geheim@h/d'", "postgres://o'brien:geheim@h/d"),
        ("'postgres://u:geh''eim@h/d'", "postgres://u:geh'eim@h/d"),
        (r"E'postgres://u:geh\'\u00e9im@h/d'", "postgres://u:geh'\u{e9}im@h/d"),
        ("$$postgres://u:geh eim@h/d$$", "postgres://u:geh eim@h/d"),
        ("$a$postgres://u@h/d?password=geh,eim&sslmode=prefer$a$", "postgres://u@h/d?password=geh,eim&sslmode=prefer"),
    ]
    .into_iter()
    .enumerate()
    {
        running.sql(&format!(
            "CREATE SINK s{at} FROM v /* it's */ WITH (\"connector\" = postgres, url = {written}, table = 't')"
        ));
        assert_eq!(world.database.state().url.as_deref(), Some(url));
        assert!(!running.handle.shared().view().catalog.sinks().any(|sink| sink.sql.contains("geh")), "{written}");
    }
}
