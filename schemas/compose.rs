//! Composes an encoding with an envelope: the one place where they meet, by name. A new encoding or envelope is one line
//! here, one in the options, and a file.

use arrow::datatypes::SchemaRef;
use plan::{Envelope, Options};
use zset::RowType;

use crate::encoding::Encoding;
use crate::envelope::{self, Pass};
use crate::json::JsonEncoding;
use crate::options::{Modes, SchemaError, check_options, full_identity};
use crate::record::{DeadLetter, Decoded, Decoder, RawRecord};
use crate::rows::Rows;
use crate::watch::Watch;

/// What a decoder is made for.
#[derive(Debug, Clone, Copy)]
pub struct DecoderSpec<'a> {
    /// The table's name, for messages.
    pub table: &'a str,
    /// The columns, in declared order.
    pub columns: &'a RowType,
    /// The positions of the key columns; empty: keyless (also for a source that is not stored).
    pub key: &'a [usize],
    /// The envelope.
    pub envelope: Envelope,
    /// All options of the table; those of [`crate::source_options`] are taken.
    pub options: &'a Options,
}

/// A decoder for a table's records.
pub fn decoder(spec: &DecoderSpec<'_>) -> Result<Box<dyn Decoder>, SchemaError> {
    check_options(spec.options)?;
    let keyless = spec.key.is_empty();
    let full = full_identity(spec.options);
    let refuse = |why: &str| Err(SchemaError::Envelope(format!("table \"{}\" has no PRIMARY KEY: {why}", spec.table)));
    let envelope: Box<dyn envelope::Envelope> = match spec.envelope {
        Envelope::Append => Box::new(envelope::Append),
        Envelope::Upsert if keyless => return refuse("envelope 'upsert' needs one; declare it, or use 'append'"),
        Envelope::Upsert => Box::new(envelope::Upsert),
        Envelope::Debezium if keyless && !full => {
            return refuse(
                "envelope 'debezium' then needs replica_identity = 'full', here and at the source \
                 (ALTER TABLE ... REPLICA IDENTITY FULL); or declare a PRIMARY KEY",
            );
        }
        Envelope::Debezium => Box::new(envelope::Debezium { full_identity: full }),
    };
    let modes = Modes::of(spec.options, spec.envelope);
    let encoding: Box<dyn Encoding> = match spec.options.get("format").unwrap_or("json") {
        "json" => Box::new(JsonEncoding::new(spec.columns, spec.key, modes)),
        other => unreachable!("format '{other}' passed the check of options"),
    };
    Ok(Box::new(Composed {
        table: spec.table.to_string(),
        names: spec.columns.0.iter().map(|column| column.name.clone()).collect(),
        columns: spec.columns.clone(),
        schema: spec.columns.schema(),
        key: spec.key.to_vec(),
        encoding,
        envelope,
        watch: Watch::new(spec.columns.0.len()),
        bytes: vec![0.0; spec.columns.0.len()],
        warnings: Vec::new(),
    }))
}

struct Composed {
    table: String,
    names: Vec<String>,
    columns: RowType,
    schema: SchemaRef,
    key: Vec<usize>,
    encoding: Box<dyn Encoding>,
    envelope: Box<dyn envelope::Envelope>,
    watch: Watch,
    /// How many bytes values had, by column.
    bytes: Vec<f32>,
    warnings: Vec<String>,
}

impl Decoder for Composed {
    fn decode_columns(&mut self, records: &[RawRecord<'_>], read: Option<&[bool]>) -> Decoded {
        // What the last values had may be far more than there is now.
        let bytes_max = records.iter().map(|record| record.value.map_or(0, <[u8]>::len)).sum();
        let mut rows = Rows::new(&self.columns, read, (records.len(), bytes_max), &self.bytes);
        let mut dead = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let before = rows.len();
            let mut pass = Pass {
                record: *record,
                origin: at as u32,
                columns: &self.columns.0,
                key: &self.key,
                encoding: &mut *self.encoding,
                rows: &mut rows,
                watch: &mut self.watch,
            };
            if let Err(fault) = self.envelope.apply(&mut pass) {
                rows.truncate(before);
                dead.push(DeadLetter { record: at as u32, column: fault.column, reason: fault.reason });
            }
            if record.value.is_some() && self.watch.is_active() {
                self.warnings.append(&mut self.watch.record(&self.table, &self.names));
            }
        }
        rows.learn_bytes(&mut self.bytes);
        Decoded { changes: rows.finish(self.schema.clone()), dead }
    }

    fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn is_watching(&self) -> bool {
        self.watch.is_active()
    }
}
