//! Texts without the passwords in them, for all that is shown: SHOW, logs, errors.

/// What stands for a password.
const MASK: &str = "***";

/// A text, SQL or a url, in which every password that can be told as one is replaced: `scheme://user:PASSWORD@host`,
/// `password=PASSWORD`, `"kafka.sasl.password" = 'PASSWORD'`, and so for `secret`. (`password_file = ...` names no password.)
pub fn without_passwords(text: &str) -> String {
    each_secret(text, |_| MASK.to_string())
}

fn each_secret(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((kept, secret)) = next_secret(rest) {
        out.push_str(&rest[..kept]);
        out.push_str(&replace(&rest[kept..kept + secret]));
        rest = &rest[kept + secret..];
    }
    out.push_str(rest);
    out
}

/// A statement in which the passwords of its options, CREATE TABLE | SOURCE | SINK ... WITH (...), are replaced. Quotes in
/// them are doubled in the statement, and not for `replace`. Any other statement is as it was.
pub fn replace_passwords(statement: &str, replace: &mut dyn FnMut(&str) -> String) -> String {
    let Some(options) = options_of(statement) else { return statement.to_string() };
    let (before, options) = statement.split_at(options);
    let quoted = |secret: &str| replace(&secret.replace("''", "'")).replace('\'', "''");
    before.to_string() + &each_secret(options, quoted)
}

/// Whether an option of this name is a password as a whole.
pub fn is_password(option: &str) -> bool {
    option.ends_with("password") || option.ends_with("secret")
}

/// An option's value in which the passwords are replaced: the whole of it, or those in a url.
pub fn replace_in_option(name: &str, value: &str, replace: &mut dyn FnMut(&str) -> String) -> String {
    if is_password(name) { replace(value) } else { each_secret(value, replace) }
}

/// Where the options of a statement begin that has some: behind the last WITH before a parenthesis, outside of quotes.
fn options_of(statement: &str) -> Option<usize> {
    let mut words = statement.split_whitespace().map(str::to_ascii_lowercase);
    if words.next().as_deref() != Some("create")
        || !matches!(words.next().as_deref(), Some("table" | "source" | "sink"))
    {
        return None;
    }
    let lower = statement.to_ascii_lowercase();
    let ends_word = |at: usize| !lower[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let (mut at, mut found) = (0, None);
    while let Some(next) = lower[at..].find(['\'', '"', 'w']) {
        at += next;
        if let Some(quoted) = ["'", "\""].into_iter().find(|quote| lower[at..].starts_with(quote)) {
            let end = lower[at + 1..].find(quoted)?;
            at += end + 2;
        } else {
            let begins = !lower[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let behind = at + 4;
            if begins && lower[at..].starts_with("with") && ends_word(behind) {
                found = lower[behind..].trim_start().starts_with('(').then_some(behind).or(found);
            }
            at += 1;
        }
    }
    found
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

    #[test]
    fn only_options_of_connectors_have_passwords() {
        let replaced = |text: &str| {
            let mut seen = Vec::new();
            let text = replace_passwords(text, &mut |secret| {
                seen.push(secret.to_string());
                format!("<{}>", seen.len())
            });
            (text, seen.join(","))
        };
        let same = |text: &str| assert_eq!(replaced(text), (text.to_string(), String::new()));
        same("CREATE STREAM TABLE v AS SELECT * FROM t WHERE password = 'a'");
        same("CREATE MATERIALIZED VIEW v WITH (password = 'a') AS SELECT 1");
        same("SELECT 'CREATE SINK s WITH (password = ''a'')'");
        same("CREATE TABLE t (password TEXT CHECK (password = 'a'))");
        same("CREATE TABLE t (a TEXT DEFAULT 'with (password = ''x'')')");
        let (text, seen) = replaced(
            "create  source s (\"with (\" TEXT CHECK (password = 'a')) With (url='postgres://u:b@h', secret = 'it''s', x = '')",
        );
        assert_eq!(seen, "b,it's");
        let expected = "create  source s (\"with (\" TEXT CHECK (password = 'a')) With (url='postgres://u:<1>@h', secret = '<2>', x = '')";
        assert_eq!(text, expected);
    }
}
