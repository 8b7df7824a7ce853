//! What PostgreSQL says, by what can be done about it: wait, or have somebody mend it.

use std::error::Error as _;
use std::time::Duration;

use api::TargetError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// A failed step, before it is told where.
#[derive(Debug)]
pub(crate) struct Failure {
    retriable: bool,
    message: String,
    /// PostgreSQL's SQLSTATE.
    code: Option<String>,
}

impl Failure {
    /// It will not work before somebody mends it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { retriable: false, message: message.into(), code: None }
    }

    /// It may work later.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self { retriable: true, message: message.into(), code: None }
    }

    /// What PostgreSQL says to a step.
    pub fn of(step: &str, error: Error) -> Self {
        let message = format!("cannot {step}: {}", describe(&error));
        Self { retriable: is_retriable(&error), message, code: error.code().map(|code| code.code().to_string()) }
    }

    /// What PostgreSQL says to CREATE TABLE. IF NOT EXISTS looks before it leaps: when two make a table at once, one of them
    /// fails, and finds it there the next time.
    pub fn of_making(self) -> Self {
        let at_once = self.code.as_deref().is_some_and(|code| ["23505", "42P07", "42710"].contains(&code));
        Self { retriable: self.retriable || at_once, ..self }
    }

    /// The server has the step, and does not say what became of it.
    pub fn silent(step: &str, waited: Duration) -> Self {
        Self::retriable(format!(
            "cannot {step}: no answer within {} s; the connection is given up (tcp_user_timeout in the url is how long an answer \
             is waited for)",
            waited.as_secs_f64()
        ))
    }

    /// Why there is no connection.
    pub fn connecting(error: Error) -> Self {
        Self::of("connect", error)
    }

    /// With the name of the target.
    pub fn at(self, target: &str) -> TargetError {
        let message = format!("{target}: {}", self.message);
        if self.retriable { TargetError::Retriable(message) } else { TargetError::Refused(message) }
    }
}

/// Whether the same may work later. A connection that broke says nothing of what was done over it.
fn is_retriable(error: &Error) -> bool {
    let Some(code) = error.code() else {
        // No answer at all: refused, timed out, cut; but a url or a password method that cannot be is no matter of time.
        return error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
    };
    // Connections, resources, serialization and deadlocks, the operator's hand, a server that is starting or a standby.
    let classes = ["08", "40", "53", "57", "58"];
    let others = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    classes.contains(&&code.code()[..2]) || others.contains(code)
}

/// PostgreSQL's words, with the detail: it names the row's key.
fn describe(error: &Error) -> String {
    match error.as_db_error() {
        Some(db) => {
            let detail = db.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            let hint = db.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{}{detail} (SQLSTATE {}){hint}", db.message(), db.code().code())
        }
        None => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        }
    }
}
