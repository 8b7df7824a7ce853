//! Kills in the middle of transactions: of each all is there, or nothing; all that was answered is there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::transfers::{begin, check, client, open, start, watch};
use crate::cli::support::{LONG, Running};

const CLIENTS: u64 = 12;
const KILLS: u64 = 4;

/// How many moves the ledger has.
fn moves(running: &Running) -> i64 {
    open(running).unwrap().query_one("SELECT count(*) FROM ledger", &[]).unwrap().get(0)
}

#[test]
fn of_a_transaction_all_is_there_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = begin(dir.path());
    let mut committed = Vec::new();
    for round in 0..KILLS {
        let (stop, again) = (AtomicBool::new(false), AtomicU64::new(0));
        let goal = moves(&running) + 40 + 15 * round as i64;
        let new: Vec<String> = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(&running, &stop));
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let (running, stop, again) = (&running, &stop, &again);
                    scope.spawn(move || client(running, 1000 * (round + 1) + number, usize::MAX, stop, again))
                })
                .collect();
            let deadline = Instant::now() + LONG;
            while moves(&running) < goal {
                assert!(Instant::now() < deadline, "no load");
                std::thread::sleep(Duration::from_millis(5));
            }
            running.signal("KILL");
            let new = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            stop.store(true, Ordering::Relaxed);
            watcher.join().unwrap();
            new
        });
        committed.extend(new);
        running = start(dir.path());
        let there = check(&running, &committed);
        println!("round {round}: {there} moves are there, {} were answered", committed.len());
    }
}
