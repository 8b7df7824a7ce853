//! The chain of epoch records, looked at one after another: each readable, numbered without gap, and naming the one before.

use api::{EPOCH_PARTITION, Log, TopicPartition};
use bytes::Bytes;
use plan::EpochRecord;
use zset::{Epoch, Offset};

use crate::{EngineError, Shared, epochs};

/// Gives every record of a pipeline's epoch topic to `take`, in order, until it wants no more. The log is only read.
pub fn each_record(
    log: &dyn Log,
    topic: &str,
    take: &mut dyn FnMut(Offset, &Bytes) -> bool,
) -> Result<(), EngineError> {
    if log.topic(topic)?.is_none() {
        return Err(EngineError::Recovery(format!(
            "there is no epoch topic \"{topic}\"; give --pipeline the name of the pipeline, and --kafka if it is on Kafka"
        )));
    }
    let at = TopicPartition { topic: topic.into(), partition: EPOCH_PARTITION };
    let from = log.bounds(&at)?.low;
    epochs::each(log, &at, from, &Shared::default(), &mut |records| {
        records.iter().all(|(offset, bytes)| take(*offset, bytes))
    })
}

/// The end of what was looked at.
#[derive(Debug, Clone, Default)]
pub struct Links {
    last: Option<(Epoch, String, String)>,
}

/// A record and what is wrong with it.
#[derive(Debug)]
pub struct Chained {
    /// The record, if it can be read.
    pub record: Option<EpochRecord>,
    /// The hash of its bytes.
    pub hash: String,
    /// What is wrong; empty: nothing.
    pub troubles: Vec<String>,
}

impl Links {
    /// Looks at the next record.
    pub fn next(&mut self, bytes: &[u8]) -> Chained {
        let hash = EpochRecord::hash(bytes);
        let record = match EpochRecord::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                // What comes after it is compared with its hash all the same.
                if let Some((epoch, last, _)) = &mut self.last {
                    (*epoch, *last) = (epoch.next(), hash.clone());
                }
                return Chained { record: None, hash, troubles: vec![error.to_string()] };
            }
        };
        let mut troubles = Vec::new();
        match &self.last {
            None => {
                if (record.epoch == Epoch(0)) != record.previous.is_empty() {
                    troubles.push(format!("epoch {} names \"{}\" as the one before", record.epoch, record.previous));
                }
            }
            Some((epoch, last, incarnation)) => {
                if record.epoch != epoch.next() {
                    troubles.push(format!("it is epoch {}, epoch {} was to come", record.epoch, epoch.next()));
                }
                if record.previous != *last {
                    troubles.push(format!("it names record {} as the one before, which is {last}", record.previous));
                }
                if record.incarnation != *incarnation {
                    troubles.push(format!("it is of incarnation {}, not {incarnation}", record.incarnation));
                }
            }
        }
        self.last = Some((record.epoch, hash.clone(), record.incarnation.clone()));
        Chained { record: Some(record), hash, troubles }
    }
}
