//! A prepared statement: its text, what SQL made of it, and the catalog it was made for.

use std::sync::Arc;

use dataflow::{Prepared, Queries, ResultColumn, ResultType, Session, Work, Write};
use pgwire::messages::data::{FieldDescription, RowDescription};
use plan::Catalog;
use zset::ColumnType;

use super::binary::Format;
use super::error::PgError;
use super::types::{self, PLAIN_NUMERIC};

/// A statement's text and its place in the query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Source {
    pub text: String,
    /// Characters of the query string before it; `None`: positions in it mean nothing to the client.
    pub before: Option<usize>,
}

impl Source {
    /// A whole query string.
    pub fn whole(text: impl Into<String>) -> Self {
        Self { text: text.into(), before: Some(0) }
    }

    /// The character of the query string, from 1, at a line and column of the statement. 0, which clients do not show, if
    /// it is not theirs.
    pub fn position(&self, line: u64, column: u64) -> usize {
        let Some(before) = self.before else { return 0 };
        let lines = self.text.split_inclusive('\n').take(line.saturating_sub(1) as usize);
        before + lines.map(|line| line.chars().count()).sum::<usize>() + column.max(1) as usize
    }

    /// The first word in upper case, behind comments: what kind of statement it is.
    pub fn first_word(&self) -> String {
        self.words().chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase()
    }

    /// The words that name the statement, in upper case: `CREATE STREAM TABLE`.
    pub fn command(&self) -> String {
        const NAMING: [&str; 15] = [
            "CREATE",
            "DROP",
            "ALTER",
            "STREAM",
            "MATERIALIZED",
            "VIEW",
            "TABLE",
            "SOURCE",
            "SINK",
            "INDEX",
            "SCHEMA",
            "DISCARD",
            "ALL",
            "REPLAY",
            "REFRESH",
        ];
        let words = self.words().split(|c: char| !c.is_ascii_alphabetic()).map(str::to_ascii_uppercase);
        let words: Vec<String> = words.take(3).take_while(|word| NAMING.contains(&word.as_str())).collect();
        if words.is_empty() { self.first_word() } else { words.join(" ") }
    }

    /// The text behind comments.
    fn words(&self) -> &str {
        let mut rest = self.text.trim_start();
        loop {
            let behind = if rest.starts_with("--") {
                rest.split_once('\n').map(|(_, behind)| behind)
            } else if rest.starts_with("/*") {
                rest.split_once("*/").map(|(_, behind)| behind)
            } else {
                break;
            };
            rest = behind.unwrap_or_default().trim_start();
        }
        rest
    }
}

impl Source {
    /// What metrics count it as, as long as nobody knows better.
    pub fn kind(&self) -> &'static str {
        match self.first_word().as_str() {
            // A parenthesis is no word.
            "" | "SELECT" | "WITH" | "VALUES" | "TABLE" | "EXPLAIN" => "read",
            "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" => "write",
            "CREATE" | "DROP" | "ALTER" => "engine",
            _ => "session",
        }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub source: Source,
    /// The oids that the client gave the parameters; 0: none.
    pub given: Vec<u32>,
    pub prepared: Prepared,
    /// The columns of its answer.
    pub columns: Vec<ResultColumn>,
    catalog: Arc<Catalog>,
    /// It is what a COPY has read, and not planned again: it looks by itself whether its table is still as it was.
    settled: bool,
}

impl Statement {
    /// Prepares a statement. It may take its time: call it on a thread that may block.
    pub fn prepare(
        queries: &dyn Queries,
        source: Source,
        catalog: Arc<Catalog>,
        given: Vec<u32>,
    ) -> Result<Self, PgError> {
        let mut tys: Vec<Option<ColumnType>> = given.iter().map(|oid| types::given(*oid)).collect();
        let mut prepared = queries.prepare(&source.text, &catalog, &tys);
        // A numeric's digits come from its use; where that is none, or of another type, it is a plain numeric.
        let is_numeric =
            |at: usize| matches!(&prepared, Ok(p) if matches!(p.parameters.get(at), Some(ColumnType::Numeric { .. })));
        let plain: Vec<usize> =
            (0..given.len()).filter(|at| given[*at] == types::NUMERIC && !is_numeric(*at)).collect();
        if !plain.is_empty() {
            plain.iter().for_each(|at| tys[*at] = Some(PLAIN_NUMERIC));
            prepared = queries.prepare(&source.text, &catalog, &tys);
        }
        let prepared = prepared.map_err(|error| PgError::of_statement(error, &source))?;
        let columns = match &prepared.work {
            Work::Session(session) => columns_of_session(session),
            _ => prepared.columns.clone(),
        };
        Ok(Self { source, given, prepared, columns, catalog, settled: false })
    }

