//! The target: a session that is open, and what it does with rows.

use std::collections::{BTreeMap, HashMap};

use api::{Progress, Target, TargetError, TargetRows, TargetSpec};
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use fault::Failpoints;
use postgres::types::ToSql;
use postgres::{Client, Statement, Transaction};
use zset::ColumnType;

use crate::error::Failure;
use crate::settings::Settings;
use crate::statements::{self, Sql};
use crate::table::Table;
use crate::values::Values;
use crate::{progress, table};

/// See the module.
pub struct PostgresTarget {
    settings: Settings,
    spec: TargetSpec,
    session: Option<Session>,
    faults: Failpoints,
}

impl std::fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresTarget").field(&self.settings).finish()
    }
}

struct Session {
    client: Client,
    table: Table,
    upsert: Statement,
    /// By which columns of the key are NULL.
    deletes: HashMap<Vec<bool>, Statement>,
}

impl PostgresTarget {
    /// The target of a sink; nothing is touched yet.
    pub fn new(spec: &TargetSpec) -> Result<Self, TargetError> {
        let settings = Settings::parse(&spec.sink.options).map_err(TargetError::Refused)?;
        Ok(Self { settings, spec: spec.clone(), session: None, faults: Failpoints::default() })
    }

    /// The same, with failpoints.
    #[must_use]
    pub fn with_faults(self, faults: Failpoints) -> Self {
        Self { faults, ..self }
    }

    fn connect(&self) -> Result<(Session, Option<Progress>), Failure> {
        let TargetSpec { columns, sink, .. } = &self.spec;
        let mut client = self.settings.connect()?;
        progress::prepare(&mut client, &self.settings)?;
        let table = table::prepare(&mut client, &self.settings, columns, &sink.key)?;
        let progress = progress::read(&mut client, &self.settings, &self.spec)?;
        let upsert = prepare(&mut client, &statements::upsert(&self.settings, columns, &sink.key))?;
        Ok((Session { client, table, upsert, deletes: HashMap::new() }, progress))
    }

    fn write(
        &self,
        session: &mut Session,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        let at = |failure: Failure| failure.at(&self.settings.name());
        let Session { client, table, upsert, deletes } = session;
        let mut transaction = client.transaction().map_err(|error| at(Failure::of("begin a transaction", error)))?;
        progress::advance(&mut transaction, &self.settings, &self.spec, before, after).map_err(at)?;
        for rows in rows {
            let TargetRows { deletes: gone, upserts } = rows?;
            self.delete(&mut transaction, table, deletes, &gone).map_err(at)?;
            self.upsert(&mut transaction, upsert, &upserts).map_err(at)?;
        }
        let lost = |fault: fault::Fault| at(Failure::retriable(fault.to_string()));
        self.faults.reach("target-before").map_err(lost)?;
        transaction.commit().map_err(|error| at(Failure::of("commit", error)))?;
        self.faults.reach("target-after").map_err(lost)
    }

    fn upsert(&self, transaction: &mut Transaction<'_>, upsert: &Statement, rows: &RecordBatch) -> Result<(), Failure> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let types = self.spec.columns.0.iter().map(|column| column.ty);
        execute(transaction, upsert, types.zip(rows.columns())).map_err(|error| Failure::of("write rows", error))
    }

    fn delete(
        &self,
        transaction: &mut Transaction<'_>,
        table: &Table,
        deletes: &mut HashMap<Vec<bool>, Statement>,
        keys: &RecordBatch,
    ) -> Result<(), Failure> {
        let TargetSpec { columns, sink, .. } = &self.spec;
        for (nulls, keys) in by_nulls(keys) {
            let step = |error| Failure::of("delete rows", error);
            let delete = match deletes.get(&nulls) {
                Some(delete) => delete.clone(),
                None => {
                    let Sql { text, types } = statements::delete(&self.settings, table, columns, &sink.key, &nulls);
                    let delete = transaction.prepare_typed(&text, &types).map_err(step)?;
                    deletes.insert(nulls.clone(), delete.clone());
                    delete
                }
            };
            let types = sink.key.iter().map(|&at| columns.0[at].ty);
            let there = types.zip(&keys).zip(&nulls).filter(|(_, null)| !**null).map(|(column, _)| column);
            execute(transaction, &delete, there).map_err(step)?;
        }
        Ok(())
    }
}

impl Target for PostgresTarget {
    fn open(&mut self) -> Result<Option<Progress>, TargetError> {
        self.session = None;
        let (session, progress) = self.connect().map_err(|failure| failure.at(&self.settings.name()))?;
        let lost = |fault: fault::Fault| Failure::retriable(fault.to_string()).at(&self.settings.name());
        self.faults.reach("target-open").map_err(lost)?;
        self.session = Some(session);
        Ok(progress)
    }

    fn apply(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        let Some(mut session) = self.session.take() else {
            return Err(Failure::retriable("the connection is not open").at(&self.settings.name()));
        };
        self.write(&mut session, rows, before, after)?;
        self.session = Some(session);
        Ok(())
    }
}

fn prepare(client: &mut Client, Sql { text, types }: &Sql) -> Result<Statement, Failure> {
    client.prepare_typed(text, types).map_err(|error| Failure::of("prepare to write rows", error))
}

fn execute<'a>(
    transaction: &mut Transaction<'_>,
    statement: &Statement,
    columns: impl Iterator<Item = (ColumnType, &'a ArrayRef)>,
) -> Result<(), postgres::Error> {
    let values: Vec<Values<'_>> = columns.map(|(ty, array)| Values { ty, array }).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|values| values as &(dyn ToSql + Sync)).collect();
    transaction.execute(statement, &parameters).map(|_| ())
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
