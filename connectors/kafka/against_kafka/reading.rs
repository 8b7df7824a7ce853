//! Readers: stable ends, ends that are reached, positions that are gone.

use std::time::{Duration, Instant};

use api::{Log, LogError, Reader, TopicPartition, Transport};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer;
use zset::{Offset, TimestampMs};

use super::support::{
    PATIENCE, all, brokers, config, log_and_topic, open_transaction, read_to_end, reader, record, records, send, text,
    topic, unique, visible,
};
use super::topics::wait;
use crate::probe;

const SHORT: Duration = Duration::from_millis(100);

/// Polls until there is an error.
fn error_of(reader: &mut dyn Reader) -> LogError {
    let begin = Instant::now();
    loop {
        match reader.poll(10, SHORT) {
            Err(error) if !matches!(error, LogError::Retriable(_)) => return error,
            _ => assert!(begin.elapsed() < PATIENCE, "no error"),
        }
    }
}

#[test]
fn the_end_is_the_stable_one() {
    let (log, at) = log_and_topic("stable");
    log.writer().unwrap().commit_all(&records(&at, "a", 3)).unwrap();
    visible(&log, &at, 3);
    let stable = log.bounds(&at).unwrap();

    let other = open_transaction(&unique("other"));
    send(&other, &at, "open");
    log.append(&[record(&at, "behind")]).unwrap();
    assert_eq!(log.bounds(&at).unwrap(), stable, "an open transaction and what is behind it is not stable");
    let mut reader = reader(&log, &[(&at, stable.low)]);
    assert_eq!(read_to_end(reader.as_mut(), &at), ["a0", "a1", "a2"]);
    assert_eq!(reader.poll(10, SHORT).unwrap(), []);

    other.commit_transaction(PATIENCE).unwrap();
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(reader.poll(10, PATIENCE).unwrap().iter().map(text));
    }
    assert_eq!(got, ["open", "behind"]);
    assert_eq!(log.bounds(&at).unwrap().high.0, stable.high.0 + 3, "two records and a control record");
}

#[test]
fn the_end_is_reached_behind_control_records() {
    let (log, at) = log_and_topic("control");
    let mut writer = log.writer().unwrap();
    let mut reader = reader(&log, &[(&at, Offset(0))]);
    assert!(reader.at_end(&at).unwrap(), "an empty partition is at its end");
    for n in 0..10 {
        writer.commit_all(&records(&at, &format!("{n}."), 3)).unwrap();
        visible(&log, &at, 3 * (n + 1));
        assert!(!reader.at_end(&at).unwrap(), "three records were not delivered");
        let first = reader.poll(1, PATIENCE).unwrap();
        assert_eq!(text(&first[0]), format!("{n}.0"));
        assert!(!reader.at_end(&at).unwrap(), "two records were not delivered");
        assert_eq!(read_to_end(reader.as_mut(), &at), [format!("{n}.1"), format!("{n}.2")]);
    }
    let last = reader.poll(1, Duration::ZERO).unwrap();
    assert_eq!(last, []);
}

