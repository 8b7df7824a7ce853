//! WITH (name = value, ...): which options there are, for what, and their values' checks.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Token;
use plan::Options;
use zset::Partition;

use super::cursor::Cursor;
use crate::error::{Detail, Result, code, error, syntax};

/// How the names of librdkafka's own properties begin.
pub(crate) const KAFKA: &str = "kafka.";

/// The options of CREATE TABLE and CREATE SOURCE with a connector. `kafka.*` stands for any property of librdkafka.
pub fn source_options() -> &'static [&'static str] {
    &[
        "connector",
        "topic",
        "topic_pattern",
        "path",
        "follow",
        "dlq_topic",
        "brokers",
        "format",
        "envelope",
        "start",
        "partitions",
        "on_error",
        "max_dead_letters_per_minute",
        "replica_identity",
        "decimal_handling_mode",
        "time_precision_mode",
        "binary_handling_mode",
        "kafka.*",
    ]
}

/// The options of CREATE TABLE without a connector: a table of our own.
pub fn own_options() -> &'static [&'static str] {
    &["topic", "dlq_topic", "partitions"]
}

/// The options of CREATE SINK.
pub fn sink_options() -> &'static [&'static str] {
    &[
        "connector",
        "topic",
        "brokers",
        "format",
        "envelope",
        "key",
        "tombstones",
        "partitions",
        "replication",
        "path",
        "url",
        "table",
        "password_file",
        "password_env",
        "outbox_rows_max",
    ]
}

/// Reads `WITH ( ... )` if it is next; nothing otherwise. Names not in `allowed` are refused.
pub(crate) fn with(cursor: &mut Cursor, allowed: &[&str], what: &str) -> Result<Options> {
    match cursor.eat(&["WITH"]) {
        true => parenthesis(cursor, allowed, what),
        false => Ok(Options::default()),
    }
}

/// Reads `(name = value, ...)`.
pub(crate) fn parenthesis(cursor: &mut Cursor, allowed: &[&str], what: &str) -> Result<Options> {
    let mut options = BTreeMap::new();
    cursor.expect_token(&Token::LParen)?;
    if cursor.eat_token(&Token::RParen) {
        return Ok(Options::default());
    }
    loop {
        let span = cursor.span();
        let name = name(cursor)?;
        let property = name.starts_with(KAFKA) && name.len() > KAFKA.len() && allowed.contains(&"kafka.*");
        if !property && !allowed.contains(&name.as_str()) {
            return Err(unknown(&name, allowed, what).at(span));
        }
        cursor.expect_token(&Token::Eq)?;
        let value = value(cursor, &name)?;
        if options.insert(name.clone(), value).is_some() {
            return Err(syntax(format!("option \"{name}\" is given twice")).at(span));
        }
        if cursor.eat_token(&Token::RParen) {
            return Ok(Options(options));
        }
        cursor.expect_token(&Token::Comma)?;
    }
}

/// Reads `(name, ...)`.
pub(crate) fn names(cursor: &mut Cursor, allowed: &[&str], what: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    cursor.expect_token(&Token::LParen)?;
    loop {
        let span = cursor.span();
        let name = name(cursor)?;
        if !allowed.contains(&name.as_str()) {
            return Err(unknown(&name, allowed, what).at(span));
        }
        names.push(name);
        if cursor.eat_token(&Token::RParen) {
            return Ok(names);
        }
        cursor.expect_token(&Token::Comma)?;
    }
}

/// A name, of several words with points between where it is a property: `kafka.sasl.mechanisms`.
fn name(cursor: &mut Cursor) -> Result<String> {
    let mut name = cursor.identifier()?.to_lowercase();
    while cursor.eat_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.identifier()?.to_lowercase());
    }
    Ok(name)
}

fn unknown(name: &str, allowed: &[&str], what: &str) -> dataflow::StatementError {
    if name.starts_with(KAFKA) && allowed.contains(&"topic") {
        return syntax(format!("option \"{name}\" cannot be set for {what}")).with_hint(
            "the pipeline writes all topics by one producer: give its properties when it starts, with --kafka-property",
        );
    }
    let hint = match allowed {
        [] => format!("{what} has no options yet; leave WITH out"),
        allowed => format!("the options of {what} are {}", allowed.join(", ")),
    };
    syntax(format!("unknown option \"{name}\"")).with_hint(hint)
}

fn value(cursor: &mut Cursor, name: &str) -> Result<String> {
    let span = cursor.span();
    let negative = cursor.eat_token(&Token::Minus);
    let text = match cursor.parser.next_token().token {
        Token::Number(number, _) => return Ok(if negative { format!("-{number}") } else { number }),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
        Token::DollarQuotedString(text) => text.value,
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        token => {
            return Err(syntax(format!("option \"{name}\" needs a value, not {token}"))
                .with_hint(format!("write {name} = 'value'"))
                .at(span));
        }
    };
    if negative { Err(syntax(format!("option \"{name}\": -{text} is not a number")).at(span)) } else { Ok(text) }
}

/// A value that must be one of a few; `default` if it is not given.
pub(crate) fn one_of<'a>(options: &'a Options, name: &str, default: &'a str, allowed: &[&str]) -> Result<&'a str> {
    let value = options.get(name).unwrap_or(default);
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(invalid(name, value).with_hint(format!("the values are {}", allowed.join(", "))))
}

/// A whole number from 1 on.
pub(crate) fn count(options: &Options, name: &str, most: u32) -> Result<Option<u32>> {
    let Some(value) = options.get(name) else { return Ok(None) };
    match value.parse::<u32>() {
        Ok(n) if (1..=most).contains(&n) => Ok(Some(n)),
        _ => Err(invalid(name, value).with_hint(format!("it is a whole number from 1 to {most}"))),
    }
}

/// true or false.
pub(crate) fn boolean(options: &Options, name: &str) -> Result<Option<bool>> {
    match options.get(name) {
        None => Ok(None),
        Some("true" | "on") => Ok(Some(true)),
        Some("false" | "off") => Ok(Some(false)),
        Some(value) => Err(invalid(name, value).with_hint("it is true or false")),
    }
}

/// A name of a topic: what Kafka accepts.
pub(crate) fn topic(options: &Options, name: &str) -> Result<Option<String>> {
    options.get(name).map(|value| topic_name(name, value)).transpose()
}

/// Names of topics, with commas between, each once.
pub(crate) fn topics(options: &Options, name: &str) -> Result<Option<Vec<String>>> {
    let Some(value) = options.get(name) else { return Ok(None) };
    let mut topics = Vec::new();
    for topic in value.split(',') {
        let topic = topic_name(name, topic.trim())?;
        if topics.contains(&topic) {
            return Err(invalid(name, value).with_hint(format!("topic \"{topic}\" is there twice: name each once")));
        }
        topics.push(topic);
    }
    if topics.len() > Partition::TOPICS_MAX {
        return Err(
            invalid(name, value).with_hint(format!("a table has no more than {} topics", Partition::TOPICS_MAX))
        );
    }
    Ok(Some(topics))
}

fn topic_name(name: &str, value: &str) -> Result<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if value.is_empty() || value.len() > 249 || value == "." || value == ".." || !value.chars().all(good) {
        return Err(
            invalid(name, value).with_hint("a topic has 1 to 249 letters, digits, dots, underscores and dashes")
        );
    }
    Ok(value.to_string())
}

/// The error of a value that is not allowed.
pub(crate) fn invalid(name: &str, value: &str) -> dataflow::StatementError {
    error(code::INVALID_PARAMETER, format!("invalid value for option \"{name}\": '{value}'"))
}
