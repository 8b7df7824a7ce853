//! A transaction: a view of all tables, and own writes over it that nobody else sees until all of them are committed in one
//! epoch. It is snapshot isolation, PostgreSQL's REPEATABLE READ: what others commit meanwhile is not seen, and a row that they
//! changed cannot be written. The first to commit wins; nobody waits.
//!
//! A sequence that it restarts (TRUNCATE ... RESTART IDENTITY) goes on for it alone; where it is then goes along at the commit. By
//! then nobody else may have written the table (`dataflow::LastChange`).
//!
//! A write is checked twice: when it is made, against the view with the own writes and against what is committed by then, so that
//! a lost cause is known early; and by the loop, against what is staged, which is what counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dataflow::{Looked, RowChanges, TableRows, UniqueRows, View};
use plan::{SequenceMark, TableDef, TableId};
use state::{Law, Overlay, Snapshot, StateError};
use zset::RowBytes;

use crate::own::{check_rows, taken};
use crate::{EngineError, WriteError};

/// See the module. It holds its view, and with it the memory of the rows that others have replaced since.
#[derive(Debug)]
pub struct Transaction {
    base: Arc<View>,
    /// With the own writes.
    view: Arc<View>,
    tables: BTreeMap<TableId, Own>,
}

/// What is written into one table.
#[derive(Debug)]
struct Own {
    overlay: Overlay,
    /// Those of the indexes of its UNIQUE constraints.
    uniques: Vec<Overlay>,
    arbiters: Vec<String>,
    sequences: Vec<SequenceMark>,
}

/// What a transaction was at one moment, to go back to.
#[derive(Debug, Clone)]
pub struct Mark {
    view: Arc<View>,
    tables: BTreeMap<TableId, MarkOfTable>,
}

#[derive(Debug, Clone)]
struct MarkOfTable {
    changes: Snapshot,
    uniques: Vec<Snapshot>,
    arbiters: Vec<String>,
    sequences: Vec<SequenceMark>,
}

impl Transaction {
    /// One that has written nothing yet.
    pub fn new(base: Arc<View>) -> Self {
        Self { view: Arc::clone(&base), base, tables: BTreeMap::new() }
    }

