//! The statements: one a file. Each reads its tokens, checks against the catalog, and gives an action.

mod alter;
mod alter_constraint;
mod alter_source;
mod assign;
pub(crate) mod calls;
mod clock;
mod columns;
mod constraint;
mod create_sink;
mod create_source;
mod create_stream;
mod create_table;
mod cursor;
pub(crate) mod dead_letters;
mod drop;
mod include;
mod mend;
mod options;
mod resume;
mod sequence;
pub(crate) mod session;
mod set;
pub(crate) mod show;
pub(crate) use tokens::Overriding;
mod source;
mod tokens;
mod transaction;
mod unique;
pub(crate) mod value;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use dataflow::{Action, Planned};
use plan::{Catalog, TableDef};

use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::text;

pub(crate) use cursor::{Cursor, identifier, object_name};

pub use create_stream::stream_options;
pub use options::{own_options, sink_options, source_options};

const STATEMENTS: &str = "the statements are CREATE TABLE, CREATE SOURCE, CREATE STREAM TABLE (or MATERIALIZED VIEW), CREATE \
                          SINK, ALTER TABLE, ALTER STREAM TABLE, DROP, SET, SHOW TABLES, SHOW STREAM TABLES, SHOW SOURCES, SHOW SINKS, SHOW \
                          STATE, SHOW MEMORY, SHOW JOBS; and of clients SELECT, INSERT, UPDATE, DELETE, TRUNCATE, EXPLAIN, VERIFY STREAM TABLE";

/// Plans one statement.
pub(crate) fn plan(statement: &str, catalog: &Catalog) -> Result<Planned> {
    let mut cursor = Cursor::new(statement)?;
    let start = cursor.span();
    let planned = if cursor.eat(&["CREATE"]) {
        create(&mut cursor, catalog)
    } else if cursor.eat(&["DROP"]) {
        drop::plan(&mut cursor, catalog)
    } else if cursor.eat(&["ALTER", "STREAM", "TABLE"]) || cursor.eat(&["ALTER", "MATERIALIZED", "VIEW"]) {
        resume::plan(&mut cursor, catalog)
    } else if cursor.eat(&["ALTER"]) {
        alter::plan(&mut cursor, catalog)
    } else if cursor.eat(&["SET"]) {
        set::plan(&mut cursor)
    } else if cursor.eat(&["SHOW"]) {
        show::plan(&mut cursor, catalog)
    } else if cursor.eat(&["REPLAY"]) {
        dead_letters::replay(&mut cursor, catalog)
    } else if cursor.at_end() {
        Err(syntax("the statement is empty"))
    } else {
        Err(other(&mut cursor))
    };
    planned.at(start)
}

/// A statement that does not change the catalog, refused by its first words.
fn other(cursor: &mut Cursor) -> dataflow::StatementError {
    let word = cursor.peek_word().unwrap_or_default();
    let span = cursor.span();
    let refused = match word.as_str() {
        "SELECT" | "VALUES" | "WITH" | "TABLE" | "EXPLAIN" => unsupported(
            format!("{word} here"),
            "ask it as a client, with psql; to keep its answer up to date: CREATE STREAM TABLE v AS ...",
        ),
        "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" => unsupported(
            format!("{word} here"),
            "write rows as a client, with psql; those of a table with a connector go to its topic (millstream topic write)",
        ),
        "MERGE" | "COPY" => unsupported(word, "write INSERT, UPDATE and DELETE as a client, with psql"),
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
    if cursor.eat(&["SOURCE"]) {
        return create_source::plan(cursor, catalog);
    }
    if cursor.eat(&["SINK"]) {
        return create_sink::plan(cursor, catalog);
    }
    let what = cursor.peek_word().unwrap_or_default();
    let hint = match what.as_str() {
        "VIEW" => "use CREATE STREAM TABLE v AS ...",
        "TEMP" | "TEMPORARY" | "UNLOGGED" => "use CREATE TABLE or CREATE STREAM TABLE",
        "UNIQUE" => "ALTER TABLE t ADD CONSTRAINT name UNIQUE (columns) is the same",
        "INDEX" => "stream tables index themselves by their keys",
        "SEQUENCE" => "a column has one that is declared SERIAL, or GENERATED ALWAYS AS IDENTITY",
        _ => STATEMENTS,
    };
    Err(unsupported(format!("CREATE {what}"), hint).at(span))
}

/// The answer to a CREATE of a name that is taken; `None` if it is free. `new` is what it would make: after an ALTER TABLE
/// the text of a definition differs from the one that made it.
fn exists(
    cursor: &Cursor,
    catalog: &Catalog,
    name: &str,
    new: Option<&TableDef>,
    if_not_exists: bool,
) -> Result<Option<Planned>> {
    let table = catalog.table_named(name);
    let stored = table.map(|table| &table.sql).or_else(|| catalog.sink_named(name).map(|sink| &sink.sql));
    let Some(stored) = stored else { return Ok(None) };
    let same = text::same_definition(stored, cursor.text())
        || table.zip(new).is_some_and(|(there, new)| is_same_own_table(there, new));
    let mut notices = Vec::new();
    if !same {
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

/// Whether two definitions of tables of our own say the same, whatever their texts are.
fn is_same_own_table(one: &TableDef, other: &TableDef) -> bool {
    let (Some(a), Some(b)) = (one.source(), other.source()) else { return false };
    let (Some(own), Some(other_own)) = (&a.own, &b.own) else { return false };
    (&one.columns, &one.key, own, &a.options) == (&other.columns, &other.key, other_own, &b.options)
}

/// An action without notices.
fn planned(action: Action) -> Planned {
    Planned { action, notices: Vec::new() }
}
