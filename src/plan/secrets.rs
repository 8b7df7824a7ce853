//! Texts without the passwords in them, for all that is shown: SHOW, logs, errors.

/// What stands for a password.
const MASK: &str = "***";

/// A text, SQL or a url, in which every password that can be told as one is replaced: `scheme://user:PASSWORD@host`,
/// `password=PASSWORD`, `"kafka.sasl.password" = 'PASSWORD'`, and so for `secret`. (`password_file = ...` names no password.)
pub fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((kept, secret)) = next_secret(rest) {
        out.push_str(&rest[..kept]);
        out.push_str(MASK);
        rest = &rest[kept + secret..];
    }
    out.push_str(rest);
    out
}

/// Where the next password begins, and its length.
fn next_secret(text: &str) -> Option<(usize, usize)> {
    let of_url = text.match_indices("://").find_map(|(at, _)| in_url(text, at + 3));
    let lower = text.to_ascii_lowercase();
    let named = ["password", "secret"];
    let of_name = named
        .iter()
        .flat_map(|name| lower.match_indices(name))
        .filter_map(|(at, name)| named_value(text, at + name.len()));
    of_name.chain(of_url).min()
}

/// The password of a url whose authority begins at `start`.
fn in_url(text: &str, start: usize) -> Option<(usize, usize)> {
    let rest = &text[start..];
    let rest = &rest[..quote(rest)];
    let rest = &rest[..rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len())];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // A password may have a slash in it, though it should not.
    let end = authority.rfind('@').or_else(|| rest.rfind('@'))?;
    let begin = rest[..end].find(':')? + 1;
    (&rest[begin..end] != MASK && begin < end).then(|| (start + begin, end - begin))
}

/// The value behind a name that ends at `end`: `= 'value'`, or `=value`.
fn named_value(text: &str, end: usize) -> Option<(usize, usize)> {
    let rest = &text[end..];
    let at = rest.trim_start_matches(['"', ' ', '\t', '\n']);
    let value = at.strip_prefix('=')?.trim_start_matches([' ', '\t', '\n']);
    let (value, length) = match value.strip_prefix('\'') {
        Some(quoted) => (quoted, quote(quoted)),
        None => (value, value.find(|c: char| c.is_whitespace() || "&,)'\"".contains(c)).unwrap_or(value.len())),
    };
    let begin = text.len() - value.len();
    (length > 0 && !value.starts_with(MASK)).then_some((begin, length))
}

/// Where the quote is that ends a string of SQL; two are one that is in it.
fn quote(text: &str) -> usize {
    let mut at = 0;
    while let Some(found) = text[at..].find('\'') {
        at += found;
        if !text[at + 1..].starts_with('\'') {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("postgres://u:p@h:5432/db", "postgres://u:***@h:5432/db"),
            (
                "url = 'postgres://u:p@ss@h/db', x = 'postgres://v:q@h'",
                "url = 'postgres://u:***@h/db', x = 'postgres://v:***@h'",
            ),
            ("postgres://u:p/s@h/db", "postgres://u:***@h/db"),
            ("postgres://h/db?password=geheim&sslmode=prefer", "postgres://h/db?password=***&sslmode=prefer"),
            (
                "WITH (\"kafka.sasl.password\" = 'a b', client_secret='c')",
                "WITH (\"kafka.sasl.password\" = '***', client_secret='***')",
            ),
            ("url = 'postgres://u:a''b@h', password = 'a''b'", "url = 'postgres://u:***@h', password = '***'"),
            ("postgres://u@h/db", "postgres://u@h/db"),
            ("password_file = '/etc/p', password_env = 'P'", "password_file = '/etc/p', password_env = 'P'"),
            ("http://h:80/x and y@z", "http://h:80/x and y@z"),
            ("CREATE TABLE t (password TEXT)", "CREATE TABLE t (password TEXT)"),
        ] {
            assert_eq!(without_passwords(text), shown);
            assert_eq!(without_passwords(shown), shown, "again");
        }
    }
}
