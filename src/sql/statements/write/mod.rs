//! INSERT, UPDATE, DELETE, TRUNCATE of tables of our own: each becomes a query of the rows it is about, and of what becomes
//! of them; constraints of single rows are judged here, that keys are unique by the engine's loop.

mod conflict;
pub(crate) mod copy;
mod delete;
mod insert;
mod joined;
pub(crate) mod lock;
pub(crate) mod numbers;
mod returning;
mod rows;
mod target;
mod truncate;
mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use dataflow::{Limits, Prepared, RowChanges, StatementError, TableRows, View, Work, Written};
use datafusion::sql::sqlparser::ast::{SetExpr, Statement, With, visit_relations};
use plan::{Catalog, TableId};
use zset::ColumnType;

use super::Overriding;
use super::calls;
use super::clock::{self, Moment};
use super::cursor::object_name;
use super::value;
use crate::error::{Detail, Result, code, error, unsupported};
use crate::expr::Typed;
use crate::expr::parameter::Parameters;
use numbers::Numbers;
use returning::Returning;
use target::Target;

/// How often a statement is planned at most, until all uses of its parameters agree.
const ROUNDS: usize = 8;

/// What a statement does with its table's rows.
trait Change: std::fmt::Debug + Send + Sync {
    /// The rows that go and come. `moment` is the statement's.
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows>;

    /// The answer for so many rows.
    fn tag(&self, rows: usize) -> String;
}

/// A statement's table, what it does with its rows, and its RETURNING.
type Planned = (Target, Box<dyn Change>, Option<Returning>);

/// The rows that go and come.
struct Rows {
    gone: RecordBatch,
    come: RecordBatch,
    /// Of the rows that RETURNING is about, the columns of other tables that it names.
    beside: Vec<ArrayRef>,
    /// See [`RowChanges::arbiters`].
    arbiters: Vec<String>,
}

impl Rows {
    fn new(gone: RecordBatch, come: RecordBatch) -> Self {
        Self { gone, come, beside: Vec::new(), arbiters: Vec::new() }
    }
}

/// One run of a statement.
struct Run<'a> {
    /// The parameters as they were given, and as literals.
    texts: &'a [Option<String>],
    values: Vec<Typed>,
    view: &'a Arc<View>,
    limits: &'a Limits,
    moment: Moment,
    numbers: Numbers<'a>,
}

/// A statement, planned.
#[derive(Debug)]
struct Write {
    statement: Statement,
    overriding: Option<Overriding>,
    target: Target,
    change: Box<dyn Change>,
    returning: Option<Returning>,
    parameters: Vec<ColumnType>,
    /// Whether it asks the clock or a sequence: then it is planned again with the values in their place.
    timed: bool,
    reads_its_table: bool,
}

/// Prepares a statement.
pub(crate) fn prepare(
    statement: Statement,
    overriding: Option<Overriding>,
    catalog: &Catalog,
    types: &[Option<ColumnType>],
) -> Result<Prepared> {
    let mut shown = statement.clone();
    let asks = settle_calls(&mut shown, catalog, None)?;
    let planned = plan(shown, overriding, catalog, types, Moment::now())?;
    let write = Write { statement, timed: planned.timed || asks, ..planned };
    let columns = write.returning.as_ref().map(Returning::columns).unwrap_or_default();
    Ok(Prepared {
        parameters: write.parameters.clone(),
        columns,
        notices: Vec::new(),
        work: Work::Write(Arc::new(write)),
    })
}

/// Puts values, of a run's sequences or for show, in the place of what asks for them. Whether there was any.
fn settle_calls(statement: &mut Statement, catalog: &Catalog, numbers: Option<&Numbers<'_>>) -> Result<bool> {
    let (_, bare) = parts(statement);
    let each_once = matches!(bare, Statement::Insert(insert) if insert::is_values(insert));
    let written = insert::table_of(bare);
    let asks = calls::Asks { catalog, numbers, each_once, written: written.as_deref() };
    asks.settle(statement)
}

fn plan(
    statement: Statement,
    overriding: Option<Overriding>,
    catalog: &Catalog,
    types: &[Option<ColumnType>],
    moment: Moment,
) -> Result<Write> {
    let mut settled = statement.clone();
    let rows_of_one = matches!(&statement, Statement::Insert(insert) if insert::is_values(insert));
    if !rows_of_one && clock::has_random(&statement) {
        return Err(unsupported(
            "gen_random_uuid() in a query or UPDATE",
            "a new one for each row comes from a column's DEFAULT, or from INSERT ... VALUES",
        ));
    }
    let timed = clock::settle(&mut settled, moment, rows_of_one)?;
    let (with, bare) = parts(&settled);
    let mut parameters = Parameters::new(types);
    let mut before = parameters.types();
    for _ in 0..ROUNDS {
        let (target, change, returning) = match bare {
            Statement::Insert(insert) => insert::plan(insert, (with, overriding), catalog, &mut parameters)?,
            Statement::Update(update) => update::plan(update, with, catalog, &mut parameters)?,
            Statement::Delete(delete) => delete::plan(delete, with, catalog, &mut parameters)?,
            Statement::Truncate(truncate) => truncate::plan(truncate, catalog)?,
            other => {
                return Err(unsupported(format!("the statement {other}"), "write INSERT, UPDATE, DELETE or TRUNCATE"));
            }
        };
        let after = parameters.types();
        if after == before {
            let reads_its_table = match bare {
                Statement::Insert(insert) => insert.on.is_some() || reads(&settled, &target.def.name),
                _ => true,
            };
            return Ok(Write {
                statement,
                overriding,
                target,
                change,
                returning,
                parameters: after,
                timed,
                reads_its_table,
            });
        }
        before = after;
    }
    Err(unsupported("a statement whose parameters have no settled types", "cast them: $1::integer"))
}

