//! SELECT ... FOR UPDATE: what is answered, which rows count as written, and what is refused.

use dataflow::Work;

use super::world::World;

fn shop() -> World {
    let mut world = World::of(&[
        "CREATE TABLE t (id int PRIMARY KEY, a int, b text)",
        "CREATE TABLE bag (x int)",
        "CREATE STREAM TABLE v AS SELECT x FROM bag",
    ]);
    world.run("INSERT INTO t VALUES (1, 10, 'x'), (2, 20, 'y'), (3, 30, 'z')", &[]).unwrap();
    world
}

#[test]
fn rows_are_answered_and_stay_as_they_are() {
    let mut world = shop();
    for (sql, parameters, wanted) in [
        ("SELECT * FROM t WHERE id = 2 FOR UPDATE", &[][..], "2 20 y"),
        ("SELECT a, id, a FROM t WHERE a > $1 ORDER BY 1 DESC LIMIT 1 FOR SHARE", &["15"], "30 3 30"),
        ("SELECT x.b || '!' AS t FROM t AS x WHERE a < 15 FOR NO KEY UPDATE OF x NOWAIT", &[], "x!"),
        ("SELECT id FROM t WHERE id IN (SELECT max(id) FROM t) FOR KEY SHARE", &[], "3"),
        ("WITH w AS (SELECT 1 AS one) SELECT b FROM t WHERE id = (SELECT one FROM w) FOR UPDATE", &[], "x"),
        ("SELECT id FROM t WHERE id > 7 FOR UPDATE", &[], ""),
    ] {
        let parameters: Vec<Option<&str>> = parameters.iter().map(|value| Some(*value)).collect();
        let answer = world.run(sql, &parameters).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let shown: Vec<String> = answer
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.clone().unwrap()).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(shown.join(" | "), wanted, "{sql}");
        assert_eq!(answer.tag, format!("SELECT {}", answer.rows.len()), "{sql}");
    }
    assert_eq!(world.rows("t").len(), 3);
}

#[test]
fn the_rows_of_the_table_count_as_written() {
    let world = shop();
    let prepared = world.prepare("SELECT b FROM t WHERE id < 3 FOR UPDATE").unwrap();
    assert_eq!(prepared.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b"]);
    let Work::Write(write) = prepared.work else { panic!("it is a write") };
    let written = write.evaluate(&[], &world.view(), &super::world::limits()).unwrap();
    assert_eq!(written.changes.gone, written.changes.come);
    assert_eq!((written.changes.gone.num_rows(), written.changes.gone.num_columns()), (2, 3));
}

#[test]
fn what_cannot_be_locked_is_refused() {
    let mut world = shop();
    for (sql, sqlstate, part) in [
        ("SELECT * FROM bag FOR UPDATE", "0A000", "primary key"),
        ("SELECT * FROM v FOR UPDATE", "42809", "stream table"),
        ("SELECT t.id FROM t JOIN bag ON x = id FOR UPDATE", "0A000", "one table"),
        ("SELECT t.id FROM t, bag FOR UPDATE", "0A000", "one table"),
        ("SELECT DISTINCT a FROM t FOR UPDATE", "0A000", "DISTINCT"),
        ("SELECT a FROM t GROUP BY a FOR UPDATE", "0A000", "GROUP BY"),
        ("SELECT row_number() OVER (ORDER BY id) FROM t FOR UPDATE", "0A000", "window"),
        ("SELECT id FROM t UNION SELECT x FROM bag FOR UPDATE", "0A000", "UNION"),
        ("SELECT id FROM t FOR UPDATE OF bag", "42P01", "bag"),
        ("SELECT id FROM t FOR UPDATE SKIP LOCKED", "0A000", "SKIP LOCKED"),
        ("SELECT id FROM nowhere FOR UPDATE", "42P01", "nowhere"),
    ] {
        let error = world.run(sql, &[]).err().unwrap_or_else(|| panic!("{sql}: accepted"));
        assert!(error.sqlstate == sqlstate && error.to_string().contains(part), "{sql}: {error}");
    }
}
