//! The consumer group's offsets: how far the pipeline is, for tools that watch groups. Nothing reads them back.
//!
//! They are committed without joining the group, which stays empty: a broker takes them from anyone then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::{LogError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as At, TopicPartitionList};
use zset::Offset;

use crate::config::KafkaConfig;
use crate::context::Told;
use crate::error::log_error;

/// The consumer that tells; made when there is something to tell, and anew after a failure.
#[derive(Default)]
pub(crate) struct Group {
    consumer: Mutex<Option<BaseConsumer<Told>>>,
}

impl Group {
    /// Tells the next offset of each partition.
    pub(crate) fn tell(&self, config: &KafkaConfig, positions: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        if positions.is_empty() {
            return Ok(());
        }
        let failed = |e: KafkaError| log_error(&format!("tell the positions of group {}", config.pipeline), "", &e);
        let mut offsets = TopicPartitionList::new();
        for (at, next) in positions {
            offsets.add_partition_offset(&at.topic, at.partition.0, At::Offset(next.0)).map_err(failed)?;
        }
        let mut kept = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let consumer = match kept.take() {
            Some(consumer) => consumer,
            None => config.group().create_with_context(Told::default()).map_err(failed)?,
        };
        consumer.commit(&offsets, CommitMode::Sync).map_err(failed)?;
        // librdkafka's log lines wait in a queue until they are polled.
        while consumer.poll(Duration::ZERO).is_some() {}
        *kept = Some(consumer);
        Ok(())
    }
}
