//! Blocks: random changes between BEGIN and its end, with savepoints, of which some fail; the tables are compared within, and
//! what would make a stream table fail fails the COMMIT.

use rand::RngExt;

use super::case::{Case, same};
use super::change::{self, Change};
use super::database::Answer;

impl Case {
    /// One block for both.
    pub(super) fn block(&mut self) {
        self.both("BEGIN", true);
        let (mut failed, mut savepoints) = (false, false);
        for _ in 0..self.rng.random_range(1..9) {
            let Change { sql, single } = match self.rng.random_range(0..12) {
                0 => Change { sql: "SAVEPOINT s".to_string(), single: true },
                1 if savepoints => Change { sql: "RELEASE s".to_string(), single: true },
                2 | 3 if savepoints => Change { sql: "ROLLBACK TO s".to_string(), single: true },
                4 if !failed => {
                    self.compare_tables();
                    continue;
                }
                _ => change::change(&mut self.rng, &self.tables),
            };
            let theirs = self.both(&sql, single);
            match (sql.as_str(), &theirs) {
                (_, Answer::Failed { .. }) => failed = true,
                ("SAVEPOINT s", _) => savepoints = true,
                ("RELEASE s", _) => savepoints = false,
                ("ROLLBACK TO s", _) => failed = false,
                _ => {}
            }
        }
        if self.rng.random_bool(0.25) {
            self.both("ROLLBACK", true);
            return;
        }
        let broken = if failed { None } else { self.broken_stream() };
        self.script.push("COMMIT".to_string());
        let theirs = self.judge.run(if broken.is_some() { "ROLLBACK" } else { "COMMIT" });
        let (theirs, ours) = (broken.unwrap_or(theirs), self.ours.run("COMMIT"));
        if !same(&ours, &theirs, true) {
            self.fail(&format!("Millstream: {ours:?}\nPostgreSQL: {theirs:?}"));
        }
    }

    /// A statement for both, which must answer the same.
    fn both(&mut self, sql: &str, single: bool) -> Answer {
        self.script.push(sql.to_string());
        let (theirs, ours) = (self.judge.run(sql), self.ours.run(sql));
        if !same(&ours, &theirs, single) {
            self.fail(&format!("Millstream: {ours:?}\nPostgreSQL: {theirs:?}"));
        }
        theirs
    }
}
