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
            _ => pass.row(Op::Upsert, |pass, column| {
                if pass.key.contains(&column) && in_key(pass, key, column) {
                    Take::Image(Image::Key)
                } else {
                    Take::AfterOrKept
                }
            }),
        }
    }
}

fn in_key(pass: &Pass<'_>, key: KeyBody, column: usize) -> bool {
    match key {
        KeyBody::Row => pass.presence(Image::Key, column) != Presence::Missing,
        KeyBody::Scalar => true,
        // Bytes of another kind say what the key is only where the value does not.
        KeyBody::Foreign => pass.presence(Image::After, column) == Presence::Missing,
        KeyBody::Nothing | KeyBody::Unusable => false,
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
        KeyBody::Unusable => Err(Fault::record(format!(
            "a tombstone (a null value) deletes by its key, and this key is no object with {}",
            names(pass)
        ))),
    }
}

fn names(pass: &Pass<'_>) -> String {
    let names: Vec<String> = pass.key.iter().map(|&at| format!("\"{}\"", pass.columns[at].name)).collect();
    names.join(", ")
}
