//! What becomes of an outbox in which more waits than may. Pure: a table of cases is its test.

/// What an outbox is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Changes follow as they come.
    Following,
    /// The target is to be read back: only keys whose rows are gone are kept.
    Marked,
    /// It is being compared, or was and takes what changed meanwhile: no bound for a target that is away may begin that anew, or it
    /// never comes to an end where much changes.
    Comparing,
}

/// What is known of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub phase: Phase,
    /// Keys that wait.
    pub keys: u64,
    /// The most that may.
    pub rows_max: u64,
    /// The most keys of rows that are gone.
    pub gone_max: u64,
    /// Rows of the table.
    pub table: u64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// Its rows are dropped, and the target is brought together with the table again when it can be reached.
    Resynchronise,
    /// Not even the keys can be kept.
    GiveUp,
}

impl Waiting {
    /// The most that may wait.
    pub fn most(&self) -> u64 {
        match self.phase {
            Phase::Following => self.rows_max,
            Phase::Marked => self.gone_max,
            // What is more than the table itself is better compared once more.
            Phase::Comparing => self.gone_max.max(self.table),
        }
    }
}

/// Decides.
pub(crate) fn judge(waiting: Waiting) -> Verdict {
    match waiting.phase {
        _ if waiting.keys <= waiting.most() => Verdict::Keep,
        Phase::Following | Phase::Comparing => Verdict::Resynchronise,
        Phase::Marked => Verdict::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case() {
        for (phase, keys, table, verdict) in [
            (Phase::Following, 0, 100, Verdict::Keep),
            (Phase::Following, 3, 100, Verdict::Keep),
            (Phase::Following, 4, 100, Verdict::Resynchronise),
            (Phase::Following, 11, 100, Verdict::Resynchronise),
            (Phase::Marked, 4, 100, Verdict::Keep),
            (Phase::Marked, 10, 100, Verdict::Keep),
            (Phase::Marked, 11, 100, Verdict::GiveUp),
            (Phase::Comparing, 4, 1, Verdict::Keep),
            (Phase::Comparing, 10, 1, Verdict::Keep),
            (Phase::Comparing, 11, 1, Verdict::Resynchronise),
            (Phase::Comparing, 11, 12, Verdict::Keep),
            (Phase::Comparing, 12, 12, Verdict::Keep),
            (Phase::Comparing, 13, 12, Verdict::Resynchronise),
        ] {
            let waiting = Waiting { phase, keys, rows_max: 3, gone_max: 10, table };
            assert_eq!(judge(waiting), verdict, "{waiting:?}");
        }
    }
}
