//! Columns and their defaults.

use super::super::facts::{RELATIONS, type_by_oid};
use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{World, defaults, key, table_oid};
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
}

pub(super) fn pg_attribute(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter() {
        for (at, column) in relation.columns.iter().enumerate() {
            let (relation, name, ty, not_null) = (relation.oid, column.name, column.ty, column.not_null);
            add(out, &Attribute { relation, name, number: at + 1, ty, modifier: -1, not_null, has_default: false });
        }
    }
    for table in world.tables() {
        let relation = table_oid(table.id);
        for (at, column) in table.columns.0.iter().enumerate() {
            let (ty, modifier) = Ty::of_column(column.ty);
            let (name, not_null) = (column.name.as_str(), !column.nullable);
            let has_default = has_default(table, at as i64 + 1);
            add(out, &Attribute { relation, name, number: at + 1, ty, modifier, not_null, has_default });
        }
        let Some(key) = key(table) else { continue };
        for (at, column) in table.key_columns().enumerate() {
            let (ty, modifier) = Ty::of_column(column.ty);
            let (relation, name) = (key.oid, column.name.as_str());
            let number = at + 1;
            add(out, &Attribute { relation, name, number, ty, modifier, not_null: false, has_default: false });
        }
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
