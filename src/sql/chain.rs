//! How long a chain of operators may be. `a AND b AND c ...` is as deep as it is long for whatever walks it, and the parser's own
//! limit sees only what is nested: without this one, a long statement would overflow the stack and end the process.
//!
//! The limit is a fixed number, so that a statement that was taken once is taken again in replay; the threads that plan have
//! stacks for it.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Detail, Result, error};

/// The longest chain.
const OPERATORS_MAX: usize = 2000;

/// Refuses a statement with a longer chain. What is between commas, or in parentheses of its own, is a chain by itself.
pub(crate) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut chains = vec![0];
    for token in tokens {
        match &token.token {
            Token::LParen => chains.push(0),
            Token::RParen if chains.len() > 1 => {
                chains.pop();
            }
            Token::Comma | Token::SemiColon => chains.last_mut().into_iter().for_each(|chain| *chain = 0),
            other if links(other) => {
                let Some(chain) = chains.last_mut() else { continue };
                *chain += 1;
                if *chain > OPERATORS_MAX {
                    return Err(error(
                        "54001",
                        format!("stack depth limit exceeded: more than {OPERATORS_MAX} operators in a row"),
                    )
                    .with_hint("write a long list of alternatives as x IN (...), or join a VALUES list")
                    .at(token.span));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn links(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
        ),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::DoubleColon
        | Token::Caret => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::text::tokenize;

    fn checked(text: &str) -> Result<()> {
        check(&tokenize(text).unwrap())
    }

    #[test]
    fn only_what_is_in_a_row_counts() {
        let chain = |n: usize, link: &str| format!("SELECT {}", vec!["1"; n + 1].join(link));
        for link in [" AND ", " OR ", "+", "||", " UNION ALL SELECT "] {
            checked(&chain(OPERATORS_MAX, link)).unwrap();
            let error = checked(&chain(OPERATORS_MAX + 1, link)).unwrap_err();
            assert_eq!(error.sqlstate, "54001", "{link}");
        }
        checked(&format!("SELECT 1 IN ({})", vec!["-1"; 50_000].join(","))).unwrap();
        checked(&format!("INSERT INTO t VALUES {}", vec!["(1 + 1, -2)"; 20_000].join(","))).unwrap();
    }
}
