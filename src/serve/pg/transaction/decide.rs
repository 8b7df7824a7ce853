//! What a statement about transactions does, by where the session is: PostgreSQL's table.

use dataflow::{Block, Modes};

use crate::pg::error::PgError;

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In no transaction.
    Idle,
    /// In that of one message's statements.
    Implicit,
    /// In a block.
    Open,
    /// In a block of which a statement has failed.
    Failed,
}

/// What is done. Warnings are SQLSTATE and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A block begins, of nothing or of what the message did before.
    Begin(Modes),
    /// There is a block already: its modes are set, after a warning.
    BeginAgain(Modes),
    /// What was done is committed. With a warning, if nobody had begun.
    Commit {
        warn: bool,
        chain: bool,
    },
    /// What was done is undone. With a warning, if nobody had begun.
    Rollback {
        warn: bool,
        chain: bool,
    },
    /// COMMIT of what failed: it is undone, and the tag says so.
    RollbackFailed {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    BackTo(String),
    /// The modes are set.
    Set(Modes),
    /// They are not: there is no transaction to have them.
    SetNothing,
    Refuse(&'static str, String),
}

pub(crate) const ALREADY: (&str, &str) = ("25001", "there is already a transaction in progress");
pub(crate) const NONE: (&str, &str) = ("25P01", "there is no transaction in progress");

/// See the module.
pub(crate) fn decide(state: State, said: Block) -> Decision {
    use State::{Failed, Idle, Implicit, Open};
    match (said, state) {
        (Block::Begin(modes), Idle | Implicit) => Decision::Begin(modes),
        (Block::Begin(modes), Open) => Decision::BeginAgain(modes),
        (Block::Commit { chain }, Open) => Decision::Commit { warn: false, chain },
        (Block::Commit { chain }, Failed) => Decision::RollbackFailed { chain },
        (Block::Commit { chain: false }, Idle | Implicit) => Decision::Commit { warn: true, chain: false },
        (Block::Commit { chain: true }, Idle | Implicit) => only_in_blocks("COMMIT AND CHAIN"),
        (Block::Rollback { chain }, Open | Failed) => Decision::Rollback { warn: false, chain },
        (Block::Rollback { chain: false }, Idle | Implicit) => Decision::Rollback { warn: true, chain: false },
        (Block::Rollback { chain: true }, Idle | Implicit) => only_in_blocks("ROLLBACK AND CHAIN"),
        (Block::BackTo(name), Open | Failed) => Decision::BackTo(name),
        (Block::BackTo(_), Idle | Implicit) => only_in_blocks("ROLLBACK TO SAVEPOINT"),
        (Block::Savepoint(name), Open) => Decision::Savepoint(name),
        (Block::Savepoint(_), Idle | Implicit) => only_in_blocks("SAVEPOINT"),
        (Block::Release(name), Open) => Decision::Release(name),
        (Block::Release(_), Idle | Implicit) => only_in_blocks("RELEASE SAVEPOINT"),
        (Block::Set(modes), Open | Implicit) => Decision::Set(modes),
        (Block::Set(_), Idle) => Decision::SetNothing,
        (Block::Begin(_) | Block::Savepoint(_) | Block::Release(_) | Block::Set(_), Failed) => {
            let PgError { sqlstate, message, .. } = aborted();
            Decision::Refuse(sqlstate, message)
        }
    }
}

fn only_in_blocks(what: &str) -> Decision {
    Decision::Refuse("25P01", format!("{what} can only be used in transaction blocks"))
}

/// What every other statement hears in a block that failed.
pub(crate) fn aborted() -> PgError {
    PgError::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_in_every_state() {
        use State::{Failed, Idle, Implicit, Open};
        let none = Modes::default();
        let refuse =
            |state: &'static str| move |found: &Decision| matches!(found, Decision::Refuse(code, _) if *code == state);
        let is = |wanted: Decision| move |found: &Decision| *found == wanted;
        let name = || "a".to_string();
        type Check = Box<dyn Fn(&Decision) -> bool>;
        let cases: Vec<(Block, [Check; 4])> = vec![
            (
                Block::Begin(none),
                [
                    Box::new(is(Decision::Begin(none))),
                    Box::new(is(Decision::Begin(none))),
                    Box::new(is(Decision::BeginAgain(none))),
                    Box::new(refuse("25P02")),
                ],
            ),
            (
                Block::Commit { chain: false },
                [
                    Box::new(is(Decision::Commit { warn: true, chain: false })),
                    Box::new(is(Decision::Commit { warn: true, chain: false })),
                    Box::new(is(Decision::Commit { warn: false, chain: false })),
                    Box::new(is(Decision::RollbackFailed { chain: false })),
                ],
            ),
            (
                Block::Commit { chain: true },
                [
                    Box::new(refuse("25P01")),
                    Box::new(refuse("25P01")),
                    Box::new(is(Decision::Commit { warn: false, chain: true })),
                    Box::new(is(Decision::RollbackFailed { chain: true })),
                ],
            ),
            (
                Block::Rollback { chain: false },
                [
                    Box::new(is(Decision::Rollback { warn: true, chain: false })),
                    Box::new(is(Decision::Rollback { warn: true, chain: false })),
                    Box::new(is(Decision::Rollback { warn: false, chain: false })),
                    Box::new(is(Decision::Rollback { warn: false, chain: false })),
                ],
            ),
            (
                Block::Rollback { chain: true },
                [
                    Box::new(refuse("25P01")),
                    Box::new(refuse("25P01")),
                    Box::new(is(Decision::Rollback { warn: false, chain: true })),
                    Box::new(is(Decision::Rollback { warn: false, chain: true })),
                ],
            ),
            (
                Block::Savepoint(name()),
                [
                    Box::new(refuse("25P01")),
                    Box::new(refuse("25P01")),
                    Box::new(is(Decision::Savepoint(name()))),
                    Box::new(refuse("25P02")),
                ],
            ),
            (
                Block::Release(name()),
                [
                    Box::new(refuse("25P01")),
                    Box::new(refuse("25P01")),
                    Box::new(is(Decision::Release(name()))),
                    Box::new(refuse("25P02")),
                ],
            ),
            (
                Block::BackTo(name()),
                [
                    Box::new(refuse("25P01")),
                    Box::new(refuse("25P01")),
                    Box::new(is(Decision::BackTo(name()))),
                    Box::new(is(Decision::BackTo(name()))),
                ],
            ),
            (
                Block::Set(none),
                [
                    Box::new(is(Decision::SetNothing)),
                    Box::new(is(Decision::Set(none))),
                    Box::new(is(Decision::Set(none))),
                    Box::new(refuse("25P02")),
                ],
            ),
        ];
        for (said, wanted) in cases {
            for (state, wanted) in [Idle, Implicit, Open, Failed].into_iter().zip(wanted) {
                let found = decide(state, said.clone());
                assert!(wanted(&found), "{said:?} when {state:?}: {found:?}");
            }
        }
    }
}
