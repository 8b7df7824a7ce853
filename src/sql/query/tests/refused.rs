//! Queries that are refused, with their reasons.

use crate::testing::{plan, refused, shop};

fn refusals(cases: &[(&str, &str, &str)]) {
    let statements: Vec<(String, &str, &str)> =
        cases.iter().map(|(q, code, part)| (format!("CREATE STREAM TABLE v AS {q}"), *code, *part)).collect();
    let cases: Vec<(&str, &str, &str)> = statements.iter().map(|(q, code, part)| (q.as_str(), *code, *part)).collect();
    refused(&shop(), &cases);
}

#[test]
fn clauses_that_are_refused() {
    refusals(&[
        ("SELECT id FROM orders ORDER BY id", "0A000", "no order"),
        ("SELECT id FROM orders LIMIT 5", "0A000", "LIMIT"),
        ("SELECT id FROM orders ORDER BY id LIMIT 5", "0A000", "LIMIT"),
        ("SELECT id FROM orders OFFSET 5", "0A000", "OFFSET"),
        ("SELECT id FROM orders FETCH FIRST 5 ROWS ONLY", "0A000", "FETCH"),
        ("SELECT id FROM orders FOR UPDATE", "0A000", "FOR UPDATE"),
        ("SELECT * FROM (SELECT id FROM orders ORDER BY id LIMIT 1) s", "0A000", "LIMIT"),
        ("SELECT DISTINCT ON (customer) id FROM orders", "0A000", "DISTINCT ON"),
        ("SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer", "0A000", "LEFT OUTER JOIN"),
        ("SELECT o.id FROM orders o LEFT OUTER JOIN customers c ON c.id = o.customer", "0A000", "LEFT OUTER JOIN"),
        ("SELECT o.id FROM orders o RIGHT JOIN customers c ON c.id = o.customer", "0A000", "RIGHT OUTER JOIN"),
        ("SELECT o.id FROM orders o FULL JOIN customers c ON c.id = o.customer", "0A000", "FULL OUTER JOIN"),
        ("SELECT o.id FROM orders o NATURAL LEFT JOIN customers c", "0A000", "LEFT OUTER JOIN"),
        ("SELECT o.id FROM orders o, LATERAL (SELECT o.id) s", "0A000", "LATERAL"),
        ("SELECT o.id FROM orders o JOIN LATERAL (SELECT 1 AS x) s ON true", "0A000", "LATERAL"),
        ("SELECT id FROM orders TABLESAMPLE BERNOULLI (10)", "0A000", "TABLESAMPLE"),
        ("SELECT * FROM generate_series(1, 5)", "0A000", "generate_series"),
        ("SELECT * FROM unnest(ARRAY[1, 2])", "0A000", "FROM"),
        ("SELECT id FROM orders INTERSECT SELECT id FROM customers", "0A000", "INTERSECT"),
        ("SELECT id FROM orders EXCEPT SELECT id FROM customers", "0A000", "EXCEPT"),
        ("SELECT id FROM orders EXCEPT ALL SELECT id FROM customers", "0A000", "EXCEPT"),
        ("WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r) SELECT x FROM r", "0A000", "RECURSIVE"),
        ("SELECT id FROM orders WHERE customer IN (SELECT id FROM customers)", "0A000", "IN (SELECT"),
        ("SELECT id FROM orders WHERE customer NOT IN (SELECT id FROM customers)", "0A000", "IN (SELECT"),
        ("SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers)", "0A000", "EXISTS"),
        ("SELECT (SELECT max(id) FROM customers) AS x FROM orders", "0A000", "scalar subquery"),
        ("SELECT id FROM orders WHERE id > ANY (SELECT id FROM customers)", "0A000", "ANY"),
        ("SELECT id FROM orders WHERE id = ALL (SELECT id FROM customers)", "0A000", "ALL"),
        ("SELECT customer FROM orders GROUP BY GROUPING SETS ((customer), ())", "0A000", "GROUPING SETS"),
        ("SELECT customer FROM orders GROUP BY ROLLUP (customer)", "0A000", "ROLLUP"),
        ("SELECT customer FROM orders GROUP BY CUBE (customer)", "0A000", "CUBE"),
        ("SELECT id INTO x FROM orders", "0A000", "INTO"),
        ("SELECT row_number() OVER (ORDER BY id) AS n FROM orders", "0A000", "row_number"),
        ("SELECT sum(id) OVER (PARTITION BY customer) AS n FROM orders", "0A000", "window function sum"),
        ("SELECT lag(id) AS n FROM orders", "0A000", "lag"),
        ("SELECT sum(id) OVER w AS n FROM orders WINDOW w AS (PARTITION BY customer)", "0A000", "WINDOW"),
        ("SELECT id FROM orders WHERE $1 = id", "0A000", "$1"),
        ("TABLE orders", "0A000", "SELECT * FROM"),
        ("SELECT ARRAY[id] AS a FROM orders", "0A000", "ARRAY"),
        ("SELECT (id, customer) AS a FROM orders", "0A000", "row of values"),
        ("SELECT id FROM orders WHERE (id, customer) = (1, 2)", "0A000", "row of values"),
        ("SELECT doc -> 'a' AS a FROM orders", "0A000", "->"),
        ("SELECT doc ->> 'a' AS a FROM orders", "0A000", "->>"),
        ("SELECT note ~ 'x' AS a FROM orders", "0A000", "regular"),
        ("SELECT note SIMILAR TO 'x' AS a FROM orders", "0A000", "SIMILAR"),
        ("SELECT note COLLATE \"C\" AS a FROM orders", "0A000", "COLLATE"),
        ("SELECT placed AT TIME ZONE 'UTC' AS a FROM orders", "0A000", "AT TIME ZONE"),
        ("SELECT placed + INTERVAL '1 day' AS a FROM orders", "0A000", "INTERVAL"),
        ("SELECT placed - placed AS a FROM orders", "0A000", "extract(epoch"),
        ("SELECT id ^ 2 AS a FROM orders", "0A000", "power"),
        ("SELECT id & 2 AS a FROM orders", "0A000", "&"),
        ("SELECT overlay(note placing 'x' from 1) AS a FROM orders", "0A000", "OVERLAY"),
        ("SELECT substring(note from 'x.*') AS a FROM orders", "0A000", "pattern"),
        ("SELECT TRY_CAST(note AS int) AS a FROM orders", "0A000", "TRY_CAST"),
        ("SELECT GREATEST(doc, doc) AS a FROM orders", "0A000", "jsonb"),
        ("SELECT id FROM orders WHERE doc = doc", "0A000", "jsonb"),
        ("SELECT note::jsonb AS a FROM orders", "0A000", "jsonb"),
        ("SELECT doc, count(*) FROM orders GROUP BY doc", "0A000", "GROUP BY over jsonb"),
        ("SELECT DISTINCT doc FROM orders", "0A000", "jsonb"),
        ("SELECT doc FROM orders UNION SELECT doc FROM orders", "0A000", "jsonb"),
        ("SELECT count(DISTINCT doc) FROM orders", "0A000", "jsonb"),
        ("SELECT a.id FROM orders a JOIN orders b ON a.doc = b.doc", "0A000", "jsonb"),
        ("SELECT (amount / 3)::text AS a FROM orders", "0A000", "round"),
        ("SELECT avg(amount) / 2 AS a FROM orders", "0A000", "round"),
        ("SELECT * EXCLUDE (id) FROM orders", "42601", "syntax"),
        ("SELECT round(amount, id::integer) AS a FROM orders", "0A000", "literal"),
        ("SELECT id FROM orders GROUP BY ALL", "0A000", "GROUP BY ALL"),
        ("SELECT id AS a FROM orders QUALIFY 1 = 1", "0A000", "QUALIFY"),
    ]);
}

