//! Columns and their defaults.

use plan::{Identity, TableDef};

use super::super::facts::{RELATIONS, type_by_oid};
use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{World, defaults, keys_of, sequence_oid, table_oid};
use super::Filler;
use super::classes::has_default;

/// A column of a relation.
struct Attribute<'a> {
    relation: i64,
    name: &'a str,
    /// From 1.
    number: usize,
    ty: Ty,
    modifier: i64,
    not_null: bool,
    has_default: bool,
    /// `a`, `d` or nothing.
    identity: &'static str,
}

impl Default for Attribute<'_> {
    fn default() -> Self {
        let (relation, name, number, modifier) = (0, "", 0, -1);
        Self { relation, name, number, ty: Ty::INT8, modifier, not_null: false, has_default: false, identity: "" }
    }
}

pub(super) fn pg_attribute(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter() {
        for (at, column) in relation.columns.iter().enumerate() {
            let (relation, name, ty, not_null) = (relation.oid, column.name, column.ty, column.not_null);
            add(out, &Attribute { relation, name, number: at + 1, ty, not_null, ..Attribute::default() });
        }
    }
    for table in world.tables() {
        let relation = table_oid(table.id);
        for (at, column) in table.columns.0.iter().enumerate() {
            let (ty, modifier) = Ty::of_column(column.ty);
            let (name, not_null) = (column.name.as_str(), !column.nullable);
            let has_default = has_default(table, at as i64 + 1);
            let identity = identity(table, at);
            add(out, &Attribute { relation, name, number: at + 1, ty, modifier, not_null, has_default, identity });
        }
        for key in keys_of(table) {
            for (at, column) in key.columns().enumerate() {
                let (ty, modifier) = Ty::of_column(column.ty);
                let (relation, name) = (key.oid, column.name.as_str());
                add(out, &Attribute { relation, name, number: at + 1, ty, modifier, ..Attribute::default() });
            }
        }
        for sequence in table.sequences() {
            let relation = sequence_oid(table, sequence);
            for (at, (name, ty)) in SEQUENCE_COLUMNS.into_iter().enumerate() {
                add(out, &Attribute { relation, name, number: at + 1, ty, not_null: true, ..Attribute::default() });
            }
        }
    }
}

/// What PostgreSQL shows of a sequence as a relation.
const SEQUENCE_COLUMNS: [(&str, Ty); 3] = [("last_value", Ty::INT8), ("log_cnt", Ty::INT8), ("is_called", Ty::BOOL)];

fn identity(table: &TableDef, at: usize) -> &'static str {
    match table.sequence_of(at).and_then(|sequence| sequence.identity) {
        None => "",
        Some(Identity::Always) => "a",
        Some(Identity::ByDefault) => "d",
    }
}

fn add(out: &mut Filler, attribute: &Attribute) {
    let facts = type_by_oid(attribute.ty);
    let field = |at: usize| facts.map_or("", |ty| ty.fields[at]);
    let dimensions = i64::from(attribute.ty.element().is_some());
    out.add([
        ("attrelid", attribute.relation.into()),
        ("attname", attribute.name.into()),
        ("atttypid", i64::from(attribute.ty.0).into()),
        ("attstattarget", Value::Int(-1)),
        ("attlen", field(2).parse::<i64>().unwrap_or(-1).into()),
        ("attnum", (attribute.number as i64).into()),
        ("attndims", dimensions.into()),
        ("attcacheoff", Value::Int(-1)),
        ("atttypmod", attribute.modifier.into()),
        ("attbyval", (field(3) == "t").into()),
        ("attalign", field(10).into()),
        ("attstorage", field(11).into()),
        ("attnotnull", attribute.not_null.into()),
        ("atthasdef", attribute.has_default.into()),
        ("attidentity", attribute.identity.into()),
        ("attislocal", true.into()),
        ("attcollation", facts.map_or(0, |ty| ty.collation).into()),
    ]);
}

pub(super) fn pg_attrdef(out: &mut Filler, world: &World) {
    for default in world.tables().flat_map(defaults) {
        out.add([
            ("oid", default.oid.into()),
            ("adrelid", table_oid(default.table.id).into()),
            ("adnum", default.column.into()),
            ("adbin", default.sql.into()),
        ]);
    }
}
