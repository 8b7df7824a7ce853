//! The contract of an envelope: what a record means for the table, whatever it is encoded in.

mod append;
mod debezium;
mod upsert;

use zset::{Column, Op};

pub use append::Append;
pub use debezium::Debezium;
pub use upsert::Upsert;

use crate::encoding::{Body, Encoding, Image, KeyBody, Presence, Shape};
use crate::record::{Fault, RawRecord};
use crate::rows::Rows;
use crate::watch::Watch;

/// An envelope.
pub trait Envelope: Send {
    /// Adds to the pass's rows what its record says. What it added before an error is taken back by the caller.
    fn apply(&self, pass: &mut Pass<'_>) -> Result<(), Fault>;
}

/// One record on its way through an envelope.
pub struct Pass<'a> {
    /// The record.
    pub record: RawRecord<'a>,
    /// Its index in the batch.
    pub origin: u32,
    /// The table's columns.
    pub columns: &'a [Column],
    /// The positions of the key columns.
    pub key: &'a [usize],
    /// What the record is written in.
    pub encoding: &'a mut dyn Encoding,
    /// The rows so far.
    pub rows: &'a mut Rows,
    /// What the first records hold.
    pub watch: &'a mut Watch,
}

/// Where the value of a column is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// From an image, and NULL if it is not there.
    Image(Image),
    /// As from [`Image::After`]; Debezium's placeholder means the value of the row that is there already.
    AfterOrKept,
    /// As from [`Image::After`]; in place of Debezium's placeholder, from [`Image::Before`].
    AfterOrBefore,
    /// As from an image; Debezium's placeholder is a fault, for there is no row to take the value from.
    Sent(Image),
    /// Nothing: it means nothing in this row.
    Nowhere,
}

impl Pass<'_> {
    /// Opens the value.
    pub fn open_value(&mut self, shape: Shape) -> Result<Body, Fault> {
        match self.record.value {
            Some(value) => self.encoding.open_value(value, shape, self.watch),
            None => Ok(Body::Nothing),
        }
    }

    /// Adds the row that the value is, if it is one like that of the record before. Whether it did.
    pub fn quick_row(&mut self, op: Op) -> bool {
        let Some(value) = self.record.value.filter(|_| !self.watch.is_active()) else { return false };
        let before = self.rows.len();
        if !self.encoding.read_row(value, self.rows) {
            self.rows.truncate(before);
            return false;
        }
        self.rows.finish_row(op, self.origin);
        true
    }

    /// Opens the key.
    pub fn open_key(&mut self) -> Result<KeyBody, Fault> {
        match self.record.key {
            Some(key) => self.encoding.open_key(key, self.watch),
            None => Ok(KeyBody::Nothing),
        }
    }

    /// How a column stands in an image.
    pub fn presence(&self, image: Image, column: usize) -> Presence {
        self.encoding.presence(self.bytes(image), image, column)
    }

    fn bytes(&self, image: Image) -> &[u8] {
        let bytes = if image == Image::Key { self.record.key } else { self.record.value };
        bytes.unwrap_or_default()
    }

    /// Adds a row, each column from where `from` says.
    pub fn row(&mut self, op: Op, from: impl Fn(&Self, usize) -> Take) -> Result<(), Fault> {
        for column in 0..self.columns.len() {
            let from = from(self, column);
            self.cell(op, column, from)?;
        }
        self.rows.finish_row(op, self.origin);
        Ok(())
    }

    /// As [`Pass::row`], where `from` takes each value of `image` that is there from there.
    pub fn row_of(&mut self, op: Op, image: Image, from: impl Fn(&Self, usize) -> Take) -> Result<(), Fault> {
        let mut column = 0;
        loop {
            let bytes = if image == Image::Key { self.record.key } else { self.record.value };
            column = self.encoding.read_usual(bytes.unwrap_or_default(), image, column, self.rows);
            if column >= self.columns.len() {
                break;
            }
            let from = from(self, column);
            self.cell(op, column, from)?;
            column += 1;
        }
        self.rows.finish_row(op, self.origin);
        Ok(())
    }

    fn cell(&mut self, op: Op, column: usize, from: Take) -> Result<(), Fault> {
        let image = match from {
            Take::Image(image) | Take::Sent(image) => image,
            Take::AfterOrKept | Take::AfterOrBefore => Image::After,
            Take::Nowhere => {
                self.rows.column(column).push_null();
                return Ok(());
            }
        };
        match (self.presence(image, column), from) {
            (Presence::Unavailable, Take::AfterOrKept) => {
                self.rows.keep(column);
                Ok(())
            }
            (Presence::Unavailable, Take::AfterOrBefore) => self.cell(op, column, Take::Sent(Image::Before)),
            (Presence::Unavailable, Take::Sent(_)) => {
                let name = &self.columns[column].name;
                Err(Fault::column(
                    name,
                    format!(
                        "column \"{name}\": the source did not send the value because it did not change, and there is no \
                         old row to take it from"
                    ),
                ))
            }
            (Presence::Value | Presence::Unavailable, _) => self.read(image, column),
            (presence, _) => {
                self.may_be_null(op, column, presence)?;
                self.rows.column(column).push_null();
                Ok(())
            }
        }
    }

    fn read(&mut self, image: Image, column: usize) -> Result<(), Fault> {
        let bytes = if image == Image::Key { self.record.key } else { self.record.value };
        self.encoding.read(bytes.unwrap_or_default(), image, column, self.rows.column(column))
    }

    fn may_be_null(&self, op: Op, at: usize, presence: Presence) -> Result<(), Fault> {
        let column = &self.columns[at];
        let key = self.key.contains(&at);
        if column.nullable && !key {
            return Ok(());
        }
        let name = &column.name;
        let why = if key { "in the PRIMARY KEY" } else { "NOT NULL" };
        let what = match presence {
            Presence::Missing => format!("there is no field \"{name}\""),
            _ => "it is null".to_string(),
        };
        let place = match op {
            Op::Delete | Op::Retract => " in what the record deletes",
            _ => " in the record",
        };
        Err(Fault::column(name, format!("column \"{name}\" is {why}, and {what}{place}")))
    }

    /// Adds the row that says that the table is empty.
    pub fn truncate(&mut self) -> Result<(), Fault> {
        self.row(Op::Truncate, |_, _| Take::Nowhere)
    }
}
