//! JSON, plain or with Kafka Connect's schema part.
//!
//! A record is scanned once into the places where the columns' values stand, predicting that its fields come in the order of the
//! record before: by a scanner of our own, and what that does not take by `serde_json`. Values are then read from their text, so
//! that no number passes through a double.

mod broken;
mod connect;
mod decimal;
mod locate;
mod names;
mod quick;
mod scan;
mod slow;
mod value;
mod wire;

use zset::{Column, RowType};

use crate::cells::Cells;
use crate::encoding::{Body, Encoding, Image, KeyBody, Operation, Presence, Shape};
use crate::options::{BinaryMode, Modes};
use crate::record::Fault;
use crate::rows::Rows;
use crate::watch::Watch;

use connect::SchemaCache;
use locate::{Images, Located, Span};
use names::Names;
use wire::Wire;

/// Debezium's placeholder for a value that was not sent, as the token of a string, of an array of it, of the text of an
/// hstore of it, and of its bytes in base64 and in hexadecimal.
const UNAVAILABLE: [&str; 5] = [
    "\"__debezium_unavailable_value\"",
    "[\"__debezium_unavailable_value\"]",
    "\"{\\\"__debezium_unavailable_value\\\":\\\"__debezium_unavailable_value\\\"}\"",
    "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    "\"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565\"",
];

/// The JSON encoding of one table.
#[derive(Debug)]
pub struct JsonEncoding {
    columns: Vec<Column>,
    key: Vec<usize>,
    /// Of each column, whether it may be NULL.
    nullable: Vec<bool>,
    key_names: Names,
    value_names: Names,
    spans: [Vec<Span>; 3],
    /// The record key is one value, or text that is not JSON.
    key_is_foreign: bool,
    binary: BinaryMode,
    /// Whether a value may be a placeholder, and a record may bring its schema.
    foreign: bool,
    wires: Vec<Wire>,
    key_schemas: SchemaCache,
    value_schemas: SchemaCache,
}

impl JsonEncoding {
    /// For a table's columns, key, and handling modes.
    pub(crate) fn new(columns: &RowType, key: &[usize], modes: Modes) -> Self {
        let count = columns.0.len();
        Self {
            columns: columns.0.clone(),
            key: key.to_vec(),
            nullable: columns.0.iter().enumerate().map(|(at, column)| column.nullable && !key.contains(&at)).collect(),
            key_names: Names::new(columns),
            value_names: Names::new(columns),
            spans: [vec![Span::NONE; count], vec![Span::NONE; count], vec![Span::NONE; count]],
            key_is_foreign: false,
            binary: modes.binary,
            foreign: modes.foreign,
            wires: columns.0.iter().map(|column| Wire::declared(column.ty, modes)).collect(),
            key_schemas: SchemaCache::default(),
            value_schemas: SchemaCache::default(),
        }
    }

    fn span(&self, image: Image, column: usize) -> Span {
        self.spans[image as usize][column]
    }

    fn wire(&self, image: Image, column: usize) -> Wire {
        let schemas = if image == Image::Key { &self.key_schemas } else { &self.value_schemas };
        schemas.current().and_then(|wires| wires[column]).unwrap_or(self.wires[column])
    }

    /// Takes Kafka Connect's schema part off; what is left is the document.
    fn unwrap<'a>(&mut self, text: &'a str, image: Image, shape: Shape) -> Result<&'a str, Fault> {
        let schemas = if image == Image::Key { &mut self.key_schemas } else { &mut self.value_schemas };
        schemas.forget();
        let Some((schema, payload)) =
            Some(text).filter(|_| self.foreign).and_then(|text| locate::wrapped(text, schemas.last()))
        else {
            return Ok(text);
        };
        let column = |name: &str| self.columns.iter().any(|column| column.name == name);
        if schema == "null" {
            // A row of a table with these two columns, of which one is null.
            let row = shape == Shape::Row && column("schema") && column("payload");
            return Ok(if row { text } else { payload });
        }
        let known = schemas.select(schema, &self.columns, shape, self.binary)?;
        Ok(if known { payload } else { text })
    }
}

