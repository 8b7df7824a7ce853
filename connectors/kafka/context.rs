//! librdkafka's own log lines and errors, as ours.
//!
//! They are told, never acted upon: librdkafka mends its connections by itself, and what cannot be mended comes as an
//! error of the call that met it.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

/// The context of every client that is not a producer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told;

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tell(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", "{error}: {reason}");
    }
}

impl ConsumerContext for Told {}

/// One line of librdkafka's log.
pub(crate) fn tell(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        // A property of producers is no mistake because consumers are made from the same settings.
        _ if facility == "CONFWARN" => tracing::debug!(target: "kafka", "{facility}: {line}"),
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", "{facility}: {line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "kafka", "{facility}: {line}"),
        RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", "{facility}: {line}"),
    }
}
