//! Finds where the values stand in any document, by `serde_json`, whose errors say what is broken.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Error};

use super::locate::{Change, Images, Located, Span};
use super::names::Names;
use crate::watch::Watch;

/// The schema and the payload of a document of exactly these two fields.
pub(super) fn wrapped(text: &str) -> Option<(&str, &str)> {
    // A document with a third field, or a field twice, is no wrapper but a row.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        schema: &'a RawValue,
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let fields = serde_json::from_str::<Wrapped<'_>>(text).ok()?;
    Some((fields.schema.get(), fields.payload.get()))
}

/// Finds the columns in a row.
pub(super) fn row(
    text: &str,
    at: Located,
    names: &mut Names,
    spans: &mut [Span],
    watch: &mut Watch,
) -> Result<(), Error> {
    whole(text, RowSeed { at, names, spans, watch }).map(|_| ())
}

/// Finds the columns in both rows of a change event.
pub(super) fn change<'a>(text: &'a str, at: Located, images: Images<'_>) -> Result<Change<'a>, Error> {
    // An event without one of them says that there is no row.
    images.before.fill(Span::NONE);
    images.after.fill(Span::NONE);
    whole(text, ChangeSeed { at, images })
}

fn whole<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, Error> {
    let mut deserializer = Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A row or null; whether it is a row.
struct RowSeed<'s> {
    at: Located,
    names: &'s mut Names,
    spans: &'s mut [Span],
    watch: &'s mut Watch,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null in \"before\" and \"after\"")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        // A later null takes back an earlier row of the same name.
        self.spans.fill(Span::NONE);
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        self.spans.fill(Span::NONE);
        let mut place = 0;
        while let Some(column) = map.next_key_seed(NameSeed { place, names: self.names, watch: self.watch })? {
            match column {
                Some(column) => self.spans[column] = self.at.span(map.next_value::<&'de RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            place += 1;
        }
        Ok(true)
    }
}

/// A field's name to its column.
struct NameSeed<'s> {
    place: usize,
    names: &'s mut Names,
    watch: &'s mut Watch,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let column = self.names.find(self.place, name);
        if self.watch.is_active() {
            self.watch.saw(name, column);
        }
        Ok(column)
    }
}

struct ChangeSeed<'s> {
    at: Located,
    images: Images<'s>,
}

impl<'de> DeserializeSeed<'de> for ChangeSeed<'_> {
    type Value = Change<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ChangeSeed<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { at, images: Images { names, before, after, watch } } = self;
        let mut change = Change::default();
        while let Some(field) = map.next_key_seed(FieldSeed)? {
            match field {
                Field::Op => {
                    let token = map.next_value::<&'de RawValue>()?.get();
                    change.op = (token != "null").then_some(token);
                }
                Field::Before => {
                    let seed = RowSeed { at, names: &mut *names, spans: &mut *before, watch: &mut *watch };
                    change.before = map.next_value_seed(seed)?;
                }
                Field::After => {
                    let seed = RowSeed { at, names: &mut *names, spans: &mut *after, watch: &mut *watch };
                    change.after = map.next_value_seed(seed)?;
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(change)
    }
}

enum Field {
    Op,
    Before,
    After,
    Other,
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(match name {
            "op" => Field::Op,
            "before" => Field::Before,
            "after" => Field::After,
            _ => Field::Other,
        })
    }
}
