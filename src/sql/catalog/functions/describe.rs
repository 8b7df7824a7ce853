//! Functions that tell of objects: `format_type`, `pg_get_*`, privileges, sizes, visibility.

use super::super::cast::{format_type, read};
use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{USER, USER_OID, definition, quote_ident};
use super::{Call, Function, function};
use crate::error::{Result, code, error};

const OID: Ty = Ty::OID;
const TEXT: Ty = Ty::TEXT;
const BOOL: Ty = Ty::BOOL;
const INT4: Ty = Ty::INT4;
const ANY: Ty = Ty::ANY;

fn null(_: &Call) -> Result<Value> {
    Ok(Value::Null)
}

fn yes(_: &Call) -> Result<Value> {
    Ok(true.into())
}

fn no(_: &Call) -> Result<Value> {
    Ok(false.into())
}

fn zero(_: &Call) -> Result<Value> {
    Ok(0.into())
}

pub(super) const FUNCTIONS: &[Function] = &[
    function("format_type", &[OID, INT4], TEXT, |call| {
        let modifier = call.value(1).as_int();
        Ok(if call.value(0).is_null() { Value::Null } else { format_type(call.world, call.int(0), modifier).into() })
    })
    .null_too(),
    function("pg_get_expr", &[TEXT, OID, BOOL], TEXT, |call| Ok(call.value(0).clone())).from(2),
    function("pg_get_indexdef", &[OID, INT4, BOOL], TEXT, index_definition).from(1),
    function("pg_get_constraintdef", &[OID, BOOL], TEXT, |call| {
        Ok(call.world.constraint(call.int(0)).map(|constraint| constraint.definition).into())
    })
    .from(1),
    function("pg_get_viewdef", &[ANY, ANY], TEXT, view_definition).from(1),
    function("pg_get_userbyid", &[OID], Ty::NAME, |call| {
        let oid = call.int(0);
        Ok(if oid == USER_OID { USER.into() } else { format!("unknown (OID={oid})").into() })
    }),
    function("pg_table_is_visible", &[OID], BOOL, |call| {
        let schema = call.world.relation(call.int(0)).map(|relation| relation.0);
        Ok(schema.map(|schema| schema != "information_schema").into())
    }),
    function("pg_type_is_visible", &[OID], BOOL, yes),
    function("pg_function_is_visible", &[OID], BOOL, yes),
    function("pg_operator_is_visible", &[OID], BOOL, yes),
    function("pg_opclass_is_visible", &[OID], BOOL, yes),
    function("pg_opfamily_is_visible", &[OID], BOOL, yes),
    function("pg_conversion_is_visible", &[OID], BOOL, yes),
    function("pg_collation_is_visible", &[OID], BOOL, yes),
    function("pg_statistics_obj_is_visible", &[OID], BOOL, yes),
    function("pg_ts_config_is_visible", &[OID], BOOL, yes),
    function("pg_ts_dict_is_visible", &[OID], BOOL, yes),
    function("pg_ts_parser_is_visible", &[OID], BOOL, yes),
    function("pg_ts_template_is_visible", &[OID], BOOL, yes),
    // nothing has a comment, a rule, a trigger, a partition or statistics
    function("obj_description", &[OID, Ty::NAME], TEXT, null).from(1),
    function("shobj_description", &[OID, Ty::NAME], TEXT, null),
    function("col_description", &[OID, INT4], TEXT, null),
    function("pg_get_ruledef", &[OID, BOOL], TEXT, null).from(1),
    function("pg_get_triggerdef", &[OID, BOOL], TEXT, null).from(1),
    function("pg_get_functiondef", &[OID], TEXT, null),
    function("pg_get_function_result", &[OID], TEXT, null),
    function("pg_get_function_arguments", &[OID], TEXT, null),
    function("pg_get_function_identity_arguments", &[OID], TEXT, null),
    function("pg_get_function_sqlbody", &[OID], TEXT, null),
    function("pg_get_serial_sequence", &[TEXT, TEXT], TEXT, serial_sequence),
    function("pg_get_statisticsobjdef", &[OID], TEXT, null),
    function("pg_get_statisticsobjdef_columns", &[OID], TEXT, null),
    function("pg_get_partkeydef", &[OID], TEXT, null),
    function("pg_get_partition_constraintdef", &[OID], TEXT, null),
    function("pg_describe_object", &[OID, OID, INT4], TEXT, null),
    function("pg_get_replica_identity_index", &[Ty::REGCLASS], Ty::REGCLASS, null),
    function("pg_tablespace_location", &[OID], TEXT, |_| Ok("".into())),
    function("pg_encoding_to_char", &[INT4], Ty::NAME, |call| Ok(if call.int(0) == 6 { "UTF8" } else { "" }.into())),
    function("pg_char_to_encoding", &[Ty::NAME], INT4, |call| {
        let utf8 = matches!(call.str(0).to_lowercase().as_str(), "utf8" | "unicode" | "utf-8");
        Ok(if utf8 { 6 } else { -1 }.into())
    }),
    function("getdatabaseencoding", &[], Ty::NAME, |_| Ok("UTF8".into())),
    function("pg_relation_size", &[Ty::REGCLASS, TEXT], Ty::INT8, relation_size).from(1),
    function("pg_table_size", &[Ty::REGCLASS], Ty::INT8, relation_size),
    function("pg_total_relation_size", &[Ty::REGCLASS], Ty::INT8, relation_size),
    function("pg_indexes_size", &[Ty::REGCLASS], Ty::INT8, zero),
    function("pg_database_size", &[ANY], Ty::INT8, database_size),
    function("pg_tablespace_size", &[ANY], Ty::INT8, null),
    function("pg_size_pretty", &[Ty::INT8], TEXT, |call| Ok(pretty_size(call.int(0)).into())),
    function("pg_relation_is_publishable", &[Ty::REGCLASS], BOOL, no),
    function("pg_relation_is_updatable", &[Ty::REGCLASS, BOOL], INT4, |call| {
        // the bits of INSERT, UPDATE and DELETE
        Ok(if call.world.table(call.int(0)).is_some_and(plan::TableDef::is_own) { 28 } else { 0 }.into())
    }),
    function("pg_relation_filenode", &[Ty::REGCLASS], OID, |call| Ok(call.value(0).clone())),
    function("pg_my_temp_schema", &[], OID, zero),
    function("pg_is_other_temp_schema", &[OID], BOOL, no),
    function("row_security_active", &[ANY], BOOL, no),
    function("pg_index_column_has_property", &[Ty::REGCLASS, INT4, TEXT], BOOL, |call| {
        Ok(matches!(call.str(2), "asc" | "nulls_last" | "orderable").into())
    }),
    function("has_table_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_any_column_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_column_privilege", &[ANY, ANY, ANY, ANY], BOOL, yes).from(3),
    function("has_schema_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_database_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_function_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_sequence_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_type_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_tablespace_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_language_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_server_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("has_foreign_data_wrapper_privilege", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("pg_has_role", &[ANY, ANY, ANY], BOOL, yes).from(2),
    function("to_regclass", &[TEXT], Ty::REGCLASS, |call| Ok(named(call, Ty::REGCLASS))),
    function("to_regtype", &[TEXT], Ty::REGTYPE, |call| Ok(named(call, Ty::REGTYPE))),
    function("to_regproc", &[TEXT], Ty::REGPROC, |call| Ok(named(call, Ty::REGPROC))),
    function("to_regnamespace", &[TEXT], Ty::REGNAMESPACE, |call| Ok(named(call, Ty::REGNAMESPACE))),
    function("to_regrole", &[TEXT], Ty::REGROLE, |call| Ok(named(call, Ty::REGROLE))),
    function("pg_typeof", &[ANY], Ty::REGTYPE, |call| {
        Ok(i64::from(call.types.first().map_or(Ty::UNKNOWN.0, |ty| ty.0)).into())
    })
    .null_too(),
];

/// The oid of what a name names; NULL if nothing has it.
fn named(call: &Call, ty: Ty) -> Value {
    let text = call.str(0);
    let number = text.trim().parse::<i64>().is_ok();
    if number { Value::Null } else { read(call.world, text, ty).unwrap_or_default() }
}

/// The whole index, or one of its columns.
fn index_definition(call: &Call) -> Result<Value> {
    let Some(key) = call.world.keys().find(|key| key.oid == call.int(0)) else { return Ok(Value::Null) };
    let column = call.int(1);
    if column == 0 {
        return Ok(key.definition(!call.value(2).is_true()).into());
    }
    let column = usize::try_from(column.saturating_sub(1)).ok().and_then(|at| key.columns().nth(at));
    Ok(column.map_or_else(|| "".into(), |column| quote_ident(&column.name).into()))
}

/// The sequence of a column.
fn serial_sequence(call: &Call) -> Result<Value> {
    let table = read(call.world, call.str(0), Ty::REGCLASS)?.as_int().and_then(|oid| call.world.table(oid));
    let Some(table) = table else { return Ok(Value::Null) };
    let column = call.str(1);
    let at = table.columns.position(column).ok_or_else(|| {
        error(code::UNDEFINED_COLUMN, format!("column \"{column}\" of relation \"{}\" does not exist", table.name))
    })?;
    Ok(table.sequence_of(at).map(|sequence| format!("public.{}", quote_ident(&sequence.name))).into())
}

fn view_definition(call: &Call) -> Result<Value> {
    let oid = match call.value(0) {
        Value::Text(text) => read(call.world, text, Ty::REGCLASS)?.as_int(),
        value => value.as_int(),
    };
    Ok(oid.and_then(|oid| call.world.table(oid)).and_then(definition).into())
}

fn relation_size(call: &Call) -> Result<Value> {
    let table = call.world.table(call.int(0));
    let is_index = || call.world.keys().any(|key| key.oid == call.int(0));
    Ok(match table {
        Some(table) => call.world.size(table.id).map(|size| size.1).into(),
        // an index is the table's own order of rows
        None if is_index() => 0.into(),
        None => Value::Null,
    })
}

fn database_size(call: &Call) -> Result<Value> {
    let sizes = call.world.tables().filter_map(|table| call.world.size(table.id));
    Ok(sizes.map(|size| size.1).sum::<i64>().into())
}

/// `8192 bytes`, `16 kB`: the unit in which it has at most five digits, rounded.
fn pretty_size(bytes: i64) -> String {
    if bytes.unsigned_abs() < 10_240 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes as f64;
    let units = ["kB", "MB", "GB", "TB", "PB"];
    for (at, unit) in units.iter().enumerate() {
        size /= 1024.0;
        if size.abs() < 10_239.5 || at == units.len() - 1 {
            return format!("{size:.0} {unit}");
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::pretty_size;

    #[test]
    fn sizes_are_postgresqls() {
        let cases =
            [(0, "0 bytes"), (10_239, "10239 bytes"), (10_240, "10 kB"), (16_384, "16 kB"), (10_485_760, "10 MB")];
        for (bytes, text) in cases {
            assert_eq!(pretty_size(bytes), text);
        }
    }
}
