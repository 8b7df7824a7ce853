//! The target: a session that is open, and what it does with rows.

use std::collections::{BTreeMap, HashMap};

use api::{Progress, Target, TargetError, TargetRows, TargetSpec};
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use fault::Failpoints;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use zset::ColumnType;

use crate::error::Failure;
use crate::session::Session;
use crate::settings::Settings;
use crate::statements::{self, Sql};
use crate::table::Table;
use crate::values::Values;
use crate::{progress, table};

/// See the module.
pub struct PostgresTarget {
    settings: Settings,
    spec: TargetSpec,
    open: Option<Open>,
    faults: Failpoints,
}

impl std::fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresTarget").field(&self.settings).finish()
    }
}

struct Open {
    session: Session,
    table: Table,
    upsert: Statement,
    /// The same, of rows that the table may have as they are; prepared when it is needed.
    upsert_different: Option<Statement>,
    /// By which columns of the key are NULL.
    deletes: HashMap<Vec<bool>, Statement>,
}

impl PostgresTarget {
    /// The target of a sink; nothing is touched yet.
    pub fn new(spec: &TargetSpec) -> Result<Self, TargetError> {
        let settings = Settings::parse(&spec.sink.options).map_err(TargetError::Refused)?;
        Ok(Self { settings, spec: spec.clone(), open: None, faults: Failpoints::default() })
    }

    /// The same, with failpoints.
    #[must_use]
    pub fn with_faults(self, faults: Failpoints) -> Self {
        Self { faults, ..self }
    }

    fn connect(&self) -> Result<(Open, Option<Progress>), Failure> {
        let TargetSpec { columns, sink, .. } = &self.spec;
        let mut session = self.settings.connect()?;
        progress::prepare(&mut session, &self.settings)?;
        let progress = progress::read(&mut session, &self.settings, &self.spec)?;
        // An earlier sink of the name has nothing to do with what this one has written.
        let filled = progress.as_ref().filter(|progress| progress.epoch >= sink.created);
        let table = table::prepare(&mut session, &self.settings, &self.spec, filled)?;
        let Sql { text, types } = statements::upsert(&self.settings, columns, &sink.key);
        let upsert = session.prepare("prepare to write rows", &text, &types)?;
        Ok((Open { session, table, upsert, upsert_different: None, deletes: HashMap::new() }, progress))
    }

    fn write(
        &self,
        open: &mut Open,
        upsert: &Statement,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        let at = |failure: Failure| failure.at(&self.settings.name());
        open.session.batch("begin a transaction", "BEGIN").map_err(at)?;
        progress::advance(&mut open.session, &self.settings, &self.spec, before, after).map_err(at)?;
        for rows in rows {
            let TargetRows { deletes, upserts } = rows?;
            self.delete(open, &deletes).map_err(at)?;
            self.upsert(open, upsert, &upserts).map_err(at)?;
        }
        // What has written to it holds a lock, so it is now as it was then: an assignment may have rounded what it wrote.
        open.table.is_as_it_was(&mut open.session).map_err(at)?;
        let lost = |fault: fault::Fault| at(Failure::retriable(fault.to_string()));
        self.faults.reach("target-before").map_err(lost)?;
        open.session.batch("commit", "COMMIT").map_err(at)?;
        self.faults.reach("target-after").map_err(lost)
    }

    fn upsert(&self, open: &mut Open, upsert: &Statement, rows: &RecordBatch) -> Result<(), Failure> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let types = self.spec.columns.0.iter().map(|column| column.ty);
        execute(&mut open.session, "write rows", upsert, types.zip(rows.columns()))
    }

    fn delete(&self, open: &mut Open, keys: &RecordBatch) -> Result<(), Failure> {
        let TargetSpec { columns, sink, .. } = &self.spec;
        let Open { session, table, deletes, .. } = open;
        for (nulls, keys) in by_nulls(keys) {
            let step = "delete rows";
            let delete = match deletes.get(&nulls) {
                Some(delete) => delete.clone(),
                None => {
                    let Sql { text, types } = statements::delete(&self.settings, table, columns, &sink.key, &nulls);
                    let delete = session.prepare(step, &text, &types)?;
                    deletes.insert(nulls.clone(), delete.clone());
                    delete
                }
            };
            let types = sink.key.iter().map(|&at| columns.0[at].ty);
            let there = types.zip(&keys).zip(&nulls).filter(|(_, null)| !**null).map(|(column, _)| column);
            execute(session, step, &delete, there)?;
        }
        Ok(())
    }
}

impl Target for PostgresTarget {
    fn open(&mut self) -> Result<Option<Progress>, TargetError> {
        self.open = None;
        let (open, progress) = self.connect().map_err(|failure| failure.at(&self.settings.name()))?;
        let lost = |fault: fault::Fault| Failure::retriable(fault.to_string()).at(&self.settings.name());
        self.faults.reach("target-open").map_err(lost)?;
        self.open = Some(open);
        Ok(progress)
    }

    fn apply(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        let mut open = self.taken()?;
        let upsert = open.upsert.clone();
        self.write(&mut open, &upsert, rows, before, after)?;
        self.open = Some(open);
        Ok(())
    }

    fn resynchronise(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        let mut open = self.taken()?;
        let upsert = self.different(&mut open).map_err(|failure| failure.at(&self.settings.name()))?;
        self.write(&mut open, &upsert, rows, before, after)?;
        self.open = Some(open);
        Ok(())
    }
}

impl PostgresTarget {
    /// What is open; it is put back when nothing went wrong.
    fn taken(&mut self) -> Result<Open, TargetError> {
        let closed = || Failure::retriable("the connection is not open").at(&self.settings.name());
        self.open.take().ok_or_else(closed)
    }

    fn different(&self, open: &mut Open) -> Result<Statement, Failure> {
        if let Some(statement) = &open.upsert_different {
            return Ok(statement.clone());
        }
        let TargetSpec { columns, sink, .. } = &self.spec;
        let Sql { text, types } = statements::upsert_different(&self.settings, &open.table, columns, &sink.key);
        let statement = open.session.prepare("prepare to compare rows", &text, &types)?;
        open.upsert_different = Some(statement.clone());
        Ok(statement)
    }
}

fn execute<'a>(
    session: &mut Session,
    step: &str,
    statement: &Statement,
    columns: impl Iterator<Item = (ColumnType, &'a ArrayRef)>,
) -> Result<(), Failure> {
    let values: Vec<Values<'_>> = columns.map(|(ty, array)| Values { ty, array }).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|values| values as &(dyn ToSql + Sync)).collect();
    session.run(step, statement, &parameters).map(|_| ())
}

/// Keys by which of their columns are NULL.
fn by_nulls(keys: &RecordBatch) -> Vec<(Vec<bool>, Vec<ArrayRef>)> {
    if keys.num_rows() == 0 {
        return Vec::new();
    }
    if keys.columns().iter().all(|column| column.null_count() == 0) {
        return vec![(vec![false; keys.num_columns()], keys.columns().to_vec())];
    }
    let mut groups: BTreeMap<Vec<bool>, Vec<u32>> = BTreeMap::new();
    for row in 0..keys.num_rows() {
        let nulls = keys.columns().iter().map(|column| column.is_null(row)).collect();
        groups.entry(nulls).or_default().push(row as u32);
    }
    let taken = |rows: Vec<u32>| {
        let rows = UInt32Array::from(rows);
        keys.columns().iter().map(|column| take(column, &rows, None).expect("rows of the batch")).collect()
    };
    groups.into_iter().map(|(nulls, rows)| (nulls, taken(rows))).collect()
}
