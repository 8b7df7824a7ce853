//! Readers: where they start, when they wait, what they never skip. And what a partition holds.

use std::thread;
use std::time::{Duration, Instant};

use zset::{Offset, TimestampMs};

use super::support::{
    PATIENCE, Subject, expect_out_of_range, read, read_from_start, reader, start_time, text, texts, values,
};
use crate::{LogError, Reader, TopicPartition};

/// `low` stays, `high` is behind all that was read, and grows.
pub fn bounds_grow(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "bounds", 2);
    let (at, other) = (&partitions[0], &partitions[1]);
    let empty = log.bounds(at).expect("bounds");
    assert_eq!(empty.low, empty.high);
    let mut writer = log.writer().expect("a writer");
    let mut high = empty.high;
    for n in 1..=3 {
        let offsets = writer.commit_all(&texts(at, "t", 4)).expect("a commit");
        // What was read is stable, so the bounds must have it.
        assert_eq!(read_from_start(&*log, at, 4 * n).last().map(|r| r.offset), offsets.last().copied());
        let bounds = log.bounds(at).expect("bounds");
        assert_eq!(bounds.low, empty.low);
        assert!(offsets[0] >= high, "offsets {offsets:?} come at or behind the former end {high}");
        assert!(bounds.high > offsets[3], "the end {} is behind the last offset {}", bounds.high, offsets[3]);
        high = bounds.high;
    }
    assert_eq!(log.bounds(other).expect("bounds"), empty, "another partition is not touched");
}

/// `offset_at` gives the first record at or after a time, the end when there is none.
pub fn offset_at_finds_the_first_not_before(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "offset-at");
    let base = start_time();
    let early = log.offset_at(&at, TimestampMs(base)).expect("offset_at of an empty partition");
    assert_eq!(early, log.bounds(&at).expect("bounds").high, "an empty partition's end");
    let mut writer = log.writer().expect("a writer");
    let mut offsets = Vec::new();
    for half in [[0, 10, 20], [30, 30, 40]] {
        let records = half.map(|ms| {
            let mut record = text(&at, &format!("{ms}"));
            record.timestamp = TimestampMs(base + ms);
            record
        });
        offsets.extend(writer.commit_all(&records).expect("a commit"));
    }
    read_from_start(&*log, &at, 6);
    for (ms, index) in [(-1000, 0), (0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (30, 3), (31, 5), (40, 5)] {
        let found = log.offset_at(&at, TimestampMs(base + ms)).expect("offset_at");
        assert_eq!(found, offsets[index], "the first record at or after {ms} ms");
    }
    let end = log.offset_at(&at, TimestampMs(base + 41)).expect("offset_at");
    assert_eq!(end, log.bounds(&at).expect("bounds").high, "no record is that late");
}

/// A reader begins with the first record at or after its offset, also where the offset is a gap.
pub fn a_reader_starts_in_the_middle(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "middle");
    let mut writer = log.writer().expect("a writer");
    let mut offsets = writer.commit_all(&texts(&at, "a", 10)).expect("a commit");
    offsets.extend(writer.commit_all(&texts(&at, "b", 10)).expect("a commit"));
    for start in [0, 1, 5, 9, 10, 13, 19] {
        let records = read(reader(&*log, &[(&at, offsets[start])]).as_mut(), 20 - start);
        let got: Vec<Offset> = records.iter().map(|r| r.offset).collect();
        assert_eq!(got, offsets[start..], "from record {start}");
    }
    // Behind a commit Kafka has a control record: an offset that no record has.
    let gap = Offset(offsets[9].0 + 1);
    assert_eq!(values(&read(reader(&*log, &[(&at, gap)]).as_mut(), 10))[0], "b-0");
}

