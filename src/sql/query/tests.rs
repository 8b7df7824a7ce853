#![allow(clippy::unwrap_used)]
use plan::Catalog;

use crate::testing::{apply, catalog, plan, refused, shop, stream};

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

fn columns(query: &str) -> String {
    let (def, _) = stream(&shop(), query).unwrap_or_else(|e| panic!("{query}: {e}"));
    def.columns.0.iter().map(|c| format!("{} {}", c.name, c.ty)).collect::<Vec<_>>().join(", ")
}

#[test]
fn names_and_types_of_columns() {
    let cases = [
        (
            "SELECT count(*), sum(customer), avg(customer), min(note), max(day) FROM orders",
            "count bigint, sum bigint, avg numeric(76,38), min text, max date",
        ),
        (
            "SELECT sum(id) AS a, sum(amount) AS b, sum(score) AS c, sum(customer::smallint) AS d, sum(score::real) AS e FROM orders",
            "a numeric(38,0), b numeric(38,2), c double precision, d bigint, e real",
        ),
        (
            "SELECT avg(amount) AS a, avg(score) AS b, avg(score::real) AS c FROM orders",
            "a numeric(76,38), b double precision, c double precision",
        ),
        ("SELECT min(name), max(name) AS b FROM customers", "min text, b text"),
        (
            "SELECT name, name AS n2, ref, doc, placed FROM customers, orders",
            "name varchar(20), n2 varchar(20), ref uuid, doc jsonb, placed timestamp(6)",
        ),
        ("SELECT ref, doc FROM (SELECT * FROM orders) s WHERE ref IS NOT NULL", "ref uuid, doc jsonb"),
        ("SELECT ref, count(*) FROM orders GROUP BY ref", "ref uuid, count bigint"),
        ("SELECT name FROM customers UNION ALL SELECT name FROM customers", "name varchar(20)"),
        ("SELECT name FROM customers UNION ALL SELECT region FROM customers", "name text"),
        ("SELECT ref FROM orders UNION ALL SELECT NULL", "ref uuid"),
        ("SELECT 1 AS a UNION ALL SELECT NULL UNION ALL SELECT 2.5", "a numeric(11,1)"),
        (
            "SELECT 'x' AS a, NULL AS b, 1 AS c, 1.50 AS d, 5000000000 AS e, true AS f",
            "a text, b text, c integer, d numeric(3,2), e bigint, f boolean",
        ),
        ("SELECT CASE WHEN ok THEN ref END FROM orders", "case uuid"),
        ("SELECT coalesce(ref, '00000000-0000-0000-0000-000000000000') FROM orders", "coalesce uuid"),
        (
            "SELECT amount + 1 AS a, amount * amount AS b, amount / 2 AS c, amount + score AS d, customer / 2 AS e, amount % 2 AS f FROM orders",
            "a numeric(13,2), b numeric(20,4), c numeric(76,38), d double precision, e integer, f numeric(10,2)",
        ),
        (
            "SELECT id + o.customer AS a, day + 1 AS b, day - day AS c, code + code AS d FROM orders o, clicks",
            "a bigint, b date, c integer, d smallint",
        ),
        ("SELECT column1, column2 FROM (VALUES (1, 'a'), (2, NULL)) v", "column1 integer, column2 text"),
        ("VALUES (1, 2.5), (3, 4)", "column1 integer, column2 numeric(11,1)"),
        ("SELECT c.* FROM orders o JOIN customers c ON c.id = o.customer", "id integer, name varchar(20), region text"),
        (
            "SELECT * FROM (SELECT id AS customer, name FROM customers) c JOIN clicks USING (customer)",
            "customer integer, name varchar(20), at timestamptz(6), url text, code smallint",
        ),
        (
            "SELECT * FROM clicks NATURAL JOIN (SELECT id AS customer, name FROM customers) c",
            "customer integer, at timestamptz(6), url text, code smallint, name varchar(20)",
        ),
        ("SELECT a, b FROM (SELECT id, note FROM orders) AS s(a, b)", "a bigint, b text"),
        ("WITH x (k) AS (SELECT id FROM orders) SELECT k FROM x", "k bigint"),
    ];
    for (query, wanted) in &cases {
        assert_eq!(&columns(query), wanted, "{query}");
    }
}

#[test]
fn a_bare_numeric_cast_is_told() {
    let planned = plan(&shop(), "CREATE STREAM TABLE v AS SELECT note::numeric AS x FROM orders").unwrap();
    assert!(planned.notices[0].contains("NUMERIC(38,10)"), "{:?}", planned.notices);
}

fn derived(all: &Catalog, query: &str) -> (Vec<String>, bool) {
    let (def, _) = stream(all, query).unwrap_or_else(|e| panic!("{query}: {e}"));
    (def.key_columns().map(|c| c.name.clone()).collect(), def.append_only())
}

