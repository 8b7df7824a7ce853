//! What to do at a start: a pure function of what is found in the data folder and in the epoch topic.

use crate::Identity;

/// What is found. Records are those of the epoch topic from the checkpoint's on (without a checkpoint: all).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub pipeline: String,
    pub topic: String,
    pub identity: Option<Identity>,
    pub checkpoint: Option<RecordFacts>,
    /// The first record found.
    pub first: Option<RecordFacts>,
}

/// An epoch record, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordFacts {
    pub incarnation: String,
    pub epoch: u64,
    pub hash: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Begin: write the genesis record, under the incarnation that the folder already has, or a new one.
    Begin { incarnation: Option<String> },
    /// Replay the records found, without the first `skip`.
    Replay { skip: usize },
    /// Stop, and say why.
    Refuse(String),
}

/// Decides.
pub(crate) fn decide(facts: &Facts) -> Decision {
    let Facts { pipeline, topic, identity, checkpoint, first } = facts;
    if let Some(identity) = identity
        && identity.pipeline != *pipeline
    {
        return Decision::Refuse(format!(
            "the data folder belongs to pipeline \"{}\", not \"{pipeline}\"; give --pipeline {}, or another --data folder",
            identity.pipeline, identity.pipeline
        ));
    }
    match (identity, checkpoint, first) {
        (identity, None, None) => Decision::Begin { incarnation: identity.as_ref().map(|i| i.incarnation.clone()) },
        (_, Some(checkpoint), None) => Decision::Refuse(format!(
            "the data folder is at epoch {}, but the epoch topic \"{topic}\" has no records: it was deleted, or belongs to \
             another cluster; give the right --kafka, or start anew with another --data folder and --pipeline name",
            checkpoint.epoch
        )),
        (None, _, Some(_)) => Decision::Refuse(format!(
            "the epoch topic \"{topic}\" has records, but the data folder is empty: restore a checkpoint of this pipeline \
             into it, or take another --pipeline name"
        )),
        (Some(identity), _, Some(first)) if identity.incarnation != first.incarnation => Decision::Refuse(format!(
            "the data folder belongs to incarnation {} of the epoch topic, but \"{topic}\" is incarnation {}: it is the \
             folder of another log, or the topic was deleted and made anew; give the right --data folder, or another \
             --pipeline name",
            identity.incarnation, first.incarnation
        )),
        (Some(_), None, Some(first)) if first.epoch != 0 => Decision::Refuse(format!(
            "there is no checkpoint, and the epoch topic \"{topic}\" begins with epoch {}: what came before is gone; restore \
             a checkpoint, or start anew with another --data folder and --pipeline name",
            first.epoch
        )),
        (Some(_), None, Some(_)) => Decision::Replay { skip: 0 },
        (Some(_), Some(checkpoint), Some(first)) if checkpoint != first => Decision::Refuse(format!(
            "the checkpoint of epoch {} (record {}, incarnation {}) does not fit the epoch topic \"{topic}\", which has \
             epoch {} (record {}, incarnation {}) in its place; give the right --data folder for this log",
            checkpoint.epoch, checkpoint.hash, checkpoint.incarnation, first.epoch, first.hash, first.incarnation
        )),
        (Some(_), Some(_), Some(_)) => Decision::Replay { skip: 1 },
    }
}

#[cfg(test)]
mod tests {
    use zset::Generation;

    use super::*;

    fn identity(incarnation: &str) -> Option<Identity> {
        Some(Identity { pipeline: "p".into(), incarnation: incarnation.into(), generation: Generation(1) })
    }

    fn record(incarnation: &str, epoch: u64, hash: &str) -> Option<RecordFacts> {
        Some(RecordFacts { incarnation: incarnation.into(), epoch, hash: hash.into() })
    }

    fn refused(decision: &Decision, word: &str) -> bool {
        matches!(decision, Decision::Refuse(message) if message.contains(word))
    }

    /// Every combination of what can be found: identity (none, mine, another log's, another pipeline's), checkpoint
    /// (none, at 7), topic (empty, from genesis, from 7, from 7 with another hash, another incarnation's).
    #[test]
    fn every_combination() {
        let checkpoints = [None, record("a", 7, "h7")];
        let topics = [None, record("a", 0, "h0"), record("a", 7, "h7"), record("a", 7, "other"), record("b", 0, "h0")];
        let mut other_pipeline = identity("a");
        if let Some(identity) = &mut other_pipeline {
            identity.pipeline = "q".into();
        }
        for who in [None, identity("a"), identity("b"), other_pipeline] {
            for checkpoint in &checkpoints {
                for first in &topics {
                    let facts = Facts {
                        pipeline: "p".into(),
                        topic: "p.epochs".into(),
                        identity: who.clone(),
                        checkpoint: checkpoint.clone(),
                        first: first.clone(),
                    };
                    let decision = decide(&facts);
                    let mine = who.as_ref().map(|i| (i.pipeline.as_str(), i.incarnation.as_str()));
                    let at =
                        |r: &Option<RecordFacts>| r.as_ref().map(|r| (r.incarnation.clone(), r.epoch, r.hash.clone()));
                    let expected = match (mine, at(checkpoint), at(first)) {
                        (Some(("q", _)), _, _) => refused(&decision, "belongs to pipeline"),
                        (_, Some(_), None) => refused(&decision, "has no records"),
                        (mine, None, None) => {
                            decision == Decision::Begin { incarnation: mine.map(|(_, i)| i.to_string()) }
                        }
                        (None, _, Some(_)) => refused(&decision, "data folder is empty"),
                        (Some((_, mine)), _, Some((topic, _, _))) if mine != topic => refused(&decision, "another log"),
                        (Some(_), None, Some((_, 0, _))) => decision == Decision::Replay { skip: 0 },
                        (Some(_), None, Some(_)) => refused(&decision, "no checkpoint"),
                        (Some(_), Some(c), Some(f)) if c == f => decision == Decision::Replay { skip: 1 },
                        (Some(_), Some(_), Some(_)) => refused(&decision, "does not fit"),
                    };
                    assert!(expected, "{facts:?} gave {decision:?}");
                }
            }
        }
    }
}
