//! README's SQL reference is what the planner does: every construct is tried, for clients' queries and for stream tables, and
//! the table that comes of it is the one in README. What is refused there may only become less.

use dataflow::{Action, Planner, Queries};
use plan::Catalog;
use sql::SqlPlanner;

/// A construct, and a query that has it over `a` and `b`.
const QUERIES: &[(&str, &[(&str, &str)])] = &[
    (
        "FROM",
        &[
            ("INNER JOIN ... ON, any condition", "SELECT a.id FROM a JOIN b ON a.x = b.x AND a.n < b.n"),
            ("USING, NATURAL", "SELECT id FROM a JOIN b USING (id)"),
            ("LEFT, RIGHT, FULL JOIN", "SELECT a.id AS i, b.id AS j FROM a LEFT JOIN b ON a.x = b.x"),
            ("CROSS JOIN", "SELECT a.id AS i, b.id AS j FROM a CROSS JOIN b"),
            ("join without an equality", "SELECT a.id AS i, b.id AS j FROM a JOIN b ON a.x < b.x"),
            ("subquery in FROM", "SELECT s.x FROM (SELECT x FROM a) AS s"),
            ("VALUES in FROM", "SELECT v.x FROM (VALUES (1), (2)) AS v (x)"),
            ("generate_series(...)", "SELECT g.n FROM generate_series(1, 3) AS g (n)"),
            ("LATERAL", "SELECT a.id FROM a, LATERAL (SELECT b.x FROM b WHERE b.id = a.id) AS l"),
            ("TABLESAMPLE", "SELECT id FROM a TABLESAMPLE BERNOULLI (10)"),
            ("WITH", "WITH w AS (SELECT id FROM a) SELECT id FROM w"),
            (
                "WITH RECURSIVE",
                "WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM w WHERE n < 3) SELECT n FROM w",
            ),
        ],
    ),
    (
        "WHERE and expressions",
        &[
            ("scalar subquery", "SELECT id, (SELECT max(x) FROM b) AS m FROM a"),
            ("correlated subquery", "SELECT id, (SELECT max(b.x) FROM b WHERE b.id = a.id) AS m FROM a"),
            ("IN, NOT IN (SELECT ...)", "SELECT id FROM a WHERE x IN (SELECT x FROM b)"),
            ("EXISTS, NOT EXISTS", "SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = a.id)"),
            ("op ANY, ALL (SELECT ...)", "SELECT id FROM a WHERE x > ALL (SELECT x FROM b)"),
            (
                "CASE, COALESCE, NULLIF, GREATEST, LEAST",
                "SELECT CASE WHEN x > 0 THEN 1 ELSE 2 END AS c, greatest(x, 1) AS g FROM a",
            ),
            (
                "BETWEEN, IN (list), IS DISTINCT FROM",
                "SELECT id FROM a WHERE x BETWEEN 1 AND 2 OR x IN (3, 4) OR x IS DISTINCT FROM 5",
            ),
            ("LIKE, ILIKE", "SELECT id FROM a WHERE t LIKE 'a%' OR t ILIKE 'b_'"),
            ("regular expressions (~, SIMILAR TO)", "SELECT id FROM a WHERE t ~ '^a'"),
            ("EXTRACT, date_part, date_trunc", "SELECT extract(year FROM ts) AS y, date_trunc('day', ts) AS d FROM a"),
            ("intervals", "SELECT ts + interval '1 day' AS n FROM a"),
            ("now(), current_date", "SELECT id FROM a WHERE ts < now()"),
            ("random(), gen_random_uuid()", "SELECT random() AS r FROM a"),
            ("arrays", "SELECT ARRAY[1, 2] AS l FROM a"),
            ("jsonb operators (->, ->>, @>)", "SELECT j ->> 'a' AS v FROM a"),
            ("to_char, to_date", "SELECT to_char(ts, 'YYYY') AS y FROM a"),
        ],
    ),
    (
        "GROUP BY and aggregates",
        &[
            ("GROUP BY, HAVING", "SELECT x, count(*) AS n FROM a GROUP BY x HAVING count(*) > 1"),
            (
                "GROUP BY of a PRIMARY KEY for the table's other columns",
                "SELECT id, t, count(*) AS n FROM a GROUP BY id",
            ),
            (
                "count, sum, avg, min, max",
                "SELECT count(*) AS c, sum(n) AS s, avg(x) AS v, min(t) AS i, max(ts) AS m FROM a",
            ),
            (
                "DISTINCT and FILTER in aggregates",
                "SELECT count(DISTINCT x) AS c, sum(n) FILTER (WHERE x > 1) AS s FROM a",
            ),
            ("bool_and, bool_or", "SELECT bool_and(b) AS x FROM a"),
            ("string_agg", "SELECT string_agg(t, ',' ORDER BY id) AS s FROM a"),
            ("array_agg, jsonb_agg", "SELECT array_agg(x) AS s FROM a"),
            ("stddev, variance", "SELECT stddev(x) AS s FROM a"),
            ("percentile_cont, mode", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) AS p FROM a"),
            ("GROUPING SETS, ROLLUP, CUBE", "SELECT x, count(*) AS n FROM a GROUP BY ROLLUP (x)"),
        ],
    ),
    (
        "sets, order, windows",
        &[
            ("DISTINCT", "SELECT DISTINCT x FROM a"),
            ("DISTINCT ON", "SELECT DISTINCT ON (x) x, id FROM a ORDER BY x, id"),
            ("UNION, UNION ALL", "SELECT x FROM a UNION SELECT x FROM b"),
            ("INTERSECT, EXCEPT [ALL]", "SELECT x FROM a EXCEPT ALL SELECT x FROM b"),
            ("ORDER BY", "SELECT id FROM a ORDER BY x DESC NULLS LAST"),
            ("LIMIT, OFFSET, FETCH", "SELECT id FROM a ORDER BY id LIMIT 3 OFFSET 1"),
            (
                "row_number, rank, dense_rank, lag, lead",
                "SELECT id, row_number() OVER (PARTITION BY x ORDER BY id) AS r FROM a",
            ),
            ("aggregates OVER", "SELECT id, sum(n) OVER (PARTITION BY x ORDER BY id) AS s FROM a"),
            ("SELECT without FROM", "SELECT 1 AS one"),
            ("FOR UPDATE", "SELECT id FROM a FOR UPDATE"),
        ],
    ),
];

