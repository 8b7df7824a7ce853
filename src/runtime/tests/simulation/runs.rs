//! Runs: many of them, and what is told of one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use workers::Workers;

use super::dice::Dice;
use super::steps::{FIRST_STEPS, finish, step};
use super::world::{Counts, World};

/// Runs in CI.
const RUNS: u64 = 300;

/// Threads that run them.
const THREADS: usize = 2;

/// How a run failed.
struct Failure {
    why: String,
    trace: Vec<String>,
}

/// The steps of a seed's run.
fn steps_of(seed: u64) -> Vec<u64> {
    let length = 10 + Dice::of(seed, u64::MAX).below(30) as u64;
    (0..FIRST_STEPS + length).collect()
}

/// Runs a seed with some of its steps.
fn run(seed: u64, steps: &[u64]) -> Result<Counts, Failure> {
    let mut world = World::new(seed);
    let end = catch_unwind(AssertUnwindSafe(|| {
        steps.iter().try_for_each(|n| {
            world.note(format!("step {n}"));
            world.counts.count("steps");
            step(&mut world, seed, *n)
        })?;
        finish(&mut world, seed)
    }));
    let why = match end {
        Ok(Ok(())) => return Ok(world.counts),
        Ok(Err(why)) => why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            format!("a panic: {}", text.unwrap_or_default())
        }
    };
    world.stage.die();
    Err(Failure { why, trace: std::mem::take(&mut world.trace) })
}

/// Leaves out steps for as long as it fails without them.
fn shorten(seed: u64, mut failure: Failure) -> (Vec<u64>, Failure) {
    let mut steps = steps_of(seed);
    let mut chunk = steps.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            match run(seed, &fewer) {
                Err(shorter) => (steps, failure) = (fewer, shorter),
                Ok(_) => at += chunk,
            }
        }
        chunk /= 2;
    }
    (steps, failure)
}

/// Fails if a seed's run does.
fn check(seed: u64) -> Counts {
    match run(seed, &steps_of(seed)) {
        Ok(counts) => counts,
        Err(failure) => {
            let first = failure.why.clone();
            let (steps, failure) = shorten(seed, failure);
            panic!(
                "SIMULATION_SEED={seed}: {first}\nthe shortest run, of the steps {steps:?}: {}\n{}",
                failure.why,
                failure.trace.join("\n")
            )
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs seeds on some threads until there is no next one, or one fails.
fn check_many(first: u64, runs: u64, until: Option<Instant>) {
    let (next, began) = (AtomicU64::new(first), Instant::now());
    let all = Mutex::new(Counts::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + runs || until.is_some_and(|until| Instant::now() >= until) {
                        return;
                    }
                    let counts = check(seed);
                    let mut all = all.lock().unwrap();
                    all.add(&counts);
                    all.count("runs");
                    if until.is_some() && all.0["runs"] % 10_000 == 0 {
                        eprintln!("{:?} after {:?}", all.0, began.elapsed());
                    }
                }
            });
        }
    });
    let counts = all.into_inner().unwrap().0;
    eprintln!("simulation: seeds from {first} on, {:?}: {counts:?}", began.elapsed());
}

#[test]
fn every_run_agrees_with_the_model() {
    let first = number("SIMULATION_FROM").unwrap_or(0);
    if let Some(seed) = number("SIMULATION_SEED") {
        eprintln!("{:?}", check(seed).0);
    } else if let Some(seconds) = number("SIMULATION_SECONDS") {
        check_many(first, u64::MAX - first, Some(Instant::now() + Duration::from_secs(seconds)));
    } else {
        check_many(first, number("SIMULATION_RUNS").unwrap_or(RUNS), None);
    }
}

#[test]
fn a_seed_runs_the_same_again() {
    for seed in [1, 2, 3] {
        let trace = |seed| {
            let mut world = World::new(seed);
            steps_of(seed).into_iter().for_each(|n| step(&mut world, seed, n).unwrap());
            let ends = (world.model.hash.clone(), world.trace.clone());
            world.die();
            ends
        };
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}

/// Whatever the number of workers, every record of every topic is the same, in the same order: rows, sinks, dead letters, and the
/// epoch records with their digests.
#[test]
fn a_seed_runs_the_same_by_any_number_of_workers() {
    let mut forks = 0;
    for seed in 0..12 {
        let mut records = |threads| {
            let mut world = World::new(seed);
            world.workers = Workers::eager(threads).unwrap();
            steps_of(seed).into_iter().for_each(|n| step(&mut world, seed, n).unwrap());
            let ends = (world.log.transactions(0), world.trace.clone());
            world.die();
            forks += world.workers.forks();
            ends
        };
        let (wanted, trace) = records(1);
        for threads in [2, 4, 8] {
            let (found, other) = records(threads);
            assert_eq!(other, trace, "seed {seed} by {threads}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_eq!(found, wanted, "seed {seed} by {threads}");
            }
            assert_eq!(found.len(), wanted.len(), "seed {seed} by {threads}");
        }
    }
    assert!(forks > 300, "work was cut {forks} times");
}
