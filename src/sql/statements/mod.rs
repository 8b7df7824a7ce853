//! The statements: one a file. Each reads its tokens, checks against the catalog, and gives an action.

mod create_sink;
mod create_stream;
mod create_table;
mod cursor;
mod drop;
mod options;
mod set;
mod show;

#[cfg(test)]
mod tests;

use dataflow::{Action, Planned};
use plan::Catalog;

use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::text;
use cursor::Cursor;

pub(crate) use cursor::{identifier, object_name};

pub use options::{sink_options, source_options};

const STATEMENTS: &str = "the statements are CREATE TABLE, CREATE STREAM TABLE (or MATERIALIZED VIEW), CREATE SINK, DROP, \
                          SET, SHOW TABLES, SHOW STREAM TABLES, SHOW SOURCES, SHOW SINKS, SHOW STATE";

/// Plans one statement.
pub(crate) fn plan(statement: &str, catalog: &Catalog) -> Result<Planned> {
    let mut cursor = Cursor::new(statement)?;
    let start = cursor.span();
    let planned = if cursor.eat(&["CREATE"]) {
        create(&mut cursor, catalog)
    } else if cursor.eat(&["DROP"]) {
        drop::plan(&mut cursor, catalog)
    } else if cursor.eat(&["SET"]) {
        set::plan(&mut cursor)
    } else if cursor.eat(&["SHOW"]) {
        show::plan(&mut cursor)
    } else if cursor.at_end() {
        Err(syntax("the statement is empty"))
    } else {
        Err(other(&mut cursor))
    };
    planned.at(start)
}

/// A statement that is not one of ours, refused by its first words.
fn other(cursor: &mut Cursor) -> dataflow::StatementError {
    let word = cursor.peek_word().unwrap_or_default();
    let span = cursor.span();
    let refused = match word.as_str() {
        "SELECT" | "VALUES" | "WITH" | "TABLE" => unsupported(
            format!("{word} as a statement"),
            "keep its answer as a table instead: CREATE STREAM TABLE v AS ...",
        ),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "COPY" => {
            unsupported(word, "rows come in by the table's topic: write them there (millstream topic write T)")
        }
        "ALTER" => unsupported(word, "drop the object and create it anew"),
        "" => return syntax(format!("syntax error at or near \"{}\"", cursor.peek_text())).at(span),
        _ => unsupported(format!("the statement {word}"), STATEMENTS),
    };
    refused.at(span)
}

fn create(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let span = cursor.span();
    if cursor.eat(&["OR", "REPLACE"]) {
        let hint = "DROP it first, then CREATE it: its contents are made anew";
        return Err(unsupported("CREATE OR REPLACE", hint).at(span));
    }
    if cursor.eat(&["STREAM", "TABLE"]) {
        return create_stream::plan(cursor, catalog);
    }
    if cursor.eat(&["MATERIALIZED", "VIEW"]) {
        return create_stream::plan(cursor, catalog);
    }
    if cursor.eat(&["TABLE"]) {
        return create_table::plan(cursor, catalog);
    }
    if cursor.eat(&["SINK"]) {
        return create_sink::plan(cursor, catalog);
    }
    let what = cursor.peek_word().unwrap_or_default();
    let hint = match what.as_str() {
        "SOURCE" => "use CREATE TABLE, which keeps the rows, with the same options",
        "VIEW" => "use CREATE STREAM TABLE v AS ...",
        "TEMP" | "TEMPORARY" | "UNLOGGED" => "use CREATE TABLE or CREATE STREAM TABLE",
        "INDEX" | "UNIQUE" => "stream tables index themselves by their keys",
        _ => STATEMENTS,
    };
    Err(unsupported(format!("CREATE {what}"), hint).at(span))
}

/// The answer to a CREATE of a name that is taken; `None` if it is free.
fn exists(cursor: &Cursor, catalog: &Catalog, name: &str, if_not_exists: bool) -> Result<Option<Planned>> {
    let stored =
        catalog.table_named(name).map(|table| &table.sql).or_else(|| catalog.sink_named(name).map(|sink| &sink.sql));
    let Some(stored) = stored else { return Ok(None) };
    let mut notices = Vec::new();
    if !text::same_definition(stored, cursor.text()) {
        if !if_not_exists {
            return Err(error(
                code::DUPLICATE_TABLE,
                format!("relation \"{name}\" already exists with another definition"),
            )
            .with_hint(
                "drop it first to define it anew, use another name, or say IF NOT EXISTS to keep what is there",
            ));
        }
        notices.push(format!("relation \"{name}\" already exists with another definition, skipping"));
    } else if if_not_exists {
        notices.push(format!("relation \"{name}\" already exists, skipping"));
    }
    Ok(Some(Planned { action: Action::Exists { name: name.to_string() }, notices }))
}

/// An action without notices.
fn planned(action: Action) -> Planned {
    Planned { action, notices: Vec::new() }
}
