//! A source whose topic is not what was read of it: found ([`decide`]), reconciled with it ([`reconcile`]), or halted until the user
//! says what is to be ([`statement`]). Each is an epoch of its own, which says so.
//!
//! ```text
//! at start, or a reader that cannot go on ─► decide ─┬► reconcile: the whole topic is read; what differs is a delta
//!                                                    └► lost: not read; SHOW SOURCES says why; all else goes on
//!                                                        └► ALTER TABLE ... RESTART FROM | ACCEPT LOSS
//! ```

mod absent;
mod apply;
mod decide;
mod deletes;
mod keepings;
mod notes;
mod reconcile;
mod statement;
mod warn;
mod whole;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::LogError;
use plan::TableId;

pub(crate) use decide::{Facts, Kind, Last, Loss, Verdict, decide};
pub(crate) use deletes::{Deletes, Look};
pub(crate) use keepings::Keepings;
pub(crate) use warn::warnings;

use crate::source::Trouble;
use crate::verify::{Lost, kind};
use crate::{Engine, EngineError};

/// How soon a source in trouble is looked at again while the log does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A reader that fails so soon again, though the topic looks as it did, is believed.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A source that its reader gave up, and that could not be looked at yet.
pub(crate) struct Doubt {
    trouble: Trouble,
    again: Instant,
}

/// What the user can say.
fn ways_out(name: &str) -> String {
    format!(
        "ALTER TABLE {name} RESTART FROM 'earliest' drops its rows and reads the topic anew; ALTER TABLE {name} ACCEPT LOSS keeps \
         them and goes on from the first record that the topic has"
    )
}

impl Engine {
    /// Deals with the sources that are lost at the start.
    pub(crate) fn mend_at_start(&mut self, lost: BTreeMap<TableId, Lost>) -> Result<(), EngineError> {
        lost.into_iter().try_for_each(|(id, lost)| self.mend_lost(id, lost))
    }

    /// A reader gave a source up.
    pub(crate) fn trouble(&mut self, id: TableId, trouble: Trouble) -> Result<(), EngineError> {
        if let Trouble::Log(error @ LogError::Fenced(_)) = trouble {
            return Err(error.into());
        }
        self.sources.remove(&id);
        let again = self.instant();
        self.doubts.insert(id, Doubt { trouble, again });
        self.turn_doubts()
    }

    /// Looks at the sources that readers gave up, until the log answers.
    pub(crate) fn turn_doubts(&mut self) -> Result<(), EngineError> {
        let now = self.instant();
        let due: Vec<TableId> = self.doubts.iter().filter(|(_, doubt)| doubt.again <= now).map(|(id, _)| *id).collect();
        for id in due {
            let Some(doubt) = self.doubts.remove(&id) else { continue };
            match self.look_into(id, &doubt.trouble, now) {
                Err(EngineError::Log(reason)) => {
                    tracing::warn!("a source that cannot be read on waits to be looked at: {reason}");
                    self.doubts.insert(id, Doubt { again: now + AGAIN, ..doubt });
                }
                done => done?,
            }
        }
        Ok(())
    }

    fn look_into(&mut self, id: TableId, trouble: &Trouble, now: Instant) -> Result<(), EngineError> {
        if let Some(lost) = self.check_source(id)? {
            return self.mend_lost(id, lost);
        }
        let recently = self.retried.get(&id).is_some_and(|last| now.saturating_duration_since(*last) < RETRY_AFTER);
        if let Trouble::Log(error) = trouble
            && !recently
        {
            tracing::warn!("a source is read again from where it was: {error}");
            self.start_source(id)?;
            self.retried.insert(id, now);
            return Ok(());
        }
        self.mend_lost(id, self.believe(id, trouble))
    }

    /// What a reader says where the topic looks as it did.
    fn believe(&self, id: TableId, trouble: &Trouble) -> Lost {
        let name = self.tables.get(&id).map_or_else(|| id.to_string(), |table| table.def.name.clone());
        let upsert = self.tables.get(&id).is_some_and(|table| kind(&table.def) == Kind::Upsert);
        match trouble {
            Trouble::Log(error) => Lost {
                verdict: Verdict::Halt(Loss::Gone),
                what: format!("cannot go on reading source {name}: {error}"),
            },
            Trouble::Deletes(what) => {
                let verdict = if upsert { Verdict::Reconcile(Loss::Deletes) } else { Verdict::Halt(Loss::Deletes) };
                Lost { verdict, what: what.clone() }
            }
        }
    }

    fn mend_lost(&mut self, id: TableId, lost: Lost) -> Result<(), EngineError> {
        // Its halt is for the user to end, who has it looked at then.
        if self.halts.contains_key(&id) {
            return Ok(());
        }
        match lost.verdict {
            Verdict::Fine => Ok(()),
            Verdict::Reconcile(_) => self.reconcile(id, &lost.what),
            Verdict::Halt(_) => {
                self.lose(id, &lost.what);
                Ok(())
            }
        }
    }

    /// A topic of a source is back: it is read on if it is the one that was read.
    pub(crate) fn come_back(&mut self, id: TableId) -> Result<(), EngineError> {
        self.sources.remove(&id);
        self.look_again(id)
    }

    /// Reads a source on if its topic is what was read of it, whatever it was when it was last looked at.
    pub(crate) fn look_again(&mut self, id: TableId) -> Result<(), EngineError> {
        self.retried.remove(&id);
        match self.check_source(id) {
            Ok(Some(lost)) => self.mend_lost(id, lost),
            Ok(None) => {
                if self.lost.remove(&id).is_some()
                    && let Some(table) = self.tables.get(&id)
                {
                    self.shared.metrics.halted(&table.def.name, false);
                }
                self.start_or_doubt(id)
            }
            Err(EngineError::Log(reason)) => {
                tracing::warn!("a source that is to be read again waits to be looked at: {reason}");
                let again = self.instant() + AGAIN;
                self.doubts.insert(id, Doubt { trouble: Trouble::Log(LogError::Retriable(reason)), again });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Starts to read a source, now or when the log answers: brokers that are not all back yet are no end of the process, and no failure
    /// of a statement that is committed.
    pub(crate) fn start_or_doubt(&mut self, id: TableId) -> Result<(), EngineError> {
        match self.start_source(id) {
            Err(EngineError::Log(why)) => self.trouble(id, Trouble::Log(LogError::Retriable(why))),
            started => started,
        }
    }

    /// A source is not read any more; what it was read up to is safe from what may still happen to its topic.
    pub(crate) fn lose(&mut self, id: TableId, what: &str) {
        let Some(table) = self.tables.get(&id) else { return };
        let name = table.def.name.clone();
        let why = format!("{what}; {}", ways_out(&name));
        tracing::error!(table = %name, "source {name} is halted, and keeps its rows: {why}");
        self.shared.metrics.halted(&name, true);
        self.sources.remove(&id);
        self.lost.insert(id, why);
        self.publish_status();
    }
}
