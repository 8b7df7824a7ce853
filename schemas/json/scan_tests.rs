#![allow(clippy::unwrap_used)]
use testkit::{Choices, spoil};
use zset::{Column, ColumnType, RowType};

use super::super::locate::Located;
use super::super::slow;
use super::*;

const ROW: &str =
    r#"{"a":1,"b":"x\u00e9\n","c":[{"a":[]},{},[1.5e-3,-0,true]],"d":{"a":{"b":null}},"e":false,"a":"two"}"#;
const EVENT: &str =
    r#" { "before" : null, "after":{"a":-12,"b":"ü","c":null},"source":{"a":[1,"\"\\"]},"op":"c","ts":1.5E+3} "#;
const WRAPPED: &str = r#"{"schema":{"type":"struct","fields":[{"field":"a"}]},"payload":{"a":1}}"#;

const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u12",
    b"\\u12aF",
    b"\\x",
    b"null",
    b"nul",
    b"tru",
    b"01",
    b"-",
    b".5",
    b"1.",
    b"1e",
    b"2E+1",
    b" ",
    b"\t",
    b"\x01",
    b"\"op\":",
    b"\"before\":null,",
    b"\"after\":{},",
    b"\"a\":",
    b"\"schema\":",
    b"{\"\\u0061\":1}",
    b"[[[[[[[[",
    b"]]]]]]]]",
    b"{\"a\":{\"a\":{\"a\":",
    b"\"12345678",
    b"\x7f",
    b"\xc3\xa9",
];

struct Found {
    names: Names,
    watch: Watch,
    spans: [Vec<Span>; 2],
}

impl Found {
    fn new() -> Self {
        let column = |name: &str| Column { name: name.into(), ty: ColumnType::Text, nullable: true };
        let columns = RowType(["a", "b", "c", "d"].map(column).to_vec());
        let none = || vec![Span::NONE; 4];
        Self { names: Names::new(&columns), watch: Watch::new(4), spans: [none(), none()] }
    }

    /// As after records of which the last was this one, when names are not watched any more.
    fn after(sample: &str) -> Self {
        let mut found = Self::new();
        while found.watch.is_active() {
            found.watch.record("t", &[]);
        }
        row(sample, 0, &mut found.names, &mut found.spans[0], &mut found.watch);
        change(sample, 0, &mut found.images());
        found.spans.iter_mut().for_each(|spans| spans.fill(Span::NONE));
        found
    }

    fn images(&mut self) -> Images<'_> {
        let [before, after] = &mut self.spans;
        Images { names: &mut self.names, before, after, watch: &mut self.watch }
    }

    /// The tokens of the columns; those that are said to be literal are.
    fn tokens<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let token = |span: &Span| {
            let token = std::str::from_utf8(span.of(text.as_bytes())).unwrap();
            match span.kind() {
                Kind::Literal => assert!(!token.contains('\\'), "{token}"),
                Kind::Integer(value) => assert_eq!(token.parse(), Ok(value)),
                Kind::Other => {}
            }
            token
        };
        self.spans.iter().flatten().map(token).collect()
    }
}

/// Whether it was scanned; then the slow way must find the same, and so must a scanner that expects the fields of another record.
fn rows_agree(text: &str) -> bool {
    let scanned = rows_agree_after(text, Found::new());
    for sample in [text, ROW, EVENT, "{\"a\" : 1}", "{\"a\":1,\"b\":2,\"a\":3}"] {
        assert_eq!(rows_agree_after(text, Found::after(sample)), scanned, "{text:?} after {sample:?}");
    }
    scanned
}

fn rows_agree_after(text: &str, mut fast: Found) -> bool {
    let mut slow = Found::new();
    let watches = fast.watch.is_active();
    let found = row(text, 0, &mut fast.names, &mut fast.spans[0], &mut fast.watch);
    let at = Located { base: text.as_ptr() as usize };
    let other = slow::row(text, at, &mut slow.names, &mut slow.spans[0], &mut slow.watch);
    if found.is_some() {
        assert!(other.is_ok(), "{text:?}: {other:?}");
        assert_eq!(fast.tokens(text), slow.tokens(text), "{text:?}");
        if watches {
            assert_eq!(format!("{:?}", fast.watch), format!("{:?}", slow.watch));
        }
    }
    found.is_some()
}

