//! The consumer group's offsets, as tools see them; and what a table says of its reader.

use std::time::{Duration, Instant};

use api::{Log, LogError, TopicPartition, Transport};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use zset::Offset;

use super::support::{PATIENCE, brokers, config, log, records, topic, unique};
use crate::KafkaLog;

/// The committed offsets of a group, as any consumer of it would be told.
fn committed(group: &str, partitions: &[TopicPartition]) -> Vec<rdkafka::Offset> {
    let consumer: BaseConsumer = config(&brokers(), group).group().create().unwrap();
    let mut asked = TopicPartitionList::new();
    for at in partitions {
        asked.add_partition(&at.topic, at.partition.0);
    }
    let told = consumer.committed_offsets(asked, Duration::from_secs(30)).unwrap();
    partitions.iter().map(|at| told.find_partition(&at.topic, at.partition.0).unwrap().offset()).collect()
}

#[test]
fn positions_that_are_told_are_the_groups_offsets() {
    let name = unique("group");
    let log = log(&name);
    let partitions = topic(&log, &name, 2);
    log.append(&records(&partitions[0], "a", 5)).unwrap();
    assert_eq!(committed(&name, &partitions), [rdkafka::Offset::Invalid, rdkafka::Offset::Invalid]);
    for (first, second) in [(3, 0), (5, 0)] {
        let positions = [(partitions[0].clone(), Offset(first)), (partitions[1].clone(), Offset(second))];
        log.tell_positions(&positions).unwrap();
        let expected = [rdkafka::Offset::Offset(first), rdkafka::Offset::Offset(second)];
        assert_eq!(committed(&name, &partitions), expected, "also again, by the same consumer");
    }
}

/// Nobody has joined the group: a tool may move its offsets, and a second process may tell its own.
#[test]
fn the_group_has_no_members() {
    let name = unique("members");
    let log = log(&name);
    let at = topic(&log, &name, 1).remove(0);
    log.tell_positions(&[(at, Offset(0))]).unwrap();
    let consumer: BaseConsumer = config(&brokers(), &name).group().create().unwrap();
    let groups = consumer.fetch_group_list(Some(&name), Duration::from_secs(30)).unwrap();
    let group = groups.groups().iter().find(|group| group.name() == name).expect("the group is there");
    assert!(group.members().is_empty(), "{:?}", group.state());
}

/// Without a broker telling fails, and does not hang for ever.
#[test]
fn telling_nobody_fails() {
    let nobody = config("127.0.0.1:9", &unique("nobody"));
    let begin = Instant::now();
    let at = super::support::at("t", 0);
    let told = crate::group::Group::default().tell(&nobody, &[(at, Offset(1))]);
    assert!(told.is_err());
    assert!(begin.elapsed() < PATIENCE);
}

#[test]
fn a_tables_properties_reach_its_reader_alone() {
    let name = unique("properties");
    let log: KafkaLog = log(&name);
    let at = topic(&log, &name, 1).remove(0);
    log.append(&records(&at, "a", 3)).unwrap();
    let reader = |name: &str, value: &str| log.reader(&[(name.to_string(), value.to_string())].into());
    // librdkafka takes no such value: so it was asked.
    let refused = reader("fetch.max.bytes", "many").map(|_| ());
    assert!(matches!(&refused, Err(LogError::Unusable(why)) if why.contains("fetch.max.bytes")), "{refused:?}");
    // A client that speaks TLS to a broker that does not reads nothing.
    let mut deaf = reader("security.protocol", "ssl").unwrap();
    deaf.assign(&at, Offset(0)).unwrap();
    assert!(deaf.poll(10, Duration::from_secs(2)).unwrap_or_default().is_empty());
    let mut hears = reader("fetch.max.bytes", "60000000").unwrap();
    hears.assign(&at, Offset(0)).unwrap();
    assert_eq!(hears.poll(1, PATIENCE).unwrap().len(), 1);
}
