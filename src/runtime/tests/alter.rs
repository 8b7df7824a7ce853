//! ALTER TABLE of a table of our own: its rows, its writes, those who read it, across restarts.

use super::rows::{is_conflict, only, sqlstate};
use super::world::{Between, Running, T, World, read, upserted};

const OWN: &str = "
    CREATE TABLE k (id INT PRIMARY KEY, a INT, b TEXT);
    CREATE TABLE l (x TEXT, n INT, m INT);
    CREATE STREAM TABLE s AS SELECT id, a FROM k;
    CREATE STREAM TABLE j AS SELECT k.id, k.a, l.x FROM k JOIN l ON l.n = k.id;
    CREATE STREAM TABLE g AS SELECT x, count(*) AS n FROM l GROUP BY x;";

fn filled(world: &World) -> Running {
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[r#"{"id":1,"a":10,"b":"one"}"#, r#"{"id":2,"a":20,"b":"two"}"#]);
    running.insert("l", &[r#"{"x":"p","n":1,"m":1}"#, r#"{"x":"p","n":1,"m":2}"#, r#"{"x":"q","n":2,"m":1}"#]);
    running
}

#[test]
fn columns_are_added_dropped_and_renamed_across_restarts() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = filled(&world);
        running.sql("ALTER TABLE k ADD COLUMN c INT DEFAULT 7");
        running = world.again(running, between);
        let k = only([(r#"{"id":1,"a":10,"b":"one","c":7}"#, 1), (r#"{"id":2,"a":20,"b":"two","c":7}"#, 1)]);
        assert_eq!(running.rows("k"), k, "{between:?}");
        running.insert("k", &[r#"{"id":3,"a":30,"b":"three","c":3}"#]);
        running.sql("CREATE STREAM TABLE after AS SELECT sum(c) AS c FROM k");
        assert_eq!(running.rows("s").len(), 3, "who does not know the column goes on");

        running = world.again(running, between);
        running.sql("ALTER TABLE k DROP COLUMN b");
        running = world.again(running, between);
        running.write("k", &[r#"{"id":1,"a":10,"c":7}"#], &[r#"{"id":1,"a":11,"c":8}"#]).unwrap();
        running.write("k", &[r#"{"id":2,"a":20,"c":7}"#], &[]).unwrap();
        assert_eq!(running.rows("s"), only([(r#"{"id":1,"a":11}"#, 1), (r#"{"id":3,"a":30}"#, 1)]));
        assert_eq!(running.rows("j"), only([(r#"{"id":1,"a":11,"x":"p"}"#, 2)]));
        assert_eq!(running.rows("after"), only([(r#"{"c":11}"#, 1)]));

        running = world.again(running, between);
        running.sql("ALTER TABLE l RENAME COLUMN m TO other");
        running.sql("ALTER TABLE l ADD COLUMN m TEXT");
        running = world.again(running, between);
        let row = r#"{"x":"p","n":1,"other":1,"m":null}"#;
        running.write("l", &[row], &[r#"{"x":"p","n":2,"other":9,"m":"new"}"#]).unwrap();
        assert_eq!(running.rows("g"), only([(r#"{"x":"p","n":2}"#, 1), (r#"{"x":"q","n":1}"#, 1)]));
        running = world.again(running, between);
        running.sql("ALTER TABLE k ADD COLUMN b INT");
        running.insert("k", &[r#"{"id":2,"a":5,"c":null,"b":5}"#]);
        let there = [running.rows("k"), running.rows("l"), running.rows("s"), running.rows("j"), running.rows("g")];
        assert_eq!(there[2].len(), 3);
        let running = world.again(running, Between::Crash);
        let replayed = ["k", "l", "s", "j", "g"].map(|table| running.rows(table));
        assert_eq!(replayed, there, "{between:?}");
        running.insert("k", &[r#"{"id":9,"a":5,"c":null,"b":5}"#]);
        assert_eq!(running.rows("s").len(), 4);
    }
}

#[test]
fn a_column_that_someone_reads_stays() {
    let world = World::new();
    let running = filled(&world);
    for sql in ["ALTER TABLE k DROP COLUMN a", "ALTER TABLE k RENAME COLUMN a TO z", "ALTER TABLE l DROP COLUMN x"] {
        let error = running.refusal(sql);
        assert_eq!(error.sqlstate(), "2BP01", "{sql}: {error}");
    }
    assert_eq!(running.rows("s").len(), 2);
}

#[test]
fn a_column_that_may_not_be_null_needs_a_value_where_rows_are() {
    let world = World::new();
    let running = filled(&world);
    let epoch = running.handle.view().epoch;
    assert_eq!(running.refusal("ALTER TABLE k ADD COLUMN c INT NOT NULL").sqlstate(), "23502");
    assert_eq!(running.handle.view().epoch, epoch);
    running.sql("ALTER TABLE k ADD COLUMN c INT NOT NULL DEFAULT 1");
    running.sql("CREATE TABLE empty (id INT PRIMARY KEY)");
    running.sql("ALTER TABLE empty ADD COLUMN c INT NOT NULL");
    let running = world.again(running, Between::Crash);
    running.insert("empty", &[r#"{"id":1,"c":1}"#]);
}

#[test]
fn a_column_is_not_dropped_under_a_table_in_error() {
    let world = World::new();
    let running = filled(&world);
    running.sql("CREATE STREAM TABLE bad AS SELECT k.id, k.a / t.b AS v FROM k JOIN t ON t.id = k.id");
    running.feed("t", &[super::world::put(1, 1, 0)]);
    assert!(running.error_of("bad").is_some());
    assert_eq!(running.refusal("ALTER TABLE k DROP COLUMN b").sqlstate(), "55000");
    running.feed("t", &[super::world::gone(1)]);
    running.sql("ALTER TABLE k DROP COLUMN b");
    // Rows wait for a table in ERROR: with the columns that it sees.
    running.feed("t", &[super::world::put(1, 1, 0)]);
    running.sql("ALTER TABLE k ADD COLUMN c INT");
    running.write("k", &[r#"{"id":2,"a":20,"c":null}"#], &[r#"{"id":2,"a":40,"c":2}"#]).unwrap();
    let running = world.again(running, Between::Crash);
    running.feed("t", &[super::world::put(1, 1, 5), super::world::put(2, 1, 4)]);
    assert_eq!(running.rows("bad"), only([(r#"{"id":1,"v":2}"#, 1), (r#"{"id":2,"v":10}"#, 1)]));
}

#[test]
fn keyless_rows_that_become_equal_are_counted() {
    let world = World::new();
    let running = filled(&world);
    running.sql("ALTER TABLE l DROP COLUMN m");
    assert_eq!(running.rows("l"), only([(r#"{"x":"p","n":1}"#, 2), (r#"{"x":"q","n":2}"#, 1)]));
    running.write("l", &[r#"{"x":"p","n":1}"#, r#"{"x":"p","n":1}"#], &[]).unwrap();
    assert!(is_conflict(&running.write("l", &[r#"{"x":"p","n":1}"#], &[])));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("g"), only([(r#"{"x":"q","n":1}"#, 1)]));
    assert_eq!(running.rows("j"), only([(r#"{"id":2,"a":20,"x":"q"}"#, 1)]));
}

#[test]
fn a_sink_publishes_the_columns_there_are() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = filled(&world);
        running.sql(
            "CREATE SINK out FROM k WITH (connector = 'log', topic = 'out', format = 'json', envelope = 'upsert')",
        );
        running.sql("ALTER TABLE k ADD COLUMN c INT DEFAULT 7");
        assert_eq!(read(&world.log, "out", 0).len(), 2, "rows that are there are not sent again");
        running = world.again(running, between);
        running.write("k", &[r#"{"id":1,"a":10,"b":"one","c":7}"#], &[r#"{"id":1,"a":1,"b":"one","c":7}"#]).unwrap();
        let out = [r#"{"id":1,"a":1,"b":"one","c":7}"#, r#"{"id":2,"a":20,"b":"two"}"#];
        assert_eq!(upserted(&world.log, "out"), out, "{between:?}");
    }
}

#[test]
fn a_file_that_made_the_table_still_applies() {
    let world = World::new();
    let running = filled(&world);
    running.sql("ALTER TABLE k ADD COLUMN c INT");
    running.stop().unwrap();
    let mut engine = world.open().unwrap();
    engine.apply_file(&format!("{T}{OWN}")).unwrap();
}

#[test]
fn the_key_is_found_after_a_column_before_it_went() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}CREATE TABLE r (a INT, b INT, id INT PRIMARY KEY)"));
    running.insert("r", &[r#"{"a":1,"b":2,"id":3}"#]);
    running.sql("ALTER TABLE r DROP COLUMN a");
    assert_eq!(sqlstate(&running.write("r", &[], &[r#"{"b":9,"id":3}"#])), "23505");
    running.insert("r", &[r#"{"b":3,"id":2}"#]);
    running.sql("ALTER TABLE r RENAME COLUMN id TO key");
    let running = world.again(running, Between::Crash);
    assert_eq!(sqlstate(&running.write("r", &[], &[r#"{"b":9,"key":3}"#])), "23505");
    assert_eq!(running.rows("r"), only([(r#"{"b":2,"key":3}"#, 1), (r#"{"b":3,"key":2}"#, 1)]));
}

/// What goes is named by all its columns: a row that went out without the new one would never be retracted.
#[test]
fn a_column_with_a_value_is_not_added_under_a_keyless_debezium_sink() {
    let world = World::new();
    let running = world.start();
    running.sql("CREATE TABLE bag (a INT); CREATE SINK out FROM bag WITH (connector = 'log', topic = 'out', envelope = 'debezium')");
    assert_eq!(running.refusal("ALTER TABLE bag ADD COLUMN b INT DEFAULT 7").sqlstate(), "2BP01");
    running.sql("ALTER TABLE bag ADD COLUMN b INT");
    running.sql("DROP SINK out");
    running.sql("ALTER TABLE bag ADD COLUMN c INT DEFAULT 7");
}
