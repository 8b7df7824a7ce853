//! Sequences: each gives a value once. What an epoch's record says of them is a [`SequenceMarks`], whose moves are a function of
//! the records alone; what clients take values from is a [`Sequences`], which is always as far or farther: a value that was
//! taken by a statement that failed is given to nobody else.
//!
//! A restart (TRUNCATE ... RESTART IDENTITY) is a transaction's own until it commits: what it restarted lies as a layer over what the
//! others take from, and goes on by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plan::{Sequence, SequenceId, SequenceMark, TableId};

use crate::StatementError;

/// Where a sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceAt {
    /// The last value given, or the next one to be given.
    pub last: i64,
    /// Whether it was given.
    pub given: bool,
}

/// Where sequences are of which a value was given, or that were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SequenceMarks(BTreeMap<SequenceId, SequenceAt>);

impl SequenceMarks {
    /// Where a sequence is.
    pub fn at(&self, id: SequenceId, of: &Sequence) -> SequenceAt {
        self.0.get(&id).copied().unwrap_or(SequenceAt { last: of.start, given: false })
    }

    /// What an epoch's record says of a sequence: it is set, or moved on, and never back.
    pub fn apply(&mut self, mark: &SequenceMark, of: &Sequence) {
        let before = self.at(mark.sequence, of);
        let after = match mark.set {
            Some(given) => SequenceAt { last: mark.last, given },
            None if farther(before.last, mark.last, of) => before,
            None => SequenceAt { last: mark.last, given: true },
        };
        self.0.insert(mark.sequence, after);
    }

    /// The sequences of a table are gone.
    pub fn forget(&mut self, table: TableId) {
        self.0.retain(|id, _| id.table != table);
    }

    /// All of them, as marks that set them.
    pub fn all(&self) -> Vec<SequenceMark> {
        let mark =
            |(id, at): (&SequenceId, &SequenceAt)| SequenceMark { sequence: *id, last: at.last, set: Some(at.given) };
        self.0.iter().map(mark).collect()
    }

    /// Those that marks of [`SequenceMarks::all`] say.
    pub fn restored(marks: &[SequenceMark]) -> Self {
        let at = |mark: &SequenceMark| (mark.sequence, SequenceAt { last: mark.last, given: mark.set.unwrap_or(true) });
        Self(marks.iter().map(at).collect())
    }
}

/// Whether a value is given after another.
fn farther(value: i64, than: i64, of: &Sequence) -> bool {
    if of.increment > 0 { value > than } else { value < than }
}

/// What clients take values from; one for the whole engine, and layers over it of transactions that restarted some.
#[derive(Debug, Default)]
pub struct Sequences {
    marks: Mutex<SequenceMarks>,
    /// What has the sequences that were not restarted.
    under: Option<Arc<Sequences>>,
}

impl Sequences {
    fn lock(&self) -> MutexGuard<'_, SequenceMarks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer that has a sequence.
    fn layer(&self, id: SequenceId) -> &Self {
        match &self.under {
            Some(under) if !self.lock().0.contains_key(&id) => under.layer(id),
            _ => self,
        }
    }

    /// A layer over these, in which some begin anew as marks say.
    pub fn restarted(self: Arc<Self>, marks: &[SequenceMark]) -> Self {
        Self { marks: Mutex::new(SequenceMarks::restored(marks)), under: Some(self) }
    }

    /// Where those are that begin anew in a layer, as marks that set them.
    pub fn restarts(&self) -> Vec<SequenceMark> {
        let Some(under) = &self.under else { return Vec::new() };
        let above = self.lock();
        let below = under.restarts().into_iter().filter(|mark| !above.0.contains_key(&mark.sequence));
        above.all().into_iter().chain(below).collect()
    }

    /// Takes so many values. Whoever else takes some gets others; at the limit it gives none (2200H).
    pub fn take(&self, id: SequenceId, of: &Sequence, count: usize) -> Result<Vec<i64>, StatementError> {
        let mut marks = self.layer(id).lock();
        let mut at = marks.at(id, of);
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let next = match at.given {
                false => Some(at.last),
                true => at.last.checked_add(of.increment),
            };
            let Some(next) = next.filter(|next| (of.min..=of.max).contains(next)) else {
                return Err(exhausted(of));
            };
            at = SequenceAt { last: next, given: true };
            values.push(next);
        }
        if count > 0 {
            marks.0.insert(id, at);
        }
        Ok(values)
    }

    /// An epoch is committed whose record says this, or it was done to a sequence of a layer: what was set is so for all who take
    /// values from here.
    pub fn committed(&self, mark: &SequenceMark, of: &Sequence) {
        self.layer(mark.sequence).lock().apply(mark, of);
    }

    /// Begins where the records end.
    pub fn begin(&self, marks: &SequenceMarks) {
        *self.lock() = marks.clone();
    }

    /// The sequences of a table are gone.
    pub fn forget(&self, table: TableId) {
        self.lock().forget(table);
    }

    /// Where a sequence is.
    pub fn at(&self, id: SequenceId, of: &Sequence) -> SequenceAt {
        self.layer(id).lock().at(id, of)
    }
}

fn exhausted(of: &Sequence) -> StatementError {
    let (which, limit) = if of.increment > 0 { ("maximum", of.max) } else { ("minimum", of.min) };
    StatementError {
        sqlstate: "2200H",
        message: format!("nextval: reached {which} value of sequence \"{}\" ({limit})", of.name),
        hint: None,
        detail: None,
        position: None,
        about: None,
    }
}

/// What sequences gave to one session.
#[derive(Debug, Default)]
pub struct SequenceSession(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    values: BTreeMap<SequenceId, i64>,
    last: Option<SequenceId>,
}

impl SequenceSession {
    fn lock(&self) -> MutexGuard<'_, Given> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the value that nextval gave.
    pub fn given(&self, id: SequenceId, value: i64) {
        let mut given = self.lock();
        given.values.insert(id, value);
        given.last = Some(id);
    }

    /// Remembers the value that setval set: lastval knows nothing of it.
    pub fn set(&self, id: SequenceId, value: i64) {
        self.lock().values.insert(id, value);
    }

    /// The value that nextval gave last of this sequence.
    pub fn current(&self, id: SequenceId) -> Option<i64> {
        self.lock().values.get(&id).copied()
    }

    /// The sequence that nextval was asked for last, and its value.
    pub fn last(&self) -> Option<(SequenceId, i64)> {
        let given = self.lock();
        given.last.and_then(|id| Some((id, *given.values.get(&id)?)))
    }

    /// Forgets everything (DISCARD).
    pub fn forget(&self) {
        *self.lock() = Given::default();
    }
}
