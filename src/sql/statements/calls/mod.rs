//! nextval, currval, lastval, setval and pg_get_serial_sequence. They are no functions of a row: what they give is put in their
//! place before a statement is planned, or, where a query calls them as items of its list, row by row of its answer.

mod listed;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, Value, Visit, VisitMut,
    visit_expressions, visit_expressions_mut,
};
use plan::{Catalog, Sequence, TableDef};

use super::cursor::identifier;
use super::write::numbers::Numbers;
use crate::error::{Detail, Result, code, error, unsupported};

pub(crate) use listed::prepare;

/// A function of sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Next,
    Current,
    Last,
    Set,
    SerialName,
}

impl Call {
    fn of(expr: &Expr) -> Option<(Self, &ast::Function)> {
        let Expr::Function(call) = expr else { return None };
        let parts: Option<Vec<String>> = call.name.0.iter().map(|part| part.as_ident().map(identifier)).collect();
        let name = match parts.as_deref() {
            Some([name]) => name,
            Some([schema, name]) if schema == "pg_catalog" => name,
            _ => return None,
        };
        let kind = match name.as_str() {
            "nextval" => Self::Next,
            "currval" => Self::Current,
            "lastval" => Self::Last,
            "setval" => Self::Set,
            "pg_get_serial_sequence" => Self::SerialName,
            _ => return None,
        };
        Some((kind, call))
    }

    /// Whether it changes a sequence.
    fn changes(self) -> bool {
        matches!(self, Self::Next | Self::Set)
    }
}

/// The arguments of a call.
fn arguments<'a>(call: &'a ast::Function, counts: &[usize]) -> Result<Vec<&'a Expr>> {
    let mut arguments = Vec::new();
    if let FunctionArguments::List(list) = &call.args {
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
                other => return Err(unsupported(format!("the argument {other} of {}", call.name), "give a value")),
            }
        }
    }
    let plain = call.over.is_none() && call.filter.is_none() && call.within_group.is_empty();
    if !plain || !counts.contains(&arguments.len()) {
        return Err(error(code::UNDEFINED_FUNCTION, format!("function {call} does not exist"))
            .with_hint("nextval('s'), currval('s'), lastval(), setval('s', value [, is_called])"));
    }
    Ok(arguments)
}

/// The text of a literal, whatever it is cast to.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => literal(inner),
        Expr::TypedString(typed) => text(&typed.value.value),
        Expr::Value(value) => text(&value.value),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// The last name of a relation's name in text, as regclass reads it: `public."T_id_seq"`.
fn relation_name(text: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.last_mut()?;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            letter if quoted => last.push(letter),
            letter => last.extend(letter.to_lowercase()),
        }
    }
    match parts.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "public" => Some(name.clone()),
        _ => None,
    }
}

