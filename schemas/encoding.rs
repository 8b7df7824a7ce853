//! The contract of an encoding: bytes of a record to values of columns.
//!
//! An encoding first *opens* a record's key or value: finds where the values of the columns stand in it, without reading
//! them. Then it reads those that the envelope asks for, straight into the column. It knows nothing of what a record
//! means; the envelope knows nothing of how it is written.

use crate::cells::Cells;
use crate::record::Fault;
use crate::rows::Rows;
use crate::watch::Watch;

/// A row within a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The record key.
    Key,
    /// The value itself, or what a change event says is there after it.
    After,
    /// What a change event says was there before it.
    Before,
}

/// The shape of a value, as the envelope knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The value is the row ([`Image::After`]).
    Row,
    /// The value is a change event with the fields `op`, `before` and `after`.
    Change,
}

/// What opening a value found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing: as good as a tombstone.
    Nothing,
    /// A row.
    Row,
    /// A change event.
    Change {
        /// What its `op` says; `None` if there is none.
        op: Option<Operation>,
        /// Whether there is a row in `before`.
        before: bool,
        /// Whether there is a row in `after`.
        after: bool,
    },
}

/// The `op` of a change event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// One character, as all known ones are.
    Letter(u8),
    /// Anything else.
    Other(String),
}

/// What opening a key found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBody {
    /// Nothing.
    Nothing,
    /// Columns by name.
    Row,
    /// One value, which stands for the only key column.
    Scalar,
    /// Bytes that the encoding did not write; for an only key column they are its text.
    Foreign,
    /// What can name no key, and why: an array, or one value for a key of several columns.
    Unusable(&'static str),
}

/// How a column stands in an opened image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There is no such field.
    Missing,
    /// It is null.
    Null,
    /// It is Debezium's placeholder for a value that did not change and was not sent.
    Unavailable,
    /// It has a value.
    Value,
}

/// An encoding, for the columns of one table.
pub trait Encoding: Send {
    /// Finds the columns in a key. An error only if it is broken in a way that [`KeyBody`] has no word for.
    fn open_key(&mut self, key: &[u8], watch: &mut Watch) -> Result<KeyBody, Fault>;

    /// Finds the columns in a value.
    fn open_value(&mut self, value: &[u8], shape: Shape, watch: &mut Watch) -> Result<Body, Fault>;

    /// Reads a value that is a row like the one before into a cell of every column, each from this image, without opening it. Whether
    /// it is such a row, and nothing is wrong with it; if not, some columns may have a cell. Not while names are watched.
    fn read_row(&mut self, value: &[u8], rows: &mut Rows) -> bool;

    /// How a column stands in an image of the record opened last; `bytes` is what was opened.
    fn presence(&self, bytes: &[u8], image: Image, column: usize) -> Presence;

    /// Reads the values of an image, from a column on, into `rows`, as long as each is there and of the usual kind; answers the first
    /// column that is not, or the number of columns.
    fn read_usual(&mut self, bytes: &[u8], image: Image, from: usize, rows: &mut Rows) -> usize;

    /// Reads the value of a column that is there into `cells`.
    fn read(&mut self, bytes: &[u8], image: Image, column: usize, cells: &mut Cells) -> Result<(), Fault>;

    /// Whether two images are written alike in these columns: then their values are equal, but not the other way round.
    fn alike(&self, bytes: &[u8], columns: &[usize]) -> bool;
}
