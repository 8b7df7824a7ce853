//! PostgreSQL is the judge: random writes, there and here; after each one the answers, the SQLSTATEs and the rows of all
//! tables must be the same. `tests/run` starts a PostgreSQL 15 and gives its URL.

use std::fmt::Write as _;

use postgres::{Client, NoTls, SimpleQueryMessage};

use super::author::{Author, Statement};
use super::world::{Answer, Texts, World};

/// The tables, in SQL that both understand.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE k (id int PRIMARY KEY, a int NOT NULL DEFAULT 7 CHECK (a > 0), b varchar(4) DEFAULT 'dflt', n numeric(6,2), \
     s smallint CONSTRAINT small CHECK (s <> 13), f double precision, d date DEFAULT '2024-01-01'::date + 1, t text, \
     flag boolean DEFAULT true NOT NULL, CONSTRAINT aa CHECK (a < 50 OR b <> 'zz'), CHECK (n < 500 OR t IS NULL), UNIQUE (s))",
    "CREATE TABLE m (x int, y text DEFAULT 'y', z numeric(4,1) DEFAULT 1.25, CHECK (x <> 13), CHECK (x <> 14 OR y <> 'bad'))",
    "CREATE TABLE p (g varchar(3), i bigint, v real DEFAULT 1.5, at timestamp DEFAULT '2024-01-15 10:00', PRIMARY KEY (g, i))",
];

const SEEDS: std::ops::Range<u64> = 1..61;
const STATEMENTS: usize = 60;

pub(super) fn connect(seed: u64) -> Client {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES").expect(
        "MILLSTREAM_TEST_POSTGRES is not set: run tests/run, which starts a PostgreSQL 15, or set it to the URL of one, \
         as in postgres://postgres@127.0.0.1:5432/postgres",
    );
    let mut client = Client::connect(&url, NoTls).expect("connect to MILLSTREAM_TEST_POSTGRES");
    let schema = format!("writes_{}_{seed}", std::process::id());
    let sql = format!("SET TimeZone = 'UTC'; CREATE SCHEMA {schema}; SET search_path = {schema}");
    client.batch_execute(&sql).unwrap();
    client
}

pub(super) fn drop_schema(client: &mut Client, seed: u64) {
    let sql = format!("SET client_min_messages = warning; DROP SCHEMA writes_{}_{seed} CASCADE", std::process::id());
    client.batch_execute(&sql).unwrap();
}

/// What PostgreSQL answers: the number in its tag and the rows, or the SQLSTATE.
pub(super) fn theirs(client: &mut Client, statement: &Statement) -> Result<(u64, Vec<Texts>), String> {
    let mut sql = statement.sql.clone();
    if !statement.values.is_empty() {
        let literal = |value: &Option<String>| match value {
            None => "NULL".to_string(),
            Some(text) => format!("'{}'", text.replace('\'', "''")),
        };
        let values: Vec<String> = statement.values.iter().map(literal).collect();
        client.simple_query("DEALLOCATE ALL").unwrap();
        let code = |e: postgres::Error| e.code().map_or_else(|| e.to_string(), |code| code.code().to_string());
        client.simple_query(&format!("PREPARE q AS {sql}")).map_err(code)?;
        sql = format!("EXECUTE q ({})", values.join(", "));
    }
    let messages = client
        .simple_query(&sql)
        .map_err(|e| e.code().map_or_else(|| e.to_string(), |code| code.code().to_string()))?;
    let (mut count, mut rows) = (0, Vec::new());
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|at| row.get(at).map(str::to_string)).collect());
            }
            SimpleQueryMessage::CommandComplete(rows) => count = rows,
            _ => {}
        }
    }
    Ok((count, rows))
}

pub(super) fn ours(world: &mut World, statement: &Statement) -> Result<(u64, Vec<Texts>), String> {
    let values: Vec<Option<&str>> = statement.values.iter().map(Option::as_deref).collect();
    let Answer { tag, rows } = world.run(&statement.sql, &values).map_err(|e| e.sqlstate.to_string())?;
    let count = tag.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Ok((count, rows))
}

pub(super) fn sorted(mut rows: Vec<Texts>) -> Vec<Texts> {
    rows.sort();
    rows
}

/// Why the two answers are not the same.
fn difference(
    statement: &Statement,
    theirs: Result<(u64, Vec<Texts>), String>,
    ours: Result<(u64, Vec<Texts>), String>,
) -> Option<String> {
    match (theirs, ours) {
        (Err(a), Err(b)) if a == b => None,
        // of several rows that fail, which is first depends on the order of work
        (Err(a), Err(b)) if statement.several && b != "0A000" && a != "42601" && b != "42601" => None,
        // constants are computed there even where no row needs them
        (Err(a), Ok((0, _))) if statement.sql.starts_with("UPDATE") && a.starts_with("22") => None,
        (Ok((n, rows)), Ok((m, mine))) if n == m && sorted(rows.clone()) == sorted(mine.clone()) => None,
        (theirs, ours) => Some(format!("PostgreSQL {theirs:?}\n   ours       {ours:?}")),
    }
}

