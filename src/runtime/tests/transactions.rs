//! Transactions over several tables: all of one is in one epoch, or nothing; and what one sees before it commits.

use dataflow::RowChanges;

use super::rows::{Answer, is_conflict, only, row_changes, sqlstate};
use super::world::{Between, Running, T, World, read};
use crate::run::Event;
use crate::{Transaction, WriteError};

const OWN: &str = "
    CREATE TABLE k (id INT PRIMARY KEY, a INT);
    CREATE TABLE m (id INT PRIMARY KEY, a INT, b INT);
    CREATE TABLE l (x TEXT, n INT);
    CREATE STREAM TABLE q AS SELECT m.id, m.a / m.b AS v, k.a AS k FROM m JOIN k ON k.id = m.id;
    CREATE STREAM TABLE s AS SELECT x, count(*) AS n
        FROM (SELECT 'k' AS x FROM k UNION ALL SELECT 'm' AS x FROM m) AS a GROUP BY x;";

fn k(id: i32, a: i32) -> String {
    format!(r#"{{"id":{id},"a":{a}}}"#)
}

fn m(id: i32, a: i32, b: i32) -> String {
    format!(r#"{{"id":{id},"a":{a},"b":{b}}}"#)
}

/// `s`, when `k` and `m` have so many rows.
fn both(rows: i64) -> std::collections::BTreeMap<String, i64> {
    ["k", "m"].map(|table| (format!(r#"{{"x":"{table}","n":{rows}}}"#), 1)).into()
}

/// A row of `k` and one of `m` that come.
fn pair(running: &Running, k_row: &str, m_row: &str) -> Vec<RowChanges> {
    vec![running.changes("k", &[], &[k_row]), running.changes("m", &[], &[m_row])]
}

/// Sends transactions that share an epoch, behind one that keeps the loop busy; it writes a table `l (x TEXT, n INT)`.
pub(super) fn together(world: &World, running: &Running, transactions: Vec<Vec<RowChanges>>) -> Vec<Answer> {
    *world.log.faults.away.lock().unwrap() = true;
    let tried = world.log.faults.tried.lock().unwrap().len();
    let first = running.send(running.changes("l", &[], &[r#"{"x":"busy","n":1}"#]));
    while world.log.faults.tried.lock().unwrap().len() == tried {
        std::thread::yield_now();
    }
    let send = |changes| {
        let (reply, answer) = std::sync::mpsc::channel();
        running.handle.events.send(Event::Write { changes, reply }).unwrap();
        answer
    };
    let answers: Vec<_> = transactions.into_iter().map(send).collect();
    *world.log.faults.away.lock().unwrap() = false;
    first.recv().unwrap().unwrap();
    answers.into_iter().map(|answer| answer.recv().unwrap()).collect()
}

#[test]
fn all_of_a_transaction_is_there_or_nothing() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{OWN}"));
        let epochs = read(&world.log, "p.epochs", 0).len();
        running.handle.commit(pair(&running, &k(1, 1), &m(1, 10, 2))).unwrap();
        assert_eq!(read(&world.log, "p.epochs", 0).len(), epochs + 1, "one epoch");
        assert_eq!(running.rows("q"), only([(r#"{"id":1,"v":5,"k":1}"#, 1)]));
        let before = [read(&world.log, "p.k", 0).len(), read(&world.log, "p.m", 0).len()];
        // The second table refuses: a key that is taken, a row that is not there, a row that nothing can compute.
        let taken = running.handle.commit(pair(&running, &k(2, 2), &m(1, 0, 1)));
        assert_eq!(sqlstate(&taken), "23505");
        let gone = vec![running.changes("k", &[], &[&k(2, 2)]), running.changes("m", &[&m(7, 7, 7)], &[])];
        assert!(is_conflict(&running.handle.commit(gone)));
        let uncomputed = vec![
            running.changes("k", &[&k(1, 1)], &[&k(1, 2)]),
            running.changes("m", &[&m(1, 10, 2)], &[&m(1, 10, 0)]),
        ];
        assert_eq!(sqlstate(&running.handle.commit(uncomputed)), "22012");
        assert_eq!([read(&world.log, "p.k", 0).len(), read(&world.log, "p.m", 0).len()], before, "nothing is logged");
        let running = world.again(running, between);
        assert_eq!(running.rows("k"), only([(r#"{"id":1,"a":1}"#, 1)]));
        assert_eq!(running.rows("s"), both(1));
    }
}

#[test]
fn of_transactions_that_wait_together_each_is_judged_as_a_whole() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.handle.commit(pair(&running, &k(0, 0), &m(0, 1, 1))).unwrap();
    let epochs = read(&world.log, "p.epochs", 0).len();
    let update = |a: i32, b: i32| {
        vec![running.changes("k", &[&k(0, 0)], &[&k(0, a)]), running.changes("m", &[&m(0, 1, 1)], &[&m(0, 1, b)])]
    };
    // Seen but not changed: it must be as it was all the same.
    let seen = vec![running.changes("k", &[&k(0, 0)], &[&k(0, 0)]), running.changes("m", &[], &[&m(9, 9, 9)])];
    let transactions = vec![
        pair(&running, &k(1, 1), &m(1, 1, 1)),
        update(5, 5),
        update(6, 6),
        pair(&running, &k(2, 2), &m(1, 2, 2)),
        seen,
    ];
    let answers = together(&world, &running, transactions);
    assert!(answers[0].is_ok() && answers[1].is_ok(), "{answers:?}");
    assert!(is_conflict(&answers[2]) && is_conflict(&answers[4]), "{answers:?}");
    assert_eq!(sqlstate(&answers[3]), "23505");
    assert_eq!(read(&world.log, "p.epochs", 0).len(), epochs + 2, "the busy one's, and theirs");
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("k"), only([(r#"{"id":0,"a":5}"#, 1), (r#"{"id":1,"a":1}"#, 1)]));
    assert_eq!(running.rows("s"), both(2));
}

#[test]
fn one_that_a_stream_table_cannot_take_fails_alone() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let of = |id: i32, b: i32| pair(&running, &k(id, id), &m(id, id, b));
    let answers = together(&world, &running, vec![of(1, 1), of(2, 0), of(3, 1)]);
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert_eq!(sqlstate(&answers[1]), "22012");
    assert_eq!(running.rows("s"), both(2));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("q").len(), 2);
}

#[test]
fn one_whose_record_the_log_refuses_fails_alone_and_whole() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let refused = |record: &api::OutRecord| {
        &*record.to.topic == "p.m" && record.key.as_deref() == Some(br#"{"id":2}"#.as_slice())
    };
    *world.log.faults.refuse.lock().unwrap() = Some(Box::new(refused));
    let of = |id: i32| pair(&running, &k(id, id), &m(id, id, 1));
    let answers = together(&world, &running, vec![of(1), of(2), of(3)]);
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert_eq!(sqlstate(&answers[1]), "58030");
    assert_eq!(running.rows("s"), both(2));
}

/// What a transaction sees of a table.
fn seen(running: &Running, transaction: &Transaction, table: &str) -> Vec<String> {
    let stored = &transaction.view().tables[&running.def(table).id];
    let def = running.def(table);
    let writer = schemas::RowWriter::new(&def.columns, &(0..def.columns.0.len()).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for delta in stored.read() {
        let delta = delta.unwrap();
        let bound = writer.bind(delta.batch());
        for at in 0..delta.len() {
            let mut text = Vec::new();
            bound.write(at, &mut text);
            rows.extend((0..delta.weights().value(at)).map(|_| String::from_utf8(text.clone()).unwrap()));
        }
    }
    assert_eq!(stored.rows, rows.len() as i64, "{table} is counted");
    rows.sort();
    rows
}

#[test]
fn own_writes_are_seen_and_undone() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1), &k(2, 2)]);
    let (a, b) = (r#"{"x":"a","n":1}"#, r#"{"x":"b","n":1}"#);
    running.insert("l", &[a, a, b]);
    let mut transaction = Transaction::new(running.handle.view());
    let write = |transaction: &mut Transaction, table: &str, gone: &[&str], come: &[&str]| {
        let changes = row_changes(&running.def(table), gone, come);
        transaction.write(&changes, &running.handle.view())
    };
    write(&mut transaction, "k", &[&k(1, 1)], &[&k(1, 10), &k(3, 3)]).unwrap();
    write(&mut transaction, "l", &[a, b], &[a]).unwrap();
    assert_eq!(seen(&running, &transaction, "k"), [k(1, 10), k(2, 2), k(3, 3)]);
    assert_eq!(seen(&running, &transaction, "l"), [a, a]);
    let mark = transaction.mark();
    write(&mut transaction, "k", &[&k(3, 3), &k(2, 2)], &[]).unwrap();
    write(&mut transaction, "m", &[], &[&m(1, 1, 1)]).unwrap();
    write(&mut transaction, "l", &[a, a], &[]).unwrap();
    assert_eq!(seen(&running, &transaction, "k"), [k(1, 10)]);
    assert_eq!(seen(&running, &transaction, "l"), Vec::<String>::new());
    assert_eq!(sqlstate_of(write(&mut transaction, "k", &[], &[&k(1, 0)])), "23505");
    write(&mut transaction, "k", &[], &[&k(3, 33)]).unwrap();
    transaction.back_to(&mark);
    assert_eq!(seen(&running, &transaction, "k"), [k(1, 10), k(2, 2), k(3, 3)]);
    assert_eq!(seen(&running, &transaction, "m"), Vec::<String>::new());
    assert_eq!(seen(&running, &transaction, "l"), [a, a]);
    assert_eq!(running.rows("k").len(), 2, "nobody else sees it");
    running.handle.commit(transaction.changes().unwrap()).unwrap();
    assert_eq!(
        running.rows("k"),
        only([(r#"{"id":1,"a":10}"#, 1), (r#"{"id":2,"a":2}"#, 1), (r#"{"id":3,"a":3}"#, 1)])
    );
    assert_eq!(running.rows("l"), only([(a, 2)]));
}

fn sqlstate_of(result: Result<(), WriteError>) -> &'static str {
    sqlstate(&result.map(|()| zset::Epoch(0)))
}

#[test]
fn what_others_commit_meanwhile_is_not_seen_and_is_a_conflict() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1), &k(2, 2), &k(3, 3)]);
    let a = r#"{"x":"a","n":1}"#;
    running.insert("l", &[a, a]);
    let begin = || Transaction::new(running.handle.view());
    let write = |transaction: &mut Transaction, table: &str, gone: &[&str], come: &[&str]| {
        transaction.write(&row_changes(&running.def(table), gone, come), &running.handle.view())
    };
    let (mut early, mut late) = (begin(), begin());
    write(&mut early, "k", &[&k(2, 2)], &[&k(2, 20)]).unwrap();
    write(&mut early, "k", &[], &[&k(5, 50)]).unwrap();
    running.write("k", &[&k(1, 1)], &[&k(1, 100)]).unwrap();
    running.insert("k", &[&k(4, 4)]);
    assert_eq!(seen(&running, &late, "k"), [k(1, 1), k(2, 2), k(3, 3)]);
    // It is known when the row is written.
    assert!(matches!(write(&mut late, "k", &[&k(1, 1)], &[&k(1, 7)]), Err(WriteError::Conflict)));
    assert!(matches!(write(&mut late, "k", &[&k(1, 1)], &[]), Err(WriteError::Conflict)));
    assert!(matches!(write(&mut late, "k", &[&k(1, 1)], &[&k(1, 1)]), Err(WriteError::Conflict)));
    assert_eq!(sqlstate_of(write(&mut late, "k", &[], &[&k(4, 5)])), "23505");
    write(&mut late, "k", &[&k(3, 3)], &[&k(3, 30)]).unwrap();
    // Or, if others come later, at the commit.
    running.write("k", &[&k(2, 2)], &[]).unwrap();
    assert!(is_conflict(&running.handle.commit(early.changes().unwrap())));
    running.handle.commit(late.changes().unwrap()).unwrap();
    let mut copies = begin();
    write(&mut copies, "l", &[a], &[]).unwrap();
    running.write("l", &[a], &[]).unwrap();
    running.handle.commit(copies.changes().unwrap()).unwrap();
    assert!(running.rows("l").is_empty(), "of copies each takes one");
    // A row that is only looked at counts as written.
    let mut looks = begin();
    write(&mut looks, "k", &[&k(3, 30)], &[&k(3, 30)]).unwrap();
    write(&mut looks, "m", &[], &[&m(1, 1, 1)]).unwrap();
    running.write("k", &[&k(3, 30)], &[&k(3, 31)]).unwrap();
    assert!(is_conflict(&running.handle.commit(looks.changes().unwrap())));
    assert!(running.rows("m").is_empty());
}

/// PostgreSQL changes the row before it looks whether the key is free.
#[test]
fn that_a_row_was_changed_is_told_before_that_a_key_is_taken() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!(
        "{T}CREATE TABLE y (id INT PRIMARY KEY, u INT UNIQUE); CREATE TABLE w (u INT UNIQUE, n INT); CREATE TABLE c (n INT)"
    ));
    let y = |id: i32, u: i32| format!(r#"{{"id":{id},"u":{u}}}"#);
    let w = |u: i32, n: i32| format!(r#"{{"u":{u},"n":{n}}}"#);
    let c = r#"{"n":1}"#;
    running.insert("y", &[&y(1, 1), &y(2, 2), &y(3, 3)]);
    running.insert("w", &[&w(1, 1), &w(2, 2)]);
    running.insert("c", &[c, c]);
    let mut late = Transaction::new(running.handle.view());
    running.write("y", &[&y(1, 1), &y(2, 2)], &[&y(1, 9), &y(8, 2)]).unwrap();
    running.write("w", &[&w(1, 1), &w(2, 2)], &[&w(1, 5), &w(6, 2)]).unwrap();
    running.write("c", &[c], &[]).unwrap();
    let mut write = |table: &str, gone: &[&str], come: &[&str]| {
        late.write(&row_changes(&running.def(table), gone, come), &running.handle.view())
    };
    for (table, gone, come) in [
        // Both give one row the same value, the same key; it was changed to what another one has in this view.
        ("y", y(1, 1), y(1, 9)),
        ("y", y(2, 2), y(8, 2)),
        ("y", y(1, 1), y(1, 3)),
        ("w", w(1, 1), w(1, 7)),
        ("w", w(2, 2), w(6, 2)),
        ("w", w(1, 1), w(2, 1)),
    ] {
        let written = write(table, &[&gone], &[&come]);
        assert!(matches!(written, Err(WriteError::Conflict)), "{table} {gone} {come}: {written:?}");
    }
    assert!(matches!(write("w", &[&w(1, 1)], &[]), Err(WriteError::Conflict)), "it is known when the row is written");
    // Rows that nobody has changed, and values that others have taken since.
    assert_eq!(sqlstate_of(write("y", &[&y(3, 3)], &[&y(3, 9)])), "23505");
    assert_eq!(sqlstate_of(write("y", &[&y(3, 3)], &[&y(8, 3)])), "23505");
    assert_eq!(sqlstate_of(write("y", &[], &[&y(8, 9)])), "23505");
    assert_eq!(sqlstate_of(write("w", &[], &[&w(6, 0)])), "23505");
    // One of two copies is still there; one that it made itself is nobody else's.
    write("c", &[], &[c]).unwrap();
    write("c", &[c, c], &[]).unwrap();
    assert!(matches!(write("c", &[c], &[]), Err(WriteError::Conflict)), "the other copy");
}

#[test]
fn a_long_transaction_costs_what_it_writes() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let mut transaction = Transaction::new(running.handle.view());
    let def = running.def("k");
    for id in 0..2000 {
        transaction.write(&row_changes(&def, &[], &[&k(id, id)]), &running.handle.view()).unwrap();
    }
    let batches = transaction.view().tables[&def.id].snapshot.batches();
    assert!(batches < 20, "{batches} batches: every probe would ask each of them");
    running.handle.commit(transaction.changes().unwrap()).unwrap();
    assert_eq!(running.rows("k").len(), 2000);
}
