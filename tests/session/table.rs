//! Random tables of our own: with and without a key, with defaults, checks and NOT NULL.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::oracle::value::{self, Type};

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: Type,
    pub default: Option<String>,
    pub not_null: bool,
    pub check: Option<String>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub keyed: bool,
    pub columns: Vec<Column>,
}

impl Table {
    /// A random table. Its first column is `id`.
    pub fn random(rng: &mut ChaCha8Rng, number: usize) -> Self {
        let keyed = rng.random_bool(0.65);
        let mut columns = vec![Column {
            name: "id".to_string(),
            ty: [Type::Int, Type::BigInt, Type::SmallInt][rng.random_range(0..3)],
            default: None,
            not_null: keyed,
            check: None,
        }];
        for at in 0..rng.random_range(2..6) {
            let ty = value::ALL[rng.random_range(0..value::ALL.len())];
            let name = format!("c{at}");
            let default =
                rng.random_bool(0.3).then(|| format!("CAST({} AS {})", value::not_null(rng, ty).sql, ty.sql()));
            let check = (ty.is_number() && rng.random_bool(0.3))
                .then(|| format!("{name} {} {}", ["<", ">", "<>"][rng.random_range(0..3)], rng.random_range(-5..=5)));
            columns.push(Column { name, ty, default, not_null: rng.random_bool(0.2), check });
        }
        Self { name: format!("t{number}"), keyed, columns }
    }

    /// The statement that makes it, the same for both.
    pub fn create(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for column in &self.columns {
            let mut part = format!("{} {}", column.name, column.ty.sql());
            if let Some(default) = &column.default {
                part.push_str(&format!(" DEFAULT {default}"));
            }
            if column.not_null && column.name != "id" {
                part.push_str(" NOT NULL");
            }
            if let Some(check) = &column.check {
                part.push_str(&format!(" CHECK ({check})"));
            }
            parts.push(part);
        }
        if self.keyed {
            parts.push("PRIMARY KEY (id)".to_string());
        }
        format!("CREATE TABLE {} ({})", self.name, parts.join(", "))
    }

    /// Its columns with their types, under a qualifier.
    pub fn scope(&self, qualifier: &str) -> Vec<(String, Type)> {
        self.columns.iter().map(|column| (format!("{qualifier}.{}", column.name), column.ty)).collect()
    }
}
