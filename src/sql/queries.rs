//! What a client's session needs: each statement is prepared by whoever it is for. Queries go to the query planner, or to
//! the catalog's where they ask about tables of PostgreSQL's; writes to theirs; what is about the session comes back as
//! such; the rest is the engine's.

use std::sync::Arc;

use arrow::array::ArrayRef;
use dataflow::{Prepared, Queries, ResultColumn, ResultType, Session, Show, StatementError, Work};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement};
use plan::Catalog;
use zset::ColumnType;

use crate::error::{Detail, Result, from_parser, from_row};
use crate::expr::parameter::Parameters;
use crate::run::{Runnable, verify};
use crate::statements::{Cursor, Overriding, calls, dead_letters, session, show, write};
use crate::{SqlPlanner, catalog, expr, query, text};

impl Queries for SqlPlanner {
    fn prepare(
        &self,
        statement: &str,
        catalog: &Catalog,
        types: &[Option<ColumnType>],
    ) -> Result<Prepared, StatementError> {
        let mut cursor = Cursor::new(statement)?;
        let start = cursor.span();
        prepare(&mut cursor, catalog, types).at(start)
    }

    fn text(&self, ty: ColumnType, values: &ArrayRef) -> Result<ArrayRef, StatementError> {
        expr::text_form(ty, values).map_err(from_row)
    }
}

fn prepare(cursor: &mut Cursor, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Prepared> {
    if cursor.at_end() {
        return Ok(answer(Work::Nothing, Vec::new()));
    }
    let word = cursor.peek_word().unwrap_or_default();
    match word.as_str() {
        "TABLE" => {
            // the parser loses what is behind TABLE t
            let text = text::from_location(cursor.text(), cursor.span().start);
            let text = format!("SELECT * FROM {}", text.get("TABLE".len()..).unwrap_or_default());
            prepare(&mut Cursor::new(&text)?, catalog, types)
        }
        // a parenthesis is a word to nobody
        "SELECT" | "VALUES" | "WITH" | "" => {
            let asked = *cursor.parser.parse_query().map_err(from_parser)?;
            cursor.end()?;
            prepare_query(&asked, cursor.overriding, catalog, types)
        }
        "EXPLAIN" => {
            cursor.eat(&["EXPLAIN"]);
            query::explain::prepare(cursor, catalog, types)
        }
        "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" => {
            let statement = cursor.parser.parse_statement().map_err(from_parser)?;
            cursor.end()?;
            write::prepare(statement, cursor.overriding, catalog, types)
        }
        "VERIFY" => {
            cursor.eat(&["VERIFY"]);
            verify::prepare(cursor, catalog)
        }
        "COPY" => {
            cursor.eat(&["COPY"]);
            write::copy::prepare(cursor, catalog, |asked| prepare_query(asked, None, catalog, types))
        }
        "CREATE" | "DROP" | "ALTER" => Ok(answer(Work::Engine, Vec::new())),
        "REPLAY" => {
            cursor.eat(&["REPLAY"]);
            dead_letters::replay(cursor, catalog)?;
            Ok(answer(Work::Engine, columns_of(dataflow::REPLAY_COLUMNS)))
        }
        "SHOW" if shows_dead_letters(cursor) => {
            cursor.eat(&["SHOW"]);
            dead_letters::show(cursor, catalog)?;
            Ok(answer(Work::Engine, columns_of(dataflow::DEAD_LETTER_COLUMNS)))
        }
        "SHOW" if shows_ours(cursor) => engine_show(cursor),
        word => match session::plan(cursor) {
            Some(planned) => Ok(of_session(planned?)),
            None => Err(session::refused(word).unwrap_or_else(|| session::unknown(cursor))),
        },
    }
}

fn answer(work: Work, columns: Vec<ResultColumn>) -> Prepared {
    Prepared { parameters: Vec::new(), columns, notices: Vec::new(), work }
}

fn text_column(name: impl Into<String>) -> ResultColumn {
    ResultColumn { name: name.into(), ty: ResultType::Column(ColumnType::Text) }
}

/// SELECT, VALUES, TABLE, WITH.
fn prepare_query(
    asked: &Query,
    overriding: Option<Overriding>,
    catalog: &Catalog,
    types: &[Option<ColumnType>],
) -> Result<Prepared> {
    if let SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) = asked.body.as_ref() {
        return write::prepare(Statement::Query(Box::new(asked.clone())), overriding, catalog, types);
    }
    if let Some(prepared) = calls::prepare(asked, catalog, types)? {
        return Ok(prepared);
    }
    if catalog::mentions(asked) {
        return catalog::prepare(asked, catalog, types);
    }
    if !asked.locks.is_empty() {
        return write::lock::prepare(asked, catalog, types);
    }
    let mut parameters = Parameters::new(types);
    let planned = query::client(asked, catalog, &mut parameters)?;
    let parameter_types = parameters.types();
    let runnable = Runnable::new(planned, parameters);
    let columns = runnable.columns();
    Ok(Prepared { parameters: parameter_types, columns, notices: Vec::new(), work: Work::Read(Arc::new(runnable)) })
}

/// Whether what is shown is ours, and not a setting; the cursor stays.
fn shows_ours(cursor: &Cursor) -> bool {
    Cursor::new(cursor.text()).is_ok_and(|mut again| again.eat(&["SHOW"]) && show::ours(&mut again).is_some())
}

fn shows_dead_letters(cursor: &Cursor) -> bool {
    Cursor::new(cursor.text()).is_ok_and(|mut again| again.eat(&["SHOW", "DEAD", "LETTERS"]))
}

fn columns_of(columns: &[(&str, ColumnType)]) -> Vec<ResultColumn> {
    columns.iter().map(|(name, ty)| ResultColumn { name: (*name).to_string(), ty: ResultType::Column(*ty) }).collect()
}

fn engine_show(cursor: &mut Cursor) -> Result<Prepared> {
    cursor.eat(&["SHOW"]);
    let Some(shown) = show::ours(cursor) else { return Err(session::unknown(cursor)) };
    cursor.end()?;
    let work = if shown == Show::Jobs { Work::Jobs } else { Work::Engine };
    Ok(answer(work, columns_of(shown.columns())))
}

fn of_session(planned: Session) -> Prepared {
    let columns = match &planned {
        Session::Show { name } if name == "all" => ["name", "setting", "description"].map(text_column).into(),
        Session::Show { name } => vec![text_column(session::shown_name(name))],
        _ => Vec::new(),
    };
    answer(Work::Session(planned), columns)
}
