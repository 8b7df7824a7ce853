#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn the_text_is_postgresqls() {
    for (from, to) in [
        ("{}", "{}"),
        (" [ ] ", "[]"),
        ("null", "null"),
        ("\"scalar\"", "\"scalar\""),
        (r#"{"b":1,"a":[1.0,2],"u":"\u00e9"}"#, r#"{"a": [1.0, 2], "b": 1, "u": "é"}"#),
        (
            r#"{"bb":1,"a":2,"aa":3,"ccc":{"z":1,"y":[{"q":1,"p":2}]}}"#,
            r#"{"a": 2, "aa": 3, "bb": 1, "ccc": {"y": [{"p": 2, "q": 1}], "z": 1}}"#,
        ),
        (r#"{"a":1,"b":2,"a":{"x":3}}"#, r#"{"a": {"x": 3}, "b": 2}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
        (r#"{"\u0061":1,"b":true,"c":false}"#, r#"{"a": 1, "b": true, "c": false}"#),
        ("{\"n\":1e2, \"m\" :\t-0.0}", r#"{"m": 0.0, "n": 100}"#),
        (
            r#"["\/ \b\f\n\r\t\u001f\u007f \" \\ 🎉 \ud83c\udf89"]"#,
            "[\"/ \\b\\f\\n\\r\\t\\u001f\u{7f} \\\" \\\\ 🎉 🎉\"]",
        ),
        (r#"{"ü":1,"zz":2,"z":3}"#, r#"{"z": 3, "zz": 2, "ü": 1}"#),
    ] {
        assert_eq!(jsonb(from).unwrap(), to, "{from}");
        assert_eq!(jsonb(to).unwrap(), to, "the canonical text is its own");
    }
}

/// Each of them is 131,072 digits: all together 13 GB.
#[test]
fn few_characters_are_not_as_many_bytes_as_they_like() {
    let text = format!("[{}1]", "1e131071,".repeat(100_000));
    let refused = jsonb(&text).unwrap_err().to_string();
    assert!(refused.contains("more than 268435455 bytes"), "{refused}");
}

#[test]
fn what_is_not_json_is_refused_with_the_place() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "nul",
        "tru",
        "\"abc",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\n\"",
        "[1 2]",
        "1 2",
        "\"\\",
        "NaN",
        "{\"\\u0000\":1}",
    ] {
        assert!(jsonb(text).is_err(), "{text}");
    }
    assert_eq!(jsonb("[1;2]").unwrap_err().to_string(), "is not JSON: unexpected ';' at byte 2");
}

#[test]
fn depth_is_bounded_not_the_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(jsonb(&nested(JSON_DEPTH_MAX)).is_ok());
    assert!(jsonb(&nested(1_000_000)).unwrap_err().to_string().contains("nested more than 1024 deep"));
    assert!(jsonb(&"{\"a\":".repeat(100_000)).is_err());
}
