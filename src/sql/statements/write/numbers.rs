//! What one run of a statement takes from sequences: its marks, for the epoch's record.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dataflow::{SequenceSession, Sequences};
use plan::{Sequence, SequenceId, SequenceMark, TableDef};

use crate::error::{Result, error};

/// The sequences of a run, and what it did to them.
pub(crate) struct Numbers<'a> {
    sequences: &'a Sequences,
    session: &'a SequenceSession,
    marks: RefCell<BTreeMap<SequenceId, SequenceMark>>,
    restarted: Cell<bool>,
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(sequences: &'a Sequences, session: &'a SequenceSession) -> Self {
        Self { sequences, session, marks: RefCell::default(), restarted: Cell::default() }
    }

    /// Takes so many values of a sequence of a table.
    pub(crate) fn take(&self, table: &TableDef, of: &Sequence, count: usize) -> Result<Vec<i64>> {
        let id = SequenceId { table: table.id, slot: of.slot };
        let values = self.sequences.take(id, of, count)?;
        if let Some(&last) = values.last() {
            self.session.given(id, last);
            let mut marks = self.marks.borrow_mut();
            // What a statement takes after it set the sequence goes on from there.
            let set = marks.get(&id).and_then(|mark| mark.set).map(|_| true);
            marks.insert(id, SequenceMark { sequence: id, last, set });
        }
        Ok(values)
    }

    /// Sets a sequence: `given` says whether the value counts as given.
    pub(crate) fn set(&self, table: &TableDef, of: &Sequence, value: i64, given: bool) -> Result<()> {
        if !(of.min..=of.max).contains(&value) {
            return Err(error(
                "22003",
                format!("setval: value {value} is out of bounds for sequence \"{}\" ({}..{})", of.name, of.min, of.max),
            ));
        }
        let id = SequenceId { table: table.id, slot: of.slot };
        if given {
            self.session.set(id, value);
        }
        self.marks.borrow_mut().insert(id, SequenceMark { sequence: id, last: value, set: Some(given) });
        Ok(())
    }

    /// A sequence begins anew.
    pub(crate) fn restart(&self, table: &TableDef, of: &Sequence) {
        let id = SequenceId { table: table.id, slot: of.slot };
        self.marks.borrow_mut().insert(id, SequenceMark { sequence: id, last: of.start, set: Some(false) });
        self.restarted.set(true);
    }

    /// The value that the session was given last.
    pub(crate) fn current(&self, table: &TableDef, of: &Sequence) -> Result<i64> {
        self.session.current(SequenceId { table: table.id, slot: of.slot }).ok_or_else(|| {
            error("55000", format!("currval of sequence \"{}\" is not yet defined in this session", of.name))
        })
    }

    /// The value that the session was given last of any sequence.
    pub(crate) fn last(&self) -> Result<i64> {
        let undefined = || error("55000", "lastval is not yet defined in this session");
        self.session.last().map(|(_, value)| value).ok_or_else(undefined)
    }

    /// Whether any began anew.
    pub(crate) fn restarted(&self) -> bool {
        self.restarted.get()
    }

    /// What the record of the epoch has to say.
    pub(crate) fn marks(&self) -> Vec<SequenceMark> {
        self.marks.borrow().values().copied().collect()
    }
}
