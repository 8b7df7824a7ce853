//! The writer: one transaction per commit.
//!
//! Guarantees: of a commit all records are visible or none; `Ok` means the broker has said so; a new writer of the same
//! pipeline fences this one, for good. Where the outcome is not known it says so and never writes again: a new writer
//! would resolve it, but could also take the pipeline from a process that went on meanwhile, so only a start may do that.

use std::time::{Duration, Instant};

use api::{CommitError, LogError, OutRecord, Writer};
use fault::Failpoints;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use zset::Offset;

use crate::config::KafkaConfig;
use crate::error::{is_fenced, log_error};
use crate::sender::Sender;
use crate::verdict::{self, Verdict};
use crate::windows::Windows;

/// How long a start waits for the brokers, and for older transactions to be resolved.
const INIT: Duration = Duration::from_secs(90);
/// How long a commit asks for its outcome at least.
const COMMIT_MIN: Duration = Duration::from_secs(120);
/// How long an abort is waited for; after that it is finished before the next commit.
const ABORT: Duration = Duration::from_secs(30);
/// The same when there is to be no next commit: a start aborts it.
const ABORT_AT_END: Duration = Duration::from_secs(1);
/// Why a commit is given up that might still come through.
const ASKED: &str = "asked to stop, and the brokers do not answer";

/// Each batch that was refused in a commit may need one.
const MENDED_MAX: u32 = 8;

/// Why this writer writes no more.
#[derive(Clone)]
enum End {
    Fenced(String),
    InDoubt(String),
}

impl End {
    fn error(&self) -> CommitError {
        match self {
            End::Fenced(text) => CommitError::Fenced(text.clone()),
            End::InDoubt(text) => CommitError::InDoubt(text.clone()),
        }
    }
}

/// What follows the first records of a commit, once their offsets are known.
type Rest<'a> = &'a mut dyn FnMut(&[Offset]) -> Vec<OutRecord>;

/// What became of one attempt.
enum Attempt {
    Committed(Vec<Offset>),
    Again,
    Failed(CommitError),
}

pub(crate) struct KafkaWriter {
    sender: Sender,
    windows: Windows,
    /// The broker aborts a transaction that is older than this.
    lifetime: Duration,
    begun: Instant,
    /// How often this commit was begun again for numbers that had got out of step.
    mended: u32,
    /// An abort that no broker has confirmed.
    aborting: bool,
    end: Option<End>,
    faults: Failpoints,
}

