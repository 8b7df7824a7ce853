//! UNIQUE of tables of our own: what is declared, and the constraints that PostgreSQL would make of it, by its names.

use datafusion::sql::sqlparser::ast::{Expr, NullsDistinctOption, UniqueConstraint};
use datafusion::sql::sqlparser::tokenizer::Span;
use plan::{Catalog, Check, OwnDef, TableDef, Unique};
use zset::{Column, ColumnType};

use super::constraint::{NAME_BYTES, object_name};
use super::cursor::identifier;
use crate::error::{Detail, Result, code, error, syntax, unsupported};

/// A UNIQUE as declared.
pub(super) struct DeclaredUnique {
    pub(super) name: Option<String>,
    pub(super) columns: Vec<usize>,
    pub(super) nulls_not_distinct: bool,
    pub(super) span: Span,
}

impl DeclaredUnique {
    /// One of a column.
    pub(super) fn of_column(unique: &UniqueConstraint, name: Option<String>, at: usize, span: Span) -> Result<Self> {
        refuse_details(unique).at(span)?;
        Ok(Self { name, columns: vec![at], nulls_not_distinct: false, span })
    }

    /// One of the table.
    pub(super) fn of_table(unique: &UniqueConstraint, columns: &[Column], span: Span) -> Result<Self> {
        refuse_details(unique).at(span)?;
        let mut places = Vec::with_capacity(unique.columns.len());
        for part in &unique.columns {
            let Expr::Identifier(ident) = &part.column.expr else {
                return Err(syntax(format!("UNIQUE needs column names, not {}", part.column)).at(span));
            };
            let name = identifier(ident);
            let at = columns.iter().position(|column| column.name == name).ok_or_else(|| {
                error(code::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist")).at(ident.span)
            })?;
            if places.contains(&at) {
                return Err(error(
                    code::DUPLICATE_COLUMN,
                    format!("column \"{name}\" appears twice in unique constraint"),
                )
                .at(ident.span));
            }
            places.push(at);
        }
        Ok(Self {
            name: unique.name.as_ref().map(identifier),
            columns: places,
            nulls_not_distinct: unique.nulls_distinct == NullsDistinctOption::NotDistinct,
            span,
        })
    }
}

fn refuse_details(unique: &UniqueConstraint) -> Result<()> {
    let plain = unique.index_name.is_none()
        && unique.index_type.is_none()
        && unique.index_options.is_empty()
        && unique.characteristics.is_none();
    if plain {
        return Ok(());
    }
    Err(unsupported("UNIQUE with index options or DEFERRABLE", "write UNIQUE (a, b) alone"))
}

/// The names of relations of PostgreSQL that a catalog's tables but one stand for, and of what the one has.
pub(super) struct Names<'a> {
    catalog: &'a Catalog,
    table: &'a str,
    /// Those that the table has.
    own: Vec<String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(catalog: &'a Catalog, table: &'a str, keyed: bool) -> Self {
        let own = if keyed { vec![table.to_string(), format!("{table}_pkey")] } else { vec![table.to_string()] };
        Self { catalog, table, own }
    }

    /// With those of a table that is there.
    pub(super) fn of(catalog: &'a Catalog, def: &'a TableDef) -> Self {
        let mut names = Self::new(catalog, &def.name, !def.key.is_empty());
        names.own.extend(relations(def.own()));
        names
    }

    fn taken(&self, name: &str) -> bool {
        let others = self.catalog.tables().filter(|table| table.name != self.table);
        let of = |table: &TableDef| {
            table.name == name
                || (!table.key.is_empty() && name == format!("{}_pkey", table.name))
                || relations(table.own()).any(|other| other == name)
        };
        self.own.iter().any(|own| own == name) || others.into_iter().any(of) || self.catalog.sink_named(name).is_some()
    }

    /// A name that is free, and is so no more.
    pub(super) fn choose(&mut self, column: &str, label: &str) -> String {
        let mut name = object_name(self.table, Some(column), label);
        let mut n = 0;
        while self.taken(&name) {
            n += 1;
            name = object_name(self.table, Some(column), &format!("{label}{n}"));
        }
        self.own.push(name.clone());
        name
    }

    /// Takes a name that is given.
    fn take(&mut self, name: &str) -> Result<()> {
        if self.taken(name) {
            return Err(error(code::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
                .with_hint("give the constraint another name"));
        }
        self.own.push(name.to_string());
        Ok(())
    }
}

/// The names of the indexes and sequences of a table.
fn relations(own: Option<&OwnDef>) -> impl Iterator<Item = String> + '_ {
    own.into_iter().flat_map(|own| {
        let uniques = own.uniques.iter().map(|unique| unique.name.clone());
        uniques.chain(own.sequences.iter().map(|sequence| sequence.name.clone()))
    })
}

/// Judges and names constraints as PostgreSQL does: of equal ones there is one, and none where the key says it. `next_slot` is
/// the number of the next index.
pub(super) fn uniques(
    declared: &[DeclaredUnique],
    columns: &[Column],
    key: &[usize],
    checks: &[Check],
    names: &mut Names<'_>,
    next_slot: &mut u32,
) -> Result<Vec<Unique>> {
    let mut kept: Vec<(Option<&str>, &DeclaredUnique)> = Vec::new();
    for unique in declared {
        refuse_jsonb(unique, columns)?;
        if unique.columns == key && !unique.nulls_not_distinct {
            continue;
        }
        let name = unique.name.as_deref();
        let same = |(_, other): &&mut (Option<&str>, &DeclaredUnique)| {
            other.columns == unique.columns && other.nulls_not_distinct == unique.nulls_not_distinct
        };
        match kept.iter_mut().find(same) {
            Some((named, _)) => *named = named.or(name),
            None => kept.push((name, unique)),
        }
    }
    let mut uniques = Vec::with_capacity(kept.len());
    for (name, unique) in kept {
        let name = match name {
            Some(name) if checks.iter().any(|check| check.name == name) => {
                return Err(error(
                    "42710",
                    format!("constraint \"{name}\" for relation \"{}\" already exists", names.table),
                )
                .with_hint("give it another name")
                .at(unique.span));
            }
            Some(name) => {
                names.take(name).at(unique.span)?;
                name.to_string()
            }
            None => names.choose(&joined(unique, columns), "key"),
        };
        let slot = *next_slot;
        *next_slot += 1;
        let (columns, nulls_not_distinct) = (unique.columns.clone(), unique.nulls_not_distinct);
        uniques.push(Unique { name, columns, nulls_not_distinct, slot });
    }
    Ok(uniques)
}

fn refuse_jsonb(unique: &DeclaredUnique, columns: &[Column]) -> Result<()> {
    match unique.columns.iter().map(|&at| &columns[at]).find(|column| column.ty == ColumnType::Jsonb) {
        None => Ok(()),
        Some(column) => Err(unsupported(
            format!("UNIQUE on column \"{}\" of type jsonb", column.name),
            "two texts of one document would be two values: use a text or uuid column",
        )
        .at(unique.span)),
    }
}

/// The names of the columns, as many as a name holds.
fn joined(unique: &DeclaredUnique, columns: &[Column]) -> String {
    let mut text = String::new();
    for &at in &unique.columns {
        if !text.is_empty() {
            text.push('_');
        }
        text.push_str(&columns[at].name);
        if text.len() > NAME_BYTES {
            break;
        }
    }
    text
}
