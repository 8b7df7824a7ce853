//! Refusals: every one has PostgreSQL's SQLSTATE, names the SQL it is about, and says what to do instead.

use dataflow::StatementError;
use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Span, TokenizerError};
use zset::RowError;

/// What planning gives.
pub(crate) type Result<T, E = StatementError> = std::result::Result<T, E>;

/// The SQLSTATEs of statements; those of rows are in `zset::sqlstate`.
pub(crate) mod code {
    pub(crate) const NOT_SUPPORTED: &str = "0A000";
    pub(crate) const SYNTAX: &str = "42601";
    pub(crate) const UNDEFINED_PARAMETER: &str = "42P02";
    pub(crate) const UNDEFINED_TABLE: &str = "42P01";
    pub(crate) const UNDEFINED_COLUMN: &str = "42703";
    pub(crate) const UNDEFINED_FUNCTION: &str = "42883";
    pub(crate) const UNDEFINED_OBJECT: &str = "42704";
    pub(crate) const AMBIGUOUS_COLUMN: &str = "42702";
    pub(crate) const AMBIGUOUS_FUNCTION: &str = "42725";
    pub(crate) const DUPLICATE_COLUMN: &str = "42701";
    pub(crate) const DUPLICATE_TABLE: &str = "42P07";
    pub(crate) const DUPLICATE_ALIAS: &str = "42712";
    pub(crate) const GROUPING: &str = "42803";
    pub(crate) const WINDOWING: &str = "42P20";
    pub(crate) const DATATYPE_MISMATCH: &str = "42804";
    pub(crate) const CANNOT_COERCE: &str = "42846";
    pub(crate) const WRONG_OBJECT_TYPE: &str = "42809";
    pub(crate) const INVALID_TABLE_DEFINITION: &str = "42P16";
    pub(crate) const INVALID_COLUMN_REFERENCE: &str = "42P10";
    pub(crate) const INVALID_PARAMETER: &str = "22023";
    pub(crate) const INVALID_SCHEMA: &str = "3F000";
    pub(crate) const OUT_OF_MEMORY: &str = "53200";
    pub(crate) const QUERY_CANCELED: &str = "57014";
    pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(crate) const CARDINALITY_VIOLATION: &str = "21000";
    pub(crate) const INTERNAL: &str = "XX000";
}

/// An error with a code and a message.
pub(crate) fn error(sqlstate: &'static str, message: impl Into<String>) -> StatementError {
    StatementError { sqlstate, message: message.into(), hint: None, detail: None, position: None, about: None }
}

/// `0A000`: what is refused and what to do instead.
pub(crate) fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> StatementError {
    error(code::NOT_SUPPORTED, format!("{} is not supported", what.into())).with_hint(hint)
}

/// `42601`.
pub(crate) fn syntax(message: impl Into<String>) -> StatementError {
    error(code::SYNTAX, message)
}

/// What can be added to an error on its way up.
pub(crate) trait Detail: Sized {
    /// What to do instead.
    fn with_hint(self, hint: impl Into<String>) -> Self;
    /// Where in the statement, unless it is known already.
    fn at(self, span: Span) -> Self;
}

impl Detail for StatementError {
    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    fn at(mut self, span: Span) -> Self {
        if self.position.is_none() && span.start.line > 0 {
            self.position = Some((span.start.line, span.start.column));
        }
        self
    }
}

impl<T> Detail for Result<T> {
    fn with_hint(self, hint: impl Into<String>) -> Self {
        self.map_err(|e| e.with_hint(hint))
    }

    fn at(self, span: Span) -> Self {
        self.map_err(|e| e.at(span))
    }
}

/// A tokenizer's error.
pub(crate) fn from_tokenizer(e: TokenizerError) -> StatementError {
    let mut out = syntax(format!("syntax error: {}", e.message));
    if e.location.line > 0 {
        out.position = Some((e.location.line, e.location.column));
    }
    out
}

/// A parser's error; its text ends in ` at Line: l, Column: c`.
pub(crate) fn from_parser(e: ParserError) -> StatementError {
    let text = match e {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => return syntax("syntax error: the statement is nested too deeply"),
    };
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return syntax(format!("syntax error: {text}"));
    };
    let mut out = syntax(format!("syntax error: {message}"));
    if let Some((line, column)) = place.split_once(", Column: ") {
        out.position = line.trim().parse().ok().zip(column.trim().parse().ok());
    }
    out
}

/// An expression over constants that cannot be computed.
pub(crate) fn from_row(e: RowError) -> StatementError {
    error(e.sqlstate, e.message)
}

/// DataFusion refused a plan that this crate made and checked: our own bug, told as what it is.
pub(crate) fn from_datafusion(e: DataFusionError) -> StatementError {
    match row_error(&e) {
        Some(row) => from_row(row),
        None => error(code::INTERNAL, format!("cannot plan the query: {}", e.strip_backtrace()))
            .with_hint("this is a bug of millstream; please report the statement"),
    }
}

/// The row error inside an error of DataFusion, if that is what it is.
pub(crate) fn row_error(e: &DataFusionError) -> Option<RowError> {
    match e.find_root() {
        DataFusionError::External(inner) => inner.downcast_ref::<RowError>().cloned(),
        _ => None,
    }
}

/// A row error on its way through DataFusion.
pub(crate) fn into_datafusion(e: RowError) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}
