//! A row that cannot be computed is its table's trouble, and of those that read it; mended, one refresh catches up.

use plan::EpochRecord;
use plan::Outcome;

use super::rows::once;
use super::world::{Between, Running, T, World, append, gone, put, read, upserted};

const TABLES: &str = "
    CREATE STREAM TABLE q AS SELECT id, a / b AS v FROM t;
    CREATE STREAM TABLE p AS SELECT id, a FROM t;
    CREATE STREAM TABLE total AS SELECT count(*) AS n, sum(v) AS v FROM q;
    CREATE STREAM TABLE both AS SELECT p.id, p.a, q.v FROM p JOIN q ON p.id = q.id;
    CREATE SINK q_out FROM q WITH (connector = 'log', topic = 'q_out', format = 'json', envelope = 'upsert');";

fn tables_in_error(running: &Running) -> Vec<String> {
    let tables = running.handle.shared().tables();
    tables.into_iter().filter(|(_, status)| status.error.is_some()).map(|(name, _)| name).collect()
}

/// A row with b = 0 comes, others change meanwhile, it is mended: with a restart between any two of these.
fn heals(between: Between) {
    let world = World::new();
    let mut running = world.start();
    running.sql(&format!("{T}{TABLES}"));
    running.feed("t", &[put(1, 10, 2), put(5, 5, 1)]);
    running = world.again(running, between);
    running.feed("t", &[put(2, 8, 0), put(1, 20, 2)]);

    let kept = |running: &Running| {
        assert_eq!(tables_in_error(running), ["both", "q", "total"]);
        assert_eq!(running.rows("q"), once([r#"{"id":1,"v":5}"#, r#"{"id":5,"v":5}"#]));
        assert_eq!(running.rows("total"), once([r#"{"n":2,"v":10}"#]));
        assert_eq!(running.rows("both"), once([r#"{"id":1,"a":10,"v":5}"#, r#"{"id":5,"a":5,"v":5}"#]));
        assert_eq!(upserted(&running.log, "q_out"), [r#"{"id":1,"v":5}"#, r#"{"id":5,"v":5}"#]);
    };
    kept(&running);
    assert!(running.error_of("q").unwrap().contains("division by zero"), "{:?}", running.error_of("q"));
    assert!(running.error_of("total").unwrap().contains("table q"), "{:?}", running.error_of("total"));
    let p = [r#"{"id":1,"a":20}"#, r#"{"id":2,"a":8}"#, r#"{"id":5,"a":5}"#];
    assert_eq!(running.rows("p"), once(p), "who does not read q goes on");

    running = world.again(running, between);
    kept(&running);
    running.feed("t", &[put(3, 9, 3), gone(5)]);
    kept(&running);
    running = world.again(running, between);
    running.feed("t", &[put(2, 8, 2)]);
    let mended = |running: &Running| {
        assert!(tables_in_error(running).is_empty());
        let q = [r#"{"id":1,"v":10}"#, r#"{"id":2,"v":4}"#, r#"{"id":3,"v":3}"#];
        assert_eq!(running.rows("q"), once(q));
        assert_eq!(running.rows("total"), once([r#"{"n":3,"v":17}"#]));
        let both = [r#"{"id":1,"a":20,"v":10}"#, r#"{"id":2,"a":8,"v":4}"#, r#"{"id":3,"a":9,"v":3}"#];
        assert_eq!(running.rows("both"), once(both));
        assert_eq!(upserted(&running.log, "q_out"), q);
    };
    mended(&running);
    running = world.again(running, between);
    mended(&running);
    running.feed("t", &[put(1, 30, 3), gone(2), gone(3)]);
    assert_eq!(running.rows("both"), once([r#"{"id":1,"a":30,"v":10}"#]), "nothing is applied twice");
    running.feed("t", &[put(1, 30, 0), put(4, 4, 4)]);
    running = world.again(running, between);
    running.feed("t", &[put(1, 40, 4)]);
    let both = [r#"{"id":1,"a":40,"v":10}"#, r#"{"id":4,"a":4,"v":1}"#];
    assert_eq!(running.rows("both"), once(both), "nor is what waited the first time");
}

#[test]
fn a_mended_row_mends_all() {
    heals(Between::Nothing);
}

#[test]
fn a_mended_row_mends_all_across_restarts() {
    heals(Between::Stop);
}

#[test]
fn a_mended_row_mends_all_across_crashes() {
    heals(Between::Crash);
}

#[test]
fn a_deleted_row_mends_too() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{TABLES}"));
    running.feed("t", &[put(1, 1, 0)]);
    assert_eq!(tables_in_error(&running), ["both", "q", "total"]);
    running.feed("t", &[gone(1)]);
    assert!(tables_in_error(&running).is_empty());
    assert_eq!(running.rows("total"), once([r#"{"n":0,"v":null}"#]));
}

#[test]
fn two_errors_heal_one_after_the_other() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.sql(&T.replace("TABLE t", "TABLE u").replace("'t'", "'u'"));
    running.sql(
        "CREATE STREAM TABLE x AS SELECT id, a / b AS v FROM t; CREATE STREAM TABLE y AS SELECT id, a / b AS v FROM u;
         CREATE STREAM TABLE z AS SELECT x.id, x.v AS xv, y.v AS yv FROM x JOIN y ON x.id = y.id",
    );
    running.feed("t", &[put(1, 6, 0), put(2, 6, 1)]);
    running.feed("u", &[put(1, 8, 0), put(2, 8, 1)]);
    assert_eq!(tables_in_error(&running), ["x", "y", "z"]);
    running.feed("t", &[put(1, 6, 2)]);
    assert_eq!(tables_in_error(&running), ["y", "z"]);
    assert!(running.rows("z").is_empty());
    running.feed("u", &[put(1, 8, 2)]);
    assert!(tables_in_error(&running).is_empty());
    assert_eq!(running.rows("z"), once([r#"{"id":1,"xv":3,"yv":4}"#, r#"{"id":2,"xv":6,"yv":8}"#]));
}

#[test]
fn nothing_is_made_over_a_table_in_error() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{TABLES}"));
    running.feed("t", &[put(1, 1, 0)]);
    assert_eq!(running.refusal("CREATE STREAM TABLE w AS SELECT id FROM q").sqlstate(), "55000");
    let sink = "CREATE SINK w FROM q WITH (connector = 'log', topic = 'w', format = 'json', envelope = 'upsert')";
    assert_eq!(running.refusal(sink).sqlstate(), "55000");
    assert_eq!(running.refusal("CREATE STREAM TABLE w AS SELECT a / b AS v FROM t").sqlstate(), "22012");
    running.sql("CREATE STREAM TABLE w AS SELECT count(*) AS n FROM t");
    assert_eq!(running.rows("w"), once([r#"{"n":1}"#]));
}

#[test]
fn replay_obeys_a_failure_that_does_not_happen_again() {
    let mut world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{TABLES}"));
    running.feed("t", &[put(1, 10, 2)]);
    running.feed("t", &[put(2, 8, 0)]);
    let error = running.error_of("q").unwrap();
    running.crash();
    world.update("a / b AS v FROM t", "a / NULLIF(b, 0) AS v FROM t");
    let running = world.start();
    assert_eq!(running.error_of("q"), Some(error));
    assert_eq!(running.rows("q"), once([r#"{"id":1,"v":5}"#]));
    running.feed("t", &[put(3, 3, 1)]);
    let q = [r#"{"id":1,"v":5}"#, r#"{"id":2,"v":null}"#, r#"{"id":3,"v":3}"#];
    assert_eq!(running.rows("q"), once(q), "what waited was not lost");
}

#[test]
fn a_failure_where_the_record_says_success_stops_replay() {
    let mut world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{TABLES}"));
    running.feed("t", &[put(1, 10, 2)]);
    running.crash();
    world.update("a / b AS v FROM t", "a / (b - b) AS v FROM t");
    let why = world.refusal();
    assert!(why.contains("came to something else") && why.contains("q: was") && why.contains("division"), "{why}");
}

#[test]
fn another_plan_is_rebuilt_without_what_waits() {
    let mut world = World::new();
    let running = world.start();
    running.sql(&format!("{T}CREATE STREAM TABLE s AS SELECT a, sum(a / b) AS v FROM t GROUP BY a"));
    running.feed("t", &[put(1, 10, 2), put(2, 10, 5)]);
    running.feed("t", &[put(3, 10, 0)]);
    assert!(running.error_of("s").is_some());
    running.stop().unwrap();
    world.update("a / b", "a / (b + 0)");
    let running = world.start();
    assert_eq!(running.rows("s"), once([r#"{"a":10,"v":7}"#]));
    running.feed("t", &[put(3, 10, 1), gone(1)]);
    assert_eq!(running.rows("s"), once([r#"{"a":10,"v":12}"#]));
    running.stop().unwrap();
    world.update("a / b", "a * b");
    assert!(world.refusal().contains("computes other contents"), "{}", world.refusal());
}

#[test]
fn an_error_in_the_epoch_record_is_short() {
    let world = World::new();
    let running = world.start();
    running.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, b INT, s TEXT)
             WITH (connector = 'log', topic = 't', format = 'json', envelope = 'upsert');
         CREATE STREAM TABLE q AS SELECT id, s, 1 / b AS v FROM t",
    );
    let long = "x".repeat(100_000);
    append(&world.log, "t", 0, &[("1".to_string(), Some(format!("{{\"id\":1,\"b\":0,\"s\":\"{long}\"}}")))]);
    running.settle("t");
    assert!(running.error_of("q").unwrap().contains("division by zero"));
    let record = read(&world.log, "p.epochs", 0).pop().unwrap().value.unwrap();
    let outcomes = EpochRecord::decode(&record).unwrap().tables;
    let error = outcomes.iter().find_map(|table| match &table.outcome {
        Outcome::Error(error) => Some(error),
        Outcome::Digest(_) | Outcome::Suspended(_) => None,
    });
    assert!(error.unwrap().chars().count() <= 1001, "{}", error.unwrap());
}
