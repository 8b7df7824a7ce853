//! The writer: transactions over topics, all or nothing, one writer at a time. And appending beside it.

use super::support::{Subject, at, by_partition, expected, read, read_from_start, reader, text, texts, values};
use crate::{CommitError, LogError, Writer};

/// One transaction over three topics: all of it comes, at the offsets that were returned.
pub fn a_transaction_covers_several_topics(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions: Vec<_> = ["tx-a", "tx-b", "tx-c"].map(|t| subject.topic(&*log, t, 2)).concat();
    let mut writer = log.writer().expect("a writer");
    let (mut records, mut offsets) = (Vec::new(), Vec::new());
    for commit in 0..3 {
        let batch: Vec<_> = (0..30).map(|i| text(&partitions[i * 5 % 6], &format!("{commit}.{i}"))).collect();
        offsets.extend(writer.commit(&batch).expect("a commit"));
        records.extend(batch);
    }
    let from: Vec<_> = partitions.iter().map(|at| (at, log.bounds(at).expect("bounds").low)).collect();
    let got = read(reader(&*log, &from).as_mut(), records.len());
    assert_eq!(by_partition(got), expected(&records, &offsets));
}

/// A commit with one bad record names it and writes none of the others, in no topic; the writer goes on.
pub fn a_refused_transaction_leaves_nothing(subject: &Subject<'_>) {
    let log = subject.log();
    let (one, two) = (subject.single(&*log, "refused-a"), subject.single(&*log, "refused-b"));
    let mut writer = log.writer().expect("a writer");
    let gone = at(&subject.name("never-made"), 0);
    let no_partition = at(&one.topic, 9);
    for bad in [&gone, &no_partition] {
        match writer.commit(&[text(&one, "no"), text(&two, "no"), text(bad, "bad"), text(&one, "no")]) {
            Err(CommitError::Refused { index, topic, .. }) => assert_eq!((index, topic.as_str()), (2, &*bad.topic)),
            other => panic!("a record for {bad:?}: {other:?}"),
        }
    }
    writer.commit(&[text(&one, "yes"), text(&two, "yes")]).expect("the same writer goes on");
    assert_eq!(values(&read_from_start(&*log, &one, 1)), ["yes"], "something of a refused transaction is visible");
    assert_eq!(values(&read_from_start(&*log, &two, 1)), ["yes"], "something of a refused transaction is visible");
}

/// Nothing to write is a commit with no offsets, before and between others.
pub fn an_empty_commit_is_a_commit(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "empty");
    let mut writer = log.writer().expect("a writer");
    assert_eq!(writer.commit(&[]).expect("an empty commit"), []);
    writer.commit(&[text(&at, "one")]).expect("a commit");
    assert_eq!(writer.commit(&[]).expect("an empty commit"), []);
    writer.commit(&[text(&at, "two")]).expect("a commit");
    assert_eq!(values(&read_from_start(&*log, &at, 2)), ["one", "two"]);
    assert_eq!(log.append(&[]).expect("an empty append"), []);
}

fn fenced(writer: &mut dyn Writer, records: &[crate::OutRecord]) {
    match writer.commit(records) {
        Err(CommitError::Fenced(_)) => {}
        other => panic!("the commit of a fenced writer: {other:?}"),
    }
}

/// A new writer fences every older one, for good, and nothing of what they still try is visible.
pub fn a_second_writer_fences_the_first(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "fenced");
    let mut first = log.writer().expect("a writer");
    first.commit(&[text(&at, "first")]).expect("a commit");
    let mut second = log.writer().expect("a second writer");
    fenced(first.as_mut(), &[text(&at, "zombie")]);
    second.commit(&[text(&at, "second")]).expect("the second writer's commit");
    fenced(first.as_mut(), &[text(&at, "zombie")]);
    let mut third = log.writer().expect("a third writer");
    fenced(second.as_mut(), &[text(&at, "zombie")]);
    drop((first, second));
    third.commit(&[text(&at, "third")]).expect("the third writer's commit");
    assert_eq!(values(&read_from_start(&*log, &at, 3)), ["first", "second", "third"]);
}

/// `append` writes beside the writer, which it neither fences nor needs; also to several topics.
pub fn append_does_not_fence(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "append", 2);
    let (one, two) = (&partitions[0], &partitions[1]);
    let before = log.append(&[text(one, "without a writer")]).expect("an append");
    let mut writer = log.writer().expect("a writer");
    let first = writer.commit(&texts(one, "a", 2)).expect("a commit");
    let beside = log.append(&[text(one, "beside"), text(two, "beside")]).expect("an append");
    let second = writer.commit(&texts(one, "b", 2)).expect("the writer is not fenced");
    let records = read_from_start(&*log, one, 6);
    assert_eq!(values(&records), ["without a writer", "a-0", "a-1", "beside", "b-0", "b-1"]);
    let offsets: Vec<_> = records.iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [&before[..], &first, &beside[..1], &second].concat());
    assert_eq!(read_from_start(&*log, two, 1)[0].offset, beside[1]);
    let gone = log.append(&[text(&at(&subject.name("append-unknown"), 0), "x")]);
    assert!(matches!(gone, Err(LogError::NoTopic(_))), "an append to an unknown topic: {gone:?}");
}
