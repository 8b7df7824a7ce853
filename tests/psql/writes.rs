//! Writes of several clients at the same time: none is lost, and each sees what it wrote.

use super::{connect, refusal, start};

/// More clients than attempts side by side succeed: some must come to take the lock.
const CLIENTS: i64 = 8;
const UPDATES: i64 = 25;

#[test]
fn no_update_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    connect(&running)
        .batch_execute(
            "CREATE TABLE t (id integer PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 0); CREATE STREAM TABLE v AS SELECT \
             sum(n) AS n FROM t",
        )
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = connect(&running);
                let statement = client.prepare("UPDATE t SET n = n + $1 WHERE id = 1 RETURNING n").unwrap();
                let mut last = 0;
                for _ in 0..UPDATES {
                    let rows = client.query(&statement, &[&1i64]).unwrap();
                    let n: i64 = rows[0].get(0);
                    assert!(n > last, "{n} after {last}");
                    last = n;
                    let seen = client.query_one("SELECT n::bigint FROM v", &[]).unwrap().get::<_, i64>(0);
                    assert!(seen >= n, "{seen} is seen after {n} was written");
                }
            });
        }
    });
    let mut client = connect(&running);
    let n = client.query_one("SELECT n FROM t", &[]).unwrap().get::<_, i64>(0);
    assert_eq!(n, CLIENTS * UPDATES);
    client.batch_execute("DELETE FROM t").unwrap();
}

#[test]
fn one_of_many_inserts_of_a_key_wins() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    connect(&running).batch_execute("CREATE TABLE t (id integer PRIMARY KEY, who bigint)").unwrap();
    let won: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|who| {
                let running = &running;
                scope.spawn(move || {
                    let mut client = connect(running);
                    let tries =
                        (0..20).filter(|id| match client.execute("INSERT INTO t VALUES ($1, $2)", &[id, &who]) {
                            Ok(_) => true,
                            Err(error) => {
                                let detail = error.as_db_error().and_then(|error| error.detail()).map(str::to_string);
                                assert_eq!(refusal(&error).0, "23505");
                                assert_eq!(detail, Some(format!("Key (id)=({id}) already exists.")));
                                false
                            }
                        });
                    tries.count()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(won, 20);
    assert_eq!(connect(&running).query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 20);
}

#[test]
fn errors_of_writes_have_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client
        .batch_execute("CREATE TABLE t (id integer PRIMARY KEY, a varchar(3) NOT NULL, n integer CHECK (n > 0))")
        .unwrap();
    for (sql, state) in [
        ("INSERT INTO t VALUES (1, NULL, 1)", "23502"),
        ("INSERT INTO t VALUES (1, 'long', 1)", "22001"),
        ("INSERT INTO t VALUES (1, 'a', 0)", "23514"),
        ("INSERT INTO t VALUES (1, 'a', 1), (1, 'b', 2)", "23505"),
        ("INSERT INTO t VALUES (1, 'a', 3000000000)", "22003"),
        ("INSERT INTO nowhere VALUES (1)", "42P01"),
        ("UPDATE t SET nix = 1", "42703"),
    ] {
        let error = client.batch_execute(sql).unwrap_err();
        assert_eq!(refusal(&error).0, state, "{sql}: {error:?}");
    }
    assert_eq!(client.query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 0);
}

/// A counter that nobody has made: a hundred clients upsert it, and none of it is lost. What was first inserts it, however many
/// meant to.
#[test]
fn a_hundred_clients_upsert_one_counter() {
    const EACH: i64 = 3;
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    connect(&running)
        .batch_execute(
            "CREATE TABLE t (name text PRIMARY KEY, n bigint, email text UNIQUE); CREATE STREAM TABLE v AS SELECT sum(n) AS n FROM t",
        )
        .unwrap();
    let clients: Vec<_> = (0..99).map(|_| connect(&running)).collect();
    std::thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                for turn in 0..EACH {
                    let sql = match number % 2 {
                        0 => "INSERT INTO t VALUES ('c', 1) ON CONFLICT (name) DO UPDATE SET n = t.n + excluded.n RETURNING n",
                        _ => {
                            "INSERT INTO t VALUES ('e', 1, 'e') ON CONFLICT (email) DO UPDATE SET n = t.n + excluded.n RETURNING n"
                        }
                    };
                    let n: i64 = client.query_one(sql, &[]).unwrap().get(0);
                    assert!(n > turn, "{n} in turn {turn}");
                    client.execute("INSERT INTO t VALUES ('once', 1) ON CONFLICT DO NOTHING", &[]).unwrap();
                }
            });
        }
    });
    let mut client = connect(&running);
    let rows = client.query("SELECT name, n FROM t ORDER BY name", &[]).unwrap();
    let rows: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [("c".into(), 50 * EACH), ("e".into(), 49 * EACH), ("once".into(), 1)]);
    assert_eq!(client.query_one("SELECT n::bigint FROM v", &[]).unwrap().get::<_, i64>(0), 99 * EACH + 1);
}
