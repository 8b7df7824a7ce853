//! Columns of a source that nobody reads are not decoded; nobody can tell.

use plan::TableId;

use super::rows::once;
use super::world::{Between, Running, World, append, read};
use crate::stage::Staged;

const SRC: &str = "CREATE SOURCE src (id INT, v INT NOT NULL, w INT, note TEXT NOT NULL, price NUMERIC(6,2)) \
     WITH (connector = 'log', topic = 'src');";

fn row(id: i64, v: i64, w: i64, note: &str) -> (String, Option<String>) {
    (String::new(), Some(format!(r#"{{"id":{id},"v":{v},"w":{w},"note":"{note}","price":1.5}}"#)))
}

fn sum(name: &str, column: &str) -> String {
    format!("CREATE STREAM TABLE {name} AS SELECT count(*) AS n, sum({column}) AS s FROM src;")
}

/// Stops it, and tells which columns of the source are decoded from the next epoch on.
fn read_columns(world: &World, running: Running) -> (Option<Vec<bool>>, Running) {
    running.crash();
    let engine = world.open().unwrap();
    let read = engine.columns_read(TableId(1), &Staged::default());
    drop(engine);
    (read, world.start())
}

#[track_caller]
fn assert_sums(running: &Running, expected: &[(&str, &str)]) {
    for (table, row) in expected {
        assert_eq!(running.rows(table), once([*row]), "{table}");
    }
}

#[test]
fn all_readers_together_say_what_is_read() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(SRC);
        running.sql(&sum("a", "v"));
        running.feed("src", &[row(1, 10, 100, "x"), row(2, 20, 200, "y")]);
        running = world.again(running, between);
        running.sql(&sum("b", "w"));
        running.feed("src", &[row(3, 30, 300, "z")]);
        running = world.again(running, between);
        running.sql("CREATE STREAM TABLE c AS SELECT id, note FROM src WHERE note > 'x';");
        running.feed("src", &[row(4, 40, 400, "zz")]);
        running = world.again(running, between);
        running.sql("DROP STREAM TABLE b;");
        running.feed("src", &[row(5, 50, 500, "a")]);
        running.sql(&sum("b", "w"));
        running = world.again(running, between);
        assert_sums(&running, &[("a", r#"{"n":5,"s":150}"#), ("b", r#"{"n":5,"s":1500}"#)]);
        let rows = [r#"{"id":2,"note":"y"}"#, r#"{"id":3,"note":"z"}"#, r#"{"id":4,"note":"zz"}"#];
        assert_eq!(running.rows("c"), once(rows));
    }
}

#[test]
fn a_column_that_nobody_reads_is_not_decoded() {
    let world = World::new();
    let running = world.start();
    running.sql(SRC);
    let (none, running) = read_columns(&world, running);
    assert_eq!(none, Some(vec![false; 5]));
    running.sql(&sum("a", "v"));
    let (one, running) = read_columns(&world, running);
    assert_eq!(one, Some(vec![false, true, false, false, false]));
    running.sql("CREATE STREAM TABLE c AS SELECT id, note FROM src WHERE w > 1;");
    let (four, running) = read_columns(&world, running);
    assert_eq!(four, Some(vec![true, true, true, true, false]));
    running.sql("DROP STREAM TABLE c; CREATE STREAM TABLE d AS SELECT * FROM src;");
    let (all, _) = read_columns(&world, running);
    assert_eq!(all, None);
}

/// Each is a dead letter of the column that is wrong, whoever reads it.
#[test]
fn dead_letters_are_the_same() {
    let wrong = [
        (String::new(), Some(r#"{"id":"x","v":1,"note":""}"#.to_string())),
        (String::new(), Some(r#"{"id":1,"v":1,"note":null}"#.to_string())),
        (String::new(), Some(r#"{"id":1,"v":1,"note":"n","price":12345.5}"#.to_string())),
    ];
    let letters = |query: &str| {
        let world = World::new();
        let running = world.start();
        running.sql(SRC);
        running.sql(query);
        running.feed("src", &wrong);
        running.feed("src", &[row(1, 1, 1, "n")]);
        running.stop().unwrap();
        let letters = read(&world.log, "src.dlq", 0);
        let told = letters.into_iter().map(|letter| {
            let told = |(name, value): &(String, Option<bytes::Bytes>)| {
                // Each world has an incarnation of its own.
                (name != "millstream.error.incarnation").then(|| (name.clone(), value.clone()))
            };
            (letter.value, letter.headers.iter().filter_map(told).collect::<Vec<_>>())
        });
        told.collect::<Vec<_>>()
    };
    let found = letters(&sum("a", "v"));
    assert_eq!(found.len(), 3);
    assert_eq!(found, letters("CREATE STREAM TABLE a AS SELECT * FROM src;"));
}

/// What fails is told as if all columns were decoded: two records are alike in what is read, and the first of them is named.
#[test]
fn the_record_that_a_refresh_failed_at_is_named() {
    let world = World::new();
    let running = world.start();
    running.sql(SRC);
    running.sql("CREATE STREAM TABLE q AS SELECT 10 / v AS q FROM src;");
    running.feed("src", &[row(1, 1, 0, "good"), row(2, 0, 1, "first"), row(3, 0, 2, "second")]);
    let error = running.error_of("q").unwrap();
    assert!(error.contains("division by zero (SQLSTATE 22012) on row (v=0)"), "{error}");
    assert!(error.contains("topic src, partition 0, offset 1"), "{error}");
}

/// Another version reads a column of the rows that wait, which none read when they came.
#[test]
fn rows_that_wait_are_whole() {
    for later in [false, true] {
        let mut world = World::new();
        let running = world.start();
        running.sql(SRC);
        running.sql("CREATE STREAM TABLE q AS SELECT id, 10 / v AS q FROM src;");
        running.sql("CREATE STREAM TABLE below AS SELECT s.note, q.q FROM src s JOIN q ON s.id = q.id;");
        running.feed("src", &[row(1, 2, 0, "good")]);
        running.feed("src", &[row(2, 0, 5, "bad")]);
        if later {
            running.feed("src", &[row(3, 5, 0, "waits")]);
        }
        assert!(running.error_of("q").unwrap().contains("division by zero"));
        assert!(running.error_of("below").unwrap().contains("table q, which it reads, is in ERROR"));
        running.stop().unwrap();
        world.update("10 / v", "10 / (v + w)");
        let running = world.start();
        running.feed("src", &[row(4, 1, 0, "good")]);
        assert_eq!((running.error_of("q"), running.error_of("below")), (None, None));
        let mut rows = vec![r#"{"id":1,"q":5}"#, r#"{"id":2,"q":2}"#, r#"{"id":4,"q":10}"#];
        let mut below = vec![r#"{"note":"bad","q":2}"#, r#"{"note":"good","q":10}"#, r#"{"note":"good","q":5}"#];
        if later {
            rows.insert(2, r#"{"id":3,"q":2}"#);
            below.push(r#"{"note":"waits","q":2}"#);
        }
        assert_eq!(running.rows("q"), once(rows));
        assert_eq!(running.rows("below"), once(below));
    }
}

/// A source that stops before a bad record is decoded once more, without what it does not take.
#[test]
fn a_source_that_stops_before_a_bad_record() {
    let world = World::new();
    let mut running = world.start();
    running.sql(&SRC.replace("'src')", "'src', on_error = 'stop')"));
    running.sql("CREATE STREAM TABLE q AS SELECT 10 / v AS q FROM src;");
    let bad = (String::new(), Some(r#"{"id":"x","v":1,"note":""}"#.to_string()));
    append(&world.log, "src", 0, &[row(1, 2, 0, "good"), row(2, 0, 7, "zero"), bad, row(4, 0, 8, "late")]);
    running.why_halted("src");
    for _ in 0..2 {
        let error = running.error_of("q").unwrap();
        assert!(error.contains("topic src, partition 0, offset 1"), "{error}");
        running = world.again(running, Between::Crash);
    }
}
