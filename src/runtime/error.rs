//! Why the engine stops or a statement fails, and the exit code that goes with it.

use api::LogError;
use dataflow::{FlowError, StatementError};
use plan::{CatalogError, RecordError};
use state::StateError;

/// A failure of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The statement is wrong; nothing happened.
    #[error("{0}")]
    Statement(#[from] StatementError),
    /// Another process works in the data folder.
    #[error(
        "cannot use data folder {0}: another millstream process works in it; stop that one, or give --data another folder"
    )]
    Locked(String),
    /// Another process has taken over the pipeline.
    #[error("{0}")]
    Fenced(String),
    /// The data folder and the log do not belong together, or cannot be continued exactly.
    #[error("{0}")]
    Recovery(String),
    /// The log failed for good.
    #[error("{0}")]
    Log(String),
    /// It is not known whether the epoch in hand is committed; recovery finds out.
    #[error("{0}")]
    InDoubt(String),
    /// The state failed.
    #[error("{0}")]
    State(#[from] StateError),
    /// Files of the data folder.
    #[error("cannot {action} {path}: {cause}; check the disk's space and the folder's rights")]
    File {
        /// What was done.
        action: &'static str,
        /// With what.
        path: String,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// The engine has stopped, and with it whatever was asked of it.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
}

impl EngineError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Statement(_) => 2,
            Self::Locked(_) | Self::State(StateError::Locked(_)) => 3,
            Self::Fenced(_) => 4,
            // Asked to stop before there was anything to finish.
            Self::Stopped(_) => 0,
            _ => 1,
        }
    }

    /// PostgreSQL's code for it.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Statement(error) => error.sqlstate,
            Self::Fenced(_) | Self::Stopped(_) => "57P01",
            Self::InDoubt(_) => "08007",
            _ => "58000",
        }
    }
}

impl EngineError {
    /// What the log says to a statement before anything of it is committed: the statement fails, the pipeline goes on.
    pub(crate) fn of_statement(error: LogError) -> Self {
        match error {
            LogError::Fenced(_) => error.into(),
            _ => Self::Statement(StatementError {
                sqlstate: "58030",
                message: error.to_string(),
                hint: None,
                detail: None,
                position: None,
                about: None,
            }),
        }
    }

    /// What was a statement once is part of the state now: that it cannot be made again is no fault of the user's.
    pub(crate) fn in_recovery(self) -> Self {
        match self {
            Self::Statement(error) => Self::Recovery(format!(
                "cannot make the tables and sinks of the data folder again: {error}; start the version of millstream that \
                 made them"
            )),
            other => other,
        }
    }
}

impl From<LogError> for EngineError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(_) => Self::Fenced(error.to_string()),
            _ => Self::Log(error.to_string()),
        }
    }
}

impl From<fault::Fault> for EngineError {
    fn from(fault: fault::Fault) -> Self {
        Self::Log(fault.to_string())
    }
}

impl From<RecordError> for EngineError {
    fn from(error: RecordError) -> Self {
        Self::Recovery(error.to_string())
    }
}

impl From<CatalogError> for EngineError {
    fn from(error: CatalogError) -> Self {
        let sqlstate = match error {
            CatalogError::Exists(_) => "42P07",
            CatalogError::Missing(_) => "42P01",
            CatalogError::Dependents { .. } => "2BP01",
        };
        Self::Statement(StatementError {
            sqlstate,
            message: error.to_string(),
            hint: None,
            detail: None,
            position: None,
            about: None,
        })
    }
}

impl From<FlowError> for EngineError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::State(error) => Self::State(error),
            FlowError::Invariant(_) => Self::Recovery(error.to_string()),
            FlowError::Row(error) => Self::Statement(StatementError {
                sqlstate: error.sqlstate,
                message: error.to_string(),
                hint: Some("mend the row at its source, or write the query so that it allows for it".to_string()),
                detail: None,
                position: None,
                about: None,
            }),
        }
    }
}
