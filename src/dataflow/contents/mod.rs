//! Contents: the stored rows of a table, one arrangement.
//!
//! A keyed source table keeps key -> row, newest wins; every other table keeps its rows with their weights, under the bytes
//! of the key columns (keyless: of the whole row). A row of a stream table without a key is kept once: it is its own key, and there is no
//! row beside it; but where older versions stored it beside its key, it goes on so as long as any such row is there, for what
//! comes and what goes must be told alike. Source tables are changed by [`Changes`], whose meaning only the stored
//! rows can tell: [`Contents::apply_changes`] gives the exact delta. Stream tables are changed by the delta their flow gives.

mod difference;
mod homes;
mod keyed;
mod keyless;
mod look;
mod pass;
mod read;
mod unique;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use plan::{TableDef, TableKind};
use state::{Arrangement, ArrangementId, Law, Snapshot, StateError};
use zset::{Changes, Delta, Partition, RowBytes, RowCodec, RowType, canonical};

use crate::FlowError;
use crate::rows::{batch, empty_rows, net_rows};
use homes::Homes;
pub use look::Looked;
pub use pass::{Passed, pass_on};
pub use read::ContentsReader;
use unique::Index;
pub use unique::{UniqueKeys, UniqueRows, unique_id, violated};

/// The arrangement of a table's contents.
pub fn contents_id(table: plan::TableId) -> ArrangementId {
    ArrangementId { owner: table.0, node: u32::MAX, slot: 0 }
}

/// See the module.
#[derive(Debug)]
pub struct Contents {
    arrangement: Arrangement,
    key: Vec<usize>,
    /// Of the key columns; keyless: of all.
    key_codec: Arc<RowCodec>,
    codec: Arc<RowCodec>,
    /// Whether a row is its own key: a stream table's without a key.
    alone: bool,
    /// Whether rows are staged beside their keys.
    beside: bool,
    /// Those of the UNIQUE constraints, in their order.
    indexes: Vec<Index>,
    /// Where the keys of a source come from, if that is watched.
    homes: Option<Homes>,
    /// The sum of the committed weights.
    rows: i64,
    /// What the staged changes add to it.
    rows_staged: i64,
}

/// What source records changed.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The exact change of the contents, consolidated.
    pub delta: Delta,
    /// (origin, column) of values that were to be kept from a row that is not there. Such a row is not applied; its record
    /// is a dead letter.
    pub unresolved: Vec<(u32, u32)>,
    /// Retractions of rows that were not there, passed over.
    pub missing_retractions: u64,
    /// Keys that came from another partition than before.
    pub moved: Option<Moved>,
}

/// Keys of a source that came from another partition than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// How often one did.
    pub times: u64,
    /// The first of them, as text.
    pub key: String,
    /// Where it came from before.
    pub from: Partition,
    /// Where it came from then.
    pub to: Partition,
}

/// What changes of a table mean, before it is staged.
struct Resolved {
    delta: Delta,
    unresolved: Vec<(u32, u32)>,
    missing_retractions: u64,
    moved: Option<Moved>,
}

impl Contents {
    /// The law of a table's contents.
    pub fn law(def: &TableDef) -> Law {
        match def.kind {
            TableKind::Source(_) if !def.key.is_empty() => Law::Replace,
            _ => Law::Add,
        }
    }

    /// The contents of a table over its arrangement, empty or from a checkpoint; its rows are counted by reading them once.
    pub fn new(def: &TableDef, arrangement: Arrangement) -> Result<Self, StateError> {
        let mut rows = 0i64;
        for entries in arrangement.committed().scan(read::CHUNK_ROWS) {
            rows = entries?.weights.iter().fold(rows, |sum, weight| sum.saturating_add(*weight));
        }
        Self::restored(def, arrangement, rows)
    }

