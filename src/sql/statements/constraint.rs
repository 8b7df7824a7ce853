//! DEFAULT and CHECK of tables of our own: judged when they are declared, kept as SQL, compiled again where rows are written.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat;
use dataflow::{About, Eval, StatementError};
use datafusion::sql::sqlparser::ast::{Expr, Ident, visit_expressions, visit_expressions_mut};
use datafusion::sql::sqlparser::parser::Parser;
use plan::{Catalog, Check, OwnDef, Sequence};
use zset::{Column, RowType, sqlstate};

use super::assign::assign;
use super::calls;
use super::clock::{self, Moment};
use super::columns::{DeclaredCheck, Shape};
use super::cursor::identifier;
use super::unique::Names;
use super::{sequence, unique, value};
use crate::error::{Detail, Result, code, error, from_datafusion, from_row, unsupported};
use crate::expr::eval::{Compiled, compile};
use crate::expr::{Typed, operator};
use crate::text;

/// The longest name of PostgreSQL's.
pub(super) const NAME_BYTES: usize = 63;

/// What a table of our own keeps of what is declared of it.
pub(super) fn own(table: &str, shape: &Shape, catalog: &Catalog) -> Result<OwnDef> {
    let mut defaults = Vec::with_capacity(shape.defaults.len());
    for (default, column) in shape.defaults.iter().zip(&shape.columns) {
        defaults.push(default.as_ref().map(|expr| declared_default(expr, column)).transpose()?);
    }
    let checks = checks(table, &shape.row_type(), &shape.checks, &[])?;
    let (mut names, mut next_slot) = (Names::new(catalog, table, !shape.key.is_empty()), 0);
    let sequences: Vec<Sequence> =
        shape.sequences.iter().map(|of| of.named(&shape.columns, &mut names, &mut next_slot)).collect();
    for sequence in sequences.iter().filter(|sequence| sequence.identity.is_none()) {
        defaults[sequence.column] = Some(sequence::default_of(sequence));
    }
    let uniques = unique::uniques(&shape.uniques, &shape.columns, &shape.key, &checks, &mut names, &mut next_slot)?;
    Ok(OwnDef { defaults, checks, uniques, sequences, next_slot })
}

/// An expression as SQL that reads back as the same expression.
fn kept(expr: &Expr, place: &str) -> Result<String> {
    let sql = expr.to_string();
    match parse(&sql) {
        Ok(again) if again == *expr => Ok(sql),
        _ => Err(unsupported(format!("the expression {sql} in {place}"), "write it in another way")),
    }
}

fn parse(sql: &str) -> Result<Expr> {
    text::read_again(sql, Parser::parse_expr)
}

/// A default, judged: it is computed once.
pub(super) fn declared_default(expr: &Expr, column: &Column) -> Result<String> {
    let sql = kept(expr, "DEFAULT")?;
    calls::refuse(expr, "DEFAULT")?;
    Default::new(&sql, column)?.value(Moment::now())?;
    Ok(sql)
}

/// The default of a column.
#[derive(Debug, Clone)]
pub(crate) struct Default {
    expr: Expr,
    column: Column,
    /// A new value for each row.
    random: bool,
}

impl Default {
    /// Reads it.
    pub(crate) fn new(sql: &str, column: &Column) -> Result<Self> {
        let expr = parse(sql)?;
        Ok(Self { random: clock::has_random(&expr), expr, column: column.clone() })
    }

    /// Whether it is another value each time.
    pub(crate) fn is_fixed(&self) -> Result<bool> {
        Ok(!self.random && !clock::settle(&mut self.expr.clone(), Moment::now(), false)?)
    }

