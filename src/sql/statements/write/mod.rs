//! INSERT, UPDATE, DELETE, TRUNCATE of tables of our own: each becomes a query of the rows it is about, and of what becomes
//! of them; constraints of single rows are judged here, that keys are unique by the engine's loop.

mod delete;
mod insert;
mod returning;
mod rows;
mod target;
mod truncate;
mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use dataflow::{Limits, Prepared, RowChanges, StatementError, View, Work, Written};
use datafusion::sql::sqlparser::ast::{SelectItem, Statement, visit_relations};
use plan::{Catalog, TableId};
use zset::ColumnType;

use super::clock::{self, Moment};
use super::cursor::object_name;
use super::value;
use crate::error::{Detail, Result, error, unsupported};
use crate::expr::Typed;
use crate::expr::parameter::Parameters;
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

/// A statement's table, what it does with its rows, and the items of its RETURNING.
type Planned<'a> = (Target, Box<dyn Change>, Option<&'a [SelectItem]>);

/// The rows that go and come.
struct Rows {
    gone: RecordBatch,
    come: RecordBatch,
}

/// One run of a statement.
struct Run<'a> {
    /// The parameters as they were given, and as literals.
    texts: &'a [Option<String>],
    values: Vec<Typed>,
    view: &'a Arc<View>,
    limits: &'a Limits,
    moment: Moment,
}

/// A statement, planned.
#[derive(Debug)]
struct Write {
    statement: Statement,
    target: Target,
    change: Box<dyn Change>,
    returning: Option<Returning>,
    parameters: Vec<ColumnType>,
    /// Whether it asks the clock: then it is planned again with the moment in its place.
    timed: bool,
    reads_its_table: bool,
}

/// Prepares a statement.
pub(crate) fn prepare(statement: Statement, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Prepared> {
    let write = plan(statement, catalog, types, Moment::now())?;
    let columns = write.returning.as_ref().map(Returning::columns).unwrap_or_default();
    Ok(Prepared {
        parameters: write.parameters.clone(),
        columns,
        notices: Vec::new(),
        work: Work::Write(Arc::new(write)),
    })
}

fn plan(statement: Statement, catalog: &Catalog, types: &[Option<ColumnType>], moment: Moment) -> Result<Write> {
    let mut settled = statement.clone();
    let rows_of_one = matches!(&statement, Statement::Insert(insert) if insert::is_values(insert));
    if !rows_of_one && clock::has_random(&statement) {
        return Err(unsupported(
            "gen_random_uuid() in a query or UPDATE",
            "a new one for each row comes from a column's DEFAULT, or from INSERT ... VALUES",
        ));
    }
    let timed = clock::settle(&mut settled, moment, rows_of_one)?;
    let mut parameters = Parameters::new(types);
    let mut before = parameters.types();
    for _ in 0..ROUNDS {
        let (target, change, items) = match &settled {
            Statement::Insert(insert) => insert::plan(insert, catalog, &mut parameters)?,
            Statement::Update(update) => update::plan(update, catalog, &mut parameters)?,
            Statement::Delete(delete) => delete::plan(delete, catalog, &mut parameters)?,
            Statement::Truncate(truncate) => truncate::plan(truncate, catalog)?,
            other => {
                return Err(unsupported(format!("the statement {other}"), "write INSERT, UPDATE, DELETE or TRUNCATE"));
            }
        };
        let returning = items.map(|items| Returning::new(items, &target, &mut parameters)).transpose()?;
        let after = parameters.types();
        if after == before {
            let reads_its_table = !matches!(settled, Statement::Insert(_)) || reads(&settled, &target.def.name);
            return Ok(Write { statement, target, change, returning, parameters: after, timed, reads_its_table });
        }
        before = after;
    }
    Err(unsupported("a statement whose parameters have no settled types", "cast them: $1::integer"))
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
    fn run(&self, values: &[Option<String>], view: &Arc<View>, limits: &Limits, moment: Moment) -> Result<Written> {
        let literals = value::parameters(values, &self.parameters)?;
        let run = Run { texts: values, values: literals, view, limits, moment };
        let Rows { gone, come } = self.change.rows(&self.target, &run)?;
        run.afford(&[&gone, &come])?;
        self.target.constraints.judge(&come)?;
        let count = gone.num_rows().max(come.num_rows());
        let returning = match &self.returning {
            None => Vec::new(),
            Some(returning) => {
                let answered = if come.num_rows() > 0 { &come } else { &gone };
                vec![returning.answer(answered, &run.values)?]
            }
        };
        let changes = RowChanges { table: self.target.def.id, gone, come };
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
        if !self.timed {
            return self.run(values, view, limits, moment);
        }
        let types: Vec<Option<ColumnType>> = self.parameters.iter().copied().map(Some).collect();
        plan(self.statement.clone(), &view.catalog, &types, moment)?.run(values, view, limits, moment)
    }
}

impl Run<'_> {
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
