//! What psql and drivers ask of the catalog, judged by PostgreSQL: every recorded query is asked of both, of the same
//! tables. None may fail; the columns are the same, and so are the rows and their order, but for the differences in
//! `catalog/differences.rs`.

#![allow(clippy::unwrap_used)]

#[path = "catalog/differences.rs"]
mod differences;
#[path = "catalog/own.rs"]
mod own;
#[path = "support/catalog.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use differences::{Permit, permitted};
use plan::Catalog;
use postgres::{Client, NoTls};
use support::{Answer, Recorded, catalog, ours, recorded, theirs};

const FILES: [(&str, &str); 6] = [
    ("psql", include_str!("catalog/psql.sql")),
    ("completion", include_str!("catalog/completion.sql")),
    ("jdbc", include_str!("catalog/jdbc.sql")),
    ("python", include_str!("catalog/python.sql")),
    ("tokio-postgres", include_str!("catalog/tokio_postgres.sql")),
    ("standard", include_str!("catalog/standard.sql")),
];

const RELATIONS: &str = "SELECT oid, relname FROM pg_catalog.pg_class WHERE oid >= 16384 AND relnamespace = 2200";

type Oids = BTreeMap<String, String>;

/// A database of this name in the PostgreSQL of the tests, with the tables of the recorded queries.
fn database(name: &str) -> Client {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES").expect(
        "MILLSTREAM_TEST_POSTGRES is not set: run tests/run, which starts a PostgreSQL 15, or set it to the URL of one, \
         as in postgres://postgres@127.0.0.1:5432/postgres",
    );
    let mut server = Client::connect(&url, NoTls).expect("connect to MILLSTREAM_TEST_POSTGRES");
    server.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).unwrap();
    server.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let mut client = Client::connect(&format!("{server}/{name}"), NoTls).unwrap();
    client.batch_execute(include_str!("catalog/postgres.sql")).unwrap();
    client
}

fn our_catalog() -> Catalog {
    catalog(include_str!("catalog/millstream.sql"))
}

/// The relations by their oids.
fn oids(answer: Answer) -> Oids {
    let (_, rows) = answer.unwrap();
    rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
}

/// A recorded text with the oids that its relations have now.
fn with_oids(text: &str, recorded: &Oids, now: &Oids) -> String {
    let mut text = text.to_string();
    for (oid, name) in recorded {
        // an oid that a later one begins with is none of them: all have five digits
        let current = now.iter().find(|(_, relation)| *relation == name).map_or("999999", |(oid, _)| oid.as_str());
        text = text.replace(oid, &format!("\u{1}{current}\u{1}"));
    }
    text.replace('\u{1}', "")
}

/// Rows with names in the place of users' oids, of the database and of the user.
fn named(rows: &[Vec<Option<String>>], now: &Oids, database: &str) -> Vec<Vec<String>> {
    let cell = |cell: &Option<String>| match cell.as_deref() {
        None => "NULL".to_string(),
        Some("postgres" | "millstream") => "(us)".to_string(),
        Some(text) if text == database => "(us)".to_string(),
        Some(text) => now.get(text).map_or_else(|| format!("'{text}'"), |name| format!("(oid of {name})")),
    };
    rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

struct Both {
    catalog: Catalog,
    client: Client,
    database: String,
    our_oids: Oids,
    their_oids: Oids,
}

impl Both {
    fn new(database_name: &str) -> Self {
        let (catalog, mut client) = (our_catalog(), database(database_name));
        let our_oids = oids(ours(&catalog, RELATIONS, &[]));
        let their_oids = oids(theirs(&mut client, RELATIONS, &[]));
        Self { catalog, client, database: database_name.to_string(), our_oids, their_oids }
    }

    /// What is wrong with our answer to a recorded query.
    fn judge(&mut self, query: &Recorded, recorded: &Oids) -> Option<String> {
        let values = |now: &Oids| query.values.iter().map(|value| with_oids(value, recorded, now)).collect::<Vec<_>>();
        let (our_sql, our_values) = (with_oids(&query.sql, recorded, &self.our_oids), values(&self.our_oids));
        let (their_sql, their_values) = (with_oids(&query.sql, recorded, &self.their_oids), values(&self.their_oids));
        let (a, b) = (ours(&self.catalog, &our_sql, &our_values), theirs(&mut self.client, &their_sql, &their_values));
        let ((our_columns, our_rows), (their_columns, their_rows)) = match (a, b) {
            (Ok(a), Ok(b)) if !query.refused => (a, b),
            (Err(a), Err(b)) if query.refused && a[..5] == b[..5] => return None,
            (a, b) => return Some(format!("ours {a:?}\ntheirs {b:?}")),
        };
        if let Some(wrong) = columns_differ(&our_columns, &their_columns) {
            return Some(wrong);
        }
        let ours = named(&our_rows, &self.our_oids, &self.database);
        let theirs = named(&their_rows, &self.their_oids, &self.database);
        rows_differ(query, &our_columns, ours, theirs)
    }
}

fn columns_differ(ours: &[(String, u32)], theirs: &[(String, u32)]) -> Option<String> {
    let same = ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && differences::shown_as(b.1) == a.1);
    (!same).then(|| format!("columns: ours {ours:?}, theirs {theirs:?}"))
}