#[test]
fn functions_that_are_refused() {
    let call = |function: &str| format!("CREATE STREAM TABLE v AS SELECT {function} AS x FROM orders");
    let clocks = [
        "now()",
        "current_date",
        "current_timestamp",
        "CURRENT_TIME",
        "localtimestamp",
        "clock_timestamp()",
        "statement_timestamp()",
    ];
    let volatile = ["random()", "gen_random_uuid()", "nextval('s')"];
    let aggregates = [
        "string_agg(note, ',')",
        "array_agg(id)",
        "bool_and(ok)",
        "stddev(id)",
        "var_pop(id)",
        "corr(id, id)",
        "jsonb_agg(id)",
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY id)",
        "mode() WITHIN GROUP (ORDER BY id)",
    ];
    let others = [
        "to_char(placed, 'YYYY')",
        "md5(note)",
        "regexp_replace(note, 'a', 'b')",
        "pg_sleep(1)",
        "version()",
        "initcap(note)",
        "generate_series(1, 2)",
        "json_build_object('a', 1)",
        "format('%s', 1)",
        "log(2)",
        "current_user",
        "arrow_cast(id, 'Int8')",
        "date_bin('1 day', placed)",
        "to_timestamp(1)",
        "concat_ws(',', note)",
    ];
    let mut cases: Vec<(String, &str, &str)> = Vec::new();
    cases.extend(clocks.iter().map(|f| (call(f), "0A000", "changes without")));
    cases.extend(volatile.iter().map(|f| (call(f), "0A000", "volatile")));
    cases.extend(aggregates.iter().map(|f| (call(f), "0A000", f.split('(').next().unwrap())));
    cases.extend(others.iter().map(|f| (call(f), "0A000", f.split('(').next().unwrap())));
    let cases: Vec<(&str, &str, &str)> = cases.iter().map(|(a, b, c)| (a.as_str(), *b, *c)).collect();
    refused(&shop(), &cases);
    refusals(&[("SELECT id FROM orders WHERE placed < now()", "0A000", "now()")]);
}

