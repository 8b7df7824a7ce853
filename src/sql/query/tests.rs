#![allow(clippy::unwrap_used)]

mod refused;

use plan::{Catalog, NodeKind};

use crate::testing::{apply, catalog, plan, shop, stream};

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
fn rows_that_only_come_are_those_of_sources() {
    let mut all = shop();
    for (name, envelope) in [("bids", "'append'"), ("changes", "'debezium', replica_identity = 'full'")] {
        let options = format!("connector = 'log', topic = 't', envelope = {envelope}");
        apply(&mut all, &format!("CREATE SOURCE {name} (customer integer, price bigint) WITH ({options})"));
    }
    apply(&mut all, "CREATE STREAM TABLE high AS SELECT customer, price FROM bids WHERE price > 100");
    let only_come = |query: &str| {
        let (_, graph) = stream(&all, query).unwrap_or_else(|e| panic!("{query}: {e}"));
        graph.only_come()
    };
    for query in [
        "SELECT price + 1 AS p FROM bids WHERE price > 1",
        "SELECT a.price FROM bids a JOIN bids b USING (customer)",
        "SELECT DISTINCT customer FROM (SELECT customer FROM bids UNION ALL SELECT 1) u",
    ] {
        assert!(only_come(query).iter().all(|only| *only), "{query}");
    }
    // Rows that are kept go when their table is restarted, and a stream table may be made anew.
    for table in ["changes", "orders", "clicks", "high"] {
        let query = format!("SELECT * FROM {table}");
        assert!(only_come(&query).iter().all(|only| !only), "{query}");
    }
    let query = "SELECT b.price FROM bids b JOIN (SELECT max(price) AS m FROM bids) m ON b.price = m.m";
    let (_, graph) = stream(&all, query).unwrap();
    for (node, only) in graph.nodes.iter().zip(graph.only_come()) {
        let behind = matches!(node.kind, NodeKind::Aggregate { .. } | NodeKind::Join { .. });
        assert!(!only || !behind, "{}", node.kind);
    }
    assert!(!graph.only_come()[graph.root().0 as usize]);
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
