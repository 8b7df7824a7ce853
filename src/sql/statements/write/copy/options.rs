//! The options of COPY, in both of their syntaxes, judged as PostgreSQL does.

use dataflow::{CopyColumn, CopyFormat, Header};
use datafusion::sql::sqlparser::tokenizer::{Token, Word};
use plan::TableDef;

use super::super::super::cursor::{Cursor, identifier};
use crate::error::{Detail, Result, code, error, syntax, unsupported};

/// The allowed options, as a message names them.
const OPTIONS: &str = "the options are FORMAT, DELIMITER, NULL, HEADER, QUOTE, ESCAPE, FORCE_QUOTE, FORCE_NOT_NULL, FORCE_NULL, \
                       ENCODING";

/// Columns that an option names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Columns {
    All,
    Named(Vec<String>),
}

/// The options as they are given.
#[derive(Debug, Default)]
pub(super) struct Options {
    format: Option<String>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<Header>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<Columns>,
    force_not_null: Option<Columns>,
    force_null: Option<Columns>,
    encoding: Option<String>,
    freeze: Option<bool>,
}

/// The value of an option in parentheses.
enum Given {
    Nothing,
    Text(String),
    Star,
    List(Vec<String>),
}

fn set<T>(place: &mut Option<T>, value: T, cursor: &Cursor<'_>) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(syntax("conflicting or redundant options").at(cursor.span())),
    }
}