/// Statements, as a client sends them.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "CREATE TABLE, with PRIMARY KEY, NOT NULL, DEFAULT, CHECK",
        "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL DEFAULT 1 CHECK (v > 0))",
    ),
    (
        "UNIQUE, also NULLS NOT DISTINCT",
        "CREATE TABLE t (id int PRIMARY KEY, v int UNIQUE, w int, UNIQUE NULLS NOT DISTINCT (v, w))",
    ),
    (
        "SERIAL, GENERATED ... AS IDENTITY",
        "CREATE TABLE t (id bigserial, n int GENERATED ALWAYS AS IDENTITY (START WITH 5 INCREMENT BY 2))",
    ),
    ("FOREIGN KEY, REFERENCES, EXCLUDE", "CREATE TABLE t (id int REFERENCES a (id))"),
    ("CREATE TABLE ... WITH (connector = ...)", "CREATE TABLE t (id int) WITH (connector = 'log', topic = 't')"),
    (
        "topic = 'a,b', topic_pattern; INCLUDE KEY, TOPIC, PARTITION, OFFSET, TIMESTAMP, HEADERS",
        "CREATE TABLE t (id int) INCLUDE TOPIC WITH (connector = 'log', topic_pattern = 'shop\\..*')",
    ),
    ("CREATE SOURCE", "CREATE SOURCE s (id int) WITH (connector = 'log', topic = 't')"),
    ("CREATE STREAM TABLE, CREATE MATERIALIZED VIEW", "CREATE STREAM TABLE v AS SELECT id FROM a"),
    ("CREATE SINK", "CREATE SINK s FROM a WITH (connector = 'blackhole')"),
    ("DROP TABLE, STREAM TABLE, SOURCE, SINK [CASCADE]", "DROP TABLE a CASCADE"),
    ("ALTER TABLE ADD, DROP, RENAME COLUMN", "ALTER TABLE a ADD COLUMN z int"),
    ("ALTER TABLE ADD UNIQUE, DROP CONSTRAINT", "ALTER TABLE a ADD CONSTRAINT u UNIQUE (x)"),
    ("ALTER TABLE ... SET, RESET, RESUME of tables with a connector", "ALTER TABLE c SET (on_error = 'stop')"),
    ("ALTER TABLE ... RESTART FROM, ACCEPT LOSS", "ALTER TABLE c RESTART FROM 'earliest'"),
    ("ALTER STREAM TABLE ... RESUME", "ALTER STREAM TABLE kept RESUME"),
    ("ALTER TABLE ... ALTER COLUMN", "ALTER TABLE a ALTER COLUMN x TYPE bigint"),
    ("INSERT ... VALUES, SELECT, RETURNING", "INSERT INTO a (id, x) VALUES (1, 2) RETURNING id"),
    ("OVERRIDING SYSTEM, USER VALUE", "INSERT INTO d (id, x) OVERRIDING USER VALUE VALUES (1, 2)"),
    ("INSERT ... ON CONFLICT", "INSERT INTO a (id) VALUES (1) ON CONFLICT DO NOTHING"),
    ("UPDATE, DELETE, TRUNCATE", "UPDATE a SET x = x + 1 WHERE id = 1"),
    ("UPDATE ... FROM, DELETE ... USING", "UPDATE a SET x = b.x FROM b WHERE a.id = b.id"),
    (
        "WITH before INSERT, UPDATE, DELETE",
        "WITH w AS (SELECT max(id) AS id FROM b) DELETE FROM a USING w WHERE a.id = w.id",
    ),
    ("INSERT, UPDATE, DELETE within WITH", "WITH w AS (DELETE FROM b RETURNING id) SELECT id FROM w"),
    ("MERGE", "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE"),
    ("SELECT, VALUES, TABLE", "TABLE a"),
    ("nextval, setval as items of a SELECT; currval, lastval", "SELECT setval('d_id_seq', max(id)) FROM d"),
    ("EXPLAIN query, EXPLAIN CREATE STREAM TABLE", "EXPLAIN CREATE STREAM TABLE v AS SELECT id FROM a"),
    ("VERIFY STREAM TABLE v, VERIFY STREAM TABLES", "VERIFY STREAM TABLE kept"),
    ("EXPLAIN ANALYZE", "EXPLAIN ANALYZE SELECT 1"),
    ("SHOW TABLES, STREAM TABLES, SOURCES, SINKS, STATE, JOBS", "SHOW STATE"),
    ("SHOW DEAD LETTERS, REPLAY DEAD LETTERS", "REPLAY DEAD LETTERS FROM c"),
    ("BEGIN, COMMIT, ROLLBACK [AND CHAIN], SAVEPOINT, ROLLBACK TO, RELEASE", "BEGIN ISOLATION LEVEL REPEATABLE READ"),
    ("SELECT ... FOR UPDATE, SHARE of one table with a key", "SELECT x FROM a WHERE id = 1 FOR NO KEY UPDATE"),
    ("SKIP LOCKED, LOCK TABLE, PREPARE TRANSACTION", "SELECT x FROM a FOR UPDATE SKIP LOCKED"),
    ("SET, SHOW, RESET, DISCARD", "SET statement_timeout = '5s'"),
    ("PREPARE, EXECUTE, DEALLOCATE", "PREPARE p AS SELECT 1"),
    ("COPY ... FROM STDIN, TO STDOUT (text, csv)", "COPY a (id, x) FROM STDIN (FORMAT csv, HEADER)"),
    ("COPY of files of the server, PROGRAM, binary", "COPY a FROM '/tmp/a'"),
    ("DECLARE CURSOR", "DECLARE c CURSOR FOR SELECT 1"),
    ("CREATE INDEX", "CREATE INDEX i ON a (x)"),
    ("CREATE SEQUENCE", "CREATE SEQUENCE s"),
    ("CREATE VIEW", "CREATE VIEW w AS SELECT id FROM a"),
    ("GRANT", "GRANT SELECT ON a TO b"),
    ("LISTEN, NOTIFY", "LISTEN c"),
];

