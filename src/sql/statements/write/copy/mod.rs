//! COPY t [(columns)] FROM STDIN, COPY t [(columns)] | (query) TO STDOUT: rows as text or CSV.
//!
//! ```text
//! bytes ─► lines ─► fields ─► values of the columns, judged ─► one write at the end
//! ```
//! What is wrong is told as soon as it is read, with its line. Nothing is written before the end: a COPY is one statement.

mod copied;
mod fields;
mod lines;
mod options;
mod reader;

use std::sync::Arc;

use dataflow::{CopyFormat, CopyIn, CopyOut, CopyReader, Limits, Prepared, StatementError, View, Work};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, TableDef, TableId};

use super::super::cursor::Cursor;
use super::super::value;
use super::target::Target;
use crate::error::{Detail, Result, code, error, from_parser, syntax, unsupported};
use crate::expr::operator;
use options::Options;
use reader::Reader;

/// COPY FROM, planned.
#[derive(Debug)]
struct CopyFrom {
    target: Target,
    /// The columns of a line.
    columns: Vec<usize>,
    format: CopyFormat,
    /// Over the columns of the table: which rows are taken.
    condition: Option<(Expr, DFSchema)>,
}

/// Prepares a COPY, behind that word. `query` prepares the query of one that writes.
pub(crate) fn prepare(
    cursor: &mut Cursor<'_>,
    catalog: &Catalog,
    query: impl FnOnce(&Query) -> Result<Prepared>,
) -> Result<Prepared> {
    if cursor.eat(&["BINARY"]) {
        return Err(unsupported("COPY in binary format", "say FORMAT text or FORMAT csv"));
    }
    let span = cursor.span();
    if cursor.eat_token(&Token::LParen) {
        let asked = *cursor.parser.parse_query().map_err(from_parser)?;
        cursor.expect_token(&Token::RParen)?;
        cursor.expect("TO")?;
        let prepared = query(&asked)?;
        return to(cursor, prepared, None);
    }
    let name = cursor.parser.parse_object_name(false).map_err(from_parser)?;
    let mut columns = None;
    if cursor.eat_token(&Token::LParen) {
        columns = Some(options::names(cursor)?);
        cursor.expect_token(&Token::RParen)?;
    }
    if cursor.eat(&["FROM"]) {
        stream(cursor, "FROM")?;
        let target = Target::new(&name, None, catalog, "copy to")?;
        return from(cursor, target, columns.as_deref()).at(span);
    }
    cursor.expect("TO")?;
    let items = match &columns {
        None => "*".to_string(),
        Some(names) => {
            let table = super::super::cursor::object_name(&name).at(span)?;
            if let Some(def) = catalog.table_named(&table) {
                let known = |column: &str| def.columns.position(column);
                places(names, &table, known).at(span)?;
            }
            let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
            names.iter().map(quoted).collect::<Vec<_>>().join(", ")
        }
    };
    let text = format!("SELECT {items} FROM {name}");
    let asked = *Cursor::new(&text)?.parser.parse_query().map_err(from_parser)?;
    // its places are not those of the statement
    let prepared = query(&asked).map_err(|e| StatementError { position: None, ..e }).at(span)?;
    let table = super::super::cursor::object_name(&name).ok().and_then(|name| catalog.table_named(&name));
    to(cursor, prepared, table)
}

/// Refuses what is no stream.
fn stream(cursor: &mut Cursor<'_>, from_or_to: &str) -> Result<()> {
    let span = cursor.span();
    if cursor.eat(&["STDIN"]) || cursor.eat(&["STDOUT"]) {
        return Ok(());
    }
    let (stream, psql) = match from_or_to {
        "FROM" => ("STDIN", "\\copy t FROM 'file' reads a file of the client"),
        _ => ("STDOUT", "\\copy t TO 'file' writes a file of the client"),
    };
    let what = if cursor.eat(&["PROGRAM"]) { "a PROGRAM" } else { "a file of the server" };
    Err(unsupported(format!("COPY {from_or_to} {what}"), format!("say {from_or_to} {stream}; psql's {psql}")).at(span))
}

fn to(cursor: &mut Cursor<'_>, prepared: Prepared, table: Option<&TableDef>) -> Result<Prepared> {
    stream(cursor, "TO")?;
    let options = Options::read(cursor)?;
    cursor.end()?;
    let Work::Read(read) = &prepared.work else {
        return Err(unsupported("COPY of a statement that is no query", "write COPY (SELECT ...) TO STDOUT"));
    };
    refuse_parameters(&prepared)?;
    let names: Vec<String> = prepared.columns.iter().map(|column| column.name.clone()).collect();
    let format = Arc::new(options.format(&names, table, false)?);
    let work = Work::CopyOut(CopyOut { read: Arc::clone(read), columns: prepared.columns.clone(), format });
    Ok(Prepared { parameters: Vec::new(), columns: Vec::new(), notices: prepared.notices, work })
}

fn refuse_parameters(prepared: &Prepared) -> Result<()> {
    if prepared.parameters.is_empty() {
        return Ok(());
    }
    Err(error(code::UNDEFINED_PARAMETER, "there is no parameter $1").with_hint("COPY takes none: write the value"))
}

fn from(cursor: &mut Cursor<'_>, target: Target, names: Option<&[String]>) -> Result<Prepared> {
    let options = Options::read(cursor)?;
    let columns: Vec<usize> = match names {
        None => (0..target.def.columns.0.len()).collect(),
        Some(names) => places(names, &target.def.name, |column| target.column(column).ok())?,
    };
    let mut condition = None;
    if cursor.eat(&["WHERE"]) {
        let ast = cursor.parser.parse_expr().map_err(from_parser)?;
        if value::has_subquery(&ast) {
            return Err(unsupported("a subquery in COPY FROM ... WHERE", "copy the rows, and DELETE those too many"));
        }
        let (scope, schema) = value::table_scope(&target.def.columns, &target.def.name)?;
        let typed = operator::condition(value::bound(&ast, &scope, "COPY FROM WHERE", None)?, "WHERE")?;
        condition = Some((typed.expr, schema));
    }
    cursor.end()?;
    let names: Vec<String> = columns.iter().map(|&at| target.def.columns.0[at].name.clone()).collect();
    let format = options.format(&names, Some(&target.def), true)?;
    let work = Work::CopyIn(Arc::new(Planned(Arc::new(CopyFrom { target, columns, format, condition }))));
    Ok(Prepared { parameters: Vec::new(), columns: Vec::new(), notices: Vec::new(), work })
}

/// The places of columns, each named once.
fn places(names: &[String], table: &str, known: impl Fn(&str) -> Option<usize>) -> Result<Vec<usize>> {
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let missing =
            || error(code::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{table}\" does not exist"));
        let at = known(name).ok_or_else(missing)?;
        if places.contains(&at) {
            return Err(error(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
        places.push(at);
    }
    if places.is_empty() { Err(syntax("COPY needs a column")) } else { Ok(places) }
}

#[derive(Debug)]
struct Planned(Arc<CopyFrom>);

impl CopyIn for Planned {
    fn table(&self) -> TableId {
        self.0.target.def.id
    }

    fn columns(&self) -> usize {
        self.0.columns.len()
    }

    fn reader(&self, view: &Arc<View>, limits: &Limits) -> Result<Box<dyn CopyReader>, StatementError> {
        Ok(Box::new(Reader::new(Arc::clone(&self.0), Arc::clone(view), limits.clone())?))
    }
}
