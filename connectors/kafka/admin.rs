//! Making topics with the settings their purpose needs, verifying those that must lose nothing, deleting old records.
//!
//! A client is opened for each task and closed after it: what an open one would log waits in a queue that the bindings
//! do not let us empty.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use api::{Keeping, LogError, TopicInfo, TopicKind, TopicPartition, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset as At, TopicPartitionList};
use zset::Offset;

use crate::config::KafkaConfig;
use crate::context::Told;
use crate::error::log_error;
use crate::leaving::Apart;
use crate::meta::{Meta, is_name};

/// How long making, or deleting, may take.
const DONE: Duration = Duration::from_secs(30);

type Settings = &'static [(&'static str, &'static str)];

/// What an epoch topic must have: its records are the only truth about what was committed.
const EPOCHS: Settings = &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
const COMPACTED: Settings = &[("cleanup.policy", "compact")];
/// What the topic of a table of our own must have. The time of a record is ours: by it the topic is known again.
/// What is compacted cannot be replayed exactly: records younger than a week are left alone.
const OWN_KEYED: Settings =
    &[("cleanup.policy", "compact"), ("message.timestamp.type", "CreateTime"), (COMPACTION_LAG, "604800000")];
const OWN_KEYLESS: Settings = &[
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("message.timestamp.type", "CreateTime"),
];
const OWN_KEYED_MADE: Settings = &[("retention.ms", "-1"), ("retention.bytes", "-1")];

/// The setting of which more is as good.
const COMPACTION_LAG: &str = "min.compaction.lag.ms";

/// What a topic of a kind must have to lose nothing; verified.
fn needed(kind: TopicKind) -> Option<(&'static str, Settings)> {
    match kind {
        TopicKind::Epochs => Some(("the epoch topic", EPOCHS)),
        TopicKind::OwnKeyed => Some(("the topic of a table with a PRIMARY KEY", OWN_KEYED)),
        TopicKind::OwnKeyless => Some(("the topic of a table without a PRIMARY KEY", OWN_KEYLESS)),
        TopicKind::Compacted | TopicKind::Plain => None,
    }
}

/// What a topic of a kind is made with.
fn settings(kind: TopicKind) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let more: Settings = match kind {
        TopicKind::Compacted => COMPACTED,
        TopicKind::OwnKeyed => OWN_KEYED_MADE,
        TopicKind::Epochs | TopicKind::Plain | TopicKind::OwnKeyless => &[],
    };
    needed(kind).map_or(&[] as Settings, |(_, settings)| settings).iter().chain(more)
}

/// A client for one task.
pub(crate) struct Admin {
    client: Apart<AdminClient<Told>>,
    options: AdminOptions,
}

impl Admin {
    pub(crate) fn open(config: &KafkaConfig, meta: &Meta) -> Result<Self, LogError> {
        let client = config.admin().create_with_context(Told::default());
        let client = client.map_err(|e| log_error("open a Kafka admin client", "", &e))?;
        let client = Apart::new(client, &meta.leaving);
        let options = AdminOptions::new().request_timeout(Some(DONE)).operation_timeout(Some(DONE));
        Ok(Self { client, options })
    }

    /// Makes a topic if it is missing, and waits until it is there; one that must lose nothing is verified, new or old.
    pub(crate) fn make_topic(&self, meta: &Meta, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        possible(spec)?;
        let info = match meta.topic(&spec.topic)? {
            Some(info) => info,
            None => {
                self.create(spec)?;
                let info = appeared(meta, spec)?;
                meta.patience.made(&spec.topic);
                info
            }
        };
        if let Some(needed) = needed(spec.kind) {
            self.verify(meta, &info, spec.kind, needed)?;
        }
        Ok(info)
    }