    /// Its value at a moment: a literal of the column's type.
    pub(crate) fn value(&self, moment: Moment) -> Result<Typed> {
        let mut expr = self.expr.clone();
        clock::settle(&mut expr, moment, self.random)?;
        let typed = value::constant(&expr, "DEFAULT").map_err(|e| match e.sqlstate {
            code::UNDEFINED_COLUMN | code::UNDEFINED_TABLE => unsupported(
                "a column in a DEFAULT expression",
                "a default is made of constants, and of now() and its like",
            ),
            _ => e,
        })?;
        value::computed(assign(typed, &self.column, "default expression")?)
    }

    /// Its values for so many rows.
    pub(crate) fn values(&self, rows: usize, moment: Moment) -> Result<ArrayRef> {
        if !self.random || rows == 0 {
            return value::repeated(&self.value(moment)?, rows);
        }
        let each = (0..rows).map(|_| value::repeated(&self.value(moment)?, 1)).collect::<Result<Vec<_>>>()?;
        let each: Vec<&dyn Array> = each.iter().map(AsRef::as_ref).collect();
        concat(&each).map_err(|e| from_datafusion(e.into()))
    }

    /// Whether all rows of a statement have the same.
    pub(crate) fn is_one(&self) -> bool {
        !self.random
    }
}

/// Judges and names checks as PostgreSQL does. `there` are the names that are taken.
pub(super) fn checks(
    table: &str,
    columns: &RowType,
    declared: &[DeclaredCheck],
    there: &[Check],
) -> Result<Vec<Check>> {
    let mut checks: Vec<Check> = Vec::with_capacity(declared.len());
    for check in declared {
        let sql = kept(&check.condition, "CHECK").at(check.span)?;
        clock::refuse(&check.condition, "CHECK").at(check.span)?;
        calls::refuse(&check.condition, "CHECK").at(check.span)?;
        condition(&sql, table, columns).at(check.span)?;
        let taken = |name: &str| checks.iter().chain(there).any(|other| other.name == name);
        let name = match &check.name {
            Some(name) if taken(name) => {
                return Err(error("42710", format!("constraint \"{name}\" for relation \"{table}\" already exists"))
                    .with_hint("give it another name")
                    .at(check.span));
            }
            Some(name) => name.clone(),
            None => {
                let named = names_in(&check.condition, columns);
                let only = named.first().filter(|_| named.len() == 1).map(|&at| columns.0[at].name.as_str());
                chosen_name(table, only, taken)
            }
        };
        checks.push(Check { name, condition: sql });
    }
    Ok(checks)
}

/// The columns that an expression names.
pub(super) fn names_in(expr: &Expr, columns: &RowType) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(expr, |expr| {
        let name = match expr {
            Expr::Identifier(ident) => Some(identifier(ident)),
            Expr::CompoundIdentifier(parts) => parts.last().map(identifier),
            _ => None,
        };
        found.extend(name.and_then(|name| columns.position(&name)));
        ControlFlow::Continue(())
    });
    found
}

/// The columns that a kept condition names.
pub(super) fn columns_of(check: &Check, columns: &RowType) -> Result<BTreeSet<usize>> {
    Ok(names_in(&parse(&check.condition)?, columns))
}

