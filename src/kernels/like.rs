//! LIKE and ILIKE: `%` any text, `_` one character, an escape character before a character that means itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use zset::RowError;

use super::text::lower;
use super::{Result, valid};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Char(char),
}

/// A pattern as pieces; a pattern that ends in the escape character is an error only where matching gets there.
struct Pattern {
    pieces: Vec<Piece>,
    dangling: bool,
}

fn parse(pattern: &str, insensitive: bool, escape: Option<char>) -> Pattern {
    let mut pieces = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars().map(|c| if insensitive { lower(c) } else { c });
    let mut dangling = false;
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(c) => pieces.push(Piece::Char(c)),
                None => dangling = true,
            }
        } else if c == '%' {
            if pieces.last() != Some(&Piece::Any) {
                pieces.push(Piece::Any);
            }
        } else if c == '_' {
            pieces.push(Piece::One);
        } else {
            pieces.push(Piece::Char(c));
        }
    }
    Pattern { pieces, dangling }
}

fn dangling() -> RowError {
    RowError::new("22025", "LIKE pattern must not end with escape character")
}

/// Whether a text matches: pieces one by one, going back to the last `%` on a mismatch.
fn matches(text: &[char], pieces: &[Piece]) -> bool {
    let (mut at, mut piece) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                back = Some((piece, at));
                piece += 1;
                continue;
            }
            Some(Piece::One) => {
                at += 1;
                piece += 1;
                continue;
            }
            Some(Piece::Char(c)) if *c == text[at] => {
                at += 1;
                piece += 1;
                continue;
            }
            _ => {}
        }
        let Some((any, from)) = back else { return false };
        back = Some((any, from + 1));
        piece = any + 1;
        at = from + 1;
    }
    pieces[piece..].iter().all(|p| *p == Piece::Any)
}

/// `text LIKE pattern`.
pub(super) fn like(text: &ArrayRef, pattern: &ArrayRef, insensitive: bool, escape: Option<char>) -> Result<ArrayRef> {
    let (text, patterns) = (text.as_string::<i32>(), pattern.as_string::<i32>());
    let nulls = valid(&[text, patterns]);
    let mut output = BooleanBuilder::with_capacity(text.len());
    let mut last: Option<(String, Pattern)> = None;
    let mut chars: Vec<char> = Vec::new();
    for row in 0..text.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            output.append_null();
            continue;
        }
        let source = patterns.value(row);
        if last.as_ref().is_none_or(|(known, _)| known != source) {
            last = Some((source.to_string(), parse(source, insensitive, escape)));
        }
        let Some((_, pattern)) = &last else { continue };
        if pattern.dangling {
            return Err(dangling());
        }
        chars.clear();
        chars.extend(text.value(row).chars().map(|c| if insensitive { lower(c) } else { c }));
        output.append_value(matches(&chars, &pattern.pieces));
    }
    Ok(Arc::new(output.finish()))
}
