//! Upsert: the value is the row of its key; no value deletes it.
//!
//! Key columns are taken from the record key (an object with their names, or one value for an only column), and those
//! that it does not hold from the value.

use zset::Op;

use super::{Envelope, Pass, Take};
use crate::encoding::{Body, Image, KeyBody, Presence, Shape};
use crate::record::Fault;

/// The upsert envelope.
#[derive(Debug)]
pub struct Upsert;

impl Envelope for Upsert {
    fn apply(&self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let key = pass.open_key()?;
        match pass.open_value(Shape::Row)? {
            Body::Nothing => delete(pass, key),
            _ => {
                let row = pass.row(Op::Upsert, |pass, column| {
                    if pass.key.contains(&column) && in_key(pass, key, column) {
                        Take::Image(Image::Key)
                    } else {
                        Take::AfterOrKept
                    }
                });
                row.map_err(|fault| of_key(fault, pass, key))
            }
        }
    }
}

/// Where a column of the key is missed, the record key could have had it.
fn of_key(fault: Fault, pass: &Pass<'_>, key: KeyBody) -> Fault {
    let is_its = |column: &String| pass.key.iter().any(|&at| pass.columns[at].name == *column);
    match key {
        KeyBody::Unusable(why) if fault.column.as_ref().is_some_and(is_its) => {
            Fault { reason: format!("{}; and the record key {why}", fault.reason), ..fault }
        }
        _ => fault,
    }
}

fn in_key(pass: &Pass<'_>, key: KeyBody, column: usize) -> bool {
    match key {
        KeyBody::Row => pass.presence(Image::Key, column) != Presence::Missing,
        KeyBody::Scalar => true,
        // Bytes of another kind say what the key is only where the value does not.
        KeyBody::Foreign => pass.presence(Image::After, column) == Presence::Missing,
        KeyBody::Nothing | KeyBody::Unusable(_) => false,
    }
}

fn delete(pass: &mut Pass<'_>, key: KeyBody) -> Result<(), Fault> {
    match key {
        KeyBody::Row | KeyBody::Scalar | KeyBody::Foreign => {
            pass.row(
                Op::Delete,
                |pass, column| {
                    if pass.key.contains(&column) { Take::Image(Image::Key) } else { Take::Nowhere }
                },
            )
        }
        KeyBody::Nothing => Err(Fault::record("a tombstone (a null value) deletes by its key, and this one has none")),
        KeyBody::Unusable(why) => Err(Fault::record(format!(
            "a tombstone (a null value) deletes by its key, and this key {why}; it must hold {}",
            names(pass)
        ))),
    }
}

fn names(pass: &Pass<'_>) -> String {
    let names: Vec<String> = pass.key.iter().map(|&at| format!("\"{}\"", pass.columns[at].name)).collect();
    names.join(", ")
}
