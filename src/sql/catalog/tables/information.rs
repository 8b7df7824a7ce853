//! information_schema: the standard's view of tables, columns and keys. Unlike PostgreSQL's, which has no word for
//! materialized views, it lists stream tables, as `MATERIALIZED VIEW`: tools that ask here alone would not see them.

use plan::{Identity, Sequence, TableDef};
use zset::{Column, ColumnType};

use super::super::facts::{RELATIONS, type_by_oid};
use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{DATABASE, PUBLIC, SCHEMAS, USER, World, constraints, defaults, definition, kind};
use super::Filler;

/// Fills the relation if it is one of these.
pub(super) fn fill(out: &mut Filler, world: &World) {
    match out.relation.name {
        "tables" => tables(out, world),
        "columns" => columns(out, world),
        "schemata" => schemata(out),
        "views" => views(out, world),
        "table_constraints" => table_constraints(out, world),
        "key_column_usage" => key_column_usage(out, world),
        "constraint_column_usage" => constraint_column_usage(out, world),
        "sequences" => sequences(out, world),
        "check_constraints" => check_constraints(out, world),
        "information_schema_catalog_name" => out.add([("catalog_name", DATABASE.into())]),
        "enabled_roles" | "applicable_roles" => roles(out),
        _ => {}
    }
}

fn yes(value: bool) -> Value {
    if value { "YES" } else { "NO" }.into()
}

fn roles(out: &mut Filler) {
    if out.relation.name == "enabled_roles" {
        out.add([("role_name", USER.into())]);
    }
}

fn schemata(out: &mut Filler) {
    for (name, _) in SCHEMAS {
        out.add([("catalog_name", DATABASE.into()), ("schema_name", name.into()), ("schema_owner", USER.into())]);
    }
}

fn table_type(table: &TableDef) -> &'static str {
    match kind(table) {
        "m" => "MATERIALIZED VIEW",
        "f" => "FOREIGN",
        _ => "BASE TABLE",
    }
}

fn tables(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter() {
        out.add([
            ("table_catalog", DATABASE.into()),
            ("table_schema", relation.schema.into()),
            ("table_name", relation.name.into()),
            ("table_type", if relation.kind == "r" { "BASE TABLE" } else { "VIEW" }.into()),
            ("is_insertable_into", yes(false)),
            ("is_typed", yes(false)),
        ]);
    }
    for table in world.tables() {
        out.add([
            ("table_catalog", DATABASE.into()),
            ("table_schema", PUBLIC.into()),
            ("table_name", table.name.as_str().into()),
            ("table_type", table_type(table).into()),
            ("is_insertable_into", yes(table.is_own())),
            ("is_typed", yes(false)),
        ]);
    }
}

fn views(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter().filter(|relation| relation.kind == "v") {
        view(out, relation.schema, relation.name, Value::Null);
    }
    for table in world.tables() {
        if let Some(definition) = definition(table) {
            view(out, PUBLIC, &table.name, definition.into());
        }
    }
}

fn view(out: &mut Filler, schema: &str, name: &str, definition: Value) {
    out.add([
        ("table_catalog", DATABASE.into()),
        ("table_schema", schema.into()),
        ("table_name", name.into()),
        ("view_definition", definition),
        ("check_option", "NONE".into()),
        ("is_updatable", yes(false)),
        ("is_insertable_into", yes(false)),
        ("is_trigger_updatable", yes(false)),
        ("is_trigger_deletable", yes(false)),
        ("is_trigger_insertable_into", yes(false)),
    ]);
}

/// What the standard says of a type besides its name.
#[derive(Default)]
struct Shape {
    length: Option<i64>,
    octets: Option<i64>,
    precision: Option<i64>,
    radix: Option<i64>,
    scale: Option<i64>,
    digits: Option<i64>,
}

