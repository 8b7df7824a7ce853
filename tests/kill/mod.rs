//! kill -9 at random moments and random failpoints, under load, again and again, while a Kafka and a PostgreSQL die and come
//! back too: afterwards every sink topic, read record by record, and every table of the target says exactly what the queries
//! say of the source topics, as if nothing had happened.
//!
//! `KILLS=n` sets the number of deaths, `KILL_SEED=n` the seed, `KILL_WORKERS=n` the worker threads,
//! `KILL_MEMORY=256MB` the memory limit.

pub mod broker;
mod chance;
pub mod ledger;
pub mod load;
pub mod model;
pub mod rig;
pub mod target;
pub mod topics;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use rig::{Rig, Serving};

fn seed() -> u64 {
    std::env::var("KILL_SEED").map_or(20_261_121, |text| text.parse().expect("KILL_SEED is a number"))
}

fn kills() -> u32 {
    std::env::var("KILLS").map_or(15, |text| text.parse().expect("KILLS is a number"))
}

#[test]
fn embedded_log_is_exact_after_kills() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    Loop::new(Rig::embedded(dir.path(), seed(), true), chance::EMBEDDED, 900).run();
}

#[test]
fn kafka_is_exact_after_kills() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    Loop::new(Rig::kafka(dir.path(), seed(), true), chance::KAFKA, 2500).run();
}

/// A pipeline that dies again and again.
struct Loop {
    rig: Rig,
    rng: ChaCha8Rng,
    failpoints: &'static [chance::Chance],
    /// How long a life works at most.
    work_ms_max: u64,
    /// The pipeline was ready once: all its tables and sinks are made.
    made: bool,
    /// Deaths by a signal that we sent.
    killed: u32,
    /// How often the broker died.
    brokers: u32,
}

impl Loop {
    fn new(rig: Rig, failpoints: &'static [chance::Chance], work_ms_max: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed());
        Self { rig, rng, failpoints, work_ms_max, made: false, killed: 0, brokers: 0 }
    }

    fn run(mut self) {
        println!("kill seed {}, {} deaths", seed(), kills());
        for _ in 0..kills() {
            self.move_target();
            self.live();
        }
        let target = self.rig.target.as_mut().expect("a target");
        target.leave(true);
        let serving = self.rig.serve("");
        self.rig.go_on(&serving);
        self.rig.finish(serving);
        println!("{} killed by a signal, {} deaths of the broker", self.killed, self.brokers);
        println!("failpoints that did what they were set to: {:?}", self.rig.fired());
        println!("failpoints reached: {:?}", self.rig.reached);
    }

    /// The target is there while its tables are made; later it comes and goes.
    fn move_target(&mut self) {
        let (leaves, at_once) = (self.rng.random_range(0..3) == 0, self.rng.random_range(0..2) == 0);
        let target = self.rig.target.as_mut().expect("a target");
        if leaves && self.made { target.leave(at_once) } else { target.come_back() }
    }

    /// One life of the process, to its death.
    fn live(&mut self) {
        let failpoint = self.failpoint();
        let mut process = self.rig.start(&failpoint);
        // Some die while they start; the others under load.
        if self.made && self.rng.random_range(0..5) == 0 {
            let moment = Instant::now() + Duration::from_millis(self.rng.random_range(0..250));
            match process.ended_by(moment) {
                Some(status) => self.check_end(status, &failpoint),
                None => {
                    process.kill();
                    self.killed += 1;
                }
            }
            return;
        }
        match self.rig.serving(process) {
            Err(mut process) => {
                let status = process.ended_by(Instant::now() + rig::PATIENCE).expect("it has ended");
                self.check_end(status, &failpoint);
            }
            Ok(serving) => {
                self.made = true;
                self.work(serving, &failpoint);
            }
        }
    }

    fn work(&mut self, mut serving: Serving, failpoint: &str) {
        self.rig.go_on(&serving);
        let work = Duration::from_millis(self.rng.random_range(5..self.work_ms_max));
        let (breaks, outage) =
            (self.rng.random_range(0..10) == 0, Duration::from_millis(self.rng.random_range(0..1500)));
        let together = self.rng.random_range(0..3) == 0;
        if let Some(broker) = self.rig.broker().filter(|_| breaks) {
            serving.process.ended_by(Instant::now() + work);
            broker.kill();
            // The process waits, or dies with its broker.
            let moment = Instant::now() + outage;
            let ended = serving.process.ended_by(moment);
            if together && ended.is_none() {
                serving.process.kill();
            }
            broker.come_back();
            self.brokers += 1;
        }
        let ended = serving.process.ended_by(Instant::now() + work);
        match ended {
            Some(status) if status.signal() != Some(9) => self.check_end(status, failpoint),
            ended => {
                if ended.is_none() {
                    self.rig.note_hits(&serving);
                }
                serving.process.kill();
                self.killed += 1;
            }
        }
        self.rig.pause();
    }

    /// What the next process fails at, if anything.
    fn failpoint(&mut self) -> String {
        if self.rng.random_range(0..2) == 0 {
            return String::new();
        }
        let chance = &self.failpoints[self.rng.random_range(0..self.failpoints.len())];
        // Early hits are as likely as late ones.
        let hit = self.rng.random_range(0.0..(chance.hits_max as f64).ln_1p()).exp() as u64;
        format!("{}@{}", chance.what, hit.max(1))
    }

    /// A process that ended by itself did so because it was told to.
    fn check_end(&self, status: ExitStatus, failpoint: &str) {
        let by_failpoint = match failpoint.split_once('=') {
            Some((_, action)) if action.starts_with("kill") => status.signal() == Some(6),
            // 2: while the statements of its file were applied.
            Some(_) => status.code() == Some(1) || (!self.made && status.code() == Some(2)),
            None => false,
        };
        assert!(by_failpoint, "it ended by itself, {status}, with failpoint {failpoint:?}:\n{}", self.rig.tail());
    }
}
