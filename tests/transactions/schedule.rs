//! Random transactions of some sessions, and the order in which their steps are asked for.
//!
//! Left out is what is meant to differ from PostgreSQL: a write that changes nothing is no change to others (no value comes twice),
//! and a key that was there when a transaction began is taken in it for good (no key comes that was there).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The sessions of a schedule.
pub const SESSIONS: usize = 3;

/// A statement of a session.
#[derive(Debug, Clone)]
pub struct Step {
    pub session: usize,
    pub sql: String,
}

/// The tables.
pub const TABLES: &[(&str, &str)] = &[
    ("k", "CREATE TABLE k (id int PRIMARY KEY, n int NOT NULL, u int UNIQUE)"),
    ("l", "CREATE TABLE l (id int PRIMARY KEY, n int NOT NULL)"),
    ("w", "CREATE TABLE w (id int UNIQUE, n int NOT NULL)"),
];

/// What is there before.
pub const ROWS: &[&str] = &[
    "INSERT INTO k VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)",
    "INSERT INTO l VALUES (1, 1), (2, 2)",
    "INSERT INTO w VALUES (1, 1), (2, 2)",
];

/// The steps of all sessions, in the order in which they are asked for.
pub fn random(rng: &mut ChaCha8Rng) -> Vec<Step> {
    let mut fresh = 100;
    let mut left: Vec<Vec<String>> = (0..SESSIONS).map(|_| transaction(rng, &mut fresh)).collect();
    left.iter_mut().for_each(|statements| statements.reverse());
    let mut steps = Vec::new();
    while left.iter().any(|statements| !statements.is_empty()) {
        let session = rng.random_range(0..SESSIONS);
        steps.extend(left[session].pop().map(|sql| Step { session, sql }));
    }
    steps
}

fn transaction(rng: &mut ChaCha8Rng, fresh: &mut i32) -> Vec<String> {
    // The snapshot is taken at once: a statement that waits takes it before it waits.
    let mut statements = vec!["BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM l".to_string()];
    let mut savepoints = 0;
    for _ in 0..rng.random_range(1..6) {
        *fresh += 1;
        let key = rng.random_range(1..=4);
        statements.push(match rng.random_range(0..26) {
            0..=2 => "SELECT id, n FROM k ORDER BY id".to_string(),
            3 => "SELECT sum(n) FROM (SELECT n FROM k UNION ALL SELECT n FROM l) AS a".to_string(),
            4..=8 => format!("UPDATE k SET n = {fresh} WHERE id = {key}"),
            9 => format!("UPDATE l SET n = {fresh} WHERE id = {}", rng.random_range(1..=2)),
            10 => format!("UPDATE k SET n = n + {fresh}"),
            11 => format!("DELETE FROM k WHERE id = {key} RETURNING n"),
            12..=14 => format!("INSERT INTO k VALUES ({}, {fresh}, {fresh})", rng.random_range(10..13)),
            15 => format!("INSERT INTO k VALUES ({fresh}, 0, {})", rng.random_range(20..23)),
            16 => format!("SELECT n FROM k WHERE id = {key} FOR UPDATE"),
            17 => format!("SELECT n FROM k WHERE id = {key} FOR SHARE"),
            18 => format!("UPDATE k SET id = {}, n = {fresh} WHERE id = {key}", rng.random_range(10..13)),
            19 | 20 => format!("UPDATE k SET u = {}, n = {fresh} WHERE id = {key}", 30 + key),
            21 => format!("UPDATE w SET n = {fresh} WHERE id IN ({key}, {})", 30 + key),
            22 => format!("UPDATE w SET id = {}, n = {fresh} WHERE id IN ({key}, {})", 30 + key, 30 + key),
            23 => format!("INSERT INTO w VALUES ({}, {fresh})", rng.random_range(20..22)),
            24 if savepoints > 0 => "ROLLBACK TO s".to_string(),
            _ => {
                savepoints += 1;
                "SAVEPOINT s".to_string()
            }
        });
    }
    statements.push(if rng.random_bool(0.85) { "COMMIT" } else { "ROLLBACK" }.to_string());
    statements
}
