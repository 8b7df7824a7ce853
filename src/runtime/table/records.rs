//! What the records of a source table say: decoded in order, and staged where the table keeps rows.

use api::Record;
use dataflow::Moved;
use plan::{Include, SourceDef, TableDef};
use schemas::{Decoder, RawHeader, RawRecord};
use zset::Delta;

use super::{Table, Work};
use crate::dead_letter::Cause;
use crate::moves::partition_runs;
use crate::{EngineError, own};

/// What a source's records did.
pub(crate) struct Decoded {
    pub delta: Delta,
    /// Which record of the batch is dead, and why; in order.
    pub dead: Vec<(usize, Cause)>,
    pub missing_retractions: u64,
    /// Keys that came from another partition than before.
    pub moved: Option<Moved>,
}

impl Table {
    /// What reads the records of a source table.
    pub fn decoder(def: &TableDef, source: &SourceDef) -> Result<Box<dyn Decoder>, EngineError> {
        let (envelope, options) = match source.is_own() {
            true => own::decoding(def),
            false => (source.envelope, source.options.clone()),
        };
        let spec = schemas::DecoderSpec {
            table: &def.name,
            columns: &def.columns,
            // What is not stored has no rows to replace by key.
            key: if source.stored { &def.key } else { &[] },
            envelope,
            options: &options,
        };
        schemas::sliced(&spec, &source.include).map_err(|error| {
            EngineError::Statement(dataflow::StatementError {
                sqlstate: "22023",
                message: format!("cannot decode table {}: {error}", def.name),
                hint: None,
                detail: None,
                position: None,
                about: None,
            })
        })
    }

    /// Decodes records, in order, and stages what they say. Of a source that is not stored only the columns that are `read` (`None`: all).
    pub fn stage_records(&mut self, records: &[Record], read: Option<&[bool]>) -> Result<Decoded, EngineError> {
        if !self.def.is_stored() {
            let decoded = self.decode(records, read)?;
            self.warn();
            return Ok(decoded);
        }
        let decoded = self.changes(records, None);
        self.warn();
        let runs = if self.contents.watches_homes() { partition_runs(records) } else { Vec::new() };
        let applied = self.contents.apply_changes_of(&decoded.changes, &runs)?;
        let mut dead = causes(decoded.dead);
        dead.extend(applied.unresolved.iter().map(|&(record, column)| {
            let column = self.def.columns.0[column as usize].name.clone();
            let reason = format!(
                "column \"{column}\" was not sent because it did not change (an unavailable TOAST value), and the table \
                 has no row of this key to take it from; update the row at its source, or take a new snapshot"
            );
            (record as usize, Cause { column: Some(column), reason })
        }));
        dead.sort_by_key(|(record, _)| *record);
        dead.dedup_by_key(|(record, _)| *record);
        let (missing_retractions, moved) = (applied.missing_retractions, applied.moved);
        Ok(Decoded { delta: applied.delta, dead, missing_retractions, moved })
    }

    /// Decodes records, in order, of a source that is not stored: what it passes on. Nothing is staged.
    pub fn decode(&mut self, records: &[Record], read: Option<&[bool]>) -> Result<Decoded, EngineError> {
        let decoded = self.changes(records, read);
        let passed = dataflow::pass_on(&decoded.changes, &self.def.columns);
        let mut dead = causes(decoded.dead);
        dead.extend(passed.truncates.iter().map(|&record| {
            let reason = "a truncate cannot be passed on: the source is not stored, so that nobody knows which rows it had; \
                          use CREATE TABLE";
            (record as usize, Cause { column: None, reason: reason.to_string() })
        }));
        dead.sort_by_key(|(record, _)| *record);
        Ok(Decoded { delta: passed.delta, dead, missing_retractions: 0, moved: None })
    }

    pub(crate) fn changes(&mut self, records: &[Record], read: Option<&[bool]>) -> schemas::Decoded {
        let Work::Source(decoder) = &mut self.work else { unreachable!("records are for source tables") };
        let includes = |what: Include| {
            self.def.source().is_some_and(|source| source.include.iter().any(|(_, included)| *included == what))
        };
        let headers: Vec<Vec<RawHeader<'_>>> = match includes(Include::Headers) {
            true => records.iter().map(headers_of).collect(),
            false => Vec::new(),
        };
        let raw = records.iter().enumerate().map(|(at, record)| RawRecord {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            topic: &record.at.topic,
            partition: record.at.partition.number(),
            offset: record.offset.0,
            timestamp: record.timestamp.0,
            headers: headers.get(at).map_or(&[], Vec::as_slice),
        });
        decoder.decode_columns(&raw.collect::<Vec<_>>(), read)
    }

    /// Tells what the decoder wants a user to know.
    fn warn(&mut self) {
        let Work::Source(decoder) = &mut self.work else { return };
        for warning in decoder.warnings() {
            tracing::warn!(table = %self.def.name, "{warning}");
        }
    }
}

/// Which records are dead, and why.
fn causes(dead: Vec<schemas::DeadLetter>) -> Vec<(usize, Cause)> {
    let cause =
        |letter: schemas::DeadLetter| (letter.record as usize, Cause { column: letter.column, reason: letter.reason });
    dead.into_iter().map(cause).collect()
}

fn headers_of(record: &Record) -> Vec<RawHeader<'_>> {
    record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
}
