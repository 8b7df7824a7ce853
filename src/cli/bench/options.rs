//! The flags of the bench, and what they come to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use runtime::EngineConfig;

use super::data::{Data, Identity};
use super::latency::Pace;
use super::sources::{Places, Script};
use super::{queries, sources};
use crate::cli::{Failure, duration, files, memory, properties, run};

/// The data of the tables of figures: so many events, so many changes.
const EVENTS: u64 = 2_000_000;
const CHANGES: u64 = 1_040_000;

/// From where the data are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SourceKind {
    /// The memory of this process.
    Memory,
    /// The embedded log.
    Log,
    /// A Kafka cluster.
    Kafka,
}

/// Where the result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SinkKind {
    /// Nowhere: its rows are counted.
    Counting,
    /// A topic of the embedded log, in the transaction of each epoch.
    Log,
    /// A topic of the Kafka cluster, in the transaction of each epoch.
    Kafka,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A listed query: q0, q1, q3, q4, q5s, q7, cdc, cdc-default; with --sql, any name.
    #[arg(value_name = "NAME")]
    name: String,
    /// How many events are generated: of auctions, persons and bids [default: 2000000], or of orders and customers [default:
    /// 1040000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    events: Option<u64>,
    /// From where the data are read.
    #[arg(long, value_enum, default_value = "log")]
    source: SourceKind,
    /// Where the result goes.
    #[arg(long, value_enum, default_value = "counting")]
    sink: SinkKind,
    /// A query of your own: a SELECT over person, auction, bid, orders, customers.
    #[arg(long, value_name = "FILE")]
    sql: Option<PathBuf>,
    /// Which old rows the changes of orders and customers have [default: that of the listed query, else full].
    #[arg(long, value_enum)]
    identity: Option<Identity>,
    /// Instead of as fast as it can, so many events a second; measures how long each is on its way to a reader of the sink.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,
    /// For how long, with --rate.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Threads that process epochs.
    #[arg(long, value_name = "W", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// The most memory that may be taken: 256MB [default: as millstream run].
    #[arg(long, value_name = "SIZE", value_parser = memory::size)]
    memory: Option<u64>,
    /// One JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
    /// Kafka's brokers, host:port[,host:port...].
    #[arg(long, value_name = "BROKERS")]
    brokers: Option<String>,
    /// A property of the Kafka client, by librdkafka's name; also several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = properties::property)]
    kafka_property: Vec<(String, String)>,
    /// How long after its first record an epoch closes.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration::duration)]
    epoch_interval: Duration,
    /// How often the state is stored, if it has changed; besides, it is stored at the end.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::positive)]
    checkpoint_interval: Duration,
    /// An empty folder for the state and the log, which are kept [default: one that is deleted].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Run nothing: write the data of the query as JSON lines into a folder, for confirm.py and the peers.
    #[arg(long, value_name = "DIR")]
    pub lines: Option<PathBuf>,
    /// Fill the log and end: what the bench does in a process of its own.
    #[arg(long, value_name = "DIR", hide = true)]
    pub load: Option<PathBuf>,
}

/// What is to be run.
#[derive(Debug)]
pub(super) struct Settings {
    pub name: String,
    pub source: SourceKind,
    pub sink: SinkKind,
    pub data: Data,
    pub places: Places,
    pub script: Script,
    /// How fast the events come; `None`: they are there.
    pub pace: Option<Pace>,
    pub engine: EngineConfig,
    pub workers: u32,
    /// The most memory that may be taken.
    pub memory: u64,
    pub kafka_properties: BTreeMap<String, String>,
}

impl SourceKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Log => "log",
            Self::Kafka => "kafka",
        }
    }
}

impl SinkKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Log => "log",
            Self::Kafka => "kafka",
        }
    }
}

/// What the flags come to; those that cannot be had are refused.
pub(super) fn settings(args: &Args) -> Result<Settings, Failure> {
    refuse(args)?;
    let (query, identity) = query(args)?;
    let data = Data { events: args.events.unwrap_or(EVENTS), changes: args.events.unwrap_or(CHANGES), identity };
    // A pipeline of its own for each run: an epoch topic belongs to one data folder.
    let pipeline = format!("bench-{}", uuid::Uuid::new_v4().simple());
    let on_kafka = args.source == SourceKind::Kafka;
    let places = Places {
        connector: if on_kafka { "kafka" } else { "log" },
        data,
        prefix: if args.rate.is_some() { pipeline.clone() } else { "bench".to_string() },
        sink: (args.sink != SinkKind::Counting).then(|| format!("{pipeline}.result")),
    };
    let script = sources::script(&query, &places)?;
    if args.rate.is_some() && !script.has_time {
        return Err(Failure::usage(
            "--rate: the result has no column \"dateTime\", by which a reader knows when its event began; give it, as \
             max(\"dateTime\") AS \"dateTime\" of a group",
        ));
    }
    let engine = EngineConfig {
        pipeline,
        epoch_interval: args.epoch_interval,
        epoch_rows_max: run::EPOCH_ROWS_MAX,
        checkpoint_interval: args.checkpoint_interval,
        checkpoints_kept: 2,
        brokers: args.brokers.clone().filter(|_| on_kafka),
    };
    Ok(Settings {
        name: args.name.clone(),
        source: args.source,
        sink: args.sink,
        data,
        script,
        places,
        pace: args.rate.map(|rate| Pace { rate, time: Duration::from_secs(args.seconds) }),
        engine,
        workers: args.workers,
        memory: args.memory.unwrap_or_else(memory::by_default),
        kafka_properties: properties::resolve(&args.kafka_property)?,
    })
}

fn refuse(args: &Args) -> Result<(), Failure> {
    let on_kafka = args.source == SourceKind::Kafka;
    if on_kafka && args.brokers.is_none() {
        return Err(Failure::usage("--source kafka needs a cluster: give --brokers HOST:PORT"));
    }
    if !on_kafka && (args.brokers.is_some() || !args.kafka_property.is_empty()) {
        return Err(Failure::usage(
            "--brokers and --kafka-property are for --source kafka: give it, or leave them out",
        ));
    }
    if args.sink != SinkKind::Counting && (args.sink == SinkKind::Kafka) != on_kafka {
        return Err(Failure::usage(
            "a sink's topic is in the log that the sources are read from: --sink kafka goes with --source kafka, --sink log with \
             the others",
        ));
    }
    if args.rate.is_some() && (args.source == SourceKind::Memory || args.sink == SinkKind::Counting) {
        return Err(Failure::usage(
            "--rate measures from the append of an event to a reader of the sink's topic: it needs --sink log, or --source kafka \
             with --sink kafka",
        ));
    }
    Ok(())
}

/// The query's text, and which old rows its changes have.
fn query(args: &Args) -> Result<(String, Identity), Failure> {
    let listed = queries::listed(&args.name);
    let (text, identity) = match (&args.sql, listed) {
        (Some(path), listed) => {
            let file = files::read(std::slice::from_ref(path))?;
            let text = file.into_iter().map(|file| file.text).collect::<String>();
            (text, listed.map(|(_, identity)| identity))
        }
        (None, Some((text, identity))) => (text.to_string(), Some(identity)),
        (None, None) => {
            return Err(Failure::usage(format!(
                "there is no query \"{}\"; the listed ones are {}; one of your own: --sql FILE",
                args.name,
                queries::names()
            )));
        }
    };
    Ok((text, args.identity.or(identity).unwrap_or(Identity::Full)))
}
