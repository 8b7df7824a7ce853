//! Kafka Connect's schema part: parsed once, and known again by its bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use zset::Column;

use super::wire::Wire;
use crate::encoding::Shape;
use crate::options::BinaryMode;
use crate::record::Fault;

/// A schema, or a field of one.
#[derive(Debug, Deserialize)]
pub(super) struct Part<'a> {
    /// The type: `struct`, `int64`, `bytes`, ...
    #[serde(rename = "type", borrow)]
    pub kind: Option<Cow<'a, str>>,
    /// The semantic type: `io.debezium.time.Date`, ...
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    /// The field's name.
    #[serde(borrow)]
    pub field: Option<Cow<'a, str>>,
    /// The fields of a struct.
    #[serde(borrow)]
    pub fields: Option<Vec<Part<'a>>>,
    /// What more there is to the semantic type.
    pub parameters: Option<HashMap<String, String>>,
}

/// Per column how it is written; `None` for a column that the schema does not have.
type Wires = Vec<Option<Wire>>;

/// How many schemas are remembered: those before and after a change, of two sources.
const SCHEMAS_MAX: usize = 4;

/// The schemas seen last, the latest first.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    schemas: Vec<(String, Option<Wires>)>,
    /// Whether the record opened last has the first of them.
    in_use: bool,
}

impl SchemaCache {
    /// The next record has no schema, as far as is known.
    pub fn forget(&mut self) {
        self.in_use = false;
    }

    /// The schema that was seen last.
    pub fn last(&self) -> Option<&str> {
        self.schemas.first().map(|(text, _)| text.as_str())
    }

    /// How the columns of the record opened last are written.
    pub fn current(&self) -> Option<&Wires> {
        self.schemas.first().filter(|_| self.in_use).and_then(|(_, wires)| wires.as_ref())
    }

    /// The record has this schema. Whether it is one: an object with a type.
    pub fn select(&mut self, text: &str, columns: &[Column], shape: Shape, binary: BinaryMode) -> Result<bool, Fault> {
        match self.schemas.iter().position(|(known, _)| known == text) {
            Some(0) => {}
            Some(at) => self.schemas[..=at].rotate_right(1),
            None => {
                let wires = parse(text, columns, shape, binary)?;
                self.schemas.truncate(SCHEMAS_MAX - 1);
                self.schemas.insert(0, (text.to_string(), wires));
            }
        }
        self.in_use = self.schemas[0].1.is_some();
        Ok(self.in_use)
    }
}

fn parse(text: &str, columns: &[Column], shape: Shape, binary: BinaryMode) -> Result<Option<Wires>, Fault> {
    let part: Part<'_> = match serde_json::from_str(text) {
        Ok(part) => part,
        // A row may have a field of that name.
        Err(_) if shape == Shape::Row => return Ok(None),
        Err(error) => {
            let why = super::broken::told(&error);
            return Err(Fault::record(format!("the schema part of the record cannot be read: {why}")));
        }
    };
    if part.kind.is_none() {
        return Ok(None);
    }
    let fields = match shape {
        Shape::Row => part.fields.unwrap_or_default(),
        Shape::Change => {
            let mut images: Vec<Part<'_>> = part.fields.unwrap_or_default();
            images.retain(|field| matches!(field.field.as_deref(), Some("after" | "before")));
            // The two are the same; `after` is the one that is there in the end.
            images.sort_by_key(|field| field.field.as_deref() != Some("after"));
            images.into_iter().next().and_then(|image| image.fields).unwrap_or_default()
        }
    };
    let wire = |column: &Column| {
        let field = fields.iter().find(|field| field.field.as_deref() == Some(&column.name))?;
        Some(Wire::described(column.ty, field, binary))
    };
    Ok(Some(columns.iter().map(wire).collect()))
}
