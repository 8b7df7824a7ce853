//! LIKE and regular expressions.
//!
//! The patterns that clients make of names (`^(cust.*)$`, `^pg_toast`) are texts with `.*` between them and are matched as
//! such; any other is compiled.

use arrow::array::StringArray;
use arrow::compute::kernels::regexp::regexp_is_match;

use crate::error::{Result, error};

/// LIKE, or ILIKE.
pub(super) fn like(text: &str, pattern: &str, escape: Option<char>, insensitive: bool) -> bool {
    if insensitive {
        return like(&text.to_lowercase(), &pattern.to_lowercase(), escape, false);
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            c if Some(c) == escape => Part::One(chars.next().unwrap_or(c)),
            '%' => Part::Many,
            '_' => Part::Any,
            c => Part::One(c),
        });
    }
    matches(&text.chars().collect::<Vec<_>>(), &parts)
}

#[derive(Clone, Copy)]
enum Part {
    One(char),
    Any,
    Many,
}

/// Greedy, going back to the last `Many` where it fails.
fn matches(text: &[char], parts: &[Part]) -> bool {
    let (mut at, mut part) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        let fits = match parts.get(part) {
            Some(Part::One(c)) => *c == text[at],
            Some(Part::Any) => true,
            Some(Part::Many) => {
                back = Some((at, part));
                part += 1;
                continue;
            }
            None => false,
        };
        if fits {
            (at, part) = (at + 1, part + 1);
        } else if let Some((from, many)) = back {
            (at, part) = (from + 1, many + 1);
            back = Some((from + 1, many));
        } else {
            return false;
        }
    }
    parts[part..].iter().all(|part| matches!(part, Part::Many))
}

/// `~`, or `~*`.
pub(super) fn regex(text: &str, pattern: &str, insensitive: bool) -> Result<bool> {
    if let Some(parts) = plain(pattern) {
        let fold = |text: &str| if insensitive { text.to_lowercase() } else { text.to_string() };
        let parts: Vec<Part> = match insensitive {
            true => plain(&pattern.to_lowercase()).unwrap_or(parts),
            false => parts,
        };
        return Ok(matches(&fold(text).chars().collect::<Vec<_>>(), &parts));
    }
    let flags = StringArray::from(vec!["i"]);
    let (texts, patterns) = (StringArray::from(vec![text]), StringArray::from(vec![pattern]));
    let found = regexp_is_match(&texts, &patterns, insensitive.then_some(&flags));
    let found = found.map_err(|_| error("2201B", format!("invalid regular expression: {pattern}")))?;
    Ok(found.value(0))
}

/// A pattern of plain characters and `.*`, anchored or not, perhaps in one pair of parentheses.
fn plain(pattern: &str) -> Option<Vec<Part>> {
    let (start, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(rest);
    let mut parts = Vec::new();
    if !start {
        parts.push(Part::Many);
    }
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '.' if chars.next_if_eq(&'*').is_some() => parts.push(Part::Many),
            '.' if !matches!(chars.peek(), Some('+' | '?' | '{')) => parts.push(Part::Any),
            '.' | '\\' | '*' | '+' | '?' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c if matches!(chars.peek(), Some('*' | '+' | '?' | '{')) && c != '.' => return None,
            c => parts.push(Part::One(c)),
        }
    }
    if !end {
        parts.push(Part::Many);
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::{like, regex};

    #[test]
    fn regular_expressions() {
        let cases = [
            ("customers", "^(cust.*)$", true),
            ("xcustomers", "^(cust.*)$", false),
            ("pg_toast_1", "^pg_toast", true),
            ("my_pg_toast", "^pg_toast", false),
            ("server_version", "^(.*server.*)$", true),
            ("abc", "b", true),
            ("abc", "^(a|x).c$", true),
            ("abc", "^(b|x).c$", false),
            ("ab", "^a?b+$", true),
            ("a.c", "^a\\.c$", true),
            ("abc", "^a\\.c$", false),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(regex(text, pattern, false), Ok(expected), "{text} ~ {pattern}");
            assert_eq!(regex(&text.to_uppercase(), pattern, true), Ok(expected), "{text} ~* {pattern}");
        }
        assert!(regex("a", "(", false).is_err());
    }

    #[test]
    fn patterns() {
        let cases = [
            ("customers", "cus%", true),
            ("pg_class", "pg\\_cl%", true),
            ("pgxclass", "pg\\_cl%", false),
            ("abcbd", "a%b_", true),
            ("abcb", "a%b_", false),
            ("", "%", true),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(like(text, pattern, Some('\\'), false), expected, "{text} LIKE {pattern}");
        }
    }
}
