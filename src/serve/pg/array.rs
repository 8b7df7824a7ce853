//! Arrays on the wire: a header, then the elements with their lengths. We have them as PostgreSQL prints them.

use bytes::{BufMut, BytesMut};

use super::error::PgError;
use super::types::{INT2, OID, TEXT};

/// Writes `{a,"b c",NULL}` as `text[]`.
pub(crate) fn write_texts(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    let elements = parse(text).ok_or_else(|| PgError::internal(format!("{text} is not the text of an array")))?;
    header(out, TEXT, elements.len(), elements.iter().any(Option::is_none), 1);
    for element in elements {
        match element {
            Some(element) => {
                out.put_i32(element.len() as i32);
                out.put_slice(element.as_bytes());
            }
            None => out.put_i32(-1),
        }
    }
    Ok(())
}

/// Writes `1 2 3` as `int2vector`, which counts from 0.
pub(crate) fn write_int2vector(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    let numbers: Vec<i16> = numbers(text)?;
    header(out, INT2, numbers.len(), false, 0);
    for number in numbers {
        out.put_i32(2);
        out.put_i16(number);
    }
    Ok(())
}

/// Writes `1 2 3` or `{1,2,3}` as `oid[]`.
pub(crate) fn write_oids(text: &str, out: &mut BytesMut) -> Result<(), PgError> {
    let numbers: Vec<u32> = numbers(text)?;
    header(out, OID, numbers.len(), false, 1);
    for number in numbers {
        out.put_i32(4);
        out.put_u32(number);
    }
    Ok(())
}

/// One dimension; an empty array has none.
fn header(out: &mut BytesMut, element: u32, len: usize, nulls: bool, first: i32) {
    out.put_i32(i32::from(len > 0));
    out.put_i32(i32::from(nulls));
    out.put_u32(element);
    if len > 0 {
        out.put_i32(len as i32);
        out.put_i32(first);
    }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, PgError> {
    let words = text.split(|c: char| matches!(c, '{' | '}' | ',') || c.is_whitespace()).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_err(|_| PgError::internal(format!("{text} is not the text of a list of numbers"))))
        .collect()
}

/// The elements of an array of one dimension.
fn parse(text: &str) -> Option<Vec<Option<String>>> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut chars = inside.chars().peekable();
    while chars.peek().is_some() {
        let mut element = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.next() {
                Some('\\') => element.push(chars.next()?),
                Some('"') if quoted => match chars.next() {
                    Some(',') | None => break,
                    Some(_) => return None,
                },
                Some(',') | None if !quoted => break,
                Some(c) => element.push(c),
                None => return None,
            }
        }
        let is_null = !quoted && element.eq_ignore_ascii_case("null");
        elements.push((!is_null).then_some(element));
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn elements_are_found() {
        let some = |texts: &[&str]| Some(texts.iter().map(|text| Some(text.to_string())).collect::<Vec<_>>());
        assert_eq!(parse("{}"), some(&[]));
        assert_eq!(parse("{a,b c}"), some(&["a", "b c"]));
        assert_eq!(parse(r#"{"a,b","say \"hi\"","NULL",""}"#), some(&["a,b", "say \"hi\"", "NULL", ""]));
        assert_eq!(parse("{NULL}"), Some(vec![None]));
        assert_eq!(parse("{\"open}"), None);
        assert_eq!(parse("a"), None);
    }

    #[test]
    fn an_empty_array_has_no_dimension() {
        let mut out = BytesMut::new();
        write_oids("", &mut out).unwrap();
        assert_eq!(out[..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26]);
        write_int2vector("one", &mut out).unwrap_err();
    }
}
