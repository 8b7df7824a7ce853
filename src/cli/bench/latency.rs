//! `--rate N`: how long an event is on its way, from the moment at which its producer is to append it until a reader of committed
//! records has the row that it made.
//!
//! Events are appended in ticks at fixed times, whether the ticks before were done in time or not, so that a pause counts for all
//! who wait in it. Each has the time of its tick, in microseconds since 1970, as its "dateTime"; that column of the result tells
//! the reader when its row began. Producer and reader are threads of this process, so that its CPU time says nothing here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::{Log, OutRecord, Reader, Record, TopicPartition};
use serde_json::{Value, json};
use zset::{Offset, Partition, TimestampMs};

use super::data::{Data, Topic};
use super::load;
use super::pipeline::{End, Pipeline};
use super::sources::Places;
use crate::cli::Failure;

/// How often events are appended.
const TICK: Duration = Duration::from_millis(5);
/// What is on its way before this is not counted.
const WARM_UP: Duration = Duration::from_secs(2);
const POLL_RECORDS_MAX: usize = 16 * 1024;
const POLL: Duration = Duration::from_millis(5);
/// The field that tells when an event began.
const FIELD: &str = "\"dateTime\":";

/// How fast, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Events a second.
    pub rate: u64,
    pub time: Duration,
}

/// Times on the way, in microseconds, in order.
#[derive(Debug)]
pub(super) struct Times(Vec<u64>);

impl Pace {
    /// All events.
    pub fn events(self) -> u64 {
        self.rate * self.time.as_millis() as u64 / 1000
    }

    /// So many are appended up to the end of a tick.
    fn until(self, tick: u32) -> u64 {
        (self.rate * u64::from(tick + 1) * TICK.as_micros() as u64 / 1_000_000).min(self.events())
    }
}

/// Appends events at their pace.
fn produce(log: &dyn Log, data: &Data, topics: &[Topic], places: &Places, pace: Pace) -> Result<(), Failure> {
    // More than enough of each topic: of fifty events one is a person.
    let enough = pace.events() + 2;
    let data = Data { events: enough * 50, changes: enough * 26, ..*data };
    let (begun, begun_us) = (Instant::now(), now_us());
    let (mut tick, mut count, mut batch) = (0, 0, Vec::<OutRecord>::new());
    let mut append = |topic: Topic, key: i64, line: &str| -> Result<bool, Failure> {
        while count == pace.until(tick) {
            log.append(&std::mem::take(&mut batch))?;
            if count == pace.events() {
                return Ok(false);
            }
            tick += 1;
            std::thread::sleep((begun + TICK * tick).saturating_duration_since(Instant::now()));
        }
        let due = begun_us + TICK.as_micros() as u64 * u64::from(tick);
        let timestamp = TimestampMs((due / 1000) as i64);
        batch.push(load::record(&places.topic(topic), topic.key(key), &timed(line, due), timestamp));
        count += 1;
        Ok(true)
    };
    // The generator is ended by a failure that is none.
    let ended = Failure::other("all events are appended");
    let generated = data.generate(topics, &mut |topic, key, line| match append(topic, key, line)? {
        true => Ok(()),
        false => Err(ended.clone()),
    });
    generated.or_else(|failure| if failure == ended { Ok(()) } else { Err(failure) })
}

/// A line with another time in it.
fn timed(line: &str, time: u64) -> String {
    match line.split_once(FIELD) {
        Some((before, rest)) => {
            format!("{before}{FIELD}{time}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_string(),
    }
}

/// Reads a sink's topic until it is told that all is there, and then to its end.
fn consume(log: &Arc<dyn Log>, topic: &str, all_there: &AtomicBool) -> Result<Times, Failure> {
    let at = TopicPartition { topic: topic.into(), partition: Partition(0) };
    let mut reader: Box<dyn Reader> = log.reader(&Default::default())?;
    reader.assign(&at, Offset(0))?;
    let (mut times, counted_from) = (Vec::new(), now_us() + WARM_UP.as_micros() as u64);
    loop {
        let last = all_there.load(Ordering::SeqCst);
        let records = reader.poll(POLL_RECORDS_MAX, POLL)?;
        let now = now_us();
        let begun = records.iter().filter_map(began).filter(|begun| *begun >= counted_from);
        times.extend(begun.map(|begun| now.saturating_sub(begun)));
        if last && records.is_empty() && reader.at_end(&at)? {
            break;
        }
    }
    times.sort_unstable();
    match times.is_empty() {
        false => Ok(Times(times)),
        true => Err(Failure::other(format!(
            "--rate: no row came of an event after the first {} s, which do not count; let --seconds be longer",
            WARM_UP.as_secs()
        ))),
    }
}

/// Appends events at their pace to a pipeline that runs, and reads what comes of them until all of it is there.
pub(super) fn run(
    (log, pipeline): (&Arc<dyn Log>, &Pipeline),
    (data, topics, places): (&Data, &[Topic], &Places),
    (pace, sink): (Pace, &str),
) -> Result<Times, Failure> {
    let all_there = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| consume(log, sink, &all_there));
        let produced = produce(&**log, data, topics, places, pace).and_then(|()| {
            let ends = topics.iter().map(|topic| End::of(&**log, *topic, places)).collect::<Result<Vec<_>, _>>()?;
            pipeline.wait_for(&ends)
        });
        all_there.store(true, Ordering::SeqCst);
        let times = reader.join().map_err(|_| Failure::other("the reader panicked; its message is above"))?;
        produced.and(times)
    })
}

