//! ALTER TABLE t ADD | DROP | RENAME COLUMN, of tables of our own. Stream tables keep seeing the columns they were made on,
//! so that a column may come, and one that nobody reads may go or be renamed.

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use dataflow::{Action, Alter, ColumnChange, Planned, StatementError};
use datafusion::sql::sqlparser::ast::{
    AlterTable, AlterTableOperation as Operation, ColumnDef, DropBehavior, Ident, RenameTableNameKind, Spanned,
    Statement,
};
use datafusion::sql::sqlparser::parser::Parser;
use plan::{Catalog, OwnDef, SinkConnector, TableDef, TableKind};
use zset::Column;

use super::alter_constraint::{add_constraint, add_unique, drop_constraint};
use super::clock::Moment;
use super::columns::{Shape, shape};
use super::constraint::{self, Constraints, Default};
use super::cursor::{Cursor, identifier, object_name};
use super::{alter_source, mend, planned, value};
use crate::error::{Detail, Result, code, error, from_datafusion, from_parser, syntax, unsupported};
use crate::query::reads;
use crate::{expr, text};

/// PostgreSQL's code for a change that something stands on.
const DEPENDENT_OBJECTS: &str = "2BP01";

/// Plans it; the cursor is behind ALTER.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let span = cursor.span();
    if let Some(planned) = mend::plan(cursor, catalog)? {
        return Ok(planned);
    }
    if let Some(planned) = alter_source::plan(cursor, catalog)? {
        return Ok(planned);
    }
    if cursor.peek_word().as_deref() != Some("TABLE") {
        let what = cursor.peek_word().unwrap_or_default();
        let what = if what.is_empty() { "ALTER".to_string() } else { format!("ALTER {what}") };
        let hint = match what.as_str() {
            "ALTER SEQUENCE" => "SELECT setval('name', value, false) lets it go on with that value",
            _ => "DROP the object and CREATE it anew; ALTER is for tables of our own",
        };
        return Err(unsupported(what, hint).at(span));
    }
    let Statement::AlterTable(alter) = cursor.parser.parse_alter().map_err(from_parser)? else {
        return Err(syntax("syntax error in ALTER TABLE").at(span));
    };
    cursor.end()?;
    let Some(mut def) = table(&alter, catalog)? else {
        let notices = vec![format!("relation \"{}\" does not exist, skipping", alter.name)];
        return Ok(Planned { action: Action::Nothing, notices });
    };
    let [operation] = alter.operations.as_slice() else {
        return Err(unsupported("several changes in one ALTER TABLE", "write an ALTER TABLE for each").at(span));
    };
    let (change, notices) = match operation {
        Operation::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
            add(&mut def, column_def, *if_not_exists, catalog)?
        }
        Operation::DropColumn { column_names, if_exists, drop_behavior, .. } => {
            drop(&mut def, column_names, *if_exists, *drop_behavior, catalog)?
        }
        Operation::RenameColumn { old_column_name, new_column_name } => {
            (Some(rename(&mut def, old_column_name, new_column_name, catalog)?), Vec::new())
        }
        Operation::AddConstraint { constraint, not_valid: false } => {
            (Some(add_constraint(&mut def, constraint, catalog)?), Vec::new())
        }
        Operation::DropConstraint { name, if_exists, drop_behavior: None | Some(DropBehavior::Restrict) } => {
            drop_constraint(&mut def, name, *if_exists)?
        }
        other => return Err(refused(other).at(span)),
    };
    let Some(change) = change else { return Ok(Planned { action: Action::Nothing, notices }) };
    let sql = text::normalise(cursor.text())?;
    Ok(Planned { notices, ..planned(Action::Alter(Alter { table: def.id, sql, change, def })) })
}

