//! Statements about the session alone, which the session answers itself: SET and SHOW of settings, transactions, prepared
//! statements. What a setting may be, the session knows.

use arrow::array::AsArray;
use dataflow::{Session, StatementError};
use datafusion::sql::sqlparser::tokenizer::Token;
use zset::ColumnType;

use super::cursor::Cursor;
use super::{set, transaction, value};
use crate::error::{Detail, Result, code, error, from_parser, from_row, syntax, unsupported};
use crate::expr::{cast, text_form};
use crate::{text, types};

/// The statement, if it is one of a session; `None`, with the cursor where it was, if it is not.
pub(crate) fn plan(cursor: &mut Cursor) -> Option<Result<Session>> {
    let span = cursor.span();
    let word = cursor.peek_word()?;
    let planned = match word.as_str() {
        "BEGIN" => transaction::begin(cursor).map(Session::Block),
        "START" => transaction::start(cursor).map(Session::Block),
        "COMMIT" | "END" => transaction::commit(cursor).map(Session::Block),
        "ROLLBACK" | "ABORT" => transaction::rollback(cursor).map(Session::Block),
        "SAVEPOINT" => transaction::savepoint(cursor).map(Session::Block),
        "RELEASE" => transaction::release(cursor).map(Session::Block),
        "SET" => setting(cursor),
        "RESET" => reset(cursor),
        "SHOW" => show(cursor),
        "DISCARD" => discard(cursor),
        "DEALLOCATE" => deallocate(cursor),
        "PREPARE" => prepare(cursor),
        "EXECUTE" => execute(cursor),
        "CLOSE" => all(cursor, "CLOSE CURSOR ALL"),
        "UNLISTEN" => all(cursor, "UNLISTEN"),
        _ => return None,
    };
    Some(planned.at(span))
}

/// The cursor is at SET.
fn setting(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["SET"]);
    let span = cursor.span();
    let local = cursor.eat(&["LOCAL"]);
    if !local && cursor.eat(&["SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"]) {
        return Ok(Session::Characteristics(transaction::some_modes(cursor)?));
    }
    if cursor.eat(&["TRANSACTION"]) {
        return transaction::set(cursor).map(Session::Block);
    }
    if !local && cursor.eat(&["CONSTRAINTS"]) {
        return Ok(Session::Done { tag: "SET" });
    }
    if cursor.eat(&["SESSION", "AUTHORIZATION"]) || cursor.eat(&["ROLE"]) {
        return Err(unsupported(
            "SET ROLE and SET SESSION AUTHORIZATION",
            "connect as that user: all have the same rights",
        )
        .at(span));
    }
    let (name, value) = set::read(cursor)?;
    let default = value.eq_ignore_ascii_case("default");
    Ok(Session::Set { name, value: (!default).then_some(value), local })
}

fn reset(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["RESET"]);
    let name = if cursor.eat(&["TIME", "ZONE"]) { "timezone".to_string() } else { set::name(cursor)? };
    cursor.end()?;
    Ok(Session::Set { name, value: None, local: false })
}

/// The cursor is at SHOW, of a setting.
fn show(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["SHOW"]);
    let span = cursor.span();
    let name = if cursor.eat(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
        "transaction_isolation".to_string()
    } else if cursor.eat(&["TIME", "ZONE"]) {
        "timezone".to_string()
    } else if cursor.eat(&["SESSION", "AUTHORIZATION"]) {
        "session_authorization".to_string()
    } else {
        set::name(cursor)?
    };
    if name == "create" {
        return Err(
            unsupported("SHOW CREATE", "the definitions are in \\d, SHOW TABLES and SHOW STREAM TABLES").at(span)
        );
    }
    cursor.end()?;
    Ok(Session::Show { name })
}

/// The name of the column that shows a setting.
pub(crate) fn shown_name(setting: &str) -> String {
    match setting {
        "timezone" => "TimeZone".to_string(),
        "datestyle" => "DateStyle".to_string(),
        "intervalstyle" => "IntervalStyle".to_string(),
        other => other.to_string(),
    }
}

fn discard(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["DISCARD"]);
    let planned = match cursor.peek_word().as_deref() {
        Some("ALL") => Session::Discard,
        Some("PLANS") => Session::Done { tag: "DISCARD PLANS" },
        Some("SEQUENCES") => Session::DiscardSequences,
        Some("TEMP" | "TEMPORARY") => Session::Done { tag: "DISCARD TEMP" },
        _ => return Err(cursor.expected("ALL, PLANS, SEQUENCES or TEMP")),
    };
    cursor.parser.next_token();
    cursor.end()?;
    Ok(planned)
}

