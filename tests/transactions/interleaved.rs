//! Random interleavings of transactions, against PostgreSQL's REPEATABLE READ: who fails, with which SQLSTATE, what is read, and
//! what is there in the end must be the same. Where PostgreSQL lets a session wait for another, its statement is asked of
//! Millstream when it came through there.
//!
//! `TRANSACTIONS_SEED=n` runs one schedule, `TRANSACTIONS_SECONDS=n` new ones for so long.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postgres::{Client, NoTls, SimpleQueryMessage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::schedule::{self, SESSIONS, Step};
use crate::support::process::Process;

const START_MAX: Duration = Duration::from_secs(60);

/// What a statement came to: how many rows the tag says, and the rows; or the SQLSTATE.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Done(u64, Vec<String>),
    Failed(String),
}

fn ask(client: &mut Client, sql: &str) -> Answer {
    let messages = match client.simple_query(sql) {
        Ok(messages) => messages,
        Err(error) => {
            let code = error.as_db_error().unwrap_or_else(|| panic!("{error:?}: {sql}")).code().code();
            return Answer::Failed(code.to_string());
        }
    };
    let (mut rows, mut count) = (Vec::new(), 0);
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join(" "));
            }
            SimpleQueryMessage::CommandComplete(affected) => count = affected,
            _ => {}
        }
    }
    Answer::Done(count, rows)
}

fn must(client: &mut Client, sql: &str) -> Vec<String> {
    match ask(client, sql) {
        Answer::Done(_, rows) => rows,
        Answer::Failed(code) => panic!("{code}: {sql}"),
    }
}

/// A session of PostgreSQL, on a thread of its own: it may wait for another.
struct Session {
    pid: String,
    asks: Sender<String>,
    answers: Receiver<Answer>,
    /// The step that it waits with.
    waits: Option<usize>,
    queue: VecDeque<usize>,
}

impl Session {
    fn new(url: &str, schema: &str) -> Self {
        let mut client = Client::connect(url, NoTls).unwrap();
        must(&mut client, &format!("SET search_path = {schema}"));
        must(&mut client, "SET deadlock_timeout = '20ms'");
        let pid = must(&mut client, "SELECT pg_backend_pid()").remove(0);
        let (asks, asked) = channel::<String>();
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            while let Ok(sql) = asked.recv() {
                if answer.send(ask(&mut client, &sql)).is_err() {
                    return;
                }
            }
        });
        Self { pid, asks, answers, waits: None, queue: VecDeque::new() }
    }
}

/// Runs the steps in PostgreSQL: the answers in the order in which they came.
fn judge(url: &str, steps: &[Step]) -> (Vec<(usize, Answer)>, Vec<Vec<String>>) {
    let mut control = Client::connect(url, NoTls).unwrap();
    let schema = format!("interleaved_{}_{:?}", std::process::id(), std::thread::current().id());
    let schema = schema.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_lowercase();
    must(&mut control, &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"));
    must(&mut control, &format!("SET search_path = {schema}"));
    let creates = schedule::TABLES.iter().map(|(_, create)| create);
    creates.chain(schedule::ROWS).for_each(|sql| drop(must(&mut control, sql)));
    let mut sessions: Vec<Session> = (0..SESSIONS).map(|_| Session::new(url, &schema)).collect();
    let mut done = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        sessions[step.session].queue.push_back(at);
        settle(&mut sessions, steps, &mut control, &mut done);
    }
    // Of those that wait for each other one is sent away in a while.
    let deadline = Instant::now() + START_MAX;
    while done.len() < steps.len() {
        assert!(Instant::now() < deadline, "somebody waits for nobody");
        settle(&mut sessions, steps, &mut control, &mut done);
    }
    let left = tables(&mut control);
    drop(sessions);
    must(&mut control, &format!("DROP SCHEMA {schema} CASCADE"));
    (done, left)
}

/// Goes on until every session waits or has nothing more to do.
fn settle(sessions: &mut [Session], steps: &[Step], control: &mut Client, done: &mut Vec<(usize, Answer)>) {
    let deadline = Instant::now() + START_MAX;
    loop {
        let mut moved = false;
        for session in sessions.iter_mut() {
            if session.waits.is_none()
                && let Some(at) = session.queue.pop_front()
            {
                session.asks.send(steps[at].sql.clone()).unwrap();
                session.waits = Some(at);
                moved = true;
            }
            // It answers, or is seen to wait for a lock.
            while let Some(at) = session.waits {
                assert!(Instant::now() < deadline, "{} neither ends nor waits", steps[at].sql);
                if let Ok(answer) = session.answers.recv_timeout(Duration::from_millis(2)) {
                    done.push((at, answer));
                    session.waits = None;
                    moved = true;
                } else if is_blocked(control, &session.pid) {
                    break;
                }
            }
        }
        if !moved {
            return;
        }
    }
}