/// When the event of a row began, by its last "dateTime": that of the row after a change.
fn began(record: &Record) -> Option<u64> {
    let value = record.value.as_deref()?;
    let at = value.windows(FIELD.len()).rposition(|window| window == FIELD.as_bytes())? + FIELD.len();
    let digits = value[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number: Option<u64>, digit| {
        Some(number.unwrap_or(0).wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
    })
}

impl Times {
    /// The time that `share` of them do not pass, in milliseconds.
    fn within(&self, share: f64) -> f64 {
        let at = ((self.0.len() as f64 * share) as usize).min(self.0.len() - 1);
        self.0[at] as f64 / 1000.0
    }

    /// How many took at most 1, 2, 4, ... milliseconds, and longer than the step before.
    fn histogram(&self) -> Vec<(u64, usize)> {
        let mut steps = Vec::new();
        let (mut below, mut step_ms) = (0, 1);
        while below < self.0.len() {
            let until = self.0.partition_point(|time| *time <= step_ms * 1000);
            steps.push((step_ms, until - below));
            (below, step_ms) = (until, step_ms * 2);
        }
        steps
    }

    pub fn json(&self) -> Value {
        json!({
            "rows": self.0.len(),
            "p50_ms": self.within(0.5),
            "p90_ms": self.within(0.9),
            "p99_ms": self.within(0.99),
            "p999_ms": self.within(0.999),
            "max_ms": self.within(1.0),
            "histogram_ms": self.histogram(),
        })
    }

    pub fn text(&self) -> String {
        let shares = [("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999), ("100", 1.0)];
        let shares = shares.map(|(name, share)| format!("{name} % {:.1} ms", self.within(share)));
        let widest = self.histogram().iter().map(|(_, count)| *count).max().unwrap_or(1);
        let bar = |(step, count): (u64, usize)| {
            format!("  <= {step:>6} ms {count:>9} {}\n", "#".repeat((count * 50).div_ceil(widest)))
        };
        let bars: String = self.histogram().into_iter().map(bar).collect();
        format!("latency     {} rows: {}\n{bars}", self.0.len(), shares.join(", "))
    }
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_event_carries_its_time_to_the_reader() {
        let line = timed(r#"{"a":1,"dateTime":1700000000000,"extra":"x"}"#, 1_800_000_000_000_001);
        assert_eq!(line, r#"{"a":1,"dateTime":1800000000000001,"extra":"x"}"#);
        let record = |value: &str| {
            let at = TopicPartition { topic: "t".into(), partition: Partition(0) };
            let value = Some(value.to_string().into());
            Record { at, offset: Offset(0), timestamp: TimestampMs(0), key: None, value, headers: Vec::new() }
        };
        assert_eq!(began(&record(&line)), Some(1_800_000_000_000_001));
        let change = r#"{"before":{"dateTime":7},"after":{"dateTime":12},"op":"u"}"#;
        assert_eq!(began(&record(change)), Some(12));
        assert_eq!(began(&record(r#"{"dateTime":null}"#)), None);
    }

    #[test]
    fn shares_and_steps() {
        let times = Times((1..=1000).map(|ms| ms * 1000).collect());
        assert_eq!(times.within(0.5).to_bits(), 501f64.to_bits());
        assert_eq!(times.within(1.0).to_bits(), 1000f64.to_bits());
        let steps = times.histogram();
        assert_eq!(steps[..3], [(1, 1), (2, 1), (4, 2)]);
        assert_eq!(steps.last(), Some(&(1024, 488)));
        assert_eq!(steps.iter().map(|(_, count)| count).sum::<usize>(), 1000);
    }

    #[test]
    fn all_events_are_spread_over_the_ticks() {
        let pace = Pace { rate: 20_000, time: Duration::from_secs(2) };
        assert_eq!((pace.until(0), pace.until(1), pace.until(399)), (100, 200, 40_000));
        assert_eq!(pace.events(), 40_000);
        let slow = Pace { rate: 10, time: Duration::from_secs(1) };
        assert_eq!((slow.until(18), slow.until(19), slow.until(500)), (0, 1, 10));
    }
}