/// CLOSE ALL and UNLISTEN *: there are neither cursors nor listeners.
fn all(cursor: &mut Cursor, tag: &'static str) -> Result<Session> {
    let word = cursor.peek_word().unwrap_or_default();
    cursor.eat(&[&word]);
    let everything = cursor.eat(&["ALL"]) || cursor.eat_token(&Token::Mul);
    if !everything && word == "CLOSE" {
        let name = cursor.identifier()?;
        return Err(error("34000", format!("cursor \"{name}\" does not exist"))
            .with_hint("there are no cursors: read the answer of a SELECT as it comes"));
    }
    if !everything {
        cursor.identifier()?;
    }
    cursor.end()?;
    Ok(Session::Done { tag })
}

fn deallocate(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["DEALLOCATE"]);
    cursor.eat(&["PREPARE"]);
    let name = if cursor.eat(&["ALL"]) { None } else { Some(cursor.identifier()?) };
    cursor.end()?;
    Ok(Session::Deallocate { name })
}

fn prepare(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["PREPARE"]);
    if cursor.peek_word().as_deref() == Some("TRANSACTION") {
        return Err(transaction::refuse_two_phases(cursor));
    }
    let name = cursor.identifier()?;
    let mut given = Vec::new();
    if cursor.eat_token(&Token::LParen) {
        loop {
            let data_type = cursor.parser.parse_data_type().map_err(from_parser)?;
            given.push(types::named(&data_type)?.ty);
            if cursor.eat_token(&Token::RParen) {
                break;
            }
            cursor.expect_token(&Token::Comma)?;
        }
    }
    cursor.expect("AS")?;
    let at = cursor.span().start;
    if cursor.at_end() {
        return Err(cursor.expected("a statement"));
    }
    Ok(Session::Prepare { name, types: given, statement: text::from_location(cursor.text(), at) })
}

fn execute(cursor: &mut Cursor) -> Result<Session> {
    cursor.eat(&["EXECUTE"]);
    let name = cursor.identifier()?;
    let mut values = Vec::new();
    if cursor.eat_token(&Token::LParen) && !cursor.eat_token(&Token::RParen) {
        loop {
            let span = cursor.span();
            let ast = cursor.parser.parse_expr().map_err(from_parser)?;
            values.push(constant(&ast).at(span)?);
            if cursor.eat_token(&Token::RParen) {
                break;
            }
            cursor.expect_token(&Token::Comma)?;
        }
    }
    cursor.end()?;
    Ok(Session::Execute { name, values })
}

/// The text of a constant expression's value.
fn constant(ast: &datafusion::sql::sqlparser::ast::Expr) -> Result<Option<String>> {
    let typed = value::constant(ast, "EXECUTE")?;
    let typed = if typed.ty.is_none() { cast::of_unknown(typed, ColumnType::Text)? } else { typed };
    let typed = value::computed(typed)?;
    let array = value::repeated(&typed, 1)?;
    let text = text_form(typed.ty.unwrap_or(ColumnType::Text), &array).map_err(from_row)?;
    let text = text.as_string::<i32>();
    Ok(text.iter().next().flatten().map(str::to_string))
}

/// A statement that the session's language has and we do not.
pub(crate) fn refused(word: &str) -> Option<StatementError> {
    let hint = match word {
        "MERGE" => "write INSERT, UPDATE and DELETE",
        "DECLARE" | "FETCH" | "MOVE" => "there are no cursors: read the answer of a SELECT as it comes",
        "LISTEN" | "NOTIFY" => "ask again, or read the topic of a sink",
        "LOCK" => "leave it out: a statement sees one epoch, and readers never wait",
        "GRANT" | "REVOKE" => "all who may connect have the same rights",
        "VACUUM" | "ANALYZE" | "REINDEX" | "CLUSTER" | "CHECKPOINT" => {
            "leave it out: there is nothing to be done by hand"
        }
        "COMMENT" => "leave it out",
        "CALL" | "DO" => "there are no procedures",
        _ => return None,
    };
    Some(unsupported(word, hint))
}

/// The error of a statement that nobody knows.
pub(crate) fn unknown(cursor: &Cursor) -> StatementError {
    let mut e = syntax(format!("syntax error at or near \"{}\"", cursor.peek_text()));
    e.sqlstate = code::SYNTAX;
    e.at(cursor.span())
}
