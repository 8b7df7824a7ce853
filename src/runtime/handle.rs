//! The engine seen from other threads: statements go in, replies come out; tables are read on a committed epoch.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use dataflow::{RowChanges, Show, TableRows, View};
use plan::TableDef;
use zset::{Delta, Epoch};

use crate::run::Event;
use crate::show::job_rows;
use crate::{EngineError, Phase, Shared};

/// What a statement answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// What happened: `CREATE TABLE`, `SHOW`.
    pub tag: String,
    /// What the user is told besides.
    pub notices: Vec<String>,
    /// The columns of an answer with rows.
    pub columns: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<Option<String>>>,
}

/// One table at one committed epoch.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The epoch.
    pub epoch: Epoch,
    /// The definition.
    pub def: TableDef,
    rows: TableRows,
}

impl TableView {
    /// Reads the rows in chunks. It holds up nobody: the view is a copy of the list of batches.
    pub fn read(&self, mut chunk: impl FnMut(&Delta)) -> Result<(), EngineError> {
        for delta in self.rows.read() {
            chunk(&delta?);
        }
        Ok(())
    }
}

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another statement was first: the rows to go are not as they were evaluated.
    #[error("another statement changed the rows first")]
    Conflict,
    /// See there.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A way to the engine.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) events: Sender<Event>,
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// The published state.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs the statements of a text one after another, each in an epoch of its own; stops at the first that fails.
    pub fn execute(&self, text: impl Into<String>) -> Result<Vec<Reply>, EngineError> {
        let (reply, answer) = channel();
        self.events.send(Event::Execute { text: text.into(), reply }).map_err(|_| self.stopped())?;
        answer.recv().map_err(|_| lost())?
    }

    /// The answer to SHOW JOBS. It asks nobody: the loop itself may be at work on one.
    pub fn jobs(&self) -> Reply {
        let columns = Show::Jobs.columns().iter().map(|(name, _)| *name).collect();
        Reply { tag: "SHOW".to_string(), notices: Vec::new(), columns, rows: job_rows(&self.shared.jobs) }
    }

    /// Writes rows of a table of our own, and returns when their epoch is committed; its number is the answer. Nothing of it
    /// is there after an error. [`WriteError::Conflict`]: a row that was to go is not there any more as it was; evaluate
    /// the statement again on a newer view.
    pub fn write(&self, changes: RowChanges) -> Result<Epoch, WriteError> {
        self.commit(vec![changes])
    }

    /// As [`Handle::write`], of several tables, of each once: all of it is in one epoch, or nothing.
    pub fn commit(&self, changes: Vec<RowChanges>) -> Result<Epoch, WriteError> {
        let (reply, answer) = channel();
        self.events.send(Event::Write { changes, reply }).map_err(|_| self.stopped())?;
        answer.recv().map_err(|_| lost())?
    }

    /// All stored tables at the last committed epoch. It asks nobody: the loop has put it there.
    pub fn view(&self) -> Arc<View> {
        self.shared.view()
    }

    /// A table as of the last committed epoch; `None` if there is none of that name.
    pub fn table(&self, name: impl AsRef<str>) -> Result<Option<TableView>, EngineError> {
        if !matches!(self.shared.phase(), Phase::Starting | Phase::Serving) {
            return Err(self.stopped());
        }
        let view = self.view();
        let table = view.catalog.table_named(name.as_ref()).and_then(|def| Some((def, view.tables.get(&def.id)?)));
        Ok(table.map(|(def, rows)| TableView { epoch: view.epoch, def: def.clone(), rows: rows.clone() }))
    }

    /// Makes a checkpoint now and waits for it; answers its epoch.
    pub fn checkpoint(&self) -> Result<Epoch, EngineError> {
        let (reply, answer) = channel();
        self.events.send(Event::Checkpoint { reply }).map_err(|_| self.stopped())?;
        answer.recv().map_err(|_| self.stopped())?
    }

    fn stopped(&self) -> EngineError {
        EngineError::Stopped(format!("{:?}", self.shared.phase()))
    }
}

/// The loop answers all that it ends with: an answer that does not come was lost with the loop, maybe behind a commit.
fn lost() -> EngineError {
    EngineError::InDoubt(
        "it is not known whether the statement committed: the engine ended while it was at work; look when the pipeline \
         runs again"
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A loop that panics drops what it has in hand, maybe behind the commit.
    #[test]
    fn an_answer_that_is_lost_is_in_doubt() {
        let (events, ends) = channel();
        let handle = Handle { events, shared: Arc::default() };
        let in_doubt = |error: &EngineError| error.sqlstate() == "08007";
        let lose = || drop(ends.recv().unwrap());
        std::thread::scope(|scope| {
            let written = scope.spawn(|| handle.commit(Vec::new()));
            lose();
            assert!(matches!(written.join().unwrap(), Err(WriteError::Engine(error)) if in_doubt(&error)));
            let executed = scope.spawn(|| handle.execute("CREATE TABLE t (a int)"));
            lose();
            assert!(in_doubt(&executed.join().unwrap().unwrap_err()));
        });
        drop(ends);
        assert!(matches!(handle.commit(Vec::new()), Err(WriteError::Engine(EngineError::Stopped(_)))));
    }
}
