//! INCLUDE KEY | TOPIC | PARTITION | OFFSET | TIMESTAMP | HEADERS [AS name]: columns of what a record has beside its value. They
//! come behind the declared ones, in the order written; without a name they are `_millstream_key` and so on.

use datafusion::sql::sqlparser::tokenizer::Span;
use plan::{Envelope, Include};
use zset::{Column, ColumnType};

use super::columns::Shape;
use super::cursor::Cursor;
use crate::error::{Detail, Result, code, error, syntax, unsupported};

/// Included columns, as declared.
#[derive(Default)]
pub(super) struct Included {
    columns: Vec<(Include, String)>,
    span: Option<Span>,
}

/// Reads the clauses, if they are next.
pub(super) fn read(cursor: &mut Cursor) -> Result<Included> {
    let mut included = Included::default();
    loop {
        let span = cursor.span();
        if !cursor.eat(&["INCLUDE"]) {
            return Ok(included);
        }
        included.span.get_or_insert(span);
        let word = cursor.peek_word().unwrap_or_default();
        let what = match word.as_str() {
            "KEY" => Include::Key,
            "TOPIC" => Include::Topic,
            "PARTITION" => Include::Partition,
            "OFFSET" => Include::Offset,
            "TIMESTAMP" => Include::Timestamp,
            "HEADERS" => Include::Headers,
            _ => {
                return Err(syntax(format!("syntax error at or near \"{}\"", cursor.peek_text()))
                    .with_hint(
                        "a record has KEY, TOPIC, PARTITION, OFFSET, TIMESTAMP and HEADERS: INCLUDE OFFSET AS name",
                    )
                    .at(cursor.span()));
            }
        };
        cursor.eat(&[&word]);
        let name =
            if cursor.eat(&["AS"]) { cursor.identifier()? } else { format!("_millstream_{}", word.to_lowercase()) };
        included.columns.push((what, name));
    }
}

fn column_type(what: Include) -> ColumnType {
    match what {
        Include::Key => ColumnType::Bytea,
        Include::Topic => ColumnType::Text,
        Include::Partition => ColumnType::Int,
        Include::Offset => ColumnType::BigInt,
        Include::Timestamp => ColumnType::TimestampTz(6),
        Include::Headers => ColumnType::Jsonb,
    }
}

impl Included {
    /// Refuses the clauses where there are no records.
    pub(super) fn refuse(&self, what: &str) -> Result<()> {
        match self.span {
            None => Ok(()),
            Some(span) => Err(unsupported(
                format!("INCLUDE in {what}"),
                "it has no records of others: INCLUDE is for tables and sources with a connector",
            )
            .at(span)),
        }
    }

    /// Adds the columns behind the others; answers where they are.
    pub(super) fn add(self, shape: &mut Shape, envelope: Envelope) -> Result<Vec<(usize, Include)>> {
        let Some(span) = self.span else { return Ok(Vec::new()) };
        if envelope == Envelope::Debezium && shape.key.is_empty() {
            return Err(unsupported(
                "INCLUDE with envelope = 'debezium' and no PRIMARY KEY",
                "the event that takes a row away has another offset than the one that brought it: add PRIMARY KEY \
                 (columns), or leave INCLUDE out",
            )
            .at(span));
        }
        let mut places = Vec::with_capacity(self.columns.len());
        for (what, name) in self.columns {
            if shape.columns.iter().any(|column| column.name == name) {
                return Err(error(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
                    .with_hint("give the included column another name: INCLUDE ... AS name")
                    .at(span));
            }
            places.push((shape.columns.len(), what));
            shape.columns.push(Column::new(name, column_type(what), true));
            shape.defaults.push(None);
        }
        Ok(places)
    }
}
