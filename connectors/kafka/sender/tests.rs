#![allow(clippy::unwrap_used)]
use zset::Partition;

use super::*;

fn records(topics: &[&str]) -> Vec<OutRecord> {
    let record = |topic: &&str| OutRecord {
        to: TopicPartition { topic: (*topic).into(), partition: Partition(0) },
        timestamp: TimestampMs(1),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    topics.iter().map(record).collect()
}

#[test]
fn records_that_follow_one_another_to_a_topic_are_a_run() {
    let records = records(&["a", "a", "b", "a"]);
    let topics = |a: &TopicPartition, b: &TopicPartition| a.topic == b.topic;
    let runs: Vec<_> = (0..=4).map(|from| run(&records[from..], topics)).collect();
    assert_eq!(runs, [2, 1, 1, 1, 0]);
}