fn events_agree(text: &str) -> bool {
    let scanned = events_agree_after(text, Found::new());
    for sample in [text, ROW, EVENT] {
        assert_eq!(events_agree_after(text, Found::after(sample)), scanned, "{text:?} after {sample:?}");
    }
    scanned
}

fn events_agree_after(text: &str, mut fast: Found) -> bool {
    let mut slow = Found::new();
    let found = change(text, 0, &mut fast.images());
    let at = Located { base: text.as_ptr() as usize };
    let other = slow::change(text, at, slow.images());
    let scanned = found.is_some();
    if let Some(found) = found {
        assert_eq!(found, other.unwrap_or_else(|error| panic!("{text:?}: {error}")));
        assert_eq!(fast.tokens(text), slow.tokens(text), "{text:?}");
    }
    scanned
}

fn wrappers_agree(text: &str) -> bool {
    let found = wrapped(text, None);
    if found.is_some() {
        assert_eq!(found, slow::wrapped(text), "{text:?}");
        assert_eq!(found, wrapped(text, found.map(|(schema, _)| schema)), "{text:?}");
        assert_eq!(found, wrapped(text, Some("{}")), "{text:?}");
    }
    found.is_some()
}

#[test]
fn usual_documents_are_scanned() {
    for text in ["{}", " {\"a\":1}\n", ROW, "{\"a\":{},\"b\":[]}", "{\"b\":\"12345678\",\"a\":\"1234567\\\\\"}"] {
        assert!(rows_agree(text), "{text}");
    }
    for text in [EVENT, "{}", "{\"op\":null}", r#"{"after":{"a":1},"after":null,"op":"d","op":"u"}"#] {
        assert!(events_agree(text), "{text}");
    }
    assert!(wrappers_agree(WRAPPED));
}

/// What a head is followed by is not part of it: more white space, or less.
#[test]
fn a_field_is_known_by_its_head_alone() {
    let after = |sample: &str, text: &str| rows_agree_after(text, Found::after(sample));
    assert!(after(r#"{"a":1,"b":2}"#, r#"{"a":  1,"b": 2 }"#) && after(r#"{"a": 1, "b": 2}"#, r#"{"a":1,"b":2}"#));
    let long = "x".repeat(40);
    let other = format!("{}y", &long[1..]);
    let of = |name: &str| format!("{{\"{name}\":1,\"a\":2}}");
    for (one, two) in [("a", "b"), ("a", "ab"), ("ab", "a"), (&*long, &*other), (&*other, &*long)] {
        assert!(after(&of(one), &of(two)), "{two} after {one}");
    }
    assert!(!after(r#"{"a":1,"b":2}"#, r#"{"a":,"b":2}"#) && !after(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":"#));
}

#[test]
fn what_is_broken_is_left() {
    for text in [
        "",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{\"a\":1}x",
        "{,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":-}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":{\"b\"}}",
        "{\"a\":nul}",
        "{\"a\":truex}",
        "{\"\\u0061\":1}",
        "[]",
        "1",
        "{\"a\":\"12345678",
        "{\"a\":[[[]]}",
    ] {
        assert!(!rows_agree(text), "{text}");
        assert!(!events_agree(text), "{text}");
    }
    assert!(!events_agree("{\"after\":1}"));
    for text in [r#"{"schema":1}"#, r#"{"schema":1,"payload":2,"x":3}"#, r#"{"schema":1,"schema":1,"payload":2}"#] {
        assert!(!wrappers_agree(text), "{text}");
    }
}

#[test]
fn deep_values_are_left() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(rows_agree(&nested(DEPTH_MAX as usize)));
    assert!(!rows_agree(&nested(DEPTH_MAX as usize + 1)));
    let mixed = |pairs: usize| format!("{{\"a\":{}1{}}}", "[{\"b\":".repeat(pairs), "}]".repeat(pairs));
    assert!(rows_agree(&mixed(32)) && !rows_agree(&mixed(33)));
}

#[test]
fn fuzz_scanner() {
    bolero::check!().with_iterations(20_000).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let sample = [ROW, EVENT, WRAPPED][choices.below(3)];
        let spoilt = spoil(sample.as_bytes(), WORDS, &mut choices);
        if let Ok(text) = std::str::from_utf8(&spoilt) {
            rows_agree(text);
            events_agree(text);
            wrappers_agree(text);
        }
    });
}