    /// As [`Contents::new`], with the number of rows known.
    pub fn restored(def: &TableDef, arrangement: Arrangement, rows: i64) -> Result<Self, StateError> {
        let first = arrangement.committed().scan(1).next().transpose()?;
        let contents = Self::with_rows(def, arrangement, rows);
        let beside = contents.beside || first.is_some_and(|first| first.rows.data_len() > 0);
        Ok(Self { beside, ..contents })
    }

    /// Over an arrangement that is new, or whose rows are stored as this version stores them. The indexes are empty.
    pub fn with_rows(def: &TableDef, arrangement: Arrangement, rows: i64) -> Self {
        assert_eq!(arrangement.law(), Self::law(def), "the contents of table {} under their law", def.name);
        let columns = match def.key.as_slice() {
            [] => def.columns.clone(),
            key => RowType(key.iter().map(|&at| def.columns.0[at].clone()).collect()),
        };
        let key_codec = Arc::new(RowCodec::new(columns.schema()));
        let codec = Arc::new(RowCodec::new(def.columns.schema()));
        let indexes = Index::all(def, &mut |id, law| arrangement.beside(id, law));
        let alone = def.key.is_empty() && matches!(def.kind, TableKind::Stream(_));
        Self {
            arrangement,
            key: def.key.clone(),
            key_codec,
            codec,
            alone,
            beside: !alone,
            indexes,
            homes: None,
            rows,
            rows_staged: 0,
        }
    }

