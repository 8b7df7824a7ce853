//! Functions that give rows: `unnest`, `generate_series`, and a few of the catalog's own.

use super::super::tables::keywords;
use super::super::ty::Ty;
use super::super::value::Value;
use super::Call;
use super::arrays::first;
use crate::error::{Result, unsupported};

/// More rows than a catalog query has a use for.
const ROWS_MAX: i64 = 100_000;

/// A function that gives rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    Unnest,
    Generate,
    Subscripts,
    /// `information_schema._pg_expandarray`: the elements, each with its place from 1.
    ExpandArray,
    /// `pg_options_to_table`: `{a=b}` as names and values.
    Options,
    Keywords,
}

impl Series {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "unnest" => Self::Unnest,
            "generate_series" => Self::Generate,
            "generate_subscripts" => Self::Subscripts,
            "_pg_expandarray" => Self::ExpandArray,
            "pg_options_to_table" => Self::Options,
            "pg_get_keywords" => Self::Keywords,
            _ => return None,
        })
    }

    /// Whether it is the catalog's alone.
    pub(crate) fn is_about_the_catalog(self) -> bool {
        matches!(self, Self::ExpandArray | Self::Options | Self::Keywords)
    }

    /// The types of the arguments.
    pub(crate) fn takes(self) -> &'static [Ty] {
        match self {
            Self::Unnest | Self::ExpandArray => &[Ty::ANYARRAY],
            Self::Generate => &[Ty::INT4, Ty::INT4, Ty::INT4],
            Self::Subscripts => &[Ty::ANYARRAY, Ty::INT4],
            Self::Options => &[Ty::TEXT_ARRAY],
            Self::Keywords => &[],
        }
    }

    /// Its columns. One: the row is that value; more: it is a record.
    pub(crate) fn columns(self, arguments: &[Ty]) -> Vec<(&'static str, Ty)> {
        let element = || arguments.first().and_then(|ty| ty.element()).unwrap_or(Ty::TEXT);
        match self {
            Self::Unnest => vec![("unnest", element())],
            Self::Generate => vec![("generate_series", arguments.first().copied().unwrap_or(Ty::INT4))],
            Self::Subscripts => vec![("generate_subscripts", Ty::INT4)],
            Self::ExpandArray => vec![("x", element()), ("n", Ty::INT4)],
            Self::Options => vec![("option_name", Ty::TEXT), ("option_value", Ty::TEXT)],
            Self::Keywords => vec![
                ("word", Ty::TEXT),
                ("catcode", Ty::CHAR),
                ("barelabel", Ty::BOOL),
                ("catdesc", Ty::TEXT),
                ("baredesc", Ty::TEXT),
            ],
        }
    }

    /// The rows, each with all columns.
    pub(crate) fn rows(self, call: &Call) -> Result<Vec<Vec<Value>>> {
        let elements = call.value(0).as_slice();
        let single = |values: Vec<Value>| values.into_iter().map(|value| vec![value]).collect();
        Ok(match self {
            Self::Unnest => single(elements.to_vec()),
            Self::Generate => single(generate(call)?),
            Self::Subscripts => {
                let from = call.types.first().map_or(1, |ty| first(*ty));
                single((from..from + elements.len() as i64).map(Value::Int).collect())
            }
            Self::ExpandArray => elements.iter().zip(1_i64..).map(|(value, n)| vec![value.clone(), n.into()]).collect(),
            Self::Options => elements.iter().filter_map(Value::as_str).map(option).collect(),
            Self::Keywords => keywords().into_iter().map(Vec::from).collect(),
        })
    }
}

fn option(text: &str) -> Vec<Value> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    vec![name.into(), value.into()]
}

fn generate(call: &Call) -> Result<Vec<Value>> {
    let (Some(from), Some(to)) = (call.value(0).as_int(), call.value(1).as_int()) else { return Ok(Vec::new()) };
    let step = if call.arguments.len() > 2 { call.int(2) } else { 1 };
    let (from, to, step) = (i128::from(from), i128::from(to), i128::from(step));
    let count = if step == 0 { i128::MAX } else { ((to - from) / step + 1) * i128::from((to - from) * step >= 0) };
    if count > i128::from(ROWS_MAX) {
        let hint = format!("ask for at most {ROWS_MAX} rows, with a step that is not 0");
        return Err(unsupported("this generate_series in a catalog query", hint));
    }
    Ok((0..count).filter_map(|n| i64::try_from(from + n * step).ok()).map(Value::Int).collect())
}