    fn create(&self, spec: &TopicSpec) -> Result<(), LogError> {
        // -1 is the broker's default.
        let replication = TopicReplication::Fixed(spec.replication.map_or(-1, i32::from));
        let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
        let mut topic = NewTopic::new(&spec.topic, partitions, replication);
        for (name, value) in settings(spec.kind) {
            topic = topic.set(name, value);
        }
        let doing = format!("make topic \"{}\"", spec.topic);
        let made = block_on(self.client.create_topics([&topic], &self.options));
        match made.map_err(|e| log_error(&doing, "", &e))?.pop() {
            // Somebody else was quicker: it is used as it is.
            None | Some(Ok(_)) | Some(Err((_, Code::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(log_error(&doing, "", &KafkaError::AdminOp(code))),
        }
    }

    /// The settings of a topic, by name.
    fn describe(&self, meta: &Meta, topic: &str) -> Result<HashMap<String, String>, LogError> {
        let specifier = ResourceSpecifier::Topic(topic);
        let doing = format!("read the settings of topic \"{topic}\"");
        let described = meta.patience.ask(topic, || {
            let described = block_on(self.client.describe_configs([&specifier], &self.options))?.pop();
            described.map(|described| described.map_err(KafkaError::AdminOp)).transpose()
        });
        let Some(described) = described.map_err(|e| log_error(&doing, topic, &e))? else {
            return Err(LogError::Retriable(format!("cannot {doing}: Kafka's answer is empty")));
        };
        let value =
            |(name, entry): (&str, &rdkafka::admin::ConfigEntry)| Some((name.to_string(), entry.value.clone()?));
        Ok(described.entry_map().into_iter().filter_map(value).collect())
    }

    /// What a topic loses by itself.
    pub(crate) fn keeping(&self, meta: &Meta, topic: &str) -> Result<Keeping, LogError> {
        Ok(keeping(&self.describe(meta, topic)?))
    }

    fn verify(
        &self,
        meta: &Meta,
        info: &TopicInfo,
        kind: TopicKind,
        (what, needed): (&str, Settings),
    ) -> Result<(), LogError> {
        let topic = &info.topic;
        let described = self.describe(meta, topic)?;
        let actual = |name: &str| described.get(name).cloned().unwrap_or_default();
        let wrong: Vec<_> = needed
            .iter()
            .filter(|(name, value)| !holds(name, value, &actual(name)))
            .map(|(n, v)| (*n, *v, actual(n)))
            .collect();
        if kind == TopicKind::Epochs && info.partitions != 1 {
            return Err(LogError::Unusable(format!(
                "topic \"{topic}\" cannot be the epoch topic: it has {} partitions, not one; delete it, or take another \
                 pipeline name",
                info.partitions
            )));
        }
        complaint(topic, what, &wrong).map_or(Ok(()), |complaint| Err(LogError::Unusable(complaint)))
    }

    /// Deletes the records below an offset.
    pub(crate) fn delete_below(&self, at: &TopicPartition, below: Offset) -> Result<(), LogError> {
        let doing = format!("delete records of topic \"{}\" partition {} below offset {below}", at.topic, at.partition);
        let failed = |e: &KafkaError| log_error(&doing, &at.topic, e);
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&at.topic, at.partition.0, At::Offset(below.0)).map_err(|e| failed(&e))?;
        let done = block_on(self.client.delete_records(&offsets, &self.options)).map_err(|e| failed(&e))?;
        for element in done.elements() {
            element.error().map_err(|e| failed(&e))?;
        }
        Ok(())
    }
}

/// Whether a topic's setting is as it must be.
fn holds(name: &str, needed: &str, actual: &str) -> bool {
    match (name, needed.parse::<i64>(), actual.parse::<i64>()) {
        (COMPACTION_LAG, Ok(needed), Ok(actual)) => actual >= needed,
        _ => actual == needed,
    }
}

/// What a topic with these settings loses by itself. One that may be cut by its size keeps nothing for sure.
fn keeping(settings: &HashMap<String, String>) -> Keeping {
    let number = |name: &str| settings.get(name).and_then(|value| value.parse::<i64>().ok());
    let policy = settings.get("cleanup.policy").map_or("", String::as_str);
    let has = |what: &str| policy.split(',').any(|word| word.trim() == what);
    let by_size = number("retention.bytes").is_some_and(|bytes| bytes >= 0);
    let by_time = number("retention.ms").filter(|time| *time >= 0);
    Keeping {
        compacted_after_ms: has("compact").then(|| number(COMPACTION_LAG).unwrap_or(0)),
        tombstones_ms: number("delete.retention.ms").unwrap_or(0),
        expires_after_ms: if by_size { Some(0) } else { by_time }.filter(|_| has("delete")),
    }
}

fn possible(spec: &TopicSpec) -> Result<(), LogError> {
    let topic = &spec.topic;
    if !is_name(topic) {
        return Err(LogError::Unusable(format!(
            "cannot make topic \"{topic}\": a name has 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-'"
        )));
    }
    if spec.partitions == 0 {
        return Err(LogError::Unusable(format!(
            "cannot make topic \"{topic}\" without partitions: ask for one or more"
        )));
    }
    if spec.kind == TopicKind::Epochs && spec.partitions != 1 {
        let n = spec.partitions;
        return Err(LogError::Unusable(format!("cannot make epoch topic \"{topic}\" of {n} partitions: it has one")));
    }
    Ok(())
}

/// What is wrong with a topic's settings, and how to mend it; `wrong` holds name, wanted and actual value.
fn complaint(topic: &str, what: &str, wrong: &[(&str, &str, String)]) -> Option<String> {
    if wrong.is_empty() {
        return None;
    }
    let has: Vec<_> = wrong.iter().map(|(name, value, actual)| format!("{name}={actual} instead of {value}")).collect();
    let change: Vec<_> = wrong.iter().map(|(name, value, _)| format!("{name}={value}")).collect();
    Some(format!(
        "topic \"{topic}\" cannot be {what}: it would lose what must be kept, for it has {}; change it with \
         kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {}",
        has.join(", "),
        change.join(",")
    ))
}

/// Waits until a topic that was made is known to the brokers.
fn appeared(meta: &Meta, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
    let deadline = Instant::now() + DONE;
    loop {
        match meta.topic(&spec.topic) {
            Ok(Some(info)) => return Ok(info),
            Err(error) if !matches!(error, LogError::Retriable(_)) => return Err(error),
            _ if Instant::now() > deadline => {
                return Err(LogError::Retriable(format!(
                    "topic \"{}\" was made, but no broker knows it yet",
                    spec.topic
                )));
            }
            _ => thread::park_timeout(Duration::from_millis(10)),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an admin call, which the admin client's own thread completes.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_topic_keeps_by_its_settings() {
        let of = |settings: &[(&str, &str)]| {
            keeping(&settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
        };
        let expires = |after| Keeping { expires_after_ms: after, ..Keeping::default() };
        let delete = ("cleanup.policy", "delete");
        assert_eq!(of(&[delete, ("retention.ms", "-1"), ("retention.bytes", "-1")]), expires(None));
        assert_eq!(of(&[delete, ("retention.ms", "9"), ("retention.bytes", "-1")]), expires(Some(9)));
        assert_eq!(of(&[delete, ("retention.ms", "9"), ("retention.bytes", "1")]), expires(Some(0)), "or by its size");
        let compact = ("cleanup.policy", "compact");
        let lag = [("min.compaction.lag.ms", "3"), ("delete.retention.ms", "7"), ("retention.ms", "9")];
        let compacted = Keeping { compacted_after_ms: Some(3), tombstones_ms: 7, expires_after_ms: None };
        assert_eq!(of(&[&[compact][..], &lag].concat()), compacted);
        let both = of(&[&[("cleanup.policy", "compact,delete")][..], &lag].concat());
        assert_eq!(both, Keeping { expires_after_ms: Some(9), ..compacted });
    }

    #[test]
    fn more_compaction_lag_is_as_good() {
        assert!(holds("min.compaction.lag.ms", "604800000", "604800001") && holds("retention.ms", "-1", "-1"));
        assert!(!holds("min.compaction.lag.ms", "604800000", "0") && !holds("retention.ms", "-1", "5"));
    }

    #[test]
    fn a_complaint_says_what_and_how() {
        assert_eq!(complaint("p.epochs", "the epoch topic", &[]), None);
        let text = complaint("p.epochs", "the epoch topic", &[("retention.ms", "-1", "604800000".into())]).unwrap();
        assert!(text.contains("retention.ms=604800000 instead of -1") && text.contains("--add-config retention.ms=-1"));
    }
}