/// Assigning again moves the reader, forward and back; unassigning ends it; the other partitions go on.
pub fn a_reader_can_be_moved_and_stopped(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "moved", 2);
    let (one, two) = (&partitions[0], &partitions[1]);
    let mut writer = log.writer().expect("a writer");
    let offsets = writer.commit_all(&texts(one, "one", 10)).expect("a commit");
    let mut reader = reader(&*log, &[(one, offsets[0])]);
    // Fewer than there are, so that a reader which has fetched ahead has to drop what it fetched.
    assert_eq!(values(&reader.poll(1, PATIENCE).expect("a poll")), ["one-0"]);
    reader.assign(one, offsets[7]).expect("moving forward");
    assert_eq!(values(&read(reader.as_mut(), 3)), ["one-7", "one-8", "one-9"]);
    reader.assign(one, offsets[8]).expect("moving back");
    assert_eq!(values(&read(reader.as_mut(), 2)), ["one-8", "one-9"]);

    reader.assign(one, offsets[0]).expect("moving back");
    assert_eq!(values(&reader.poll(1, PATIENCE).expect("a poll")), ["one-0"]);
    reader.unassign(one).expect("taking it out");
    let two_low = log.bounds(two).expect("bounds").low;
    reader.assign(two, two_low).expect("adding another");
    let both = [texts(one, "unseen", 5), texts(two, "two", 5)].concat();
    writer.commit_all(&both).expect("a commit");
    assert_eq!(values(&read(reader.as_mut(), 5)), ["two-0", "two-1", "two-2", "two-3", "two-4"]);
}

/// At the end a reader waits, and a commit wakes it before its time is over.
pub fn a_reader_at_the_end_waits_and_wakes(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "end");
    let mut writer = log.writer().expect("a writer");
    writer.commit_all(&texts(&at, "old", 3)).expect("a commit");
    read_from_start(&*log, &at, 3);
    let end = log.bounds(&at).expect("bounds").high;
    let mut reader = reader(&*log, &[(&at, end)]);
    assert_eq!(reader.poll(10, Duration::from_millis(50)).expect("a poll"), [], "nothing is behind the end");
    let begin = Instant::now();
    let waiting = thread::spawn(move || reader.poll(10, PATIENCE).expect("a poll"));
    let offsets = writer.commit_all(&[text(&at, "new")]).expect("a commit");
    let records = waiting.join().expect("the reader's thread");
    assert_eq!(values(&records), ["new"]);
    assert_eq!(records[0].offset, offsets[0]);
    assert!(begin.elapsed() < PATIENCE / 2, "the reader slept through the commit");
}

/// Above the end there is nothing to wait for: an offset that was never given out is an error.
pub fn a_reader_above_the_end_is_out_of_range(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "above");
    expect_out_of_range(&*log, &at, Offset(5));
    log.writer().expect("a writer").commit_all(&texts(&at, "t", 3)).expect("a commit");
    read_from_start(&*log, &at, 3);
    let high = log.bounds(&at).expect("bounds").high;
    expect_out_of_range(&*log, &at, Offset(high.0 + 100));
}

/// `poll` gives at most `max`, loses nothing between polls, and waits for its time, no less and not much more.
pub fn poll_keeps_its_limits(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "limits");
    let offsets = log.writer().expect("a writer").commit_all(&texts(&at, "t", 25)).expect("a commit");
    let mut reader = reader(&*log, &[(&at, offsets[0])]);
    let mut got = Vec::new();
    while got.len() < 25 {
        let records = reader.poll(4, PATIENCE).expect("a poll");
        assert!((1..=4).contains(&records.len()), "{} records for max 4", records.len());
        got.extend(records.iter().map(|r| r.offset));
    }
    assert_eq!(got, offsets);
    let wait = Duration::from_millis(200);
    for assigned in [true, false] {
        if !assigned {
            reader.unassign(&at).expect("taking it out");
        }
        let begin = Instant::now();
        assert_eq!(reader.poll(4, wait).expect("a poll"), []);
        let took = begin.elapsed();
        assert!(took >= wait * 9 / 10, "an empty poll came back after {took:?} of {wait:?}: the caller would spin");
        assert!(took < wait + Duration::from_secs(10), "an empty poll took {took:?} of {wait:?}");
    }
    assert_eq!(reader.poll(4, Duration::ZERO).expect("a poll"), []);
}

