//! Where DataFusion answers differently from PostgreSQL (and other traps), one case each: what we answer, or the error.
//! The same without PostgreSQL at hand; `postgres.rs` asks it.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Refused, plan};

fn answer(query: &str) -> String {
    // names of its own for the columns, however many there are
    let columns = |n: usize| (0..n).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", ");
    let named = |n: usize| plan(&format!("SELECT {0} FROM ({query}) AS q({0})", columns(n)));
    let too_many = |planned: &Result<_, Refused>| planned.as_ref().is_err_and(|e| e.sqlstate() == "42P10");
    let planned = (1..=6).rev().map(named).find(|planned| !too_many(planned)).unwrap();
    let rows = planned.and_then(|query| query.rows());
    match rows {
        Err(e) => e.sqlstate().to_string(),
        Ok(rows) => {
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
            let row = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(", ");
            rows.iter().map(row).collect::<Vec<_>>().join(" | ")
        }
    }
}

#[test]
fn answers() {
    let cases = [
        // integers: checked, truncating
        ("SELECT 2147483647 + x FROM (VALUES (1)) v(x)", "22003"),
        ("SELECT x - 1 FROM (VALUES (-2147483648)) v(x)", "22003"),
        ("SELECT x * 2 FROM (VALUES (9223372036854775807)) v(x)", "22003"),
        ("SELECT -x FROM (VALUES ((-2147483648)::int)) v(x)", "22003"),
        ("SELECT abs(x) FROM (VALUES ((-2147483648)::int)) v(x)", "22003"),
        ("SELECT x + x FROM (VALUES (32767::smallint)) v(x)", "22003"),
        ("SELECT x / 2, -x / 2, x % 2, -x % 2 FROM (VALUES (7)) v(x)", "3, -3, 1, -1"),
        ("SELECT 1 / x FROM (VALUES (0)) v(x)", "22012"),
        ("SELECT 1 % x FROM (VALUES (0)) v(x)", "22012"),
        ("SELECT x % -1 FROM (VALUES ((-2147483648)::int)) v(x)", "0"),
        // floats
        ("SELECT 1 / x FROM (VALUES (0::double precision)) v(x)", "22012"),
        ("SELECT x * 10 FROM (VALUES (1e308::double precision)) v(x)", "22003"),
        ("SELECT x = x, x > 'Infinity' FROM (VALUES ('NaN'::double precision)) v(x)", "true, true"),
        ("SELECT x = 0, x IN (0, 1, 2), x < 0 FROM (VALUES ('-0'::double precision)) v(x)", "true, true, false"),
        ("SELECT x = 'NaN' FROM (VALUES ('-NaN'::double precision)) v(x)", "true"),
        // numerics
        ("SELECT 1.5 + 2.25, 1.5 * 2.25, 10 / 4.0, 1 / 3.0", "3.75, 3.375, 2.5, 0.33333333333333333333"),
        ("SELECT 0.1 + 0.2", "0.3"),
        (
            "SELECT x * x FROM (VALUES (9999999999999999999999999999.9999999999::numeric(38,10))) v(x)",
            "99999999999999999999999999999999999998000000000000000000.00000000000000000001",
        ),
        ("SELECT x * x * x FROM (VALUES (9999999999999999999999999999.9999999999::numeric(38,10))) v(x)", "22003"),
        ("SELECT 2.0 / x FROM (VALUES (0.00)) v(x)", "22012"),
        ("SELECT round(2.5), round(-2.5), round(1.255, 2), trunc(1.259, 2)", "3, -3, 1.26, 1.25"),
        ("SELECT 1.5::text, 1.50::text, 2::numeric(10,2)::text", "1.5, 1.50, 2.00"),
        ("SELECT 123.456::numeric(5,2)", "123.46"),
        ("SELECT 1234.5::numeric(5,2)", "22003"),
        // casts
        ("SELECT 2.5::double precision::int, 3.5::double precision::int, 2.5::int, 3.5::int", "2, 4, 3, 4"),
        ("SELECT 3e9::double precision::int", "22003"),
        ("SELECT 'NaN'::double precision::int", "22003"),
        ("SELECT x::int FROM (VALUES ('12x')) v(x)", "22P02"),
        ("SELECT x::int FROM (VALUES ('3000000000')) v(x)", "22003"),
        ("SELECT x::int FROM (VALUES (' 12 ')) v(x)", "12"),
        ("SELECT x::numeric FROM (VALUES ('1.5')) v(x)", "1.5"),
        ("SELECT x::numeric FROM (VALUES ('1.12345678901')) v(x)", "22003"),
        ("SELECT true::text, (1.5::double precision)::text, (1e20::double precision)::text", "true, 1.5, 1e+20"),
        (
            "SELECT '2024-01-15 10:00:00'::timestamp::text, '2024-01-15 10:00:00.5Z'::timestamptz::text",
            "2024-01-15 10:00:00, 2024-01-15 10:00:00.5+00",
        ),
        ("SELECT x::date FROM (VALUES ('2024-02-30')) v(x)", "22008"),
        ("SELECT x::timestamp FROM (VALUES ('yesterday')) v(x)", "22007"),
        // comparisons of types
        ("SELECT 1 = x FROM (VALUES ('1'::text)) v(x)", "42883"),
        ("SELECT x = '1', x = '01' FROM (VALUES (1)) v(x)", "true, true"),
        ("SELECT 2 < 10.5, 1 = 1.0", "true, true"),
        // three values
        ("SELECT NULL AND x, NULL OR x, NOT NULL::boolean FROM (VALUES (false)) v(x)", "false, NULL, NULL"),
        ("SELECT x IN (1, NULL), x NOT IN (1, NULL), x IN (2, NULL) FROM (VALUES (2)) v(x)", "NULL, NULL, true"),
        ("SELECT NULL = x, NULL IS NOT DISTINCT FROM x FROM (VALUES (NULL::int)) v(x)", "NULL, true"),
        // guards: left to right, wherever the conditions end up
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE x <> 0 AND 10 / x > 3", "2"),
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE x = 0 OR 10 / x > 3", "0 | 2"),
        // PostgreSQL takes the cheaper condition first, here too
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE 10 / x > 3 AND x <> 0", "2"),
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE 10 / x > 3 AND x <> 1", "22012"),
        // and what order leaves open is no error where a condition decides
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE 10 / x > 3 AND abs(x) <> 0", "2"),
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE 10 / x > 3 OR abs(x) = 0", "0 | 2"),
        ("SELECT x FROM (SELECT * FROM (VALUES (0), (5), (2)) v(x) WHERE x <> 0) s WHERE 10 / x > 3", "2"),
        ("SELECT x FROM (VALUES (0), (5), (2)) v(x) WHERE CASE WHEN x = 0 THEN false ELSE 10 / x > 3 END", "2"),
        ("SELECT CASE WHEN x <> 0 THEN 10 / x END FROM (VALUES (0), (5)) v(x)", "NULL | 2"),
        ("SELECT coalesce(x, 1 / y) FROM (VALUES (1, 0), (NULL, 1)) v(x, y)", "1 | 1"),
        ("SELECT x FROM (VALUES (0), (5)) v(x) WHERE 10 / x > 3", "22012"),
        // dates
        ("SELECT date '2024-03-01' - 1, date '2024-03-01' - date '2024-02-01'", "2024-02-29, 29"),
        (
            "SELECT extract(year FROM date '2024-02-29'), extract(second FROM timestamp '2024-01-01 00:00:13.5')",
            "2024, 13.5",
        ),
        ("SELECT extract(epoch FROM timestamp '1969-12-31 23:59:59.5')", "-0.5"),
        (
            "SELECT date_trunc('week', timestamp '2024-01-01 10:00'), date_trunc('week', timestamp '2023-12-31')",
            "2024-01-01 00:00:00.000000, 2023-12-25 00:00:00.000000",
        ),
        // text
        ("SELECT 'a' || NULL, concat('a', NULL, 1), length('größe'), octet_length('größe')", "NULL, a1, 5, 7"),
        (
            "SELECT substr('hello', 0, 3), substr('hello', -1), left('hello', -2), right('hello', -2)",
            "he, hello, hel, llo",
        ),
        ("SELECT substr('hello', 2, x) FROM (VALUES (-1)) v(x)", "22011"),
        ("SELECT 'a_c' LIKE 'a\\_c', 'abc' LIKE 'a\\_c', 'ABC' ILIKE 'a%', NULL LIKE 'a'", "true, false, true, NULL"),
        ("SELECT x LIKE 'a\\' FROM (VALUES ('a')) v(x)", "22025"),
        ("SELECT 'abcdef'::varchar(3), 'ab'::varchar(3) = 'ab'", "abc, true"),
        // literals take the type of what they meet
        ("SELECT x FROM (VALUES (1), (NULL), (2.5)) v(x)", "1 | NULL | 2.5"),
        ("SELECT 1 UNION ALL SELECT '2'", "1 | 2"),
        ("SELECT 1 UNION ALL SELECT 'x'", "22P02"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(query, wanted)| (query, wanted, answer(query)))
        .filter(|(_, wanted, got)| *wanted != got)
        .map(|(query, wanted, got)| format!("{query}\n   wanted {wanted}\n   got    {got}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_failing_row_is_named() {
    let query =
        plan("SELECT 10 / x AS q FROM (VALUES (1, 'a'), (0, 'b'), (2, NULL)) v(x, y) WHERE y IS NOT NULL").unwrap();
    let Err(Refused::Row(e)) = query.rows() else { panic!("no error") };
    assert_eq!(e.sqlstate, "22012");
    assert_eq!(e.message, "division by zero");
    let row = e.row.unwrap();
    assert!(row.starts_with('(') && row.contains("=0"), "{row}");
}
