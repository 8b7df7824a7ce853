//! UNIQUE and sequences in the engine: who is refused, what a discarded epoch leaves, what is there after a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rows::{only, sqlstate, told};
use super::world::{Between, Running, T, World};
use crate::{EngineError, Transaction, WriteError};

const OWN: &str = "
    CREATE TABLE k (id INT PRIMARY KEY, a INT UNIQUE, b TEXT, UNIQUE (b, a));
    CREATE TABLE l (x TEXT UNIQUE, n INT, CONSTRAINT pair UNIQUE NULLS NOT DISTINCT (n, x));
    CREATE STREAM TABLE q AS SELECT id, 10 / a AS d FROM k;";

fn k(id: i64, a: i64) -> String {
    format!(r#"{{"id":{id},"a":{a},"b":"b"}}"#)
}

#[test]
fn a_value_is_there_once() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(&format!("{T}{OWN}"));
        running.insert("k", &[&k(1, 1), &k(2, 2)]);
        running.insert("l", &[r#"{"x":"a","n":null}"#, r#"{"x":null,"n":1}"#]);
        running = world.again(running, between);
        let refused = running.write("k", &[], &[&k(3, 3), &k(4, 2)]);
        assert_eq!(sqlstate(&refused), "23505", "{between:?}");
        let message = r#"duplicate key value violates unique constraint "k_a_key""#.to_string();
        assert_eq!(told(&refused), (message, "Key (a)=(2) already exists.".to_string()));
        let Err(WriteError::Engine(EngineError::Statement(error))) = &refused else { panic!("{refused:?}") };
        let about = error.about.as_ref().unwrap();
        assert_eq!((about.table.as_deref(), about.constraint.as_deref()), (Some("k"), Some("k_a_key")));
        // the key is asked first of one row, and the earlier row of two
        assert!(told(&running.write("k", &[], &[&k(1, 2)])).0.contains("k_pkey"));
        assert!(told(&running.write("k", &[], &[&k(5, 1), &k(1, 9)])).0.contains("k_a_key"));
        // within one statement, and swapped by one
        assert_eq!(sqlstate(&running.write("k", &[], &[&k(6, 6), &k(7, 6)])), "23505");
        running.write("k", &[&k(1, 1), &k(2, 2)], &[&k(1, 2), &k(2, 1)]).unwrap();
        running = world.again(running, between);
        assert!(told(&running.write("k", &[], &[&k(8, 2)])).1.contains("(a)=(2)"));
        running.write("k", &[&k(1, 2)], &[&k(8, 2)]).unwrap();
        running.write("k", &[&k(8, 2)], &[]).unwrap();
        running = world.again(running, between);
        running.insert("k", &[&k(9, 2), r#"{"id":10,"a":null,"b":"b"}"#, r#"{"id":11,"a":null,"b":"b"}"#]);

        assert_eq!(sqlstate(&running.write("l", &[], &[r#"{"x":"a","n":7}"#])), "23505");
        let again = running.write("l", &[], &[r#"{"x":null,"n":1}"#]);
        assert_eq!(told(&again).1, "Key (n, x)=(1, null) already exists.");
        running.insert("l", &[r#"{"x":null,"n":null}"#, r#"{"x":null,"n":2}"#]);
        assert_eq!(running.rows("l").len(), 4);
        check(&running, "k");
        check(&running, "l");
    }
}

/// Every index has an entry for every row that it should have, and no other.
fn check(running: &Running, table: &str) {
    let view = running.handle.view();
    let rows = &view.tables[&running.def(table).id];
    for unique in &rows.uniques {
        let mut there = 0;
        for delta in rows.read() {
            let delta = delta.unwrap();
            let (found, at) = rows.find_unique(unique, delta.batch()).unwrap();
            assert_eq!(found.len(), at.iter().flatten().count(), "each row has its own values");
            there += found.len();
        }
        let entries: i64 = unique.snapshot.scan(100).map(|part| part.unwrap().weights.iter().sum::<i64>()).sum();
        assert_eq!(entries, there as i64, "{table}, {}", unique.unique().name);
    }
}

/// What a statement staged whose epoch was discarded takes no value.
#[test]
fn a_statement_that_a_dependent_refuses_takes_no_value() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1)]);
    assert_eq!(sqlstate(&running.write("k", &[], &[&k(2, 2), &k(3, 0)])), "22012");
    check(&running, "k");
    running.insert("k", &[&k(4, 2)]);
    assert_eq!(sqlstate(&running.write("k", &[&k(1, 1)], &[&k(5, 0)])), "22012");
    assert_eq!(sqlstate(&running.write("k", &[], &[&k(6, 1)])), "23505");
    check(&running, "k");
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("k"), only([(k(1, 1).as_str(), 1), (k(4, 2).as_str(), 1)]));
    check(&running, "k");
}

/// A small generator of numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % sides as u64) as i64
    }
}

#[test]
fn random_statements_keep_values_unique_over_restarts() {
    let (mut done, mut refused) = (0, 0);
    for seed in 0..6 {
        let (world, mut dice) = (World::new(), Dice(seed));
        let mut running = world.start();
        running.sql(&format!("{T}CREATE TABLE k (id INT PRIMARY KEY, a INT UNIQUE, b TEXT)"));
        let mut model: BTreeMap<i64, i64> = BTreeMap::new();
        for step in 0..40 {
            let mut after = model.clone();
            let gone: Vec<String> = model.iter().filter(|_| dice.roll(5) == 0).map(|(id, a)| k(*id, *a)).collect();
            after.retain(|id, a| !gone.contains(&k(*id, *a)));
            let mut fails = false;
            let mut come = Vec::new();
            for _ in 0..dice.roll(3) {
                let (id, a) = (dice.roll(12), dice.roll(12));
                fails |= after.contains_key(&id) || after.values().any(|there| *there == a);
                after.insert(id, a);
                come.push(k(id, a));
            }
            let refs = |rows: &[String]| rows.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
            let (gone, come): (Vec<&str>, Vec<&str>) =
                (gone.iter().map(String::as_str).collect(), come.iter().map(String::as_str).collect());
            let answer = running.write("k", &gone, &come);
            assert_eq!(answer.is_err(), fails, "seed {seed}, step {step}: {model:?}, {gone:?} go, {come:?} come");
            if fails {
                assert_eq!(sqlstate(&answer), "23505");
                refused += 1;
            } else {
                model = after;
                done += 1;
            }
            if dice.roll(8) == 0 {
                running = world.again(running, [Between::Stop, Between::Crash][dice.roll(2) as usize]);
            }
            let rows: Vec<String> = model.iter().map(|(id, a)| k(*id, *a)).collect();
            let mut found: Vec<String> = running.rows("k").into_keys().collect();
            found.sort();
            assert_eq!(
                found.join("\n"),
                refs(&{
                    let mut rows = rows;
                    rows.sort();
                    rows
                }),
                "seed {seed}, step {step}"
            );
            check(&running, "k");
        }
    }
    assert!(done > 60 && refused > 25, "{done} done, {refused} refused");
}

#[test]
fn of_a_hundred_clients_one_wins_each_value() {
    let world = World::new();
    let running = world.start();
    running
        .sql(&format!("{T}CREATE TABLE k (id INT PRIMARY KEY, a INT UNIQUE, b TEXT); CREATE TABLE w (a INT UNIQUE)"));
    let wins: Vec<AtomicUsize> = (0..8).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for client in 0..100 {
            let (running, wins) = (&running, &wins);
            scope.spawn(move || {
                for (value, wins) in wins.iter().enumerate() {
                    for (table, row) in
                        [("k", k(100 * value as i64 + client, value as i64)), ("w", format!(r#"{{"a":{value}}}"#))]
                    {
                        match running.write(table, &[], &[&row]) {
                            Ok(_) => drop(wins.fetch_add(1, Ordering::SeqCst)),
                            refused => assert_eq!(sqlstate(&refused), "23505"),
                        }
                    }
                }
            });
        }
    });
    let wins: Vec<usize> = wins.iter().map(|wins| wins.load(Ordering::SeqCst)).collect();
    assert_eq!(wins, [2; 8], "one in each table");
    let running = world.again(running, Between::Crash);
    assert_eq!((running.rows("k").len(), running.rows("w").len()), (8, 8));
    check(&running, "k");
}

#[test]
fn constraints_come_and_go() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(&format!("{T}CREATE TABLE k (id INT PRIMARY KEY, a INT, b TEXT)"));
        running.insert("k", &[&k(1, 1), &k(2, 2), &k(3, 2)]);
        let error = running.refusal("ALTER TABLE k ADD CONSTRAINT ua UNIQUE (a)");
        let EngineError::Statement(error) = error else { panic!("{error}") };
        assert_eq!((error.sqlstate, error.message.as_str()), ("23505", r#"could not create unique index "ua""#));
        assert_eq!(error.detail.as_deref(), Some("Key (a)=(2) is duplicated."));
        running.write("k", &[&k(3, 2)], &[&k(3, 3)]).unwrap();
        running.sql("ALTER TABLE k ADD CONSTRAINT ua UNIQUE (a)");
        running = world.again(running, between);
        assert!(told(&running.write("k", &[], &[&k(4, 2)])).0.contains("\"ua\""), "{between:?}");
        running.sql("ALTER TABLE k RENAME COLUMN a TO c");
        let row = |id: i64, c: i64| format!(r#"{{"id":{id},"c":{c},"b":"b"}}"#);
        assert_eq!(told(&running.write("k", &[], &[&row(4, 2)])).1, "Key (c)=(2) already exists.");
        running.sql("ALTER TABLE k ADD COLUMN d INT DEFAULT 5");
        assert_eq!(running.refusal("ALTER TABLE k ADD COLUMN e INT DEFAULT 6 UNIQUE").sqlstate(), "23505");
        running.sql("ALTER TABLE k ADD COLUMN e INT UNIQUE");
        running = world.again(running, between);
        check(&running, "k");
        let row = |id: i64, c: i64| format!(r#"{{"id":{id},"c":{c},"b":"b","d":1,"e":{c}}}"#);
        running.insert("k", &[&row(4, 4)]);
        assert!(told(&running.write("k", &[], &[&row(5, 4)])).0.contains("\"ua\""));
        running.sql("ALTER TABLE k DROP CONSTRAINT ua");
        assert!(told(&running.write("k", &[], &[&row(5, 4)])).0.contains("\"k_e_key\""));
        running.sql("ALTER TABLE k DROP COLUMN e");
        running = world.again(running, between);
        running.insert("k", &[r#"{"id":5,"c":4,"b":"b","d":1}"#]);
        assert_eq!(running.refusal("ALTER TABLE k DROP CONSTRAINT ua").sqlstate(), "42704");
        assert_eq!(running.def("k").uniques(), []);
    }
}

/// Inside of a transaction a value is taken by its own rows too, and by those that others committed since it began.
#[test]
fn a_transaction_sees_the_values_that_it_took() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.insert("k", &[&k(1, 1), &k(2, 2)]);
    let mut transaction = Transaction::new(running.handle.view());
    let write = |transaction: &mut Transaction, gone: &[&str], come: &[&str]| {
        let answer = transaction.write(&running.changes("k", gone, come), &running.handle.view());
        answer.map(|()| zset::Epoch(0))
    };
    write(&mut transaction, &[], &[&k(3, 3)]).unwrap();
    assert_eq!(told(&write(&mut transaction, &[], &[&k(4, 3)])).1, "Key (a)=(3) already exists.");
    assert_eq!(sqlstate(&write(&mut transaction, &[], &[&k(4, 2)])), "23505", "what was there before");
    let mark = transaction.mark();
    write(&mut transaction, &[&k(2, 2)], &[]).unwrap();
    write(&mut transaction, &[], &[&k(5, 2)]).unwrap();
    transaction.back_to(&mark);
    assert_eq!(sqlstate(&write(&mut transaction, &[], &[&k(5, 2)])), "23505", "the row is there again");
    write(&mut transaction, &[&k(2, 2)], &[&k(2, 20)]).unwrap();
    write(&mut transaction, &[], &[&k(5, 2)]).unwrap();
    running.insert("k", &[&k(6, 6)]);
    let lost = write(&mut transaction, &[], &[&k(7, 6)]);
    assert_eq!(told(&lost).1, "Key (a)=(6) already exists.", "another client's, at the statement");
    running.handle.commit(transaction.changes().unwrap()).unwrap();
    let rows = [k(1, 1), k(2, 20), k(3, 3), k(5, 2), k(6, 6)];
    assert_eq!(running.rows("k"), rows.into_iter().map(|row| (row, 1)).collect());
    check(&running, "k");

    // two that take one value: the first to commit has it
    let mut both = [Transaction::new(running.handle.view()), Transaction::new(running.handle.view())];
    for (id, transaction) in (10..).zip(&mut both) {
        write(transaction, &[], &[&k(id, 100)]).unwrap();
    }
    let answers = both.map(|transaction| running.handle.commit(transaction.changes().unwrap()));
    assert!(answers[0].is_ok());
    assert_eq!(sqlstate(&answers[1]), "23505");
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("k").len(), 6);
    check(&running, "k");
}