/// Each reader has its own positions.
pub fn readers_are_independent(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "two-readers");
    let offsets = log.writer().expect("a writer").commit_all(&texts(&at, "t", 6)).expect("a commit");
    let mut first = reader(&*log, &[(&at, offsets[0])]);
    let mut second = reader(&*log, &[(&at, offsets[3])]);
    assert_eq!(values(&read(second.as_mut(), 3)), ["t-3", "t-4", "t-5"]);
    assert_eq!(read(first.as_mut(), 6).len(), 6);
    drop(first);
    second.assign(&at, offsets[5]).expect("moving");
    assert_eq!(values(&read(second.as_mut(), 1)), ["t-5"]);
}

/// Polls until the reader says that it is at the end; nothing more may come on the way there.
fn reach_end(reader: &mut dyn Reader, at: &TopicPartition) {
    let begin = Instant::now();
    while !reader.at_end(at).expect("at_end") {
        assert!(begin.elapsed() < PATIENCE, "all is read, and the end is not met");
        assert_eq!(reader.poll(10, Duration::from_millis(100)).expect("a poll"), [], "behind the last record");
    }
}

/// `at_end` is never true while a readable record is undelivered, and becomes true when none is.
pub fn at_end_is_exact(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "at-end", 2);
    let (at, empty) = (&partitions[0], &partitions[1]);
    let mut writer = log.writer().expect("a writer");
    let offsets = writer.commit_all(&texts(at, "t", 5)).expect("a commit");
    read_from_start(&*log, at, 5);
    let mut reader = reader(&*log, &[(at, offsets[0])]);
    assert!(reader.at_end(empty).is_err(), "a partition that is not assigned");
    for n in 0..5 {
        assert!(!reader.at_end(at).expect("at_end"), "{n} of 5 were delivered");
        assert_eq!(reader.poll(1, PATIENCE).expect("a poll").len(), 1);
    }
    reach_end(reader.as_mut(), at);
    writer.commit_all(&texts(at, "more", 2)).expect("a commit");
    read_from_start(&*log, at, 7);
    assert!(!reader.at_end(at).expect("at_end"), "two more are there");
    assert_eq!(values(&read(reader.as_mut(), 2)), ["more-0", "more-1"]);
    reach_end(reader.as_mut(), at);
    let low = log.bounds(empty).expect("bounds").low;
    reader.assign(empty, low).expect("adding an empty partition");
    reach_end(reader.as_mut(), empty);
}

/// A property that is not known, or that would break what a reader guarantees, is refused by name when the reader is made.
pub fn a_reader_refuses_properties_that_it_cannot_have(subject: &Subject<'_>) {
    let log = subject.log();
    for name in ["no.such.property", "isolation.level", "enable.auto.commit", "auto.offset.reset", "group.id"] {
        let refused = log.reader(&[(name.to_string(), "x".to_string())].into()).map(|_| ());
        assert!(matches!(&refused, Err(LogError::Unusable(why)) if why.contains(name)), "{name}: {refused:?}");
    }
}

/// Positions that are told are nobody's: a reader begins where it is put, and goes on as before.
pub fn telling_positions_changes_nothing(subject: &Subject<'_>) {
    let log = subject.log();
    let at = subject.single(&*log, "told");
    let offsets = log.writer().expect("a writer").commit_all(&texts(&at, "t", 4)).expect("a commit");
    let mut before = reader(&*log, &[(&at, offsets[0])]);
    for _ in 0..2 {
        assert_eq!(before.poll(1, PATIENCE).expect("a poll").len(), 1);
    }
    log.tell_positions(&[(at.clone(), offsets[3])]).expect("telling");
    log.tell_positions(&[(at.clone(), offsets[1])]).expect("telling less than before");
    log.tell_positions(&[]).expect("telling nothing");
    assert_eq!(values(&read(before.as_mut(), 2)), ["t-2", "t-3"]);
    assert_eq!(read(reader(&*log, &[(&at, offsets[0])]).as_mut(), 4).len(), 4);
}