fn is_blocked(control: &mut Client, pid: &str) -> bool {
    must(control, &format!("SELECT cardinality(pg_blocking_pids({pid})) > 0")) == ["t"]
}

fn tables(client: &mut Client) -> Vec<Vec<String>> {
    schedule::TABLES.iter().map(|(table, _)| must(client, &format!("SELECT * FROM {table} ORDER BY id"))).collect()
}

/// Asks Millstream, one step after another, in the order of PostgreSQL's answers.
fn ours(url: &str, steps: &[Step], order: &[usize]) -> (Vec<Answer>, Vec<Vec<String>>) {
    let mut control = Client::connect(url, NoTls).unwrap();
    schedule::TABLES.iter().for_each(|(table, _)| drop(must(&mut control, &format!("DELETE FROM {table}"))));
    schedule::ROWS.iter().for_each(|sql| drop(must(&mut control, sql)));
    let mut sessions: Vec<Client> = (0..SESSIONS).map(|_| Client::connect(url, NoTls).unwrap()).collect();
    let answers = order.iter().map(|&at| ask(&mut sessions[steps[at].session], &steps[at].sql)).collect();
    (answers, tables(&mut control))
}

/// Runs a schedule; false: PostgreSQL met with a deadlock, which there is none of here.
fn run(seed: u64, postgres: &str, url: &str) -> bool {
    let steps = schedule::random(&mut ChaCha8Rng::seed_from_u64(seed));
    let (theirs, their_tables) = judge(postgres, &steps);
    if theirs.iter().any(|(_, answer)| *answer == Answer::Failed("40P01".to_string())) {
        return false;
    }
    let order: Vec<usize> = theirs.iter().map(|(at, _)| *at).collect();
    let (answers, tables) = ours(url, &steps, &order);
    let mut script = String::new();
    for ((at, theirs), ours) in theirs.iter().zip(&answers) {
        let Step { session, sql } = &steps[*at];
        let mark = if ours == theirs { "" } else { "  <-- differs" };
        script.push_str(&format!("{session}: {sql}\n   PostgreSQL {theirs:?}\n   Millstream {ours:?}{mark}\n"));
    }
    let same = theirs.iter().zip(&answers).all(|((_, theirs), ours)| theirs == ours) && tables == their_tables;
    assert!(same, "transactions seed {seed}:\n{script}{their_tables:?}\n{tables:?}");
    true
}

#[test]
fn interleaved_transactions_end_as_in_postgresql() {
    let postgres = std::env::var("MILLSTREAM_TEST_POSTGRES")
        .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let arguments =
        ["run", "--data", data.to_str().unwrap(), "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    let process = Process::start(&arguments, &dir.path().join("millstream.log"));
    let address = process.ready_on("pg", START_MAX).expect("it is ready");
    let (host, port) = address.rsplit_once(':').unwrap();
    let url = format!("host={host} port={port} user=me dbname=millstream");
    let mut client = Client::connect(&url, NoTls).unwrap();
    schedule::TABLES.iter().for_each(|(_, create)| drop(must(&mut client, create)));
    if let Ok(seed) = std::env::var("TRANSACTIONS_SEED") {
        run(seed.parse().expect("TRANSACTIONS_SEED is a number"), &postgres, &url);
        return;
    }
    let (first, until) = match std::env::var("TRANSACTIONS_SECONDS") {
        Ok(seconds) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let seconds = Duration::from_secs(seconds.parse().expect("TRANSACTIONS_SECONDS is a number"));
            (since.as_nanos() as u64 >> 16, Some(Instant::now() + seconds))
        }
        Err(_) => (1, None),
    };
    let (mut cases, mut compared) = (0, 0);
    while until.map_or(cases < 60, |until| Instant::now() < until) {
        compared += u64::from(run(first + cases, &postgres, &url));
        cases += 1;
    }
    println!("{compared} of {cases} schedules from seed {first} on, the others met with a deadlock");
    assert!(compared * 2 > cases);
}
