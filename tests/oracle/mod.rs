//! The generator: random schemas, data, queries and changes, run through a pipeline in process and judged by PostgreSQL.
//!
//! `ORACLE_SEED=n` runs one case again, `ORACLE_SECONDS=n` runs new cases for so long (a case's seed is printed before it
//! starts). A failing seed becomes a named test below.

mod case;
pub mod query;
mod table;
pub mod value;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Cases of every run, whatever the time: they must not depend on luck.
const FIXED_SEEDS: std::ops::Range<u64> = 1..41;

#[test]
fn fixed_seeds_equal_postgresql() {
    if let Ok(seed) = std::env::var("ORACLE_SEED") {
        case::run(seed.parse().expect("ORACLE_SEED is a number"));
        return;
    }
    FIXED_SEEDS.for_each(case::run);
}

/// Without `ORACLE_SECONDS` a few more cases from a fixed seed on, as many as there is time for: a run that fails without a
/// change of ours would help nobody.
#[test]
fn more_seeds_equal_postgresql() {
    let (first, seconds) = match std::env::var("ORACLE_SECONDS") {
        Ok(seconds) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
            (since.as_nanos() as u64 >> 16, seconds.parse().expect("ORACLE_SECONDS is a number"))
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
