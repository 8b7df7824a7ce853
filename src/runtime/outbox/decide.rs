//! What to do with a target, given how far it says it is. Pure: a table of cases is its test.

use api::Progress;
use zset::{Epoch, Generation};

/// Who we are to a target.
#[derive(Debug, Clone)]
pub(crate) struct Mine {
    pub pipeline: String,
    pub sink: String,
    pub incarnation: String,
    pub generation: Generation,
    /// The last committed epoch when the thread of the target was started: what an earlier start has written is not newer.
    pub start: Epoch,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The target has it already.
    Skip,
    /// Apply it.
    Apply,
    /// Neither would be right.
    Refuse(String),
}

/// Decides about a job: all changes behind `confirmed` up to `mark`, for a target that is at `there`. `tried` is the newest
/// mark that this start has tried to apply, whatever became of it.
pub(crate) fn decide(
    mine: &Mine,
    there: Option<&Progress>,
    (confirmed, tried): (Option<Epoch>, Option<Epoch>),
    mark: Epoch,
) -> Decision {
    let Mine { pipeline, sink, .. } = mine;
    let again =
        format!("DROP SINK {sink}, empty its table in the target, and CREATE it again, which fills it from the start");
    let Some(there) = there else {
        return match confirmed {
            None => Decision::Apply,
            Some(confirmed) => Decision::Refuse(format!(
                "the target has no progress of sink {sink} any more, which was at epoch {confirmed}: it was emptied, or is \
                 another one; {again}"
            )),
        };
    };
    if there.incarnation != mine.incarnation {
        return Decision::Refuse(format!(
            "the target belongs to another pipeline \"{pipeline}\", of incarnation {}, and this one is {}; stop that one and \
             delete its progress in the target if it is gone for good, or give this sink or this pipeline another name",
            there.incarnation, mine.incarnation
        ));
    }
    if there.generation > mine.generation {
        return Decision::Refuse(format!(
            "the target was taken over by a later start (generation {}) of pipeline \"{pipeline}\", and this one is generation \
             {}; stop one of the two",
            there.generation.0, mine.generation.0
        ));
    }
    // Two starts from one backup have one generation: what this one has not tried is not its own.
    let own = tried.filter(|_| there.generation == mine.generation);
    if there.epoch > own.map_or(mine.start, |tried| tried.max(mine.start)) {
        return Decision::Refuse(format!(
            "the target is at epoch {}, ahead of pipeline \"{pipeline}\", which started at epoch {}: was the data folder \
             restored from a backup? {again}",
            there.epoch, mine.start
        ));
    }
    match confirmed {
        Some(confirmed) if there.epoch < confirmed => Decision::Refuse(format!(
            "the target is at epoch {}, and was at epoch {confirmed} before: was it restored from a backup? What it lost is \
             not known any more; {again}",
            there.epoch
        )),
        _ if there.epoch >= mark => Decision::Skip,
        _ => Decision::Apply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case() {
        let mine = Mine {
            pipeline: "p".into(),
            sink: "s".into(),
            incarnation: "me".into(),
            generation: Generation(3),
            start: Epoch(50),
        };
        let there = |incarnation: &str, generation, epoch| {
            Some(Progress { incarnation: incarnation.into(), generation: Generation(generation), epoch: Epoch(epoch) })
        };
        type Case = (Option<Progress>, Option<u64>, Option<u64>, u64, &'static str);
        let cases: &[Case] = &[
            (None, None, None, 60, "apply"),
            (None, Some(40), None, 60, "no progress"),
            (None, Some(40), Some(60), 60, "no progress"),
            (there("other", 3, 40), None, None, 60, "another pipeline"),
            (there("other", 3, 60), Some(60), Some(60), 60, "another pipeline"),
            (there("me", 4, 40), None, None, 60, "later start"),
            (there("me", 4, 60), Some(40), Some(60), 60, "later start"),
            (there("me", 2, 50), Some(40), None, 60, "apply"),
            (there("me", 2, 51), Some(40), None, 60, "ahead"),
            (there("me", 2, 51), Some(40), None, 51, "ahead"),
            (there("me", 2, 51), Some(40), Some(60), 60, "ahead"),
            (there("me", 3, 51), Some(40), None, 60, "ahead"),
            (there("me", 3, 60), Some(40), None, 60, "ahead"),
            (there("me", 3, 51), Some(40), Some(55), 60, "apply"),
            (there("me", 3, 60), Some(40), Some(60), 60, "skip"),
            (there("me", 3, 61), Some(40), Some(60), 60, "ahead"),
            (there("me", 2, 45), Some(40), None, 45, "skip"),
            (there("me", 2, 45), None, None, 60, "apply"),
            (there("me", 2, 39), Some(40), None, 60, "was it restored"),
            (there("me", 3, 39), Some(40), Some(60), 60, "was it restored"),
            (there("me", 3, 40), Some(40), Some(40), 60, "apply"),
        ];
        for (there, confirmed, tried, mark, expected) in cases {
            let known = (confirmed.map(Epoch), tried.map(Epoch));
            let decided = decide(&mine, there.as_ref(), known, Epoch(*mark));
            let found = match &decided {
                Decision::Apply => "apply",
                Decision::Skip => "skip",
                Decision::Refuse(why) if why.contains(expected) => expected,
                Decision::Refuse(why) => why,
            };
            assert_eq!(found, *expected, "{there:?}, confirmed {confirmed:?}, tried {tried:?}, mark {mark}");
        }
    }
}