/// The condition with a column renamed.
pub(super) fn renamed(sql: &str, from: &str, to: &str) -> Result<String> {
    let mut expr = parse(sql)?;
    let new = Ident::with_quote('"', to);
    let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |expr| {
        match expr {
            Expr::Identifier(ident) if identifier(ident) == from => *ident = new.clone(),
            Expr::CompoundIdentifier(parts) => {
                if let Some(last) = parts.last_mut().filter(|last| identifier(last) == from) {
                    *last = new.clone();
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    kept(&expr, "CHECK")
}

/// `t_column_check`, `t_check` where no or several columns are named; with a number if that is taken.
fn chosen_name(table: &str, column: Option<&str>, taken: impl Fn(&str) -> bool) -> String {
    let mut label = "check".to_string();
    let mut n = 0;
    loop {
        let name = object_name(table, column, &label);
        if !taken(&name) {
            return name;
        }
        n += 1;
        label = format!("check{n}");
    }
}

/// The parts with underscores between, the longer of the first two cut until all of it is a name.
pub(super) fn object_name(table: &str, column: Option<&str>, label: &str) -> String {
    let column = column.unwrap_or_default();
    let joints = if column.is_empty() { 1 } else { 2 };
    let room = NAME_BYTES.saturating_sub(label.len() + joints);
    let (mut first, mut second) = (table.len(), column.len());
    while first + second > room {
        if first > second { first -= 1 } else { second -= 1 }
    }
    let (first, second) = (clip(table, first), clip(column, second));
    if second.is_empty() { format!("{first}_{label}") } else { format!("{first}_{second}_{label}") }
}

/// As many whole characters as so many bytes hold.
fn clip(text: &str, mut bytes: usize) -> &str {
    while !text.is_char_boundary(bytes) {
        bytes -= 1;
    }
    &text[..bytes]
}

/// A check, compiled over the columns of its table.
fn condition(sql: &str, table: &str, columns: &RowType) -> Result<Compiled> {
    let (scope, schema) = value::table_scope(columns, table)?;
    let typed = value::bound(&parse(sql)?, &scope, "CHECK", None)?;
    let condition = operator::condition(typed, "CHECK")?;
    compile(&condition.expr, &schema)
}

/// The constraints of a table's rows.
#[derive(Debug)]
pub(crate) struct Constraints {
    table: String,
    columns: RowType,
    /// By name, in which order PostgreSQL asks them.
    checks: Vec<(String, Compiled)>,
}

impl Constraints {
    /// Those of a table.
    pub(crate) fn new(table: &str, columns: &RowType, checks: &[Check]) -> Result<Self> {
        let mut compiled = Vec::with_capacity(checks.len());
        for check in checks {
            compiled.push((check.name.clone(), condition(&check.condition, table, columns)?));
        }
        compiled.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { table: table.to_string(), columns: columns.clone(), checks: compiled })
    }

    /// Refuses rows that break one: the first row, and of it the first constraint.
    pub(crate) fn judge(&self, rows: &RecordBatch) -> Result<()> {
        let mut found: Vec<(usize, Broken<'_>)> = Vec::new();
        for (column, array) in self.columns.0.iter().zip(rows.columns()) {
            if !column.nullable && array.null_count() > 0 {
                let row = (0..array.len()).find(|&row| array.is_null(row));
                found.extend(row.map(|row| (row, Broken::NotNull(&column.name))));
            }
        }
        for (name, check) in &self.checks {
            let holds = check.eval(rows).map_err(from_row)?;
            let holds = holds.as_boolean();
            let row = (0..holds.len()).find(|&row| holds.is_valid(row) && !holds.value(row));
            found.extend(row.map(|row| (row, Broken::Check(name))));
        }
        // of one row the first constraint
        let first = found.into_iter().reduce(|a, b| if b.0 < a.0 { b } else { a });
        match first {
            None => Ok(()),
            Some((row, broken)) => Err(self.refusal(&broken, rows, row)?),
        }
    }

    fn refusal(&self, broken: &Broken<'_>, rows: &RecordBatch, row: usize) -> Result<StatementError> {
        let table = &self.table;
        let mut refusal = match broken {
            Broken::NotNull(column) => error(
                sqlstate::NOT_NULL,
                format!("null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"),
            ),
            Broken::Check(name) => {
                error("23514", format!("new row for relation \"{table}\" violates check constraint \"{name}\""))
            }
        };
        refusal.about = match broken {
            Broken::NotNull(column) => About::column(table, *column),
            Broken::Check(name) => About::constraint(table, *name),
        };
        refusal.detail = Some(format!("Failing row contains ({}).", value::row_text(&self.columns, rows, row)?));
        Ok(refusal)
    }
}

/// The constraint that a row breaks.
#[derive(Debug)]
enum Broken<'a> {
    NotNull(&'a str),
    Check(&'a str),
}
