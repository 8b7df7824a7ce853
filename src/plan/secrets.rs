//! Texts without the passwords in them, for all that is shown: SHOW, logs, errors.

#[cfg(test)]
mod fuzz;
mod lexer;
mod statement;

pub use statement::replace_passwords;

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

/// Whether an option of this name is a password as a whole.
pub fn is_password(option: &str) -> bool {
    let option = option.to_ascii_lowercase();
    option.ends_with("password") || option.ends_with("secret")
}

/// An option's value in which the passwords are replaced: the whole of it, or those in a url, then those that have a name in it.
/// [`reveal_in_option`] finds exactly these again if what stands for a password has none of the signs by which passwords are found:
/// what is before a password, and the sign behind it, is left as it is.
pub fn hide_in_option(name: &str, value: &str, replace: &mut dyn FnMut(&str) -> String) -> String {
    match is_password(name) {
        true if value.is_empty() => String::new(),
        true => replace(value),
        false => each(&each(value, of_url, replace), of_name, replace),
    }
}

/// The reverse of [`hide_in_option`]: the same places in the reverse order.
pub fn reveal_in_option(name: &str, value: &str, replace: &mut dyn FnMut(&str) -> String) -> String {
    match is_password(name) {
        true if value.is_empty() => String::new(),
        true => replace(value),
        false => each(&each(value, of_name, replace), of_url, replace),
    }
}

/// The first password of a value and its length.
type Find = fn(&str) -> Option<(usize, usize)>;

fn each(value: &str, find: Find, replace: &mut dyn FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((kept, secret)) = find(rest) {
        out.push_str(&rest[..kept]);
        out.push_str(&replace(&rest[kept..kept + secret]));
        rest = &rest[kept + secret..];
    }
    out + rest
}

/// `scheme://user:PASSWORD@host`, in a value.
fn of_url(value: &str) -> Option<(usize, usize)> {
    value
        .match_indices("://")
        .find_map(|(at, _)| in_authority(&value[at + 3..]).map(|(begin, length)| (at + 3 + begin, length)))
}

/// `password=PASSWORD`, up to the next parameter, or in quotes, in a value.
fn of_name(value: &str) -> Option<(usize, usize)> {
    let lower = value.to_ascii_lowercase();
    let of_name = |end: usize| {
        let rest = value[end..].trim_start_matches(['"', ' ', '\t', '\n']).strip_prefix('=')?;
        let rest = rest.trim_start_matches([' ', '\t', '\n']);
        let (rest, length) = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => (&rest[1..], rest[1..].find(quote).unwrap_or(rest.len() - 1)),
            _ => (rest, rest.find(|c: char| c.is_whitespace() || c == '&').unwrap_or(rest.len())),
        };
        (length > 0).then_some((value.len() - rest.len(), length))
    };
    let names = ["password", "secret"].into_iter().flat_map(|name| lower.match_indices(name));
    names.filter_map(|(at, name)| of_name(at + name.len())).min()
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
    let (begin, length) = in_authority(rest)?;
    (&rest[begin..begin + length] != MASK).then_some((start + begin, length))
}

/// The password of a url, from behind its `//`.
fn in_authority(rest: &str) -> Option<(usize, usize)> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // A password may have a slash in it, though it should not.
    let end = authority.rfind('@').or_else(|| rest.rfind('@'))?;
    let begin = rest[..end].find(':')? + 1;
    (begin < end).then(|| (begin, end - begin))
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
    fn an_option_is_a_password_by_its_name_in_any_case() {
        for name in ["password", "kafka.SASL.Password", "CLIENT_SECRET"] {
            assert_eq!(hide_in_option(name, "a@b", &mut |_| MASK.to_string()), MASK, "{name}");
        }
        for name in ["password_file", "PASSWORD_ENV", "url"] {
            assert_eq!(hide_in_option(name, "a@b", &mut |_| MASK.to_string()), "a@b", "{name}");
        }
    }

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
