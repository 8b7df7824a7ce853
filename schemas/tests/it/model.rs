//! A model of a table: applies changes as the engine does, and shows rows as text.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use plan::{Envelope, Options};
use schemas::{DeadLetter, Decoder, DecoderSpec, RawRecord, RowWriter};
use zset::{Changes, Column, Op, RowType};

/// A declared table: `("id", "bigint")`, a type that ends in `!` is NOT NULL.
pub fn columns(columns: &[(&str, &str)]) -> RowType {
    let column = |(name, ty): &(&str, &str)| {
        let (ty, nullable) = ty.strip_suffix('!').map_or((*ty, true), |ty| (ty, false));
        Column::new(*name, ty.parse().unwrap(), nullable)
    };
    RowType(columns.iter().map(column).collect())
}

pub fn options(options: &[(&str, &str)]) -> Options {
    Options(options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
}

/// The key and value of a record.
pub type Bytes = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A table and its decoder.
pub struct Table {
    pub columns: RowType,
    pub key: Vec<usize>,
    decoder: Box<dyn Decoder>,
    /// Key to row, for a table with a key.
    keyed: BTreeMap<String, Vec<ArrayRef>>,
    /// Row to count, for a table without.
    bag: BTreeMap<String, i64>,
    pub dead: Vec<DeadLetter>,
    /// Placeholders for which there was no old row.
    pub unresolved: Vec<(u32, u32)>,
    pub missing_retractions: usize,
}

impl Table {
    pub fn new(columns: RowType, key: &[&str], envelope: Envelope, given: &[(&str, &str)]) -> Self {
        let key: Vec<usize> = key.iter().map(|name| columns.position(name).unwrap()).collect();
        let options = options(given);
        let spec = DecoderSpec { table: "t", columns: &columns, key: &key, envelope, options: &options };
        let decoder = schemas::decoder(&spec).unwrap();
        Self {
            columns,
            key,
            decoder,
            keyed: BTreeMap::new(),
            bag: BTreeMap::new(),
            dead: Vec::new(),
            unresolved: Vec::new(),
            missing_retractions: 0,
        }
    }

    pub fn feed(&mut self, records: &[(Option<&str>, Option<&str>)]) {
        let bytes = |text: &Option<&str>| text.map(|text| text.as_bytes().to_vec());
        self.feed_bytes(&records.iter().map(|(key, value)| (bytes(key), bytes(value))).collect::<Vec<_>>());
    }

    pub fn feed_bytes(&mut self, records: &[Bytes]) {
        let raw: Vec<RawRecord<'_>> =
            records.iter().map(|(key, value)| RawRecord::new(key.as_deref(), value.as_deref())).collect();
        let decoded = self.decoder.decode(&raw);
        self.apply(&decoded.changes);
        self.dead.extend(decoded.dead);
    }

    /// The changes of records, without applying them.
    pub fn decode(&mut self, records: &[(Option<&str>, Option<&str>)]) -> Changes {
        let raw: Vec<RawRecord<'_>> = records
            .iter()
            .map(|(key, value)| RawRecord::new(key.map(str::as_bytes), value.map(str::as_bytes)))
            .collect();
        let decoded = self.decoder.decode(&raw);
        self.dead.extend(decoded.dead);
        decoded.changes
    }

    pub fn warnings(&mut self) -> Vec<String> {
        self.decoder.warnings()
    }

    fn apply(&mut self, changes: &Changes) {
        assert_eq!(changes.ops.len(), changes.rows.num_rows());
        assert_eq!(changes.ops.len(), changes.origin.len());
        assert!(changes.origin.is_sorted() && changes.keep.is_sorted());
        let all: Vec<usize> = (0..self.columns.0.len()).collect();
        let (rows, keys) = (RowWriter::new(&self.columns, &all), RowWriter::new(&self.columns, &self.key));
        let (rows, keys) = (rows.bind(&changes.rows), keys.bind(&changes.rows));
        let text = |row: usize| {
            let mut out = Vec::new();
            rows.write(row, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (at, op) in changes.ops.iter().enumerate() {
            let mut key = Vec::new();
            keys.write(at, &mut key);
            let key = String::from_utf8(key).unwrap();
            match op {
                Op::Insert => *self.bag.entry(text(at)).or_default() += 1,
                Op::Retract => {
                    let count = self.bag.entry(text(at)).or_default();
                    *count -= 1;
                    self.missing_retractions += usize::from(*count < 0);
                    *count = (*count).max(0);
                }
                Op::Upsert => self.upsert(changes, at, key),
                Op::Delete => {
                    self.keyed.remove(&key);
                }
                Op::Truncate => {
                    self.keyed.clear();
                    self.bag.clear();
                }
            }
        }
        self.bag.retain(|_, count| *count > 0);
    }

    fn upsert(&mut self, changes: &Changes, at: usize, key: String) {
        let index = UInt32Array::from(vec![at as u32]);
        let mut row: Vec<ArrayRef> =
            changes.rows.columns().iter().map(|column| take(column, &index, None).unwrap()).collect();
        for (_, column) in changes.keep.iter().filter(|(row, _)| *row as usize == at) {
            assert!(row[*column as usize].is_null(0), "a kept value is NULL in the rows");
            match self.keyed.get(&key) {
                Some(old) => row[*column as usize] = old[*column as usize].clone(),
                None => {
                    self.unresolved.push((changes.origin[at], *column));
                    return;
                }
            }
        }
        self.keyed.insert(key, row);
    }

    /// The rows, as the sinks write them, in order of their text.
    pub fn rows(&self) -> Vec<String> {
        let all: Vec<usize> = (0..self.columns.0.len()).collect();
        let writer = RowWriter::new(&self.columns, &all);
        let keyed = self.keyed.values().map(|row| {
            let batch = arrow::array::RecordBatch::try_new(self.columns.schema(), row.clone()).unwrap();
            let mut out = Vec::new();
            writer.bind(&batch).write(0, &mut out);
            String::from_utf8(out).unwrap()
        });
        let bag = self.bag.iter().flat_map(|(row, count)| std::iter::repeat_n(row.clone(), *count as usize));
        let mut rows: Vec<String> = keyed.chain(bag).collect();
        rows.sort();
        rows
    }

    /// Why records were refused.
    pub fn reasons(&self) -> Vec<&str> {
        self.dead.iter().map(|letter| letter.reason.as_str()).collect()
    }
}

#[track_caller]
pub fn assert_rows(table: &Table, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(table.rows(), expected, "dead letters: {:?}", table.dead);
}
