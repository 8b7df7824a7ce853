//! The writer: transactions over topics, all or nothing, one writer at a time. And appending beside it.

use zset::Offset;

use super::support::{Subject, at, by_partition, expected, read, read_from_start, reader, text, texts, values};
use crate::{CommitError, LogError, OutRecord, Record, TopicPartition, Writer};

/// One transaction over three topics: all of it comes, at the offsets that were returned.
pub fn a_transaction_covers_several_topics(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions: Vec<_> = ["tx-a", "tx-b", "tx-c"].map(|t| subject.topic(&*log, t, 2)).concat();
    let mut writer = log.writer().expect("a writer");
    let (mut records, mut offsets) = (Vec::new(), Vec::new());
    for commit in 0..3 {
        let batch: Vec<_> = (0..30).map(|i| text(&partitions[i * 5 % 6], &format!("{commit}.{i}"))).collect();
        offsets.extend(writer.commit_all(&batch).expect("a commit"));
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
        match writer.commit_all(&[text(&one, "no"), text(&two, "no"), text(bad, "bad"), text(&one, "no")]) {
            Err(CommitError::Refused { index, topic, .. }) => assert_eq!((index, topic.as_str()), (2, &*bad.topic)),
            other => panic!("a record for {bad:?}: {other:?}"),
        }
    }
    writer.commit_all(&[text(&one, "yes"), text(&two, "yes")]).expect("the same writer goes on");
    assert_eq!(values(&read_from_start(&*log, &one, 1)), ["yes"], "something of a refused transaction is visible");
    assert_eq!(values(&read_from_start(&*log, &two, 1)), ["yes"], "something of a refused transaction is visible");
}

/// Nothing to write is a commit with no offsets, before and between others.
pub fn an_empty_commit_is_a_commit(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "empty");
    let mut writer = log.writer().expect("a writer");
    assert_eq!(writer.commit_all(&[]).expect("an empty commit"), []);
    writer.commit_all(&[text(&at, "one")]).expect("a commit");
    assert_eq!(writer.commit_all(&[]).expect("an empty commit"), []);
    writer.commit_all(&[text(&at, "two")]).expect("a commit");
    assert_eq!(values(&read_from_start(&*log, &at, 2)), ["one", "two"]);
    assert_eq!(log.append(&[]).expect("an empty append"), []);
}

/// Who may not wait has its commits all the same, as long as nothing keeps them waiting: so the last epoch is committed when a pipeline
/// is asked to stop.
pub fn a_commit_that_may_not_wait_is_a_commit(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "hurried");
    let mut writer = log.writer().expect("a writer");
    writer.on_wait(Box::new(|| false));
    for n in 0..3 {
        writer
            .commit(&[text(&at, "first")], &mut |_| vec![text(&at, "rest")])
            .unwrap_or_else(|e| panic!("commit {n}: {e}"));
    }
    assert_eq!(values(&read_from_start(&*log, &at, 6)), ["first", "rest", "first", "rest", "first", "rest"]);
}

/// The offsets in a text record.
fn told(to: &TopicPartition, offsets: &[Offset]) -> OutRecord {
    text(to, &offsets.iter().map(Offset::to_string).collect::<Vec<_>>().join(","))
}

/// What follows the first records is told the offsets that they then really have, in every partition, and is in the same
/// transaction.
pub fn what_follows_knows_the_offsets_of_what_went_before(subject: &Subject<'_>) {
    let log = subject.log();
    let first = subject.topic(&*log, "first", 2);
    let rest = subject.single(&*log, "rest");
    let mut writer = log.writer().expect("a writer");
    let mut written = Vec::new();
    for commit in 0..3 {
        // What others write in between moves the offsets.
        log.append(&[text(&first[0], "beside")]).expect("an append");
        let records: Vec<_> = (0..10 * commit + 1).map(|i| text(&first[i % 3 % 2], &format!("{commit}.{i}"))).collect();
        let (mut given, mut follows) = (Vec::new(), Vec::new());
        let all = writer
            .commit(&records, &mut |offsets| {
                given = offsets.to_vec();
                follows = vec![told(&rest, offsets), text(&first[1], "follows")];
                follows.clone()
            })
            .expect("a commit");
        assert_eq!(all.len(), records.len() + 2, "one offset per record, those that follow too");
        assert_eq!(all[..records.len()], given, "what follows was told other offsets");
        written.extend(records.into_iter().chain(follows).zip(all));
    }
    let (records, offsets): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    let from: Vec<_> = first.iter().chain([&rest]).map(|at| (at, log.bounds(at).expect("bounds").low)).collect();
    let all = read(reader(&*log, &from).as_mut(), records.len() + 3);
    let ours: Vec<Record> = all.into_iter().filter(|r| r.value.as_deref() != Some(b"beside")).collect();
    assert_eq!(by_partition(ours), expected(&records, &offsets));
}

