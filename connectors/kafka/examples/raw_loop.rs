//! What the client library costs by itself, as the bindings for Rust offer it: the limit that `bench --source kafka --sink kafka` is
//! measured against.
//!
//!     cargo run --release -p millstream-kafka --example raw_loop -- BROKERS TOPIC RECORDS          # consumes partition 0 from its beginning
//!     cargo run --release -p millstream-kafka --example raw_loop -- BROKERS TOPIC RECORDS OUT      # and writes it to OUT, in transactions of 50 ms
//!
//! No work is done on the records. The clock starts with the first record; CPU time is that of the whole process since then.

use std::error::Error;
use std::time::{Duration, Instant};

use api::{Log, TopicKind, TopicSpec};
use kafka::{KafkaConfig, KafkaLog};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const TRANSACTION: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (brokers, topic, records, out) = match args.as_slice() {
        [brokers, topic, records] => (brokers, topic, records.parse::<u64>()?, None),
        [brokers, topic, records, out] => (brokers, topic, records.parse()?, Some(out)),
        _ => return Err("usage: raw_loop BROKERS TOPIC RECORDS [OUT]".into()),
    };
    let consumer = consumer(brokers, topic)?;
    let producer = out.map(|out| producer(brokers, out)).transpose()?;
    let (mut count, mut bytes, mut transactions) = (0, 0, 0);
    let (mut begun, mut cpu, mut opened) = (Instant::now(), cpu_seconds()?, Instant::now());
    while count < records {
        let message = match consumer.poll(Duration::from_millis(100)) {
            Some(message) => message?,
            None => continue,
        };
        if count == 0 {
            (begun, cpu, opened) = (Instant::now(), cpu_seconds()?, Instant::now());
        }
        count += 1;
        bytes += message.payload_len();
        let (Some(producer), Some(out)) = (&producer, out) else { continue };
        send(producer, out, &message)?;
        if count % 1000 == 0 {
            producer.poll(Duration::ZERO);
            if opened.elapsed() > TRANSACTION {
                commit(producer)?;
                producer.begin_transaction()?;
                (opened, transactions) = (Instant::now(), transactions + 1);
            }
        }
    }
    if let Some(producer) = &producer {
        commit(producer)?;
    }
    let (cpu, seconds) = (cpu_seconds()? - cpu, begun.elapsed().as_secs_f64());
    println!(
        "{count} records, {} MiB, {transactions} transactions: {cpu:.2} CPU-seconds, {seconds:.2} s, {:.0} thousand records per CPU-second",
        bytes >> 20,
        count as f64 / cpu / 1000.0
    );
    Ok(())
}

fn consumer(brokers: &str, topic: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let settings = [
        ("group.id", "raw-loop"),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "error"),
    ];
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in settings {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create()?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&from)?;
    Ok(consumer)
}

fn producer(brokers: &str, out: &str) -> Result<BaseProducer, Box<dyn Error>> {
    let log = KafkaConfig { brokers: brokers.into(), pipeline: "raw-loop".into(), properties: Default::default() };
    let spec = TopicSpec { topic: out.into(), partitions: 1, replication: None, kind: TopicKind::Plain };
    KafkaLog::connect(&log)?.make_topic(&spec)?;
    let settings = [
        ("transactional.id", "raw-loop"),
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("batch.num.messages", "100000"),
        ("queue.buffering.max.messages", "1000000"),
    ];
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in settings {
        config.set(name, value);
    }
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    Ok(producer)
}

fn send(producer: &BaseProducer, out: &str, message: &impl Message) -> Result<(), KafkaError> {
    let mut record = BaseRecord::<[u8], [u8]>::to(out).partition(0);
    record.key = message.key();
    record.payload = message.payload();
    loop {
        record = match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), again)) => again,
            Err((error, _)) => return Err(error),
        };
        producer.poll(Duration::from_millis(1));
    }
}

/// All reports are taken first: a commit waits for that.
fn commit(producer: &BaseProducer) -> Result<(), KafkaError> {
    producer.flush(PATIENCE)?;
    producer.commit_transaction(PATIENCE)
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| {
        fields.get(at).ok_or("no such field in /proc/self/stat")?.parse::<f64>().map_err(Box::<dyn Error>::from)
    };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
