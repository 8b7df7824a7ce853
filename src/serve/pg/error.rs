//! Errors as PostgreSQL's clients know them: severity, SQLSTATE, message, detail, hint, position.

use dataflow::{About, StatementError};
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use runtime::{EngineError, Phase, WriteError};

use super::statement::Source;

/// Why a statement, or the whole connection, is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgError {
    /// Whether the connection ends with it.
    pub fatal: bool,
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// The character of the query string, from 1.
    pub position: Option<usize>,
    /// The table, column or constraint that it is about.
    pub about: Option<Box<About>>,
}

/// What ends the work on a message.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client is told.
    Error(Box<PgError>),
    /// There is no client any more.
    Gone,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl From<PgError> for Failure {
    fn from(error: PgError) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl PgError {
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: false, sqlstate, message: message.into(), detail: None, hint: None, position: None, about: None }
    }

    /// One that ends the connection.
    pub fn fatal(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(sqlstate, message) }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The client broke the protocol.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new("08P01", message)
    }

    /// A thread of ours panicked.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        Self::new("XX000", format!("the statement failed within millstream: {why}"))
            .hint("this is a bug of millstream; its log says more")
    }

    /// The process is leaving, or was fenced.
    pub fn leaving() -> Self {
        Self::fatal("57P01", "terminating connection due to administrator command")
    }

    /// What a process in this phase says to a client; `None` if it serves.
    pub fn of_phase(phase: &Phase) -> Option<Self> {
        match phase {
            Phase::Serving => None,
            Phase::Starting => Some(Self::fatal("57P03", "the database system is starting up")),
            Phase::Stopping => Some(Self::fatal("57P03", "the database system is shutting down")),
            Phase::Fenced => Some(
                Self::fatal("57P01", "this process was fenced: another one runs the pipeline now")
                    .hint("connect to the process that runs it"),
            ),
            Phase::Failed(why) => Some(Self::fatal("57P01", format!("the pipeline has failed: {why}"))),
        }
    }

    /// An error in a statement, whose position becomes that in the query string.
    pub fn of_statement(error: StatementError, source: &Source) -> Self {
        let position =
            error.position.map(|(line, column)| source.position(line, column)).filter(|position| *position > 0);
        let StatementError { sqlstate, message, hint, detail, about, .. } = error;
        Self { fatal: false, sqlstate, message, detail, hint, position, about }
    }

    /// What the engine says.
    pub fn of_engine(error: EngineError, source: &Source) -> Self {
        match error {
            EngineError::Statement(error) => Self::of_statement(error, source),
            EngineError::Fenced(_) | EngineError::Stopped(_) => Self::fatal(error.sqlstate(), error.to_string()),
            _ => Self::new(error.sqlstate(), error.to_string()),
        }
    }

    /// Why rows of a transaction are not written.
    pub fn of_write(error: WriteError, source: &Source) -> Self {
        match error {
            WriteError::Conflict => Self::new("40001", "could not serialize access due to concurrent update")
                .hint("run the transaction again: another one was first"),
            WriteError::Engine(error) => Self::of_engine(error, source),
        }
    }

    /// The message.
    pub fn response(self) -> ErrorResponse {
        let severity = if self.fatal { "FATAL" } else { "ERROR" };
        let mut fields = fields(severity, self.sqlstate, self.message);
        fields.extend(self.detail.map(|detail| (b'D', clean(detail))));
        fields.extend(self.hint.map(|hint| (b'H', clean(hint))));
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        if let Some(about) = self.about {
            let About { table, column, constraint, context } = *about;
            let schema = table.is_some().then(|| "public".to_string());
            let named = [(b'W', context), (b's', schema), (b't', table), (b'c', column), (b'n', constraint)];
            fields.extend(named.into_iter().filter_map(|(field, name)| Some((field, clean(name?)))));
        }
        ErrorResponse::new(fields)
    }
}

/// A notice (00000) or warning.
pub(crate) fn notice(severity: &str, sqlstate: &str, message: String) -> NoticeResponse {
    NoticeResponse::new(fields(severity, sqlstate, message))
}

fn fields(severity: &str, sqlstate: &str, message: String) -> Vec<(u8, String)> {
    vec![
        (b'S', severity.to_string()),
        (b'V', severity.to_string()),
        (b'C', sqlstate.to_string()),
        (b'M', clean(message)),
    ]
}

/// Fields end with a zero byte, so none may be inside.
fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also reads, which would need nobody: another process may have gone on.
    #[test]
    fn only_a_process_that_serves_answers() {
        assert!(PgError::of_phase(&Phase::Serving).is_none());
        let others = [
            (Phase::Starting, "57P03"),
            (Phase::Stopping, "57P03"),
            (Phase::Fenced, "57P01"),
            (Phase::Failed("it broke".to_string()), "57P01"),
        ];
        for (phase, sqlstate) in others {
            let error = PgError::of_phase(&phase).map(|error| (error.fatal, error.sqlstate));
            assert_eq!(error, Some((true, sqlstate)), "{phase:?}");
        }
    }
}
