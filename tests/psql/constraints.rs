//! Constraints and sequences over the wire: the fields of an error that name what it is about, and numbers of many clients across
//! kill -9.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{config, connect, start};

#[test]
fn an_error_names_its_constraint_or_column() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client
        .batch_execute(
            "CREATE TABLE t (id serial PRIMARY KEY, a int UNIQUE, b int NOT NULL DEFAULT 1 CONSTRAINT small CHECK (b < 10)); \
             INSERT INTO t (a) VALUES (1)",
        )
        .unwrap();
    let cases = [
        ("INSERT INTO t (a) VALUES (1)", "23505", Some("t_a_key"), None),
        ("INSERT INTO t (id) VALUES (1)", "23505", Some("t_pkey"), None),
        ("INSERT INTO t (b) VALUES (20)", "23514", Some("small"), None),
        ("UPDATE t SET b = NULL", "23502", None, Some("b")),
    ];
    for (sql, code, constraint, column) in cases {
        let error = client.batch_execute(sql).unwrap_err();
        let error = error.as_db_error().unwrap();
        let found = (error.code().code(), error.constraint(), error.column());
        assert_eq!(found, (code, constraint, column), "{sql}");
        assert_eq!((error.schema(), error.table()), (Some("public"), Some("t")), "{sql}");
    }
    // inside of a transaction at the statement
    client.batch_execute("BEGIN; INSERT INTO t (a) VALUES (2)").unwrap();
    let error = client.batch_execute("INSERT INTO t (a) VALUES (2)").unwrap_err();
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("t_a_key"));
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(client.query("SELECT a FROM t", &[]).unwrap().len(), 1);
}

#[test]
fn no_number_is_given_twice_over_kill_9() {
    const CLIENTS: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let mut running = start(dir.path());
    connect(&running).batch_execute("CREATE TABLE n (id bigserial, x int)").unwrap();
    let given: Mutex<BTreeSet<i64>> = Mutex::default();
    for life in 0..2 {
        let answers = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let Ok(mut client) = postgres::Client::connect(&config(&running), postgres::NoTls) else { return };
                    // Until the process is gone.
                    while let Ok(row) = client.query_one("INSERT INTO n (x) VALUES (1) RETURNING id", &[]) {
                        let id: i64 = row.get(0);
                        assert!(given.lock().unwrap().insert(id), "{id} was given twice, in life {life}");
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            while answers.load(Ordering::SeqCst) < 10 * CLIENTS {
                std::thread::yield_now();
            }
            running.signal("KILL");
        });
        running.kill();
        running = start(dir.path());
    }
    let mut client = connect(&running);
    let stored: Vec<i64> = client.query("SELECT id FROM n", &[]).unwrap().iter().map(|row| row.get(0)).collect();
    let distinct: BTreeSet<i64> = stored.iter().copied().collect();
    assert_eq!(distinct.len(), stored.len(), "no number is twice in the table");
    assert!(given.lock().unwrap().is_subset(&distinct), "what was answered is there");
}