#[test]
fn derived_keys() {
    let mut all = shop();
    apply(&mut all, "CREATE STREAM TABLE per_customer AS SELECT customer, count(*) AS n FROM orders GROUP BY customer");
    let cases: &[(&str, &[&str])] = &[
        ("SELECT note, id FROM orders", &["id"]),
        ("SELECT * FROM orders WHERE ok", &["id"]),
        ("SELECT id AS order_id, note FROM orders", &["order_id"]),
        ("SELECT id + 0 AS id, note FROM orders", &[]),
        ("SELECT note FROM orders", &[]),
        ("SELECT url FROM clicks", &[]),
        ("SELECT customer, ok, count(*) FROM orders GROUP BY customer, ok", &["customer", "ok"]),
        ("SELECT count(*), ok, customer FROM orders GROUP BY customer, ok", &["ok", "customer"]),
        ("SELECT customer, count(*) FROM orders GROUP BY customer, ok", &[]),
        ("SELECT upper(note) AS u, count(*) FROM orders GROUP BY upper(note) HAVING count(*) > 1", &["u"]),
        ("SELECT count(*) FROM orders", &[]),
        ("SELECT DISTINCT customer, ok FROM orders", &["customer", "ok"]),
        ("SELECT note FROM orders UNION SELECT region FROM customers", &["note"]),
        ("SELECT id FROM orders UNION ALL SELECT id FROM orders", &[]),
        ("SELECT o.id, c.id AS cid, name FROM orders o JOIN customers c ON c.id = o.customer", &["id", "cid"]),
        ("SELECT o.id, name FROM orders o JOIN customers c ON c.id = o.customer", &[]),
        ("SELECT a.id AS x, b.id AS y FROM orders a, orders b", &["x", "y"]),
        ("SELECT o.id, url FROM orders o JOIN clicks k USING (customer)", &[]),
        ("SELECT customer, n FROM per_customer", &["customer"]),
        ("SELECT id, p.customer, n FROM orders JOIN per_customer p USING (customer)", &["id", "customer"]),
        ("VALUES (1)", &[]),
    ];
    for (query, key) in cases {
        let mut found = derived(&all, query).0;
        let mut wanted: Vec<String> = key.iter().map(ToString::to_string).collect();
        if found.len() > 1 {
            found.sort();
            wanted.sort();
        }
        assert_eq!(found, wanted, "{query}");
    }
}

#[test]
fn what_is_append_only() {
    let mut all = shop();
    apply(&mut all, "CREATE STREAM TABLE errors AS SELECT url, customer FROM clicks WHERE code = 500");
    for query in [
        "SELECT url FROM clicks",
        "SELECT url FROM clicks WHERE code > 1",
        "SELECT url FROM clicks UNION ALL SELECT url FROM errors",
        "SELECT a.url FROM clicks a JOIN errors b USING (customer)",
        "SELECT 1 AS x",
    ] {
        assert!(derived(&all, query).1, "{query}");
    }
    for query in [
        "SELECT note FROM orders",
        "SELECT name FROM customers",
        "SELECT DISTINCT url FROM clicks",
        "SELECT count(*) FROM clicks",
        "SELECT url FROM clicks UNION SELECT url FROM clicks",
        "SELECT url FROM clicks JOIN orders USING (customer)",
    ] {
        assert!(!derived(&all, query).1, "{query}");
    }
}

#[test]
fn a_query_may_read_what_another_wrote() {
    let mut all = shop();
    apply(&mut all, "CREATE STREAM TABLE a AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer");
    apply(&mut all, "CREATE STREAM TABLE b AS SELECT name, total FROM a JOIN customers ON id = customer");
    let (def, graph) = stream(&all, "SELECT name FROM b, a WHERE b.total = a.total").unwrap();
    assert_eq!(def.id.0, 6);
    let tables: Vec<u32> = graph.tables().iter().map(|t| t.0).collect();
    assert!(tables.contains(&4) && tables.contains(&5) && tables.len() == 2, "{tables:?}");
}

#[test]
fn fingerprints_tell_plans_apart() {
    let fingerprint = |query: &str| match stream(&shop(), query).unwrap().0.kind {
        plan::TableKind::Stream(stream) => stream.fingerprint,
        plan::TableKind::Source(_) => 0,
    };
    let one = fingerprint("SELECT id FROM orders WHERE note = '1'");
    assert_eq!(one, fingerprint("select o.id from orders as o where o.note = '1'"));
    for other in [
        "SELECT id FROM orders WHERE note = '2'",
        "SELECT id FROM orders WHERE note <> '1'",
        "SELECT id FROM orders WHERE customer = '1'",
        "SELECT id AS x FROM orders WHERE note = '1'",
        "SELECT customer AS id FROM orders WHERE note = '1'",
    ] {
        assert_ne!(one, fingerprint(other), "{other}");
    }
}

#[test]
fn literals_of_two_types_are_two_plans() {
    let all = catalog(&["CREATE TABLE t (a integer, b bigint) WITH (connector = 'log', topic = 't')"]);
    let (_, graph) = stream(&all, "SELECT a FROM t WHERE a = 1 UNION ALL SELECT a FROM t WHERE a::bigint = 1").unwrap();
    let filters = graph.nodes.iter().filter(|n| matches!(n.kind, plan::NodeKind::Filter { .. })).count();
    assert_eq!(filters, 2, "{graph}");
}

/// A condition that may fail is not copied to the other side of a join's equality: there it would fail on rows without a
/// partner, of which the query says nothing.
#[test]
fn conditions_are_moved_and_never_copied() {
    for query in [
        "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer WHERE 100 / c.id > 1",
        "SELECT o.id FROM orders o, customers c WHERE c.id = o.customer AND 100 / c.id > 1",
        "SELECT o.id FROM orders o, clicks k, customers c WHERE c.id = o.customer AND k.customer = c.id AND 100 / c.id > 1",
    ] {
        let (_, graph) = stream(&shop(), query).unwrap();
        let text = graph.to_string();
        assert_eq!(text.matches("div(").count(), 1, "{query}\n{text}");
        assert!(!text.contains("on [] = []"), "{query}\n{text}");
    }
}
