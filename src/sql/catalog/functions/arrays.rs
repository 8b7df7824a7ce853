//! Arrays. Those of columns begin at 1, vectors (`int2vector`, `oidvector`) at 0.

use super::super::cast::display;
use super::super::ty::Ty;
use super::super::value::Value;
use super::{Call, Function, function};
use crate::error::Result;

const ARRAY: Ty = Ty::ANYARRAY;
const TEXT: Ty = Ty::TEXT;
const INT4: Ty = Ty::INT4;
const ANY: Ty = Ty::ANY;

pub(super) const FUNCTIONS: &[Function] = &[
    function("array_to_string", &[ARRAY, TEXT, TEXT], TEXT, to_string).from(2).null_too(),
    function("string_to_array", &[TEXT, TEXT], Ty::TEXT_ARRAY, |call| {
        let parts = call.str(0).split(call.str(1)).map(Value::from);
        Ok(if call.str(0).is_empty() { Value::array([]) } else { Value::array(parts) })
    }),
    function("array_length", &[ARRAY, INT4], INT4, |call| {
        let length = call.value(0).as_slice().len();
        Ok((length > 0 && call.int(1) == 1).then_some(length as i64).into())
    }),
    function("cardinality", &[ARRAY], INT4, |call| Ok((call.value(0).as_slice().len() as i64).into())),
    function("array_lower", &[ARRAY, INT4], INT4, |call| {
        let some = !call.value(0).as_slice().is_empty() && call.int(1) == 1;
        Ok(some.then(|| first(call.types[0])).into())
    }),
    function("array_upper", &[ARRAY, INT4], INT4, |call| {
        let length = call.value(0).as_slice().len() as i64;
        Ok((length > 0 && call.int(1) == 1).then(|| first(call.types[0]) + length - 1).into())
    }),
    function("array_remove", &[ARRAY, ANY], ANY, |call| {
        let values = call.value(0).as_slice().iter().filter(|value| *value != call.value(1));
        Ok(if call.value(0).is_null() { Value::Null } else { Value::array(values.cloned()) })
    })
    .null_too(),
    function("array_append", &[ARRAY, ANY], ANY, |call| {
        Ok(Value::array(call.value(0).as_slice().iter().chain([call.value(1)]).cloned()))
    })
    .null_too(),
    function("array_cat", &[ARRAY, ARRAY], ANY, |call| {
        Ok(Value::array(call.value(0).as_slice().iter().chain(call.value(1).as_slice()).cloned()))
    }),
    function("array_position", &[ARRAY, ANY], INT4, |call| {
        let found = call.value(0).as_slice().iter().position(|value| value == call.value(1));
        Ok(found.map(|at| at as i64 + first(call.types[0])).into())
    }),
];

/// The first subscript.
pub(super) fn first(ty: Ty) -> i64 {
    i64::from(ty != Ty::INT2VECTOR && ty != Ty::OIDVECTOR)
}

fn to_string(call: &Call) -> Result<Value> {
    if call.value(0).is_null() || call.value(1).is_null() {
        return Ok(Value::Null);
    }
    let element = call.types[0].element().unwrap_or(TEXT);
    let text = |value: &Value| match value {
        Value::Null if call.arguments.len() > 2 => Some(call.str(2).to_string()),
        Value::Null => None,
        value => Some(display(call.world, value, element)),
    };
    let parts: Vec<String> = call.value(0).as_slice().iter().filter_map(text).collect();
    Ok(parts.join(call.str(1)).into())
}
