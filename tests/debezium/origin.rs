//! The source: a database whose tables are changed at random.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::changes;
use crate::support::database::Database;

/// See the module.
pub struct Origin {
    pub database: Database,
    rng: ChaCha8Rng,
    marks: i64,
}

impl Origin {
    /// Makes the database and its tables.
    pub fn create(name: &str, seed: u64) -> Self {
        let mut database = Database::create(name);
        database.run(include_str!("source.sql"));
        Self { database, rng: ChaCha8Rng::seed_from_u64(seed), marks: 0 }
    }

    /// Commits (or rolls back) random transactions; with `keyless`, also of the table without a key.
    pub fn change(&mut self, transactions: usize, keyless: bool) {
        for _ in 0..transactions {
            let sql = changes::transaction(&mut self.rng, keyless);
            self.database.run(&sql);
        }
    }

    /// Commits a mark for each connector: its number, as it stands in their events.
    pub fn mark(&mut self) -> String {
        self.marks += 1;
        let n = 7_770_000_000 + self.marks;
        for table in ["marks_a", "marks_b"] {
            self.database
                .run(&format!("INSERT INTO {table} VALUES (1, {n}) ON CONFLICT (id) DO UPDATE SET n = excluded.n"));
        }
        format!("\"n\":{n}")
    }
}
