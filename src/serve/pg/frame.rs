//! The client's messages, taken apart. A message that is short, or not UTF-8 where it is text, is an error, never a panic.

use bytes::{Buf, Bytes};

use super::error::PgError;
use super::parameter::utf8;

/// What a client says once it is in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Query(String),
    Parse {
        name: String,
        query: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    /// `portal`: else a statement.
    Describe {
        portal: bool,
        name: String,
    },
    Execute {
        portal: String,
        rows_max: usize,
    },
    Close {
        portal: bool,
        name: String,
    },
    Flush,
    Sync,
    Terminate,
    /// CopyData, CopyDone, CopyFail: of a COPY that was refused; PostgreSQL ignores them too.
    Copy,
    FunctionCall,
}

/// Values for a statement's parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub portal: String,
    pub statement: String,
    pub formats: Vec<i16>,
    pub values: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

impl Frame {
    /// Whether an error in it is followed by silence until Sync.
    pub fn is_extended(kind: u8) -> bool {
        matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
    }

    /// Takes a message of a kind apart.
    pub fn read(kind: u8, body: Bytes) -> Result<Self, PgError> {
        let mut fields = Fields(body);
        let frame = match kind {
            b'Q' => Self::Query(fields.text()?),
            b'P' => Self::Parse { name: fields.text()?, query: fields.text()?, types: fields.list(Fields::u32)? },
            b'B' => Self::Bind(Bind {
                portal: fields.text()?,
                statement: fields.text()?,
                formats: fields.list(Fields::i16)?,
                values: fields.list(Fields::value)?,
                result_formats: fields.list(Fields::i16)?,
            }),
            b'D' => Self::Describe { portal: fields.is_portal()?, name: fields.text()? },
            b'C' => Self::Close { portal: fields.is_portal()?, name: fields.text()? },
            b'E' => Self::Execute {
                portal: fields.text()?,
                // Zero, and by PostgreSQL's reading anything below, is no limit.
                rows_max: usize::try_from(fields.u32()? as i32).ok().filter(|max| *max > 0).unwrap_or(usize::MAX),
            },
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'd' | b'c' | b'f' => return Ok(Self::Copy),
            b'F' => return Ok(Self::FunctionCall),
            _ => {
                return Err(PgError {
                    fatal: true,
                    ..PgError::protocol(format!("invalid frontend message type {kind}"))
                });
            }
        };
        if fields.0.has_remaining() {
            return Err(PgError::protocol("invalid message format"));
        }
        Ok(frame)
    }
}

/// What is left of a message.
pub(crate) struct Fields(pub Bytes);

impl Fields {
    fn take(&mut self, length: usize) -> Result<Bytes, PgError> {
        if self.0.len() < length {
            return Err(PgError::protocol("insufficient data left in message"));
        }
        Ok(self.0.split_to(length))
    }

    pub fn i16(&mut self) -> Result<i16, PgError> {
        Ok(self.take(2)?.get_i16())
    }

    pub fn u32(&mut self) -> Result<u32, PgError> {
        Ok(self.take(4)?.get_u32())
    }

    /// Text up to a zero byte.
    pub fn text(&mut self) -> Result<String, PgError> {
        let end =
            self.0.iter().position(|byte| *byte == 0).ok_or_else(|| PgError::protocol("invalid string in message"))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        utf8(&text)
    }

    fn is_portal(&mut self) -> Result<bool, PgError> {
        match self.take(1)?[0] {
            b'P' => Ok(true),
            b'S' => Ok(false),
            other => Err(PgError::protocol(format!("invalid message subtype {other}: it is S or P"))),
        }
    }

    /// Bytes behind their length; -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, PgError> {
        match self.u32()? as i32 {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| PgError::protocol("invalid length of a parameter"))?;
                self.take(length).map(Some)
            }
        }
    }

    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T, PgError>) -> Result<Vec<T>, PgError> {
        let count = self.i16()? as u16;
        (0..count).map(|_| item(self)).collect()
    }
}
