//! `millstream check`: plans SQL files against an empty catalog, which they build up. Touches nothing.

use std::path::PathBuf;

use api::Connectors;
use dataflow::{Action, Planner, StatementError};
use plan::{Catalog, CatalogError};
use sql::SqlPlanner;

use super::connectors::Beside;
use super::files::{SqlFile, Statement, head};
use super::{Failure, files};

/// Plans all statements of all files; says of each whether it is good.
pub(super) fn check(paths: &[PathBuf]) -> Result<(), Failure> {
    let files = files::read(paths)?;
    let planner = SqlPlanner::new();
    let mut catalog = Catalog::default();
    let mut wrong = 0;
    for file in &files {
        for statement in file.statements(&planner)? {
            wrong += usize::from(!report(file, &statement, plan(&statement.text, &planner, &mut catalog)));
        }
    }
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::usage("1 statement is wrong")),
        n => Err(Failure::usage(format!("{n} statements are wrong"))),
    }
}

fn report(file: &SqlFile, statement: &Statement, planned: Result<Vec<String>, StatementError>) -> bool {
    match planned {
        Ok(notices) => {
            println!("ok {}", head(&statement.text));
            notices.iter().for_each(|notice| println!("   NOTICE: {notice}"));
            true
        }
        Err(error) => {
            eprintln!("{}", file.statement_error(statement, &error));
            false
        }
    }
}

/// Plans one statement and adds what it makes; answers its notices.
pub(super) fn plan(text: &str, planner: &dyn Planner, catalog: &mut Catalog) -> Result<Vec<String>, StatementError> {
    let planned = planner.plan(text, catalog)?;
    let added = match planned.action {
        Action::CreateTable(def) | Action::CreateStream { def, .. } => catalog.add_table(def),
        Action::CreateSink(def) => {
            Beside::default().check(&def).map_err(|message| StatementError {
                sqlstate: "22023",
                message,
                hint: None,
                detail: None,
                position: None,
                about: None,
            })?;
            catalog.add_sink(def)
        }
        Action::Exists { .. } | Action::Set { .. } => Ok(()),
        Action::Resume { .. }
        | Action::Alter(_)
        | Action::Mend(_)
        | Action::AlterSource(_)
        | Action::ReplayDeadLetters { .. }
        | Action::ShowDeadLetters { .. }
        | Action::Drop { .. }
        | Action::Nothing
        | Action::Show(_) => {
            return Err(StatementError {
                sqlstate: "0A000",
                message: "only CREATE and SET can be in a file".to_string(),
                hint: Some("a file says what there is to be; change a running pipeline by statements".to_string()),
                detail: None,
                position: None,
                about: None,
            });
        }
    };
    added.map_err(|error: CatalogError| StatementError {
        sqlstate: "42P07",
        message: error.to_string(),
        hint: None,
        detail: None,
        position: None,
        about: None,
    })?;
    Ok(planned.notices)
}
