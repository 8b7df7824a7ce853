//! ALTER TABLE t SET (option = value, ...) | RESET (option, ...) | RESUME, of tables and sources with a connector: how bad
//! records are dealt with and how values are written. A source that was halted goes on with it.

use dataflow::{Action, AlterSource, Planned};
use plan::{Catalog, TableDef, TableKind};

use super::mend::behind_name;
use super::{Cursor, options, planned, source};
use crate::error::{Detail, Result, code, error, unsupported};
use crate::text;

/// The options that can be changed: those that say nothing of what was read.
const CHANGEABLE: &[&str] = &[
    "on_error",
    "max_dead_letters_per_minute",
    "decimal_handling_mode",
    "time_precision_mode",
    "binary_handling_mode",
];
const WHAT: &str = "ALTER TABLE ... SET and RESET";

/// Plans it if it is one of these; the cursor is behind ALTER.
pub(super) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Option<Planned>> {
    let Some(mut at) = behind_name(cursor)? else { return Ok(None) };
    let here = &mut at.cursor;
    let (set, reset) = if here.eat(&["SET"]) {
        (options::parenthesis(here, CHANGEABLE, WHAT)?, Vec::new())
    } else if here.eat(&["RESET"]) {
        (plan::Options::default(), options::names(here, CHANGEABLE, WHAT)?)
    } else if here.eat(&["RESUME"]) {
        (plan::Options::default(), Vec::new())
    } else {
        return Ok(None);
    };
    here.end()?;
    let Some(def) = catalog.table_named(&at.name) else {
        if at.if_exists {
            let notices = vec![format!("relation \"{}\" does not exist, skipping", at.name)];
            return Ok(Some(Planned { action: Action::Nothing, notices }));
        }
        return Err(error(code::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", at.name))
            .with_hint("SHOW SOURCES lists what is read from a topic"));
    };
    let mut def = with_connector(def, "SET, RESET and RESUME")?.clone();
    if !def.is_stored() {
        let mut names = set.0.keys().chain(&reset);
        if let Some(name) = names.find(|name| !of_bad_records(name)) {
            return Err(unsupported(
                format!("option \"{name}\" in ALTER TABLE of \"{}\", a source,", def.name),
                "it keeps no rows, and a stream table that is made later reads all of its topic by the options of then: DROP it \
                 and CREATE it anew",
            ));
        }
    }
    if let TableKind::Source(source) = &mut def.kind {
        source.options.0.extend(set.0);
        reset.iter().for_each(|name| drop(source.options.0.remove(name)));
        source::decoding(&source.options)?;
    }
    let sql = text::normalise(cursor.text())?;
    Ok(Some(planned(Action::AlterSource(AlterSource { sql, def }))))
}

/// Whether an option says what becomes of bad records, and nothing of how good ones are read.
fn of_bad_records(name: &str) -> bool {
    matches!(name, "on_error" | "max_dead_letters_per_minute")
}

/// A table or source with a connector; what else there is has neither bad records nor options.
pub(super) fn with_connector<'a>(def: &'a TableDef, words: &str) -> Result<&'a TableDef> {
    let what = match &def.kind {
        TableKind::Source(source) if source.is_own() => "a table of our own",
        TableKind::Source(_) => return Ok(def),
        TableKind::Stream(_) => "a stream table",
    };
    Err(unsupported(
        format!("{words} of \"{}\", {what},", def.name),
        "it is for tables with a connector: SHOW SOURCES lists them",
    ))
}
