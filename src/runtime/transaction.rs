//! A transaction: a view of all tables, and own writes over it that nobody else sees until all of them are committed in one
//! epoch. It is snapshot isolation, PostgreSQL's REPEATABLE READ: what others commit meanwhile is not seen, and a row that they
//! changed cannot be written. The first to commit wins; nobody waits.
//!
//! A write is checked twice: when it is made, against the view with the own writes and against what is committed by then, so that
//! a lost cause is known early; and by the loop, against what is staged, which is what counts.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use dataflow::{Looked, RowChanges, TableRows, UniqueRows, View};
use plan::{SequenceMark, TableDef, TableId};
use state::{Law, Overlay, Snapshot, StateError};
use zset::RowBytes;

use crate::own::{check_rows, taken_key, taken_unique};
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
        let gone = stored.look(&changes.gone)?;
        let come = stored.look(&changes.come)?;
        let violated = dataflow::violated(stored.uniques.iter().cloned(), &gone.batch, &come.batch)?;
        check_rows(def, gone.clone(), come.clone(), violated, &changes.arbiters)?;
        self.check_others(def, changes, &gone, &come, now)?;
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
        self.view = Arc::new(View { tables: Arc::new(tables), ..View::clone(&self.view) });
        Ok(())
    }

    /// Whether somebody else has committed a change of the keys to be written since the transaction began.
    fn check_others(
        &self,
        def: &TableDef,
        changes: &RowChanges,
        gone: &Looked,
        come: &Looked,
        now: &View,
    ) -> Result<(), WriteError> {
        if now.epoch == self.base.epoch || (def.key.is_empty() && def.uniques().is_empty()) {
            return Ok(());
        }
        let (Some(then), Some(now)) = (self.base.tables.get(&def.id), now.tables.get(&def.id)) else {
            // It was dropped: the commit will say so.
            return Ok(());
        };
        if then.reader.schema() != now.reader.schema() {
            return Err(WriteError::Conflict);
        }
        for (at, (before, after)) in then.uniques.iter().zip(&now.uniques).enumerate() {
            if let Some(row) = after.taken_since(before, &come.batch)? {
                return Err(taken_unique(def, come, row, at, &changes.arbiters));
            }
        }
        if def.key.is_empty() {
            return Ok(());
        }
        let coming: HashSet<&[u8]> = come.keys.iter().collect();
        let keys: RowBytes = gone.keys.iter().filter(|key| !coming.contains(key)).chain(come.keys.iter()).collect();
        let first = keys.len() - come.keys.len();
        let (before, after) = (then.snapshot.probe(&keys)?, now.snapshot.probe(&keys)?);
        for key in 0..keys.len() {
            let row = |found: &state::Matches| found.range(key).next().map(|at| found.rows.row(at).to_vec());
            match (row(&before), row(&after)) {
                (before, after) if before == after => {}
                (None, _) if key < first => {}
                (None, Some(_)) => return Err(taken_key(def, come, key - first, &changes.arbiters)),
                _ => return Err(WriteError::Conflict),
            }
        }
        Ok(())
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
        for (&table, own) in &self.tables {
            let reader = &self.base.tables[&table].reader;
            let (gone, come) = match own.overlay.base().law() {
                Law::Replace => of_keys(&own.overlay)?,
                Law::Add => of_rows(&own.overlay)?,
            };
            let (gone, come) = (reader.rows(gone.iter()), reader.rows(come.iter()));
            let (arbiters, sequences) = (own.arbiters.clone(), own.sequences.clone());
            let changes = RowChanges { table, gone, come, arbiters, sequences };
            if !changes.is_nothing() {
                all.push(changes);
            }
        }
        Ok(all)
    }
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
