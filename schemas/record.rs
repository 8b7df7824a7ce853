//! Records as they come, and what came of decoding them.

use zset::Changes;

/// A record to decode: the bytes of its key and its value, and where it stood. A value of `None` is a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawRecord<'a> {
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// Its topic. Only a table that includes it needs it.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since 1970; negative: none.
    pub timestamp: i64,
    /// Its headers, in order. Only a table that includes them needs them.
    pub headers: &'a [RawHeader<'a>],
}

/// A header: a name, and a value that may be null.
pub type RawHeader<'a> = (&'a str, Option<&'a [u8]>);

impl<'a> RawRecord<'a> {
    /// A record of which only key and value matter.
    pub fn new(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Self { key, value, ..Self::default() }
    }
}

/// A record that could not be decoded. Nothing of it is in the changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its index among the records that were decoded.
    pub record: u32,
    /// The column it failed at, if it was one.
    pub column: Option<String>,
    /// Why, in a sentence for someone who has never seen this code.
    pub reason: String,
}

/// A decoded batch.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// What the good records say, in order.
    pub changes: Changes,
    /// The bad ones, in order.
    pub dead: Vec<DeadLetter>,
}

/// Decodes the records of one table. It keeps nothing that the result depends on: the same records decode to the same
/// changes in whatever batches they come.
pub trait Decoder: Send {
    /// Decodes a batch. A record that cannot be decoded is a dead letter; the others go on.
    fn decode(&mut self, records: &[RawRecord<'_>]) -> Decoded {
        self.decode_columns(records, None)
    }

    /// The same, for whom reads only some columns (`None`: all). Each other column has one and the same value in all rows: NULL, unless
    /// it is NOT NULL. Its values are judged as those of the others are, so that the same records are dead letters, for the same
    /// reasons. Columns of the key must be read.
    fn decode_columns(&mut self, records: &[RawRecord<'_>], read: Option<&[bool]>) -> Decoded;

    /// What a user should be told once, and was not told yet.
    fn warnings(&mut self) -> Vec<String>;

    /// Whether it still learns from the records in their order what to tell.
    fn is_watching(&self) -> bool;
}

/// Why one record cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column, if it was one.
    pub column: Option<String>,
    /// The reason.
    pub reason: String,
}

impl Fault {
    /// A fault of the record as a whole.
    pub fn record(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }

    /// A fault of one column.
    pub fn column(column: &str, reason: impl Into<String>) -> Self {
        Self { column: Some(column.to_string()), reason: reason.into() }
    }
}
