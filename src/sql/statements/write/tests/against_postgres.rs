//! PostgreSQL is the judge: random writes, there and here; after each one the answers, the SQLSTATEs and the rows of all
//! tables must be the same. `tests/run` starts a PostgreSQL 15 and gives its URL.

use std::fmt::Write as _;

use postgres::{Client, NoTls, SimpleQueryMessage};

use super::world::{Answer, Texts, World};

/// The tables, in SQL that both understand.
const TABLES: &[&str] = &[
    "CREATE TABLE k (id int PRIMARY KEY, a int NOT NULL DEFAULT 7 CHECK (a > 0), b varchar(4) DEFAULT 'dflt', n numeric(6,2), \
     s smallint CONSTRAINT small CHECK (s <> 13), f double precision, d date DEFAULT '2024-01-01'::date + 1, t text, \
     flag boolean DEFAULT true NOT NULL, CONSTRAINT aa CHECK (a < 50 OR b <> 'zz'), CHECK (n < 500 OR t IS NULL))",
    "CREATE TABLE m (x int, y text DEFAULT 'y', z numeric(4,1) DEFAULT 1.25, CHECK (x <> 13), CHECK (x <> 14 OR y <> 'bad'))",
    "CREATE TABLE p (g varchar(3), i bigint, v real DEFAULT 1.5, at timestamp DEFAULT '2024-01-15 10:00', PRIMARY KEY (g, i))",
];

const SEEDS: std::ops::Range<u64> = 1..61;
const STATEMENTS: usize = 60;

/// Numbers that follow from a seed alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

/// A statement, its parameters, and whether it may be about several rows: then which of several errors is first is not said.
struct Statement {
    sql: String,
    values: Vec<Option<String>>,
    several: bool,
}

/// Values for a column, as literals: they can be computed and assigned. Constraints may still refuse them.
fn values_of(column: &str) -> &'static [&'static str] {
    match column {
        "id" | "x" => &["1", "2", "3", "4", "5", "6", "7", "8", "13", "14", "'9'", "2.5", "NULL", "3 + 4"],
        "a" => &["1", "7", "49", "60", "'8'", "-1", "0", "NULL", "2 * 3", "5.5"],
        "b" | "g" => &["'a'", "'ab'", "'zz'", "'abc   '", "NULL", "'x' || 'y'", "12", "''"],
        "n" | "z" => &["1", "1.005", "'2.345'", "499.99", "500", "-3.14159", "NULL", "1e1", "12.25"],
        "s" => &["1", "13", "32767", "'-5'", "2.5", "NULL", "7 % 4"],
        "f" | "v" => &["1.5", "-0.25", "'1e10'", "3", "NULL", "2.5 * 2"],
        "d" => &["'2024-02-29'", "date '2024-01-01' + 30", "NULL", "timestamp '2024-05-06 07:08:09'"],
        "flag" => &["true", "false", "'t'", "'no'", "NULL", "1 > 2"],
        "i" => &["1", "2", "3", "'4'", "9999999999", "NULL", "2.5"],
        "at" => &["'2024-01-15 10:00:00.5'", "date '2024-03-01'", "NULL", "timestamptz '2024-01-01 00:00:00Z'"],
        _ => &["'a'", "'b'", "'bad'", "'it''s'", "NULL", "'größe'", "12", "1.50", "true", "date '2024-01-01'", "''"],
    }
}

/// Values that cannot. A statement has one at most: which of two errors is told is nobody's promise.
fn bad_values_of(column: &str) -> &'static [&'static str] {
    match column {
        "a" | "id" | "x" => &["99999999999", "10 / 0", "'x'", "true", "'1.5'"],
        "b" | "g" => &["'toolong'", "'dflt!'", "123456", "'abcd' || 'e'"],
        "n" | "z" => &["99999", "'abc'", "true", "date '2024-01-01'"],
        "s" => &["32768", "'a'", "-40000", "40000.4"],
        "f" | "v" => &["'abc'", "1 / 0", "true", "'1e400'"],
        "d" => &["'2023-02-29'", "5", "'x'", "time '10:00'"],
        "flag" => &["1", "'maybe'", "'x'::text"],
        "i" => &["'99999999999999999999'", "99999999999999999999", "'a'"],
        "at" => &["'soon'", "1", "time '10:00'"],
        _ => &["1 / 0 || ''"],
    }
}

fn columns(table: &str) -> &'static [&'static str] {
    match table {
        "k" => &["id", "a", "b", "n", "s", "f", "d", "t", "flag"],
        "m" => &["x", "y", "z"],
        _ => &["g", "i", "v", "at"],
    }
}

