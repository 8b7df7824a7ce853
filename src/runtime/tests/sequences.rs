//! Sequences: a number that a client has seen is given to nobody else, whatever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use dataflow::{Limits, Queries, SequenceSession, Work};
use plan::EpochRecord;
use sql::SqlPlanner;

use super::rows::{sqlstate, told};
use super::world::{Between, Running, T, World, read};
use crate::{EngineError, WriteError};

/// A statement of a client, again and again until no other was first; answers the numbers in the first column of its rows.
fn client(running: &Running, sql: &str, session: &Arc<SequenceSession>) -> Result<Vec<i64>, WriteError> {
    let limits =
        Limits { deadline: None, memory_bytes: 64 << 20, cancelled: Arc::default(), session: Arc::clone(session) };
    let numbers = |batches: &[arrow::array::RecordBatch]| {
        let mut numbers = Vec::new();
        for batch in batches.iter().filter(|batch| batch.num_columns() > 0) {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Int64).unwrap();
            numbers.extend(column.as_primitive::<Int64Type>().values().iter().copied());
        }
        numbers
    };
    loop {
        let view = running.handle.view();
        let prepared = SqlPlanner::new().prepare(sql, &view.catalog, &[]).map_err(EngineError::Statement)?;
        match prepared.work {
            Work::Write(write) => {
                let written = write.evaluate(&[], &view, &limits).map_err(EngineError::Statement)?;
                match running.handle.write(written.changes) {
                    Err(WriteError::Conflict) => {}
                    answer => return answer.map(|_| numbers(&written.returning)),
                }
            }
            Work::Read(read) => {
                let rows = read.run(&[], &view, &limits).map_err(EngineError::Statement)?;
                return Ok(numbers(&rows.map(Result::unwrap).collect::<Vec<_>>()));
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// The last values that the epoch records know of, by table.
fn marks(world: &World) -> BTreeMap<u32, i64> {
    let records = read(&world.log, "p.epochs", 0);
    let records = records.into_iter().map(|record| EpochRecord::decode(&record.value.unwrap()).unwrap());
    records.flat_map(|record| record.sequences).map(|mark| (mark.sequence.table.0, mark.last)).collect()
}

#[test]
fn a_sequence_goes_on_where_its_records_end() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(&format!(
            "{T}CREATE TABLE n (id SERIAL PRIMARY KEY, x INT UNIQUE);
             CREATE TABLE d (id SMALLINT GENERATED ALWAYS AS IDENTITY (INCREMENT BY -5 START 10 MINVALUE 0 MAXVALUE 20), x INT)"
        ));
        let session = Arc::default();
        let ask = |running: &Running, sql: &str| client(running, sql, &session);
        assert_eq!(ask(&running, "INSERT INTO n (x) VALUES (1), (2) RETURNING id").unwrap(), [1, 2]);
        running = world.again(running, between);
        // refused: the number is gone as long as the process lives
        assert_eq!(sqlstate(&ask(&running, "INSERT INTO n (x) VALUES (2)").map(|_| zset::Epoch(0))), "23505");
        let next = ask(&running, "INSERT INTO n (x) VALUES (3) RETURNING id").unwrap();
        assert_eq!((next, marks(&world)[&2]), (vec![4], 4));
        running = world.again(running, between);
        assert_eq!(ask(&running, "SELECT nextval('n_id_seq')").unwrap(), [5]);
        running = world.again(running, between);
        assert_eq!(ask(&running, "SELECT nextval('n_id_seq')").unwrap(), [6], "it was given to a client");
        assert_eq!(ask(&running, "SELECT setval('n_id_seq', 20, false)").unwrap(), [20]);
        running = world.again(running, between);
        assert_eq!(ask(&running, "INSERT INTO n (x) VALUES (7) RETURNING id").unwrap(), [20]);
        assert_eq!(ask(&running, "SELECT setval('n_id_seq', 9)").unwrap(), [9]);
        running = world.again(running, between);
        assert_eq!(ask(&running, "INSERT INTO n (x) VALUES (8) RETURNING id").unwrap(), [10]);
        for expected in [10, 5, 0] {
            assert_eq!(ask(&running, "INSERT INTO d (x) VALUES (1) RETURNING id").unwrap(), [expected]);
            running = world.again(running, between);
        }
        let end = ask(&running, "INSERT INTO d (x) VALUES (1)").map(|_| zset::Epoch(0));
        assert_eq!(told(&end).0, "nextval: reached minimum value of sequence \"d_id_seq\" (0)");
        assert_eq!(sqlstate(&end), "2200H");
        ask(&running, "TRUNCATE n").unwrap();
        assert_eq!(ask(&running, "INSERT INTO n (x) VALUES (9) RETURNING id").unwrap(), [11]);
        ask(&running, "TRUNCATE n RESTART IDENTITY").unwrap();
        running = world.again(running, between);
        assert_eq!(ask(&running, "INSERT INTO n (x) VALUES (9) RETURNING id").unwrap(), [1]);
        running.sql("DROP TABLE n; CREATE TABLE n (id SERIAL PRIMARY KEY, x INT)");
        running = world.again(running, between);
        assert_eq!(ask(&running, "INSERT INTO n (x) VALUES (9) RETURNING id").unwrap(), [1], "{between:?}");
    }
}

/// Clients take numbers while the process dies under them, twice: what was answered is never given again.
#[test]
fn no_number_comes_twice_whatever_dies() {
    let world = World::new();
    let mut running = world.start();
    running.sql(&format!("{T}CREATE TABLE n (id BIGSERIAL, x INT)"));
    let mut answered: BTreeSet<i64> = BTreeSet::new();
    for life in 0..3 {
        let stop = AtomicBool::new(false);
        let took: Vec<Vec<i64>> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..100)
                .map(|_| {
                    let (running, stop) = (&running, &stop);
                    scope.spawn(move || {
                        let session = Arc::default();
                        let mut took = Vec::new();
                        while !stop.load(Ordering::SeqCst) {
                            let sql = match took.len() % 3 {
                                0 => "SELECT nextval('n_id_seq')",
                                1 => "INSERT INTO n (x) VALUES (1), (2), (3) RETURNING id",
                                _ => "INSERT INTO n (x) SELECT 1 RETURNING id",
                            };
                            match client(running, sql, &session) {
                                Ok(numbers) => took.extend(numbers),
                                Err(_) => break,
                            }
                        }
                        took
                    })
                })
                .collect();
            let before = running.handle.shared().epoch().0;
            let deadline = super::wait::deadline();
            let mut epoch = before;
            while epoch.0 < before.0 + 12 {
                assert!(running.handle.shared().wait_epoch_after(epoch, deadline));
                epoch = running.handle.shared().epoch().0;
            }
            if life < 2 {
                running.handle.events.send(crate::run::Event::Crash("a crash".into())).unwrap();
            }
            stop.store(true, Ordering::SeqCst);
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        for number in took.into_iter().flatten() {
            assert!(answered.insert(number), "{number} was given twice, in life {life}");
        }
        running = match life {
            0 | 1 => {
                running.died();
                world.start()
            }
            _ => world.again(running, Between::Crash),
        };
    }
    let stored = running.rows("n");
    assert!(stored.values().all(|weight| *weight == 1), "no number is twice in the table");
    assert!(answered.len() > 500, "{} numbers", answered.len());
    let next = client(&running, "SELECT nextval('n_id_seq')", &Arc::default()).unwrap();
    assert!(answered.iter().all(|number| *number < next[0]));
}
