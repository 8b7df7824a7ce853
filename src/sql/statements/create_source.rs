//! CREATE SOURCE s (columns) WITH (connector = ...): as CREATE TABLE, but its rows are not kept: stream tables read them as
//! they come by.

use dataflow::Planned;
use plan::Catalog;

use super::cursor::Cursor;
use super::{create_table, include, options, source};
use crate::error::Result;

/// Plans it; the cursor is behind SOURCE.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let mut shape = create_table::parenthesis(cursor, "the columns: CREATE SOURCE s (a integer, ...)")?;
    let included = include::read(cursor)?;
    create_table::refuse_clause(cursor)?;
    let options = options::with(cursor, options::source_options(), "a source")?;
    cursor.end()?;
    source::refuse_own_clauses(&shape, "a source")?;
    let mut source = source::source(&name, &shape, options, false)?;
    source.include = included.add(&mut shape, source.envelope)?;
    create_table::finish(cursor, catalog, name, shape, source, if_not_exists)
}
