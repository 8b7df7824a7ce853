//! What becomes of an outbox in which more waits than may. Pure: a table of cases is its test.

/// What is known of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The target is to be read back: only keys whose rows are gone are kept.
    pub resynchronises: bool,
    /// Keys that wait.
    pub keys: u64,
    /// The most that may.
    pub rows_max: u64,
    /// The most keys of rows that are gone.
    pub gone_max: u64,
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

/// Decides.
pub(crate) fn judge(waiting: Waiting) -> Verdict {
    match waiting {
        Waiting { resynchronises: false, keys, rows_max, .. } if keys > rows_max => Verdict::Resynchronise,
        Waiting { resynchronises: true, keys, gone_max, .. } if keys > gone_max => Verdict::GiveUp,
        _ => Verdict::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case() {
        for (resynchronises, keys, verdict) in [
            (false, 0, Verdict::Keep),
            (false, 3, Verdict::Keep),
            (false, 4, Verdict::Resynchronise),
            (false, 11, Verdict::Resynchronise),
            (true, 4, Verdict::Keep),
            (true, 10, Verdict::Keep),
            (true, 11, Verdict::GiveUp),
        ] {
            let waiting = Waiting { resynchronises, keys, rows_max: 3, gone_max: 10 };
            assert_eq!(judge(waiting), verdict, "{waiting:?}");
        }
    }
}
