//! Watches the first records of a source for columns that never come: most often a name whose case differs.

use std::collections::BTreeSet;

/// How many records are watched.
pub const WATCHED_RECORDS: u32 = 1000;
/// How many foreign field names are remembered.
const NAMES_MAX: usize = 100;

/// What was seen so far. After [`WATCHED_RECORDS`] it costs nothing.
#[derive(Debug)]
pub struct Watch {
    left: u32,
    seen: Vec<bool>,
    others: BTreeSet<String>,
}

impl Watch {
    /// Nothing seen yet of so many columns.
    pub fn new(columns: usize) -> Self {
        Self { left: WATCHED_RECORDS, seen: vec![false; columns], others: BTreeSet::new() }
    }

    /// Whether it still watches.
    pub fn is_active(&self) -> bool {
        self.left > 0
    }

    /// A field came: a column's, or another.
    pub fn saw(&mut self, name: &str, column: Option<usize>) {
        if self.left == 0 {
            return;
        }
        match column {
            Some(column) => self.seen[column] = true,
            None if self.others.contains(name) || self.others.len() >= NAMES_MAX => {}
            None => {
                self.others.insert(name.to_string());
            }
        }
    }

    /// A record with a row went by. After the last watched one: the warnings.
    pub fn record(&mut self, table: &str, names: &[String]) -> Vec<String> {
        if self.left == 0 {
            return Vec::new();
        }
        self.left -= 1;
        if self.left > 0 {
            return Vec::new();
        }
        let others = std::mem::take(&mut self.others);
        let came = names.iter().zip(&self.seen).filter(|(_, seen)| **seen).map(|(name, _)| name);
        let fields: Vec<String> = came.chain(&others).map(|name| format!("\"{name}\"")).collect();
        let fields = if fields.is_empty() { "none".to_string() } else { fields.join(", ") };
        let unseen = names.iter().zip(&self.seen).filter(|(_, seen)| !**seen).map(|(name, _)| name);
        unseen.map(|name| warning(table, name, &fields, &others)).collect()
    }
}

fn warning(table: &str, name: &str, fields: &str, others: &BTreeSet<String>) -> String {
    let like = others.iter().find(|other| other.to_lowercase() == name.to_lowercase());
    let hint =
        like.map(|other| format!("; if \"{other}\" is meant, write \"{other}\" with its quotes in CREATE TABLE"));
    format!(
        "table \"{table}\": column \"{name}\" was in none of the first {WATCHED_RECORDS} records and is NULL in all of \
         them; the fields that were: {fields}; names match exactly{}",
        hint.unwrap_or_default()
    )
}