fn rows_differ(
    query: &Recorded,
    columns: &[(String, u32)],
    mut ours: Vec<Vec<String>>,
    mut theirs: Vec<Vec<String>>,
) -> Option<String> {
    let permit = permitted(query);
    if let Some(Permit::Columns(names)) = permit {
        for (at, _) in columns.iter().enumerate().filter(|(_, column)| names.contains(&column.0.as_str())) {
            for row in ours.iter_mut().chain(&mut theirs) {
                row[at] = "(differs)".to_string();
            }
        }
    }
    let ordered = query.sql.rsplit("ORDER BY").next().is_some_and(|end| end.len() < 80 && query.sql.len() > end.len());
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (ours.iter().collect(), theirs.iter().collect());
    let wrong = match permit {
        Some(Permit::Rows) => false,
        Some(Permit::Fewer) => !a.is_subset(&b) || ours.is_empty(),
        _ if ordered => ours != theirs,
        _ => a != b || ours.len() != theirs.len(),
    };
    let show = |rows: Vec<&&Vec<String>>| {
        rows.into_iter().take(12).map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n    ")
    };
    wrong.then(|| {
        let (more, less) = (show(a.difference(&b).collect()), show(b.difference(&a).collect()));
        format!("{} and {} rows; only ours:\n    {more}\n  only theirs:\n    {less}", ours.len(), theirs.len())
    })
}

