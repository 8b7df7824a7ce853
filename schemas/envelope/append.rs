//! Append: every record is a row. With a PRIMARY KEY the last row of a key wins.

use zset::Op;

use super::{Envelope, Pass, Take};
use crate::encoding::{Body, Image, Shape};
use crate::record::Fault;

/// The append envelope.
#[derive(Debug)]
pub struct Append;

impl Envelope for Append {
    fn apply(&self, pass: &mut Pass<'_>) -> Result<(), Fault> {
        let op = if pass.key.is_empty() { Op::Insert } else { Op::Upsert };
        if pass.quick_row(op) {
            return Ok(());
        }
        if pass.open_value(Shape::Row)? == Body::Nothing {
            return Err(Fault::record(
                "the value is null, and every record of an append topic is a row; if it deletes, use envelope 'upsert'",
            ));
        }
        pass.row_of(op, Image::After, |_, _| Take::Image(Image::After))
    }
}
