//! Types, and what belongs to types.

use super::super::facts::{PROCS, TYPES};
use super::super::value::Value;
use super::super::world::{USER_OID, World, row_types, table_oid};
use super::{Filler, integers};

const CATALOG: i64 = 11;
const PUBLIC: i64 = 2200;

/// The default operator classes of B-trees: oid, name, type, family.
pub(super) const OPERATOR_CLASSES: [(i64, &str, i64, i64); 16] = [
    (10003, "bool_ops", 16, 424),
    (10006, "bytea_ops", 17, 428),
    (3124, "int8_ops", 20, 1976),
    (1979, "int2_ops", 21, 1976),
    (1978, "int4_ops", 23, 1976),
    (3126, "text_ops", 25, 1994),
    (1981, "oid_ops", 26, 1989),
    (10012, "float4_ops", 700, 1970),
    (3123, "float8_ops", 701, 1970),
    (3122, "date_ops", 1082, 434),
    (10038, "time_ops", 1083, 1996),
    (3128, "timestamp_ops", 1114, 434),
    (3127, "timestamptz_ops", 1184, 434),
    (3125, "numeric_ops", 1700, 1988),
    (10065, "uuid_ops", 2950, 2968),
    (10088, "jsonb_ops", 3802, 4033),
];

pub(super) fn pg_type(out: &mut Filler, world: &World) {
    for ty in TYPES.iter() {
        let text = |at: usize| Value::from(ty.fields[at]);
        let number = |at: usize| Value::from(ty.fields[at].parse::<i64>().unwrap_or(0));
        out.add([
            ("oid", number(0)),
            ("typname", text(1)),
            ("typnamespace", CATALOG.into()),
            ("typowner", USER_OID.into()),
            ("typlen", number(2)),
            ("typbyval", (ty.fields[3] == "t").into()),
            ("typtype", text(4)),
            ("typcategory", text(5)),
            ("typispreferred", (ty.fields[6] == "t").into()),
            ("typisdefined", true.into()),
            ("typdelim", text(7)),
            ("typelem", number(8)),
            ("typarray", number(9)),
            ("typalign", text(10)),
            ("typstorage", text(11)),
            ("typbasetype", number(12)),
            ("typtypmod", number(13)),
            ("typcollation", number(14)),
            ("typinput", number(15)),
            ("typoutput", number(16)),
            ("typreceive", number(17)),
            ("typsend", number(18)),
        ]);
    }
    for table in world.tables() {
        let (row, array) = row_types(table);
        let relation = table_oid(table.id);
        add_row_type(out, &table.name, row, relation, array, "c", "C", [2290, 2291, 2402, 2403]);
        add_row_type(out, &format!("_{}", table.name), array, 0, -row, "b", "A", [750, 751, 2400, 2401]);
    }
}

/// The type of a table's rows, or of arrays of them: `other` is the array type, or, negative, the element's.
#[expect(clippy::too_many_arguments)]
fn add_row_type(
    out: &mut Filler,
    name: &str,
    oid: i64,
    relation: i64,
    other: i64,
    kind: &str,
    category: &str,
    functions: [i64; 4],
) {
    out.add([
        ("oid", oid.into()),
        ("typname", name.into()),
        ("typnamespace", PUBLIC.into()),
        ("typowner", USER_OID.into()),
        ("typlen", Value::Int(-1)),
        ("typtype", kind.into()),
        ("typcategory", category.into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typrelid", relation.into()),
        ("typelem", (-other).max(0).into()),
        ("typarray", other.max(0).into()),
        ("typalign", "d".into()),
        ("typstorage", "x".into()),
        ("typtypmod", Value::Int(-1)),
        ("typinput", functions[0].into()),
        ("typoutput", functions[1].into()),
        ("typreceive", functions[2].into()),
        ("typsend", functions[3].into()),
    ]);
}

pub(super) fn pg_proc(out: &mut Filler, _: &World) {
    for (oid, name, result, arguments) in PROCS.iter() {
        let arguments: Vec<i64> = arguments.split(' ').filter_map(|ty| ty.parse().ok()).collect();
        out.add([
            ("oid", (*oid).into()),
            ("proname", (*name).into()),
            ("pronamespace", CATALOG.into()),
            ("proowner", USER_OID.into()),
            ("prolang", Value::Int(12)),
            ("prokind", "f".into()),
            ("proisstrict", true.into()),
            ("provolatile", "i".into()),
            ("proparallel", "s".into()),
            ("prorettype", (*result).into()),
            ("pronargs", (arguments.len() as i64).into()),
            ("proargtypes", integers(arguments)),
            ("prosrc", (*name).into()),
        ]);
    }
}

pub(super) fn pg_range(out: &mut Filler, _: &World) {
    let ranges = [
        (3904, 23, 4451, 1978),
        (3906, 1700, 4532, 3125),
        (3908, 1114, 4533, 3128),
        (3910, 1184, 4534, 3127),
        (3912, 1082, 4535, 3122),
        (3926, 20, 4536, 3124),
    ];
    for (range, subtype, multirange, class) in ranges {
        out.add([
            ("rngtypid", range.into()),
            ("rngsubtype", subtype.into()),
            ("rngmultitypid", multirange.into()),
            ("rngsubopc", class.into()),
        ]);
    }
}

pub(super) fn pg_opclass(out: &mut Filler, _: &World) {
    for (oid, name, ty, family) in OPERATOR_CLASSES {
        out.add([
            ("oid", oid.into()),
            ("opcmethod", Value::Int(403)),
            ("opcname", name.into()),
            ("opcnamespace", CATALOG.into()),
            ("opcowner", USER_OID.into()),
            ("opcfamily", family.into()),
            ("opcintype", ty.into()),
            ("opcdefault", true.into()),
        ]);
    }
}

pub(super) fn pg_collation(out: &mut Filler, _: &World) {
    for (oid, name, provider) in [(100, "default", "d"), (950, "C", "c"), (951, "POSIX", "c")] {
        let locale = if provider == "c" { Value::from(name) } else { Value::Null };
        out.add([
            ("oid", Value::Int(oid)),
            ("collname", name.into()),
            ("collnamespace", CATALOG.into()),
            ("collowner", USER_OID.into()),
            ("collprovider", provider.into()),
            ("collisdeterministic", true.into()),
            ("collencoding", Value::Int(-1)),
            ("collcollate", locale.clone()),
            ("collctype", locale),
        ]);
    }
}
