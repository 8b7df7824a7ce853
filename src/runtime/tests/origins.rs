//! A row that cannot be computed is named with the record of its source that brought it, whatever operator it failed in.

use super::world::{Running, T, World, append, gone, make_topic, put};

/// A stream table, good records, one by which it fails, how the error begins.
struct Case {
    name: &'static str,
    query: &'static str,
    good: &'static [(i64, i64, i64)],
    /// `None`: the row of id 1 goes.
    bad: Option<(i64, i64, i64)>,
    error: &'static str,
}

const ZERO: &str = "division by zero (SQLSTATE 22012) on row ";

const CASES: &[Case] = &[
    Case {
        name: "project",
        query: "SELECT id, a / b AS v FROM t",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: "division by zero (SQLSTATE 22012) on row (id=7, a=4, b=0)",
    },
    Case {
        name: "overflow",
        query: "SELECT id, a * b AS v FROM t",
        good: &[(1, 4, 2)],
        bad: Some((7, 2_000_000_000, 2)),
        error: "integer out of range (SQLSTATE 22003) on row ",
    },
    Case {
        name: "cast",
        query: "SELECT id, CAST(CASE WHEN a = 4 THEN 'four' ELSE '4' END AS INT) AS v FROM t",
        good: &[(1, 3, 2)],
        bad: Some((7, 4, 0)),
        error: "invalid input syntax for type integer: \"four\" (SQLSTATE 22P02) on row ",
    },
    Case {
        name: "filter",
        query: "SELECT id FROM t WHERE a / b > 1",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
    Case {
        name: "join",
        query: "SELECT x.id, y.id AS other FROM t x JOIN t y ON x.a = y.a AND x.id / y.b > -1",
        good: &[(1, 4, 2), (2, 3, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
    Case {
        name: "behind a join",
        query: "SELECT x.id, 10 / (x.b - y.b) AS v FROM t x JOIN t y ON x.a = y.a AND x.id < y.id",
        good: &[(1, 4, 2), (2, 3, 2)],
        bad: Some((7, 4, 2)),
        error: ZERO,
    },
    Case {
        name: "group key",
        query: "SELECT a / b AS k, count(*) AS n FROM t GROUP BY a / b",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
    Case {
        name: "argument",
        query: "SELECT sum(a / b) AS s FROM t",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
    Case {
        name: "filter of an aggregate",
        query: "SELECT count(*) FILTER (WHERE a / b > 1) AS n FROM t",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
    Case {
        name: "behind an aggregate",
        query: "SELECT b, 1 / (sum(a) - 7) AS v FROM t GROUP BY b",
        good: &[(1, 4, 2), (2, 3, 5)],
        bad: Some((7, 3, 2)),
        error: ZERO,
    },
    Case {
        name: "a row that goes",
        query: "SELECT b, 1 / (sum(a) - 3) AS v FROM t GROUP BY b",
        good: &[(1, 4, 2), (2, 3, 2)],
        bad: None,
        error: ZERO,
    },
    Case {
        name: "having",
        query: "SELECT b FROM t GROUP BY b HAVING 10 / (count(*) - 2) < 0",
        good: &[(1, 4, 2), (2, 3, 5)],
        bad: Some((7, 3, 2)),
        error: ZERO,
    },
    Case {
        name: "union",
        query: "SELECT id FROM t UNION ALL SELECT a / b FROM t",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
    Case {
        name: "distinct",
        query: "SELECT DISTINCT a / b AS v FROM t",
        good: &[(1, 4, 2)],
        bad: Some((7, 4, 0)),
        error: ZERO,
    },
];

fn error(running: &Running) -> String {
    running.error_of("v").expect("v is in ERROR")
}

#[test]
fn every_operator_names_the_record() {
    for Case { name, query, good, bad, error: words } in CASES {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T} CREATE STREAM TABLE v AS {query}"));
        let good: Vec<_> = good.iter().map(|&(id, a, b)| put(id, a, b)).collect();
        running.feed("t", &good);
        assert_eq!(running.error_of("v"), None, "{name}");
        // the bad one among others that are good, before and behind it
        let bad = bad.map_or_else(|| gone(1), |(id, a, b)| put(id, a, b));
        running.feed("t", &[put(50, 100, 50), put(60, 200, 60), bad, put(70, 300, 70), put(5, 400, 55)]);
        let error = error(&running);
        let place = format!(" from table t, topic t, partition 0, offset {}", good.len() + 2);
        assert!(error.starts_with(words) && error.ends_with(&place), "{name}: {error}, not {place}");
    }
}

#[test]
fn a_sum_that_overflows_names_the_group_and_the_record() {
    let world = World::new();
    let running = world.start();
    running.sql(
        "CREATE TABLE f (k INT, d DOUBLE PRECISION)
             WITH (connector = 'log', topic = 'f', format = 'json', envelope = 'append');
         CREATE STREAM TABLE v AS SELECT k, sum(d) AS s FROM f GROUP BY k",
    );
    let row = |k: i64, d: &str| ("x".to_string(), Some(format!("{{\"k\":{k},\"d\":{d}}}")));
    running.feed("f", &[row(1, "1.7e308"), row(2, "1.7e308"), row(3, "1")]);
    running.feed("f", &[row(3, "2"), row(2, "1.6e308"), row(4, "1")]);
    let error = error(&running);
    assert!(error.contains("(SQLSTATE 22003) on row (k=2)"), "{error}");
    assert!(error.ends_with("from table f, topic f, partition 0, offset 4"), "{error}");
}

#[test]
fn the_partition_is_that_of_the_record_and_the_second_table_is_told_from_the_first() {
    let world = World::new();
    make_topic(&world.log, "t", 3);
    let running = world.start();
    running.sql(&format!("{T}{}", T.replace("TABLE t", "TABLE u").replace("'t'", "'u'")));
    running.sql("CREATE STREAM TABLE v AS SELECT t.id, t.a / u.b AS v FROM t JOIN u ON t.id = u.id");
    append(&running.log, "t", 2, &[put(1, 4, 4), put(2, 4, 4)]);
    append(&running.log, "t", 1, &[put(3, 4, 4)]);
    running.settle("t");
    running.feed("u", &[put(9, 1, 1), put(2, 1, 0)]);
    assert!(error(&running).ends_with("from table u, topic u, partition 0, offset 1"), "{}", error(&running));
    running.feed("u", &[put(2, 1, 1), put(5, 1, 0)]);
    assert_eq!(running.error_of("v"), None);
    append(&running.log, "t", 1, &[put(4, 1, 1), put(5, 1, 1)]);
    running.settle("t");
    assert!(error(&running).ends_with("from table t, topic t, partition 1, offset 2"), "{}", error(&running));
}

#[test]
fn what_was_found_stays_while_the_row_does() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T} CREATE STREAM TABLE v AS SELECT id, a / b AS v FROM t"));
    running.feed("t", &[put(1, 1, 1), put(2, 1, 0)]);
    let first = error(&running);
    assert!(first.ends_with("offset 1"), "{first}");
    running.feed("t", &[put(3, 1, 1)]);
    assert_eq!(error(&running), first, "the same row fails, of an epoch before");
    let running = world.again(running, super::world::Between::Crash);
    assert_eq!(error(&running), first);
    // mended, and another comes: found among what came with it, though something waited
    running.feed("t", &[put(2, 1, 1), put(4, 1, 0)]);
    assert!(error(&running).ends_with("offset 4") && error(&running).contains("id=4"), "{}", error(&running));
}

#[test]
fn a_row_of_a_stream_table_is_named_as_it_is_and_with_the_one_record_there_is() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!(
        "{T} CREATE STREAM TABLE w AS SELECT b, sum(a) AS s FROM t GROUP BY b;
         CREATE STREAM TABLE v AS SELECT b, 1 / (s - 5) AS v FROM w"
    ));
    running.feed("t", &[put(1, 2, 1)]);
    running.feed("t", &[put(2, 3, 1)]);
    let one = error(&running);
    assert!(one.contains("(b=1, s=5)") && one.ends_with("from table w, topic t, partition 0, offset 1"), "{one}");
    running.feed("t", &[gone(2)]);
    running.feed("t", &[put(3, 3, 2), put(2, 3, 1)]);
    let of_several = error(&running);
    assert!(of_several.contains("(b=1, s=5)") && of_several.ends_with("from table w"), "{of_several}");
}