/// The table, which must be one of our own.
fn table(alter: &AlterTable, catalog: &Catalog) -> Result<Option<TableDef>> {
    let name = object_name(&alter.name).at(alter.name.span())?;
    let Some(def) = catalog.table_named(&name) else {
        if alter.if_exists {
            return Ok(None);
        }
        return Err(error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .with_hint("SHOW TABLES lists what there is")
            .at(alter.name.span()));
    };
    let hint = match &def.kind {
        TableKind::Source(source) if source.is_own() => return Ok(Some(def.clone())),
        TableKind::Source(_) => "DROP it and CREATE it with the other columns: its rows are read from its topic again",
        TableKind::Stream(_) => "DROP it and CREATE it with the other query: its rows are computed anew",
    };
    let what = if matches!(def.kind, TableKind::Stream(_)) { "stream table" } else { "table with a connector" };
    Err(unsupported(format!("ALTER TABLE of \"{name}\", a {what},"), hint).at(alter.name.span()))
}

fn refused(operation: &Operation) -> StatementError {
    let (what, hint) = match operation {
        Operation::AlterColumn { .. } => (
            "ALTER COLUMN",
            "ADD a column with the type or default you want, UPDATE it from the old one, DROP the old one",
        ),
        Operation::RenameTable { table_name: RenameTableNameKind::To(_) | RenameTableNameKind::As(_) } => {
            ("RENAME TO", "CREATE a table of the new name and INSERT INTO it SELECT * FROM the old one")
        }
        Operation::AddConstraint { .. } | Operation::DropConstraint { .. } | Operation::RenameConstraint { .. } => (
            "a change of constraints",
            "CREATE a table with the constraints, and INSERT INTO it SELECT * FROM this one",
        ),
        _ => (
            "this change of a table",
            "the changes are ADD COLUMN, DROP COLUMN, RENAME COLUMN, ADD CONSTRAINT ... UNIQUE and DROP CONSTRAINT",
        ),
    };
    unsupported(what, hint)
}

/// What others keep of a table of our own.
pub(super) fn own(def: &mut TableDef) -> Result<&mut OwnDef> {
    match &mut def.kind {
        TableKind::Source(source) => source.own.as_mut(),
        TableKind::Stream(_) => None,
    }
    .ok_or_else(|| error(code::INTERNAL, "the table is not one of our own"))
}

pub(super) type Change = (Option<ColumnChange>, Vec<String>);

fn add(def: &mut TableDef, column_def: &ColumnDef, if_not_exists: bool, catalog: &Catalog) -> Result<Change> {
    let Shape { columns, key, defaults, checks, uniques, sequences, notices } =
        shape(std::slice::from_ref(column_def), &[]).at(column_def.name.span)?;
    let [column] = <[Column; 1]>::try_from(columns).map_err(|_| error(code::INTERNAL, "one column makes one"))?;
    if def.columns.position(&column.name).is_some() {
        if if_not_exists {
            let notice = format!("column \"{}\" of relation \"{}\" already exists, skipping", column.name, def.name);
            return Ok((None, vec![notice]));
        }
        return Err(error(
            code::DUPLICATE_COLUMN,
            format!("column \"{}\" of relation \"{}\" already exists", column.name, def.name),
        )
        .at(column_def.name.span));
    }
    if !key.is_empty() {
        return Err(unsupported(
            "PRIMARY KEY in ADD COLUMN",
            "CREATE a table with the key, and INSERT INTO it from this one",
        )
        .at(column_def.name.span));
    }
    if !sequences.is_empty() {
        return Err(unsupported(
            "ADD COLUMN with SERIAL or IDENTITY",
            "CREATE a table with the column, and INSERT INTO it (the other columns) SELECT them from this one",
        )
        .at(column_def.name.span));
    }
    refuse_sinks_into_tables(def, catalog)?;
    let default = defaults.into_iter().next().flatten();
    let default = default.map(|expr| constraint::declared_default(&expr, &column)).transpose()?;
    let rows = match &default {
        None => expr::literal::null(column.ty)?,
        Some(sql) => {
            let default = Default::new(sql, &column)?;
            if !default.is_fixed()? {
                return Err(unsupported(
                    format!("ADD COLUMN with DEFAULT {sql}"),
                    "the rows that are there need one fixed value: ADD it without the default, then UPDATE",
                )
                .at(column_def.name.span));
            }
            default.value(Moment::now())?
        }
    };
    let value = value::repeated(&rows, 1)?;
    def.columns.0.push(column.clone());
    let there = own(def)?.checks.clone();
    let checks = constraint::checks(&def.name, &def.columns, &checks, &there)?;
    judge(def, &checks, &value).at(column_def.name.span)?;
    let own = own(def)?;
    own.checks.extend(checks);
    own.defaults.push(default.clone());
    for mut unique in uniques {
        unique.columns = vec![def.columns.0.len() - 1];
        add_unique(def, &unique, catalog)?;
    }
    Ok((Some(ColumnChange::Add { column, default, value }), notices))
}