impl Encoding for JsonEncoding {
    fn open_key(&mut self, key: &[u8], watch: &mut Watch) -> Result<KeyBody, Fault> {
        self.key_is_foreign = false;
        self.spans[Image::Key as usize].fill(Span::NONE);
        let Ok(text) = std::str::from_utf8(key) else {
            return Ok(KeyBody::Unusable("is not UTF-8 text"));
        };
        let whole = Located { base: text.as_ptr() as usize };
        let document = self.unwrap(text, Image::Key, Shape::Row)?;
        let trimmed = locate::trim(document);
        if trimmed.starts_with('{') {
            let spans = &mut self.spans[Image::Key as usize];
            if locate::row(document, whole, &mut self.key_names, spans, watch).is_ok() {
                return Ok(KeyBody::Row);
            }
            spans.fill(Span::NONE);
        }
        if trimmed == "null" {
            return Ok(KeyBody::Nothing);
        }
        if trimmed.is_empty() {
            return Ok(KeyBody::Unusable("is empty"));
        }
        let &[only] = self.key.as_slice() else {
            return Ok(KeyBody::Unusable("is no JSON object with the columns of the PRIMARY KEY"));
        };
        if trimmed.starts_with('[') && broken::is_json(trimmed) {
            return Ok(KeyBody::Unusable("is an array"));
        }
        watch.saw(&self.columns[only].name, Some(only));
        self.spans[Image::Key as usize][only] = whole.span(trimmed);
        if broken::is_json(trimmed) {
            return Ok(KeyBody::Scalar);
        }
        self.key_is_foreign = true;
        self.spans[Image::Key as usize][only] = whole.span(text);
        Ok(KeyBody::Foreign)
    }

    fn open_value(&mut self, value: &[u8], shape: Shape, watch: &mut Watch) -> Result<Body, Fault> {
        self.spans[Image::After as usize].fill(Span::NONE);
        self.spans[Image::Before as usize].fill(Span::NONE);
        let text = std::str::from_utf8(value).map_err(|error| {
            let at = error.valid_up_to();
            if value.first() == Some(&0) {
                return Fault::record(broken::no_object("\0"));
            }
            Fault::record(format!("the value is not UTF-8 text: byte {at} of {} is invalid", value.len()))
        })?;
        let whole = Located { base: text.as_ptr() as usize };
        let document = self.unwrap(text, Image::After, shape)?;
        let trimmed = locate::trim(document);
        if trimmed == "null" {
            return Ok(Body::Nothing);
        }
        if !trimmed.starts_with('{') {
            return Err(Fault::record(broken::no_object(trimmed)));
        }
        let [_, after, before] = &mut self.spans;
        let names = &mut self.value_names;
        let body = match shape {
            Shape::Row => locate::row(document, whole, names, after, watch).map(|()| Body::Row),
            Shape::Change => locate::change(document, whole, Images { names, before, after, watch }).map(|change| {
                Body::Change { op: change.op.map(operation), before: change.before, after: change.after }
            }),
        };
        body.map_err(|error| Fault::record(broken::broken(document, &error)))
    }

    fn read_row(&mut self, value: &[u8], rows: &mut Rows) -> bool {
        let Self { columns, wires, nullable, value_names, .. } = self;
        quick::row(value, value_names, &quick::Columns { columns, wires, nullable }, rows).is_some()
    }

    fn presence(&self, bytes: &[u8], image: Image, column: usize) -> Presence {
        let span = self.span(image, column);
        match span.of(bytes) {
            _ if span.is_none() => Presence::Missing,
            b"null" if !(self.key_is_foreign && image == Image::Key) => Presence::Null,
            token if self.foreign && is_unavailable(token) => Presence::Unavailable,
            _ => Presence::Value,
        }
    }

    fn read_usual(&mut self, bytes: &[u8], image: Image, from: usize, rows: &mut Rows) -> usize {
        if self.key_is_foreign && image == Image::Key {
            return from;
        }
        for (at, span) in self.spans[image as usize].iter().enumerate().skip(from) {
            let token = span.of(bytes);
            let placeholder = self.foreign && is_unavailable(token);
            if placeholder || !value::read_usual(self.columns[at].ty, span.kind(), token, rows.column(at)) {
                return at;
            }
        }
        self.columns.len()
    }

    fn read(&mut self, bytes: &[u8], image: Image, column: usize, cells: &mut Cells) -> Result<(), Fault> {
        let span = self.span(image, column);
        let token = span.of(bytes);
        let Column { name, ty, .. } = &self.columns[column];
        let token = std::str::from_utf8(token).expect("the record was UTF-8 when it was opened");
        let wire = self.wire(image, column);
        let foreign = self.key_is_foreign && image == Image::Key;
        let done =
            if foreign { value::read_text(*ty, wire, token, cells) } else { value::read(*ty, wire, token, cells) };
        done.map_err(|problem| {
            let shown = problem.shown.unwrap_or_else(|| value::shorten(token));
            let place = if image == Image::Key { " (in the record key)" } else { "" };
            Fault::column(name, format!("column \"{name}\" is {ty}: {shown} {}{place}", problem.why))
        })
    }

    fn alike(&self, bytes: &[u8], columns: &[usize]) -> bool {
        let of = |image, column| self.span(image, column).of(bytes);
        columns.iter().all(|&column| of(Image::Before, column) == of(Image::After, column))
    }
}

fn is_unavailable(token: &[u8]) -> bool {
    UNAVAILABLE.iter().any(|placeholder| placeholder.as_bytes() == token)
}

fn operation(token: &str) -> Operation {
    match token.as_bytes() {
        [b'"', letter, b'"'] => Operation::Letter(*letter),
        _ => Operation::Other(value::shorten(token.trim_matches('"'))),
    }
}
