//! Stream tables over much that are resumed: made anew at once or in pieces, they come to the same, and so do their sinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{CatalogChange, EpochRecord};
use state::Budget;

use super::world::{Between, Running, T, World, gone, put, read};
use crate::EngineError;
use crate::ddl::Origin;

/// More than two pieces.
const ROWS: i64 = 20_000;
/// Of it that is little.
const LIMIT: u64 = 1 << 20;

fn world(limit: u64) -> World {
    let mut world = World::new();
    world.memory = Arc::new(Budget::new(limit));
    world
}

fn hits(world: &World) -> u64 {
    world.faults.hits().into_iter().filter(|(name, _)| *name == "populate-piece").map(|(_, hits)| hits).sum()
}

fn status(running: &Running, table: &str) -> String {
    running.show("STREAM TABLES")[table][1].clone()
}

/// Tables over t, filled; then a row with b = 0 suspends those that cannot have it.
fn suspended(world: &World, tables: &str) -> Running {
    let running = world.start();
    running.sql(&format!("{T}{tables}"));
    running.feed("t", &(0..ROWS).map(|n| put(n, n * 7 % 500, 1 + n % 9)).collect::<Vec<_>>());
    running.feed("t", &[put(5, 1, 0)]);
    assert_eq!(status(&running, "q"), "SUSPENDED");
    running
}

/// q, a table of its rows, and one of both.
const TABLES: &str = "
    CREATE STREAM TABLE q WITH (max_consecutive_errors = 1) AS SELECT id, a / b AS v FROM t;
    CREATE STREAM TABLE total AS SELECT v, count(*) AS n FROM q GROUP BY v;
    CREATE STREAM TABLE low AS SELECT q.id, total.n FROM total JOIN q ON total.v = q.v;
    CREATE SINK q_out FROM q WITH (connector = 'log', topic = 'q_out', format = 'json', envelope = 'upsert');";

/// What the tables hold after a resume, what the sink got by it, and what its record says.
fn resumed(limit: u64, between: Between) -> (Vec<BTreeMap<String, i64>>, Vec<String>, String) {
    let mut world = world(limit);
    let mut running = suspended(&world, TABLES);
    let changed = (0..3000).map(|n| if n % 3 == 0 { gone(n) } else { put(n, n % 50, 2) });
    running.feed("t", &changed.collect::<Vec<_>>());
    let (before, told) = (hits(&world), read(&world.log, "q_out", 0).len());
    running.sql("ALTER STREAM TABLE q RESUME");
    assert_eq!(hits(&world) - before > 6, limit < u64::MAX, "each of three tables has pieces");
    let out = read(&world.log, "q_out", 0).split_off(told);
    let out = out.into_iter().map(|record| format!("{:?} {:?}", record.key, record.value)).collect();
    let records = read(&world.log, "p.epochs", 0);
    let last = EpochRecord::decode(records.last().unwrap().value.as_ref().unwrap()).unwrap();
    assert!(matches!(last.catalog, Some(CatalogChange::ResumeStreams { .. })), "{last:?}");
    // A process with more memory replays what was made with less.
    world.memory = Arc::new(Budget::new(u64::MAX));
    running = world.again(running, between);
    running.feed("t", &[put(0, 3, 8), put(ROWS, 3, 8), gone(3001)]);
    running.verify();
    (
        ["q", "total", "low"].map(|table| running.rows(table)).into(),
        out,
        format!("{:?} {:?}", last.catalog, last.tables),
    )
}

#[test]
fn in_pieces_it_is_the_same() {
    let expected = resumed(u64::MAX, Between::Nothing);
    assert!(expected.0.iter().all(|rows| !rows.is_empty()) && expected.1.len() > 2000);
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let found = resumed(LIMIT, between);
        assert!(found.0 == expected.0, "{between:?}");
        assert!(found.1 == expected.1, "{between:?}: {} records, {} expected", found.1.len(), expected.1.len());
        assert_eq!(found.2, expected.2, "{between:?}");
    }
}

#[test]
fn a_row_that_no_epoch_has_fails_nothing_and_one_that_is_there_is_named() {
    let world = world(LIMIT);
    // After the first piece, and only then, the count is what the query divides by zero at.
    let first = 8192;
    let running = suspended(
        &world,
        &format!(
            "CREATE STREAM TABLE q WITH (max_consecutive_errors = 1) AS SELECT 1 / (count(*) - {first}) + 1 / min(b) AS v FROM t;"
        ),
    );
    let refused = running.refusal("ALTER STREAM TABLE q RESUME");
    assert!(refused.sqlstate() == "22012" && refused.to_string().contains("cannot resume stream table q"), "{refused}");
    running.feed("t", &[put(5, 1, 1)]);
    let before = hits(&world);
    running.sql("ALTER STREAM TABLE q RESUME");
    assert_eq!(running.rows("q"), BTreeMap::from([(r#"{"v":1}"#.to_string(), 1)]));
    assert_eq!(hits(&world) - before, 1, "it failed at the first piece");
    running.verify();
}

#[test]
fn what_fails_at_a_piece_leaves_it_suspended() {
    let mut world = world(LIMIT);
    world.faults = fault::Failpoints::parse("populate-piece=error@5").unwrap();
    let running = suspended(&world, TABLES);
    running.feed("t", &[put(5, 1, 1)]);
    let rows = ["q", "total", "low"].map(|table| running.rows(table));
    running.refusal("ALTER STREAM TABLE q RESUME");
    assert!(running.end().1.is_err(), "the failure is not of the statement");
    let running = world.start();
    assert!(["q", "total", "low"].iter().all(|table| status(&running, table) == "SUSPENDED"));
    assert!(["q", "total", "low"].map(|table| running.rows(table)) == rows);
    running.sql("ALTER STREAM TABLE q RESUME");
    running.verify();
    assert_eq!((status(&running, "low").as_str(), running.rows("q").len()), ("ACTIVE", ROWS as usize));
}

/// It may take long: who asks it to stop does not wait for the end of it.
#[test]
fn who_is_asked_to_stop_makes_no_table_to_its_end() {
    for limit in [u64::MAX, LIMIT] {
        let world = world(limit);
        suspended(&world, TABLES).stop().unwrap();
        for text in ["CREATE STREAM TABLE more AS SELECT a FROM t", "ALTER STREAM TABLE q RESUME"] {
            let mut engine = world.open().unwrap();
            engine.shared.ask_to_stop();
            let error = engine.execute(text, Origin::Session).unwrap_err();
            assert!(matches!(error, EngineError::Stopped(_)), "{text}: {error}");
        }
        let running = world.start();
        assert_eq!((status(&running, "q"), running.show("STREAM TABLES").len()), ("SUSPENDED".to_string(), 3));
    }
}
