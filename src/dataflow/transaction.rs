//! What a statement says of transactions.

/// The modes of a transaction; `None`: nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modes {
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY (true), READ WRITE.
    pub read_only: Option<bool>,
    /// DEFERRABLE (true), NOT DEFERRABLE.
    pub deferrable: Option<bool>,
}

/// The levels that SQL knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl Isolation {
    /// As a setting says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// Statements that begin and end blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// BEGIN, START TRANSACTION.
    Begin(Modes),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN: the next begins with the same modes.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN: the next begins with the same modes.
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(String),
    /// RELEASE name.
    Release(String),
    /// ROLLBACK TO name.
    BackTo(String),
    /// SET TRANSACTION modes.
    Set(Modes),
}
