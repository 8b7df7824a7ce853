//! GET /topics/T: what a topic holds now, as JSON lines, in a stream: never more of it in memory than a few chunks.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use api::{Log, LogError, Reader, TopicPartition};
use bytes::Bytes;
use http_body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use zset::{Offset, Partition};

use crate::error::HttpError;
use crate::line;

/// Records asked for at once.
const POLL_RECORDS_MAX: usize = 1000;
/// How long a poll waits for the first.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How long a broker may be away before the answer is given up.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Chunks that may wait for the client.
const CHUNKS_MAX: usize = 4;

/// What to read.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadOptions {
    /// One partition; else all of them, one after another.
    pub partition: Option<i32>,
    /// The first offset; else the first there is.
    pub from: Option<i64>,
    /// The most records; else all up to the end that is there when the request comes.
    pub max: Option<u64>,
}

/// A partition and the offsets to read of it.
#[derive(Debug)]
pub(crate) struct Part {
    at: TopicPartition,
    from: Offset,
    end: Offset,
}

/// What a request comes to, or why it cannot be answered.
pub(crate) fn parts(log: &dyn Log, topic: &str, options: &ReadOptions) -> Result<Vec<Part>, HttpError> {
    let info = log.topic(topic)?.ok_or_else(|| LogError::NoTopic(topic.to_string()))?;
    if options.from.is_some() && options.partition.is_none() && info.partitions > 1 {
        return Err(HttpError::bad_request(format!(
            "from is an offset of one partition, and topic \"{topic}\" has {}; name it: partition=N (-p N)",
            info.partitions
        )));
    }
    let partitions = match options.partition {
        None => 0..info.partitions as i32,
        Some(one) if (0..info.partitions as i32).contains(&one) => one..one + 1,
        Some(other) => {
            let last = info.partitions.saturating_sub(1);
            let message = format!("topic \"{topic}\" has no partition {other}; it has 0 to {last}");
            return Err(HttpError::bad_request(message));
        }
    };
    partitions.map(|partition| part(log, topic, Partition(partition), options.from)).collect()
}

fn part(log: &dyn Log, topic: &str, partition: Partition, from: Option<i64>) -> Result<Part, HttpError> {
    let at = TopicPartition { topic: topic.into(), partition };
    let bounds = log.bounds(&at)?;
    let from = from.map_or(bounds.low, Offset);
    if from < bounds.low || from > bounds.high {
        let (topic, low, high) = (topic.to_string(), bounds.low, bounds.high);
        return Err(LogError::OutOfRange { topic, partition, offset: from, low, high }.into());
    }
    Ok(Part { at, from, end: bounds.high })
}

/// Lines on their way to a client.
pub(crate) struct Lines(Receiver<Result<Bytes, std::io::Error>>);

/// The sending end of [`Lines`].
pub(crate) type LinesIn = Sender<Result<Bytes, std::io::Error>>;

impl Lines {
    #[cfg(test)]
    pub fn blocking_recv(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        self.0.blocking_recv()
    }

    pub fn new() -> (LinesIn, Self) {
        let (sender, receiver) = channel(CHUNKS_MAX);
        (sender, Self(receiver))
    }
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// Reads and sends; blocking. An error cuts the answer off, so that nobody takes it for the whole.
pub(crate) fn send(log: &dyn Log, parts: &[Part], max: Option<u64>, out: &LinesIn) {
    let mut left = max.unwrap_or(u64::MAX);
    let sent = log.reader(&Default::default()).and_then(|mut reader| {
        for part in parts {
            if !send_part(&mut *reader, part, &mut left, out)? {
                break;
            }
        }
        Ok(())
    });
    if let Err(error) = sent {
        tracing::warn!("an answer of /topics was cut off: {error}");
        // The client may be gone by now.
        let _ = out.blocking_send(Err(std::io::Error::other(error.to_string())));
    }
}

/// False: nobody wants more.
fn send_part(reader: &mut dyn Reader, part: &Part, left: &mut u64, out: &LinesIn) -> Result<bool, LogError> {
    if part.from >= part.end || *left == 0 {
        return Ok(*left > 0);
    }
    reader.assign(&part.at, part.from)?;
    let mut since = Instant::now();
    loop {
        let records = match reader.poll(POLL_RECORDS_MAX, POLL_WAIT) {
            Ok(records) => records,
            Err(LogError::Retriable(_)) if since.elapsed() < RETRY_MAX => continue,
            Err(error) => return Err(error),
        };
        let mut lines = Vec::new();
        let mut done = false;
        for record in &records {
            done = record.offset >= part.end || *left == 0;
            if done {
                break;
            }
            *left -= 1;
            line::write(record, &mut lines);
            since = Instant::now();
            done = record.offset.0 + 1 >= part.end.0;
        }
        if !lines.is_empty() && out.blocking_send(Ok(lines.into())).is_err() {
            return Ok(false);
        }
        // The last entry of a transactional log is never delivered: only the reader knows that it has met the end.
        if done || *left == 0 || reader.at_end(&part.at)? {
            break;
        }
    }
    reader.unassign(&part.at)?;
    Ok(*left > 0)
}
