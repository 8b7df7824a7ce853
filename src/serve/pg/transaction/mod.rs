//! The transaction that a session is in: a block, from BEGIN to its end, or the statements of one message.
//!
//! It holds a snapshot from its first query on, the own writes over it, the savepoints, and the settings as they will be after a
//! commit and after a rollback. Nothing of it is anywhere else until it commits, so that a client that goes away has rolled
//! back.

mod decide;
mod modes;
mod run;

use std::sync::Arc;

use dataflow::View;
use runtime::{Mark, Transaction};

use super::settings::Settings;
pub(crate) use decide::{State, aborted};
pub(crate) use modes::begin_anew;

/// See the module.
#[derive(Debug)]
pub(crate) struct Block {
    /// Whether somebody said BEGIN.
    pub explicit: bool,
    pub failed: bool,
    /// Whether a query has run: then it is late to set modes.
    pub asked: bool,
    /// The snapshot and what was written; `None`: nothing has asked for it yet.
    transaction: Option<Transaction>,
    savepoints: Vec<Savepoint>,
    /// The settings if it is rolled back.
    before: Settings,
    /// The settings if it is committed: without those that are SET LOCAL.
    pub kept: Settings,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    /// `None`: nothing had asked yet.
    mark: Option<Mark>,
    settings: Settings,
    kept: Settings,
}

impl Block {
    pub fn new(explicit: bool, settings: &Settings) -> Self {
        Self {
            explicit,
            failed: false,
            asked: false,
            transaction: None,
            savepoints: Vec::new(),
            before: settings.clone(),
            kept: settings.clone(),
        }
    }

    /// What it sees: from the first time on what there was then, with what it wrote.
    pub fn view(&mut self, newest: impl FnOnce() -> Arc<View>) -> Arc<View> {
        self.asked = true;
        Arc::clone(self.transaction.get_or_insert_with(|| Transaction::new(newest())).view())
    }

    /// What it sees, if anything has asked for it.
    pub fn seen(&self) -> Option<&Arc<View>> {
        self.transaction.as_ref().map(Transaction::view)
    }

    /// A statement of it has failed. What only the way back to a savepoint needs is kept.
    fn fail(&mut self) {
        self.failed = true;
        if self.savepoints.is_empty() {
            self.transaction = None;
        }
    }

    fn savepoint(&mut self, name: String, settings: &Settings) {
        let mark = self.transaction.as_ref().map(Transaction::mark);
        self.savepoints.push(Savepoint { name, mark, settings: settings.clone(), kept: self.kept.clone() });
    }

    /// Forgets a savepoint and those after it; false: there is none of that name.
    fn release(&mut self, name: &str) -> bool {
        let found = self.savepoints.iter().rposition(|savepoint| savepoint.name == name);
        found.inspect(|at| self.savepoints.truncate(*at)).is_some()
    }

    /// Undoes what was done since a savepoint; the settings as they were. `None`: there is none of that name.
    fn back_to(&mut self, name: &str) -> Option<Settings> {
        let at = self.savepoints.iter().rposition(|savepoint| savepoint.name == name)?;
        self.savepoints.truncate(at + 1);
        let Savepoint { mark, settings, kept, .. } = &self.savepoints[at];
        match (mark, &mut self.transaction) {
            (Some(mark), Some(transaction)) => transaction.back_to(mark),
            (None, Some(transaction)) => transaction.back_to_begin(),
            (Some(_), None) => return None,
            (None, None) => {}
        }
        self.kept.clone_from(kept);
        self.failed = false;
        Some(settings.clone())
    }
}
