//! A small engine in memory: tables of our own, a view of them, and what writes make of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{Array, AsArray, RecordBatch};
use dataflow::{
    About, Action, Contents, LastChange, Limits, Planner, Prepared, Queries, ResultType, SequenceSession, Sequences,
    StatementError, TableRows, View, Work, Written, contents_id,
};
use plan::{Catalog, TableId};
use state::Arrangement;
use zset::{Changes, Delta, Epoch, Op, TimestampMs};

use crate::SqlPlanner;

/// A row, each value in PostgreSQL's text form.
pub(super) type Texts = Vec<Option<String>>;

/// What a statement answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) tag: String,
    pub(super) rows: Vec<Texts>,
}

/// See the module.
#[derive(Default)]
pub(super) struct World {
    pub(super) catalog: Catalog,
    contents: BTreeMap<TableId, Contents>,
    sequences: Arc<Sequences>,
    session: Arc<SequenceSession>,
    epoch: u64,
}

pub(super) fn limits() -> Limits {
    Limits {
        deadline: None,
        memory_bytes: 64 << 20,
        cancelled: Arc::new(AtomicBool::new(false)),
        session: Arc::default(),
    }
}

/// The rows of batches as texts.
pub(super) fn texts(batches: &[RecordBatch], types: &[zset::ColumnType]) -> Vec<Texts> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().zip(types).map(|(a, ty)| SqlPlanner::new().text(*ty, a).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow::array::ArrayRef| {
                let column = column.as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_string())
            };
            rows.push(columns.iter().map(cell).collect());
        }
    }
    rows
}

fn types(prepared: &Prepared) -> Vec<zset::ColumnType> {
    let ty = |ty| match ty {
        ResultType::Column(ty) => ty,
        other => panic!("{other:?}"),
    };
    prepared.columns.iter().map(|column| ty(column.ty)).collect()
}

impl World {
    /// A world of some CREATE statements.
    pub(super) fn of(statements: &[&str]) -> Self {
        let mut world = Self::default();
        statements.iter().for_each(|statement| world.create(statement));
        world
    }

    pub(super) fn create(&mut self, statement: &str) {
        let planned = SqlPlanner::new().plan(statement, &self.catalog).unwrap_or_else(|e| panic!("{statement}: {e}"));
        match planned.action {
            Action::CreateTable(def) | Action::CreateStream { def, .. } => {
                let contents = Contents::new(&def, Arrangement::new(contents_id(def.id), Contents::law(&def))).unwrap();
                self.contents.insert(def.id, contents);
                self.catalog.add_table(def).unwrap();
            }
            Action::CreateSink(def) => self.catalog.add_sink(def).unwrap(),
            other => panic!("{statement}: {other:?}"),
        }
    }

    fn limits(&self) -> Limits {
        Limits { session: Arc::clone(&self.session), ..limits() }
    }

    pub(super) fn view(&self) -> Arc<View> {
        let rows = |contents: &Contents| TableRows {
            reader: contents.reader(),
            snapshot: contents.snapshot(),
            rows: contents.rows(),
            last: LastChange::default(),
            trouble: None,
            uniques: contents.uniques(),
        };
        let tables = self.contents.iter().map(|(id, contents)| (*id, rows(contents))).collect();
        Arc::new(View {
            epoch: Epoch(self.epoch),
            timestamp: TimestampMs(1_700_000_000_000),
            catalog: Arc::new(self.catalog.clone()),
            tables: Arc::new(tables),
            sequences: Arc::clone(&self.sequences),
            memory: Arc::default(),
        })
    }

    pub(super) fn prepare(&self, statement: &str) -> Result<Prepared, StatementError> {
        SqlPlanner::new().prepare(statement, &self.catalog, &[])
    }

