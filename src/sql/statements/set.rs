//! SET name = value: the settings that clients send, accepted where our answer is the one they ask for.

use dataflow::{Action, Planned};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::planned;
use crate::error::{Detail, Result, code, error, unsupported};

/// What a setting may be.
enum Allowed {
    /// Anything: it changes no answer.
    Any,
    /// These values, in lower case: what is the case anyway.
    Only(&'static [&'static str]),
}

fn setting(name: &str) -> Option<Allowed> {
    Some(match name {
        "application_name" | "client_min_messages" | "extra_float_digits" | "search_path" => Allowed::Any,
        "client_encoding" => Allowed::Only(&["utf8", "utf-8", "unicode", "default"]),
        "timezone" => Allowed::Only(&["utc", "gmt", "etc/utc", "z", "0", "default"]),
        "datestyle" => {
            Allowed::Only(&["iso", "iso, mdy", "iso,mdy", "iso, dmy", "iso, ymd", "iso,dmy", "iso,ymd", "default"])
        }
        "intervalstyle" => Allowed::Only(&["postgres", "default"]),
        "bytea_output" => Allowed::Only(&["hex", "default"]),
        "standard_conforming_strings" => Allowed::Only(&["on", "true", "1", "default"]),
        "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" => {
            Allowed::Only(&["0", "default"])
        }
        _ => return None,
    })
}

/// Plans it; the cursor is behind SET.
pub(crate) fn plan(cursor: &mut Cursor) -> Result<Planned> {
    if cursor.peek_word().as_deref() == Some("LOCAL") {
        return Err(unsupported("SET LOCAL", "use SET").at(cursor.span()));
    }
    let span = cursor.span();
    let (name, value) = read(cursor)?;
    if setting(&name).is_none() {
        return Err(error(code::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
            .with_hint("options of a table, stream table or sink are given in its WITH clause")
            .at(span));
    }
    match setting(&name) {
        Some(Allowed::Only(values)) if !values.contains(&value.to_lowercase().as_str()) => {
            Err(unsupported(format!("SET {name} = '{value}'"), format!("the value is {}", values[0])).at(span))
        }
        _ => Ok(planned(Action::Set { name, value })),
    }
}

/// `[SESSION] name = value`, `TIME ZONE value`, to the end.
pub(super) fn read(cursor: &mut Cursor) -> Result<(String, String)> {
    cursor.eat(&["SESSION"]);
    let name = if cursor.eat(&["TIME", "ZONE"]) {
        "timezone".to_string()
    } else {
        let name = name(cursor)?;
        if name != "names" && !cursor.eat(&["TO"]) {
            cursor.expect_token(&Token::Eq)?;
        }
        if name == "names" { "client_encoding".to_string() } else { name }
    };
    let value = value(cursor)?;
    cursor.end()?;
    Ok((name, value))
}

/// The name of a setting: `search_path`, `my.setting`.
pub(super) fn name(cursor: &mut Cursor) -> Result<String> {
    let mut name = cursor.identifier()?.to_lowercase();
    while cursor.eat_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.identifier()?.to_lowercase());
    }
    Ok(name)
}

/// The rest of the statement: one value or several with commas.
fn value(cursor: &mut Cursor) -> Result<String> {
    let mut parts = Vec::new();
    loop {
        let span = cursor.span();
        let negative = if cursor.eat_token(&Token::Minus) { "-" } else { "" };
        match cursor.parser.next_token().token {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => parts.push(text),
            Token::Number(number, _) => parts.push(format!("{negative}{number}")),
            Token::Word(word) => parts.push(word.value),
            token => return Err(error(code::SYNTAX, format!("syntax error at or near \"{token}\"")).at(span)),
        }
        if !cursor.eat_token(&Token::Comma) {
            return Ok(parts.join(", "));
        }
    }
}