    /// Whether it was prepared for this catalog.
    pub fn is_for(&self, catalog: &Arc<Catalog>) -> bool {
        self.settled || Arc::ptr_eq(&self.catalog, catalog)
    }

    /// A COPY whose bytes have become a write.
    pub fn as_write(&self, write: Arc<dyn Write>) -> Self {
        let prepared = Prepared { work: Work::Write(write), ..self.prepared.clone() };
        Self { prepared, settled: true, ..self.clone() }
    }

    /// Prepares it anew for another catalog; its client has been told its columns and parameters, so they must stay.
    pub fn again(&self, queries: &dyn Queries, catalog: Arc<Catalog>) -> Result<Self, PgError> {
        let given = (0..self.prepared.parameters.len()).map(|at| self.parameter_oid(at)).collect();
        let mut again = Self::prepare(queries, self.source.clone(), catalog, given)?;
        let is_execute = matches!(self.prepared.work, Work::Session(Session::Execute { .. }));
        if is_execute {
            again.columns.clone_from(&self.columns);
        }
        if again.columns != self.columns {
            return Err(PgError::new("0A000", "cached plan must not change result type")
                .hint("the tables of the statement have changed: prepare it again"));
        }
        Ok(again)
    }

    /// The oid of a parameter, from 0, as the client knows it.
    pub fn parameter_oid(&self, at: usize) -> u32 {
        let ty = self.prepared.parameters[at];
        types::parameter_oid(self.given.get(at).copied().unwrap_or(0), ty)
    }

    /// The columns as the client is told them.
    pub fn description(&self, formats: &[Format]) -> RowDescription {
        let field = |(at, column): (usize, &ResultColumn)| {
            let ty = types::wire(column.ty);
            let format = i16::from(formats.get(at) == Some(&Format::Binary));
            FieldDescription::new(column.name.clone(), 0, 0, ty.oid, ty.length, ty.modifier, format)
        };
        RowDescription::new(self.columns.iter().enumerate().map(field).collect())
    }

    /// What metrics count it as.
    pub fn kind(&self) -> &'static str {
        match self.prepared.work {
            Work::Read(_) | Work::CopyOut(_) => "read",
            Work::Write(_) | Work::CopyIn(_) => "write",
            Work::Engine => "engine",
            Work::Session(_) | Work::Jobs | Work::Nothing => "session",
        }
    }
}

/// A column of text.
pub(crate) fn text_column(name: impl Into<String>) -> ResultColumn {
    ResultColumn { name: name.into(), ty: ResultType::Column(ColumnType::Text) }
}

/// The columns of what the session itself answers.
fn columns_of_session(session: &Session) -> Vec<ResultColumn> {
    match session {
        Session::Show { name } if name == "all" => ["name", "setting", "description"].map(text_column).into(),
        Session::Show { name } => vec![text_column(super::settings::shown_name(name))],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_characters_of_the_query_string() {
        let source = Source { text: "SELECT 'é',\n  nix".to_string(), before: Some(10) };
        assert_eq!(source.position(1, 1), 11);
        assert_eq!(source.position(2, 3), 10 + 12 + 3);
        assert_eq!(Source { before: None, ..source }.position(2, 3), 0);
    }

    #[test]
    fn the_first_word_is_behind_comments() {
        let first = |text: &str| Source::whole(text).first_word();
        assert_eq!(first("  -- a\n /* b */ explain SELECT 1"), "EXPLAIN");
        assert_eq!(first("/* open"), "");
        assert_eq!(first("(SELECT 1)"), "");
        let command = |text: &str| Source::whole(text).command();
        assert_eq!(command("/* x */ create stream table v AS SELECT 1"), "CREATE STREAM TABLE");
        assert_eq!(command("drop table t"), "DROP TABLE");
        assert_eq!(command("VERIFY x"), "VERIFY");
    }
}
