//! ALTER TABLE t ADD ... UNIQUE | DROP CONSTRAINT, of tables of our own. The engine builds the index, and refuses rows that break it.

use dataflow::ColumnChange;
use datafusion::sql::sqlparser::ast::{Ident, Spanned, TableConstraint};
use plan::{Catalog, TableDef};

use super::alter::{Change, own};
use super::cursor::identifier;
use super::unique::{self, DeclaredUnique, Names};
use crate::error::{Detail, Result, code, error, unsupported};

/// Adds a UNIQUE constraint, unless the table has one of the same columns.
pub(super) fn add_unique(def: &mut TableDef, declared: &DeclaredUnique, catalog: &Catalog) -> Result<()> {
    let before = def.clone();
    let mut names = Names::of(catalog, &before);
    let (columns, checks) = (&before.columns.0, before.own().map_or(&[][..], |own| &own.checks));
    let own = own(def)?;
    let added = unique::uniques(std::slice::from_ref(declared), columns, &[], checks, &mut names, &mut own.next_slot)?;
    own.uniques.extend(added);
    Ok(())
}

/// ADD CONSTRAINT.
pub(super) fn add_constraint(
    def: &mut TableDef,
    constraint: &TableConstraint,
    catalog: &Catalog,
) -> Result<ColumnChange> {
    let span = constraint.span();
    let TableConstraint::Unique(unique) = constraint else {
        return Err(unsupported(
            "ADD CONSTRAINT of another kind than UNIQUE",
            "CREATE a table with the constraint, and INSERT INTO it SELECT * FROM this one",
        )
        .at(span));
    };
    let declared = DeclaredUnique::of_table(unique, &def.columns.0, span)?;
    add_unique(def, &declared, catalog)?;
    Ok(ColumnChange::Constraints)
}

/// DROP CONSTRAINT.
pub(super) fn drop_constraint(def: &mut TableDef, ident: &Ident, if_exists: bool) -> Result<Change> {
    let name = identifier(ident);
    let table = def.name.clone();
    let is_key = !def.key.is_empty() && name == format!("{table}_pkey");
    let own = own(def)?;
    let before = own.uniques.len() + own.checks.len();
    own.uniques.retain(|unique| unique.name != name);
    own.checks.retain(|check| check.name != name);
    if own.uniques.len() + own.checks.len() < before {
        return Ok((Some(ColumnChange::Constraints), Vec::new()));
    }
    if is_key {
        return Err(unsupported(
            "DROP of the PRIMARY KEY",
            "CREATE a table without it, and INSERT INTO it SELECT * FROM this one",
        )
        .at(ident.span));
    }
    let missing = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
    if if_exists {
        return Ok((None, vec![format!("{missing}, skipping")]));
    }
    Err(error(code::UNDEFINED_OBJECT, missing).at(ident.span))
}