    /// With its indexes over their arrangements.
    pub fn with_indexes(
        mut self,
        def: &TableDef,
        arrangement: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Self {
        self.indexes = Index::all(def, arrangement);
        self
    }

    /// The number of committed rows.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// The arrangement.
    pub fn arrangement(&self) -> &Arrangement {
        &self.arrangement
    }

    /// The committed contents.
    pub fn snapshot(&self) -> Snapshot {
        self.arrangement.committed()
    }

    /// The committed contents with what is staged.
    pub fn staged(&self) -> Snapshot {
        self.arrangement.staged()
    }

    /// What reads snapshots of this table, on any thread.
    pub fn reader(&self) -> ContentsReader {
        ContentsReader {
            codec: Arc::clone(&self.codec),
            key: self.key.as_slice().into(),
            key_codec: Arc::clone(&self.key_codec),
            alone: self.alone,
        }
    }

    /// The rows of a snapshot of this table.
    pub fn read(&self, snapshot: &Snapshot) -> impl Iterator<Item = Result<Delta, StateError>> + use<> {
        self.reader().read(snapshot)
    }

    /// From now on notices keys that come from another partition than before, if it has keys.
    pub fn watch_homes(&mut self) {
        if self.homes.is_none() && self.arrangement.law() == Law::Replace {
            self.homes = Some(Homes::new());
        }
    }

    /// Whether it notices that.
    pub fn watches_homes(&self) -> bool {
        self.homes.is_some()
    }

    /// Where the keys came from is not known any more.
    pub fn forget_homes(&mut self) {
        self.homes = None;
    }

    /// Applies decoded records of a source table, in their order, and stages the result.
    pub fn apply_changes(&mut self, changes: &Changes) -> Result<Applied, StateError> {
        self.apply_changes_of(changes, &[])
    }

    /// The same, of records whose partitions are known: `runs` has where the records of each end; empty: nobody asks.
    pub fn apply_changes_of(&mut self, changes: &Changes, runs: &[(u32, Partition)]) -> Result<Applied, StateError> {
        let columns = changes.rows.columns().iter().map(canonical).collect();
        let rows =
            batch(self.codec.schema(), columns, changes.rows.num_rows()).expect("decoded rows of the table's type");
        let resolved = match self.arrangement.law() {
            Law::Replace => self.apply_keyed(changes, &rows, runs)?,
            Law::Add => self.apply_keyless(changes, &rows)?,
        };
        let Resolved { delta, unresolved, missing_retractions, moved } = resolved;
        self.stage_indexes(&delta);
        self.rows_staged += delta.weights().values().iter().sum::<i64>();
        Ok(Applied { delta, unresolved, missing_retractions, moved })
    }

    /// Stages the delta of a stream table. Retracting more copies of a row than there are is refused: then nothing is
    /// staged.
    pub fn apply_delta(&mut self, delta: &Delta) -> Result<(), FlowError> {
        if delta.is_empty() {
            return Ok(());
        }
        let rows = delta.bytes(&self.codec);
        let of_key = (!self.key.is_empty()).then(|| self.keys(delta.batch()));
        let keys = of_key.as_ref().unwrap_or(rows);
        let gone = match delta.only_inserts() {
            true => Vec::new(),
            false => net_rows(delta.weights().values(), rows)?.into_iter().filter(|(_, weight)| *weight < 0).collect(),
        };
        let found = self.arrangement.staged().probe(&gone.iter().map(|(at, _)| keys.row(*at as usize)).collect())?;
        for (probe, (at, weight)) in gone.iter().enumerate() {
            let row = rows.row(*at as usize);
            let same = |place: &usize| self.alone || found.rows.row(*place) == row;
            let kept = found.range(probe).find(same).map_or(0, |place| found.weights[place]);
            if kept.checked_add(*weight).is_none_or(|left| left < 0) {
                let row = crate::rows::describe(self.codec.schema(), delta.batch().columns(), *at as usize);
                let id = self.arrangement.id();
                return Err(FlowError::Invariant(format!(
                    "contents {id}: row {row} is there {kept} times, {weight:+}"
                )));
            }
        }
        self.arrangement.stage(keys, &beside(self.beside, rows), delta.weights().values());
        self.rows_staged += delta.weights().values().iter().sum::<i64>();
        Ok(())
    }

    /// What was staged holds.
    pub fn commit(&mut self) {
        self.arrangement.commit();
        self.indexes.iter_mut().for_each(|index| index.arrangement.commit());
        self.homes.iter_mut().for_each(Homes::commit);
        self.rows += std::mem::take(&mut self.rows_staged);
    }

    /// What was staged vanishes.
    pub fn discard(&mut self) {
        self.arrangement.discard();
        self.indexes.iter_mut().for_each(|index| index.arrangement.discard());
        self.homes.iter_mut().for_each(Homes::discard);
        self.rows_staged = 0;
    }

    /// The arrangements of the indexes.
    pub fn index_arrangements(&self) -> impl Iterator<Item = &Arrangement> {
        self.indexes.iter().map(|index| &index.arrangement)
    }

    /// The committed indexes, for readers.
    pub fn uniques(&self) -> Vec<UniqueRows> {
        self.indexes.iter().map(Index::rows).collect()
    }

    /// The first of the rows that come whose values in the columns of a UNIQUE constraint another row has, once the rows that
    /// go are gone; and the constraint's place.
    pub fn violated(&self, gone: &RecordBatch, come: &RecordBatch) -> Result<Option<(usize, usize)>, StateError> {
        unique::violated(self.indexes.iter().map(Index::staged), gone, come)
    }

    /// A constraint, by its place, that the staged rows break, and values that two of them have.
    pub fn duplicate(&self) -> Result<Option<(usize, RecordBatch)>, StateError> {
        for (at, index) in self.indexes.iter().enumerate() {
            if let Some(values) = index.duplicate()? {
                return Ok(Some((at, values)));
            }
        }
        Ok(None)
    }

    fn stage_indexes(&mut self, delta: &Delta) {
        if self.indexes.is_empty() || delta.is_empty() {
            return;
        }
        let keys = self.keys(delta.batch());
        let weights = delta.weights().values();
        self.indexes.iter_mut().for_each(|index| index.stage(delta.batch(), &keys, weights));
    }

    /// The key bytes of every row.
    fn keys(&self, rows: &RecordBatch) -> RowBytes {
        self.reader().keys(rows)
    }
}

/// What is staged beside the keys of rows: they themselves, or nothing.
fn beside(beside: bool, rows: &RowBytes) -> Cow<'_, RowBytes> {
    if beside { Cow::Borrowed(rows) } else { Cow::Owned(empty_rows(rows.len())) }
}
