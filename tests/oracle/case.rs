//! One case: tables, stream tables over them and over each other, changes in random epochs, restarts; after every round
//! each stream table must be what PostgreSQL answers to its query.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::query::{self, Relation};
use super::table::{Record, Table};
use crate::support::cells;
use crate::support::pipeline::Pipeline;
use crate::support::postgres::Judge;

struct Case {
    rng: ChaCha8Rng,
    seed: u64,
    judge: Judge,
    tables: Vec<Table>,
    streams: Vec<(String, String)>,
    /// Statements that made it, for the message of a failure.
    script: Vec<String>,
}

/// Runs a case.
pub fn run(seed: u64) {
    println!("oracle seed {seed}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let judge = Judge::connect(&format!("oracle_{seed}_{}", std::process::id()));
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let mut case = Case { rng, seed, judge, tables: Vec::new(), streams: Vec::new(), script: Vec::new() };
    let mut pipeline = Some(Pipeline::open(dir.path()).expect("a new folder opens"));
    let first = pipeline.as_ref().expect("it is open");
    case.make_tables(first);
    if case.rng.random_bool(0.5) {
        let changes = case.rng.random_range(1..40);
        case.change(first, changes);
    }
    case.make_streams(first);
    for round in 0..case.rng.random_range(3..7) {
        let running = pipeline.as_ref().expect("it is open");
        let changes = [1, 3, 10, 60][case.rng.random_range(0..4)];
        case.change(running, changes);
        case.compare(running, round);
        if case.rng.random_bool(0.3) {
            pipeline.take().expect("it is open").stop().expect("it stops cleanly");
            if case.rng.random_bool(0.5) {
                forget_newest_checkpoint(dir.path());
            }
            let again =
                Pipeline::open(dir.path()).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", case.text()));
            case.compare(&again, round);
            pipeline = Some(again);
        }
    }
}

impl Case {
    fn text(&self) -> String {
        self.script.join(";\n")
    }

    fn make_tables(&mut self, pipeline: &Pipeline) {
        for number in 0..self.rng.random_range(1..4) {
            let table = Table::random(&mut self.rng, number);
            self.judge.run(&table.create_postgres());
            pipeline.sql(&table.create_millstream());
            self.script.push(table.create_millstream());
            self.tables.push(table);
        }
    }

    fn make_streams(&mut self, pipeline: &Pipeline) {
        let mut relations: Vec<Relation> =
            self.tables.iter().map(|t| Relation { name: t.name.clone(), columns: t.columns.clone() }).collect();
        for number in 0..self.rng.random_range(1..5) {
            let (query, types) = query::query(&mut self.rng, &relations);
            let name = format!("v{number}");
            let statement = format!("CREATE STREAM TABLE {name} AS {query}");
            self.script.push(statement.clone());
            self.judge.run(&format!("CREATE VIEW {name} AS {query}"));
            if let Err(error) = self.judge.try_run(&format!("SELECT * FROM {name}")) {
                // The data that is there already fails in PostgreSQL: it must fail here.
                let ours = pipeline.handle.execute(statement);
                assert!(ours.is_err(), "seed {}: PostgreSQL fails with {error:?}\n{}", self.seed, self.text());
                self.judge.run(&format!("DROP VIEW {name}"));
                continue;
            }
            if let Err(error) = pipeline.handle.execute(statement) {
                panic!("seed {}: {error}\n{}", self.seed, self.text());
            }
            let columns: Vec<_> =
                types.iter().enumerate().filter_map(|(at, ty)| Some((format!("c{at}"), (*ty)?))).collect();
            if !columns.is_empty() {
                relations.push(Relation { name: name.clone(), columns });
            }
            self.streams.push((name, query));
        }
    }

    /// Makes random changes, in random portions, so that epochs are cut anywhere.
    fn change(&mut self, pipeline: &Pipeline, count: usize) {
        let mut left = count;
        while left > 0 {
            let portion = self.rng.random_range(1..=left);
            left -= portion;
            let at = self.rng.random_range(0..self.tables.len());
            let mut sql = String::new();
            let mut records: Vec<Record> = Vec::new();
            for _ in 0..portion {
                let (statement, more) = self.tables[at].change(&mut self.rng);
                sql.push_str(&statement);
                records.extend(more);
            }
            self.script.push(sql.clone());
            self.judge.run(&sql);
            pipeline.write(&self.tables[at].name, &records);
        }
        for table in &self.tables {
            pipeline.settle(&table.name, &table.name);
        }
    }

    fn compare(&mut self, pipeline: &Pipeline, round: usize) {
        let names: Vec<String> = self
            .tables
            .iter()
            .map(|t| t.name.clone())
            .chain(self.streams.iter().map(|(name, _)| name.clone()))
            .collect();
        for name in names {
            let (ours, columns) = pipeline.rows(&name);
            let theirs = self.judge.rows(&format!("SELECT * FROM {name}"), &columns);
            let error = pipeline.error_of(&name);
            match (theirs, error) {
                (Ok(theirs), None) => assert!(
                    ours == theirs,
                    "seed {}, round {round}: {name} differs\n{}\n{}",
                    self.seed,
                    cells::difference(&ours, &theirs),
                    self.text()
                ),
                (Err(_), Some(_)) => {}
                (Ok(_), Some(error)) => {
                    panic!("seed {}, round {round}: {name} is in ERROR: {error}\n{}", self.seed, self.text())
                }
                (Err(error), None) => {
                    panic!("seed {}, round {round}: PostgreSQL fails on {name}: {error:?}\n{}", self.seed, self.text())
                }
            }
        }
    }
}

/// Makes the next start replay from the checkpoint before.
fn forget_newest_checkpoint(dir: &std::path::Path) {
    let folder = dir.join("state/checkpoints");
    let mut epochs: Vec<u64> = std::fs::read_dir(&folder)
        .expect("there are checkpoints")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    epochs.sort_unstable();
    if epochs.len() > 1
        && let Some(newest) = epochs.last()
    {
        std::fs::remove_dir_all(folder.join(newest.to_string())).expect("a checkpoint can be removed");
    }
}