/// A target table has the columns it was made with.
fn refuse_sinks_into_tables(def: &TableDef, catalog: &Catalog) -> Result<()> {
    match catalog.sinks().find(|sink| sink.input == def.id && sink.connector == SinkConnector::Postgres) {
        None => Ok(()),
        Some(sink) => Err(dependent(
            format!(
                "cannot add a column to table \"{}\" because sink {} writes its rows to a database",
                def.name, sink.name
            ),
            "DROP SINK first, add the column here and in the database, and CREATE SINK again; or let the sink publish a \
             stream table of the columns it has",
        )),
    }
}

/// The checks of a new column hold for its value in the rows that are there.
fn judge(def: &TableDef, checks: &[plan::Check], value: &ArrayRef) -> Result<()> {
    let last = def.columns.0.len() - 1;
    for check in checks {
        let named = constraint::columns_of(check, &def.columns)?;
        if named.iter().any(|at| *at != last) {
            return Err(unsupported(
                format!("a CHECK of ADD COLUMN over other columns ({})", check.condition),
                "CREATE a table with the check, and INSERT INTO it from this one",
            ));
        }
    }
    let mut columns = Vec::with_capacity(def.columns.0.len());
    for column in &def.columns.0[..last] {
        columns.push(value::repeated(&expr::literal::null(column.ty)?, 1)?);
    }
    columns.push(value.clone());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(def.columns.schema(), columns, &options)
        .map_err(|e| from_datafusion(e.into()))?;
    // NULLs elsewhere are made up here
    let mut free = def.columns.clone();
    free.0.iter_mut().for_each(|column| column.nullable = true);
    match Constraints::new(&def.name, &free, checks)?.judge(&row) {
        Err(e) if e.sqlstate == "23514" => {
            let name = checks.first().map(|check| check.name.as_str()).unwrap_or_default();
            Err(error(
                "23514",
                format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", def.name),
            )
            .with_hint("give a DEFAULT that fits the check"))
        }
        other => other,
    }
}

fn drop(
    def: &mut TableDef,
    names: &[Ident],
    if_exists: bool,
    behavior: Option<DropBehavior>,
    catalog: &Catalog,
) -> Result<Change> {
    let [ident] = names else {
        return Err(unsupported("DROP of several columns", "write an ALTER TABLE for each"));
    };
    let name = identifier(ident);
    let Some(at) = def.columns.position(&name) else {
        let missing = format!("column \"{name}\" of relation \"{}\" does not exist", def.name);
        if if_exists {
            return Ok((None, vec![format!("{missing}, skipping")]));
        }
        return Err(error(code::UNDEFINED_COLUMN, missing).at(ident.span));
    };
    if behavior == Some(DropBehavior::Cascade) {
        return Err(
            unsupported("DROP COLUMN ... CASCADE", "DROP the dependents first, each by its name").at(ident.span)
        );
    }
    if def.key.contains(&at) {
        return Err(dependent(
            format!("cannot drop column \"{name}\" of table \"{}\" because it is in its PRIMARY KEY", def.name),
            "CREATE a table with another key, and INSERT INTO it from this one",
        )
        .at(ident.span));
    }
    if def.columns.0.len() == 1 {
        return Err(unsupported("a table without columns", "DROP TABLE").at(ident.span));
    }
    for check in own(def)?.checks.clone() {
        if constraint::columns_of(&check, &def.columns)?.contains(&at) {
            return Err(dependent(
                format!(
                    "cannot drop column \"{name}\" of table \"{}\" because check constraint {} needs it",
                    def.name, check.name
                ),
                "CREATE a table without the check, and INSERT INTO it from this one",
            )
            .at(ident.span));
        }
    }
    refuse_readers(def, at, "drop", catalog).at(ident.span)?;
    def.columns.0.remove(at);
    let behind = |place: &mut usize| *place -= usize::from(*place > at);
    def.key.iter_mut().for_each(behind);
    let own = own(def)?;
    // What is of the column goes with it.
    own.uniques.retain(|unique| !unique.columns.contains(&at));
    own.uniques.iter_mut().flat_map(|unique| &mut unique.columns).for_each(behind);
    own.sequences.retain(|sequence| sequence.column != at);
    own.sequences.iter_mut().for_each(|sequence| behind(&mut sequence.column));
    if at < own.defaults.len() {
        own.defaults.remove(at);
    }
    Ok((Some(ColumnChange::Drop { at }), Vec::new()))
}