/// What may be set, over the table's own columns.
fn expressions(column: &str) -> &'static [&'static str] {
    match column {
        "id" | "i" => &["DEFAULT"],
        "a" => &["a + 1", "a * 2", "s", "n", "a - 3", "DEFAULT", "f"],
        "b" => &["upper(b)", "b || 'x'", "t", "a", "substr(t, 1, 4)", "DEFAULT"],
        "n" => &["n * 1.5", "a", "f", "n / 3", "n + 0.005", "DEFAULT"],
        "s" => &["a", "s + 1", "n", "f"],
        "f" => &["n", "f * 2", "a", "f / 0"],
        "d" => &["d + 1", "d - 1", "DEFAULT"],
        "t" => &["t || 'x'", "b", "a", "n", "flag", "d", "upper(t)", "NULL"],
        "flag" => &["NOT flag", "a > 5", "b = 'a'", "DEFAULT"],
        "x" => &["x + 1", "z", "length(y)", "DEFAULT"],
        "y" => &["y || 'x'", "x", "z", "DEFAULT"],
        "z" => &["x", "z + 0.05", "z * 10", "DEFAULT"],
        "v" => &["v * 2", "i", "DEFAULT"],
        "at" => &["at", "date '2024-02-02'", "DEFAULT"],
        _ => &["DEFAULT"],
    }
}

fn conditions(table: &str) -> &'static [&'static str] {
    match table {
        "k" => &[
            "id = 3",
            "id < 4",
            "a > 5 AND flag",
            "b LIKE 'a%' OR n IS NULL",
            "id IN (SELECT x FROM m)",
            "EXISTS (SELECT 1 FROM m WHERE m.x = k.id)",
            "n > (SELECT avg(x) FROM m)",
            "t IS NOT NULL",
            "s % 2 = 1",
            "NOT flag",
            "id NOT IN (SELECT i FROM p)",
            "true",
        ],
        "m" => &[
            "x = 3",
            "x IS NULL",
            "x > 2 AND y = 'y'",
            "x IN (SELECT id FROM k WHERE a > 5)",
            "y LIKE '%a%'",
            "z > 1",
            "x = (SELECT max(id) FROM k)",
            "true",
        ],
        _ => &["g = 'a'", "i > 2", "g = 'ab' AND i = 1", "v IS NULL", "i IN (SELECT id FROM k)", "true"],
    }
}

/// Generates one statement after another.
struct Author {
    dice: Dice,
    values: Vec<Option<String>>,
    /// Whether the statement has a value that cannot be.
    bad: bool,
}

