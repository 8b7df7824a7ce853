//! Topics: made with the settings of their purpose, and the epoch topic's verified.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use api::{Log, LogError, TopicKind};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::support::{PATIENCE, brokers, config, log, spec, unique};
use crate::KafkaLog;

/// Waits for an admin call.
pub(super) fn wait<T: std::fmt::Debug>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let begin = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            println!("{output:?}");
            return output;
        }
        assert!(begin.elapsed() < PATIENCE, "no answer");
        std::thread::yield_now();
    }
}

fn setting(topic: &str, name: &str) -> String {
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    let specifier = ResourceSpecifier::Topic(topic);
    let described = wait(admin.describe_configs([&specifier], &AdminOptions::new())).unwrap().remove(0).unwrap();
    described.get(name).unwrap().value.clone().unwrap()
}

#[test]
fn topics_have_the_settings_of_their_purpose() {
    let name = unique("settings");
    let log = log(&name);
    let epochs = format!("{name}.epochs");
    log.make_topic(&spec(&epochs, 1, TopicKind::Epochs)).unwrap();
    assert_eq!(setting(&epochs, "cleanup.policy"), "delete");
    assert_eq!(setting(&epochs, "retention.ms"), "-1");
    assert_eq!(setting(&epochs, "retention.bytes"), "-1");
    let compacted = format!("{name}.compacted");
    log.make_topic(&spec(&compacted, 3, TopicKind::Compacted)).unwrap();
    assert_eq!(setting(&compacted, "cleanup.policy"), "compact");
    log.make_topic(&spec(&epochs, 1, TopicKind::Epochs)).unwrap();
}

#[test]
fn an_epoch_topic_that_would_lose_records_is_refused_with_the_remedy() {
    let name = unique("wrong-epochs");
    let log = log(&name);
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    let make = |topic: &str, settings: &[(&str, &str)], partitions| {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        wait(admin.create_topics([&new], &AdminOptions::new())).unwrap().remove(0).unwrap();
    };
    let cases = [
        ("a", &[][..], 1, "retention.ms=-1"),
        ("b", &[("retention.ms", "-1"), ("cleanup.policy", "compact,delete")][..], 1, "cleanup.policy=delete"),
        ("c", &[("retention.ms", "-1"), ("retention.bytes", "1000000")][..], 1, "retention.bytes=-1"),
        ("d", &[("retention.ms", "-1")][..], 2, "2 partitions"),
    ];
    for (suffix, settings, partitions, remedy) in cases {
        let topic = format!("{name}.{suffix}");
        make(&topic, settings, partitions);
        let refused = log.make_topic(&spec(&topic, 1, TopicKind::Epochs));
        let Err(LogError::Unusable(text)) = refused else { panic!("{refused:?}") };
        assert!(text.contains(remedy) && text.contains(&topic), "{text}");
    }
}

#[test]
fn kafkas_own_topics_are_not_listed() {
    let name = unique("listed");
    let log = log(&name);
    log.make_topic(&spec(&name, 1, TopicKind::Plain)).unwrap();
    // A transaction makes __transaction_state.
    log.writer().unwrap();
    let topics = log.topics().unwrap();
    assert!(topics.iter().any(|t| t.topic == name));
    assert!(topics.iter().all(|t| !t.topic.starts_with("__")), "{topics:?}");
}

#[test]
fn no_kafka_is_an_error_that_names_the_address() {
    // Bound and closed again: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let Err(LogError::Retriable(text)) = KafkaLog::connect(&config(&address, "p")) else { panic!("connected") };
    assert!(text.contains(&address), "{text}");
}
