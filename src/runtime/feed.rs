//! A feed: what a source reads. One topic of the pipeline's log, several, or something beside it that is read as one (files).

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Keeping, Log, LogError, Reader, TopicPartition, Transport};
use plan::{SourceDef, TopicPattern};
use zset::Partition;

use crate::Parts;
use crate::topics::Together;

/// How the options begin that are the properties of a Kafka client.
const KAFKA: &str = "kafka.";

/// See the module.
#[derive(Clone)]
pub(crate) struct Feed {
    pub transport: Arc<dyn Transport>,
    /// Each at its place.
    topics: Vec<Arc<str>>,
    /// Whether the transport is the pipeline's log.
    pub is_log: bool,
    /// What finds more topics.
    pattern: Option<Pattern>,
    /// The reader's own.
    properties: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Pattern {
    of: TopicPattern,
    log: Arc<dyn Log>,
}

impl Feed {
    /// What a source reads.
    pub fn of(parts: &Parts, source: &SourceDef) -> Result<Self, LogError> {
        let beside = parts.connectors.transport(source)?;
        let is_log = beside.is_none();
        let mut transport = beside.unwrap_or_else(|| Arc::clone(&parts.log) as Arc<dyn Transport>);
        let topics: Vec<Arc<str>> = source.topics().map(Arc::from).collect();
        if topics.len() > 1 {
            transport = Arc::new(Together::new(transport, &topics));
        }
        let options = parts.connectors.options(&source.options).map_err(LogError::Unusable)?;
        let properties = options.0.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(KAFKA)?;
            Some((name.to_string(), value.clone()))
        });
        Ok(Self { transport, topics, is_log, pattern: None, properties: properties.collect() })
    }

    /// The same, for who looks for more topics: what its pattern matches is worked out once.
    pub fn finding(parts: &Parts, source: &SourceDef) -> Result<Self, LogError> {
        let pattern = source.topic_pattern().map(|pattern| {
            let of = TopicPattern::new(pattern).map_err(LogError::Unusable)?;
            Ok::<_, LogError>(Pattern { of, log: Arc::clone(&parts.log) })
        });
        Ok(Self { pattern: pattern.transpose()?, ..Self::of(parts, source)? })
    }

    /// A topic of the log.
    pub fn of_log(parts: &Parts, topic: &str) -> Self {
        let transport = Arc::clone(&parts.log) as Arc<dyn Transport>;
        Self { transport, topics: vec![topic.into()], is_log: true, pattern: None, properties: BTreeMap::new() }
    }

    /// A reader of it, without partitions.
    pub fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        self.transport.reader(&self.properties)
    }

    /// The reader of a source that is read for as long as it is there.
    pub fn lasting_reader(&self) -> Result<Box<dyn Reader>, LogError> {
        self.transport.lasting_reader(&self.properties)
    }

    /// Its topics, each at its place.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|topic| &**topic)
    }

    /// Its topics, in a sentence: `topic "a"`, `topics "a", "b"`.
    pub fn words(&self) -> String {
        let names: Vec<String> = self.topics.iter().map(|topic| format!("\"{topic}\"")).collect();
        format!("topic{} {}", if names.len() > 1 { "s" } else { "" }, names.join(", "))
    }

    /// Its partitions; none of a topic that is gone.
    pub fn partitions(&self) -> Result<Vec<Partition>, LogError> {
        let mut all = Vec::new();
        for topic in &self.topics {
            all.extend(self.transport.partitions(topic)?.unwrap_or_default());
        }
        Ok(all)
    }

    /// One of its partitions.
    pub fn at(&self, partition: Partition) -> TopicPartition {
        let topic = self.topics.get(partition.place()).or(self.topics.first());
        TopicPartition { topic: topic.map_or_else(|| "".into(), Arc::clone), partition }
    }

    /// What its topic at a place loses by itself.
    pub fn keeping(&self, place: usize) -> Result<Option<Keeping>, LogError> {
        self.topics.get(place).map_or(Ok(None), |topic| self.transport.keeping(topic))
    }

    /// Whether it may have more topics some time.
    pub fn finds_topics(&self) -> bool {
        self.pattern.is_some()
    }

    /// The topics that its pattern matches and that it does not have, in the order of their names. Of [`Feed::finding`] only.
    pub fn found_topics(&self) -> Result<Vec<String>, LogError> {
        let Some(pattern) = &self.pattern else { return Ok(Vec::new()) };
        let names = pattern.log.topics()?.into_iter().map(|info| info.topic);
        let new = |name: &String| pattern.of.matches(name) && !self.topics().any(|topic| topic == name);
        Ok(names.filter(new).collect())
    }
}
