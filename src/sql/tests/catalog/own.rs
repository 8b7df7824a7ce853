//! What the catalog tells of that PostgreSQL does not have: stream tables, sources and sinks; and what it refuses.

use std::collections::BTreeSet;

use plan::Catalog;

use super::support::{self, ours, prepare, recorded};
use super::{FILES, our_catalog};

/// Rows of our answer alone.
fn rows(catalog: &Catalog, sql: &str, values: &[&str]) -> Vec<Vec<Option<String>>> {
    let values: Vec<String> = values.iter().map(|value| (*value).to_string()).collect();
    ours(catalog, sql, &values).unwrap_or_else(|e| panic!("{sql}: {e}")).1
}

/// Rows of our answer as lines; NULL is `-`.
fn lines(catalog: &Catalog, sql: &str) -> Vec<String> {
    let line = |row: Vec<Option<String>>| {
        row.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_string())).collect::<Vec<_>>().join(" | ")
    };
    rows(catalog, sql, &[]).into_iter().map(line).collect()
}

/// What `\d` of a name shows: its columns, then its indexes, as psql asks for them.
fn described(catalog: &Catalog, name: &str) -> Vec<String> {
    let oid = &rows(catalog, &format!("SELECT '{name}'::pg_catalog.regclass::pg_catalog.oid"), &[])[0][0];
    let oid = oid.clone().unwrap();
    let (queries, _) = recorded(FILES[0].1);
    let ask = |part: &str| {
        let query = queries.iter().find(|query| query.label == "\\d customers" && query.sql.contains(part)).unwrap();
        lines(catalog, &query.sql.replace("16388", &oid))
    };
    let mut out = ask("format_type(a.atttypid");
    out.extend(ask("pg_get_indexdef(i.indexrelid, 0, true)"));
    out
}

#[test]
fn d_shows_stream_tables_and_sources() {
    let catalog = our_catalog();
    assert_eq!(
        described(&catalog, "totals"),
        [
            "region | text | - | f | - |  | ",
            "n | bigint | - | f | - |  | ",
            "best | double precision | - | f | - |  | ",
            "totals_pkey | f | t | f | t | CREATE UNIQUE INDEX totals_pkey ON totals USING btree (region) NULLS NOT DISTINCT | \
             - | - | - | - | f | 0",
        ]
    );
    assert_eq!(
        described(&catalog, "names"),
        [
            "id | integer | - | t | - |  | ",
            "name | character varying(20) | - | t | - |  | ",
            "names_pkey | t | t | f | t | CREATE UNIQUE INDEX names_pkey ON names USING btree (id) | PRIMARY KEY (id) | p | \
             f | f | f | 0",
        ]
    );
    assert_eq!(
        described(&catalog, "customers"),
        [
            "id | integer | - | t | - |  | ",
            "name | character varying(20) | - | t | - |  | ",
            "region | text | 'north' | t | - |  | ",
            "joined | date | - | f | - |  | ",
            "score | double precision | 1.5 | f | - |  | ",
            "customers_pkey | t | t | f | t | CREATE UNIQUE INDEX customers_pkey ON customers USING btree (id) | \
             PRIMARY KEY (id) | p | f | f | f | 0",
        ]
    );
    let server = "SELECT srvname, array_to_string(ftoptions, ',') FROM pg_foreign_table JOIN pg_foreign_server s \
                  ON s.oid = ftserver WHERE ftrelid = 'clicks'::regclass";
    assert_eq!(lines(&catalog, server), ["kafka | topic=clicks"]);
}

#[test]
fn stream_tables_are_materialized_views() {
    let catalog = our_catalog();
    let tables = "SELECT table_name, table_type, is_insertable_into FROM information_schema.tables \
                  WHERE table_schema = 'public' ORDER BY 1";
    assert_eq!(
        lines(&catalog, tables),
        [
            "Mixed Case | BASE TABLE | YES",
            "clicks | FOREIGN | NO",
            "customers | BASE TABLE | YES",
            "names | MATERIALIZED VIEW | NO",
            "orders | BASE TABLE | NO",
            "parts | BASE TABLE | YES",
            "totals | MATERIALIZED VIEW | NO",
        ]
    );
    let definition = "SELECT region, count(*) AS n, max(score) AS best FROM customers GROUP BY region;";
    let queries = [
        "SELECT definition FROM pg_matviews WHERE matviewname = 'totals'",
        "SELECT view_definition FROM information_schema.views WHERE table_name = 'totals'",
        "SELECT pg_get_viewdef('totals'::regclass, true)",
        "SELECT pg_get_viewdef('totals')",
    ];
    for query in queries {
        assert_eq!(lines(&catalog, query), [definition], "{query}");
    }
    // a sink is not a relation
    assert!(lines(&catalog, "SELECT 1 FROM pg_class WHERE relname = 'out'").is_empty());
}

