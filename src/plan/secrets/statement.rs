//! The passwords of a statement: those in the options of CREATE TABLE | SOURCE | SINK ... WITH (...).

use std::ops::Range;

use super::hide_in_option;
use super::lexer::{Part, parts};

/// A statement in which the passwords of its options are replaced. They are found in the values as these are read, so that
/// [`super::reveal_in_option`] finds the same. Any other statement is as it was.
pub fn replace_passwords(statement: &str, replace: &mut dyn FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(statement.len());
    let mut done = 0;
    for (name, value, place) in options(statement) {
        let hidden = hide_in_option(&name, &value, replace);
        if hidden != value {
            out.push_str(&statement[done..place.start]);
            out.push_str(&format!("'{}'", hidden.replace('\'', "''")));
            done = place.end;
        }
    }
    out + &statement[done..]
}

/// The options of a statement that makes something with them: names, values, and the places of these. Where it goes wrong the
/// statement does too, and is not logged.
pub(super) fn options(statement: &str) -> Vec<(String, String, Range<usize>)> {
    let parts: Vec<_> = parts(statement).into_iter().filter(|(part, _)| *part != Part::Space).collect();
    let word = |at: usize| match parts.get(at) {
        Some((Part::Word, place)) => statement[place.clone()].to_lowercase(),
        _ => String::new(),
    };
    let sign = |at: usize| match parts.get(at) {
        Some((Part::Other, place)) => &statement[place.clone()],
        _ => "",
    };
    if word(0) != "create" || !["table", "source", "sink"].contains(&word(1).as_str()) {
        return Vec::new();
    }
    let (mut depth, mut begin) = (0, None);
    for at in 2..parts.len() {
        match sign(at) {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ if depth == 0 && word(at) == "with" && sign(at + 1) == "(" => begin = Some(at + 2),
            _ => {}
        }
    }
    let (mut found, Some(mut at)) = (Vec::new(), begin) else { return Vec::new() };
    loop {
        let mut name = String::new();
        loop {
            match parts.get(at) {
                Some((Part::Word, place)) => name.push_str(&statement[place.clone()].to_lowercase()),
                Some((Part::Name(part) | Part::Text(part), _)) => name.push_str(&part.to_lowercase()),
                _ => return found,
            }
            at += 1;
            if sign(at) != "." {
                break;
            }
            name.push('.');
            at += 1;
        }
        if sign(at) != "=" {
            return found;
        }
        at += 1;
        let begin = parts.get(at).map_or(0, |(_, place)| place.start);
        let minus = sign(at) == "-";
        at += usize::from(minus);
        let Some((part, place)) = parts.get(at) else { return found };
        let value = match part {
            Part::Text(value) => value.clone(),
            Part::Word => statement[place.clone()].to_lowercase(),
            Part::Number if minus => format!("-{}", &statement[place.clone()]),
            Part::Number => statement[place.clone()].to_string(),
            _ => return found,
        };
        found.push((name, value, begin..place.end));
        at += 1;
        if sign(at) != "," {
            return found;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> (String, String) {
        let mut seen = Vec::new();
        let text = replace_passwords(text, &mut |secret| {
            seen.push(secret.to_string());
            format!("<{}>", seen.len())
        });
        (text, seen.join("|"))
    }

    #[test]
    fn only_options_of_connectors_have_passwords() {
        let same = |text: &str| assert_eq!(replaced(text), (text.to_string(), String::new()));
        same("CREATE STREAM TABLE v AS SELECT * FROM t WHERE password = 'a'");
        same("CREATE MATERIALIZED VIEW v WITH (password = 'a') AS SELECT 1");
        same("SELECT 'CREATE SINK s WITH (password = ''a'')'");
        same("CREATE TABLE t (password TEXT CHECK (password = 'a'))");
        same("CREATE TABLE t (a TEXT DEFAULT 'with (password = ''x'')')");
        same("CREATE SINK s FROM t /* WITH (password = 'a') */");
        let (text, seen) = replaced(
            "create  source s (\"with (\" TEXT CHECK (password = 'a')) With (url='postgres://u:b@h', secret = 'it''s', x = '')",
        );
        assert_eq!(seen, "b|it's");
        let expected = "create  source s (\"with (\" TEXT CHECK (password = 'a')) With (url='postgres://u:<1>@h', secret = '<2>', x = '')";
        assert_eq!(text, expected);
    }

    #[test]
    fn passwords_are_found_however_they_are_written() {
        for (option, password) in [
            ("url = 'postgres://o''brien:p''w@h'", "p'w"),
            ("url = 'postgres://u:a b\"c@h'", "a b\"c"),
            ("url = 'postgres://u@h/d?password=a,b)c&sslmode=prefer'", "a,b)c"),
            ("\"KAFKA.sasl.PassWord\" = 'geheim'", "geheim"),
            ("kafka.sasl.password = 'geheim'", "geheim"),
            ("kafka . \"sasl\" . password='geheim'", "geheim"),
            ("password = geheim", "geheim"),
            ("password = -12_3.5", "-12_3.5"),
            ("password = $$it's$$", "it's"),
            ("password = $a$ $$ $a$", " $$ "),
            (r"password = E'a\'b''c\\\x41\n\u00fc\101'", "a'b'c\\A\n\u{fc}A"),
            ("url = E'postgres://u:a\\'b@h'", "a'b"),
            ("-- it's\n password /* 'x /* ' */ */ = 'geheim'", "geheim"),
            ("-- it's\rpassword = 'geheim'", "geheim"),
            ("x = 1, y = true, z = $$($$, password = 'geheim'", "geheim"),
        ] {
            let statement =
                format!("/* it's */ CREATE/**/SINK s FROM t -- it's\n WITH (connector = 'postgres', {option})");
            let (text, seen) = replaced(&statement);
            assert_eq!(seen, password, "{statement}");
            assert!(text.contains("<1>") && !text.contains("geheim"), "{text}");
            assert_eq!(replaced(&text).1, "<1>", "the password is where it was: {text}");
        }
    }
}