#[test]
fn clients_are_answered_as_by_postgresql() {
    let mut both = Both::new("millstream_catalog_answers");
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (file, text) in FILES {
        let (queries, recorded) = recorded(text);
        for query in queries {
            asked += 1;
            if let Some(what) = both.judge(&query, &recorded) {
                wrong.push(format!("{file} {}: {what}\n  {}", query.label, query.sql));
            }
        }
    }
    assert!(asked > 200, "{asked} queries were asked");
    assert!(wrong.is_empty(), "{} of {asked} queries:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// What is asked of `customers`, asked of a table with UNIQUE constraints, a SERIAL and identities; and what is told of their
/// sequences.
#[test]
fn constraints_and_sequences_are_told_as_by_postgresql() {
    let mut both = Both::new("millstream_catalog_constraints");
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for (file, text) in FILES {
        let (queries, mut recorded) = recorded(text);
        recorded.values_mut().filter(|name| *name == "customers").for_each(|name| *name = "parts".to_string());
        for query in queries {
            let of = |text: &str| text.replace("customers", "parts");
            let values: Vec<String> = query.values.iter().map(|value| of(value)).collect();
            let changed = Recorded { sql: of(&query.sql), values, ..query };
            if query_is_of(&changed, &recorded) {
                asked += 1;
                if let Some(what) = both.judge(&changed, &recorded) {
                    wrong.push(format!("{file} {}: {what}\n  {}", changed.label, changed.sql));
                }
            }
        }
    }
    for sql in OF_SEQUENCES {
        let query = Recorded { label: "own".into(), sql: (*sql).into(), values: Vec::new(), refused: false };
        if let Some(what) = both.judge(&query, &Oids::new()) {
            wrong.push(format!("{what}\n  {sql}"));
        }
    }
    assert!(asked > 20, "{asked} queries were asked");
    assert!(wrong.is_empty(), "{} queries:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

fn query_is_of(query: &Recorded, recorded: &Oids) -> bool {
    let names = |text: &str| {
        text.contains("parts") || recorded.iter().any(|(oid, name)| name == "parts" && text.contains(oid.as_str()))
    };
    names(&query.sql) || query.values.iter().any(|value| names(value))
}

const OF_SEQUENCES: &[&str] = &[
    "SELECT seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle FROM pg_sequence \
     ORDER BY 1",
    "SELECT sequencename, data_type, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value \
     FROM pg_sequences ORDER BY 1",
    "SELECT sequence_name, data_type, numeric_precision, numeric_precision_radix, numeric_scale, start_value, minimum_value, \
     maximum_value, increment, cycle_option FROM information_schema.sequences ORDER BY 1",
    "SELECT c.relname, d.refobjid::regclass, a.attname, d.deptype FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND \
     d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass JOIN pg_attribute a ON a.attrelid = d.refobjid AND \
     a.attnum = d.refobjsubid WHERE c.relkind = 'S' AND d.deptype IN ('a', 'i') ORDER BY 1",
    "SELECT pg_get_serial_sequence('parts', 'id'), pg_get_serial_sequence('parts', 'small'), pg_get_serial_sequence('parts', 'code')",
    "SELECT attname, attidentity, atthasdef, attnotnull FROM pg_attribute WHERE attrelid = 'parts'::regclass AND attnum > 0 \
     ORDER BY attnum",
    "SELECT conname, contype, conkey, conindid::regclass, pg_get_constraintdef(oid), conindid <> 0 FROM pg_constraint \
     WHERE conrelid = 'parts'::regclass ORDER BY 1",
    "SELECT indexrelid::regclass, indisunique, indisprimary, indnullsnotdistinct, indkey, indnatts, pg_get_indexdef(indexrelid), \
     pg_get_indexdef(indexrelid, 1, true) FROM pg_index WHERE indrelid = 'parts'::regclass ORDER BY 1",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = 'parts' ORDER BY 2",
    "SELECT relname, relkind, relnatts, relhasindex FROM pg_class WHERE relname LIKE 'parts%' ORDER BY 1",
    "SELECT attname, atttypid::regtype, attnum FROM pg_attribute WHERE attrelid = 'parts_id_seq'::regclass AND attnum > 0 \
     ORDER BY attnum",
    "SELECT constraint_name, constraint_type FROM information_schema.table_constraints WHERE table_name = 'parts' AND \
     constraint_type <> 'CHECK' ORDER BY 1",
    "SELECT constraint_name, column_name, ordinal_position FROM information_schema.key_column_usage WHERE table_name = 'parts' \
     ORDER BY 1, 3",
    "SELECT constraint_name, column_name FROM information_schema.constraint_column_usage WHERE table_name = 'parts' ORDER BY 1, 2",
    "SELECT column_name, column_default, is_nullable, data_type, is_identity, identity_generation, identity_start, \
     identity_increment, identity_maximum, identity_minimum, identity_cycle, is_generated FROM information_schema.columns \
     WHERE table_name = 'parts' ORDER BY ordinal_position",
];

#[test]
fn the_files_of_facts_are_postgresqls() {
    let mut client = database("millstream_catalog_facts");
    let facts = include_str!("../catalog/facts/facts.sql");
    let files = [
        ("relations", include_str!("../catalog/facts/relations.tsv")),
        ("types", include_str!("../catalog/facts/types.tsv")),
        ("procs", include_str!("../catalog/facts/procs.tsv")),
        ("keywords", include_str!("../catalog/facts/keywords.tsv")),
    ];
    for (name, file) in files {
        let (_, sql) = facts.split_once(&format!("-- {name}.tsv")).unwrap();
        let sql = sql.split_once('\n').unwrap().1.split_once(';').unwrap().0;
        let (_, rows) = theirs(&mut client, sql, &[]).unwrap();
        let theirs: Vec<String> = rows
            .into_iter()
            .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("\t"))
            .collect();
        // initdb gives the oids above 12000, which differ from one minor version to the next
        let stable = |line: &str| match line.split_once('\t') {
            Some((oid, rest)) if oid.parse::<u32>().is_ok_and(|oid| oid >= 12000) => rest.to_string(),
            _ => line.to_string(),
        };
        let ours: BTreeSet<String> = file.lines().map(stable).collect();
        let theirs: BTreeSet<String> = theirs.iter().map(|line| stable(line)).collect();
        let (more, less): (Vec<_>, Vec<_>) = (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
        assert!(more.is_empty() && less.is_empty(), "{name}: only ours {more:#?}, only theirs {less:#?}");
    }
}
