//! Whether the tail of a partition holds any record that a reader will ever be given.
//!
//! Between a reader's place and the end there may be only control records, aborted transactions, or gaps that compaction
//! left. A consumer of its own reads from there: the first record, or the end of the partition, is the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{LogError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset as At, TopicPartitionList};
use zset::{Offset, TimestampMs};

use crate::config::KafkaConfig;
use crate::context::Told;
use crate::error::{is_missing, log_error};
use crate::leaving::{Apart, Leaving};

/// How long anything at all is waited for.
const ANSWER: Duration = Duration::from_secs(30);

/// The offset of the first readable record at or after `from` whose time is not before `not_before`; `None` if there is
/// none below the end that was stable at some moment of this call.
pub(crate) fn first_record(
    (config, leaving): (&KafkaConfig, &Arc<Leaving>),
    at: &TopicPartition,
    from: Offset,
    not_before: TimestampMs,
) -> Result<Option<Offset>, LogError> {
    let doing = format!("look for records of topic \"{}\" partition {} from offset {from}", at.topic, at.partition);
    let failed = |e: &KafkaError| log_error(&doing, &at.topic, e);
    let consumer: BaseConsumer<Told> = config.probe().create_with_context(Told::default()).map_err(|e| failed(&e))?;
    let consumer = Apart::new(consumer, leaving);
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(&at.topic, at.partition.0, At::Offset(from.0)).map_err(|e| failed(&e))?;
    consumer.assign(&partition).map_err(|e| failed(&e))?;
    let mut deadline = Instant::now() + ANSWER;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                if message.timestamp().to_millis().unwrap_or(-1) >= not_before.0 {
                    return Ok(Some(Offset(message.offset())));
                }
                deadline = Instant::now() + ANSWER;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(KafkaError::MessageConsumption(code))) if is_missing(code) || code == Code::AutoOffsetReset => {
                // The reader that asks will meet the same, and can say more.
                return Err(LogError::Retriable(format!("cannot {doing}: {code}")));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(failed(&error)),
            Some(Err(error)) => tracing::debug!(target: "kafka", "{doing}: {error}"),
            None => {}
        }
        if Instant::now() > deadline {
            return Err(LogError::Retriable(format!("cannot {doing}: no answer within {} s", ANSWER.as_secs())));
        }
    }
}
