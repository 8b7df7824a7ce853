//! Random INSERT, UPDATE, DELETE and TRUNCATE, some of which break a constraint.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::table::{Column, Table};
use crate::oracle::query::{expression, predicate};
use crate::oracle::value::{self, Type};

/// A statement, and how many rows it names one by one: of several, either database may meet another broken one first.
pub struct Change {
    pub sql: String,
    pub single: bool,
}

/// A random change of one of the tables.
pub fn change(rng: &mut ChaCha8Rng, tables: &[Table]) -> Change {
    let table = &tables[rng.random_range(0..tables.len())];
    let returning = if rng.random_bool(0.3) { returning(rng, table) } else { String::new() };
    match rng.random_range(0..20) {
        0..=8 => insert(rng, table, &returning),
        9 | 10 => insert_select(rng, table, tables, &returning),
        11..=14 => update(rng, table, &returning),
        15 => move_key(rng, table, &returning),
        16..=18 => {
            Change { sql: format!("DELETE FROM {} WHERE {}{returning}", table.name, narrow(rng, table)), single: false }
        }
        _ if rng.random_bool(0.3) => Change { sql: format!("TRUNCATE {}", table.name), single: false },
        _ => Change { sql: format!("DELETE FROM {0} WHERE {0}.id > 3", table.name), single: false },
    }
}

fn returning(rng: &mut ChaCha8Rng, table: &Table) -> String {
    if rng.random_bool(0.5) {
        return " RETURNING *".to_string();
    }
    let column = &table.columns[rng.random_range(0..table.columns.len())];
    format!(" RETURNING {} AS r", expression(rng, &table.scope(&table.name), column.ty, 1))
}

/// A condition that few rows meet.
fn narrow(rng: &mut ChaCha8Rng, table: &Table) -> String {
    let scope = table.scope(&table.name);
    match rng.random_range(0..3) {
        0 => format!("{}.id = {}", table.name, rng.random_range(-9..=9)),
        1 => format!("{}.id BETWEEN {} AND 3 AND {}", table.name, rng.random_range(-9..=3), predicate(rng, &scope, 1)),
        _ => format!("{}.id < {} AND {}", table.name, rng.random_range(-6..=0), predicate(rng, &scope, 1)),
    }
}

/// A value for an UPDATE: PostgreSQL computes a constant that does not fit before it knows that no row wants it.
fn fitting(rng: &mut ChaCha8Rng, column: &Column) -> String {
    if column.default.is_some() && rng.random_bool(0.2) {
        return "DEFAULT".to_string();
    }
    value::value(rng, column.ty).sql
}

fn literal(rng: &mut ChaCha8Rng, column: &Column) -> String {
    if column.name == "id" && column.not_null && rng.random_range(0..40) > 0 {
        return rng.random_range(-40..=40).to_string();
    }
    if column.default.is_some() && rng.random_bool(0.2) {
        return "DEFAULT".to_string();
    }
    match (column.ty, rng.random_range(0..60)) {
        (Type::SmallInt, 0) => "40000".to_string(),
        (Type::Varchar, 0) => "'much too long for it'".to_string(),
        (Type::Numeric, 0) => "12345678901.5".to_string(),
        (Type::Numeric, 1) => "1.005".to_string(),
        (ty, _) if column.not_null && rng.random_range(0..12) > 0 => value::not_null(rng, ty).sql,
        (ty, _) => value::value(rng, ty).sql,
    }
}

fn insert(rng: &mut ChaCha8Rng, table: &Table, returning: &str) -> Change {
    let all = rng.random_bool(0.6);
    let columns: Vec<&Column> =
        table.columns.iter().filter(|column| all || column.name == "id" || rng.random_bool(0.7)).collect();
    let count = [1, 1, 1, 2, 5][rng.random_range(0..5)];
    let rows: Vec<String> = (0..count)
        .map(|_| {
            let values: Vec<String> = columns.iter().map(|column| literal(rng, column)).collect();
            format!("({})", values.join(", "))
        })
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let list = if all && rng.random_bool(0.5) { String::new() } else { format!(" ({})", names.join(", ")) };
    let sql = format!("INSERT INTO {}{list} VALUES {}{returning}", table.name, rows.join(", "));
    Change { sql, single: count == 1 }
}

fn insert_select(rng: &mut ChaCha8Rng, table: &Table, tables: &[Table], returning: &str) -> Change {
    let from = &tables[rng.random_range(0..tables.len())];
    let scope = from.scope("s");
    let items: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            if column.name == "id" {
                format!("s.id + {}", rng.random_range(-20..=20))
            } else {
                expression(rng, &scope, column.ty, 1)
            }
        })
        .collect();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let sql = format!(
        "INSERT INTO {} ({}) SELECT {} FROM {} AS s WHERE {} AND s.id BETWEEN {} AND 4{returning}",
        table.name,
        names.join(", "),
        items.join(", "),
        from.name,
        predicate(rng, &scope, 1),
        rng.random_range(-6..=4)
    );
    Change { sql, single: false }
}

fn update(rng: &mut ChaCha8Rng, table: &Table, returning: &str) -> Change {
    let scope = table.scope(&table.name);
    let mut sets = Vec::new();
    for column in table.columns.iter().skip(1) {
        match rng.random_range(0..4) {
            0 => sets.push(format!("{} = {}", column.name, fitting(rng, column))),
            1 | 2 => sets.push(format!("{} = {}", column.name, expression(rng, &scope, column.ty, 1))),
            _ => {}
        }
    }
    if sets.is_empty() {
        let column = &table.columns[1];
        sets.push(format!("{} = {}", column.name, fitting(rng, column)));
    }
    let condition = narrow(rng, table);
    Change { sql: format!("UPDATE {} SET {} WHERE {condition}{returning}", table.name, sets.join(", ")), single: false }
}

/// A key that moves, perhaps onto another row's.
fn move_key(rng: &mut ChaCha8Rng, table: &Table, returning: &str) -> Change {
    let (from, to) = (rng.random_range(-40..=40), rng.random_range(-40..=40));
    Change { sql: format!("UPDATE {} SET id = {to} WHERE id = {from}{returning}", table.name), single: true }
}
