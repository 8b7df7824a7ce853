//! The generator through the wire protocol: tables of our own, changed by SQL, with stream tables over them; every
//! statement also goes to PostgreSQL, which must answer the same: counts, rows, names, types, SQLSTATEs.
//!
//! `SESSION_SEED=n` runs one case again, `SESSION_SECONDS=n` runs new cases for so long (a case's seed is printed before it
//! starts). A failing seed becomes a named test below.

mod block;
mod case;
mod change;
mod database;
mod table;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Cases of every run, whatever the time: they must not depend on luck.
const FIXED_SEEDS: std::ops::Range<u64> = 1..13;

#[test]
fn fixed_seeds_equal_postgresql_over_the_wire() {
    if let Ok(seed) = std::env::var("SESSION_SEED") {
        case::run(seed.parse().expect("SESSION_SEED is a number"));
        return;
    }
    FIXED_SEEDS.for_each(case::run);
}

/// Without `SESSION_SECONDS` a few more cases from a fixed seed on: a run that fails without a change of ours would help
/// nobody.
#[test]
fn more_seeds_equal_postgresql_over_the_wire() {
    let (first, seconds) = match std::env::var("SESSION_SECONDS") {
        Ok(seconds) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
            (since.as_nanos() as u64 >> 16, seconds.parse().expect("SESSION_SECONDS is a number"))
        }
        Err(_) => (1_000, 20),
    };
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut cases = 0;
    while cases == 0 || Instant::now() < until {
        case::run(first + cases);
        cases += 1;
    }
    println!("{cases} cases from seed {first} on");
}
