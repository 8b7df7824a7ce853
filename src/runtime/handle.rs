//! The engine seen from other threads: statements go in, replies come out; tables are read on a committed epoch.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use dataflow::ContentsReader;
use plan::TableDef;
use state::Snapshot;
use zset::{Delta, Epoch};

use crate::run::Event;
use crate::{EngineError, Shared};

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
    pub(crate) reader: ContentsReader,
    pub(crate) snapshot: Snapshot,
}

impl TableView {
    /// Reads the rows in chunks. It holds up nobody: the view is a copy of the list of batches.
    pub fn read(&self, mut chunk: impl FnMut(&Delta)) -> Result<(), EngineError> {
        for delta in self.reader.read(&self.snapshot) {
            chunk(&delta?);
        }
        Ok(())
    }
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
        answer.recv().map_err(|_| self.stopped())?
    }

    /// A table as of the last committed epoch; `None` if there is none of that name.
    pub fn table(&self, name: impl Into<String>) -> Result<Option<TableView>, EngineError> {
        let (reply, answer) = channel();
        self.events.send(Event::Read { table: name.into(), reply }).map_err(|_| self.stopped())?;
        answer.recv().map_err(|_| self.stopped())
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
