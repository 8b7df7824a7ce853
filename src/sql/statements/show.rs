//! SHOW TABLES | STREAM TABLES | MATERIALIZED VIEWS | SOURCES | SINKS | STATE | MEMORY | JOBS | DEAD LETTERS FROM t.

use dataflow::{Action, Planned, Show};
use plan::Catalog;

use super::cursor::Cursor;
use super::{dead_letters, planned};
use crate::error::{Detail, Result, unsupported};

/// Plans it; the cursor is behind SHOW.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let span = cursor.span();
    if let Some(planned) = dead_letters::show(cursor, catalog)? {
        return Ok(planned);
    }
    let Some(show) = ours(cursor) else {
        let hint = "ours are SHOW TABLES, SHOW STREAM TABLES, SHOW SOURCES, SHOW SINKS, SHOW STATE, SHOW MEMORY, SHOW JOBS and SHOW DEAD LETTERS FROM t; settings \
                    are shown to clients";
        return Err(unsupported(format!("SHOW {} here", cursor.peek_text()), hint).at(span));
    };
    cursor.end()?;
    Ok(planned(Action::Show(show)))
}

/// What is shown, if it is ours; the cursor is behind SHOW.
pub(crate) fn ours(cursor: &mut Cursor) -> Option<Show> {
    let all: [(&[&str], Show); 8] = [
        (&["TABLES"], Show::Tables),
        (&["STREAM", "TABLES"], Show::StreamTables),
        (&["MATERIALIZED", "VIEWS"], Show::StreamTables),
        (&["SOURCES"], Show::Sources),
        (&["SINKS"], Show::Sinks),
        (&["STATE"], Show::State),
        (&["MEMORY"], Show::Memory),
        (&["JOBS"], Show::Jobs),
    ];
    all.into_iter().find(|(words, _)| cursor.eat(words)).map(|(_, show)| show)
}
