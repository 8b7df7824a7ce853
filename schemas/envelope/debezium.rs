//! Debezium: change events with `op`, `before` and `after`.
//!
//! Key columns are taken from `after` (c, u, r) and `before` (d), never from the record key, which under REPLICA IDENTITY
//! USING INDEX is wrong. Of `before` nothing else is believed, unless the identity is declared full: it holds nulls and
//! zero values. A table without a key retracts what `before` says.

use zset::Op;

use super::{Envelope, Pass, Take};
use crate::encoding::{Body, Image, KeyBody, Operation, Presence, Shape};
use crate::record::Fault;

/// The Debezium envelope.
#[derive(Debug)]
pub struct Debezium {
    /// Whether `before` is the whole old row.
    pub full_identity: bool,
}

impl Envelope for Debezium {
    fn apply(&self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let (op, before, after) = match pass.open_value(Shape::Change)? {
            Body::Change { op, before, after } => (op, before, after),
            _ => return tombstone(pass),
        };
        let letter = match op {
            Some(Operation::Letter(letter)) => letter,
            Some(Operation::Other(text)) => return Err(unknown(&text)),
            None => {
                return Err(Fault::record(
                    "there is no field \"op\": this is no Debezium change event; for flattened records \
                     (ExtractNewRecordState) use envelope 'upsert' or 'append'",
                ));
            }
        };
        match letter {
            b'r' | b'c' | b'u' if !after => Err(lacks("after", letter, "")),
            b'r' | b'c' => self.now(pass),
            b'u' if pass.key.is_empty() => {
                before_needed(before, letter)?;
                pass.row_of(Op::Retract, Image::Before, |_, _| Take::Sent(Image::Before))?;
                self.now(pass)
            }
            b'u' => self.update(pass, before),
            b'd' => {
                before_needed(before, letter)?;
                match pass.key.is_empty() {
                    true => pass.row_of(Op::Retract, Image::Before, |_, _| Take::Sent(Image::Before)),
                    false => delete(pass, Image::Before),
                }
            }
            b't' => pass.truncate(),
            // A logical message: no row.
            b'm' => Ok(()),
            other => Err(unknown(&char::from(other).to_string())),
        }
    }
}

impl Debezium {
    /// The row is there.
    fn now(&self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let op = if pass.key.is_empty() { Op::Insert } else { Op::Upsert };
        pass.row_of(op, Image::After, |pass, column| {
            let told = self.full_identity && pass.presence(Image::Before, column) == Presence::Value;
            match (told, pass.key.is_empty()) {
                (true, _) => Take::AfterOrBefore,
                (false, true) => Take::Sent(Image::After),
                (false, false) => Take::AfterOrKept,
            }
        })
    }

    /// An update of a table with a key: if the key changed, the row of the old key is gone.
    fn update(&self, pass: &mut Pass<'_>, before: bool) -> Result<(), Fault> {
        let told = |pass: &Pass<'_>, at: &usize| pass.presence(Image::Before, *at) == Presence::Value;
        let whole = before && pass.key.iter().all(|at| told(pass, at));
        if !whole || pass.encoding.alike(pass.record.value.unwrap_or_default(), pass.key) {
            return self.now(pass);
        }
        let start = pass.rows.len();
        delete(pass, Image::Before)?;
        self.now(pass)?;
        if pass.rows.same(start, start + 1, pass.key) {
            // Written differently, but the same key.
            pass.rows.truncate(start);
            self.now(pass)?;
        }
        Ok(())
    }
}

/// The row of the key in `image` is gone.
fn delete(pass: &mut Pass<'_>, image: Image) -> Result<(), Fault> {
    pass.row(Op::Delete, |pass, column| if pass.key.contains(&column) { Take::Image(image) } else { Take::Nowhere })
}

/// Deletes if the record key holds the whole key: compaction may have eaten the d before it. Otherwise the d said it all.
fn tombstone(pass: &mut Pass<'_>) -> Result<(), Fault> {
    if pass.key.is_empty() || pass.open_key()? != KeyBody::Row {
        return Ok(());
    }
    match pass.key.iter().all(|&at| pass.presence(Image::Key, at) == Presence::Value) {
        true => delete(pass, Image::Key),
        false => Ok(()),
    }
}

fn before_needed(before: bool, letter: u8) -> Result<(), Fault> {
    const HINT: &str = "; is the source's REPLICA IDENTITY set (FULL for a table without a key)?";
    if before { Ok(()) } else { Err(lacks("before", letter, HINT)) }
}

fn lacks(field: &str, letter: u8, hint: &str) -> Fault {
    Fault::record(format!("\"{field}\" is null in a change event with op \"{}\"{hint}", char::from(letter)))
}

fn unknown(op: &str) -> Fault {
    Fault::record(format!("op \"{op}\" is not known; a change event has r, c, u, d, t or m"))
}