#[test]
fn an_oid_stays_with_its_table() {
    let catalog = our_catalog();
    let mut without = catalog.clone();
    without.drop_table("Mixed Case", false).unwrap();
    let oid = "SELECT 'names'::regclass::oid, 'names_pkey'::regclass::oid";
    assert_eq!(lines(&catalog, oid), lines(&without, oid));
    let all = "SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_constraint UNION ALL SELECT oid FROM pg_attrdef \
               UNION ALL SELECT oid FROM pg_type WHERE oid >= 16384";
    let oids = lines(&catalog, all);
    assert_eq!(oids.iter().collect::<BTreeSet<_>>().len(), oids.len());
}

#[test]
fn data_and_catalog_are_not_mixed() {
    let catalog = our_catalog();
    let queries = [
        "SELECT c.relname, t.n FROM pg_class c, totals t",
        "SELECT * FROM customers WHERE id IN (SELECT oid FROM pg_class)",
        "SELECT current_database(), name FROM public.customers",
    ];
    for query in queries {
        let e = prepare(&catalog, query).unwrap_err();
        assert_eq!(e.sqlstate, "0A000", "{query}: {e}");
        assert!(e.message.contains("both the catalog and") && e.hint.is_some(), "{query}: {e}");
    }
    // a query that does not mention the catalog is none of the catalog's
    let planned = prepare(&catalog, "SELECT lower(name) FROM customers").unwrap();
    assert!(!format!("{:?}", planned.work).contains("Answer"), "{:?}", planned.work);
}

#[test]
fn parameters_have_the_types_of_their_use() {
    let catalog = our_catalog();
    let sql = "SELECT relname FROM pg_class WHERE oid = $1 AND relkind = ANY (ARRAY[$2::varchar, $3]) AND relhasindex = $4 \
               AND relnatts > $5 AND oid = $6::regclass LIMIT $7";
    let prepared = prepare(&catalog, sql).unwrap();
    let types: Vec<String> = prepared.parameters.iter().map(ToString::to_string).collect();
    assert_eq!(types, ["bigint", "text", "text", "boolean", "smallint", "text", "bigint"]);
    let oid = lines(&catalog, "SELECT 'orders'::regclass::oid").remove(0);
    let with = |limit: &str| rows(&catalog, sql, &[&oid, "r", "m", "t", "3", "orders", limit]).len();
    assert_eq!((with("1"), with("0")), (1, 0));
    let missing = ours(&catalog, sql, &[]).unwrap_err();
    assert!(missing.starts_with("08P01"), "{missing}");
}

#[test]
fn limits_are_kept() {
    let catalog = our_catalog();
    let sql =
        "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c WHERE a.attnum + b.attnum > c.attnum";
    for (limits, sqlstate) in support::too_little() {
        let e = support::run(&catalog, sql, &[], &limits).unwrap_err();
        assert!(e.starts_with(sqlstate), "{e}");
    }
}

#[test]
fn long_queries_are_answered_and_deep_ones_refused() {
    let catalog = our_catalog();
    let long = |part: &str, between: &str| vec![part; 2000].join(between);
    let conditions = format!("SELECT count(*) FROM pg_am WHERE {}", long("oid = 2", " OR "));
    assert_eq!(lines(&catalog, &conditions), ["1"]);
    let union = format!("SELECT count(*) FROM pg_am JOIN ({}) q ON true", long("SELECT 1 FROM pg_am", " UNION ALL "));
    assert_eq!(lines(&catalog, &union), ["8000"]);
    let deep = format!("SELECT {} FROM pg_am", long("amname", " || "));
    let e = prepare(&catalog, &deep).unwrap_err();
    assert_eq!(e.sqlstate, "54001", "{e}");
}

#[test]
fn numbers_do_not_overflow_in_silence() {
    let catalog = our_catalog();
    let queries = [
        ("SELECT -(-9223372036854775807 - 1) FROM pg_am", "22003"),
        ("SELECT 9223372036854775807 + 1 FROM pg_am", "22003"),
        ("SELECT 70000::int2 FROM pg_am", "22003"),
        ("SELECT (-1)::oid", "22003"),
        ("SELECT 1 / 0 FROM pg_am", "22012"),
        ("SELECT generate_series(1, 9223372036854775807) FROM pg_am", "0A000"),
        ("SELECT generate_series(1, 2, 0) FROM pg_am", "0A000"),
        ("SELECT 1 FROM pg_am LIMIT -1", "2201W"),
        ("SELECT 1 FROM pg_am WHERE amname ~ '('", "2201B"),
    ];
    for (sql, sqlstate) in queries {
        let e = ours(&catalog, sql, &[]).expect_err(sql);
        assert!(e.starts_with(sqlstate), "{sql}: {e}");
    }
    assert_eq!(
        lines(&catalog, "SELECT (ARRAY[1])[-9223372036854775807 - 1], left('abc', -5) FROM pg_am LIMIT 1"),
        ["- | "]
    );
}
