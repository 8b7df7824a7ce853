//! Kafka as a [`Log`](api::Log): the production log.
//!
//! Reading is `read_committed` from offsets that we assign; a position is never stored in Kafka, and one that is not
//! there is an error, never a jump. Writing is one transactional producer per pipeline, whose id fences every older
//! process. All of it is synchronous: librdkafka has its own threads, and a commit blocks the thread that calls it.
//!
//! | file | what it is |
//! |---|---|
//! | `config` | what a user sets, and the settings of each client made from it |
//! | `log` | the log itself; `meta` (what topics hold) and `admin` (making, trimming) beside it |
//! | `client` | the consumers that readers have, of their own or together |
//! | `sight` | what partitions held a moment ago, asked for together |
//! | `reader` | many partitions (`assigned`); `batch` gathers its records, `probe` finds out whether a tail holds anything |
//! | `group` | the consumer group's offsets, told for tools that watch them |
//! | `native` | what librdkafka does for many records at once: the only unsafe code |
//! | `writer` | transactions; `sender` sends and collects delivery reports (`round`, `windows`), `verdict` decides what a failure means |
//! | `patience` | what a broker says that will pass is asked again |
//! | `leaving` | clients that are closed beside whoever has used them |
//! | `error`, `context` | error codes by what can be done about them; librdkafka's own log lines |

mod admin;
mod assigned;
mod batch;
mod client;
mod config;
mod context;
mod error;
mod group;
mod leaving;
mod log;
mod meta;
mod native;
mod patience;
mod probe;
mod reader;
mod round;
mod sender;
mod sight;
mod verdict;
mod windows;
mod writer;

pub use config::KafkaConfig;
pub use log::KafkaLog;

#[cfg(test)]
mod against_kafka;
