//! Asked to stop while the brokers are away: a commit is given up, and says what may have become of it. The brokers are librdkafka's
//! own stand-ins, which go away at the moment that is meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::{CommitError, OutRecord, Writer};
use fault::Failpoints;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::support::{at, config, record};
use crate::writer::KafkaWriter;

/// A writer that may wait until the flag is set, its brokers, and a record for a topic of theirs.
fn writer() -> (MockCluster<'static, DefaultProducerContext>, KafkaWriter, Arc<AtomicBool>, OutRecord) {
    let brokers = MockCluster::new(1).unwrap();
    brokers.create_topic("t", 1, 1).unwrap();
    let mut writer = KafkaWriter::open(&config(&brokers.bootstrap_servers(), "p"), Failpoints::default()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    writer.on_wait(Box::new(move || !asked.load(Ordering::SeqCst)));
    let record = record(&at("t", 0), "a");
    writer.commit_all(std::slice::from_ref(&record)).unwrap();
    (brokers, writer, stop, record)
}

#[test]
fn a_commit_whose_answer_does_not_come_is_left_in_doubt() {
    let (brokers, mut writer, stop, record) = writer();
    let error = writer.commit(std::slice::from_ref(&record), &mut |_| {
        brokers.broker_down(-1).unwrap();
        stop.store(true, Ordering::SeqCst);
        Vec::new()
    });
    assert!(matches!(&error, Err(CommitError::InDoubt(why)) if why.contains("asked to stop")), "{error:?}");
    let again = writer.commit_all(&[record]);
    assert!(matches!(&again, Err(CommitError::InDoubt(_))), "it writes no more: {again:?}");
}

#[test]
fn records_that_nobody_takes_are_aborted() {
    let (brokers, mut writer, stop, record) = writer();
    let error = writer.commit(std::slice::from_ref(&record), &mut |_| {
        brokers.broker_down(-1).unwrap();
        stop.store(true, Ordering::SeqCst);
        vec![record.clone()]
    });
    assert!(matches!(&error, Err(CommitError::Aborted(why)) if why.contains("asked to stop")), "{error:?}");
}