/// A statement, and the WITH before it.
fn parts(statement: &Statement) -> (Option<&With>, &Statement) {
    let Statement::Query(query) = statement else { return (None, statement) };
    match query.body.as_ref() {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => (query.with.as_ref(), inner),
        _ => (None, statement),
    }
}

/// Whether an INSERT's query names its own table.
fn reads(statement: &Statement, table: &str) -> bool {
    let mut named = 0;
    let _: std::ops::ControlFlow<()> = visit_relations(statement, |relation| {
        named += usize::from(object_name(relation).is_ok_and(|name| name == table));
        std::ops::ControlFlow::Continue(())
    });
    // the table written is one of them
    named > 1
}

impl Write {
    fn run(
        &self,
        values: &[Option<String>],
        view: &Arc<View>,
        limits: &Limits,
        (moment, numbers): (Moment, Numbers<'_>),
    ) -> Result<Written> {
        let literals = value::parameters(values, &self.parameters)?;
        let run = Run { texts: values, values: literals, view, limits, moment, numbers };
        let Rows { gone, come, beside, arbiters } = self.change.rows(&self.target, &run)?;
        run.afford(&[&gone, &come])?;
        self.target.constraints.judge(&come)?;
        let count = gone.num_rows().max(come.num_rows());
        let returning = match &self.returning {
            None => Vec::new(),
            Some(returning) => {
                let answered = if come.num_rows() > 0 { &come } else { &gone };
                vec![returning.answer(answered, &beside, &run.values)?]
            }
        };
        let mut sequences = run.numbers.marks();
        if count == 0 {
            // numbers that no row has are seen by nobody
            sequences.retain(|mark| mark.set.is_some());
        }
        let evaluated_on = Arc::clone(&self.target.def);
        let (table, seen, restarts) = (evaluated_on.id, view.epoch, run.numbers.restarted());
        let changes = RowChanges { table, evaluated_on, seen, gone, come, arbiters, sequences, restarts };
        Ok(Written { changes, tag: self.change.tag(count), returning })
    }
}

impl dataflow::Write for Write {
    fn table(&self) -> TableId {
        self.target.def.id
    }

    fn reads_its_table(&self) -> bool {
        self.reads_its_table
    }

    fn evaluate(
        &self,
        values: &[Option<String>],
        view: &Arc<View>,
        limits: &Limits,
    ) -> Result<Written, StatementError> {
        let moment = Moment::now();
        let numbers = Numbers::new(&view.sequences, &limits.session);
        if !self.timed {
            return self.run(values, view, limits, (moment, numbers));
        }
        let types: Vec<Option<ColumnType>> = self.parameters.iter().copied().map(Some).collect();
        let mut statement = self.statement.clone();
        settle_calls(&mut statement, &view.catalog, Some(&numbers))?;
        let planned = plan(statement, self.overriding, &view.catalog, &types, moment)?;
        planned.run(values, view, limits, (moment, numbers))
    }
}

/// The state under a table could not be read.
fn unreadable(table: &str, why: &impl std::fmt::Display) -> StatementError {
    error("58000", format!("cannot read table \"{table}\": {why}"))
}

impl Run<'_> {
    /// The rows of a table, as the statement sees them.
    fn stored(&self, target: &Target) -> Result<&TableRows> {
        let missing = || error(code::INTERNAL, format!("table \"{}\" is not in the view", target.def.name));
        self.view.tables.get(&target.def.id).ok_or_else(missing)
    }

    /// Refuses rows that take more memory than a statement may, and goes no further when it is to end.
    fn afford(&self, batches: &[&RecordBatch]) -> Result<()> {
        let bytes: usize = batches.iter().map(|batch| batch.get_array_memory_size()).sum();
        if bytes > self.limits.memory_bytes {
            return Err(error("53200", format!("the rows to write take {bytes} bytes, more than a statement may"))
                .with_hint("write them in several statements"));
        }
        if self.limits.cancelled.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(error("57014", "canceling statement due to user request"));
        }
        if self.limits.deadline.is_some_and(|deadline| deadline <= std::time::Instant::now()) {
            return Err(error("57014", "canceling statement due to statement timeout"));
        }
        Ok(())
    }
}
