//! Tables, indexes and constraints.

use plan::TableDef;

use super::super::facts::RELATIONS;
use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{
    Key, PUBLIC, SCHEMAS, SERVERS, USER, USER_OID, World, constraints, defaults, definition, keys_of, kind, numbers,
    row_types, sequence_oid, table_oid,
};
use super::types::OPERATOR_CLASSES;
use super::{Filler, integers};

const BTREE: i64 = 403;

fn schema_oid(name: &str) -> i64 {
    SCHEMAS.iter().find(|schema| schema.0 == name).map_or(0, |schema| schema.1)
}

pub(super) fn pg_class(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter() {
        out.add([
            ("oid", relation.oid.into()),
            ("relname", relation.name.into()),
            ("relnamespace", schema_oid(relation.schema).into()),
            ("relowner", USER_OID.into()),
            ("relkind", relation.kind.into()),
            ("relnatts", (relation.columns.len() as i64).into()),
            ("relpersistence", "p".into()),
            ("relreplident", "n".into()),
            ("relispopulated", true.into()),
            ("reltuples", Value::Float(-1.0)),
            ("relhasrules", (relation.kind == "v").into()),
        ]);
    }
    for table in world.tables() {
        add_table(out, world, table);
        for key in keys_of(table) {
            add_index(out, world, &key);
        }
        for sequence in table.sequences() {
            add_sequence(out, sequence_oid(table, sequence), &sequence.name);
        }
    }
}

fn add_table(out: &mut Filler, world: &World, table: &TableDef) {
    let kind = kind(table);
    let checks = constraints(table).iter().filter(|constraint| constraint.kind == "c").count();
    let rows = world.size(table.id).map_or(-1, |size| size.0);
    out.add([
        ("oid", table_oid(table.id).into()),
        ("relname", table.name.as_str().into()),
        ("relnamespace", schema_oid(PUBLIC).into()),
        ("reltype", row_types(table).0.into()),
        ("relowner", USER_OID.into()),
        ("relfilenode", table_oid(table.id).into()),
        ("reltuples", Value::Float(rows as f64)),
        ("relhasindex", has_indexes(table).into()),
        ("relpersistence", "p".into()),
        ("relkind", kind.into()),
        ("relnatts", (table.columns.0.len() as i64).into()),
        ("relchecks", (checks as i64).into()),
        ("relispopulated", true.into()),
        ("relreplident", if kind == "f" { "n" } else { "d" }.into()),
    ]);
}

fn add_sequence(out: &mut Filler, oid: i64, name: &str) {
    out.add([
        ("oid", oid.into()),
        ("relname", name.into()),
        ("relnamespace", schema_oid(PUBLIC).into()),
        ("relowner", USER_OID.into()),
        ("relfilenode", oid.into()),
        ("relpages", 1.into()),
        ("reltuples", Value::Float(1.0)),
        ("relpersistence", "p".into()),
        ("relkind", "S".into()),
        ("relnatts", 3.into()),
        ("relispopulated", true.into()),
        ("relreplident", "n".into()),
    ]);
}

fn add_index(out: &mut Filler, world: &World, key: &Key) {
    let rows = world.size(key.table.id).map_or(-1, |size| size.0);
    out.add([
        ("oid", key.oid.into()),
        ("relname", key.name.as_str().into()),
        ("relnamespace", schema_oid(PUBLIC).into()),
        ("relowner", USER_OID.into()),
        ("relam", BTREE.into()),
        ("relfilenode", key.oid.into()),
        ("reltuples", Value::Float(rows as f64)),
        ("relpersistence", "p".into()),
        ("relkind", "i".into()),
        ("relnatts", (key.places.len() as i64).into()),
        ("relispopulated", true.into()),
        ("relreplident", "n".into()),
    ]);
}

