//! A statement's tokens and a place in them. What is PostgreSQL's is left to sqlparser; what is ours is read by words.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Span, Token};

use super::tokens::{self, Overriding};
use super::write::lock;
use crate::chain;
use crate::effort;
use crate::error::{Detail, Result, code, error, from_parser, syntax, unsupported};
use crate::text::{self, DIALECT};

/// A place in a statement.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// What an INSERT says of it.
    pub(crate) overriding: Option<Overriding>,
    pub(crate) parser: Parser<'a>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self> {
        let mut tokens = text::tokenize(text)?;
        chain::check(&tokens)?;
        lock::plain(&mut tokens);
        tokens::order_identity_options(&mut tokens);
        tokens::drop_from_of_trim(&mut tokens);
        let overriding = tokens::take_overriding(&mut tokens);
        effort::begin(tokens.len());
        Ok(Self { text, overriding, parser: Parser::new(&DIALECT).with_tokens_with_locations(tokens) })
    }

    /// The whole statement as written.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Where the next token is.
    pub(crate) fn span(&self) -> Span {
        self.parser.peek_token_ref().span
    }

    /// The next token as text.
    pub(crate) fn peek_text(&self) -> String {
        match &self.parser.peek_token_ref().token {
            Token::EOF => "end of statement".into(),
            token => token.to_string(),
        }
    }

    /// The next token in upper case, if it is an unquoted word.
    pub(crate) fn peek_word(&self) -> Option<String> {
        self.peek_nth_word(0)
    }

    fn peek_nth_word(&self, n: usize) -> Option<String> {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    /// Takes these words if all of them are next.
    pub(crate) fn eat(&mut self, words: &[&str]) -> bool {
        let there = words.iter().enumerate().all(|(n, word)| self.peek_nth_word(n).as_deref() == Some(*word));
        if there {
            words.iter().for_each(|_| {
                self.parser.next_token();
            });
        }
        there
    }

    /// Takes one word or fails.
    pub(crate) fn expect(&mut self, word: &str) -> Result<()> {
        if self.eat(&[word]) { Ok(()) } else { Err(self.expected(word)) }
    }

    /// Takes a punctuation if it is next.
    pub(crate) fn eat_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Takes a punctuation or fails.
    pub(crate) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.eat_token(token) { Ok(()) } else { Err(self.expected(&token.to_string())) }
    }

    /// The error that something else should be here.
    pub(crate) fn expected(&self, what: &str) -> dataflow::StatementError {
        syntax(format!("syntax error at or near \"{}\": expected {what}", self.peek_text())).at(self.span())
    }

    pub(crate) fn at_end(&mut self) -> bool {
        while self.eat_token(&Token::SemiColon) {}
        self.parser.peek_token_ref().token == Token::EOF
    }

    /// Fails unless the statement ends here.
    pub(crate) fn end(&mut self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.expected("the end of the statement")) }
    }

    /// Takes IF NOT EXISTS.
    pub(crate) fn if_not_exists(&mut self) -> bool {
        self.eat(&["IF", "NOT", "EXISTS"])
    }

    /// Takes the name of a table, stream table or sink.
    pub(crate) fn name(&mut self) -> Result<String> {
        let span = self.span();
        let name = self.parser.parse_object_name(false).map_err(from_parser)?;
        object_name(&name).at(span)
    }

    /// Takes an identifier.
    pub(crate) fn identifier(&mut self) -> Result<String> {
        let ident = self.parser.parse_identifier().map_err(from_parser)?;
        Ok(identifier(&ident))
    }
}

/// An identifier as PostgreSQL reads it: in lower case unless it is quoted.
pub(crate) fn identifier(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name of a relation: bare, or in schema `public`, which is the only one.
pub(crate) fn object_name(name: &ObjectName) -> Result<String> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(identifier)).collect();
    match parts.as_deref() {
        Some([name]) => Ok(name.clone()),
        Some([schema, name]) if schema == "public" => Ok(name.clone()),
        Some([schema, _]) => Err(error(code::INVALID_SCHEMA, format!("schema \"{schema}\" does not exist"))
            .with_hint("there is one schema, public: leave it out")),
        _ => Err(unsupported(format!("the name {name}"), "use a name without database and schema")),
    }
}
