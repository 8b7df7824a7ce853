//! INCLUDE: columns that hold what a record has beside its value: its key, its topic and where it stood there, its time, its headers.
//!
//! The other columns are decoded as if these were not there; then each row gets what its record has. Of a row that
//! deletes, only its key means anything, so that it may have them too. A table without a key that retracts rows cannot
//! include anything: the record that retracts is another than the one that inserted.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use plan::{Envelope, Include};
use zset::{Changes, Column, RowType};

use crate::cells::{Cell, Cells};
use crate::compose::{DecoderSpec, decoder};
use crate::options::SchemaError;
use crate::record::{Decoded, Decoder, RawHeader, RawRecord};
use crate::text;

/// A decoder for a table of which some columns are included: the place of each, and what it holds.
pub fn include(spec: &DecoderSpec<'_>, include: &[(usize, Include)]) -> Result<Box<dyn Decoder>, SchemaError> {
    if include.is_empty() {
        return decoder(spec);
    }
    let refuse = |why: String| Err(SchemaError::Envelope(format!("table \"{}\": {why}", spec.table)));
    let included = |at: &usize| include.iter().any(|(column, _)| column == at);
    if let Some(at) = spec.key.iter().find(|at| included(at)) {
        let name = &spec.columns.0[*at].name;
        return refuse(format!(
            "column \"{name}\" is included, and cannot be in the PRIMARY KEY: the key is what the source says it is"
        ));
    }
    if spec.envelope == Envelope::Debezium && spec.key.is_empty() {
        return refuse(
            "INCLUDE needs a PRIMARY KEY under envelope 'debezium': a change event retracts a row that another record \
             brought, with other coordinates"
                .to_string(),
        );
    }
    let decoded: Vec<usize> = (0..spec.columns.0.len()).filter(|at| !included(at)).collect();
    let columns = RowType(decoded.iter().map(|&at| spec.columns.0[at].clone()).collect());
    let key: Vec<usize> = spec.key.iter().filter_map(|at| decoded.iter().position(|column| column == at)).collect();
    let inner = decoder(&DecoderSpec { columns: &columns, key: &key, ..*spec })?;
    let included = include.iter().map(|(at, what)| (*at, *what, spec.columns.0[*at].clone())).collect();
    Ok(Box::new(Including { inner, decoded, included, schema: spec.columns.schema() }))
}

struct Including {
    inner: Box<dyn Decoder>,
    /// The places of the columns that are decoded, in order.
    decoded: Vec<usize>,
    included: Vec<(usize, Include, Column)>,
    schema: SchemaRef,
}

impl Decoder for Including {
    fn decode_columns(&mut self, records: &[RawRecord<'_>], read: Option<&[bool]>) -> Decoded {
        let inner: Option<Vec<bool>> = read.map(|read| self.decoded.iter().map(|at| read[*at]).collect());
        let Decoded { changes, dead } = self.inner.decode_columns(records, inner.as_deref());
        let Changes { rows, ops, origin, keep } = changes;
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for (column, &at) in rows.columns().iter().zip(&self.decoded) {
            columns[at] = Some(Arc::clone(column));
        }
        for (at, what, column) in &self.included {
            let mut cells = match read.is_none_or(|read| read[*at]) {
                true => Cells::new(column.ty, ops.len()),
                false => Cells::unread(column.ty),
            };
            for &record in &origin {
                push(*what, &records[record as usize], &mut cells);
            }
            columns[*at] = Some(cells.finish(column.nullable));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(ops.len()));
        let columns = columns.into_iter().map(|column| column.expect("every column is decoded or included")).collect();
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .expect("included columns have the types of what they hold");
        let keep = keep.into_iter().map(|(row, column)| (row, self.decoded[column as usize] as u32)).collect();
        Decoded { changes: Changes { rows, ops, origin, keep }, dead }
    }

    fn warnings(&mut self) -> Vec<String> {
        self.inner.warnings()
    }

    fn is_watching(&self) -> bool {
        self.inner.is_watching()
    }
}

fn push(what: Include, record: &RawRecord<'_>, cells: &mut Cells) {
    let micros = || Some(record.timestamp).filter(|ms| *ms >= 0)?.checked_mul(1000);
    let pushed = match what {
        Include::Key => record.key.map(|key| cells.push(Cell::Bytes(key))),
        Include::Topic => Some(cells.push(Cell::Bytes(record.topic.as_bytes()))),
        Include::Partition => Some(cells.push(Cell::Int(record.partition))),
        Include::Offset => Some(cells.push(Cell::BigInt(record.offset))),
        Include::Timestamp => micros().map(|micros| cells.push(Cell::BigInt(micros))),
        Include::Headers => Some(cells.push(Cell::Bytes(headers(record.headers).as_bytes()))),
    };
    if !matches!(pushed, Some(Ok(()))) {
        cells.push_null();
    }
}

/// PostgreSQL's text of `[{"key": ..., "value": ...}, ...]`.
fn headers(headers: &[RawHeader<'_>]) -> String {
    let header = |(name, value): &RawHeader<'_>| {
        let value = value.map_or(serde_json::Value::Null, |value| words(value).into());
        serde_json::json!({ "key": words(name.as_bytes()), "value": value })
    };
    let all: serde_json::Value = headers.iter().map(header).collect();
    text::jsonb(&all.to_string()).unwrap_or_else(|_| "[]".to_string())
}

/// Bytes as text; as PostgreSQL shows bytea where they are none. (jsonb has no NUL.)
fn words(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_string(),
        _ => bytes.iter().fold("\\x".to_string(), |text, byte| format!("{text}{byte:02x}")),
    }
}
