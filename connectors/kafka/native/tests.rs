#![allow(clippy::unwrap_used)]
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};

use super::*;

/// Nobody listens there: nothing is ever heard.
fn alone() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", "127.0.0.1:9")
        .set("group.id", "g")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    config
}

/// The processor time of this thread, in ticks of 10 ms.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Waits half a second in parts of a millisecond at most, and asks how much of that was spent.
fn does_not_spin(wait: &mut dyn FnMut(Duration)) {
    let (begun, before) = (Instant::now(), ticks());
    while begun.elapsed() < Duration::from_millis(500) {
        wait(Duration::from_micros(900));
    }
    let spent = ticks() - before;
    assert!(spent < 25, "{spent} ticks of 10 ms were spent in waiting for half a second");
}

#[test]
fn who_waits_for_reports_does_not_spin() {
    let producer: BaseProducer = alone().create().unwrap();
    does_not_spin(&mut |wait| hear(producer.client(), wait, &mut |_, _| {}));
}

#[test]
fn who_waits_for_records_does_not_spin() {
    let consumer: BaseConsumer = alone().create().unwrap();
    let queue = Queue::of(consumer.client());
    does_not_spin(&mut |wait| drop(queue.meet(consumer.client(), wait, |_| {})));
}

#[test]
fn a_wait_is_no_shorter_than_it_was_asked_for() {
    let ms = |nanos| whole_ms(Duration::from_nanos(nanos));
    assert_eq!((ms(0), ms(1), ms(999_999), ms(1_000_000), ms(1_000_001)), (0, 1, 1, 1, 2));
}
