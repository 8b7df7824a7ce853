//! What a table of our own has besides its columns: defaults, constraints, sequences.

use serde::{Deserialize, Serialize};

/// What a table of our own has besides its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnDef {
    /// The default of each column, as SQL.
    pub defaults: Vec<Option<String>>,
    /// The CHECK constraints.
    pub checks: Vec<Check>,
    /// The UNIQUE constraints, in the order in which PostgreSQL would have made their indexes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uniques: Vec<Unique>,
    /// What hands out the values of SERIAL and IDENTITY columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<Sequence>,
    /// The number of the next index or sequence: none is given twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub next_slot: u32,
}

pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A UNIQUE constraint. Its index has the rows whose columns are all there, or all rows if NULL is like NULL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// Its name.
    pub name: String,
    /// The places of its columns, in its order.
    pub columns: Vec<usize>,
    /// NULLS NOT DISTINCT.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nulls_not_distinct: bool,
    /// The number of its index in its table.
    pub slot: u32,
}

/// What hands out the values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Its name: that of a relation in PostgreSQL.
    pub name: String,
    /// The place of its column.
    pub column: usize,
    /// The number of it in its table.
    pub slot: u32,
    /// What the column is: `None`, if a SERIAL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The first value.
    pub start: i64,
    /// From one value to the next; not 0.
    pub increment: i64,
    /// No value is below.
    pub min: i64,
    /// No value is above.
    pub max: i64,
}

/// GENERATED ... AS IDENTITY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A value is given by INSERT only with OVERRIDING SYSTEM VALUE, by UPDATE only as DEFAULT.
    Always,
    /// A value that is given is taken.
    ByDefault,
}

/// A CHECK constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Its condition, as SQL.
    pub condition: String,
}
