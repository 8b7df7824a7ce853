//! What a user sets, and the settings of each librdkafka client made from it.
//!
//! A user's properties win over our defaults, except those that exactness stands on: these are refused.

use std::collections::BTreeMap;
use std::fmt;

use api::LogError;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Where Kafka is, and as whom we use it.
#[derive(Clone)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// The pipeline's name: `transactional.id` and `group.id`.
    pub pipeline: String,
    /// librdkafka's properties, for all clients: `security.protocol`, `sasl.username`, ...
    pub properties: BTreeMap<String, String>,
}

/// Properties may hold passwords: only their names are shown.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("pipeline", &self.pipeline)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Properties that are ours, with the reason.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "it is given by --kafka"),
    ("metadata.broker.list", "the brokers are given by --kafka"),
    ("transactional.id", "it is the pipeline's name, which fences a second process"),
    ("group.id", "it is the pipeline's name"),
    ("isolation.level", "only committed records are read"),
    ("enable.auto.commit", "positions are kept in the epoch topic"),
    ("enable.auto.offset.store", "positions are kept in the epoch topic"),
    ("auto.offset.reset", "a lost position is an error, never a jump"),
    ("enable.partition.eof", "the end of a partition is found by it"),
    ("enable.idempotence", "without it records may be doubled"),
    ("acks", "without acks=all records may be lost"),
    ("request.required.acks", "without acks=all records may be lost"),
    ("allow.auto.create.topics", "topics are made with the right settings or not at all"),
    ("enable.gapless.guarantee", "transactions decide what is visible"),
];

/// Properties that a statement cannot set: they are for whoever starts the process.
const STARTERS: &[(&str, &str)] = &[
    ("plugin.library.paths", "it loads code into this process"),
    ("ssl.engine.location", "it loads code into this process"),
    ("ssl.providers", "it loads code into this process"),
    ("sasl.kerberos.kinit.cmd", "it runs a command on this machine"),
];

/// For every client. Reconnecting is quick, because epochs wait for it.
const COMMON: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("log.connection.close", "false"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
];

const READ: &[(&str, &str)] = &[
    ("isolation.level", "read_committed"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("check.crcs", "true"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    // The default, a second, would let a full queue run dry before it is filled again.
    ("fetch.queue.backoff.ms", "5"),
    // Memory stays bounded when nobody polls: these are for all partitions of a reader together, what waits and what comes with one
    // answer. A record that is larger comes all the same.
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.max.bytes", "8388608"),
];

const WRITE: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.type", "lz4"),
    ("linger.ms", "1"),
    ("queue.buffering.max.messages", "1000000"),
    // Whoever sends waits when this is full. Twice the largest record: a larger one than this would never go.
    ("queue.buffering.max.kbytes", "131072"),
    ("batch.size", "1000000"),
    // How large a record may be is for the topic to say; a request above the broker's 100 MB would only be cut off.
    ("message.max.bytes", "67108864"),
];

/// How long an answer of the group's coordinator is waited for: positions are only told.
const GROUP: &[(&str, &str)] = &[("coordinator.query.interval.ms", "5000"), ("socket.timeout.ms", "10000")];

/// A transaction that was begun and not ended is aborted by the broker after this; it ends sooner when we start again. Brokers that
/// are away for less than this find it as it was. (What a broker allows is 15 min, unless it is set otherwise.)
const TRANSACTION_TIMEOUT: (&str, &str) = ("transaction.timeout.ms", "300000");

impl KafkaConfig {
    /// Refuses what cannot work, before any connection.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.brokers.trim().is_empty() {
            return Err(LogError::Unusable("no Kafka brokers are given: name them as host:port".into()));
        }
        if self.pipeline.is_empty() {
            return Err(LogError::Unusable("the pipeline has no name: it names everything in Kafka".into()));
        }
        refuse(&self.properties, OURS)
    }

    /// The same with more properties, those of a table's reader.
    pub(crate) fn with(&self, properties: &BTreeMap<String, String>) -> Result<Self, LogError> {
        refuse(properties, OURS)?;
        refuse(properties, STARTERS)?;
        let mut all = self.clone();
        all.properties.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(all)
    }

    fn client(&self, groups: &[&[(&str, &str)]]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in groups.iter().copied().flatten() {
            config.set(*name, *value);
        }
        config.set("client.id", format!("millstream-{}", self.pipeline));
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// A consumer that is only asked what topics hold.
    pub(crate) fn meta(&self) -> ClientConfig {
        self.client(&[COMMON, READ])
    }

    /// A consumer that reads. librdkafka demands a group for it; no member ever joins that group.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.client(&[COMMON, READ]);
        config.set("group.id", &self.pipeline);
        config
    }

    /// The same for many readers. A partition that is assigned, or whose queue has room again, waits for the answer that is on its
    /// way: so long at most, in which nobody takes as much as a queue holds.
    pub(crate) fn shared(&self) -> ClientConfig {
        let mut config = self.reader();
        if !self.properties.contains_key("fetch.wait.max.ms") {
            config.set("fetch.wait.max.ms", "200");
        }
        config
    }

    /// A consumer that reads one record, or finds that there is none.
    pub(crate) fn probe(&self) -> ClientConfig {
        let mut config = self.reader();
        config.set("fetch.wait.max.ms", "1");
        config
    }

    /// A consumer that only tells positions.
    pub(crate) fn group(&self) -> ClientConfig {
        let mut config = self.client(&[COMMON, READ, GROUP]);
        config.set("group.id", &self.pipeline);
        config
    }

    /// A client for making topics and the like.
    pub(crate) fn admin(&self) -> ClientConfig {
        self.client(&[COMMON])
    }

    /// The producer of transactions.
    pub(crate) fn transactional(&self) -> ClientConfig {
        let mut config = self.client(&[COMMON, WRITE, &[TRANSACTION_TIMEOUT]]);
        config.set("transactional.id", &self.pipeline);
        config
    }

    /// A producer without transactions.
    pub(crate) fn plain(&self) -> ClientConfig {
        self.client(&[COMMON, WRITE, &[("message.timeout.ms", "30000")]])
    }
}

