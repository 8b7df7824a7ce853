//! Writes of tables of our own: what is there when a statement returns, and who is refused.

use std::sync::atomic::{AtomicI64, Ordering};

use api::Log;
use api::Transport as _;
use zset::{Epoch, Offset};

use super::rows::{is_conflict, only, row_changes, sqlstate, told};
use super::world::{Between, T, World, append, at, put, read, upserted};
use crate::{Transaction, WriteError};

/// After [`T`], whose table dies in crashes: a keyed and a keyless table, and what is made of them.
const OWN: &str = "
    CREATE TABLE k (id INT PRIMARY KEY, a INT);
    CREATE TABLE l (x TEXT, n INT);
    CREATE STREAM TABLE s AS SELECT count(*) AS n, sum(a) AS a FROM k;
    CREATE STREAM TABLE g AS SELECT x, count(*) AS n FROM l GROUP BY x;
    CREATE STREAM TABLE j AS SELECT k.id, k.a, l.x FROM k JOIN l ON l.n = k.id;";

fn k(id: i32, a: i32) -> String {
    format!(r#"{{"id":{id},"a":{a}}}"#)
}

#[test]
fn what_is_written_is_there_when_the_statement_returns() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let before = running.handle.view();
    let epoch = running.insert("k", &[r#"{"id":1,"a":10}"#, r#"{"id":2,"a":20}"#]);
    let view = running.handle.view();
    assert_eq!((view.epoch, running.handle.shared().epoch().0), (epoch, epoch));
    assert_eq!(running.rows("s"), only([(r#"{"n":2,"a":30}"#, 1)]), "what is made of it too");
    let count = |view: &dataflow::View| view.tables[&running.def("k").id].rows;
    assert_eq!((count(&before), count(&view)), (0, 2), "an older view stays as it is");

    assert_eq!(running.insert("l", &[r#"{"x":"a","n":1}"#, r#"{"x":"a","n":1}"#]), epoch.next());
    running.write("k", &[&k(1, 10)], &[&k(1, 11)]).unwrap();
    running.write("k", &[&k(2, 20)], &[]).unwrap();
    assert_eq!(running.rows("k"), only([(r#"{"id":1,"a":11}"#, 1)]));
    assert_eq!(running.rows("l"), only([(r#"{"x":"a","n":1}"#, 2)]));
    assert_eq!(running.rows("g"), only([(r#"{"x":"a","n":2}"#, 1)]));
    assert_eq!(running.rows("j"), only([(r#"{"id":1,"a":11,"x":"a"}"#, 2)]));
    assert_eq!(upserted(&world.log, "p.k"), [r#"{"id":1,"a":11}"#], "the topic says the same");
    let keys: Vec<_> = read(&world.log, "p.k", 0).into_iter().map(|r| (r.key.unwrap(), r.value.is_some())).collect();
    let (one, two) = (r#"{"id":1}"#, r#"{"id":2}"#);
    assert_eq!(keys, [(one.into(), true), (two.into(), true), (one.into(), true), (two.into(), false)]);
    let event = String::from_utf8(read(&world.log, "p.l", 0)[0].value.clone().unwrap().to_vec()).unwrap();
    assert!(event.starts_with(r#"{"before":null,"after":{"x":"a","n":1},"source":{"#), "{event}");
    assert_eq!(running.show("TABLES")["k"][1], "table");
    assert!(!running.show("SOURCES").contains_key("k"), "nobody reads it");
}

#[test]
fn rows_go_and_come_in_one_statement() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1), &k(2, 2), &k(3, 3)]);
    // UPDATE k SET id = id + 1: every key but two goes and comes.
    running.write("k", &[&k(1, 1), &k(2, 2), &k(3, 3)], &[&k(2, 1), &k(3, 2), &k(4, 3)]).unwrap();
    let moved = only([(r#"{"id":2,"a":1}"#, 1), (r#"{"id":3,"a":2}"#, 1), (r#"{"id":4,"a":3}"#, 1)]);
    assert_eq!(running.rows("k"), moved);
    let records = read(&world.log, "p.k", 0).len();
    let epoch = running.write("k", &[&k(2, 1)], &[&k(2, 1)]).unwrap();
    assert_eq!(read(&world.log, "p.k", 0).len(), records, "the same row: nothing happens");
    assert_eq!(epoch, running.handle.shared().epoch().0, "and there is no epoch without input");

    let (a, b) = (r#"{"x":"a","n":1}"#, r#"{"x":"b","n":null}"#);
    running.insert("l", &[a, a, b]);
    running.write("l", &[a, a, b], &[b, b, a]).unwrap();
    assert_eq!(running.rows("l"), only([(a, 1), (b, 2)]));
    assert_eq!(read(&world.log, "p.l", 0).len(), 5, "one went, one came");
    assert_eq!(running.rows("g"), only([(r#"{"x":"a","n":1}"#, 1), (r#"{"x":"b","n":2}"#, 1)]));
}

#[test]
fn a_key_comes_once() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.sql("CREATE TABLE w (b BOOLEAN, at TIMESTAMPTZ, x TEXT, v INT, PRIMARY KEY (b, at, x))");
    running.insert("k", &[&k(1, 1)]);
    let epoch = running.handle.view().epoch;
    for come in [&[k(1, 2)][..], &[k(2, 2), k(1, 1)], &[k(3, 1), k(3, 1)]] {
        let come: Vec<&str> = come.iter().map(String::as_str).collect();
        let answer = running.write("k", &[], &come);
        let key = if come[0].contains('3') { 3 } else { 1 };
        let message = r#"duplicate key value violates unique constraint "k_pkey""#;
        assert_eq!(sqlstate(&answer), "23505");
        assert_eq!(told(&answer), (message.to_string(), format!("Key (id)=({key}) already exists.")));
    }
    // It goes, but another comes in its place twice.
    assert_eq!(sqlstate(&running.write("k", &[&k(1, 1)], &[&k(1, 2), &k(1, 3)])), "23505");
    assert_eq!(running.handle.view().epoch, epoch, "nothing is logged");
    assert_eq!(running.rows("k"), only([(r#"{"id":1,"a":1}"#, 1)]));

    let row = r#"{"b":true,"at":"2024-01-15T10:00:00.1200Z","x":"é","v":1}"#;
    running.insert("w", &[row]);
    let detail = "Key (b, at, x)=(t, 2024-01-15 10:00:00.12+00, é) already exists.";
    assert_eq!(told(&running.write("w", &[], &[row])).1, detail);
}

#[test]
fn what_is_to_go_must_be_there_as_it_was_seen() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1)]);
    let (a, b) = (r#"{"x":"a","n":1}"#, r#"{"x":"a","n":2}"#);
    running.insert("l", &[a, a]);
    let epoch = running.handle.view().epoch;
    for (table, gone) in [
        ("k", &[r#"{"id":1,"a":2}"#][..]),
        ("k", &[r#"{"id":2,"a":1}"#]),
        ("k", &[r#"{"id":1,"a":1}"#, r#"{"id":1,"a":null}"#]),
        ("l", &[b]),
        ("l", &[a, a, a]),
    ] {
        assert!(is_conflict(&running.write(table, gone, &[])), "{table} {gone:?}");
    }
    assert_eq!(running.handle.view().epoch, epoch);
    running.write("l", &[a, a], &[]).unwrap();
    assert!(running.rows("l").is_empty());
}

#[test]
fn statements_that_wait_share_an_epoch_each_on_what_those_before_it_left() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(0, 0)]);
    let epochs = read(&world.log, "p.epochs", 0).len();
    // The loop is kept busy by an epoch that cannot be committed.
    *world.log.faults.away.lock().unwrap() = true;
    let tried = world.log.faults.tried.lock().unwrap().len();
    let first = running.send(running.changes("k", &[&k(0, 0)], &[&k(0, 1)]));
    while world.log.faults.tried.lock().unwrap().len() == tried {
        std::thread::yield_now();
    }
    let mut answers: Vec<_> = (1..=100).map(|id| running.send(running.changes("k", &[], &[&k(id, id)]))).collect();
    // Of one key: made, changed, made again, gone; and one that was not the first to change a row.
    for (gone, come) in [(None, Some(k(500, 1))), (Some(k(500, 1)), Some(k(500, 2))), (None, Some(k(500, 3)))] {
        let (gone, come): (Vec<&str>, Vec<&str>) =
            (gone.iter().map(|r| r.as_str()).collect(), come.iter().map(|r| r.as_str()).collect());
        answers.push(running.send(running.changes("k", &gone, &come)));
    }
    answers.push(running.send(running.changes("k", &[&k(0, 0)], &[&k(0, 2)])));
    *world.log.faults.away.lock().unwrap() = false;
    let first = first.recv().unwrap().unwrap();
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.recv().unwrap()).collect();
    let (good, bad) = answers.split_at(102);
    assert!(good.iter().all(|answer| matches!(answer, Ok(epoch) if *epoch == first.next())), "{good:?}");
    assert_eq!(sqlstate(&bad[0]), "23505");
    assert!(is_conflict(&bad[1]));
    assert_eq!(read(&world.log, "p.epochs", 0).len(), epochs + 2);
    assert_eq!(running.rows("s"), only([(r#"{"n":102,"a":5053}"#, 1)]));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("s"), only([(r#"{"n":102,"a":5053}"#, 1)]));
}

#[test]
fn a_hundred_clients_lose_no_update() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 0)]);
    let (def, conflicts) = (running.def("k"), AtomicI64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                loop {
                    let now = running.rows("k").into_keys().next().unwrap();
                    let a: i32 = now[now.rfind(':').unwrap() + 1..now.len() - 1].parse().unwrap();
                    match running.handle.write(row_changes(&def, &[&now], &[&k(1, a + 1)])) {
                        Ok(_) => break,
                        Err(WriteError::Conflict) => conflicts.fetch_add(1, Ordering::SeqCst),
                        Err(other) => panic!("{other}"),
                    };
                }
            });
        }
    });
    println!("{} conflicts", conflicts.load(Ordering::SeqCst));
    assert_eq!(running.rows("k"), only([(r#"{"id":1,"a":100}"#, 1)]));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("s"), only([(r#"{"n":1,"a":100}"#, 1)]));
}

#[test]
fn a_statement_takes_along_what_came_from_topics() {
    let mut world = World::new();
    world.config.epoch_interval = std::time::Duration::from_secs(3600);
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    append(&world.log, "t", 0, &[put(1, 1, 1)]);
    // Nothing but the statements closes an epoch.
    for id in 0.. {
        running.insert("k", &[&k(id, 1)]);
        if running.rows("t").len() == 1 {
            break;
        }
        std::thread::yield_now();
    }
    let end = world.log.bounds(&at("t", 0)).unwrap().high;
    assert_eq!((running.handle.shared().sources().into_values().next().unwrap().position, end), (end, Offset(1)));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("t").len(), 1);
}

#[test]
fn a_statement_on_a_table_that_changed_meanwhile_is_evaluated_again_or_told() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let changes = running.changes("k", &[], &[&k(1, 1)]);
    running.sql("ALTER TABLE k ADD COLUMN c INT");
    assert!(is_conflict(&running.handle.write(changes.clone())));
    running.sql("DROP TABLE k CASCADE");
    assert_eq!(sqlstate(&running.handle.write(changes)), "42P01");
    let not_ours = dataflow::RowChanges { table: plan::TableId(1), ..running.changes("t", &[], &[]) };
    assert_eq!(sqlstate(&running.handle.write(not_ours)), "42809");
}

/// The constraints of single rows were judged by the definition of the time: the same columns do not make the rows right.
#[test]
fn a_row_that_was_judged_by_other_constraints_is_not_stored() {
    for (before, after, row) in [
        ("v INT", "v INT NOT NULL", r#"{"id":1,"v":null}"#),
        ("v INT", "v INT CHECK (v > 5)", r#"{"id":1,"v":1}"#),
        ("v TEXT", "v VARCHAR(2)", r#"{"id":1,"v":"long"}"#),
        ("v INT", "v INT UNIQUE", r#"{"id":1,"v":1}"#),
    ] {
        for key in ["", " PRIMARY KEY"] {
            let world = World::new();
            let running = world.start();
            running.sql(&format!("{T}CREATE TABLE n (id INT{key}, {before})"));
            let mut block = Transaction::new(running.handle.view());
            let mut late = Transaction::new(running.handle.view());
            let changes = running.changes("n", &[], &[row]);
            block.write(&changes, &running.handle.view()).unwrap();
            running.sql(&format!("ALTER TABLE n DROP COLUMN v; ALTER TABLE n ADD COLUMN {after}"));
            let written = late.write(&changes, &running.handle.view());
            assert!(matches!(written, Err(WriteError::Conflict)), "{after}: {written:?}");
            assert!(is_conflict(&running.handle.commit(block.changes().unwrap())), "{after} at the commit");
            let mut new = Transaction::new(running.handle.view());
            let written = new.write(&changes, &running.handle.view());
            assert!(matches!(written, Err(WriteError::Conflict)), "{after} prepared before: {written:?}");
            assert!(is_conflict(&running.handle.write(changes)), "{after} of a statement");
            assert!(running.rows("n").is_empty());
        }
    }
}

#[test]
fn a_statement_that_cannot_be_answered_is_told_what_is_known() {
    use super::faulty_log::Fault;
    for (fault, there) in [(Fault::DieBefore, 0), (Fault::DieAfter, 1), (Fault::FencedAfter, 1)] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{OWN}"));
        world.log.faults.commits.lock().unwrap().push_back(fault);
        let answer = running.write("k", &[], &[&k(1, 1)]);
        assert_eq!(sqlstate(&answer), "08007");
        assert!(told(&answer).0.contains("not known"));
        let code = running.end().1.unwrap_err().exit_code();
        assert_eq!(code, if fault == Fault::FencedAfter { 4 } else { 1 });
        assert_eq!(world.start().rows("k").len(), there, "{fault:?}: recovery found out");
    }
    for (fault, there) in [(Fault::DieBefore, false), (Fault::DieAfter, true), (Fault::FencedAfter, true)] {
        let world = World::new();
        let running = world.start();
        world.log.faults.commits.lock().unwrap().push_back(fault);
        assert_eq!(running.handle.execute("CREATE TABLE k (id INT)").unwrap_err().sqlstate(), "08007", "{fault:?}");
        running.end().1.unwrap_err();
        assert_eq!(world.start().handle.table("k").unwrap().is_some(), there, "{fault:?}");
    }
    for (point, code, there) in [("epoch-staged", "58000", 0), ("commit-after", "08007", 1)] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{OWN}"));
        world.faults.set(point, fault::Action::Error, 1);
        let answer = running.write("k", &[], &[&k(1, 1)]);
        assert_eq!(sqlstate(&answer), code, "{point}");
        assert_eq!(format!("{answer:?}").contains("was not committed"), there == 0, "{answer:?}");
        running.end().1.unwrap_err();
        assert_eq!(world.start().rows("k").len(), there, "{point}: what it was told is so");
    }
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let _other = world.log.inner.writer().unwrap();
    let answer = running.write("k", &[], &[&k(1, 1)]);
    assert_eq!(sqlstate(&answer), "08007", "this one was not, but nobody here can know");
    assert!(read(&world.log, "p.k", 0).is_empty());
    assert_eq!(running.end().1.unwrap_err().exit_code(), 4);
}

#[test]
fn an_aborted_transaction_is_made_again_with_the_offsets_of_the_last() {
    use super::faulty_log::Fault;
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    world.log.faults.commits.lock().unwrap().extend([Fault::Abort, Fault::Abort]);
    assert!(running.insert("k", &[&k(1, 1), &k(2, 2)]) > Epoch(0));
    assert_eq!(read(&world.log, "p.k", 0).len(), 2, "visible once");
    let tried = world.log.faults.tried.lock().unwrap().clone();
    let [.., first, _, last] = tried.as_slice() else { panic!("three attempts") };
    let record = |records: &[api::OutRecord]| {
        plan::EpochRecord::decode(records.last().unwrap().value.as_ref().unwrap()).unwrap()
    };
    assert_eq!(record(last).inputs[0].range, zset::Range { start: Offset(0), end: Offset(2) });
    assert_ne!(record(first).inputs, record(last).inputs, "the first attempt had other offsets");
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("k").len(), 2);
}
