//! Why the process ends with something else than 0.

use std::fmt::Display;
use std::process::ExitCode;

use api::LogError;
use runtime::EngineError;

/// A message for the user, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    /// Says it on standard error; the exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("millstream: {}", self.message);
        ExitCode::from(self.code)
    }

    /// Flags, SQL files, what is checked: the user has to change what was given.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// Anything that is nobody's wish.
    pub fn other(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The same, with what was being done.
    pub fn while_doing(what: &str, cause: impl Display) -> Self {
        Self::other(format!("{what}: {cause}"))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { code: error.exit_code(), message: error.to_string() }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        EngineError::from(error).into()
    }
}