fn rename(def: &mut TableDef, old: &Ident, new: &Ident, catalog: &Catalog) -> Result<ColumnChange> {
    let (name, new_name) = (identifier(old), identifier(new));
    let at = def
        .columns
        .position(&name)
        .ok_or_else(|| error(code::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")).at(old.span))?;
    if def.columns.position(&new_name).is_some() {
        return Err(error(
            code::DUPLICATE_COLUMN,
            format!("column \"{new_name}\" of relation \"{}\" already exists", def.name),
        )
        .at(new.span));
    }
    refuse_readers(def, at, "rename", catalog).at(old.span)?;
    for check in &mut own(def)?.checks {
        check.condition = constraint::renamed(&check.condition, &name, &new_name)?;
    }
    def.columns.0[at].name.clone_from(&new_name);
    Ok(ColumnChange::Rename { at, name: new_name })
}

fn dependent(message: String, hint: &str) -> StatementError {
    error(DEPENDENT_OBJECTS, message).with_hint(hint)
}

/// Refuses to take away a column that a stream table or a sink reads.
fn refuse_readers(def: &TableDef, at: usize, doing: &str, catalog: &Catalog) -> Result<()> {
    let name = &def.columns.0[at].name;
    let mut readers: Vec<String> = Vec::new();
    for reader in catalog.readers(def.id) {
        if names_read(reader, def, catalog)?.contains(name) {
            readers.push(format!("stream table {}", reader.name));
        }
    }
    readers.extend(catalog.sinks().filter(|sink| sink.input == def.id).map(|sink| format!("sink {}", sink.name)));
    if readers.is_empty() {
        return Ok(());
    }
    let verb = if readers.len() == 1 { "reads" } else { "read" };
    Err(dependent(
        format!("cannot {doing} column \"{name}\" of table \"{}\" because {} {verb} it", def.name, readers.join(", ")),
        "DROP them first, and CREATE them again without the column (a SELECT * and a sink read all columns)",
    ))
}

/// The names of the columns of a table that a stream table's query reads.
fn names_read(reader: &TableDef, table: &TableDef, catalog: &Catalog) -> Result<BTreeSet<String>> {
    let TableKind::Stream(stream) = &reader.kind else { return Ok(BTreeSet::new()) };
    // the reader sees the columns that it was made on
    let mut seen = catalog.clone();
    for (input, columns) in stream.inputs.iter().zip(&stream.input_columns) {
        if let Some(input) = catalog.table(*input) {
            let mut input = input.clone();
            let names: Vec<String> = input.key_columns().map(|column| column.name.clone()).collect();
            input.key = names.iter().filter_map(|name| columns.position(name)).collect();
            input.columns = columns.clone();
            seen.replace_table(input);
        }
    }
    let query = text::read_again(&stream.query, Parser::parse_query)?;
    let read = reads::columns_read(&query, &seen, table.id)?;
    let columns = seen.table(table.id).map(|table| table.columns.0.clone()).unwrap_or_default();
    Ok(read.iter().filter_map(|at| columns.get(*at)).map(|column| column.name.clone()).collect())
}
