//! The parts of a statement as PostgreSQL divides it: so much of its lexer as tells a string from what only looks like one.

use std::ops::Range;

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Whitespace or a comment.
    Space,
    /// A name or a keyword.
    Word,
    /// A name in double quotes.
    Name(String),
    /// A string, however it is written.
    Text(String),
    Number,
    /// Anything else: a character, or what does not end.
    Other,
}

/// The parts of a statement, with their places, one behind the other.
pub(super) fn parts(text: &str) -> Vec<(Part, Range<usize>)> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let (part, length) = first(&text[at..]);
        all.push((part, at..at + length));
        at += length;
    }
    all
}

fn first(text: &str) -> (Part, usize) {
    let begin = text.chars().next().unwrap_or(' ');
    let run = |goes_on: fn(char) -> bool| text.find(|c| !goes_on(c)).unwrap_or(text.len());
    let found = match begin {
        c if c.is_whitespace() => Some((Part::Space, run(char::is_whitespace))),
        '-' if text.starts_with("--") => Some((Part::Space, text.find(['\n', '\r']).unwrap_or(text.len()))),
        '/' if text.starts_with("/*") => comment(text).map(|length| (Part::Space, length)),
        '\'' => quoted(text, '\'').map(|(text, length)| (Part::Text(text), length)),
        '"' => quoted(text, '"').map(|(name, length)| (Part::Name(name), length)),
        'E' | 'e' if text[1..].starts_with('\'') => {
            escaped(&text[2..]).map(|(value, length)| (Part::Text(value), length + 2))
        }
        '$' => match tag(text) {
            Some(tag) => {
                let end = text[tag.len()..].find(tag);
                end.map(|end| (Part::Text(text[tag.len()..][..end].to_string()), 2 * tag.len() + end))
            }
            None => return (Part::Other, 1),
        },
        c if c.is_alphabetic() || c == '_' => {
            Some((Part::Word, run(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))))
        }
        c if c.is_ascii_digit() => Some((Part::Number, run(|c| c.is_alphanumeric() || matches!(c, '_' | '.')))),
        c => return (Part::Other, c.len_utf8()),
    };
    found.unwrap_or((Part::Other, text.len()))
}

/// The length of a comment; others may be in it.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let next = at + text[at..].find(['/', '*'])?;
        (depth, at) = match &text.as_bytes()[next..] {
            [b'/', b'*', ..] => (depth + 1, next + 2),
            [b'*', b'/', ..] => (depth - 1, next + 2),
            _ => (depth, next + 1),
        };
        if depth == 0 {
            return Some(at);
        }
    }
}

/// What is between quotes, and the length with them; two are one that is in it.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let (mut value, mut at) = (String::new(), 1);
    loop {
        let end = at + text[at..].find(quote)?;
        value.push_str(&text[at..end]);
        at = end + 1;
        if !text[at..].starts_with(quote) {
            return Some((value, at));
        }
        value.push(quote);
        at += 1;
    }
}

/// The `$tag$` with which a text begins.
fn tag(text: &str) -> Option<&str> {
    let end = 1 + text[1..].find(|c: char| !c.is_alphanumeric() && c != '_')?;
    text[end..].starts_with('$').then(|| &text[..=end])
}

/// What a string with escapes says, from behind its quote, and the length up to behind the other.
fn escaped(text: &str) -> Option<(String, usize)> {
    let (mut value, mut chars) = (String::new(), text.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if chars.peek().is_some_and(|(_, c)| *c == '\'') => {
                chars.next();
            }
            '\'' => return Some((value, at + 1)),
            '\\' => {
                let (at, c) = chars.next()?;
                let (radix, digits) = match c {
                    'x' => (16, at + 1..at + 3),
                    'u' => (16, at + 1..at + 5),
                    'U' => (16, at + 1..at + 9),
                    '0'..='7' => (8, at..at + 3),
                    _ => (0, 0..0),
                };
                let most = text.get(digits.start..).unwrap_or_default();
                let count = most.chars().take(digits.len()).take_while(|c| radix > 0 && c.is_digit(radix)).count();
                let number = u32::from_str_radix(&most[..count], radix.max(2)).ok().and_then(char::from_u32);
                value.push(match (c, number) {
                    (_, Some(number)) => number,
                    ('b', _) => '\u{8}',
                    ('f', _) => '\u{c}',
                    ('n', _) => '\n',
                    ('r', _) => '\r',
                    ('t', _) => '\t',
                    (c, _) => c,
                });
                let taken = if radix == 8 { count - 1 } else { count };
                for _ in 0..taken {
                    chars.next();
                }
                continue;
            }
            _ => {}
        }
        value.push(c);
    }
    None
}
