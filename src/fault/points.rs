//! All failpoints: each is a moment of the way of an epoch, of a checkpoint, of a start or of a target.

/// A moment that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// What it is set by.
    pub name: &'static str,
    /// Its row in the table of moments (ARCHITECTURE).
    pub row: u8,
    /// When it is reached.
    pub moment: &'static str,
}

const fn point(row: u8, name: &'static str, moment: &'static str) -> Point {
    Point { name, row, moment }
}

/// Every failpoint, in the order of the table of moments.
pub const POINTS: &[Point] = &[
    point(1, "epoch-process", "the records of an epoch are decoded, its stream tables are not refreshed"),
    point(2, "epoch-staged", "all output of an epoch is staged, its transaction has not begun"),
    point(3, "commit-abort", "the records of a transaction are sent, it is not committed; an error aborts it"),
    point(4, "commit-doubt", "a transaction is committed, nobody was told; an error loses the answer"),
    point(5, "commit-after", "an epoch is committed, and not visible"),
    point(5, "replay-epoch", "an epoch is replayed, and not visible"),
    point(6, "checkpoint-blocks", "a checkpoint begins, no block is written"),
    point(6, "checkpoint-flush", "the blocks of a checkpoint are written, not flushed"),
    point(6, "checkpoint-links", "the blocks of a checkpoint are flushed, its files are not linked"),
    point(6, "checkpoint-manifest", "the files of a checkpoint are linked, its manifest is not written"),
    point(6, "checkpoint-rename", "the manifest of a checkpoint is written, its folder is not renamed"),
    point(6, "checkpoint-made", "a checkpoint is made, nobody has noted it"),
    point(8, "target-before", "rows are applied in the transaction of a target, it is not committed"),
    point(8, "target-after", "the transaction of a target is committed, nobody was told"),
    point(9, "outbox-gather", "an epoch is committed, its changes are not in the outbox of a target"),
    point(10, "target-open", "a target is open and its progress read, nothing is applied"),
    point(11, "catalog-before", "a change of the catalog is made ready, its epoch is not committed"),
    point(11, "catalog-after", "the epoch of a change of the catalog is committed, and not visible"),
    point(14, "sink-refused", "a sink's record is refused, the epoch is to be made again without the sink"),
    point(14, "backlog-release", "records that waited for a sink's topic are to be written by an epoch of their own"),
    point(15, "log-write", "the embedded log is to write a batch; an error fails the write"),
    point(15, "log-written", "the embedded log has written a batch, nobody was told"),
    point(16, "writer-open", "the writer of the log is open: other processes are fenced"),
    point(16, "fenced", "another process has taken over, and this one has just learned it"),
    point(17, "sources-check", "the topics of the sources are to be compared with what was read of them"),
    point(18, "replay-range", "a range is to be read again for replay, and compared"),
    point(18, "reconcile-read", "a topic is read whole, to reconcile its source; an error fails the read"),
    point(18, "reconcile-staged", "the epoch that reconciles a source is staged, not committed"),
    point(18, "reconcile-committed", "a source is reconciled, no checkpoint has it"),
    point(19, "input-gap", "a range of an epoch has gaps in its offsets"),
    point(20, "populate", "present contents are to be sent to a new sink"),
    point(20, "populate-piece", "a new stream table is to be given a piece of what its inputs hold"),
    point(20, "backlog-fill", "a new sink has its first rows, the others are not in its backlog"),
    point(21, "epochs-trim", "epoch records below the oldest checkpoint are to be deleted"),
    point(22, "commit-retry", "the log did not take an epoch, which is to be committed again"),
    point(23, "checkpoint-open", "a checkpoint is to be opened; an error is damage"),
    point(24, "refresh", "a stream table is to be refreshed; an error is one that does not recur"),
    point(25, "stop", "the process was asked to stop, its last epoch is committed, its checkpoint is not made"),
];

/// The name as the list has it.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    POINTS.iter().find(|point| point.name == name).map(|point| point.name)
}
