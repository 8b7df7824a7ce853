//! A broker that dies and comes back: epochs wait, nothing is lost, nothing is doubled.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use api::{CommitError, Log, LogError, Writer};
use zset::Offset;

use super::support::{Broker, PATIENCE, all, config, reader, record, text, topic, visible};
use crate::KafkaLog;

const COMMITS: usize = 60;

/// Commits a record that holds its number, as the engine would: again after an abort, and after a doubt only when the
/// log's end shows that it is not there.
fn commit(log: &KafkaLog, writer: &mut Box<dyn Writer>, at: &api::TopicPartition, n: usize) {
    let begin = Instant::now();
    loop {
        match writer.commit_all(&[record(at, &n.to_string())]) {
            Ok(_) => return,
            Err(CommitError::Aborted(why)) => println!("commit {n} aborted: {why}"),
            Err(CommitError::InDoubt(why)) => {
                println!("commit {n} in doubt: {why}");
                *writer = log.writer().unwrap();
                if all(log, at).len() > n {
                    return;
                }
            }
            Err(other) => panic!("commit {n}: {other:?}"),
        }
        assert!(begin.elapsed() < 4 * PATIENCE, "commit {n} never came through");
    }
}

#[test]
fn a_broker_that_dies_in_the_middle_costs_time_only() {
    let broker = Broker::start();
    let log = KafkaLog::connect(&config(&broker.address, "restart")).unwrap();
    let at = topic(&log, "t", 1).remove(0);
    let (told, progress) = mpsc::channel();
    let mut reader = reader(&log, &[(&at, Offset(0))]);
    thread::scope(|scope| {
        scope.spawn(|| {
            let told = told;
            let mut writer = log.writer().unwrap();
            for n in 0..COMMITS {
                commit(&log, &mut writer, &at, n);
                // Nobody listens any more after the last kill.
                let _ = told.send(n);
            }
        });
        let broker = &broker;
        scope.spawn(move || {
            for kill_after in [10, 30] {
                while progress.recv().unwrap() < kill_after {}
                broker.kill();
                broker.start_again();
            }
        });
        let begin = Instant::now();
        let mut got = Vec::new();
        while got.len() < COMMITS {
            assert!(begin.elapsed() < 5 * PATIENCE, "only {got:?} came");
            match reader.poll(7, Duration::from_millis(100)) {
                Ok(records) => got.extend(records.iter().map(text)),
                Err(LogError::Retriable(why)) => println!("reader: {why}"),
                Err(other) => panic!("the reader after {}: {other:?}", got.len()),
            }
        }
        let want: Vec<_> = (0..COMMITS).map(|n| n.to_string()).collect();
        assert_eq!(got, want);
    });
    visible(&log, &at, COMMITS);
}