    /// What it sees.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The tables that it has written, in the order of their ids.
    pub fn tables(&self) -> impl Iterator<Item = TableId> + '_ {
        self.tables.keys().copied()
    }

    /// Bytes of the own writes in memory.
    pub fn bytes(&self) -> usize {
        let bytes = |own: &Own| own.uniques.iter().chain([&own.overlay]).map(Overlay::bytes).sum::<usize>();
        self.tables.values().map(bytes).sum()
    }

    /// Writes rows that were evaluated on [`Transaction::view`]; `now` is the newest view that there is. Refused, nothing of it is
    /// written. A row that goes and comes as it is counts as written: it must be the same at the commit.
    pub fn write(&mut self, changes: &RowChanges, now: &View) -> Result<(), WriteError> {
        let (Some(def), Some(stored)) = (self.view.catalog.table(changes.table), self.view.tables.get(&changes.table))
        else {
            return Err(EngineError::Log(format!("table {} is not in the view", changes.table)).into());
        };
        let newest = now.tables.get(&changes.table);
        if !def.has_rows_of(&changes.evaluated_on) || newest.is_some_and(|newest| newest.last.conflicts(changes)) {
            return Err(WriteError::Conflict);
        }
        let gone = stored.look(&changes.gone)?;
        let come = stored.look(&changes.come)?;
        let since = self.since(def, now)?;
        // As in PostgreSQL: that a row was changed by somebody else is told before that a key is taken.
        if let Some(since) = &since {
            since.is_as_it_was(&gone)?;
        }
        let violated = dataflow::violated(stored.uniques.iter().cloned(), &gone.batch, &come.batch)?;
        check_rows(def, gone.clone(), come.clone(), violated, &changes.arbiters)?;
        if let Some(since) = &since {
            since.is_free(&come, &changes.arbiters)?;
        }
        let stored = stored.clone();
        let own = self.tables.entry(changes.table).or_insert_with(|| Own::new(&stored));
        for arbiter in &changes.arbiters {
            if !own.arbiters.contains(arbiter) {
                own.arbiters.push(arbiter.clone());
            }
        }
        own.sequences.extend(&changes.sequences);
        lay(&mut own.overlay, &gone, &come);
        let uniques = own.lay_uniques(&stored.uniques, &gone, &come);
        let rows = stored.rows + come.rows.len() as i64 - gone.rows.len() as i64;
        let table = TableRows { snapshot: own.overlay.snapshot(), rows, uniques, ..stored };
        let mut tables = BTreeMap::clone(&self.view.tables);
        tables.insert(changes.table, table);
        let restarts: Vec<SequenceMark> = changes.sequences.iter().filter(|mark| mark.set.is_some()).copied().collect();
        let mut sequences = Arc::clone(&self.view.sequences);
        if !restarts.is_empty() {
            sequences = Arc::new(sequences.restarted(&restarts));
        }
        self.view = Arc::new(View { tables: Arc::new(tables), sequences, ..View::clone(&self.view) });
        Ok(())
    }

    /// A table to be written as it was when the transaction began, and is now; `None`: nothing is committed since, or the table was
    /// dropped, which the commit will say.
    fn since<'a>(&'a self, def: &'a TableDef, now: &'a View) -> Result<Option<Since<'a>>, WriteError> {
        if now.epoch == self.base.epoch {
            return Ok(None);
        }
        let tables = (self.base.tables.get(&def.id), now.tables.get(&def.id), now.catalog.table(def.id));
        let (Some(then), Some(now), Some(altered)) = tables else { return Ok(None) };
        if altered.has_rows_of(def) { Ok(Some(Since { def, then, now })) } else { Err(WriteError::Conflict) }
    }

    /// What was done to sequences, of which it keeps what is about those that it restarted; answers the others, which are everybody's.
    pub fn keep_restarted(&self, marks: Vec<SequenceMark>) -> Vec<SequenceMark> {
        let restarts = self.view.sequences.restarts();
        let (kept, others): (Vec<_>, Vec<_>) =
            marks.into_iter().partition(|mark| restarts.iter().any(|of| of.sequence == mark.sequence));
        for mark in kept {
            let table = self.view.catalog.table(mark.sequence.table);
            let mut sequences = table.iter().flat_map(|table| table.sequences());
            if let Some(of) = sequences.find(|of| of.slot == mark.sequence.slot) {
                self.view.sequences.committed(&mark, of);
            }
        }
        others
    }

    /// What it is now.
    pub fn mark(&self) -> Mark {
        let of_table = |own: &Own| MarkOfTable {
            changes: own.overlay.changes(),
            uniques: own.uniques.iter().map(Overlay::changes).collect(),
            arbiters: own.arbiters.clone(),
            sequences: own.sequences.clone(),
        };
        Mark {
            view: Arc::clone(&self.view),
            tables: self.tables.iter().map(|(table, own)| (*table, of_table(own))).collect(),
        }
    }

    /// Forgets what was written since.
    pub fn back_to(&mut self, mark: &Mark) {
        self.tables.retain(|table, _| mark.tables.contains_key(table));
        for (table, own) in &mut self.tables {
            let then = &mark.tables[table];
            own.overlay.back_to(&then.changes);
            own.uniques.iter_mut().zip(&then.uniques).for_each(|(unique, then)| unique.back_to(then));
            own.arbiters.clone_from(&then.arbiters);
            own.sequences.clone_from(&then.sequences);
        }
        self.view = Arc::clone(&mark.view);
    }

    /// Forgets all that was written.
    pub fn back_to_begin(&mut self) {
        self.tables.clear();
        self.view = Arc::clone(&self.base);
    }

    /// What it comes to: of each table the rows that go and come, seen from where it began.
    pub fn changes(&self) -> Result<Vec<RowChanges>, EngineError> {
        let mut all = Vec::with_capacity(self.tables.len());
        let restarts = self.view.sequences.restarts();
        for (&table, own) in &self.tables {
            let gone = || EngineError::Log(format!("table {table} is not in the view"));
            let evaluated_on = Arc::new(self.base.catalog.table(table).ok_or_else(gone)?.clone());
            let reader = &self.base.tables[&table].reader;
            let (gone, come) = match own.overlay.base().law() {
                Law::Replace => of_keys(&own.overlay)?,
                Law::Add => of_rows(&own.overlay)?,
            };
            let (gone, come) = (reader.rows(gone.iter()), reader.rows(come.iter()));
            let others = own.sequences.iter().filter(|mark| restarts.iter().all(|of| of.sequence != mark.sequence));
            let restarts: Vec<_> = restarts.iter().filter(|mark| mark.sequence.table == table).collect();
            let sequences = others.chain(restarts.iter().copied()).copied().collect();
            let (arbiters, seen, restarts) = (own.arbiters.clone(), self.base.epoch, !restarts.is_empty());
            let changes = RowChanges { table, evaluated_on, seen, gone, come, arbiters, sequences, restarts };
            if !changes.is_nothing() {
                all.push(changes);
            }
        }
        Ok(all)
    }
}

/// A table as it was when a transaction began, and is now.
struct Since<'a> {
    def: &'a TableDef,
    then: &'a TableRows,
    now: &'a TableRows,
}