impl KafkaWriter {
    /// Fences every older writer, and returns when their transactions are resolved.
    pub(crate) fn open(config: &KafkaConfig, faults: Failpoints) -> Result<Self, LogError> {
        let settings = config.transactional();
        let lifetime = settings.get("transaction.timeout.ms").and_then(|ms| ms.parse().ok()).unwrap_or(300_000);
        let doing = format!("open the producer of pipeline \"{}\"", config.pipeline);
        let mut sender = Sender::open(&settings).map_err(|e| log_error(&doing, "", &e))?;
        let deadline = Instant::now() + INIT;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now()).min(Duration::from_secs(5));
            match sender.producer.init_transactions(wait) {
                Ok(()) => break,
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    sender.serve(Duration::from_millis(1));
                    tracing::info!(target: "kafka", "waiting to {doing}: {error}");
                }
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    let seconds = INIT.as_secs();
                    return Err(LogError::Retriable(format!("cannot {doing} within {seconds} s: {error}")));
                }
                Err(error) => return Err(log_error(&doing, "", &error)),
            }
        }
        let lifetime = Duration::from_millis(lifetime);
        let (windows, begun) = (Windows::default(), Instant::now());
        Ok(Self { sender, windows, lifetime, begun, mended: 0, aborting: false, end: None, faults })
    }

    /// One transaction.
    fn attempt(&mut self, first: &[OutRecord], rest: Rest<'_>) -> Attempt {
        if let Some(failed) = self.missing(first, 0) {
            return Attempt::Failed(failed);
        }
        // Without first records nothing is waited for: what follows is looked at before the transaction begins.
        let early = first.is_empty().then(|| rest(&[]));
        if let Some(records) = &early {
            if records.is_empty() {
                return Attempt::Committed(Vec::new());
            }
            if let Some(failed) = self.missing(records, 0) {
                return Attempt::Failed(failed);
            }
        }
        self.begun = Instant::now();
        if let Err(error) = self.sender.producer.begin_transaction() {
            return Attempt::Failed(self.failed(&error));
        }
        let mut offsets = match self.send(first, 0) {
            Ok(offsets) => offsets,
            Err(attempt) => return attempt,
        };
        let records = early.unwrap_or_else(|| rest(&offsets));
        if let Some(failed) = self.missing(&records, first.len()) {
            let aborted = self.abort("a topic is missing");
            return Attempt::Failed(if matches!(aborted, CommitError::Aborted(_)) { failed } else { aborted });
        }
        match self.send(&records, first.len()) {
            Ok(more) => offsets.extend(more),
            Err(attempt) => return attempt,
        }
        match self.commit_begun() {
            Ok(()) => Attempt::Committed(offsets),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// The refusal of the first record whose topic or partition does not exist. `base` is the place of the first of them in
    /// the commit.
    fn missing(&mut self, records: &[OutRecord], base: usize) -> Option<CommitError> {
        match self.sender.first_missing(records) {
            Ok(None) => None,
            Ok(Some(failure)) => Some(refused(failure.index, failure.code, records, base)),
            Err(error) => Some(CommitError::Aborted(format!("cannot look up its topics: {error}"))),
        }
    }

    /// Sends records in the open transaction, and waits for their offsets. Otherwise the transaction is aborted.
    fn send(&mut self, records: &[OutRecord], base: usize) -> Result<Vec<Offset>, Attempt> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let Some(offsets) = self.sender.send(records, &self.windows) else {
            return Err(self.give_up(records, base));
        };
        let offsets = offsets.into_iter().collect::<Option<Vec<_>>>().filter(|o| o.iter().all(|o| o.0 >= 0));
        // The broker has a record twice and kept one, but does not remember where: once more, to learn the offset.
        offsets.ok_or_else(|| Attempt::Failed(self.abort("an offset was not reported")))
    }

    /// Commits what was sent, and asks until it is known.
    fn commit_begun(&mut self) -> Result<(), CommitError> {
        if let Err(fault) = self.faults.reach("commit-abort") {
            return Err(self.abort(&fault.to_string()));
        }
        // As long as the broker may know it.
        let deadline = self.begun + self.lifetime.max(COMMIT_MIN);
        loop {
            let error = match self.sender.producer.commit_transaction(Duration::from_secs(1)) {
                Ok(()) => {
                    let told = self.faults.reach("commit-doubt");
                    return told.map_err(|fault| self.end_with(End::InDoubt(fault.to_string())));
                }
                Err(error) => error,
            };
            self.sender.serve(Duration::from_millis(1));
            match &error {
                KafkaError::Transaction(e) if e.is_fatal() => return Err(self.failed(&error)),
                KafkaError::Transaction(e) if e.txn_requires_abort() => return Err(self.abort(&e.to_string())),
                KafkaError::Transaction(e) if !e.is_retriable() => {}
                _ if self.sender.is_over() => {
                    return Err(self.end_with(End::InDoubt(format!("{ASKED}: {error}"))));
                }
                _ if Instant::now() < deadline => {
                    tracing::info!(target: "kafka", "waiting for a commit: {error}");
                    continue;
                }
                _ => {}
            }
            return Err(self.end_with(End::InDoubt(error.to_string())));
        }
    }

    /// Aborts, and says which record was to blame, if one was.
    fn give_up(&mut self, records: &[OutRecord], base: usize) -> Attempt {
        // What is wrong with the transaction is told by any call that it does not allow.
        let state = self.sender.producer.begin_transaction().err();
        let (code, text) = match &state {
            Some(error @ KafkaError::Transaction(e)) if e.is_fatal() => return Attempt::Failed(self.failed(error)),
            Some(KafkaError::Transaction(e)) if e.txn_requires_abort() => (Some(e.code()), e.to_string()),
            _ if self.sender.is_over() => (None, ASKED.into()),
            _ => (None, "a record was not written".into()),
        };
        let aborted = self.abort(&text);
        if !matches!(aborted, CommitError::Aborted(_)) || self.aborting || self.sender.is_over() {
            return Attempt::Failed(aborted);
        }
        match verdict::decide(&self.sender.failures(), records) {
            Verdict::Refuse(index, code) => Attempt::Failed(refused(index, code, records, base)),
            Verdict::Narrow(topics) => {
                let narrowed = topics.iter().filter(|topic| self.windows.shrink(topic)).count();
                if narrowed > 0 { Attempt::Again } else { Attempt::Failed(aborted) }
            }
            Verdict::Retry if code.is_some_and(verdict::is_of_a_topic) => self.accuse(records, base, aborted),
            // librdkafka counts the records of a batch that was refused, the broker does not. The abort has mended that.
            Verdict::Retry if code == Some(Code::OutOfOrderSequenceNumber) && self.mended < MENDED_MAX => {
                self.mended += 1;
                Attempt::Again
            }
            Verdict::Retry => Attempt::Failed(aborted),
        }
    }

    /// A topic takes nothing of ours, and it was not said which: each is tried alone, in a transaction that is aborted.
    fn accuse(&mut self, records: &[OutRecord], base: usize, otherwise: CommitError) -> Attempt {
        let mut tried = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if tried.contains(&&record.to) {
                continue;
            }
            tried.push(&record.to);
            if let Err(error) = self.sender.producer.begin_transaction() {
                return Attempt::Failed(self.failed(&error));
            }
            let written = self.sender.send(std::slice::from_ref(record), &self.windows).is_some();
            let state = if written { None } else { self.sender.producer.begin_transaction().err() };
            let aborted = self.abort("trying a topic");
            if !matches!(aborted, CommitError::Aborted(_)) || self.aborting {
                return Attempt::Failed(aborted);
            }
            let code = state.as_ref().and_then(KafkaError::rdkafka_error_code);
            if let Some(code) = code.filter(|code| verdict::is_of_a_topic(*code)) {
                return Attempt::Failed(refused(index, code, records, base));
            }
        }
        Attempt::Failed(otherwise)
    }

    /// Aborts the open transaction. The error to return: `Aborted`, unless the writer is at its end.
    fn abort(&mut self, why: &str) -> CommitError {
        self.aborting = true;
        match self.finish_abort() {
            Some(end) => end,
            None => CommitError::Aborted(why.into()),
        }
    }

    /// Goes on with an abort; it may be left to a later call. The broker can only abort it meanwhile, never commit.
    fn finish_abort(&mut self) -> Option<CommitError> {
        let begun = Instant::now();
        // librdkafka waits for us to take the reports of what it purges: not long, therefore, at first.
        let mut wait = Duration::from_millis(10);
        while self.aborting && begun.elapsed() < if self.sender.is_over() { ABORT_AT_END } else { ABORT } {
            match self.sender.producer.abort_transaction(wait) {
                Ok(()) => self.aborting = false,
                Err(KafkaError::Transaction(e)) if e.is_retriable() || e.txn_requires_abort() => {
                    self.sender.serve(Duration::from_millis(1));
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                Err(error) => return Some(self.failed(&error)),
            }
        }
        None
    }

    /// An error after which this producer does nothing more.
    fn failed(&mut self, error: &KafkaError) -> CommitError {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let fatal = matches!(error, KafkaError::Transaction(e) if e.is_fatal());
        let end = if is_fenced(code) && self.begun.elapsed() < self.lifetime * 9 / 10 {
            End::Fenced(error.to_string())
        } else if is_fenced(code) {
            // The broker aborts a transaction that is too old by fencing its writer: it looks the same from here.
            End::InDoubt(format!(
                "{error}: the transaction was open for {} s, longer than transaction.timeout.ms allows, or another \
                 process runs this pipeline",
                self.begun.elapsed().as_secs()
            ))
        } else if fatal {
            End::InDoubt(error.to_string())
        } else {
            return CommitError::Aborted(error.to_string());
        };
        self.end_with(end)
    }

    fn end_with(&mut self, end: End) -> CommitError {
        let error = end.error();
        self.end = Some(end);
        error
    }
}

