//! The statements that write rows: each takes a whole batch, a column an array.

use tokio_postgres::types::Type;
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

/// Inserts rows, or puts them in the place of those of the same key, where they are not the same already.
pub(crate) fn upsert_different(settings: &Settings, table: &Table, columns: &RowType, key: &[usize]) -> Sql {
    let Sql { text, types } = upsert(settings, columns, key);
    let all = |ours: &dyn Fn(usize) -> String, theirs: &str| {
        let same = (0..columns.0.len()).map(|at| same(table, &columns.0[at].name, &ours(at), theirs));
        same.collect::<Vec<_>>().join(" AND ")
    };
    // A row whose key has a NULL is not found by `=`, and is compared when it meets the one that is there.
    let of_key = key.iter().map(|&at| {
        let name = &columns.0[at].name;
        format!("o.{} = n.c{at}::{}", quote(name), table.types(name).1)
    });
    let found = of_key.collect::<Vec<_>>().join(" AND ");
    let sent = |at: usize| format!("n.c{at}::{}", table.types(&columns.0[at].name).0);
    let excluded = |at: usize| format!("excluded.{}", quote(&columns.0[at].name));
    let target = settings.quoted();
    let missing = format!(" WHERE NOT EXISTS (SELECT FROM {target} o WHERE {found} AND {})", all(&sent, "o"));
    let text = text.replacen(&format!("INSERT INTO {target}"), &format!("INSERT INTO {target} AS t"), 1);
    let text = text.replacen(" ON CONFLICT ", &format!("{missing} ON CONFLICT "), 1);
    let only =
        if key.len() < columns.0.len() { format!(" WHERE NOT ({})", all(&excluded, "t")) } else { String::new() };
    Sql { text: format!("{text}{only}"), types }
}

/// Whether a column has a value already. Types that call equal what is written otherwise (1.0 and 1), or that have no
/// equality, are compared by their text.
fn same(table: &Table, name: &str, ours: &str, theirs: &str) -> String {
    let by_text = ["numeric", "json", "jsonb", "text", "character varying"].contains(&table.types(name).1);
    let as_text = if by_text { "::text COLLATE \"C\"" } else { "" };
    format!("{theirs}.{}{as_text} IS NOT DISTINCT FROM {ours}{as_text}", quote(name))
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