fn catalog(planner: &SqlPlanner) -> Catalog {
    let mut catalog = Catalog::default();
    for name in ["a", "b"] {
        let sql = format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, x int, t text, n numeric(10,2), ts timestamp, b boolean, j jsonb)"
        );
        match planner.plan(&sql, &catalog).unwrap().action {
            Action::CreateTable(def) => catalog.add_table(def).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    let others = [
        "CREATE TABLE c (id int PRIMARY KEY) WITH (connector = 'log', topic = 'c')",
        "CREATE TABLE d (id serial PRIMARY KEY, x int)",
        "CREATE STREAM TABLE kept AS SELECT id FROM a",
    ];
    for sql in others {
        match planner.plan(sql, &catalog).unwrap().action {
            Action::CreateTable(def) | Action::CreateStream { def, .. } => catalog.add_table(def).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    catalog
}

/// `yes`, or the refusal; one that only says it is our own bug fails the test.
fn verdict<T>(construct: &str, result: Result<T, dataflow::StatementError>) -> String {
    match result {
        Ok(_) => "yes".to_string(),
        Err(error) => {
            assert_ne!(error.sqlstate, "XX000", "{construct}: {error}");
            assert!(error.hint.is_some() || error.sqlstate != "0A000", "{construct}: what to do instead? {error}");
            "refused".to_string()
        }
    }
}

fn reference() -> String {
    let planner = SqlPlanner::new();
    let catalog = catalog(&planner);
    let mut text = String::new();
    for (group, constructs) in QUERIES {
        text.push_str(&format!("| {group} | clients' queries | stream tables |\n|---|---|---|\n"));
        for (construct, query) in *constructs {
            let client = verdict(construct, planner.prepare(query, &catalog, &[]));
            let stream = verdict(construct, planner.plan(&format!("CREATE STREAM TABLE v AS {query}"), &catalog));
            text.push_str(&format!("| {construct} | {client} | {stream} |\n"));
        }
        text.push('\n');
    }
    text.push_str("| statements | |\n|---|---|\n");
    for (construct, statement) in STATEMENTS {
        let answer = planner.prepare(statement, &catalog, &[]).and_then(|prepared| match prepared.work {
            dataflow::Work::Engine => planner.plan(statement, &catalog).map(|_| ()),
            _ => Ok(()),
        });
        text.push_str(&format!("| {construct} | {} |\n", verdict(construct, answer)));
    }
    text
}

#[test]
fn readme_says_what_the_planner_does() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let reference = reference();
    assert!(readme.contains(&reference), "README's SQL reference is to be:\n{reference}");
}
