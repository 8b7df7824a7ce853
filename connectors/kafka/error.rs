//! Kafka's error codes, by what can be done about them.

use api::LogError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The code in an error. rdkafka's own accessor leaves out those of admin calls.
pub(crate) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) | KafkaError::MessageConsumptionFatal(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// There is no such topic, or no such partition of it.
pub(crate) fn is_missing(code: Code) -> bool {
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::UnknownTopicId)
}

/// Another producer with our transactional id has begun.
pub(crate) fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

fn is_setup(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SSL
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SecurityDisabled
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::DelegationTokenAuthorizationFailed
            | Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidReplicaAssignment
            | Code::InvalidConfig
            | Code::InvalidTransactionTimeout
            | Code::PolicyViolation
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::InvalidArgument
    )
}

fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::BrokerDestroy
            | Code::DestroyBroker
            | Code::Resolve
            | Code::MessageTimedOut
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::WaitCache
            | Code::NodeUpdate
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::Retry
            | Code::QueueFull
            | Code::UnknownBroker
            | Code::PurgeQueue
            | Code::PurgeInflight
            | Code::ISRInsufficient
            | Code::InvalidMessage
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::ConcurrentTransactions
            | Code::TransactionCoordinatorFenced
            | Code::KafkaStorageError
            | Code::ListenerNotFound
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::EligibleLeadersNotAvailable
            | Code::ThrottlingQuotaExceeded
            | Code::RebootstrapRequired
    )
}

/// What a failed call on a topic (or on none, "") means to the caller.
pub(crate) fn log_error(doing: &str, topic: &str, error: &KafkaError) -> LogError {
    let text = format!("cannot {doing}: {error}");
    match code(error) {
        Some(code) if is_missing(code) && !topic.is_empty() => LogError::NoTopic(topic.into()),
        Some(code) if is_fenced(code) => LogError::Fenced(error.to_string()),
        Some(code) if is_setup(code) => LogError::Unusable(text),
        Some(code) if is_passing(code) => LogError::Retriable(text),
        None if matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)) => {
            LogError::Unusable(text)
        }
        None if matches!(error, KafkaError::Canceled) => LogError::Retriable(text),
        _ => LogError::Fatal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_what_can_be_done() {
        let of = |code| log_error("do it", "t", &KafkaError::MetadataFetch(code));
        assert!(matches!(of(Code::UnknownTopicOrPartition), LogError::NoTopic(t) if t == "t"));
        assert!(matches!(of(Code::AllBrokersDown), LogError::Retriable(_)));
        assert!(matches!(of(Code::TopicAuthorizationFailed), LogError::Unusable(_)));
        assert!(matches!(of(Code::Fenced), LogError::Fenced(_)));
        assert!(matches!(of(Code::BadCompression), LogError::Fatal(_)));
        // rdkafka gives no code for it.
        let admin = KafkaError::AdminOp(Code::RequestTimedOut);
        assert!(matches!(log_error("do it", "", &admin), LogError::Retriable(_)));
    }
}
