//! What sessions do with their transactions: they begin, write, commit, roll back.

use std::sync::Arc;

use dataflow::{Block as Said, View};
use runtime::{Handle, Transaction, WriteError};

use super::decide::{ALREADY, Decision, NONE, decide};
use super::modes::{Kept, begin_anew};
use super::{Block, State, aborted};
use crate::pg::answer::Answer;
use crate::pg::error::{PgError, Result};
use crate::pg::session::{Bounds, Session};
use crate::pg::settings::Settings;
use crate::pg::statement::Source;
use crate::pg::write::{Guard, Writing};

impl Session {
    /// Where it is.
    pub fn state(&self) -> State {
        match &self.block {
            None => State::Idle,
            Some(block) if !block.explicit => State::Implicit,
            Some(block) if block.failed => State::Failed,
            Some(_) => State::Open,
        }
    }

    /// An error, if a statement is one that a block which failed does not take.
    pub fn may_run(&self, source: &Source) -> Result<(), PgError> {
        let ends = || matches!(source.first_word().as_str(), "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "");
        if self.state() == State::Failed && !ends() { Err(aborted()) } else { Ok(()) }
    }

    /// The statements that follow, up to the end of their message, are one transaction.
    pub fn begin_implicit(&mut self) {
        if self.block.is_none() {
            self.block = Some(Block::new(false, &self.settings));
        }
    }

    /// The end of a message's statements.
    pub async fn end_implicit(&mut self, bounds: &Bounds) -> Result<()> {
        if self.state() == State::Implicit { self.commit(bounds).await } else { Ok(()) }
    }

    /// An error was met: what was done is undone, or will be.
    pub fn fail_block(&mut self) {
        match self.state() {
            State::Idle => {}
            State::Implicit => self.rollback(),
            State::Open | State::Failed => {
                self.portals.clear();
                self.block.iter_mut().for_each(Block::fail);
            }
        }
    }

    /// What the session sees: its transaction's snapshot, or the last epoch.
    pub fn view(&mut self, handle: &Handle) -> Arc<View> {
        match &mut self.block {
            Some(block) => block.view(|| handle.view()),
            None => handle.view(),
        }
    }

    /// As [`Session::view`], for what only wants the catalog: no snapshot is taken for it.
    pub fn glimpse(&self, handle: &Handle) -> Arc<View> {
        self.block.as_ref().and_then(Block::seen).map_or_else(|| handle.view(), Arc::clone)
    }

    /// For what cannot be in a transaction with others: what one message did before is committed; in a block it is refused.
    pub async fn stand_alone(&mut self, bounds: &Bounds, source: &Source) -> Result<()> {
        match self.state() {
            State::Idle => Ok(()),
            State::Implicit => self.commit(bounds).await,
            State::Open | State::Failed => {
                let message = format!("{} cannot run inside a transaction block", source.command());
                let hint = "run it before BEGIN or after COMMIT (psycopg: autocommit=True; JDBC: setAutoCommit(true))";
                Err(PgError::new("25001", message).hint(hint).into())
            }
        }
    }

    /// Runs a statement about transactions.
    pub async fn block_statement(&mut self, bounds: &Bounds, said: Said, source: &Source) -> Result<Answer> {
        let tag = match &said {
            Said::Begin(_) if source.first_word() == "START" => "START TRANSACTION",
            Said::Begin(_) => "BEGIN",
            Said::Commit { .. } => "COMMIT",
            Said::Rollback { .. } | Said::BackTo(_) => "ROLLBACK",
            Said::Savepoint(_) => "SAVEPOINT",
            Said::Release(_) => "RELEASE",
            Said::Set(_) => "SET",
        };
        match decide(self.state(), said) {
            Decision::Begin(modes) => {
                self.begin_implicit();
                self.block.iter_mut().for_each(|block| block.explicit = true);
                self.set_modes(modes)?;
            }
            Decision::BeginAgain(modes) => {
                self.warn(ALREADY);
                self.set_modes(modes)?;
            }
            Decision::Commit { warn, chain } => {
                if warn {
                    self.warn(NONE);
                }
                let modes = chain.then(|| Kept::of(&self.settings));
                self.commit(bounds).await?;
                modes.into_iter().for_each(|modes| self.begin_as(modes));
            }
            Decision::Rollback { warn, chain } => {
                if warn {
                    self.warn(NONE);
                }
                self.rollback_and(chain);
            }
            Decision::RollbackFailed { chain } => {
                self.rollback_and(chain);
                return Ok(Answer::tag("ROLLBACK"));
            }
            Decision::Savepoint(name) => {
                let settings = self.settings.clone();
                self.block.iter_mut().for_each(|block| block.savepoint(name.clone(), &settings));
            }
            Decision::Release(name) => {
                if !self.block.as_mut().is_some_and(|block| block.release(&name)) {
                    return Err(no_savepoint(&name).into());
                }
            }
            Decision::BackTo(name) => self.back_to(&name)?,
            Decision::Set(modes) => self.set_modes(modes)?,
            Decision::SetNothing => {
                self.warning("25P01", "SET TRANSACTION can only be used in transaction blocks".to_string());
            }
            Decision::Refuse(sqlstate, message) => return Err(PgError::new(sqlstate, message).into()),
        }
        Ok(Answer::tag(tag))
    }
}

impl Session {
    /// Commits what was done, all of it in one epoch; the block is over, whether it succeeds or not.
    pub async fn commit(&mut self, bounds: &Bounds) -> Result<()> {
        let Some(Block { explicit, transaction, before, kept, .. }) = self.block.take() else { return Ok(()) };
        if explicit {
            self.portals.clear();
        }
        let committed = match transaction {
            Some(transaction) => self.commit_writes(bounds, transaction).await,
            None => Ok(()),
        };
        self.end_with(if committed.is_ok() { kept } else { before });
        committed
    }

