//! SHOW DEAD LETTERS FROM t [LIMIT n], and REPLAY DEAD LETTERS FROM t [FORCE].

use dataflow::{Action, Planned};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, TableId};

use super::alter_source::with_connector;
use super::{Cursor, planned};
use crate::error::{Detail, Result, code, error, unsupported};

/// How many are shown unless LIMIT says otherwise.
const SHOWN: usize = 100;
/// The most that LIMIT may say.
const SHOWN_MAX: usize = 10_000;

/// Plans SHOW DEAD LETTERS; the cursor is behind SHOW. Nothing if it shows something else.
pub(crate) fn show(cursor: &mut Cursor, catalog: &Catalog) -> Result<Option<Planned>> {
    if !cursor.eat(&["DEAD", "LETTERS"]) {
        return Ok(None);
    }
    let table = from(cursor, catalog, "SHOW DEAD LETTERS")?;
    let mut limit = SHOWN;
    if cursor.eat(&["LIMIT"]) {
        let span = cursor.span();
        let text = match cursor.parser.next_token().token {
            Token::Number(number, _) => number,
            token => token.to_string(),
        };
        limit = text.parse().ok().filter(|limit| (1..=SHOWN_MAX).contains(limit)).ok_or_else(|| {
            error(code::INVALID_PARAMETER, format!("invalid LIMIT {text}"))
                .with_hint(format!("it is a whole number from 1 to {SHOWN_MAX}; the newest letters are shown first"))
                .at(span)
        })?;
    }
    cursor.end()?;
    Ok(Some(planned(Action::ShowDeadLetters { table, limit })))
}

/// Plans REPLAY DEAD LETTERS; the cursor is behind REPLAY.
pub(crate) fn replay(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    cursor.expect("DEAD")?;
    cursor.expect("LETTERS")?;
    let span = cursor.span();
    let table = from(cursor, catalog, "REPLAY DEAD LETTERS")?;
    if catalog.table(table).is_some_and(|def| !def.is_stored()) {
        return Err(unsupported(
            "REPLAY DEAD LETTERS of a source",
            "a stream table that is made later reads the source's topic again, where they are as they were: use CREATE TABLE",
        )
        .at(span));
    }
    let force = cursor.eat(&["FORCE"]);
    cursor.end()?;
    Ok(planned(Action::ReplayDeadLetters { table, force }))
}

fn from(cursor: &mut Cursor, catalog: &Catalog, words: &str) -> Result<TableId> {
    cursor.expect("FROM")?;
    let span = cursor.span();
    let name = cursor.name()?;
    let def = catalog.table_named(&name).ok_or_else(|| {
        error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .with_hint("SHOW SOURCES lists what is read from a topic")
            .at(span)
    })?;
    Ok(with_connector(def, words).at(span)?.id)
}
