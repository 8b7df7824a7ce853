//! The same under every limit of memory: contents, also of the processes that follow, and what is shown of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::{Budget, Part};

use super::wait::until;
use super::world::{Between, T, World, append, gone, put};

const VIEWS: &str = "CREATE STREAM TABLE v AS SELECT t.a, count(*) AS n, max(t.b) AS m FROM t GROUP BY t.a;
     CREATE STREAM TABLE w AS SELECT t.id, v.n, v.m FROM t JOIN v ON t.a = v.a WHERE t.b > 3";

/// The rows of all tables after some epochs, of one process or of several.
fn rows(limit: u64, between: Between) -> Vec<BTreeMap<String, i64>> {
    let mut world = World::new();
    world.memory = Arc::new(Budget::new(limit));
    let mut running = world.start();
    running.sql(T);
    running.sql(VIEWS);
    for round in 0..6i64 {
        let records: Vec<_> = (0..800i64)
            .map(|n| match (n * 7 + round) % 11 {
                0 => gone(n * 3 % 900),
                b => put(n * 3 % 900, n % 37, b),
            })
            .collect();
        running.feed("t", &records);
        if round % 2 == 1 {
            running = world.again(running, between);
            running.settle("t");
        }
    }
    let shown = running.show("MEMORY");
    let of = |part: &str, column: usize| shown[part][column].clone();
    assert_eq!(of("all", 2), if limit == u64::MAX { String::new() } else { limit.to_string() });
    let number = |part: &str| of(part, 1).parse::<u64>().unwrap();
    if limit == 0 {
        assert_eq!((number("batches"), number("indexes") > 0), (0, true), "{shown:?}");
    } else {
        assert!(number("batches") > 0, "{shown:?}");
    }
    ["t", "v", "w"].map(|table| running.rows(table)).into()
}

#[test]
fn a_limit_changes_no_row() {
    let expected = rows(u64::MAX, Between::Nothing);
    assert!(expected.iter().all(|rows| !rows.is_empty()));
    for limit in [0, 60_000] {
        for between in [Between::Nothing, Between::Stop, Between::Crash] {
            assert_eq!(rows(limit, between), expected, "{limit}, {between:?}");
        }
    }
}

/// What is taken for batches after some rows, with a sink whose target is away or without; there is no checkpoint.
fn taken_for_batches(sink: bool) -> u64 {
    let mut world = World::new();
    world.memory = Arc::new(Budget::new(u64::MAX));
    let running = world.start();
    running.sql(T);
    running.sql("CREATE STREAM TABLE v AS SELECT id, a FROM t");
    world.database.set(|state| state.away = true);
    if sink {
        running.sql("CREATE SINK s FROM v WITH (connector = 'postgres', url = 'postgres://u@h/d', table = 't')");
    }
    running.feed("t", &(0..1000).map(|n| put(n, n, 0)).collect::<Vec<_>>());
    if sink {
        assert_eq!(running.show("SINKS")["s"][4], "1000", "rows wait");
    }
    world.memory.taken(Part::Batches)
}

#[test]
fn what_waits_for_a_target_is_counted_from_its_first_row() {
    let (without, with) = (taken_for_batches(false), taken_for_batches(true));
    assert!(with > without + 1000 * 8, "{with} bytes with what waits, {without} without");
}

#[test]
fn records_that_were_read_are_counted_until_their_epoch_is_over() {
    let mut world = World::new();
    world.memory = Arc::new(Budget::new(u64::MAX));
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 0)]);
    let input = || world.memory.taken(Part::Input);
    until("the epoch is over", || input() == 0);
    running.stop().unwrap();
    let engine = world.open().unwrap();
    append(&world.log, "t", 0, &[put(2, 2, 0)]);
    until("a record is read", || input() > 0);
    drop(engine);
    assert_eq!(input(), 0, "nobody has it any more");
}

/// An epoch takes whole polls: with little memory they are small.
#[test]
fn a_poll_is_no_more_than_half_of_an_epoch() {
    for (limit, rows_max) in [(32 << 20, 1024), (u64::MAX, 5000)] {
        let mut world = World::new();
        world.memory = Arc::new(Budget::new(limit));
        let running = world.start();
        running.sql(T);
        running.stop().unwrap();
        append(&world.log, "t", 0, &(0..5000).map(|n| put(n, n, 0)).collect::<Vec<_>>());
        // Nobody takes what was read: it is a poll, or two.
        let engine = world.open().unwrap();
        let input = || world.memory.taken(Part::Input);
        until("records are read", || input() > 0);
        let each = size_of::<api::Record>() as u64;
        let most = 2 * rows_max * (each + 100);
        assert!((rows_max * each..most).contains(&input()), "{limit}: {} bytes, at {each} for a record", input());
        drop(engine);
    }
}

/// A change of a few bytes reads the whole row of its key.
#[test]
fn of_wide_rows_an_epoch_changes_fewer() {
    let world = World::new();
    let running = world.start();
    running.sql(&T.replace("a INT", "a TEXT"));
    let rows_max = || running.handle.shared().rows_max();
    assert_eq!(rows_max(), 64 * 1024);
    let text = "x".repeat(40_000);
    let wide = |id: i64| (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"a\":\"{text}\",\"b\":0}}")));
    running.feed("t", &(0..100).map(wide).collect::<Vec<_>>());
    assert!((25_000..(1 << 30) / 40_000).contains(&rows_max()), "{}", rows_max());
}

#[test]
fn the_readme_says_what_each_part_is() {
    let readme = include_str!("../../../README.md");
    for part in Part::ALL {
        assert_eq!(readme.matches(&format!("\n| `{part}` | ")).count(), 1, "{part}");
    }
}
