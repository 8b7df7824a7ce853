//! Waiting, always with a deadline and a name for what is waited for: for the position or the epoch that brings it. What neither
//! tells of is asked for again and again, here and nowhere else in these tests.

use std::time::{Duration, Instant};

use zset::{Offset, Partition};

use super::rows::once;
use super::world::{Running, halted};

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub fn deadline() -> Instant {
    Instant::now() + DEADLINE
}

/// Asks until there is an answer; an `Err` says what there is instead.
#[track_caller]
pub fn answer<A>(what: &str, mut ask: impl FnMut() -> Result<A, String>) -> A {
    let deadline = deadline();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(instead) => assert!(Instant::now() < deadline, "waited in vain: {what}; {instead}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    answer(what, || if so() { Ok(()) } else { Err("it is not so".to_string()) });
}

impl Running {
    /// Waits until a table has all of a partition below an offset.
    #[track_caller]
    pub fn read_to(&self, table: &str, partition: Partition, end: Offset) {
        let shared = self.handle.shared();
        let there = shared.wait_position(table, partition, end, deadline());
        let instead = || (shared.phase(), shared.sources());
        assert!(there, "waited in vain: {table}, partition {partition}, is read to {end}; {:?}", instead());
    }

    /// Waits until something is so that an epoch brings.
    #[track_caller]
    pub fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let (shared, deadline) = (self.handle.shared(), deadline());
        loop {
            let (epoch, _) = shared.epoch();
            if so() {
                return;
            }
            let more = shared.wait_epoch_after(epoch, deadline);
            assert!(more, "waited in vain: {what}; none after {epoch}, {:?}", shared.phase());
        }
    }

    /// Waits until a table has these rows, each once.
    #[track_caller]
    pub fn until_rows(&self, table: &str, rows: &[&str]) {
        self.until(&format!("{table} is {rows:?}"), || self.rows(table) == once(rows.iter().copied()));
    }

    /// The row of a sink in SHOW SINKS, as soon as it is so.
    #[track_caller]
    pub fn sink(&self, sink: &str, so: impl Fn(&[String]) -> bool) -> Vec<String> {
        answer(&format!("for sink {sink}"), || {
            let row = self.show("SINKS").remove(sink).unwrap();
            if so(&row) { Ok(row) } else { Err(format!("{row:?}")) }
        })
    }

    /// Why a source is halted, as soon as it is.
    #[track_caller]
    pub fn why_halted(&self, source: &str) -> String {
        answer(&format!("{source} is halted"), || halted(self, source).ok_or_else(|| "it is not".to_string()))
    }
}
