//! One case: tables of our own, stream tables over them and over each other, random statements, restarts and kills; after
//! every round each relation must be what it is in PostgreSQL.

use std::path::Path;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::change::{self, Change};
use super::database::{Answer, Database};
use super::table::Table;
use crate::oracle::query::{self, Relation};
use crate::support::process::Process;

/// Longer than a start takes.
const START_MAX: Duration = Duration::from_secs(60);

pub(super) struct Case {
    pub(super) rng: ChaCha8Rng,
    seed: u64,
    pub(super) ours: Database,
    pub(super) judge: Database,
    pub(super) tables: Vec<Table>,
    streams: Vec<String>,
    pub(super) script: Vec<String>,
}

/// Runs a case.
pub fn run(seed: u64) {
    println!("session seed {seed}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut process, ours) = start(dir.path());
    let mut judge = Database::connect("PostgreSQL", &judge_url());
    let schema = format!("session_{seed}_{}", std::process::id());
    for statement in [
        "SET client_min_messages = warning".to_string(),
        format!("CREATE SCHEMA {schema}"),
        format!("SET search_path = {schema}"),
        "SET timezone = 'UTC'".to_string(),
        "SET extra_float_digits = 1".to_string(),
    ] {
        judge.must(&statement);
    }
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let mut case = Case { rng, seed, ours, judge, tables: Vec::new(), streams: Vec::new(), script: Vec::new() };
    case.make_tables();
    case.make_streams();
    for _ in 0..case.rng.random_range(3..6) {
        for _ in 0..case.rng.random_range(4..25) {
            if case.rng.random_bool(0.15) { case.block() } else { case.change() }
        }
        case.compare();
        case.queries();
        if case.rng.random_bool(0.4) {
            if case.rng.random_bool(0.5) {
                process.kill();
            } else {
                assert_eq!(process.terminate(), Some(0), "seed {seed}: a clean end");
            }
            (process, case.ours) = start(dir.path());
            case.compare();
        }
    }
    case.judge.must(&format!("DROP SCHEMA {schema} CASCADE"));
}

fn judge_url() -> String {
    std::env::var("MILLSTREAM_TEST_POSTGRES")
        .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND")
}

fn start(dir: &Path) -> (Process, Database) {
    let data = dir.join("data");
    let data = data.to_str().expect("a path in UTF-8");
    let arguments = ["run", "--data", data, "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    let process = Process::start(&arguments, &dir.join("millstream.log"));
    let address = process.ready_on("pg", START_MAX).expect("it is ready");
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let ours = Database::connect("Millstream", &format!("host={host} port={port} user=me dbname=millstream"));
    (process, ours)
}

impl Case {
    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("session seed {}: {what}\n{};", self.seed, self.script.join(";\n"))
    }

    fn make_tables(&mut self) {
        for number in 0..self.rng.random_range(1..4) {
            let table = Table::random(&mut self.rng, number);
            let sql = table.create();
            self.script.push(sql.clone());
            self.judge.must(&sql);
            self.ours.must(&sql);
            self.tables.push(table);
        }
    }

    fn make_streams(&mut self) {
        let mut relations: Vec<Relation> = self
            .tables
            .iter()
            .map(|table| Relation {
                name: table.name.clone(),
                columns: table.columns.iter().map(|column| (column.name.clone(), column.ty)).collect(),
            })
            .collect();
        for number in 0..self.rng.random_range(1..4) {
            let (query, types) = query::query(&mut self.rng, &relations);
            let name = format!("v{number}");
            self.script.push(format!("CREATE STREAM TABLE {name} AS {query}"));
            self.judge.must(&format!("CREATE VIEW {name} AS {query}"));
            self.ours.must(&format!("CREATE STREAM TABLE {name} AS {query}"));
            let columns: Vec<_> =
                types.iter().enumerate().filter_map(|(at, ty)| Some((format!("c{at}"), (*ty)?))).collect();
            if !columns.is_empty() {
                relations.push(Relation { name: name.clone(), columns });
            }
            self.streams.push(name);
        }
    }

    /// One statement for both. What would make a stream table fail fails the statement here, and is undone there.
    fn change(&mut self) {
        let Change { sql, single } = change::change(&mut self.rng, &self.tables);
        self.script.push(sql.clone());
        self.judge.must("BEGIN");
        let mut theirs = self.judge.run(&sql);
        if matches!(theirs, Answer::Done { .. })
            && let Some(failed) = self.broken_stream()
        {
            theirs = failed;
        }
        self.judge.must(if matches!(theirs, Answer::Done { .. }) { "COMMIT" } else { "ROLLBACK" });
        let ours = self.ours.run(&sql);
        if !same(&ours, &theirs, single) {
            self.fail(&format!("Millstream: {ours:?}\nPostgreSQL: {theirs:?}"));
        }
    }

    /// Why a stream table would fail on what is in the judge's tables now, if one would.
    pub(super) fn broken_stream(&mut self) -> Option<Answer> {
        let mut answers = self.streams.iter().map(|stream| self.judge.run(&format!("SELECT * FROM {stream}")));
        answers.find(|answer| matches!(answer, Answer::Failed { .. }))
    }

    /// Every table, as a multiset.
    pub(super) fn compare_tables(&mut self) {
        self.compare_all(self.tables.iter().map(|table| table.name.clone()).collect());
    }

    /// Every relation, as a multiset.
    fn compare(&mut self) {
        self.compare_all(self.tables.iter().map(|table| table.name.clone()).chain(self.streams.clone()).collect());
    }

    fn compare_all(&mut self, names: Vec<String>) {
        for name in names {
            let query = format!("SELECT * FROM {name}");
            let (ours, theirs) = (self.ours.must(&query), self.judge.must(&query));
            if sorted(&numbers(&ours)) != sorted(&numbers(&theirs)) {
                self.fail(&format!("{name} differs\nMillstream: {ours:?}\nPostgreSQL: {theirs:?}"));
            }
        }
    }

    /// Queries of a client: rows in their order, the names and types of the columns.
    fn queries(&mut self) {
        let relations: Vec<Relation> = self
            .tables
            .iter()
            .map(|table| Relation {
                name: table.name.clone(),
                columns: table.columns.iter().map(|column| (column.name.clone(), column.ty)).collect(),
            })
            .collect();
        for _ in 0..3 {
            let (query, types) = query::query(&mut self.rng, &relations);
            let order: Vec<String> = (1..=types.len())
                .map(|at| {
                    format!("{at}{}", ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"][self.rng.random_range(0..4)])
                })
                .collect();
            let limit = match self.rng.random_range(0..3) {
                0 => format!(" LIMIT {}", self.rng.random_range(0..5)),
                1 => format!(" OFFSET {}", self.rng.random_range(0..3)),
                _ => String::new(),
            };
            let sql = format!("SELECT * FROM ({query}) AS q ORDER BY {}{limit}", order.join(", "));
            let (ours, theirs) = (self.ours.run(&sql), self.judge.run(&sql));
            match (&ours, &theirs) {
                (Answer::Done { rows, .. }, Answer::Done { rows: their_rows, .. })
                    if numbers(rows) == numbers(their_rows) => {}
                (Answer::Failed { code, .. }, Answer::Failed { code: theirs, .. }) if code == theirs => {}
                _ => self.fail(&format!("{sql}\nMillstream: {ours:?}\nPostgreSQL: {theirs:?}")),
            }
            let (ours, theirs) = (self.ours.columns(&sql), self.judge.columns(&sql));
            if ours != theirs {
                self.fail(&format!("{sql}\nMillstream: {ours:?}\nPostgreSQL: {theirs:?}"));
            }
        }
    }
}

/// Whether two answers are the same. Of a statement of several rows, either database may meet another broken one first.
pub(super) fn same(ours: &Answer, theirs: &Answer, single: bool) -> bool {
    match (ours, theirs) {
        (Answer::Done { rows, count }, Answer::Done { rows: their_rows, count: their_count }) => {
            count == their_count && sorted(&numbers(rows)) == sorted(&numbers(their_rows))
        }
        (Answer::Failed { code, .. }, Answer::Failed { code: theirs, .. }) => {
            code == theirs || (!single && code[..2] == theirs[..2])
        }
        _ => false,
    }
}

type Texts = Vec<Vec<Option<String>>>;

fn sorted(rows: &Texts) -> Texts {
    let mut rows = rows.clone();
    rows.sort();
    rows
}

/// Trailing zeros of numerics do not count.
fn numbers(rows: &Texts) -> Texts {
    let cell = |text: &String| {
        let number = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
        if number { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text.clone() }
    };
    rows.iter().map(|row| row.iter().map(|text| text.as_ref().map(cell)).collect()).collect()
}
