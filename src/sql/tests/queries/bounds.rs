//! Bounds of a statement: its memory, its time, its client's wish to end it. No test waits: what would take hours ends early.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dataflow::{Limits, Queries, StatementError, View, Work};
use sql::SqlPlanner;

use super::world::{World, limits};

/// Runs a query to its end, without keeping its rows.
fn run(world: &World, query: &str, limits: &Limits) -> Result<usize, StatementError> {
    let prepared = SqlPlanner::new().prepare(query, &world.catalog, &[]).unwrap();
    let Work::Read(read) = prepared.work else { panic!("{query} is no read") };
    let mut rows = 0;
    for batch in read.run(&[], &world.view, limits)? {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

/// What keeps many rows in each of the ways there are.
const KEEPERS: &[&str] = &[
    "SELECT g FROM generate_series(1, 400000) g ORDER BY g DESC",
    "SELECT g, count(*) FROM generate_series(1, 400000) g GROUP BY g",
    "SELECT DISTINCT g FROM generate_series(1, 400000) g",
    "SELECT a.g FROM generate_series(1, 400000) a(g) JOIN generate_series(1, 400000) b(g) ON a.g = b.g",
    "SELECT a.g FROM generate_series(1, 400000) a(g) FULL JOIN generate_series(1, 400001) b(g) ON a.g = b.g",
    "SELECT sum(a + b) FROM generate_series(1, 400000) a, generate_series(1, 2) b",
    "SELECT count(DISTINCT g) FROM generate_series(1, 400000) g",
    "SELECT string_agg(g::text, ',') FROM generate_series(1, 400000) g",
    "SELECT sum(g) OVER () FROM generate_series(1, 400000) g",
    "SELECT g FROM generate_series(1, 4) g WHERE g IN (SELECT h FROM generate_series(1, 400000) h)",
    "SELECT g, (SELECT max(h) FROM generate_series(1, 1) h WHERE h = g) FROM generate_series(1, 20000) g",
    "SELECT g FROM generate_series(1, 400000) g EXCEPT ALL SELECT h FROM generate_series(1, 400000) h",
];

#[test]
fn a_statement_has_so_much_memory_and_no_more() {
    let world = World::new();
    for query in KEEPERS {
        let e = run(&world, query, &Limits { memory_bytes: 1 << 20, ..limits() }).expect_err(query);
        assert_eq!(e.sqlstate, "53200", "{query}: {e}");
        assert_eq!(e.message, "out of memory", "{query}");
        let (detail, hint) = (e.detail.unwrap_or_default(), e.hint.unwrap_or_default());
        assert!(
            detail.contains("it may hold 1024.0 KB") && hint.contains("--query-memory"),
            "{query}: {detail} {hint}"
        );
        run(&world, query, &Limits { memory_bytes: 1 << 30, ..limits() }).unwrap_or_else(|e| panic!("{query}: {e}"));
    }
    // what is passed on is not kept
    let streamed = "SELECT g + 1 FROM generate_series(1, 1000000) g WHERE g % 2 = 0";
    assert_eq!(run(&world, streamed, &Limits { memory_bytes: 1 << 16, ..limits() }).unwrap(), 500_000);
    let first = "SELECT g FROM generate_series(1, 400000) g ORDER BY -g LIMIT 3";
    assert_eq!(run(&world, first, &Limits { memory_bytes: 1 << 20, ..limits() }).unwrap(), 3);
}

/// Together queries have so much of the memory that there is, and give it back however they end.
#[test]
fn all_queries_together_have_so_much_memory_and_no_more() {
    let world = World::new();
    let little = Arc::new(state::Budget::new(32 << 20));
    let view = Arc::new(View { memory: Arc::clone(&little), ..View::clone(&world.view) });
    let queries = || little.taken(state::Part::Queries);
    let start = |query: &str, view: &Arc<View>| {
        let Work::Read(read) = SqlPlanner::new().prepare(query, &world.catalog, &[]).unwrap().work else { panic!() };
        read.run(&[], view, &Limits { memory_bytes: 1 << 30, ..limits() })
    };
    let sorted = |rows: u32| format!("SELECT g FROM generate_series(1, {rows}) g ORDER BY g DESC");
    let to_the_end = |query: &str, view: &Arc<View>| -> Result<usize, StatementError> {
        start(query, view)?.map(|rows| rows.map(|rows| rows.num_rows())).sum()
    };
    let large = sorted(4_000_000);
    assert_eq!(to_the_end(&large, &world.view).unwrap(), 4_000_000, "no other bound is in its way");
    let told = |e: StatementError| (e.sqlstate, e.detail.unwrap(), e.hint.unwrap());
    let (state, detail, hint) = told(to_the_end(&large, &view).expect_err("it holds 32 MB, and may hold 16"));
    assert!(state == "53200" && detail.contains("all together may hold 16.0 MB"), "{detail}");
    assert!(hint.contains("--memory-limit") && !hint.contains("try again"), "{hint}");
    assert_eq!(queries(), 0, "it has ended");
    let mut one = start(&sorted(400_000), &view).unwrap();
    one.next().unwrap().unwrap();
    assert!(queries() > 0, "it is not at its end");
    // Another one, which had room without it.
    let room = (16 << 20) - queries();
    little.query_has(room);
    for query in [sorted(100_000), "SELECT g, count(*) FROM generate_series(1, 100000) g GROUP BY g".to_string()] {
        let (state, detail, hint) = told(to_the_end(&query, &view).expect_err("the other has all that there is"));
        assert!(state == "53200" && detail.contains("others hold 16.0 MB"), "{query}: {detail}");
        assert!(hint.contains("try again when they have ended"), "{query}: {hint}");
    }
    little.query_gives(room);
    assert_eq!(to_the_end(&sorted(100_000), &view).unwrap(), 100_000);
    drop(one);
    assert_eq!(queries(), 0, "nobody reads it on");
}

/// What would never end, in each of the ways there are.
const ENDLESS: &[&str] = &[
    "SELECT count(*) FROM generate_series(1, 9000000000000) g",
    "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    "SELECT count(*) FROM generate_series(1, 1000000) a(g) JOIN generate_series(1, 1000000) b(g) ON a.g + b.g < 0",
    "SELECT count(*) FROM generate_series(1, 1000000) a(g) LEFT JOIN generate_series(1, 1000000) b(g) ON a.g + b.g < 0",
    "SELECT count(*) FROM generate_series(1, 1000000) a(g) JOIN generate_series(1, 1000000) b(g) ON a.g % 2 = b.g % 2",
    "SELECT g, (SELECT count(*) FROM generate_series(1, 100000000) h WHERE h < g) FROM generate_series(1, 1000000) g",
    "SELECT g FROM generate_series(1, 9000000000000) g WHERE g < 0",
    "SELECT g FROM generate_series(1, 9000000000000) g WHERE g < 0 UNION ALL SELECT 1",
];

#[test]
fn a_statement_ends_at_its_deadline() {
    let world = World::new();
    for query in ENDLESS {
        let limits =
            Limits { deadline: Some(Instant::now() + Duration::from_millis(30)), memory_bytes: 1 << 30, ..limits() };
        let e = run(&world, query, &limits).expect_err(query);
        assert_eq!(
            (e.sqlstate, e.message.as_str()),
            ("57014", "canceling statement due to statement timeout"),
            "{query}"
        );
    }
    let past = Limits { deadline: Some(Instant::now()), ..limits() };
    assert_eq!(run(&world, "SELECT 1", &past).unwrap_err().sqlstate, "57014");
}

#[test]
fn a_statement_ends_when_its_client_wants() {
    let world = World::new();
    for query in ENDLESS {
        let limits = Limits { memory_bytes: 1 << 30, ..limits() };
        let cancelled = limits.cancelled.clone();
        let canceller = std::thread::spawn(move || cancelled.store(true, Ordering::Relaxed));
        let e = run(&world, query, &limits).expect_err(query);
        canceller.join().unwrap();
        assert_eq!((e.sqlstate, e.message.as_str()), ("57014", "canceling statement due to user request"), "{query}");
    }
}

#[test]
fn a_statement_ends_between_two_batches() {
    let world = World::new();
    let query = "SELECT g FROM generate_series(1, 100000) g";
    let prepared = SqlPlanner::new().prepare(query, &world.catalog, &[]).unwrap();
    let Work::Read(read) = prepared.work else { panic!("no read") };
    let limits = limits();
    let mut rows = read.run(&[], &world.view, &limits).unwrap();
    assert!(rows.next().unwrap().is_ok());
    limits.cancelled.store(true, Ordering::Relaxed);
    assert_eq!(rows.next().unwrap().unwrap_err().sqlstate, "57014");
    assert!(rows.next().is_none());
}

/// A row that fails is told, and where.
#[test]
fn a_failing_row_is_named() {
    let world = World::new();
    let e = run(&world, "SELECT id FROM k WHERE id > 8 AND 1 / (id - 9) > 0", &limits()).unwrap_err();
    assert_eq!((e.sqlstate, e.message.as_str()), ("22012", "division by zero"));
    assert!(e.detail.unwrap().contains("=9"));
}

/// A row that is named by its whole key is found without reading the table.
#[test]
fn a_key_is_probed() {
    let world = World::new();
    let read = |query: &str| {
        let rows_read = || world.keyed.as_ref().unwrap().arrangement().counters().rows_read();
        let before = rows_read();
        run(&world, query, &limits()).unwrap();
        rows_read() - before
    };
    let all = read("SELECT * FROM keyed");
    assert!(all > 1);
    let probes = [
        ("SELECT * FROM keyed WHERE id = 3 AND grp = 1 AND v = 20 AND s = 'c'", 1),
        ("SELECT v FROM keyed x WHERE 'c' = x.s AND id = 3 AND v = 20 AND grp = 1 AND v > 1", 1),
        ("SELECT * FROM keyed WHERE id = 3 AND grp = 1 AND v = 20 AND s = 'nobody'", 0),
        ("SELECT * FROM keyed WHERE id = 3 AND grp = 1 AND v = 20", all),
        ("SELECT * FROM keyed WHERE id = 3 AND grp = 1 AND v = 20 AND s < 'c'", all),
        ("SELECT * FROM keyed WHERE id = 3 AND grp = 1 AND v = 20 OR s = 'c'", all),
    ];
    for (query, rows) in probes {
        assert_eq!(read(query), rows, "{query}");
    }
}
