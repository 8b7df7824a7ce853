//! Transactions: visible as a whole or not at all; who is refused, who is fenced.

use std::time::{Duration, Instant};

use api::{CommitError, Log, OutRecord, TopicKind, Transport, Writer};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use zset::Offset;

use super::support::{
    PATIENCE, all, at, brokers, config, large, log, log_and_topic, open_transaction, record, records, send, spec,
    unique, visible,
};
use super::topics::wait;

fn refused(writer: &mut dyn Writer, records: &[OutRecord]) -> (usize, String, String) {
    match writer.commit_all(records) {
        Err(CommitError::Refused { index, topic, reason }) => (index, topic, reason),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_fenced_writer_leaves_nothing_and_stays_fenced() {
    let (log, at) = log_and_topic("fenced");
    let mut first = log.writer().unwrap();
    first.commit_all(&records(&at, "a", 3)).unwrap();
    let mut second = log.writer().unwrap();
    for _ in 0..2 {
        let fenced = first.commit_all(&records(&at, "zombie", 3));
        assert!(matches!(fenced, Err(CommitError::Fenced(_))), "{fenced:?}");
    }
    second.commit_all(&records(&at, "b", 1)).unwrap();
    assert_eq!(visible(&log, &at, 4), ["a0", "a1", "a2", "b0"]);
}

#[test]
fn the_open_transaction_of_a_dead_process_is_resolved() {
    let (log, at) = log_and_topic("dead");
    let pipeline = at.topic.to_string();
    let dead = open_transaction(&pipeline);
    send(&dead, &at, "never committed");
    let before = log.bounds(&at).unwrap();
    assert_eq!(before.low, before.high, "nothing of an open transaction is stable");

    let mut writer = log.writer().unwrap();
    // At once, and not some time later: recovery reads to the end it is given now.
    let after = log.bounds(&at).unwrap();
    assert!(after.high > before.high, "the transaction is still open after the start: {after:?}");
    assert_eq!(all(&log, &at), Vec::<String>::new());
    writer.commit_all(&records(&at, "mine", 2)).unwrap();
    assert_eq!(visible(&log, &at, 2), ["mine0", "mine1"]);
}

#[test]
fn a_record_too_large_is_named_and_nothing_is_written() {
    let (log, at) = log_and_topic("large");
    let mut writer = log.writer().unwrap();
    for bytes in [1_200_000, 70 << 20] {
        let mut batch = records(&at, "no", 7);
        batch.insert(3, large(&at, bytes));
        let (index, topic, reason) = refused(writer.as_mut(), &batch);
        assert_eq!((index, topic.as_str()), (3, &*at.topic));
        assert!(reason.contains(&(bytes + 1).to_string()), "{reason}");
    }
    writer.commit_all(&records(&at, "yes", 2)).unwrap();
    assert_eq!(visible(&log, &at, 2), ["yes0", "yes1"]);
}

#[test]
fn a_topic_with_a_small_limit_takes_what_fits() {
    let name = unique("limit");
    let log = log(&name);
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), &name).admin().create().unwrap();
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(-1)).set("max.message.bytes", "10000");
    wait(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    let at = at(&name, 0);
    let begin = Instant::now();
    while log.topic(&name).unwrap().is_none() {
        assert!(begin.elapsed() < PATIENCE);
    }
    let mut writer = log.writer().unwrap();
    // Each fits, but a batch of them does not.
    let small: Vec<_> = (0..300).map(|_| large(&at, 1000)).collect();
    let offsets = writer.commit_all(&small).unwrap();
    assert_eq!(offsets.len(), 300);
    assert!(offsets.is_sorted_by(|a, b| a < b));
    let mut batch = small.clone();
    batch.insert(250, large(&at, 20_000));
    batch.insert(100, large(&at, 15_000));
    assert_eq!(refused(writer.as_mut(), &batch).0, 100);
    let end = *writer.commit_all(&small).unwrap().last().unwrap();
    let mut reader = super::support::reader(&log, &[(&at, Offset(0))]);
    let (mut got, begin) = (Vec::new(), Instant::now());
    while got.last() != Some(&end) {
        got.extend(reader.poll(1000, Duration::from_millis(50)).unwrap().iter().map(|r| r.offset));
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!(got.len(), 600, "nothing of the refused commit is visible");
}

#[test]
fn a_topic_that_is_missing_or_was_deleted_is_named() {
    let (log, at_first) = log_and_topic("missing");
    let mut writer = log.writer().unwrap();
    let second = super::support::topic(&log, &unique("deleted"), 1).remove(0);
    writer.commit_all(&[record(&at_first, "a"), record(&second, "a")]).unwrap();

    let never = at(&unique("never-made"), 0);
    let begin = Instant::now();
    let (index, topic, reason) = refused(writer.as_mut(), &[record(&at_first, "no"), record(&never, "no")]);
    assert_eq!((index, topic.as_str()), (1, &*never.topic));
    assert!(reason.contains("does not exist"), "{reason}");

    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    wait(admin.delete_topics(&[&second.topic], &AdminOptions::new())).unwrap();
    let mut batch = records(&at_first, "no", 5);
    batch.push(record(&second, "no"));
    let (index, topic, _) = refused(writer.as_mut(), &batch);
    assert_eq!((index, topic.as_str()), (5, &*second.topic));
    // Not when the transaction times out.
    assert!(begin.elapsed() < Duration::from_secs(30), "it took {:?}", begin.elapsed());
    writer.commit_all(&[record(&at_first, "b")]).unwrap();
    assert_eq!(visible(&log, &at_first, 2), ["a", "b"]);
}

#[test]
fn a_record_that_a_topic_does_not_take_is_named() {
    let name = unique("keyless");
    let log = log(&name);
    log.make_topic(&spec(&name, 1, TopicKind::Compacted)).unwrap();
    let at = at(&name, 0);
    let mut batch = records(&at, "no", 9);
    batch[6].key = None;
    let mut writer = log.writer().unwrap();
    let (index, _, reason) = refused(writer.as_mut(), &batch);
    assert_eq!(index, 6);
    assert!(reason.contains("key"), "{reason}");
    writer.commit_all(&records(&at, "yes", 1)).unwrap();
    assert_eq!(visible(&log, &at, 1), ["yes0"]);
}

#[test]
fn two_hundred_thousand_records_are_one_transaction() {
    let (log, at) = log_and_topic("many");
    let mut writer = log.writer().unwrap();
    let begin = Instant::now();
    let offsets = writer.commit_all(&records(&at, "r", 200_000)).unwrap();
    println!("200,000 records committed in {:?}", begin.elapsed());
    assert_eq!(offsets, (0..200_000).map(Offset).collect::<Vec<_>>());
    let begin = Instant::now();
    let got = visible(&log, &at, 200_000);
    println!("read in {:?}", begin.elapsed());
    assert!(got.iter().enumerate().all(|(i, text)| *text == format!("r{i}")) && got.len() == 200_000);
    let begin = Instant::now();
    for _ in 0..20 {
        writer.commit_all(&[record(&at, "x")]).unwrap();
    }
    println!("20 small commits in {:?}", begin.elapsed());
}