pub(super) fn pg_index(out: &mut Filler, world: &World) {
    for key in world.keys() {
        let numbers = key.numbers();
        let types = key.columns().map(|column| Ty::of_column(column.ty).0);
        let classes: Vec<i64> = types.map(operator_class).collect();
        let count = numbers.len();
        out.add([
            ("indexrelid", key.oid.into()),
            ("indrelid", table_oid(key.table.id).into()),
            ("indnatts", (count as i64).into()),
            ("indnkeyatts", (count as i64).into()),
            ("indisunique", true.into()),
            ("indnullsnotdistinct", key.nulls_not_distinct.into()),
            ("indisprimary", key.primary.into()),
            ("indimmediate", true.into()),
            ("indisvalid", true.into()),
            ("indisready", true.into()),
            ("indislive", true.into()),
            ("indkey", integers(numbers)),
            ("indcollation", integers(std::iter::repeat_n(0, count))),
            ("indclass", integers(classes)),
            ("indoption", integers(std::iter::repeat_n(0, count))),
        ]);
    }
}

/// The default operator class of an index on a type; varchar has text's.
fn operator_class(ty: Ty) -> i64 {
    let ty = if ty == Ty::VARCHAR { Ty::TEXT } else { ty };
    OPERATOR_CLASSES.iter().find(|class| class.2 == i64::from(ty.0)).map_or(0, |class| class.0)
}

pub(super) fn pg_constraint(out: &mut Filler, world: &World) {
    for constraint in world.tables().flat_map(constraints) {
        let indexed = constraint.index != 0;
        out.add([
            ("oid", constraint.oid.into()),
            ("conname", constraint.name.as_str().into()),
            ("connamespace", schema_oid(PUBLIC).into()),
            ("contype", constraint.kind.into()),
            ("convalidated", true.into()),
            ("conrelid", table_oid(constraint.table.id).into()),
            ("conindid", constraint.index.into()),
            ("conislocal", true.into()),
            ("connoinherit", indexed.into()),
            ("conkey", if indexed { integers(numbers(constraint.places)) } else { Value::Null }),
            ("conbin", if indexed { Value::Null } else { constraint.definition.into() }),
        ]);
    }
}

pub(super) fn pg_tables(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter().filter(|relation| relation.kind == "r") {
        out.add([
            ("schemaname", relation.schema.into()),
            ("tablename", relation.name.into()),
            ("tableowner", USER.into()),
            ("hasindexes", false.into()),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", false.into()),
        ]);
    }
    for table in world.tables().filter(|table| kind(table) == "r") {
        out.add([
            ("schemaname", PUBLIC.into()),
            ("tablename", table.name.as_str().into()),
            ("tableowner", USER.into()),
            ("hasindexes", has_indexes(table).into()),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", false.into()),
        ]);
    }
}

pub(super) fn pg_matviews(out: &mut Filler, world: &World) {
    for table in world.tables().filter(|table| kind(table) == "m") {
        out.add([
            ("schemaname", PUBLIC.into()),
            ("matviewname", table.name.as_str().into()),
            ("matviewowner", USER.into()),
            ("hasindexes", has_indexes(table).into()),
            ("ispopulated", true.into()),
            ("definition", definition(table).into()),
        ]);
    }
}

pub(super) fn pg_indexes(out: &mut Filler, world: &World) {
    for key in world.keys() {
        out.add([
            ("schemaname", PUBLIC.into()),
            ("tablename", key.table.name.as_str().into()),
            ("indexname", key.name.as_str().into()),
            ("indexdef", key.definition(true).into()),
        ]);
    }
}

pub(super) fn pg_foreign_table(out: &mut Filler, world: &World) {
    for table in world.tables().filter(|table| kind(table) == "f") {
        let Some(source) = table.source() else { continue };
        let server = SERVERS.iter().find(|server| server.0 == source.connector).map_or(0, |server| server.1);
        let option = |name: &str, value: &str| Value::from(format!("{name}={value}"));
        let topics = source.topics().collect::<Vec<_>>().join(",");
        let options = (!topics.is_empty()).then(|| option("topic", &topics));
        out.add([
            ("ftrelid", table_oid(table.id).into()),
            ("ftserver", server.into()),
            ("ftoptions", Value::array(options)),
        ]);
    }
}

fn has_indexes(table: &TableDef) -> bool {
    keys_of(table).next().is_some()
}

/// Whether a column has a default.
pub(super) fn has_default(table: &TableDef, column: i64) -> bool {
    defaults(table).any(|default| default.column == column)
}