    /// Once the rows are with the engine their end is waited for.
    async fn commit_writes(&mut self, bounds: &Bounds, transaction: Transaction) -> Result<()> {
        let handle = self.door.engine()?.clone();
        // A statement that has met with too many conflicts has its table for itself: nothing comes in between.
        let mut guards = Vec::new();
        for table in transaction.tables() {
            let lock = self.door.lock_of(table);
            guards.push(self.attend(bounds, Guard::take(lock, 0)).await?);
        }
        let thread = tokio::task::spawn_blocking(move || {
            let _held = guards;
            let changes = transaction.changes()?;
            drop(transaction);
            if changes.is_empty() { Ok(()) } else { handle.commit(changes).map(|_| ()) }
        });
        let committed: Result<(), WriteError> = thread.await.map_err(PgError::internal)?;
        Ok(committed.map_err(|error| PgError::of_write(error, &Source::default()))?)
    }

    /// Undoes what was done.
    fn rollback(&mut self) {
        let Some(Block { explicit, before, .. }) = self.block.take() else { return };
        if explicit {
            self.portals.clear();
        }
        self.end_with(before);
    }

    fn rollback_and(&mut self, chain: bool) {
        let modes = chain.then(|| Kept::of(&self.settings));
        self.rollback();
        modes.into_iter().for_each(|modes| self.begin_as(modes));
    }

    fn begin_as(&mut self, modes: Kept) {
        self.block = Some(Block::new(true, &self.settings));
        modes.put(&mut self.settings);
    }

    fn end_with(&mut self, settings: Settings) {
        let changed = self.settings.replace(settings);
        begin_anew(&mut self.settings);
        self.report(changed);
    }

    fn back_to(&mut self, name: &str) -> Result<()> {
        let settings = self.block.as_mut().and_then(|block| block.back_to(name)).ok_or_else(|| no_savepoint(name))?;
        self.portals.clear();
        let changed = self.settings.replace(settings);
        self.report(changed);
        Ok(())
    }

    /// A write in a transaction: it is evaluated on what the transaction sees, and seen by nobody else.
    pub async fn write_in_block(
        &mut self,
        bounds: &Bounds,
        handle: &Handle,
        writing: Writing,
    ) -> Result<dataflow::Written> {
        let _place = self.place(bounds).await?;
        let newest = handle.clone();
        self.view(handle);
        let transaction = self.block.as_mut().and_then(|block| block.transaction.take());
        let mut transaction = transaction.ok_or_else(|| PgError::internal("the transaction is gone"))?;
        let thread = tokio::task::spawn_blocking(move || {
            let written = writing.within(&mut transaction, &newest);
            (transaction, written)
        });
        let (transaction, written) = thread.await.map_err(PgError::internal)?;
        if let Some(block) = &mut self.block {
            block.transaction = Some(transaction);
        }
        Ok(written.map_err(|error| bounds.in_words(error))?)
    }

    fn warn(&mut self, (sqlstate, message): (&str, &str)) {
        self.warning(sqlstate, message.to_string());
    }
}

fn no_savepoint(name: &str) -> PgError {
    PgError::new("3B001", format!("savepoint \"{name}\" does not exist"))
}
