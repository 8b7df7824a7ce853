//! Topics: made once, used as they are, listed; unknown ones are errors.

use std::time::{Duration, Instant};

use zset::{Offset, TimestampMs};

use super::support::{PATIENCE, Subject, at, plain, text};
use crate::{CommitError, LogError, TopicKind, TopicSpec};

/// A topic is there after it was made, with its partitions, in the list, and making it again changes nothing.
pub fn a_topic_is_made_once_and_listed(subject: &Subject<'_>) {
    let log = subject.log();
    let (b, a) = (subject.name("listed-b"), subject.name("listed-a"));
    assert_eq!(log.topic(&b).expect("a look-up"), None, "before it is made");
    assert_eq!(log.partitions(&b).expect("a look-up"), None, "before it is made");
    let made = log.make_topic(&plain(&b, 3)).expect("the topic is made");
    assert_eq!((made.topic.as_str(), made.partitions), (b.as_str(), 3));
    let compacted = TopicSpec { kind: TopicKind::Compacted, ..plain(&a, 1) };
    log.make_topic(&compacted).expect("a compacted topic is made");

    assert_eq!(log.topic(&b).expect("a look-up"), Some(made.clone()));
    assert_eq!(log.make_topic(&plain(&b, 7)).expect("an existing topic is used"), made, "used as it is");
    let names = log.topics().expect("the list");
    assert!(names.is_sorted_by(|x, y| x.topic < y.topic), "in order of name, each once: {names:?}");
    let ours: Vec<_> = names.into_iter().filter(|t| t.topic == a || t.topic == b).collect();
    assert_eq!(ours.iter().map(|t| (t.topic.as_str(), t.partitions)).collect::<Vec<_>>(), [(a.as_str(), 1), (&b, 3)]);

    let partitions: Vec<i32> = log.partitions(&b).expect("a look-up").into_iter().flatten().map(|p| p.0).collect();
    assert_eq!(partitions, [0, 1, 2]);
    for partition in 0..3 {
        let bounds = log.bounds(&at(&b, partition)).expect("bounds of an empty partition");
        assert_eq!(bounds.low, bounds.high, "an empty partition");
    }
    assert!(log.bounds(&at(&b, 3)).is_err(), "a partition that does not exist");
}

/// No partitions, or a name that Kafka does not take: refused, and not there afterwards.
pub fn an_impossible_topic_is_refused(subject: &Subject<'_>) {
    let log = subject.log();
    let none = subject.name("no-partitions");
    assert!(log.make_topic(&plain(&none, 0)).is_err(), "a topic without partitions");
    assert_eq!(log.topic(&none).expect("a look-up"), None);
    for name in ["", "with space", "with/slash", "wíth-accent", ".", ".."] {
        assert!(log.make_topic(&plain(name, 1)).is_err(), "topic name {name:?}");
    }
    assert!(log.make_topic(&plain(&"x".repeat(250), 1)).is_err(), "a name of 250 characters");
}

/// An epoch topic has its own settings: a topic made otherwise is not taken for one.
pub fn an_epoch_topic_with_other_settings_is_refused(subject: &Subject<'_>) {
    let log = subject.log();
    let epochs = TopicSpec { kind: TopicKind::Epochs, ..plain(&subject.name("epochs"), 1) };
    log.make_topic(&epochs).expect("the epoch topic is made");
    log.make_topic(&epochs).expect("the epoch topic is used again");
    let wide = TopicSpec { kind: TopicKind::Epochs, ..plain(&subject.name("wide"), 3) };
    assert!(log.make_topic(&wide).is_err(), "an epoch topic of three partitions");
    for (name, kind) in [("not-epochs-plain", TopicKind::Plain), ("not-epochs-compacted", TopicKind::Compacted)] {
        let spec = TopicSpec { kind, ..plain(&subject.name(name), 1) };
        log.make_topic(&spec).expect("another topic");
        let refused = log.make_topic(&TopicSpec { kind: TopicKind::Epochs, ..spec });
        assert!(matches!(refused, Err(LogError::Unusable(_))), "{name} as epoch topic: {refused:?}");
    }
}

/// The topic of a table of our own is used again as it was made, and no other is taken for one: it would lose records.
pub fn an_own_topic_with_other_settings_is_refused(subject: &Subject<'_>) {
    let log = subject.log();
    for (name, kind, others) in [
        ("own-keyed", TopicKind::OwnKeyed, [TopicKind::Plain, TopicKind::OwnKeyless]),
        ("own-keyless", TopicKind::OwnKeyless, [TopicKind::Plain, TopicKind::OwnKeyed]),
    ] {
        let own = TopicSpec { kind, ..plain(&subject.name(name), 2) };
        let made = log.make_topic(&own).expect("an own topic is made");
        assert_eq!(log.make_topic(&own).expect("it is used again"), made);
        for (other, suffix) in others.into_iter().zip(["x", "y"]) {
            let spec = TopicSpec { kind: other, ..plain(&subject.name(&format!("{name}-{suffix}")), 1) };
            log.make_topic(&spec).expect("another topic");
            let refused = log.make_topic(&TopicSpec { kind, ..spec });
            assert!(matches!(refused, Err(LogError::Unusable(_))), "{other:?} as {kind:?}: {refused:?}");
        }
    }
}

/// Nothing makes a topic but making it: reading and writing an unknown one are errors that name it.
pub fn an_unknown_topic_is_an_error_and_stays_unknown(subject: &Subject<'_>) {
    let log = subject.log();
    let name = subject.name("unknown");
    let unknown = at(&name, 0);
    let says_so = |e: LogError| match e {
        LogError::NoTopic(topic) => assert_eq!(topic, name),
        other => panic!("an unknown topic: {other:?}"),
    };
    says_so(log.bounds(&unknown).expect_err("bounds"));
    says_so(log.offset_at(&unknown, TimestampMs(0)).expect_err("offset_at"));
    says_so(log.trim(&unknown, Offset(0)).expect_err("trim"));
    says_so(log.append(&[text(&unknown, "x")]).expect_err("append"));

    let mut reader = log.reader(&Default::default()).expect("a reader");
    let begin = Instant::now();
    let mut assigned = reader.assign(&unknown, Offset(0)).map(|()| Vec::new());
    while let Ok(records) = assigned {
        assert!(records.is_empty() && begin.elapsed() < PATIENCE, "reading an unknown topic is no error");
        assigned = reader.poll(1, Duration::from_millis(200));
    }

    let mut writer = log.writer().expect("a writer");
    match writer.commit_all(&[text(&unknown, "x")]) {
        Err(CommitError::Refused { index: 0, topic, .. }) => assert_eq!(topic, name),
        other => panic!("a commit to an unknown topic: {other:?}"),
    }
    assert_eq!(log.topic(&name).expect("a look-up"), None, "it was made by writing to it");
}