fn refuse(properties: &BTreeMap<String, String>, refused: &[(&str, &str)]) -> Result<(), LogError> {
    match refused.iter().find(|(name, _)| properties.contains_key(*name)) {
        None => Ok(()),
        Some((name, reason)) => {
            Err(LogError::Unusable(format!("the Kafka property {name} cannot be set: {reason}; take it out")))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Of brokers that are not there.
    pub(crate) fn config(properties: &[(&str, &str)]) -> KafkaConfig {
        let properties = properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        KafkaConfig { brokers: "127.0.0.1:9".into(), pipeline: "p".into(), properties }
    }

    #[test]
    fn properties_that_exactness_stands_on_are_refused() {
        for name in ["isolation.level", "enable.auto.commit", "acks", "auto.offset.reset", "transactional.id"] {
            let error = config(&[(name, "x")]).check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        config(&[("security.protocol", "ssl")]).check().unwrap();
    }

    #[test]
    fn a_table_sets_what_neither_breaks_reading_nor_runs_code() {
        let with = |name: &str| config(&[]).with(&[(name.to_string(), "x".to_string())].into()).map(|_| ());
        for name in ["isolation.level", "group.id", "enable.partition.eof", "bootstrap.servers", "enable.idempotence"] {
            let error = with(name).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("take it out"), "{error}");
        }
        for name in ["plugin.library.paths", "sasl.kerberos.kinit.cmd"] {
            assert!(with(name).unwrap_err().to_string().contains(name));
        }
        let table = config(&[("client.id", "all"), ("fetch.max.bytes", "1")]);
        let table = table.with(&[("fetch.max.bytes".to_string(), "2".to_string())].into()).unwrap();
        assert_eq!(table.reader().get("fetch.max.bytes"), Some("2"), "the table's own wins");
        assert_eq!(table.reader().get("client.id"), Some("all"));
    }

    #[test]
    fn a_user_sets_the_rest() {
        let config = config(&[("linger.ms", "20"), ("transaction.timeout.ms", "5000")]);
        let producer = config.transactional();
        assert_eq!(producer.get("linger.ms"), Some("20"));
        assert_eq!(producer.get("transaction.timeout.ms"), Some("5000"));
        assert_eq!(producer.get("transactional.id"), Some("p"));
        assert_eq!(config.reader().get("isolation.level"), Some("read_committed"));
    }

    /// What a client holds is bounded, and no less than it needs: the largest record must fit.
    #[test]
    fn what_clients_hold_is_bounded() {
        let number = |client: &ClientConfig, name: &str| client.get(name).unwrap().parse::<u64>().unwrap();
        let (reader, writer) = (config(&[]).reader(), config(&[]).transactional());
        assert!(number(&reader, "queued.max.messages.kbytes") * 1024 + number(&reader, "fetch.max.bytes") <= 24 << 20);
        let held = number(&writer, "queue.buffering.max.kbytes") * 1024;
        assert!(number(&writer, "message.max.bytes") * 2 <= held && held <= 128 << 20);
    }

    #[test]
    fn a_password_is_not_printed() {
        let text = format!("{:?}", config(&[("sasl.password", "secret")]));
        assert!(text.contains("sasl.password") && !text.contains("secret"), "{text}");
    }
}