fn shape(ty: Ty, column: Option<&Column>) -> Shape {
    let number =
        |precision, radix, scale| Shape { precision: Some(precision), radix: Some(radix), scale, ..Shape::default() };
    let digits = |digits: i64| Shape { digits: Some(digits), ..Shape::default() };
    match column.map(|column| column.ty) {
        Some(ColumnType::Numeric { precision, scale }) => return number(precision.into(), 10, Some(scale.into())),
        Some(ColumnType::Varchar(length)) => {
            let length = i64::from(length);
            return Shape { length: Some(length), octets: Some(length * 4), ..Shape::default() };
        }
        Some(ColumnType::Timestamp(p) | ColumnType::TimestampTz(p)) => return digits(p.into()),
        _ => {}
    }
    match ty {
        Ty::INT2 => number(16, 2, Some(0)),
        Ty::INT4 => number(32, 2, Some(0)),
        Ty::INT8 => number(64, 2, Some(0)),
        Ty::FLOAT4 => number(24, 2, None),
        Ty::FLOAT8 => number(53, 2, None),
        Ty::TEXT | Ty::VARCHAR => Shape { octets: Some(1 << 30), ..Shape::default() },
        Ty::DATE => digits(0),
        Ty::TIME | Ty::TIMESTAMP | Ty::TIMESTAMPTZ => digits(6),
        _ => Shape::default(),
    }
}

fn columns(out: &mut Filler, world: &World) {
    for relation in RELATIONS.iter() {
        for (at, column) in relation.columns.iter().enumerate() {
            let (schema, table) = (relation.schema, relation.name);
            let place = Place { schema, table, name: column.name, at, ty: column.ty, nullable: !column.not_null };
            add_column(out, &place, &shape(column.ty, None), Value::Null, false, None);
        }
    }
    for table in world.tables() {
        for (at, column) in table.columns.0.iter().enumerate() {
            let ty = Ty::of_column(column.ty).0;
            let default = defaults(table).find(|default| default.column == at as i64 + 1).map(|default| default.sql);
            let (name, nullable) = (column.name.as_str(), column.nullable);
            let place = Place { schema: PUBLIC, table: &table.name, name, at, ty, nullable };
            let identity = table.sequence_of(at).filter(|sequence| sequence.identity.is_some());
            add_column(out, &place, &shape(ty, Some(column)), default.into(), table.is_own(), identity);
        }
    }
}

struct Place<'a> {
    schema: &'a str,
    table: &'a str,
    name: &'a str,
    at: usize,
    ty: Ty,
    nullable: bool,
}

fn add_column(
    out: &mut Filler,
    place: &Place,
    shape: &Shape,
    default: Value,
    updatable: bool,
    identity: Option<&Sequence>,
) {
    let generation = identity.map(|of| if of.identity == Some(Identity::Always) { "ALWAYS" } else { "BY DEFAULT" });
    let number = |of: fn(&Sequence) -> i64| Value::from(identity.map(|sequence| of(sequence).to_string()));
    let array = place.ty.element().is_some() && place.ty != Ty::INT2VECTOR && place.ty != Ty::OIDVECTOR;
    out.add([
        ("table_catalog", DATABASE.into()),
        ("table_schema", place.schema.into()),
        ("table_name", place.table.into()),
        ("column_name", place.name.into()),
        ("ordinal_position", (place.at as i64 + 1).into()),
        ("column_default", default),
        ("is_nullable", yes(place.nullable)),
        ("data_type", if array { "ARRAY" } else { place.ty.sql() }.into()),
        ("character_maximum_length", shape.length.into()),
        ("character_octet_length", shape.octets.into()),
        ("numeric_precision", shape.precision.into()),
        ("numeric_precision_radix", shape.radix.into()),
        ("numeric_scale", shape.scale.into()),
        ("datetime_precision", shape.digits.into()),
        ("udt_catalog", DATABASE.into()),
        ("udt_schema", "pg_catalog".into()),
        ("udt_name", type_by_oid(place.ty).map(|ty| ty.name).into()),
        ("dtd_identifier", (place.at as i64 + 1).to_string().into()),
        ("is_self_referencing", yes(false)),
        ("is_identity", yes(identity.is_some())),
        ("identity_generation", generation.into()),
        ("identity_start", number(|of| of.start)),
        ("identity_increment", number(|of| of.increment)),
        ("identity_maximum", number(|of| of.max)),
        ("identity_minimum", number(|of| of.min)),
        ("identity_cycle", yes(false)),
        ("is_generated", "NEVER".into()),
        ("is_updatable", yes(updatable)),
    ]);
}