    /// Runs a statement.
    pub(super) fn run(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Answer, StatementError> {
        let prepared = self.prepare(statement)?;
        let values: Vec<Option<String>> = values.iter().map(|value| value.map(str::to_string)).collect();
        match &prepared.work {
            Work::Read(read) => {
                let batches = read.run(&values, &self.view(), &self.limits())?.collect::<Result<Vec<_>, _>>()?;
                let rows = texts(&batches, &types(&prepared));
                Ok(Answer { tag: format!("SELECT {}", rows.len()), rows })
            }
            Work::Write(write) => {
                let written = write.evaluate(&values, &self.view(), &self.limits())?;
                let rows = texts(&written.returning, &types(&prepared));
                let tag = written.tag.clone();
                self.apply(written)?;
                Ok(Answer { tag, rows })
            }
            other => panic!("{statement}: {other:?}"),
        }
    }

    /// Runs a COPY FROM over bytes in pieces; how many rows it wrote.
    pub(super) fn copy_in<'a>(
        &mut self,
        statement: &str,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<u64, StatementError> {
        self.copy_within(statement, pieces, &limits())
    }

    pub(super) fn copy_within<'a>(
        &mut self,
        statement: &str,
        pieces: impl Iterator<Item = &'a [u8]>,
        limits: &Limits,
    ) -> Result<u64, StatementError> {
        let Work::CopyIn(copy) = self.prepare(statement)?.work else { panic!("{statement}") };
        let mut reader = copy.reader(&self.view(), limits)?;
        for piece in pieces {
            reader.push(piece)?;
        }
        let written = reader.finish()?.evaluate(&[], &self.view(), limits)?;
        let rows = written.tag.rsplit(' ').next().and_then(|rows| rows.parse().ok()).unwrap();
        self.apply(written)?;
        Ok(rows)
    }

    /// What the engine's loop does: unique keys, then the rows.
    fn apply(&mut self, written: Written) -> Result<(), StatementError> {
        let changes = written.changes;
        let def = self.catalog.table(changes.table).unwrap().clone();
        let keyed = !def.key.is_empty();
        if keyed {
            let key = |batch: &RecordBatch| {
                let batch = batch.project(&def.key).unwrap();
                let types: Vec<_> = def.key_columns().map(|column| column.ty).collect();
                texts(&[batch], &types)
            };
            let mut there: HashSet<Texts> = self.stored(changes.table).iter().flat_map(|d| key(d.batch())).collect();
            key(&changes.gone).iter().for_each(|gone| assert!(there.remove(gone), "{gone:?} was not there"));
            for come in key(&changes.come) {
                if !there.insert(come) {
                    let message = format!("duplicate key value violates unique constraint \"{}_pkey\"", def.name);
                    return Err(StatementError {
                        sqlstate: "23505",
                        message,
                        hint: None,
                        detail: None,
                        position: None,
                        about: None,
                    });
                }
            }
        }
        let violated = self.contents[&changes.table].violated(&changes.gone, &changes.come).unwrap();
        if let Some((_, at)) = violated {
            let name = &def.uniques()[at].name;
            let message = format!("duplicate key value violates unique constraint \"{name}\"");
            let (sqlstate, about) = ("23505", About::constraint(&def.name, name));
            return Err(StatementError { sqlstate, message, hint: None, detail: None, position: None, about });
        }
        for mark in &changes.sequences {
            let table = self.catalog.table(mark.sequence.table).unwrap();
            let of = table.sequences().iter().find(|of| of.slot == mark.sequence.slot).unwrap();
            self.sequences.committed(mark, of);
        }
        let (go, come) = if keyed { (Op::Delete, Op::Upsert) } else { (Op::Retract, Op::Insert) };
        let contents = self.contents.get_mut(&changes.table).unwrap();
        for (rows, op) in [(changes.gone, go), (changes.come, come)] {
            let count = rows.num_rows();
            let changes = Changes { rows, ops: vec![op; count], origin: (0..count as u32).collect(), keep: Vec::new() };
            let applied = contents.apply_changes(&changes).unwrap();
            assert_eq!(applied.missing_retractions, 0, "a row that goes was there");
        }
        contents.commit();
        self.epoch += 1;
        Ok(())
    }

    fn stored(&self, table: TableId) -> Vec<Delta> {
        let contents = &self.contents[&table];
        contents.read(&contents.snapshot()).map(Result::unwrap).collect()
    }

    /// The rows of a table, sorted, copies too.
    pub(super) fn rows(&self, name: &str) -> Vec<Texts> {
        let def = self.catalog.table_named(name).unwrap();
        let types: Vec<_> = def.columns.0.iter().map(|column| column.ty).collect();
        let mut rows = Vec::new();
        for delta in self.stored(def.id) {
            for (row, weight) in texts(&[delta.batch().clone()], &types).iter().zip(delta.weights().values()) {
                assert!(*weight > 0, "{row:?} is there {weight} times");
                (0..*weight).for_each(|_| rows.push(row.clone()));
            }
        }
        rows.sort();
        rows
    }
}