impl Since<'_> {
    /// Whether rows to go, as the transaction sees them, were left by others as they were.
    fn is_as_it_was(&self, gone: &Looked) -> Result<(), WriteError> {
        let changed = if self.def.key.is_empty() {
            let (then, now) = (self.then.look(&gone.batch)?.copies, self.now.look(&gone.batch)?.copies);
            let mut going: HashMap<&[u8], i64> = HashMap::with_capacity(gone.rows.len());
            (0..gone.rows.len()).any(|row| {
                let times = going.entry(gone.rows.row(row)).or_default();
                *times += 1;
                then[row] - gone.copies[row] + *times > now[row]
            })
        } else {
            let (then, now) = (self.then.snapshot.probe(&gone.keys)?, self.now.snapshot.probe(&gone.keys)?);
            (0..gone.keys.len()).any(|key| {
                let before = row_of(&then, key);
                before.is_some() && before != row_of(&now, key)
            })
        };
        if changed { Err(WriteError::Conflict) } else { Ok(()) }
    }

    /// Whether nobody else has taken a key of the rows to come, which were found to be free in the transaction.
    fn is_free(&self, come: &Looked, arbiters: &[String]) -> Result<(), WriteError> {
        let mut key = None;
        if !self.def.key.is_empty() {
            let (then, now) = (self.then.snapshot.probe(&come.keys)?, self.now.snapshot.probe(&come.keys)?);
            for row in 0..come.keys.len() {
                match (row_of(&then, row), row_of(&now, row)) {
                    (before, after) if before == after => {}
                    // Its own row was there before, and it has deleted it.
                    (Some(_), _) => return Err(WriteError::Conflict),
                    (None, _) => {
                        key.get_or_insert(row);
                    }
                }
            }
        }
        let mut violated: Option<(usize, usize)> = None;
        for (at, (before, after)) in self.then.uniques.iter().zip(&self.now.uniques).enumerate() {
            let row = after.taken_since(before, &come.batch)?;
            violated = violated.into_iter().chain(row.map(|row| (row, at))).min();
        }
        taken(self.def, come, key, violated, arbiters).map_or(Ok(()), Err)
    }
}

/// The row of a key that was asked for, if there is one.
fn row_of(found: &state::Matches, key: usize) -> Option<&[u8]> {
    found.range(key).next().map(|at| found.rows.row(at))
}

impl Own {
    fn new(stored: &TableRows) -> Self {
        Self {
            overlay: Overlay::new(stored.snapshot.clone()),
            uniques: stored.uniques.iter().map(|unique| Overlay::new(unique.snapshot.clone())).collect(),
            arbiters: Vec::new(),
            sequences: Vec::new(),
        }
    }

    /// The indexes with rows that go and come.
    fn lay_uniques(&mut self, indexes: &[UniqueRows], gone: &Looked, come: &Looked) -> Vec<UniqueRows> {
        let lay = |(index, overlay): (&UniqueRows, &mut Overlay)| {
            for (rows, weight) in [(gone, -1), (come, 1)] {
                let (keys, rows, weights) = index.entries(&rows.batch, &rows.keys, &vec![weight; rows.rows.len()]);
                overlay.add(&keys, &rows, &weights);
            }
            index.with(overlay.snapshot())
        };
        indexes.iter().zip(&mut self.uniques).map(lay).collect()
    }
}

fn lay(overlay: &mut Overlay, gone: &Looked, come: &Looked) {
    match overlay.base().law() {
        Law::Replace => {
            // Of equal keys the later counts.
            let keys: RowBytes = gone.keys.iter().chain(come.keys.iter()).collect();
            let values: RowBytes = gone.keys.iter().map(|_| &[][..]).chain(come.rows.iter()).collect();
            let present: Vec<bool> = (0..keys.len()).map(|at| at >= gone.keys.len()).collect();
            overlay.replace(&keys, &values, &present);
        }
        Law::Add => {
            let rows: RowBytes = gone.rows.iter().chain(come.rows.iter()).collect();
            let weights: Vec<i64> = (0..rows.len()).map(|at| if at < gone.rows.len() { -1 } else { 1 }).collect();
            overlay.add(&rows, &rows, &weights);
        }
    }
}

/// The rows of the keys that were written, before and after.
fn of_keys(overlay: &Overlay) -> Result<(RowBytes, RowBytes), StateError> {
    let keys = overlay.keys();
    Ok((overlay.base().probe(&keys)?.rows, overlay.snapshot().probe(&keys)?.rows))
}

/// The rows that are fewer and those that are more, each as often as that.
fn of_rows(overlay: &Overlay) -> Result<(RowBytes, RowBytes), StateError> {
    let (mut gone, mut come) = (RowBytes::default(), RowBytes::default());
    for entries in overlay.changes().scan(8192) {
        let entries = entries?;
        for (row, &weight) in entries.rows.iter().zip(&entries.weights) {
            let to = if weight < 0 { &mut gone } else { &mut come };
            (0..weight.unsigned_abs()).for_each(|_| to.push(row));
        }
    }
    Ok((gone, come))
}

impl From<StateError> for WriteError {
    fn from(error: StateError) -> Self {
        EngineError::from(error).into()
    }
}
