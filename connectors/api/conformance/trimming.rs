//! Trimming: old records go, for good, and nothing else does.

use zset::Offset;

use super::support::{Subject, expect_out_of_range, read, read_from_start, reader, text, texts, values};
use crate::LogError;

/// Records below go, `low` says so, reading there is out of range; the rest and the other partitions stay.
pub fn trim_deletes_what_is_below(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "trim", 2);
    let (at, other) = (&partitions[0], &partitions[1]);
    let mut writer = log.writer().expect("a writer");
    let mut offsets = Vec::new();
    for commit in 0..3 {
        let batch = [texts(at, &format!("{commit}"), 5), texts(other, "other", 5)].concat();
        offsets.extend_from_slice(&writer.commit_all(&batch).expect("a commit")[..5]);
    }
    read_from_start(&*log, at, 15);
    // Within a commit, at its border, and again where nothing is left to do.
    for (below, kept) in [(3, 3), (3, 3), (1, 3), (5, 5), (7, 7)] {
        log.trim(at, offsets[below]).expect("a trim");
        let bounds = log.bounds(at).expect("bounds");
        assert_eq!(bounds.low, offsets[kept], "low after trimming below record {below}");
        let records = read(reader(&*log, &[(at, bounds.low)]).as_mut(), 15 - kept);
        assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), offsets[kept..]);
    }
    for gone in [0, 2, 6] {
        expect_out_of_range(&*log, at, offsets[gone]);
    }
    assert_eq!(read_from_start(&*log, other, 15).len(), 15, "the other partition is whole");
}

/// An offset that was never given out cannot be trimmed to, and the attempt deletes nothing.
pub fn trim_refuses_what_is_not_there_yet(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "trim-above");
    log.writer().expect("a writer").commit_all(&texts(&at, "t", 3)).expect("a commit");
    read_from_start(&*log, &at, 3);
    let high = log.bounds(&at).expect("bounds").high;
    let refused = log.trim(&at, Offset(high.0 + 10));
    assert!(matches!(refused, Err(LogError::OutOfRange { .. })), "trimming above the end: {refused:?}");
    assert_eq!(read_from_start(&*log, &at, 3).len(), 3);
}

/// When all is trimmed the partition is empty at its end, and what comes then has offsets of its own.
pub fn offsets_are_not_used_again_after_trim(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "trim-all");
    let mut writer = log.writer().expect("a writer");
    writer.commit_all(&texts(&at, "t", 3)).expect("a commit");
    read_from_start(&*log, &at, 3);
    let high = log.bounds(&at).expect("bounds").high;
    log.trim(&at, high).expect("trimming all");
    let bounds = log.bounds(&at).expect("bounds");
    assert_eq!((bounds.low, bounds.high), (high, high), "empty at its end");
    let offsets = writer.commit_all(&[text(&at, "next")]).expect("a commit");
    assert!(offsets[0] >= high, "offset {} was used before", offsets[0]);
    assert_eq!(values(&read_from_start(&*log, &at, 1)), ["next"]);
}
