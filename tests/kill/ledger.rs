//! Writes by SQL: pairs of rows whose amounts cancel, one statement a pair. A statement that was answered is there for good;
//! one whose answer was lost is there whole or not at all.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use postgres::{Client, NoTls};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many books there are.
pub const BOOKS: i64 = 3;

/// A client on a thread of its own.
pub struct Ledger {
    turns: Sender<Turn>,
    thread: JoinHandle<BTreeSet<i64>>,
}

enum Turn {
    GoOn(String),
    Pause,
    End,
}

impl Ledger {
    pub fn start(seed: u64) -> Self {
        let (turns, receiver) = channel();
        let thread = std::thread::spawn(move || run(seed, &receiver));
        Self { turns, thread }
    }

    /// Goes on against the listener of a process.
    pub fn go_on(&self, pg: &str) {
        self.turns.send(Turn::GoOn(pg.to_string())).expect("the client is there");
    }

    pub fn pause(&self) {
        self.turns.send(Turn::Pause).expect("the client is there");
    }

    /// Ends; the first ids of all pairs that were acknowledged.
    pub fn finish(self) -> BTreeSet<i64> {
        self.turns.send(Turn::End).expect("the client is there");
        self.thread.join().expect("the client does not panic")
    }
}

fn run(seed: u64, turns: &Receiver<Turn>) -> BTreeSet<i64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 2);
    let mut acknowledged = BTreeSet::new();
    let mut client: Option<Client> = None;
    let mut id = 0;
    loop {
        // With a process there, a pair every few milliseconds; without one, nothing until it is told.
        let turn = match &client {
            Some(_) => turns.recv_timeout(Duration::from_millis(3)),
            None => turns.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match turn {
            Ok(Turn::GoOn(pg)) => client = connect(&pg),
            Ok(Turn::Pause) => client = None,
            Ok(Turn::End) | Err(RecvTimeoutError::Disconnected) => return acknowledged,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let Some(open) = &mut client else { continue };
        id += 2;
        let (book, amount) = (rng.random_range(0..BOOKS), rng.random_range(1..1000));
        let sql =
            format!("INSERT INTO ledger VALUES ({id}, {book}, {amount}), ({next}, {book}, -{amount})", next = id + 1);
        match open.batch_execute(&sql) {
            Ok(()) => drop(acknowledged.insert(id)),
            // Nobody knows: the next pair is another one.
            Err(_) => client = client.filter(|client| !client.is_closed()),
        }
    }
}

fn connect(pg: &str) -> Option<Client> {
    let (host, port) = pg.rsplit_once(':').expect("host:port");
    Client::connect(&format!("host={host} port={port} user=ledger dbname=millstream connect_timeout=5"), NoTls).ok()
}