/// `base` is the place of the first of the records in the commit.
fn refused(index: usize, code: Code, records: &[OutRecord], base: usize) -> CommitError {
    let record = &records[index];
    CommitError::Refused {
        index: base + index,
        topic: record.to.topic.to_string(),
        reason: verdict::reason(code, record),
    }
}

impl Writer for KafkaWriter {
    fn on_wait(&mut self, may_wait: Box<dyn Fn() -> bool + Send>) {
        self.sender.on_wait(may_wait);
    }

    fn commit(
        &mut self,
        first: &[OutRecord],
        rest: &mut dyn FnMut(&[Offset]) -> Vec<OutRecord>,
    ) -> Result<Vec<Offset>, CommitError> {
        if let Some(end) = &self.end {
            return Err(end.error());
        }
        self.sender.commit_begins();
        if self.aborting {
            if let Some(error) = self.finish_abort() {
                return Err(error);
            }
            if self.aborting {
                return Err(CommitError::Aborted(
                    "the brokers do not answer; the one before is not aborted yet".into(),
                ));
            }
        }
        let windows = self.windows.clone();
        self.mended = 0;
        loop {
            match self.attempt(first, rest) {
                Attempt::Committed(offsets) => return Ok(offsets),
                Attempt::Again => {}
                Attempt::Failed(error) => {
                    // A smaller window is kept only where it helped.
                    self.windows = windows;
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use api::Transport;

    use super::*;
    use crate::KafkaLog;
    use crate::against_kafka::support::{PATIENCE, all, brokers, config, records, topic, unique};

    #[test]
    fn a_transaction_that_the_broker_timed_out_is_a_doubt_not_another_process() {
        let name = unique("timed-out");
        let mut config = config(&brokers(), &name);
        config.properties.insert("transaction.timeout.ms".into(), "5000".into());
        let log = KafkaLog::connect(&config).unwrap();
        let at = topic(&log, &name, 1).remove(0);
        let mut writer = KafkaWriter::open(&config, Failpoints::default()).unwrap();
        writer.begun = Instant::now();
        writer.sender.producer.begin_transaction().unwrap();
        assert_eq!(writer.sender.first_missing(&records(&at, "r", 2)).unwrap(), None);
        writer.sender.send(&records(&at, "r", 2), &writer.windows).unwrap();
        // What its control record says: the broker looks every ten seconds.
        while log.bounds(&at).unwrap().high == Offset(0) {
            assert!(writer.begun.elapsed() < PATIENCE, "the broker does not abort it");
        }
        let error = writer.commit_begun().unwrap_err();
        assert!(matches!(&error, CommitError::InDoubt(why) if why.contains("transaction.timeout.ms")), "{error:?}");
        let again = writer.commit_all(&records(&at, "r", 1)).unwrap_err();
        assert!(matches!(again, CommitError::InDoubt(_)), "{again:?}");
        assert_eq!(all(&log, &at), Vec::<String>::new());
    }
}
