//! For the tests of this crate: a catalog made by statements, and a planner over it.
#![allow(clippy::unwrap_used)]

use dataflow::{Action, Eval, Planned, Planner, StatementError};
use plan::{Catalog, Graph, TableDef};

use crate::SqlPlanner;

/// A catalog with what some statements make.
pub(crate) fn catalog(statements: &[&str]) -> Catalog {
    let mut catalog = Catalog::default();
    for statement in statements {
        apply(&mut catalog, statement);
    }
    catalog
}

/// Adds what a statement makes.
pub(crate) fn apply(catalog: &mut Catalog, statement: &str) {
    match plan(catalog, statement).unwrap_or_else(|e| panic!("{statement}: {e}")).action {
        Action::CreateTable(def) | Action::CreateStream { def, .. } => catalog.add_table(def).unwrap(),
        Action::CreateSink(def) => catalog.add_sink(def).unwrap(),
        other => panic!("{statement}: {other:?}"),
    }
}

/// Plans a statement.
pub(crate) fn plan(catalog: &Catalog, statement: &str) -> Result<Planned, StatementError> {
    SqlPlanner::new().plan(statement, catalog)
}

/// Plans a query as a stream table.
pub(crate) fn stream(
    catalog: &Catalog,
    query: &str,
) -> Result<(TableDef, Graph<std::sync::Arc<dyn Eval>>), StatementError> {
    match plan(catalog, &format!("CREATE STREAM TABLE v AS {query}"))?.action {
        Action::CreateStream { def, graph } => Ok((def, graph)),
        other => panic!("{query}: {other:?}"),
    }
}

/// The tables most tests read.
pub(crate) fn shop() -> Catalog {
    catalog(&[
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer integer, amount numeric(10,2), placed timestamp, note text, \
         doc jsonb, ok boolean, ref uuid, day date, score double precision) \
         WITH (connector = 'kafka', topic = 'orders', envelope = 'debezium')",
        "CREATE TABLE customers (id integer PRIMARY KEY, name varchar(20) NOT NULL, region text) \
         WITH (connector = 'log', topic = 'customers', envelope = 'upsert')",
        "CREATE TABLE clicks (at timestamptz, customer integer, url text, code smallint) \
         WITH (connector = 'kafka', topic = 'clicks')",
    ])
}

/// Checks refusals: (statement, SQLSTATE, what message and hint must contain).
pub(crate) fn refused(catalog: &Catalog, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (statement, sqlstate, part) in cases {
        match plan(catalog, statement) {
            Ok(planned) => wrong.push(format!("{statement}\n   accepted: {:?}", planned.action)),
            Err(e) => {
                let text = e.to_string();
                let hinted = e.hint.is_some() || e.sqlstate != "0A000";
                if e.sqlstate != *sqlstate || !text.contains(part) || !hinted {
                    wrong.push(format!("{statement}\n   wanted {sqlstate} with \"{part}\", got {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
