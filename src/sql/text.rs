//! A statement as text: tokens, the split at semicolons, the normal form by which two definitions are the same.

use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::dialect::OurDialect;
use crate::effort;
use crate::error::{Result, from_parser, from_tokenizer};

/// The dialect of everything.
pub(crate) const DIALECT: OurDialect = OurDialect;

/// All tokens, white space included.
pub(crate) fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>> {
    Tokenizer::new(&DIALECT, text).tokenize_with_location().map_err(from_tokenizer)
}

/// Reads a part of a statement that was read before, or that is our own.
pub(crate) fn read_again<T>(
    text: &str,
    part: impl FnOnce(&mut Parser<'static>) -> std::result::Result<T, ParserError>,
) -> Result<T> {
    let read = || Parser::new(&DIALECT).try_with_sql(text).and_then(|mut parser| part(&mut parser));
    effort::of_known(read).map_err(from_parser)
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

/// Byte offsets of the tokenizer's locations: lines are ended by `\n`, columns count characters from 1.
struct Offsets<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Offsets<'a> {
    fn new(text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(starts).collect() }
    }

    fn of(&self, at: Location) -> usize {
        let line = (at.line.max(1) - 1) as usize;
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let column = (at.column.max(1) - 1) as usize;
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(offset, _)| start + offset)
    }
}

/// The statements of a text, without semicolons; empty ones and lone comments are left out.
pub(crate) fn split(text: &str) -> Result<Vec<String>> {
    let offsets = Offsets::new(text);
    let mut statements = Vec::new();
    let (mut start, mut something) = (0, false);
    for token in tokenize(text)? {
        if token.token == Token::SemiColon {
            let end = offsets.of(token.span.start);
            if something {
                statements.push(text[start..end].trim().to_string());
            }
            start = end + 1;
            something = false;
        } else if !is_space(&token.token) {
            something = true;
        }
    }
    if something {
        statements.push(text[start..].trim().to_string());
    }
    Ok(statements)
}

/// A piece of a statement's source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// As written.
    text: String,
    /// With unquoted words in lower case.
    folded: String,
}

fn pieces(text: &str) -> Result<Vec<Piece>> {
    let offsets = Offsets::new(text);
    let tokens = tokenize(text)?;
    let mut pieces = Vec::with_capacity(tokens.len());
    for token in tokens {
        if is_space(&token.token) || token.token == Token::SemiColon {
            continue;
        }
        let source = &text[offsets.of(token.span.start)..offsets.of(token.span.end)];
        let folded = match &token.token {
            Token::Word(word) if word.quote_style.is_none() => source.to_lowercase(),
            _ => source.to_string(),
        };
        pieces.push(Piece { text: source.to_string(), folded });
    }
    Ok(pieces)
}

/// CREATE ... IF NOT EXISTS without its IF NOT EXISTS.
fn without_if_not_exists(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let head = pieces.len().min(7);
    let found =
        pieces[..head].windows(3).position(|w| [&w[0].folded, &w[1].folded, &w[2].folded] == ["if", "not", "exists"]);
    if let Some(at) = found {
        pieces.drain(at..at + 3);
    }
    pieces
}

/// The statement with single spaces, without comments and without IF NOT EXISTS: what the catalog keeps.
pub(crate) fn normalise(text: &str) -> Result<String> {
    let pieces = without_if_not_exists(pieces(text)?);
    Ok(pieces.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(" "))
}

/// Whether two statements define the same thing: equal but for white space, comments, the case of unquoted words,
/// IF NOT EXISTS, and MATERIALIZED VIEW for STREAM TABLE.
pub(crate) fn same_definition(one: &str, other: &str) -> bool {
    let folded = |text: &str| -> Option<Vec<String>> {
        let mut words: Vec<String> =
            without_if_not_exists(pieces(text).ok()?).into_iter().map(|piece| piece.folded).collect();
        if words.len() > 2 && words[1] == "materialized" && words[2] == "view" {
            words[1] = "stream".into();
            words[2] = "table".into();
        }
        Some(words)
    };
    matches!((folded(one), folded(other)), (Some(a), Some(b)) if a == b)
}

/// The text of the statement from a token to its end, as written.
pub(crate) fn from_location(text: &str, at: Location) -> String {
    let offsets = Offsets::new(text);
    text[offsets.of(at)..].trim().trim_end_matches(';').trim().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn splits_at_semicolons_that_end_statements() {
        let text = "-- one; two\nSELECT ';' AS \"a;b\"; /* ; */ SELECT $$ ; $$, $x$;$x$;;\n é ;  -- end;";
        let statements = split(text).unwrap();
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert_eq!(statements[0], "-- one; two\nSELECT ';' AS \"a;b\"");
        assert_eq!(statements[1], "/* ; */ SELECT $$ ; $$, $x$;$x$");
        assert_eq!(statements[2], "é");
        assert_eq!(split("SELECT 'open").unwrap_err().sqlstate, "42601");
    }

    #[test]
    fn normal_form_keeps_literals_and_drops_the_rest() {
        let text = "CREATE  STREAM TABLE IF NOT EXISTS v -- c\n AS SELECT 'it''s  so',\tE'a\\n', \"X y\"   FROM t;";
        let normal = normalise(text).unwrap();
        assert_eq!(normal, "CREATE STREAM TABLE v AS SELECT 'it''s  so' , E'a\\n' , \"X y\" FROM t");
        assert!(same_definition(&normal, "create stream table V as select 'it''s  so',E'a\\n',\"X y\" from T"));
        assert!(same_definition(&normal, "create materialized view v as select 'it''s  so',E'a\\n',\"X y\" from T"));
        assert!(!same_definition(&normal, "create stream table v as select 'it''s so',E'a\\n',\"X y\" from T"));
        assert!(!same_definition(&normal, "create stream table v as select 'it''s  so',E'a\\n',\"x y\" from T"));
    }
}
