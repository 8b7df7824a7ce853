//! Decoding by several workers: each has a slice of the records and a decoder of its own, and what they find is put together in the order
//! of the records, as if one had decoded them all.
//!
//! The first records of a source are watched, so that what is told of them is of the first indeed: as long as that lasts one decoder
//! decodes all.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use plan::{Envelope, Include, Options};
use zset::{Changes, RowType, stacked};

use crate::compose::DecoderSpec;
use crate::include::include;
use crate::options::SchemaError;
use crate::record::{Decoded, Decoder, RawRecord};

/// Slices are not shorter.
const RECORDS_MIN: usize = 1000;
/// What an array of texts or bytes may have.
const BYTES_MAX: usize = i32::MAX as usize;

/// A decoder for a table of which some columns are included ([`include`]), which lets the workers of its thread help.
pub fn sliced(spec: &DecoderSpec<'_>, included: &[(usize, Include)]) -> Result<Box<dyn Decoder>, SchemaError> {
    let first = include(spec, included)?;
    let of = Of {
        table: spec.table.to_string(),
        columns: spec.columns.clone(),
        key: spec.key.to_vec(),
        envelope: spec.envelope,
        options: spec.options.clone(),
        included: included.to_vec(),
    };
    Ok(Box::new(Sliced { first, others: Vec::new(), of }))
}

struct Sliced {
    first: Box<dyn Decoder>,
    /// Those of the further slices, as many as were needed at a time. What they would warn of is not asked.
    others: Vec<Box<dyn Decoder>>,
    of: Of,
}

/// What decoders are made for.
struct Of {
    table: String,
    columns: RowType,
    key: Vec<usize>,
    envelope: Envelope,
    options: Options,
    included: Vec<(usize, Include)>,
}

impl Of {
    fn decoder(&self) -> Box<dyn Decoder> {
        let Self { table, columns, key, envelope, options, included } = self;
        let spec = DecoderSpec { table, columns, key, envelope: *envelope, options };
        include(&spec, included).expect("the first decoder was made of the same")
    }
}

impl Decoder for Sliced {
    fn decode_columns(&mut self, records: &[RawRecord<'_>], read: Option<&[bool]>) -> Decoded {
        if self.first.is_watching() || !workers::is_cut(records.len(), RECORDS_MIN) {
            return self.first.decode_columns(records, read);
        }
        let slices = workers::pieces(records.len(), RECORDS_MIN);
        while self.others.len() + 1 < slices.len() {
            self.others.push(self.of.decoder());
        }
        let decoders = std::iter::once(&mut self.first).chain(&mut self.others);
        let work: Vec<_> = decoders.zip(&slices).map(|(decoder, slice)| (decoder, &records[slice.clone()])).collect();
        let parts = workers::map(work, |(decoder, slice)| decoder.decode_columns(slice, read));
        if !are_one(&parts, BYTES_MAX) {
            // Which of the records is one too many is for one decoder to say: it does not depend on workers.
            drop(parts);
            return self.first.decode_columns(records, read);
        }
        joined(parts, slices.iter().map(|slice| slice.start))
    }

    fn warnings(&mut self) -> Vec<String> {
        self.first.warnings()
    }

    fn is_watching(&self) -> bool {
        self.first.is_watching()
    }
}

/// Whether no column of all of them together has more bytes than one array may.
fn are_one(parts: &[Decoded], bytes_max: usize) -> bool {
    let bytes = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value_data().len(),
        DataType::Binary => column.as_binary::<i32>().value_data().len(),
        _ => 0,
    };
    let columns = parts.first().map_or(0, |part| part.changes.rows.num_columns());
    let of = |at: usize| parts.iter().map(|part| bytes(part.changes.rows.column(at))).sum::<usize>();
    (0..columns).all(|at| of(at) <= bytes_max)
}

/// What slices say, one after another; `starts` has where each begins among the records.
fn joined(parts: Vec<Decoded>, starts: impl Iterator<Item = usize>) -> Decoded {
    let batches: Vec<&RecordBatch> = parts.iter().map(|part| &part.changes.rows).collect();
    let rows = stacked(batches[0].schema_ref(), &batches);
    let mut changes = Changes { rows, ops: Vec::new(), origin: Vec::new(), keep: Vec::new() };
    let mut dead = Vec::new();
    for (part, start) in parts.into_iter().zip(starts) {
        let (first_row, start) = (changes.ops.len() as u32, start as u32);
        changes.ops.extend(part.changes.ops);
        changes.origin.extend(part.changes.origin.into_iter().map(|record| start + record));
        changes.keep.extend(part.changes.keep.into_iter().map(|(row, column)| (first_row + row, column)));
        dead.extend(part.dead.into_iter().map(|mut letter| {
            letter.record += start;
            letter
        }));
    }
    Decoded { changes, dead }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Int32Array, StringArray};

    use super::*;

    #[test]
    fn slices_are_put_together_as_long_as_that_is_one_array() {
        let part = |text: &str, bytes: &[u8]| {
            let columns: [(&str, ArrayRef); 3] = [
                ("i", Arc::new(Int32Array::from(vec![7; 1]))),
                ("t", Arc::new(StringArray::from(vec![text]))),
                ("b", Arc::new(BinaryArray::from(vec![bytes]))),
            ];
            let rows = RecordBatch::try_from_iter(columns).expect("columns of one row");
            Decoded {
                changes: Changes { rows, ops: Vec::new(), origin: Vec::new(), keep: Vec::new() },
                dead: Vec::new(),
            }
        };
        let parts = [part("abc", b"x"), part("de", b"xyz")];
        assert_eq!([6, 5, 4].map(|bytes_max| are_one(&parts, bytes_max)), [true, true, false]);
        let parts = [part("a", b"x"), part("", b"wxyz")];
        assert_eq!([6, 5, 4].map(|bytes_max| are_one(&parts, bytes_max)), [true, true, false]);
    }
}
