//! Another version of millstream replays a change of the catalog: it comes to what the first one came to, or it stops.

use std::sync::Arc;

use dataflow::{Action, Planned, Planner, StatementError};
use plan::{Catalog, SinkId, TableId};
use sql::SqlPlanner;

use super::world::{T, World, put};

/// A version that gives other ids to what a statement makes.
struct OtherIds {
    of: &'static str,
}

impl Planner for OtherIds {
    fn split(&self, text: &str) -> Result<Vec<String>, StatementError> {
        SqlPlanner::new().split(text)
    }

    fn plan(&self, statement: &str, catalog: &Catalog) -> Result<Planned, StatementError> {
        let mut planned = SqlPlanner::new().plan(statement, catalog)?;
        if statement.starts_with(self.of) {
            match &mut planned.action {
                Action::CreateTable(def) | Action::CreateStream { def, .. } => def.id = TableId(def.id.0 + 10),
                Action::CreateSink(def) => def.id = SinkId(def.id.0 + 10),
                Action::Alter(alter) => alter.table = TableId(alter.table.0 + 10),
                _ => {}
            }
        }
        Ok(planned)
    }
}

#[test]
fn other_ids_than_those_in_the_record_stop_replay() {
    let statements = [
        T,
        "CREATE TABLE own (k INT PRIMARY KEY)",
        "CREATE STREAM TABLE s AS SELECT max(a) AS v FROM t",
        "CREATE SINK s_out FROM s WITH (connector = 'log', topic = 's', format = 'json', envelope = 'debezium')",
        "ALTER TABLE own ADD COLUMN x INT",
    ];
    let mut world = World::new();
    let running = world.start();
    statements.iter().for_each(|statement| drop(running.sql(statement)));
    running.crash();
    for of in ["CREATE TABLE t", "CREATE TABLE own", "CREATE STREAM", "CREATE SINK", "ALTER TABLE"] {
        world.planner = Arc::new(OtherIds { of });
        let why = world.refusal();
        assert!(why.contains("makes something else of") && why.contains(of), "{of}: {why}");
    }
    world.planner = Arc::new(SqlPlanner::new());
    world.start().feed("t", &[put(1, 1, 1)]);
}

#[test]
fn a_table_that_begins_with_other_rows_stops_replay() {
    let mut world = World::new();
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 1), put(2, 2, 2)]);
    running.sql("CREATE STREAM TABLE s AS SELECT max(a) AS v FROM t");
    running.crash();
    world.update("max (", "min (");
    assert!(world.refusal().contains("came to something else"), "{}", world.refusal());
}