/// A commit that is refused for what follows writes neither that nor the first records, and names the place among both;
/// the next commit asks anew and tells new offsets.
pub fn a_refusal_of_what_follows_leaves_neither(subject: &Subject<'_>) {
    let log = subject.log();
    let (first, rest) = (subject.single(&*log, "neither-a"), subject.single(&*log, "neither-b"));
    let mut writer = log.writer().expect("a writer");
    let gone = at(&subject.name("neither-never-made"), 0);
    let bad_rest = |offsets: &[Offset]| vec![told(&rest, offsets), text(&gone, "bad")];
    match writer.commit(&texts(&first, "no", 3), &mut |offsets| bad_rest(offsets)) {
        Err(CommitError::Refused { index, topic, .. }) => assert_eq!((index, topic.as_str()), (4, &*gone.topic)),
        other => panic!("a record that follows for an unknown topic: {other:?}"),
    }
    // A record that is refused before what follows is asked for, or with it.
    let mut bad_first = texts(&first, "no", 2);
    bad_first.push(text(&gone, "bad"));
    match writer.commit(&bad_first, &mut |offsets| vec![told(&rest, offsets)]) {
        Err(CommitError::Refused { index, topic, .. }) => assert_eq!((index, topic.as_str()), (2, &*gone.topic)),
        other => panic!("a first record for an unknown topic: {other:?}"),
    }
    let offsets =
        writer.commit(&texts(&first, "yes", 2), &mut |offsets| vec![told(&rest, offsets)]).expect("the writer goes on");
    let got = read_from_start(&*log, &first, 2);
    assert_eq!(values(&got), ["yes-0", "yes-1"], "something of a refused transaction is visible");
    assert_eq!([got[0].offset, got[1].offset], offsets[..2], "offsets of an attempt that failed were told");
    assert_eq!(values(&read_from_start(&*log, &rest, 1)), [format!("{},{}", offsets[0], offsets[1])]);
}

/// A fenced writer's first records are as little there as what follows them.
pub fn a_fenced_commit_in_two_parts_leaves_nothing(subject: &Subject<'_>) {
    let log = subject.log();
    let (first, rest) = (subject.single(&*log, "zombie-a"), subject.single(&*log, "zombie-b"));
    let mut old = log.writer().expect("a writer");
    let mut new = log.writer().expect("a second writer");
    match old.commit(&texts(&first, "zombie", 2), &mut |offsets| vec![told(&rest, offsets)]) {
        Err(CommitError::Fenced(_)) => {}
        other => panic!("the commit of a fenced writer: {other:?}"),
    }
    new.commit(&[text(&first, "yes")], &mut |_| vec![text(&rest, "yes")]).expect("a commit");
    assert_eq!(values(&read_from_start(&*log, &first, 1)), ["yes"]);
    assert_eq!(values(&read_from_start(&*log, &rest, 1)), ["yes"]);
}

fn fenced(writer: &mut dyn Writer, records: &[crate::OutRecord]) {
    match writer.commit_all(records) {
        Err(CommitError::Fenced(_)) => {}
        other => panic!("the commit of a fenced writer: {other:?}"),
    }
}

/// A new writer fences every older one, for good, and nothing of what they still try is visible.
pub fn a_second_writer_fences_the_first(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "fenced");
    let mut first = log.writer().expect("a writer");
    first.commit_all(&[text(&at, "first")]).expect("a commit");
    let mut second = log.writer().expect("a second writer");
    fenced(first.as_mut(), &[text(&at, "zombie")]);
    second.commit_all(&[text(&at, "second")]).expect("the second writer's commit");
    fenced(first.as_mut(), &[text(&at, "zombie")]);
    let mut third = log.writer().expect("a third writer");
    fenced(second.as_mut(), &[text(&at, "zombie")]);
    drop((first, second));
    third.commit_all(&[text(&at, "third")]).expect("the third writer's commit");
    assert_eq!(values(&read_from_start(&*log, &at, 3)), ["first", "second", "third"]);
}

/// `append` writes beside the writer, which it neither fences nor needs; also to several topics.
pub fn append_does_not_fence(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "append", 2);
    let (one, two) = (&partitions[0], &partitions[1]);
    let before = log.append(&[text(one, "without a writer")]).expect("an append");
    let mut writer = log.writer().expect("a writer");
    let first = writer.commit_all(&texts(one, "a", 2)).expect("a commit");
    let beside = log.append(&[text(one, "beside"), text(two, "beside")]).expect("an append");
    let second = writer.commit_all(&texts(one, "b", 2)).expect("the writer is not fenced");
    let records = read_from_start(&*log, one, 6);
    assert_eq!(values(&records), ["without a writer", "a-0", "a-1", "beside", "b-0", "b-1"]);
    let offsets: Vec<_> = records.iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [&before[..], &first, &beside[..1], &second].concat());
    assert_eq!(read_from_start(&*log, two, 1)[0].offset, beside[1]);
    let gone = log.append(&[text(&at(&subject.name("append-unknown"), 0), "x")]);
    assert!(matches!(gone, Err(LogError::NoTopic(_))), "an append to an unknown topic: {gone:?}");
}