/// The sequence that an argument names.
fn sequence<'a>(argument: &Expr, catalog: &'a Catalog) -> Result<(&'a TableDef, &'a Sequence)> {
    let Some(text) = literal(argument) else {
        return Err(unsupported(
            format!("{argument} as the name of a sequence"),
            "write the name as a literal: 't_id_seq'",
        )
        .at(argument.span()));
    };
    let name = relation_name(text).unwrap_or_else(|| text.to_string());
    let mut of = catalog.tables().flat_map(|table| table.sequences().iter().map(move |sequence| (table, sequence)));
    of.find(|(_, sequence)| sequence.name == name).ok_or_else(|| {
        match catalog.name_taken(&name) {
            true => error(code::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence")),
            false => error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")),
        }
        .with_hint("a sequence belongs to a SERIAL or IDENTITY column: pg_get_serial_sequence('table', 'column')")
        .at(argument.span())
    })
}

/// The name of the sequence of a column.
fn serial_name(call: &ast::Function, catalog: &Catalog) -> Result<Option<String>> {
    let arguments = arguments(call, &[2])?;
    let (Some(table), Some(column)) = (literal(arguments[0]), literal(arguments[1])) else {
        return Err(
            unsupported(format!("{call} of other than literals"), "write the names as literals").at(call.span())
        );
    };
    let name = relation_name(table).unwrap_or_else(|| table.to_string());
    let def = catalog
        .table_named(&name)
        .ok_or_else(|| error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")).at(call.span()))?;
    let at = def.columns.position(column).ok_or_else(|| {
        let message = format!("column \"{column}\" of relation \"{name}\" does not exist");
        error(code::UNDEFINED_COLUMN, message).at(call.span())
    })?;
    let quoted = |name: &str| format!("public.{}", crate::catalog::quote_ident(name));
    Ok(def.sequence_of(at).map(|sequence| quoted(&sequence.name)))
}

fn typed(text: Option<String>, data_type: DataType) -> Expr {
    let value = text.map_or(Value::Null, Value::SingleQuotedString);
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(Expr::Value(value.into())),
        data_type,
        array: false,
        format: None,
    }
}

fn number(value: i64) -> Expr {
    typed(Some(value.to_string()), DataType::BigInt(None))
}

/// Runs over all expressions of something, and puts others in the place of some. Whether there was any.
fn replace<T: VisitMut>(what: &mut T, mut with: impl FnMut(&Expr) -> Result<Option<Expr>>) -> Result<bool> {
    let mut found = false;
    let flow = visit_expressions_mut(what, |expr| {
        match with(expr) {
            Ok(None) => {}
            Ok(Some(other)) => {
                *expr = other;
                found = true;
            }
            Err(e) => return ControlFlow::Break(e),
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Break(e) => Err(e),
        ControlFlow::Continue(()) => Ok(found),
    }
}

fn replace_serial_names<T: VisitMut>(what: &mut T, catalog: &Catalog) -> Result<bool> {
    replace(what, |expr| match Call::of(expr) {
        Some((Call::SerialName, call)) => Ok(Some(typed(serial_name(call, catalog)?, DataType::Text))),
        _ => Ok(None),
    })
}

/// How the calls of a statement that writes are settled.
pub(super) struct Asks<'a> {
    pub(super) catalog: &'a Catalog,
    /// `None`: for show.
    pub(super) numbers: Option<&'a Numbers<'a>>,
    /// Whether every expression is of one row: else nothing can be taken for each.
    pub(super) each_once: bool,
    /// The table that an INSERT writes, whose sequences move while it runs.
    pub(super) written: Option<&'a str>,
}

impl Asks<'_> {
    /// Puts values in the place of calls. Whether there was any.
    pub(super) fn settle<T: VisitMut + Visit>(&self, statement: &mut T) -> Result<bool> {
        replace_serial_names(statement, self.catalog)?;
        replace(statement, |expr| match Call::of(expr) {
            None => Ok(None),
            Some((kind, call)) => self.value(kind, call).map(|value| Some(number(value))).at(call.span()),
        })
    }

    fn value(&self, kind: Call, call: &ast::Function) -> Result<i64> {
        if kind.changes() && (kind == Call::Set || !self.each_once) {
            return Err(unsupported(
                format!("{call} here"),
                "a column takes the next value of its own sequence by itself: leave it out, or write DEFAULT",
            ));
        }
        let arguments = arguments(call, if kind == Call::Last { &[0] } else { &[1] })?;
        let named = arguments.first().map(|argument| sequence(argument, self.catalog)).transpose()?;
        let moves = |name: &str| self.catalog.table_named(name).is_some_and(|table| !table.sequences().is_empty());
        let of_written = match named {
            Some((table, _)) => kind == Call::Current && self.written == Some(table.name.as_str()),
            None => self.written.is_some_and(moves),
        };
        if of_written {
            return Err(unsupported(
                format!("{call} in an INSERT that itself takes values of the sequence"),
                "ask for it in a SELECT before, and give the value",
            ));
        }
        match (self.numbers, named) {
            (None, _) => Ok(0),
            (Some(numbers), Some((table, of))) if kind == Call::Next => Ok(numbers.take(table, of, 1)?[0]),
            (Some(numbers), Some((table, of))) => numbers.current(table, of),
            (Some(numbers), None) => numbers.last(),
        }
    }
}

/// Refuses calls in what is kept of a table.
pub(super) fn refuse(expr: &Expr, place: &str) -> Result<()> {
    let look = |expr: &Expr| match Call::of(expr) {
        Some(_) => ControlFlow::Break(()),
        None => ControlFlow::Continue(()),
    };
    if visit_expressions(expr, look).is_continue() {
        return Ok(());
    }
    Err(unsupported(
        format!("{expr} in {place}"),
        "a column that takes the values of a sequence is declared SERIAL, or GENERATED BY DEFAULT AS IDENTITY",
    ))
}
