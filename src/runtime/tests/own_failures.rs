//! Statements that something downstream, or the log, cannot take: they fail alone, and nothing of them is logged.

use plan::EpochRecord;

use super::rows::{only, sqlstate, told};
use super::wait::until;
use super::world::{Between, Running, T, World, append, put, read};

const OWN: &str = "
    CREATE TABLE k (id INT PRIMARY KEY, a INT, b INT);
    CREATE STREAM TABLE q AS SELECT id, a / b AS v FROM k;
    CREATE STREAM TABLE deep AS SELECT sum(v) AS v FROM q;
    CREATE STREAM TABLE n AS SELECT count(*) AS n FROM k;";

fn k(id: i32, a: i32, b: i32) -> String {
    format!(r#"{{"id":{id},"a":{a},"b":{b}}}"#)
}

fn in_error(running: &Running) -> Vec<String> {
    let tables = running.handle.shared().tables();
    tables.into_iter().filter(|(_, status)| status.error.is_some()).map(|(name, _)| name).collect()
}

/// Keeps the loop busy while statements gather, so that they share an epoch.
fn together(world: &World, running: &Running, send: impl FnOnce()) {
    *world.log.faults.away.lock().unwrap() = true;
    let tried = world.log.faults.tried.lock().unwrap().len();
    let first = running.send(running.changes("k", &[], &[&k(-1, 1, 1)]));
    while world.log.faults.tried.lock().unwrap().len() == tried {
        std::thread::yield_now();
    }
    send();
    *world.log.faults.away.lock().unwrap() = false;
    first.recv().unwrap().unwrap();
}

#[test]
fn a_statement_that_a_stream_table_cannot_take_fails_and_the_table_does_not() {
    for between in [Between::Nothing, Between::Crash] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{OWN}"));
        running.insert("k", &[&k(1, 10, 2)]);
        let (epochs, records) = (read(&world.log, "p.epochs", 0).len(), read(&world.log, "p.k", 0).len());
        let answer = running.write("k", &[], &[&k(2, 1, 0)]);
        assert_eq!(sqlstate(&answer), "22012");
        assert!(told(&answer).0.contains("division by zero") && told(&answer).0.contains("\"q\""), "{answer:?}");
        assert!(in_error(&running).is_empty());
        assert_eq!((read(&world.log, "p.epochs", 0).len(), read(&world.log, "p.k", 0).len()), (epochs, records));
        assert_eq!(running.rows("k").len(), 1);
        running.write("k", &[&k(1, 10, 2)], &[&k(1, 9, 3)]).unwrap();
        running.insert("k", &[&k(2, 4, 4)]);
        let running = world.again(running, between);
        assert_eq!(running.rows("deep"), only([(r#"{"v":4}"#, 1)]));
        assert_eq!(running.rows("n"), only([(r#"{"n":2}"#, 1)]));
    }
}

#[test]
fn of_statements_that_wait_together_only_the_one_that_fails_fails() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    let mut answers = Vec::new();
    together(&world, &running, || {
        for id in 0..10 {
            let b = i32::from(id != 4);
            answers.push(running.send(running.changes("k", &[], &[&k(id, id, b)])));
        }
        // What depends on the one that fails is judged without it.
        answers.push(running.send(running.changes("k", &[], &[&k(4, 40, 1)])));
    });
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.recv().unwrap()).collect();
    assert_eq!(sqlstate(&answers[4]), "22012");
    let mut good = answers.iter().enumerate().filter(|(at, _)| *at != 4);
    assert!(good.all(|(_, answer)| answer.is_ok()), "{answers:?}");
    assert!(in_error(&running).is_empty());
    assert_eq!(running.rows("deep"), only([(r#"{"v":82}"#, 1)]));
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("deep"), only([(r#"{"v":82}"#, 1)]));
}

#[test]
fn what_fails_by_a_topic_is_the_tables_own_also_when_a_statement_is_in_the_epoch() {
    let mut world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.sql("CREATE STREAM TABLE of_t AS SELECT id, a / b AS v FROM t");
    running.stop().unwrap();
    world.config.epoch_interval = std::time::Duration::from_secs(3600);
    let running = world.start();
    let bad = (r#"{"id":7}"#.to_string(), Some(r#"{"id":7,"a":"no number","b":1}"#.to_string()));
    append(&world.log, "t", 0, &[put(1, 1, 0), bad]);
    // Nothing but statements closes an epoch, and all of them fail.
    until("what came from the topic is there", || {
        assert_eq!(sqlstate(&running.write("k", &[], &[&k(1, 1, 0)])), "22012");
        !running.rows("t").is_empty()
    });
    running.insert("k", &[&k(2, 1, 1)]);
    assert_eq!(in_error(&running), ["of_t"]);
    assert_eq!(read(&world.log, "t.dlq", 0).len(), 1, "one dead letter, though the epoch was made twice");
    let running = world.again(running, Between::Crash);
    assert_eq!(in_error(&running), ["of_t"]);
    assert_eq!(running.rows("k").len(), 1);
}

#[test]
fn a_stream_table_that_is_in_error_fails_no_statement_and_catches_up() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let running = world.start();
        running.sql(&format!("{T}{OWN}"));
        running.sql("CREATE STREAM TABLE both AS SELECT k.id, k.a / t.b AS v FROM k JOIN t ON t.id = k.id");
        running.insert("k", &[&k(1, 10, 2)]);
        running.feed("t", &[put(1, 1, 0)]);
        assert_eq!(in_error(&running), ["both"]);
        running.insert("k", &[&k(2, 20, 2)]);
        running.write("k", &[&k(1, 10, 2)], &[&k(1, 30, 2)]).unwrap();
        assert_eq!(in_error(&running), ["both"]);
        let running = world.again(running, between);
        running.insert("k", &[&k(3, 20, 2)]);
        running.feed("t", &[put(1, 1, 3), put(2, 1, 2)]);
        assert!(in_error(&running).is_empty());
        assert_eq!(running.rows("both"), only([(r#"{"id":1,"v":10}"#, 1), (r#"{"id":2,"v":10}"#, 1)]));
    }
}

#[test]
fn a_record_that_the_log_refuses_fails_its_statement_alone() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    *world.log.faults.refuse.lock().unwrap() =
        Some(Box::new(|record| record.key.as_deref() == Some(br#"{"id":5}"#.as_slice())));
    let mut answers = Vec::new();
    together(&world, &running, || {
        answers.push(running.send(running.changes("k", &[], &[&k(3, 3, 1), &k(4, 4, 1)])));
        answers.push(running.send(running.changes("k", &[&k(9, 9, 9)], &[])));
        answers.push(running.send(running.changes("k", &[], &[&k(6, 6, 1), &k(5, 5, 1)])));
        answers.push(running.send(running.changes("k", &[], &[&k(7, 7, 1)])));
    });
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.recv().unwrap()).collect();
    assert!(answers[0].is_ok() && answers[3].is_ok(), "{answers:?}");
    assert_eq!(sqlstate(&answers[2]), "58030");
    assert!(told(&answers[2]).0.contains("not wanted"));
    assert_eq!(running.rows("deep"), only([(r#"{"v":15}"#, 1)]), "-1, 3, 4 and 7");
    *world.log.faults.refuse.lock().unwrap() = None;
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("k").len(), 4);
}

#[test]
fn a_value_that_its_record_would_not_carry_is_refused_before_anything_is_staged() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}CREATE TABLE x (id INT PRIMARY KEY, v TEXT)"));
    let mut changes = running.changes("x", &[], &[r#"{"id":1,"v":"a"}"#, r#"{"id":2,"v":"b"}"#]);
    let nul = arrow::array::StringArray::from(vec!["a", "b\0"]);
    let columns = vec![changes.come.column(0).clone(), std::sync::Arc::new(nul) as _];
    changes.come = arrow::array::RecordBatch::try_new(changes.come.schema(), columns).unwrap();
    let epoch = running.handle.view().epoch;
    let answer = running.handle.write(changes);
    assert_eq!(sqlstate(&answer), "22000");
    assert!(told(&answer).0.contains("column \"v\""), "{answer:?}");
    assert!(running.rows("x").is_empty());
    assert_eq!(running.insert("x", &[r#"{"id":1,"v":"a"}"#]), epoch.next());
}

#[test]
fn a_sink_that_refuses_is_out_and_the_statement_is_not() {
    let world = World::new();
    let running = world.start();
    running.sql(&format!("{T}{OWN}"));
    running.sql("CREATE SINK out FROM k WITH (connector = 'log', topic = 'out', format = 'json', envelope = 'upsert')");
    *world.log.faults.refuse.lock().unwrap() = Some(Box::new(|record| &*record.to.topic == "out"));
    running.insert("k", &[&k(1, 1, 1)]);
    assert!(running.show("SINKS")["out"][2].contains("not wanted"));
    let record = read(&world.log, "p.epochs", 0).pop().unwrap().value.unwrap();
    assert_eq!(EpochRecord::decode(&record).unwrap().sinks.len(), 1);
    assert_eq!(running.rows("k").len(), 1);
}