#[test]
fn mistakes_have_postgresql_s_codes() {
    refusals(&[
        ("SELECT id FROM nothing", "42P01", "\"nothing\""),
        ("SELECT nothing FROM orders", "42703", "\"nothing\""),
        ("SELECT o.nothing FROM orders o", "42703", "o.nothing"),
        ("SELECT x.id FROM orders o", "42P01", "\"x\""),
        ("SELECT orders.id FROM orders o", "42P01", "\"orders\""),
        ("SELECT \"ID\" FROM orders", "42703", "\"ID\""),
        ("SELECT id FROM orders, customers", "42702", "ambiguous"),
        ("SELECT 1 AS x FROM orders JOIN orders ON true", "42712", "\"orders\""),
        ("SELECT id, id FROM orders", "42701", "\"id\""),
        ("SELECT * FROM orders o JOIN customers c ON c.id = o.customer", "42701", "\"id\""),
        ("SELECT count(*), count(id) FROM orders", "42701", "\"count\""),
        ("SELECT 1, 2", "42701", "?column?"),
        ("SELECT id FROM orders WHERE customer = note", "42883", "integer = text"),
        ("SELECT id FROM orders WHERE id = ref", "42883", "bigint = uuid"),
        ("SELECT id FROM orders WHERE ref = note", "42883", "uuid = text"),
        ("SELECT id FROM orders WHERE ok = 1", "42883", "boolean = integer"),
        ("SELECT id FROM orders WHERE customer = 'x'", "22P02", "\"x\""),
        ("SELECT id FROM orders WHERE id", "42804", "WHERE"),
        ("SELECT id FROM orders WHERE note AND ok", "42804", "AND"),
        ("SELECT note + 1 AS x FROM orders", "42883", "text + integer"),
        ("SELECT score % 2 AS x FROM orders", "42883", "double precision % integer"),
        ("SELECT -note AS x FROM orders", "42883", "- text"),
        ("SELECT upper(id) FROM orders", "42883", "upper(bigint)"),
        ("SELECT round(score, 2) FROM orders", "42883", "round(double precision, integer)"),
        ("SELECT sum(note) FROM orders", "42883", "sum(text)"),
        ("SELECT min(ok) FROM orders", "42883", "min(boolean)"),
        ("SELECT max(ref) FROM orders", "42883", "max(uuid)"),
        ("SELECT min(doc) FROM orders", "42883", "min(jsonb)"),
        ("SELECT count(id, note) FROM orders", "42883", "count"),
        ("SELECT sum(*) FROM orders", "42601", "sum(*)"),
        ("SELECT customer, sum(amount) FROM orders", "42803", "orders.customer"),
        ("SELECT o.customer, note FROM orders o GROUP BY customer", "42803", "o.note"),
        ("SELECT count(*) FROM orders WHERE count(*) > 1", "42803", "WHERE"),
        ("SELECT count(*) FROM orders GROUP BY count(*)", "42803", "GROUP BY"),
        ("SELECT count(*) AS c FROM orders GROUP BY c", "42803", "GROUP BY"),
        ("SELECT sum(count(*)) FROM orders", "42803", "nested"),
        ("SELECT o.id FROM orders o JOIN customers c ON count(*) = 1", "42803", "JOIN/ON"),
        ("SELECT sum(amount) FILTER (WHERE count(*) > 1) FROM orders", "42803", "FILTER"),
        ("SELECT customer FROM orders GROUP BY 2", "42P10", "position 2"),
        ("SELECT customer FROM orders GROUP BY 'x'", "42601", "non-integer"),
        ("SELECT customer AS c FROM orders GROUP BY customer HAVING c > 1", "42703", "\"c\""),
        ("SELECT customer AS c FROM orders WHERE c > 1", "42703", "\"c\""),
        ("SELECT id FROM orders HAVING true", "42803", "orders.id"),
        ("SELECT 1 AS one FROM orders HAVING true", "42803", "needs an aggregate"),
        ("SELECT id, note FROM orders GROUP BY id", "42803", "orders.note"),
        ("SELECT id, note FROM orders UNION ALL SELECT id FROM orders", "42601", "same number"),
        ("SELECT id FROM orders UNION ALL SELECT note FROM orders", "42804", "UNION types bigint and text"),
        ("VALUES (1, 2), (3)", "42601", "same length"),
        ("VALUES (1), ('x')", "22P02", "\"x\""),
        ("SELECT CASE WHEN ok THEN 1 ELSE note END AS x FROM orders", "42804", "CASE types"),
        ("SELECT coalesce(id, note) AS x FROM orders", "42804", "COALESCE types"),
        ("SELECT ok::bigint AS x FROM orders", "42846", "boolean to bigint"),
        ("SELECT ref::integer AS x FROM orders", "42846", "uuid to integer"),
        ("SELECT id::nothing AS x FROM orders", "42704", "nothing"),
        ("SELECT 1 AS x FROM orders o JOIN customers c USING (nothing)", "42703", "USING"),
        ("SELECT 1 AS x FROM orders o JOIN customers c USING (id)", "0A000", "bigint and integer"),
        ("SELECT * FROM (SELECT id FROM orders)", "42601", "alias"),
        ("SELECT x FROM (SELECT id FROM orders) AS s(x, y)", "42P10", "1 columns available"),
        ("WITH a AS (SELECT 1 AS x), a AS (SELECT 2 AS x) SELECT x FROM a", "42712", "\"a\""),
        ("SELECT *", "42601", "no tables"),
        ("SELECT c.* FROM orders", "42P01", "\"c\""),
        ("SELECT FROM orders", "42601", ""),
        ("SELECT '2024-02-30'::date AS x", "22008", "2024-02-30"),
        ("SELECT note LIKE 'x' ESCAPE 'ab' AS x FROM orders", "22025", "ab"),
        ("SELECT upper(DISTINCT note) FROM orders", "42809", "not an aggregate"),
        ("SELECT date_trunc('fortnight', placed) FROM orders", "22023", "fortnight"),
        ("SELECT NULL + NULL AS x", "42725", "unknown"),
        ("SELECT * FROM orders o, customers c JOIN clicks k ON k.customer = o.id", "42P01", "\"o\""),
    ]);
    let e = plan(&shop(), "CREATE STREAM TABLE v AS\n SELECT nothing FROM orders").unwrap_err();
    assert_eq!(e.position, Some((2, 9)));
    assert!(e.hint.unwrap().contains("customer"));
}
