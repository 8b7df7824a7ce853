//! librdkafka's own log lines and errors, as ours.
//!
//! They are told, never acted upon: librdkafka mends its connections by itself, and what cannot be mended comes as an
//! error of the call that met it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The context of every client that is not a producer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    refusal: Arc<Mutex<Option<String>>>,
    missed: Arc<AtomicBool>,
}

/// What librdkafka calls the line of an error that it would have told, had not a whole batch of messages been taken where it was.
const ERROR: &str = "ERROR";

impl Told {
    /// Why a broker did not let us in, if one has said so: the login, or the certificate.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an error came to be a line of the log since this was asked last.
    pub fn missed(&self) -> bool {
        self.missed.swap(false, Relaxed)
    }
}

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if facility == ERROR {
            self.missed.store(true, Relaxed);
        }
        tell(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", "{error}: {reason}");
        // A broker that does not like our certificate says so when the handshake is done for us: it is a failed read then.
        let refused = match error.rdkafka_error_code() {
            Some(Code::Authentication | Code::SSL) => true,
            Some(Code::BrokerTransportFailure) => reason.contains("SSL routines"),
            _ => false,
        };
        if refused {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
        }
    }
}

impl ConsumerContext for Told {}

/// The word for a number of syslog's.
pub(crate) fn level(number: i32) -> RDKafkaLogLevel {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    let levels = [Emerg, Alert, Critical, Error, Warning, Notice, Info];
    usize::try_from(number).ok().and_then(|number| levels.get(number).copied()).unwrap_or(Debug)
}

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