impl Author {
    /// A value: sometimes a parameter with its text.
    fn value(&mut self, column: &str) -> String {
        let bad = !self.bad && self.dice.roll(12) == 0;
        self.bad |= bad;
        let literal = self.dice.of(if bad { bad_values_of(column) } else { values_of(column) }).to_string();
        let constant = literal == "NULL" || literal.starts_with('\'') && !literal.contains("||");
        if !constant || self.dice.roll(4) > 0 {
            return literal;
        }
        let text =
            literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).map(|text| text.replace("''", "'"));
        self.values.push(text);
        format!("${}", self.values.len())
    }

    fn returning(&mut self, table: &str) -> String {
        match self.dice.roll(4) {
            0 => " RETURNING *".to_string(),
            1 => match table {
                "k" => " RETURNING id, a + 1 AS next, b || 'r', k.n, flag",
                "m" => " RETURNING m.*, x * 2",
                _ => " RETURNING upper(g), i",
            }
            .to_string(),
            _ => String::new(),
        }
    }

    fn given(&mut self, table: &str) -> Vec<&'static str> {
        let all = columns(table);
        let least = if self.dice.roll(3) == 0 { 0 } else { 1 + self.dice.roll(2) };
        let mut given: Vec<&str> = all.iter().copied().filter(|_| self.dice.roll(3) > 0).collect();
        for column in &all[..least.min(all.len())] {
            if !given.contains(column) {
                given.insert(0, column);
            }
        }
        if given.is_empty() { vec![all[0]] } else { given }
    }

    fn insert(&mut self, table: &str) -> (String, bool) {
        let given = self.given(table);
        let rows = 1 + self.dice.roll(4) / 2;
        let mut lists = Vec::new();
        for _ in 0..rows {
            let cells: Vec<String> = given
                .iter()
                .map(|column| match self.dice.roll(12) {
                    0 => "DEFAULT".to_string(),
                    1 if matches!(*column, "id" | "a" | "x") => "(SELECT max(id) + 1 FROM k)".to_string(),
                    _ => self.value(column),
                })
                .collect();
            lists.push(format!("({})", cells.join(", ")));
        }
        let returning = self.returning(table);
        (format!("INSERT INTO {table} ({}) VALUES {}{returning}", given.join(", "), lists.join(", ")), rows > 1)
    }

    fn insert_query(&mut self, table: &str) -> (String, bool) {
        let sql = match (table, self.dice.roll(3)) {
            ("k", 0) => "INSERT INTO k (id, a, t) SELECT x + 20, x, y FROM m WHERE x > 0",
            ("k", _) => "INSERT INTO k (id, b, n) SELECT DISTINCT i + 30, 'sel', v FROM p",
            ("m", 0) => "INSERT INTO m SELECT id, t, n FROM k",
            ("m", 1) => "INSERT INTO m (y, x) SELECT NULL, '5' FROM k WHERE id < 3",
            ("m", _) => "INSERT INTO m SELECT x, y || 'c', z FROM m WHERE x < 3",
            (_, 0) => "INSERT INTO p (g, i) SELECT b, id FROM k WHERE b IS NOT NULL",
            (_, _) => "INSERT INTO p (g, i, v) SELECT 'new', count(*), sum(x) FROM m",
        };
        (format!("{sql}{}", self.returning(table)), true)
    }

    fn update(&mut self, table: &str) -> (String, bool) {
        let mut set = Vec::new();
        let all = columns(table);
        for _ in 0..1 + self.dice.roll(2) {
            let column = all[self.dice.roll(all.len())];
            if set.iter().any(|(before, _): &(&str, String)| *before == column) {
                continue;
            }
            // the key of one row only: the other way round PostgreSQL depends on its rows' order
            let value = match (matches!(column, "id" | "g" | "i"), self.dice.roll(2)) {
                (false, 0) => self.dice.of(expressions(column)).to_string(),
                _ => self.value(column),
            };
            set.push((column, value));
        }
        let keys = set.iter().any(|(column, _)| matches!(*column, "id" | "g" | "i"));
        let condition = match (keys, table) {
            (true, "k") => format!("id = {}", 1 + self.dice.roll(8)),
            (true, _) if table == "p" => format!("g = 'a' AND i = {}", 1 + self.dice.roll(4)),
            _ => self.dice.of(conditions(table)).to_string(),
        };
        let set = match set.as_slice() {
            [(a, x), (b, y)] if self.dice.roll(2) == 0 => format!("({a}, {b}) = ({x}, {y})"),
            list => list.iter().map(|(column, value)| format!("{column} = {value}")).collect::<Vec<_>>().join(", "),
        };
        let alias = if table == "m" && self.dice.roll(2) == 0 { " AS m" } else { "" };
        (format!("UPDATE {table}{alias} SET {set} WHERE {condition}{}", self.returning(table)), !keys)
    }

    fn statement(&mut self) -> Statement {
        self.values.clear();
        self.bad = false;
        let table = self.dice.of(&["k", "k", "m", "p"]);
        let (sql, several) = match self.dice.roll(20) {
            0..9 => self.insert(table),
            9 | 10 => self.insert_query(table),
            11..16 => self.update(table),
            16..19 => {
                let condition = self.dice.of(conditions(table));
                (format!("DELETE FROM {table} WHERE {condition}{}", self.returning(table)), true)
            }
            _ if self.dice.roll(5) == 0 => (format!("TRUNCATE TABLE {table}"), true),
            _ => (format!("INSERT INTO {table} DEFAULT VALUES"), false),
        };
        Statement { sql, values: std::mem::take(&mut self.values), several }
    }
}

fn connect(seed: u64) -> Client {
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

fn drop_schema(client: &mut Client, seed: u64) {
    let sql = format!("SET client_min_messages = warning; DROP SCHEMA writes_{}_{seed} CASCADE", std::process::id());
    client.batch_execute(&sql).unwrap();
}

/// What PostgreSQL answers: the number in its tag and the rows, or the SQLSTATE.
fn theirs(client: &mut Client, statement: &Statement) -> Result<(u64, Vec<Texts>), String> {
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

fn ours(world: &mut World, statement: &Statement) -> Result<(u64, Vec<Texts>), String> {
    let values: Vec<Option<&str>> = statement.values.iter().map(Option::as_deref).collect();
    let Answer { tag, rows } = world.run(&statement.sql, &values).map_err(|e| e.sqlstate.to_string())?;
    let count = tag.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Ok((count, rows))
}

fn sorted(mut rows: Vec<Texts>) -> Vec<Texts> {
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
    let mut author = Author { dice: Dice(seed), values: Vec::new(), bad: false };
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
    ];
    let mut wrong = Vec::new();
    for sql in statements {
        let theirs = client.simple_query(sql).unwrap_err();
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
