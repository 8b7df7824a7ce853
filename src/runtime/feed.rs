//! A feed: what a source reads. A topic of the pipeline's log, or something beside it that is read as one (files).

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{LogError, Reader, TopicPartition, Transport};
use plan::SourceDef;
use zset::Partition;

use crate::Parts;

/// How the options begin that are the properties of a Kafka client.
const KAFKA: &str = "kafka.";

/// See the module.
#[derive(Clone)]
pub(crate) struct Feed {
    pub transport: Arc<dyn Transport>,
    pub topic: Arc<str>,
    /// Whether the transport is the pipeline's log.
    pub is_log: bool,
    /// The reader's own.
    properties: BTreeMap<String, String>,
}

impl Feed {
    /// What a source reads.
    pub fn of(parts: &Parts, source: &SourceDef) -> Result<Self, LogError> {
        let beside = parts.connectors.transport(source)?;
        let is_log = beside.is_none();
        let transport = beside.unwrap_or_else(|| Arc::clone(&parts.log) as Arc<dyn Transport>);
        let options = parts.connectors.options(&source.options).map_err(LogError::Unusable)?;
        let properties = options.0.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(KAFKA)?;
            Some((name.to_string(), value.clone()))
        });
        Ok(Self { transport, topic: source.topic.as_str().into(), is_log, properties: properties.collect() })
    }

    /// A topic of the log.
    pub fn of_log(parts: &Parts, topic: &str) -> Self {
        let transport = Arc::clone(&parts.log) as Arc<dyn Transport>;
        Self { transport, topic: topic.into(), is_log: true, properties: BTreeMap::new() }
    }

    /// A reader of it, without partitions.
    pub fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        self.transport.reader(&self.properties)
    }

    /// Its partitions; none if the topic is gone.
    pub fn partitions(&self) -> Result<Vec<Partition>, LogError> {
        Ok(self.transport.partitions(&self.topic)?.unwrap_or_default())
    }

    /// One of its partitions.
    pub fn at(&self, partition: Partition) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition }
    }
}