fn table_constraints(out: &mut Filler, world: &World) {
    for constraint in world.tables().flat_map(constraints) {
        out.add([
            ("constraint_catalog", DATABASE.into()),
            ("constraint_schema", PUBLIC.into()),
            ("constraint_name", constraint.name.as_str().into()),
            ("table_catalog", DATABASE.into()),
            ("table_schema", PUBLIC.into()),
            ("table_name", constraint.table.name.as_str().into()),
            ("constraint_type", constraint_type(constraint.kind).into()),
            ("is_deferrable", yes(false)),
            ("initially_deferred", yes(false)),
            ("enforced", yes(true)),
        ]);
    }
}

fn constraint_type(kind: &str) -> &'static str {
    match kind {
        "p" => "PRIMARY KEY",
        "u" => "UNIQUE",
        _ => "CHECK",
    }
}

fn key_column_usage(out: &mut Filler, world: &World) {
    for constraint in world.tables().flat_map(constraints).filter(|constraint| constraint.index != 0) {
        for (at, &place) in constraint.places.iter().enumerate() {
            let column = &constraint.table.columns.0[place];
            out.add([
                ("constraint_catalog", DATABASE.into()),
                ("constraint_schema", PUBLIC.into()),
                ("constraint_name", constraint.name.as_str().into()),
                ("table_catalog", DATABASE.into()),
                ("table_schema", PUBLIC.into()),
                ("table_name", constraint.table.name.as_str().into()),
                ("column_name", column.name.as_str().into()),
                ("ordinal_position", (at as i64 + 1).into()),
            ]);
        }
    }
}

fn constraint_column_usage(out: &mut Filler, world: &World) {
    for constraint in world.tables().flat_map(constraints).filter(|constraint| constraint.index != 0) {
        for &place in constraint.places {
            let column = &constraint.table.columns.0[place];
            out.add([
                ("table_catalog", DATABASE.into()),
                ("table_schema", PUBLIC.into()),
                ("table_name", constraint.table.name.as_str().into()),
                ("column_name", column.name.as_str().into()),
                ("constraint_catalog", DATABASE.into()),
                ("constraint_schema", PUBLIC.into()),
                ("constraint_name", constraint.name.as_str().into()),
            ]);
        }
    }
}

/// The sequences, but for those of identities, as PostgreSQL has it.
fn sequences(out: &mut Filler, world: &World) {
    for (table, sequence) in world.sequences().filter(|(_, sequence)| sequence.identity.is_none()) {
        let ty = Ty::of_column(table.columns.0[sequence.column].ty).0;
        let bits = shape(ty, None).precision;
        out.add([
            ("sequence_catalog", DATABASE.into()),
            ("sequence_schema", PUBLIC.into()),
            ("sequence_name", sequence.name.as_str().into()),
            ("data_type", ty.sql().into()),
            ("numeric_precision", bits.into()),
            ("numeric_precision_radix", 2.into()),
            ("numeric_scale", 0.into()),
            ("start_value", sequence.start.to_string().into()),
            ("minimum_value", sequence.min.to_string().into()),
            ("maximum_value", sequence.max.to_string().into()),
            ("increment", sequence.increment.to_string().into()),
            ("cycle_option", yes(false)),
        ]);
    }
}

fn check_constraints(out: &mut Filler, world: &World) {
    for constraint in world.tables().flat_map(constraints).filter(|constraint| constraint.kind == "c") {
        out.add([
            ("constraint_catalog", DATABASE.into()),
            ("constraint_schema", PUBLIC.into()),
            ("constraint_name", constraint.name.as_str().into()),
            ("check_clause", constraint.definition.trim_start_matches("CHECK ").into()),
        ]);
    }
}
