//! EXPLAIN, line by line.

use super::world::World;

fn lines(world: &World, statement: &str) -> Vec<String> {
    let answer = world.ask(statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
    assert_eq!(answer.columns, [("QUERY PLAN".to_string(), "text".to_string())]);
    answer.rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[test]
fn a_query_is_explained_by_what_is_run() {
    let world = World::new();
    let plan = lines(
        &world,
        "EXPLAIN SELECT id FROM k WHERE v > $1 AND EXISTS (SELECT 1 FROM u WHERE u.a = k.id) ORDER BY id",
    );
    let text = plan.join("\n");
    for part in ["Sort: ", "Filter: ", "$1", "TableScan: k projection=[id, v]", "subquery_1, run", "  TableScan: u"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    for (statement, code) in [
        ("EXPLAIN ANALYZE SELECT 1", "0A000"),
        ("EXPLAIN (VERBOSE) SELECT 1", "0A000"),
        ("EXPLAIN DELETE FROM k", "0A000"),
        ("EXPLAIN SELECT nothing FROM k", "42703"),
        ("EXPLAIN CREATE TABLE x (a integer)", "0A000"),
    ] {
        let e = world.ask(statement).expect_err(statement);
        assert_eq!(e.sqlstate, code, "{statement}: {e}");
    }
    assert!(!lines(&world, "EXPLAIN (SELECT 1)").is_empty());
}

const PLAN: &str = "\
stream table v
  key: grp
  rows are retracted: yes
  keeps: its rows
3: filter of 2 -> (grp integer, n bigint, most integer)
  condition: (#call0@1 > 1::bigint)
  keeps: nothing
2: aggregate of 1 -> (#key0 integer, #call0 bigint, #call1 integer)
  keys: [grp@0]
  calls: count(*): bigint, max(v@1): integer
  keeps: by group: its row count, its sums, its result; the values of v@1
1: project of 0 -> (grp integer, v integer)
  expressions: grp@1, v@2
  keeps: nothing
0: input k -> (id integer, grp integer, v integer, s text)
  keeps: nothing (the table has its rows)";

#[test]
fn a_stream_table_is_explained_by_its_operators() {
    let world = World::new();
    let query = "SELECT grp, count(*) AS n, max(v) AS most FROM k GROUP BY grp HAVING count(*) > 1";
    assert_eq!(lines(&world, &format!("EXPLAIN CREATE STREAM TABLE v AS {query}")).join("\n"), PLAN);
    assert_eq!(lines(&world, &format!("EXPLAIN CREATE MATERIALIZED VIEW v AS {query}")).join("\n"), PLAN);
    let join =
        lines(&world, "EXPLAIN CREATE STREAM TABLE v AS SELECT k.id, u.x FROM k JOIN u ON u.a = k.id AND u.b > k.v")
            .join("\n");
    for part in ["keys: [id@0] = [a@0]", "condition: ", "keeps: the rows of both sides, by their keys"] {
        assert!(join.contains(part), "{part} in\n{join}");
    }
    // one that is there is explained too
    let text = "EXPLAIN CREATE STREAM TABLE keyed AS SELECT id, grp, v, s FROM k GROUP BY id, grp, v, s";
    assert!(lines(&world, text).join("\n").contains("aggregate of"));
    assert_eq!(
        world.ask("EXPLAIN CREATE STREAM TABLE v AS SELECT * FROM k ORDER BY id").unwrap_err().sqlstate,
        "0A000"
    );
}
