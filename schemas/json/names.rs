//! Field names to columns, predicting that a record's fields come in the order of the last record's.
//!
//! A field's *head* is all that stands between the value before it and its own: `,"name":` with whatever white space the producer
//! writes. Bytes that are the head of the last record's field at this place are that field again, without being read.

use std::collections::HashMap;

use zset::RowType;

/// How many fields are predicted.
const PREDICTED_MAX: usize = 4096;
/// So many bytes of a head are compared as one number.
const WORD: usize = 16;

/// The columns by name.
#[derive(Debug)]
pub(super) struct Names {
    columns: HashMap<String, usize>,
    /// The fields of the last record, in order.
    last: Vec<Field>,
    /// How many of the first of them are no column twice; `None`: they have changed.
    apart: Option<usize>,
}

#[derive(Debug)]
struct Field {
    name: String,
    column: Option<usize>,
    /// Empty: not known.
    head: Vec<u8>,
    /// Its first bytes, and which bits of them there are.
    word: u128,
    mask: u128,
}

impl Names {
    /// The names of all columns.
    pub fn new(columns: &RowType) -> Self {
        let columns = columns.0.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        Self { columns, last: Vec::new(), apart: None }
    }

    /// How many of the first fields of the last record are no column twice, and cannot be Kafka Connect's wrapper.
    pub fn apart(&mut self) -> usize {
        if let Some(known) = self.apart {
            return known;
        }
        let mut seen = vec![false; self.columns.len()];
        let mut twice = |column: usize| std::mem::replace(&mut seen[column], true);
        let wraps = |field: &Field| matches!(field.name.as_str(), "schema" | "payload");
        let first = self.last.iter().position(|field| wraps(field) || field.column.is_some_and(&mut twice));
        let apart = first.unwrap_or(self.last.len());
        self.apart = Some(apart);
        apart
    }

    /// Whether a column is among the first fields of the last record.
    pub fn has(&self, fields: usize, column: usize) -> bool {
        self.last.iter().take(fields).any(|field| field.column == Some(column))
    }

    /// If `rest` begins with the head of the field that was the `place`th of the last record: its length, and the field's column.
    pub fn predicted(&self, place: usize, rest: &[u8]) -> Option<(usize, Option<usize>)> {
        let Field { column, head, word, mask, .. } = self.last.get(place).filter(|field| !field.head.is_empty())?;
        let same = match rest.first_chunk::<WORD>() {
            Some(first) => {
                (u128::from_le_bytes(*first) ^ word) & mask == 0
                    && (head.len() <= WORD || rest[WORD..].starts_with(&head[WORD..]))
            }
            None => rest.starts_with(head),
        };
        same.then_some((head.len(), *column))
    }

    /// The column of the field that is the `place`th of its record.
    pub fn find(&mut self, place: usize, name: &str) -> Option<usize> {
        if let Some(last) = self.last.get(place)
            && last.name == name
        {
            return last.column;
        }
        let column = self.columns.get(name).copied();
        if let Some(last) = self.last.get_mut(place) {
            last.name.clear();
            last.name.push_str(name);
            last.column = column;
            last.head.clear();
        } else if place == self.last.len() && place < PREDICTED_MAX {
            self.last.push(Field { name: name.to_string(), column, head: Vec::new(), word: 0, mask: 0 });
        }
        self.apart = None;
        column
    }

    /// What stood before the value of the field that was found last, at this place.
    pub fn learn(&mut self, place: usize, head: &[u8]) {
        let Some(field) = self.last.get_mut(place) else { return };
        let mut first = [0; WORD];
        let length = head.len().min(WORD);
        first[..length].copy_from_slice(&head[..length]);
        field.word = u128::from_le_bytes(first);
        field.mask = u128::MAX >> (8 * (WORD - length));
        field.head.clear();
        field.head.extend_from_slice(head);
    }
}