impl Options {
    /// Reads what is behind STDIN or STDOUT, up to WHERE or the end.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
        let mut options = Self::default();
        if cursor.eat(&["USING"]) {
            cursor.expect("DELIMITERS")?;
            set(&mut options.delimiter, string(cursor)?, cursor)?;
        }
        cursor.eat(&["WITH"]);
        if cursor.eat_token(&Token::LParen) {
            loop {
                options.in_parentheses(cursor)?;
                if !cursor.eat_token(&Token::Comma) {
                    break;
                }
            }
            cursor.expect_token(&Token::RParen)?;
        } else {
            while options.bare(cursor)? {}
        }
        Ok(options)
    }

    /// One of the syntax before PostgreSQL 9.0; whether there was one.
    fn bare(&mut self, cursor: &mut Cursor<'_>) -> Result<bool> {
        let word = cursor.peek_word().unwrap_or_default();
        match word.as_str() {
            "BINARY" | "CSV" => {
                cursor.eat(&[&word]);
                set(&mut self.format, word.to_lowercase(), cursor)?;
            }
            "HEADER" => {
                cursor.eat(&["HEADER"]);
                set(&mut self.header, Header::Yes, cursor)?;
            }
            "FREEZE" => {
                cursor.eat(&["FREEZE"]);
                set(&mut self.freeze, true, cursor)?;
            }
            "FORCE" => {
                let place = if cursor.eat(&["FORCE", "QUOTE"]) {
                    &mut self.force_quote
                } else if cursor.eat(&["FORCE", "NOT", "NULL"]) {
                    &mut self.force_not_null
                } else if cursor.eat(&["FORCE", "NULL"]) {
                    &mut self.force_null
                } else {
                    return Err(cursor.expected("FORCE QUOTE, FORCE NOT NULL or FORCE NULL"));
                };
                let columns = match cursor.eat_token(&Token::Mul) {
                    true => Columns::All,
                    false => Columns::Named(names(cursor)?),
                };
                set(place, columns, cursor)?;
            }
            "DELIMITER" | "NULL" | "QUOTE" | "ESCAPE" | "ENCODING" => {
                cursor.eat(&[&word]);
                cursor.eat(&["AS"]);
                let text = string(cursor)?;
                let place = match word.as_str() {
                    "DELIMITER" => &mut self.delimiter,
                    "NULL" => &mut self.null,
                    "QUOTE" => &mut self.quote,
                    "ESCAPE" => &mut self.escape,
                    _ => &mut self.encoding,
                };
                set(place, text, cursor)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn in_parentheses(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let span = cursor.span();
        let name = cursor.identifier()?;
        let given = given(cursor)?;
        let text = |given: Given| match given {
            Given::Text(text) => Ok(text),
            Given::Nothing => Err(syntax(format!("{name} requires a parameter")).at(span)),
            Given::Star | Given::List(_) => Err(syntax(format!("{name} takes one value")).at(span)),
        };
        let columns = |given: Given| match given {
            Given::Star if name == "force_quote" => Ok(Columns::All),
            Given::List(list) => Ok(Columns::Named(list)),
            _ => {
                let message = format!("argument to option \"{name}\" must be a list of column names");
                Err(error(code::INVALID_PARAMETER, message).at(span))
            }
        };
        match name.as_str() {
            "format" => {
                let format = text(given)?;
                if !["text", "csv", "binary"].contains(&format.as_str()) {
                    let message = format!("COPY format \"{format}\" not recognized");
                    return Err(error(code::INVALID_PARAMETER, message).with_hint("it is text or csv").at(span));
                }
                set(&mut self.format, format, cursor)
            }
            "freeze" => set(&mut self.freeze, boolean("freeze", given).at(span)?, cursor),
            "delimiter" => set(&mut self.delimiter, text(given)?, cursor),
            "null" => set(&mut self.null, text(given)?, cursor),
            "quote" => set(&mut self.quote, text(given)?, cursor),
            "escape" => set(&mut self.escape, text(given)?, cursor),
            "encoding" => set(&mut self.encoding, text(given)?, cursor),
            "header" => set(&mut self.header, header(given).at(span)?, cursor),
            "force_quote" => set(&mut self.force_quote, columns(given)?, cursor),
            "force_not_null" => set(&mut self.force_not_null, columns(given)?, cursor),
            "force_null" => set(&mut self.force_null, columns(given)?, cursor),
            _ => Err(syntax(format!("option \"{name}\" not recognized")).with_hint(OPTIONS).at(span)),
        }
        .at(span)
    }

    /// The format that they say, for columns of these names, of a table if it is one's.
    pub(super) fn format(self, columns: &[String], table: Option<&TableDef>, from: bool) -> Result<CopyFormat> {
        let csv = match self.format.as_deref() {
            Some("binary") => {
                return Err(unsupported("COPY in binary format", "say FORMAT text or FORMAT csv"));
            }
            format => format == Some("csv"),
        };
        if self.freeze == Some(true) {
            return Err(unsupported("COPY ... FREEZE", "leave it out: rows are never frozen here"));
        }
        self.judge_encoding()?;
        self.judge_forces(csv, from)?;
        let delimiter = self.delimiter.clone().unwrap_or_else(|| if csv { "," } else { "\t" }.to_string());
        let null = self.null.clone().unwrap_or_else(|| if csv { "" } else { "\\N" }.to_string());
        let [delimiter_byte] = *delimiter.as_bytes() else { return Err(single("delimiter")) };
        if matches!(delimiter_byte, b'\r' | b'\n') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        if null.contains(['\r', '\n']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        if !csv
            && (matches!(delimiter_byte, b'\\' | b'.')
                || delimiter_byte.is_ascii_lowercase()
                || delimiter_byte.is_ascii_digit())
        {
            return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
        }
        if !csv && self.quote.is_some() {
            return Err(only_csv("quote"));
        }
        let quote = self.quote.clone().unwrap_or_else(|| "\"".to_string());
        let [quote_byte] = *quote.as_bytes() else { return Err(single("quote")) };
        if csv && quote_byte == delimiter_byte {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if !csv && self.escape.is_some() {
            return Err(only_csv("escape"));
        }
        let escape = self.escape.clone().unwrap_or_else(|| quote.clone());
        let [escape_byte] = *escape.as_bytes() else { return Err(single("escape")) };
        if null.contains(&delimiter) {
            return Err(error(code::NOT_SUPPORTED, "COPY delimiter must not appear in the NULL specification"));
        }
        if csv && null.contains(&quote) {
            return Err(error(code::NOT_SUPPORTED, "CSV quote character must not appear in the NULL specification"));
        }
        let header = self.header.unwrap_or_default();
        if header == Header::Match && !from {
            return Err(error(code::NOT_SUPPORTED, "cannot use \"match\" with HEADER in COPY TO"));
        }
        let columns = self.columns(columns, table)?;
        Ok(CopyFormat { csv, delimiter: delimiter_byte, null, header, quote: quote_byte, escape: escape_byte, columns })
    }

    fn judge_encoding(&self) -> Result<()> {
        let Some(encoding) = &self.encoding else { return Ok(()) };
        let name: String =
            encoding.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        if ["utf8", "unicode"].contains(&name.as_str()) {
            return Ok(());
        }
        Err(unsupported(format!("the encoding \"{encoding}\""), "everything here is UTF8: convert it before"))
    }

    fn judge_forces(&self, csv: bool, from: bool) -> Result<()> {
        let forces = [
            ("force quote", self.force_quote.is_some(), false, "COPY TO"),
            ("force not null", self.force_not_null.is_some(), true, "COPY FROM"),
            ("force null", self.force_null.is_some(), true, "COPY FROM"),
        ];
        for (name, there, of_from, only) in forces {
            if there && !csv {
                return Err(only_csv(name));
            }
            if there && from != of_from {
                return Err(error(code::NOT_SUPPORTED, format!("COPY {name} only available using {only}")));
            }
        }
        Ok(())
    }

    fn columns(&self, names: &[String], table: Option<&TableDef>) -> Result<Vec<CopyColumn>> {
        let mut columns = vec![CopyColumn::default(); names.len()];
        type Flag = fn(&mut CopyColumn) -> &mut bool;
        let all: [(&str, &Option<Columns>, Flag); 3] = [
            ("FORCE_QUOTE", &self.force_quote, |column| &mut column.force_quote),
            ("FORCE_NOT_NULL", &self.force_not_null, |column| &mut column.force_not_null),
            ("FORCE_NULL", &self.force_null, |column| &mut column.force_null),
        ];
        for (option, named, flag) in all {
            match named {
                None => {}
                Some(Columns::All) => columns.iter_mut().for_each(|column| *flag(column) = true),
                Some(Columns::Named(list)) => {
                    for name in list {
                        let at = names.iter().position(|column| column == name);
                        let at = at.ok_or_else(|| not_copied(option, name, table))?;
                        *flag(&mut columns[at]) = true;
                    }
                }
            }
        }
        Ok(columns)
    }
}

fn not_copied(option: &str, name: &str, table: Option<&TableDef>) -> dataflow::StatementError {
    match table {
        Some(table) if table.columns.position(name).is_some() => {
            error(code::INVALID_COLUMN_REFERENCE, format!("{option} column \"{name}\" not referenced by COPY"))
        }
        Some(table) => {
            error(code::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{}\" does not exist", table.name))
        }
        None => error(code::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")),
    }
}

fn single(what: &str) -> dataflow::StatementError {
    error(code::NOT_SUPPORTED, format!("COPY {what} must be a single one-byte character"))
}

fn only_csv(what: &str) -> dataflow::StatementError {
    error(code::NOT_SUPPORTED, format!("COPY {what} available only in CSV mode"))
}

fn invalid(message: impl Into<String>) -> dataflow::StatementError {
    error(code::INVALID_PARAMETER, message)
}

fn boolean(name: &str, given: Given) -> Result<bool> {
    let text = match given {
        Given::Nothing => return Ok(true),
        Given::Text(text) => text.to_ascii_lowercase(),
        Given::Star | Given::List(_) => String::new(),
    };
    match text.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(syntax(format!("{name} requires a Boolean value"))),
    }
}

fn header(given: Given) -> Result<Header> {
    match given {
        Given::Text(text) if text.eq_ignore_ascii_case("match") => Ok(Header::Match),
        given => match boolean("header", given) {
            Ok(true) => Ok(Header::Yes),
            Ok(false) => Ok(Header::No),
            Err(_) => Err(syntax("header requires a Boolean value or \"match\"")),
        },
    }
}

/// What stands behind the name of an option.
fn given(cursor: &mut Cursor<'_>) -> Result<Given> {
    if cursor.eat_token(&Token::Mul) {
        return Ok(Given::Star);
    }
    if cursor.eat_token(&Token::LParen) {
        let list = names(cursor)?;
        cursor.expect_token(&Token::RParen)?;
        return Ok(Given::List(list));
    }
    match &cursor.parser.peek_token_ref().token {
        Token::Comma | Token::RParen => Ok(Given::Nothing),
        _ => Ok(Given::Text(word(cursor)?)),
    }
}

/// A string, a bare word or a number.
fn word(cursor: &mut Cursor<'_>) -> Result<String> {
    let text = match &cursor.parser.peek_token_ref().token {
        Token::Word(Word { value, quote_style: None, .. }) => value.to_lowercase(),
        Token::Word(Word { value, .. }) => value.clone(),
        Token::Number(digits, _) => digits.clone(),
        _ => return string(cursor),
    };
    cursor.parser.next_token();
    Ok(text)
}

/// A string.
fn string(cursor: &mut Cursor<'_>) -> Result<String> {
    let text = match &cursor.parser.peek_token_ref().token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) | Token::UnicodeStringLiteral(text) => {
            text.clone()
        }
        Token::DollarQuotedString(text) => text.value.clone(),
        _ => return Err(cursor.expected("a string")),
    };
    cursor.parser.next_token();
    Ok(text)
}

/// A list of names.
pub(super) fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let ident = cursor.parser.parse_identifier().map_err(crate::error::from_parser)?;
        names.push(identifier(&ident));
        if !cursor.eat_token(&Token::Comma) {
            return Ok(names);
        }
    }
}
