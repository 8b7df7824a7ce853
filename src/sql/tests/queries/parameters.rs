//! Parameters: the types that their use gives them, and their values.

use dataflow::{Queries, Work};
use sql::SqlPlanner;
use zset::ColumnType;

use super::world::{World, limits};

fn types(world: &World, query: &str, given: &[Option<ColumnType>]) -> String {
    match SqlPlanner::new().prepare(query, &world.catalog, given) {
        Ok(prepared) => prepared.parameters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Err(e) => e.sqlstate.to_string(),
    }
}

#[test]
fn types_come_from_the_first_use() {
    let world = World::new();
    let cases = [
        ("SELECT a FROM t WHERE a = $1", "integer"),
        ("SELECT a FROM t WHERE $1 < b", "bigint"),
        ("SELECT a FROM t WHERE c = $1 AND a = $2", "text, integer"),
        ("SELECT a FROM t WHERE n > $1", "numeric(38,10)"),
        ("SELECT a FROM t WHERE ts > $1 AND dt = $2", "timestamp(6), date"),
        ("SELECT a FROM t WHERE f = $1", "boolean"),
        ("SELECT a FROM t WHERE f AND $1", "boolean"),
        ("SELECT $1", "text"),
        ("SELECT $1::bigint", "bigint"),
        ("SELECT $1 || 'x'", "text"),
        ("SELECT a + $1 FROM t", "integer"),
        ("SELECT $2 + 1, $1", "text, integer"),
        ("SELECT a FROM t LIMIT $1 OFFSET $2", "bigint, bigint"),
        ("SELECT a FROM t WHERE a IN ($1, $2, $3)", "integer, integer, integer"),
        ("SELECT a FROM t WHERE a BETWEEN $1 AND $2", "integer, integer"),
        ("SELECT a FROM t WHERE c LIKE $1", "text"),
        ("SELECT coalesce(a, $1) FROM t", "integer"),
        ("SELECT CASE WHEN $1 THEN a ELSE $2 END FROM t", "boolean, integer"),
        ("SELECT a FROM t WHERE a = $1 AND b = $1", "integer"),
        ("SELECT a FROM t WHERE b = $1 AND a = $1", "bigint"),
        ("SELECT * FROM generate_series(1, $1)", "integer"),
        ("SELECT a FROM t UNION ALL SELECT $1", "integer"),
        ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.b = $1)", "bigint"),
        ("SELECT a FROM t WHERE a IN (SELECT b FROM u WHERE x = $1)", "text"),
        ("SELECT count(*) FILTER (WHERE a > $1) FROM t", "integer"),
        ("SELECT upper($1), length($2)", "text, text"),
        ("SELECT $1 + $2", "42725"),
        ("SELECT $0", "42P02"),
        ("SELECT a FROM t WHERE a = $1 AND c = $1", "42883"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(query, wanted)| (query, wanted, types(&world, query, &[])))
        .filter(|(_, wanted, got)| *wanted != got)
        .map(|(query, wanted, got)| format!("{query}: wanted {wanted}, got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(types(&world, "SELECT $1", &[Some(ColumnType::Int)]), "integer");
    assert_eq!(types(&world, "SELECT a FROM t WHERE b = $1", &[Some(ColumnType::Int)]), "integer");
}

fn rows(world: &World, query: &str, values: &[&str]) -> String {
    let values: Vec<Option<String>> = values.iter().map(|v| (*v != "NULL").then(|| v.to_string())).collect();
    match world.ask_with(query, &values) {
        Err(e) => e.sqlstate.to_string(),
        Ok(answer) => {
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
            let row = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(", ");
            answer.rows.iter().map(row).collect::<Vec<_>>().join(" | ")
        }
    }
}

#[test]
fn values_take_their_places() {
    let world = World::new();
    let cases: &[(&str, &[&str], &str)] = &[
        ("SELECT id FROM k WHERE id = $1", &["3"], "3"),
        ("SELECT id FROM k WHERE id = $1", &["NULL"], ""),
        ("SELECT id FROM k WHERE id = $1", &["x"], "22P02"),
        ("SELECT id FROM k ORDER BY id LIMIT $1 OFFSET $2", &["2", "3"], "4 | 5"),
        ("SELECT id FROM k ORDER BY id DESC LIMIT $1", &["NULL"], "10 | 9 | 8 | 7 | 6 | 5 | 4 | 3 | 2 | 1"),
        ("SELECT id FROM k ORDER BY id LIMIT $1", &["-1"], "2201W"),
        ("SELECT $1, $2::integer + 1", &["a'b", "41"], "a'b, 42"),
        ("SELECT a FROM t WHERE n = $1 ORDER BY a", &["1.505"], ""),
        ("SELECT a FROM t WHERE n = $1 ORDER BY a", &["1.5"], "1 | 5"),
        ("SELECT a FROM t WHERE n = $1", &["1.50000000001"], "22003"),
        ("SELECT sum(g) FROM generate_series(1, $1) g", &["100"], "5050"),
        ("SELECT id FROM k WHERE v > (SELECT avg(v) FROM k WHERE grp = $1) ORDER BY id", &["1"], "2 | 3"),
        ("SELECT id FROM k WHERE s IN ($1, $2) ORDER BY id", &["a", "b"], "1 | 2 | 4 | 5"),
        ("SELECT id FROM keyed WHERE id = $1 AND grp = $2 AND v = $3 AND s = $4", &["3", "1", "20", "c"], "3"),
        ("SELECT count(*) FROM t WHERE f = $1", &["true"], "4"),
        ("SELECT count(*) FROM t WHERE f = $1", &["t"], "4"),
        ("SELECT coalesce(n, $1) FROM t WHERE a IS NULL AND n IS NULL", &["1.5"], "1.5"),
        ("SELECT coalesce(n, $1) FROM t WHERE a IS NULL AND n IS NULL", &["1.505"], "1.505"),
        ("SELECT coalesce(n, '1.505') FROM t", &[], "22003"),
        ("SELECT $1 IS NULL", &["NULL"], "true"),
        ("SELECT $1::timestamptz", &["2024-01-15 10:00:00+02"], "2024-01-15 08:00:00.000000"),
        ("SELECT 1", &["1"], "08P01"),
    ];
    for (query, values, wanted) in cases {
        assert_eq!(&rows(&world, query, values), wanted, "{query} with {values:?}");
    }
}

/// A statement that is run again answers about the view it is given, and asks the clock of that view.
#[test]
fn a_statement_is_run_as_often_as_it_is_asked() {
    let world = World::new();
    let prepared =
        SqlPlanner::new().prepare("SELECT now(), count(*) FROM k WHERE id < $1", &world.catalog, &[]).unwrap();
    let Work::Read(read) = prepared.work else { panic!("no read") };
    for (limit, count) in [("3", 2i64), ("100", 10), ("1", 0)] {
        let rows: Vec<_> = read.run(&[Some(limit.into())], &world.view, &limits()).unwrap().collect();
        let batch = rows[0].as_ref().unwrap();
        let moment = batch.column(0).as_any().downcast_ref::<arrow::array::TimestampMicrosecondArray>().unwrap();
        assert_eq!(moment.value(0), world.view.timestamp.0 * 1000);
        let counted = batch.column(1).as_any().downcast_ref::<arrow::array::Int64Array>().unwrap();
        assert_eq!(counted.value(0), count);
    }
}
