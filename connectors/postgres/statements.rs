//! The statements that write rows: each takes a whole batch, a column an array.

use postgres::types::Type;
use zset::RowType;

use crate::columns;
use crate::settings::{Settings, quote};
use crate::table::Table;

/// A statement, and the types of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sql {
    pub text: String,
    pub types: Vec<Type>,
}

/// `unnest($1, $2, ...) AS n(c0, c1, ...)`
fn unnest(name: &str, count: usize) -> String {
    let list = |prefix: &str, from: usize| {
        (from..from + count).map(|at| format!("{prefix}{at}")).collect::<Vec<_>>().join(", ")
    };
    format!("unnest({}) AS {name}({})", list("$", 1), list("c", 0))
}

/// Inserts rows, or puts them in the place of those of the same key.
pub(crate) fn upsert(settings: &Settings, columns: &RowType, key: &[usize]) -> Sql {
    let quoted =
        |positions: &mut dyn Iterator<Item = usize>| positions.map(|at| quote(&columns.0[at].name)).collect::<Vec<_>>();
    let all = quoted(&mut (0..columns.0.len())).join(", ");
    let others = quoted(&mut (0..columns.0.len()).filter(|at| !key.contains(at)));
    let sets: Vec<String> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let then = if sets.is_empty() { "NOTHING".to_string() } else { format!("UPDATE SET {}", sets.join(", ")) };
    Sql {
        text: format!(
            "INSERT INTO {} ({all}) SELECT * FROM {} ON CONFLICT ({}) DO {then}",
            settings.quoted(),
            unnest("n", columns.0.len()),
            quoted(&mut key.iter().copied()).join(", ")
        ),
        types: columns.0.iter().map(|column| columns::sent_as(column.ty)).collect(),
    }
}

/// Deletes the rows of keys, of which those columns where `nulls` are NULL. Each kind of key has its statement: `=` and
/// `IS NULL` are found by the index, `IS NOT DISTINCT FROM` is not.
pub(crate) fn delete(settings: &Settings, table: &Table, columns: &RowType, key: &[usize], nulls: &[bool]) -> Sql {
    let mut conditions = Vec::new();
    let mut types = Vec::new();
    for ((&at, null), plain) in key.iter().zip(nulls).zip(&table.key_types) {
        let name = quote(&columns.0[at].name);
        if *null {
            conditions.push(format!("t.{name} IS NULL"));
        } else {
            conditions.push(format!("t.{name} = k.c{}::{plain}", types.len()));
            types.push(columns::sent_as(columns.0[at].ty));
        }
    }
    let using = if types.is_empty() { String::new() } else { format!(" USING {}", unnest("k", types.len())) };
    let text = format!("DELETE FROM {} t{using} WHERE {}", settings.quoted(), conditions.join(" AND "));
    Sql { text, types }
}