/// Runs one seed; answers how many statements changed something, and how many were refused.
fn run(seed: u64) -> (usize, usize) {
    let mut client = connect(seed);
    for table in TABLES {
        client.batch_execute(table).unwrap();
    }
    let mut world = World::of(TABLES);
    let mut author = Author::new(seed);
    let (mut done, mut refused) = (0, 0);
    let mut history = String::new();
    for _ in 0..STATEMENTS {
        let statement = author.statement();
        writeln!(history, "{}   {:?}", statement.sql, statement.values).unwrap();
        let (a, b) = (theirs(&mut client, &statement), ours(&mut world, &statement));
        if a.is_ok() {
            done += 1
        } else {
            refused += 1
        }
        let shown = (a.clone(), b.clone());
        if let Some(difference) = difference(&statement, a, b) {
            panic!("seed {seed}: {}\n   {:?}\n   {difference}\nafter\n{history}", statement.sql, statement.values);
        }
        for table in ["k", "m", "p"] {
            let select = Statement { sql: format!("SELECT * FROM {table}"), values: Vec::new(), several: false };
            let wanted = sorted(theirs(&mut client, &select).unwrap().1);
            let found = world.rows(table);
            assert_eq!(found, wanted, "seed {seed}: {table} after {}\n   {shown:?}\n{history}", statement.sql);
        }
    }
    drop_schema(&mut client, seed);
    (done, refused)
}

#[test]
fn random_writes() {
    let (mut done, mut refused) = (0, 0);
    for seed in SEEDS {
        println!("seed {seed}");
        let (ok, not) = run(seed);
        done += ok;
        refused += not;
    }
    println!("{done} statements done, {refused} refused by both");
    // the generator must neither fail always nor never
    assert!(done > 1000 && refused > 500, "{done} done, {refused} refused");
}

/// The names, messages and details of refusals, word by word.
#[test]
fn refusals_in_their_words() {
    let mut client = connect(0);
    for table in TABLES {
        client.batch_execute(table).unwrap();
    }
    let mut world = World::of(TABLES);
    let statements = [
        "INSERT INTO k (id) VALUES (NULL)",
        "INSERT INTO k (id, a, t) VALUES (1, -1, repeat('long ', 20))",
        "INSERT INTO k (id, a, b, n, f) VALUES (1, 60, 'zz', 499, 1.5)",
        "INSERT INTO k (id, a, b, s) VALUES (1, 60, 'zz', 13)",
        "INSERT INTO k (id, n, t) VALUES (1, 500, 'größe größe größe größe größe größe größe größe größe größe größe')",
        "INSERT INTO k (id, flag) VALUES (1, NULL)",
        "INSERT INTO k (id, s) VALUES (1, 13)",
        "INSERT INTO k (id, b) VALUES (1, 'toolong')",
        "INSERT INTO k (id, a) VALUES (1, 'x'::text)",
        "INSERT INTO k (id, nothing) VALUES (1, 2)",
        "INSERT INTO k (id, id) VALUES (1, 2)",
        "INSERT INTO k (id, a) VALUES (1)",
        "INSERT INTO k (id) VALUES (1, 2)",
        "INSERT INTO m VALUES (13)",
        "INSERT INTO m VALUES (14, 'bad')",
        "INSERT INTO p (i) VALUES (1)",
        "UPDATE k SET nothing = 1",
        "UPDATE k SET a = 1, a = 2",
        "UPDATE k SET a = 'x'::text",
        "UPDATE k SET (a, b) = (1, 'x', 2)",
        "DELETE FROM nothing",
        "INSERT INTO nothing VALUES (1)",
        "INSERT INTO k (id, a) VALUES (1, 1), (2, 2), (1, 3) ON CONFLICT (id) DO UPDATE SET a = excluded.a",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (a) DO NOTHING",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id, s) DO NOTHING",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (nothing) DO NOTHING",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT ON CONSTRAINT nothing DO NOTHING",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT ON CONSTRAINT aa DO NOTHING",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT DO UPDATE SET a = 1",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = a + 1",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = excluded.nothing",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = m.x",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 'x'::text",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1, a = 2",
        "INSERT INTO k (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET k.a = 1",
        "INSERT INTO k (id) VALUES (100) ON CONFLICT (id) DO UPDATE SET id = 101",
        "INSERT INTO k (id, s) VALUES (102, 100) ON CONFLICT (s) DO UPDATE SET s = 101",
        "INSERT INTO k (id) VALUES (100) ON CONFLICT (id) DO UPDATE SET a = -1",
        "INSERT INTO k (id, a) VALUES (100, -1) ON CONFLICT (id) DO NOTHING",
        "UPDATE k SET a = 1 FROM k",
        "UPDATE k SET a = 1 FROM nothing",
        "UPDATE k SET a = x FROM m WHERE k.x = 1",
        "UPDATE k SET t = y FROM m, m AS other",
        "UPDATE k SET (a, b) = (SELECT 1) FROM m",
        "DELETE FROM k USING k",
        "DELETE FROM k USING m AS k",
        "DELETE FROM k USING m WHERE id = nothing",
        "DELETE FROM k USING m RETURNING q.x",
    ];
    let taken = "INSERT INTO k (id, s) VALUES (100, 100), (101, 101)";
    client.batch_execute(taken).unwrap();
    world.run(taken, &[]).unwrap();
    let mut wrong = Vec::new();
    for sql in statements {
        let Err(theirs) = client.simple_query(sql) else { panic!("PostgreSQL takes {sql}") };
        let theirs = theirs.as_db_error().unwrap();
        let ours = world.run(sql, &[]).unwrap_err();
        let wanted = (theirs.code().code(), theirs.message(), theirs.detail());
        let found = (ours.sqlstate, ours.message.as_str(), ours.detail.as_deref());
        if wanted != found {
            wrong.push(format!("{sql}\n   wanted {wanted:?}\n   got    {found:?}"));
        }
    }
    drop_schema(&mut client, 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
