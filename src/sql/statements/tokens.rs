//! What PostgreSQL has and the parser has not, by its tokens: the options of an identity in any order, OVERRIDING in INSERT,
//! FROM in a trim() that does not say what is cut off.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// OVERRIDING ... VALUE of an INSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// A value that is given is taken, also by a column that is GENERATED ALWAYS.
    System,
    /// No value that is given to an identity column is taken.
    User,
}

/// The unquoted word of a token, in upper case.
fn word(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// The places of these words if they follow each other from a place on.
fn words_at(tokens: &[TokenWithSpan], from: usize, words: &[&str]) -> Option<usize> {
    let mut at = from;
    for expected in words {
        at += tokens[at..].iter().take_while(|token| is_space(token)).count();
        if tokens.get(at).and_then(word).as_deref() != Some(*expected) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// Takes OVERRIDING SYSTEM | USER VALUE out.
pub(crate) fn take_overriding(tokens: &mut Vec<TokenWithSpan>) -> Option<Overriding> {
    for at in 0..tokens.len() {
        for (kind, overriding) in [("SYSTEM", Overriding::System), ("USER", Overriding::User)] {
            if let Some(end) = words_at(tokens, at, &["OVERRIDING", kind, "VALUE"]).filter(|_| !is_space(&tokens[at])) {
                tokens.drain(at..end);
                return Some(overriding);
            }
        }
    }
    None
}

/// `trim(leading FROM x)` is `trim(leading x)`, and `trim(FROM x)` is `trim(x)`.
pub(crate) fn drop_from_of_trim(tokens: &mut Vec<TokenWithSpan>) {
    let next =
        |tokens: &[TokenWithSpan], at: usize| at + tokens[at..].iter().take_while(|token| is_space(token)).count();
    for at in 0..tokens.len() {
        if tokens.get(at).and_then(word).as_deref() != Some("TRIM") {
            continue;
        }
        let open = next(tokens, at + 1);
        if tokens.get(open).is_none_or(|token| token.token != Token::LParen) {
            continue;
        }
        let side = next(tokens, open + 1);
        let is_side = matches!(tokens.get(side).and_then(word).as_deref(), Some("LEADING" | "TRAILING" | "BOTH"));
        let from = if is_side { next(tokens, side + 1) } else { side };
        if tokens.get(from).and_then(word).as_deref() == Some("FROM") {
            tokens.remove(from);
        }
    }
}

/// The options of a sequence, in the order that the parser wants.
const OPTIONS: [&[&str]; 9] = [
    &["INCREMENT"],
    &["MINVALUE"],
    &["NO", "MINVALUE"],
    &["MAXVALUE"],
    &["NO", "MAXVALUE"],
    &["START"],
    &["CACHE"],
    &["NO", "CYCLE"],
    &["CYCLE"],
];

/// Puts the options of every identity in the order that the parser wants.
pub(crate) fn order_identity_options(tokens: &mut [TokenWithSpan]) {
    for at in 0..tokens.len() {
        let Some(open) = words_at(tokens, at, &["IDENTITY"]).filter(|_| !is_space(&tokens[at])) else { continue };
        let open = open + tokens[open..].iter().take_while(|token| is_space(token)).count();
        if tokens.get(open).is_none_or(|token| token.token != Token::LParen) {
            continue;
        }
        let Some(length) = tokens[open..].iter().position(|token| token.token == Token::RParen) else { continue };
        let inside = open + 1..open + length;
        let ordered = ordered(&tokens[inside.clone()]);
        tokens[inside].clone_from_slice(&ordered);
    }
}

fn ordered(options: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut groups: Vec<(usize, Vec<TokenWithSpan>)> = vec![(0, Vec::new())];
    let mut at = 0;
    while at < options.len() {
        let of = |names: &&&[&str]| !is_space(&options[at]) && words_at(options, at, names).is_some();
        let mut taken = 1;
        if let Some(place) = OPTIONS.iter().position(|names| of(&names)) {
            groups.push((place + 1, Vec::new()));
            taken = words_at(options, at, OPTIONS[place]).map_or(1, |end| end - at);
        }
        if let Some((_, group)) = groups.last_mut() {
            group.extend_from_slice(&options[at..at + taken]);
        }
        at += taken;
    }
    groups.sort_by_key(|(place, _)| *place);
    groups.into_iter().flat_map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::text;

    fn shown(tokens: &[TokenWithSpan]) -> String {
        tokens.iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn options_of_an_identity_come_in_any_order() {
        let mut tokens = text::tokenize(
            "a int GENERATED ALWAYS AS IDENTITY (START WITH 5 NO CYCLE INCREMENT BY -2 NO MINVALUE), b int",
        )
        .unwrap();
        order_identity_options(&mut tokens);
        let text = shown(&tokens);
        let places: Vec<usize> =
            ["INCREMENT BY -2", "NO MINVALUE", "START WITH 5", "NO CYCLE"].map(|part| text.find(part).unwrap()).into();
        assert!(places.is_sorted(), "{text}");
        assert!(text.ends_with("), b int"), "{text}");
    }

    #[test]
    fn trim_says_from_without_what() {
        for (text, expected) in [
            ("trim(LEADING from x)", "trim(LEADING  x)"),
            ("a, TRIM ( FROM x) FROM t", "a, TRIM (  x) FROM t"),
            ("trim(both 'y' from x)", "trim(both 'y' from x)"),
            ("trim(x) from t", "trim(x) from t"),
            ("\"trim\"(from x), trim", "\"trim\"(from x), trim"),
        ] {
            let mut tokens = text::tokenize(text).unwrap();
            drop_from_of_trim(&mut tokens);
            assert_eq!(shown(&tokens), expected);
        }
    }

    #[test]
    fn overriding_is_taken_out_where_it_is_no_name() {
        let mut tokens =
            text::tokenize("INSERT INTO t (a) overriding  user value VALUES ('OVERRIDING SYSTEM VALUE')").unwrap();
        assert_eq!(take_overriding(&mut tokens), Some(Overriding::User));
        assert_eq!(shown(&tokens), "INSERT INTO t (a)  VALUES ('OVERRIDING SYSTEM VALUE')");
        assert_eq!(take_overriding(&mut tokens), None);
    }
}
