//! SHOW TABLES | STREAM TABLES | MATERIALIZED VIEWS | SOURCES | SINKS | STATE.

use dataflow::{Action, Planned, Show};

use super::cursor::Cursor;
use super::planned;
use crate::error::{Detail, Result, unsupported};

/// Plans it; the cursor is behind SHOW.
pub(crate) fn plan(cursor: &mut Cursor) -> Result<Planned> {
    let span = cursor.span();
    let show = if cursor.eat(&["TABLES"]) {
        Show::Tables
    } else if cursor.eat(&["STREAM", "TABLES"]) || cursor.eat(&["MATERIALIZED", "VIEWS"]) {
        Show::StreamTables
    } else if cursor.eat(&["SOURCES"]) {
        Show::Sources
    } else if cursor.eat(&["SINKS"]) {
        Show::Sinks
    } else if cursor.eat(&["STATE"]) {
        Show::State
    } else {
        let hint = "SHOW TABLES, SHOW STREAM TABLES, SHOW SOURCES, SHOW SINKS and SHOW STATE are";
        return Err(unsupported(format!("SHOW {}", cursor.peek_text()), hint).at(span));
    };
    cursor.end()?;
    Ok(planned(Action::Show(show)))
}
