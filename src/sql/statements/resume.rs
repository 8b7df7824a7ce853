//! ALTER STREAM TABLE v RESUME (and ALTER MATERIALIZED VIEW): a suspended stream table is made anew from its inputs.

use dataflow::{Action, Planned};
use plan::{Catalog, TableKind};

use super::cursor::Cursor;
use super::planned;
use crate::error::{Detail, Result, code, error, unsupported};

/// Plans it; the cursor is behind STREAM TABLE or MATERIALIZED VIEW.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let span = cursor.span();
    let name = cursor.name()?;
    let Some(def) = catalog.table_named(&name) else {
        return Err(error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .with_hint("SHOW STREAM TABLES lists those that do")
            .at(span));
    };
    let TableKind::Stream(_) = def.kind else {
        return Err(error(code::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a stream table"))
            .with_hint(
                "only a stream table is ever suspended; what stops a table with a connector is mended by ALTER TABLE",
            )
            .at(span));
    };
    let span = cursor.span();
    if !cursor.eat(&["RESUME"]) {
        let what = cursor.peek_text();
        return Err(unsupported(
            format!("ALTER STREAM TABLE ... {what}"),
            "ALTER STREAM TABLE v RESUME makes a suspended one anew; to define it otherwise, DROP it and CREATE it again",
        )
        .at(span));
    }
    cursor.end()?;
    Ok(planned(Action::Resume { table: def.id }))
}