#[test]
fn the_end_is_reached_behind_an_aborted_transaction() {
    let (log, at) = log_and_topic("aborted");
    let aborted = open_transaction(&unique("other"));
    send(&aborted, &at, "no");
    let mut open_before = reader(&log, &[(&at, Offset(0))]);
    assert!(open_before.at_end(&at).unwrap(), "nothing stable is there yet");
    aborted.abort_transaction(PATIENCE).unwrap();
    let begin = Instant::now();
    while log.bounds(&at).unwrap().high == Offset(0) {
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!(read_to_end(open_before.as_mut(), &at), Vec::<String>::new());
    assert_eq!(all(&log, &at), Vec::<String>::new());
    assert_eq!(
        probe::first_record((&config(&brokers(), "p"), &Default::default()), &at, Offset(0), TimestampMs(0)).unwrap(),
        None
    );
    log.append(&[record(&at, "yes")]).unwrap();
    let found =
        probe::first_record((&config(&brokers(), "p"), &Default::default()), &at, Offset(0), TimestampMs(0)).unwrap();
    assert_eq!(found, Some(Offset(2)), "behind the aborted record and its control record");
    assert!(!open_before.at_end(&at).unwrap());
    assert_eq!(read_to_end(open_before.as_mut(), &at), ["yes"]);
}

#[test]
fn a_reader_that_was_moved_finds_the_end_from_its_new_place() {
    let (log, at) = log_and_topic("moved");
    let mut writer = log.writer().unwrap();
    writer.commit_all(&records(&at, "a", 5)).unwrap();
    visible(&log, &at, 5);
    let mut reader = reader(&log, &[(&at, Offset(0))]);
    assert_eq!(read_to_end(reader.as_mut(), &at).len(), 5);
    // librdkafka's position is still the end, for a moment.
    reader.assign(&at, Offset(0)).unwrap();
    assert!(!reader.at_end(&at).unwrap(), "five records are ahead");
    assert_eq!(read_to_end(reader.as_mut(), &at).len(), 5);
    // Only a control record is ahead.
    reader.assign(&at, Offset(5)).unwrap();
    assert_eq!(read_to_end(reader.as_mut(), &at), Vec::<String>::new());
    assert!(reader.at_end(&at).unwrap());
    let gone = TopicPartition { topic: "never-assigned".into(), partition: at.partition };
    assert!(reader.at_end(&gone).is_err(), "not assigned");
}

#[test]
fn the_end_of_one_topic_is_not_that_of_another() {
    let (log, first) = log_and_topic("ends");
    let second = topic(&log, &unique("ends"), 1).remove(0);
    let mut writer = log.writer().unwrap();
    writer.commit_all(&records(&first, "a", 2)).unwrap();
    writer.commit_all(&records(&second, "b", 1000)).unwrap();
    visible(&log, &first, 2);
    visible(&log, &second, 1000);
    let mut reader = reader(&log, &[(&first, Offset(0)), (&second, Offset(0))]);
    let mut got = [0, 0];
    let begin = Instant::now();
    loop {
        let ends = [reader.at_end(&first).unwrap(), reader.at_end(&second).unwrap()];
        assert!(!ends[0] || got[0] == 2, "at the end after {got:?}");
        assert!(!ends[1] || got[1] == 1000, "at the end after {got:?}");
        if ends == [true, true] {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "no end after {got:?}");
        for record in reader.poll(10, SHORT).unwrap() {
            got[usize::from(record.at == second)] += 1;
        }
    }
    assert_eq!(got, [2, 1000]);
}

#[test]
fn a_position_that_is_deleted_is_an_error_until_it_is_left() {
    let (log, at) = log_and_topic("gone");
    let other = topic(&log, &unique("gone"), 1).remove(0);
    log.append(&records(&at, "a", 10)).unwrap();
    let mut reader = reader(&log, &[(&at, Offset(10)), (&other, Offset(0))]);
    // An open transaction holds the reader back, so that it has not read yet what is deleted.
    let open = open_transaction(&unique("other"));
    for _ in 0..5 {
        send(&open, &at, "open");
    }
    assert_eq!(reader.poll(10, SHORT).unwrap(), []);
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    let mut below = TopicPartitionList::new();
    below.add_partition_offset(&at.topic, 0, rdkafka::Offset::Offset(13)).unwrap();
    wait(admin.delete_records(&below, &AdminOptions::new())).unwrap();

    let is_gone = |error| match error {
        LogError::OutOfRange { topic, offset, low, .. } => {
            assert_eq!((&*topic, offset, low), (&*at.topic, Offset(10), Offset(13)));
        }
        other => panic!("{other:?}"),
    };
    is_gone(error_of(reader.as_mut()));
    is_gone(reader.poll(10, SHORT).unwrap_err());
    // Another partition is touched: the broken one stays broken.
    reader.assign(&other, Offset(0)).unwrap();
    reader.unassign(&other).unwrap();
    is_gone(reader.poll(10, SHORT).unwrap_err());
    open.commit_transaction(PATIENCE).unwrap();
    reader.assign(&at, Offset(13)).unwrap();
    let records = reader.poll(1, PATIENCE).unwrap();
    assert_eq!(records[0].offset, Offset(13));
}

#[test]
fn a_topic_that_is_deleted_under_a_reader_is_an_error() {
    let (log, at) = log_and_topic("deleted");
    log.append(&records(&at, "a", 3)).unwrap();
    let mut reader = reader(&log, &[(&at, Offset(0))]);
    assert_eq!(read_to_end(reader.as_mut(), &at).len(), 3);
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    wait(admin.delete_topics(&[&at.topic], &AdminOptions::new())).unwrap();
    let error = error_of(reader.as_mut());
    assert!(matches!(&error, LogError::NoTopic(topic) if **topic == *at.topic), "{error:?}");
    assert!(matches!(reader.at_end(&at), Err(LogError::NoTopic(_) | LogError::Retriable(_))));
}
