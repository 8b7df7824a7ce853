//! The rows of the system relations. Which file fills which is in [`rows`]; one that is not there has none.

mod attributes;
mod classes;
mod cluster;
mod information;
mod sequences;
mod settings;
mod types;

use std::collections::HashMap;

use super::facts::Relation;
use super::ty::Ty;
use super::value::{Row, Value};
use super::world::World;

pub(crate) use cluster::keywords;
pub(crate) use settings::setting;

/// The rows of a relation.
pub(crate) fn rows(relation: &'static Relation, world: &World) -> Vec<Row> {
    let mut filler = Filler::new(relation);
    let fill = match (relation.schema, relation.name) {
        ("pg_catalog", "pg_class") => classes::pg_class,
        ("pg_catalog", "pg_index") => classes::pg_index,
        ("pg_catalog", "pg_constraint") => classes::pg_constraint,
        ("pg_catalog", "pg_tables") => classes::pg_tables,
        ("pg_catalog", "pg_matviews") => classes::pg_matviews,
        ("pg_catalog", "pg_indexes") => classes::pg_indexes,
        ("pg_catalog", "pg_foreign_table") => classes::pg_foreign_table,
        ("pg_catalog", "pg_sequence") => sequences::pg_sequence,
        ("pg_catalog", "pg_sequences") => sequences::pg_sequences,
        ("pg_catalog", "pg_depend") => sequences::pg_depend,
        ("pg_catalog", "pg_attribute") => attributes::pg_attribute,
        ("pg_catalog", "pg_attrdef") => attributes::pg_attrdef,
        ("pg_catalog", "pg_type") => types::pg_type,
        ("pg_catalog", "pg_proc") => types::pg_proc,
        ("pg_catalog", "pg_range") => types::pg_range,
        ("pg_catalog", "pg_opclass") => types::pg_opclass,
        ("pg_catalog", "pg_collation") => types::pg_collation,
        ("pg_catalog", "pg_settings") => settings::pg_settings,
        ("pg_catalog", _) => cluster::fill,
        _ => information::fill,
    };
    fill(&mut filler, world);
    filler.rows
}

/// What a row of a relation is made of: fields by name; the others are NULL, or nothing of their type.
struct Filler {
    relation: &'static Relation,
    places: HashMap<&'static str, usize>,
    empty: Vec<Value>,
    rows: Vec<Row>,
}

impl Filler {
    fn new(relation: &'static Relation) -> Self {
        let places = relation.columns.iter().enumerate().map(|(at, column)| (column.name, at)).collect();
        let empty = relation.columns.iter().map(|column| if column.not_null { empty(column.ty) } else { Value::Null });
        Self { relation, places, empty: empty.collect(), rows: Vec::new() }
    }

    fn add<const N: usize>(&mut self, fields: [(&str, Value); N]) {
        let mut row = self.empty.clone();
        for (name, value) in fields {
            let at = self.places.get(name).copied();
            let at = at.unwrap_or_else(|| panic!("relation {} has no column {name}", self.relation.name));
            row[at] = value;
        }
        self.rows.push(row.into());
    }
}

/// What a column that cannot be NULL holds where there is nothing to say.
fn empty(ty: Ty) -> Value {
    if ty == Ty::BOOL {
        Value::Bool(false)
    } else if ty.is_integer() {
        Value::Int(0)
    } else if ty.is_float() {
        Value::Float(0.0)
    } else if ty.element().is_some() {
        Value::array([])
    } else {
        Value::text("")
    }
}

/// An array of integers.
fn integers(values: impl IntoIterator<Item = i64>) -> Value {
    Value::array(values.into_iter().map(Value::Int))
}
