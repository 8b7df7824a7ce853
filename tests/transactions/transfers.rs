//! Clients that move money between the accounts of two tables, each move a transaction with a line in a ledger; who comes second
//! does it again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use postgres::{Client, NoTls};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cli::support::Running;

pub const ACCOUNTS: i32 = 40;
const EACH: i64 = 1000;

/// What is made first. `total` must never show another sum.
pub const TABLES: &str = "
    CREATE TABLE giro (id int PRIMARY KEY, n bigint NOT NULL CHECK (n >= 0));
    CREATE TABLE savings (id int PRIMARY KEY, n bigint NOT NULL CHECK (n >= 0));
    CREATE TABLE ledger (move text PRIMARY KEY, giro int NOT NULL, savings int NOT NULL, n bigint NOT NULL);
    CREATE STREAM TABLE total AS
        SELECT sum(n) AS n, count(*) AS accounts FROM (SELECT n FROM giro UNION ALL SELECT n FROM savings) AS a;
    CREATE STREAM TABLE moved AS SELECT giro, sum(n) AS n FROM ledger GROUP BY giro;";

pub fn open(running: &Running) -> Result<Client, postgres::Error> {
    let (host, port) = running.pg.rsplit_once(':').unwrap();
    Client::connect(&format!("host={host} port={port} user=me dbname=millstream"), NoTls)
}

pub fn fill(running: &Running) {
    let values: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, {EACH})")).collect();
    let values = values.join(", ");
    let sql = format!("INSERT INTO giro VALUES {values}; INSERT INTO savings VALUES {values}");
    open(running).unwrap().batch_execute(&sql).unwrap();
}

/// One move, again until it is not second. Of an error that says nothing of the outcome, or of a lost connection: nothing is known.
/// False: an account is empty, and nothing is moved.
fn step(client: &mut Client, rng: &mut ChaCha8Rng, name: &str, again: &AtomicU64) -> Result<bool, postgres::Error> {
    let (giro, savings) = (rng.random_range(1..=ACCOUNTS), rng.random_range(1..=ACCOUNTS));
    let n: i64 = rng.random_range(1..20) * if rng.random_bool(0.5) { 1 } else { -1 };
    let bystander = rng.random_range(1..=ACCOUNTS);
    loop {
        let mut attempt = || {
            let mut block = client.transaction()?;
            let has: i64 = block.query_one("SELECT n FROM giro WHERE id = $1", &[&giro])?.get(0);
            block.execute("UPDATE giro SET n = $2 WHERE id = $1", &[&giro, &(has - n)])?;
            block.execute("UPDATE savings SET n = n + $2 WHERE id = $1", &[&savings, &n])?;
            if n % 3 == 0 {
                block.query("SELECT n FROM savings WHERE id = $1 FOR SHARE", &[&bystander])?;
            }
            block.execute("INSERT INTO ledger VALUES ($1, $2, $3, $4)", &[&name, &giro, &savings, &n])?;
            block.commit()
        };
        match attempt() {
            Err(error) if error.code().is_some_and(|code| code.code() == "40001") => {
                again.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.code().is_some_and(|code| code.code() == "23514") => return Ok(false),
            done => return done.map(|()| true),
        }
    }
}

/// Makes moves until it is told to stop or its connection is lost; the names of those that are committed for sure.
pub fn client(running: &Running, number: u64, moves: usize, stop: &AtomicBool, again: &AtomicU64) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let mut done = Vec::new();
    let Ok(mut client) = open(running) else { return done };
    for at in 0..moves {
        let name = format!("{number}-{at}");
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match step(&mut client, &mut rng, &name, again) {
            Ok(true) => done.push(name),
            Ok(false) => {}
            Err(error) if error.is_closed() || error.as_db_error().is_none() => break,
            Err(error) if error.code().is_some_and(|code| ["57P01", "08007"].contains(&code.code())) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    done
}

/// Reads the total again and again; how often. A sum that is not that of the beginning is wrong at any moment.
pub fn watch(running: &Running, stop: &AtomicBool) -> u64 {
    let mut reads = 0;
    let Ok(mut client) = open(running) else { return 0 };
    while !stop.load(Ordering::Relaxed) {
        let Ok(rows) = client.query("SELECT n::bigint, accounts FROM total", &[]) else { break };
        let found: (i64, i64) = (rows[0].get(0), rows[0].get(1));
        assert_eq!(found, (EACH * i64::from(ACCOUNTS) * 2, i64::from(ACCOUNTS) * 2));
        reads += 1;
    }
    reads
}

/// Every balance must be what the ledger says, and the ledger must have all that was committed.
pub fn check(running: &Running, committed: &[String]) -> usize {
    let mut client = open(running).unwrap();
    for (table, sign) in [("giro", -1i64), ("savings", 1)] {
        let sql = format!(
            "SELECT a.id, a.n, coalesce(l.n, 0)::bigint FROM {table} AS a LEFT JOIN \
             (SELECT {table} AS id, sum(n) AS n FROM ledger GROUP BY {table}) AS l ON l.id = a.id"
        );
        let rows = client.query(&sql, &[]).unwrap();
        assert_eq!(rows.len(), ACCOUNTS as usize);
        for row in rows {
            let (id, n, moved): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
            assert_eq!(n, EACH + sign * moved, "{table} {id}");
        }
    }
    let differ = "SELECT count(*) FROM (SELECT giro, sum(n) AS n FROM ledger GROUP BY giro) AS l JOIN moved AS m \
                  ON m.giro = l.giro WHERE m.n <> l.n";
    assert_eq!(client.query_one(differ, &[]).unwrap().get::<_, i64>(0), 0, "the stream table");
    let there = client.query("SELECT move FROM ledger", &[]).unwrap();
    let there: std::collections::BTreeSet<String> = there.iter().map(|row| row.get(0)).collect();
    let missing: Vec<&String> = committed.iter().filter(|name| !there.contains(*name)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "committed, and not there");
    there.len()
}

/// A process with the tables: on the embedded log, or, with `TRANSACTIONS_ON_KAFKA=1`, on Kafka.
pub fn start(dir: &Path) -> Running {
    let mut flags = vec!["--pg-connections-max", "200", "--checkpoint-interval", "1s"];
    let (kafka, pipeline) = (std::env::var("MILLSTREAM_TEST_KAFKA").unwrap_or_default(), dir.to_string_lossy());
    let pipeline = pipeline.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    if std::env::var("TRANSACTIONS_ON_KAFKA").is_ok() {
        flags.extend(["--kafka", &kafka, "--pipeline", pipeline.trim_start_matches('-')]);
    }
    Running::start_with(dir, TABLES, &flags)
}

/// Begins a pipeline with the tables and their accounts.
pub fn begin(dir: &Path) -> Running {
    let running = start(dir);
    fill(&running);
    running
}

#[test]
fn a_hundred_clients_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = begin(dir.path());
    let (stop, again) = (AtomicBool::new(false), AtomicU64::new(0));
    let (committed, reads) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&running, &stop));
        let clients: Vec<_> = (0..100)
            .map(|number| {
                let (running, stop, again) = (&running, &stop, &again);
                scope.spawn(move || client(running, number, 5, stop, again))
            })
            .collect();
        let committed: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        stop.store(true, Ordering::Relaxed);
        (committed, watcher.join().unwrap())
    });
    let there = check(&running, &committed);
    assert_eq!(there, committed.len());
    let again = again.load(Ordering::Relaxed);
    println!("{there} moves of 500 committed, {again} times second, {reads} sums read");
    assert!(there > 400 && reads > 0 && again > 0, "they met, and were watched");
}
