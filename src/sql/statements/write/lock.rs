//! SELECT ... FOR UPDATE, and the weaker ones: the rows that are answered count as written, each by itself, so that a transaction
//! which commits finds them as it saw them. Nobody waits for them.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use dataflow::{Limits, Prepared, Read as _, ResultType, RowChanges, StatementError, View, Work, Written};
use datafusion::sql::sqlparser::ast::{GroupByExpr, LockClause, NonBlock, Query, Select, SelectItem, SetExpr, Spanned};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use plan::{Catalog, TableId};
use zset::{Column, ColumnType, RowType};

use super::super::cursor::object_name;
use super::target::Target;
use super::{update, value};
use crate::error::{Detail, Result, error, from_datafusion, unsupported};
use crate::expr::parameter::Parameters;
use crate::query;
use crate::run::Runnable;

/// The query with the rows of its table behind the columns that it shows.
#[derive(Debug)]
struct Locking {
    runnable: Runnable,
    target: Target,
    shown: RowType,
}

/// Leaves out of `FOR NO KEY UPDATE` and `FOR KEY SHARE` what makes them weaker, which the parser does not know: here all are the
/// same.
pub(crate) fn plain(tokens: &mut Vec<TokenWithSpan>) {
    let word = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => None,
    };
    if !tokens.iter().any(|token| word(token).as_deref() == Some("KEY")) {
        return;
    }
    let words: Vec<(usize, Option<String>)> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(at, token)| (at, word(token)))
        .collect();
    let mut out = Vec::new();
    for at in 0..words.len() {
        let is = |wanted: &[&str]| {
            wanted
                .iter()
                .enumerate()
                .all(|(n, word)| words.get(at + n).is_some_and(|(_, found)| found.as_deref() == Some(*word)))
        };
        if is(&["FOR", "NO", "KEY", "UPDATE"]) {
            out.extend([words[at + 1].0, words[at + 2].0]);
        } else if is(&["FOR", "KEY", "SHARE"]) {
            out.push(words[at + 1].0);
        }
    }
    out.into_iter().rev().for_each(|at| drop(tokens.remove(at)));
}

/// Prepares a query that has locks.
pub(crate) fn prepare(query: &Query, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Prepared> {
    let select = match query.body.as_ref() {
        SetExpr::Select(select) => select,
        SetExpr::Values(_) => return Err(not_with("VALUES")),
        _ => return Err(not_with("UNION/INTERSECT/EXCEPT")),
    };
    let target = target(select, &query.locks, catalog)?;
    refuse(select)?;
    let mut asked = query.clone();
    asked.locks.clear();
    if let SetExpr::Select(select) = asked.body.as_mut() {
        let star: SelectItem = update::star(&target);
        select.projection.push(star);
    }
    let mut parameters = Parameters::new(types);
    let planned = query::client(&asked, catalog, &mut parameters)?;
    let parameter_types = parameters.types();
    let runnable = Runnable::new(planned, parameters);
    let mut columns = runnable.columns();
    columns.truncate(columns.len() - target.def.columns.0.len());
    let shown = columns.iter().map(|column| match column.ty {
        ResultType::Column(ty) => Column::new(column.name.clone(), ty, true),
        _ => Column::new(column.name.clone(), ColumnType::Text, true),
    });
    let shown = RowType(shown.collect());
    let work = Work::Write(Arc::new(Locking { runnable, target, shown }));
    Ok(Prepared { parameters: parameter_types, columns, notices: Vec::new(), work })
}

/// The table whose rows are locked.
fn target(select: &Select, locks: &[LockClause], catalog: &Catalog) -> Result<Target> {
    let [from] = select.from.as_slice() else {
        return Err(several());
    };
    if !from.joins.is_empty() {
        return Err(several().at(from.span()));
    }
    let target = update::table(from, catalog, "lock rows in")?;
    if target.def.key.is_empty() {
        let message = format!("FOR UPDATE of table \"{}\", which has no primary key,", target.def.name);
        return Err(unsupported(message, "give it a PRIMARY KEY: its rows cannot be told apart"));
    }
    for lock in locks {
        if let Some(of) = &lock.of
            && object_name(of)? != target.name
        {
            let message = format!("relation \"{of}\" in FOR UPDATE clause not found in FROM clause");
            return Err(error("42P01", message).at(of.span()));
        }
        if lock.nonblock == Some(NonBlock::SkipLocked) {
            return Err(unsupported(
                "SKIP LOCKED",
                "leave it out: nobody waits for a row; who commits second gets 40001 and does it again",
            ));
        }
    }
    Ok(target)
}

fn refuse(select: &Select) -> Result<()> {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(by, modifiers) => !by.is_empty() || !modifiers.is_empty(),
    };
    if select.distinct.is_some() {
        return Err(not_with("DISTINCT clause"));
    }
    if grouped {
        return Err(not_with("GROUP BY clause"));
    }
    if select.having.is_some() {
        return Err(not_with("HAVING clause"));
    }
    let windows = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => value::has_window(expr),
        _ => false,
    };
    if select.projection.iter().any(windows) {
        return Err(not_with("window functions"));
    }
    Ok(())
}

fn not_with(what: &str) -> StatementError {
    unsupported(format!("FOR UPDATE with {what}"), "lock the rows by a SELECT of their own")
}

fn several() -> StatementError {
    unsupported(
        "FOR UPDATE of other than one table",
        "name one table in FROM, and lock rows of others by another SELECT",
    )
}

impl Locking {
    /// What is shown, and the rows of the table.
    fn run(
        &self,
        values: &[Option<String>],
        view: &Arc<View>,
        limits: &Limits,
    ) -> Result<(Vec<RecordBatch>, RecordBatch)> {
        let (mut shown, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0);
        let schemas = (self.shown.schema(), self.target.def.columns.schema());
        for batch in self.runnable.run(values, view, limits)? {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            if bytes > limits.memory_bytes {
                let message = format!("the rows to lock take {bytes} bytes, more than a statement may");
                return Err(error("53200", message).with_hint("lock fewer rows at a time"));
            }
            let (left, right) = batch.columns().split_at(self.shown.0.len());
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let part = |schema: &arrow::datatypes::SchemaRef, columns: &[arrow::array::ArrayRef]| {
                RecordBatch::try_new_with_options(Arc::clone(schema), columns.to_vec(), &options)
                    .map_err(|e| from_datafusion(e.into()))
            };
            shown.push(part(&schemas.0, left)?);
            rows.push(part(&schemas.1, right)?);
        }
        Ok((shown, concat_batches(&schemas.1, &rows).map_err(|e| from_datafusion(e.into()))?))
    }
}

impl dataflow::Write for Locking {
    fn table(&self) -> TableId {
        self.target.def.id
    }

    fn reads_its_table(&self) -> bool {
        true
    }

    fn evaluate(
        &self,
        values: &[Option<String>],
        view: &Arc<View>,
        limits: &Limits,
    ) -> Result<Written, StatementError> {
        let (returning, rows) = self.run(values, view, limits)?;
        let tag = format!("SELECT {}", rows.num_rows());
        let (gone, come) = (rows.clone(), rows);
        let changes = RowChanges {
            table: self.target.def.id,
            evaluated_on: Arc::clone(&self.target.def),
            seen: view.epoch,
            gone,
            come,
            arbiters: Vec::new(),
            sequences: Vec::new(),
            restarts: false,
        };
        Ok(Written { changes, tag, returning })
    }
}
