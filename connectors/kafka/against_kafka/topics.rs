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
    // Who adds "delete" to its policy later does not lose what is old by that.
    let keyed = format!("{name}.keyed");
    log.make_topic(&spec(&keyed, 2, TopicKind::OwnKeyed)).unwrap();
    assert_eq!(setting(&keyed, "cleanup.policy"), "compact");
    assert_eq!((setting(&keyed, "retention.ms"), setting(&keyed, "retention.bytes")), ("-1".into(), "-1".into()));
    log.make_topic(&spec(&epochs, 1, TopicKind::Epochs)).unwrap();
}

/// The settings of a topic that somebody made, its partitions, and what its refusal ends with; nothing, if it is none.
type Case<'a> = (&'a [(&'a str, &'a str)], i32, &'a str);

/// Topics of somebody are refused as topics of a kind, each with what is to be changed.
fn refused(kind: TopicKind, cases: &[Case<'_>]) {
    let name = unique("wrong");
    let log = log(&name);
    let admin: AdminClient<DefaultClientContext> = config(&brokers(), "x").admin().create().unwrap();
    for (number, (settings, partitions, remedy)) in cases.iter().enumerate() {
        let topic = format!("{name}.{number}");
        let mut new = NewTopic::new(&topic, *partitions, TopicReplication::Fixed(1));
        for (name, value) in *settings {
            new = new.set(name, value);
        }
        wait(admin.create_topics([&new], &AdminOptions::new())).unwrap().remove(0).unwrap();
        let made = log.make_topic(&spec(&topic, 1, kind));
        match made {
            Err(LogError::Unusable(text)) if !remedy.is_empty() => {
                assert!(text.contains(&topic) && text.ends_with(remedy), "{remedy}: {text}");
            }
            made => assert!(made.is_ok() && remedy.is_empty(), "{settings:?} as {kind:?}: {made:?}"),
        }
    }
}

#[test]
fn an_epoch_topic_that_would_lose_records_is_refused_with_the_remedy() {
    let cases = [
        (&[][..], 1, "--add-config retention.ms=-1"),
        (&[("retention.ms", "-1"), ("cleanup.policy", "compact,delete")][..], 1, "--add-config cleanup.policy=delete"),
        (&[("retention.ms", "-1"), ("retention.bytes", "1000000")][..], 1, "--add-config retention.bytes=-1"),
        (&[("retention.ms", "-1")][..], 2, "it has 2 partitions, not one; delete it, or take another pipeline name"),
        (&[("retention.ms", "-1")][..], 1, ""),
    ];
    refused(TopicKind::Epochs, &cases);
}

/// One setting is wrong in each, so that no other could be why it is refused.
#[test]
fn a_topic_of_our_own_that_would_lose_records_is_refused_with_the_remedy() {
    let (compact, lag) = (("cleanup.policy", "compact"), ("min.compaction.lag.ms", "604800000"));
    let cases = [
        (&[compact, lag][..], 2, ""),
        (&[compact, ("min.compaction.lag.ms", "604800001")][..], 1, ""),
        (&[("cleanup.policy", "compact,delete"), lag][..], 1, "--add-config cleanup.policy=compact"),
        (&[compact, ("min.compaction.lag.ms", "604799999")][..], 1, "--add-config min.compaction.lag.ms=604800000"),
        (
            &[compact, lag, ("message.timestamp.type", "LogAppendTime")][..],
            1,
            "--add-config message.timestamp.type=CreateTime",
        ),
    ];
    refused(TopicKind::OwnKeyed, &cases);
    let kept = ("retention.ms", "-1");
    let cases = [
        (&[kept][..], 2, ""),
        (&[][..], 1, "--add-config retention.ms=-1"),
        (&[kept, ("cleanup.policy", "compact,delete")][..], 1, "--add-config cleanup.policy=delete"),
        (&[kept, ("retention.bytes", "1000000")][..], 1, "--add-config retention.bytes=-1"),
        (&[kept, ("message.timestamp.type", "LogAppendTime")][..], 1, "--add-config message.timestamp.type=CreateTime"),
    ];
    refused(TopicKind::OwnKeyless, &cases);
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
