//! A row that meets several rows of FROM or USING is changed once; one that is there several times, as often as it is there.

use super::against_postgres::{TABLES, connect, drop_schema, ours, sorted, theirs};
use super::author::Statement;
use super::world::World;

const ROWS: &[&str] = &[
    "INSERT INTO k (id, a) VALUES (1, 1), (2, 2), (3, 3)",
    "INSERT INTO p (g, i) VALUES ('a', 1), ('b', 1), ('c', 1), ('a', 2)",
    "INSERT INTO m (x, y) VALUES (1, 'y'), (1, 'y'), (1, 'y'), (1, 'z'), (2, 'y'), (5, 'y'), (5, 'y'), (NULL, 'n')",
];

const STATEMENTS: &[&str] = &[
    "UPDATE k SET t = 'x' FROM p WHERE p.i = k.id RETURNING k.id, k.t",
    "UPDATE m SET y = 'j' FROM p WHERE p.i = m.x RETURNING m.x, m.y",
    "UPDATE m SET z = 2 FROM m AS o WHERE o.x = m.x RETURNING m.*",
    "UPDATE m SET y = 'all' FROM k, p RETURNING m.x",
    "UPDATE k SET a = a * 2 FROM (SELECT 1 UNION ALL SELECT 2) AS q RETURNING id, k.a",
    "DELETE FROM m USING p, k WHERE p.i = m.x AND k.id < 3",
    "DELETE FROM m USING m AS o WHERE o.x = m.x RETURNING m.x",
    "DELETE FROM k USING p, p AS q RETURNING k.id",
];

#[test]
fn a_row_that_meets_several_is_changed_once() {
    let mut client = connect(1_000_001);
    TABLES.iter().for_each(|table| client.batch_execute(table).unwrap());
    let mut world = World::of(TABLES);
    let say = |sql: &str| Statement { sql: sql.to_string(), values: Vec::new(), several: false };
    for sql in ROWS.iter().chain(STATEMENTS) {
        let (count, rows) = theirs(&mut client, &say(sql)).unwrap();
        let (found, mine) = ours(&mut world, &say(sql)).unwrap_or_else(|code| panic!("{sql}: {code}"));
        assert_eq!((found, sorted(mine)), (count, sorted(rows)), "{sql}");
        assert!(count > 0, "{sql}");
        for table in ["k", "m", "p"] {
            let rows = theirs(&mut client, &say(&format!("SELECT * FROM {table}"))).unwrap().1;
            assert_eq!(world.rows(table), sorted(rows), "{table} after {sql}");
        }
    }
    drop_schema(&mut client, 1_000_001);
}
