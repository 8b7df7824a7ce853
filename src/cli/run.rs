//! `millstream run`: a pipeline until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use fault::Failpoints;
use runtime::{EngineConfig, Shared};

use super::process::{Process, Settings};
use super::{Failure, duration, files, memory, postgres, properties, tls, workers};

/// An epoch closes when it has so many records.
pub(super) const EPOCH_ROWS_MAX: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A TOML file with settings: the names of the flags, under flags and environment.
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_CONFIG")]
    config: Option<PathBuf>,
    /// The data folder: made if missing; belongs to one pipeline on one log.
    #[arg(long, value_name = "DIR", env = "MILLSTREAM_DATA")]
    data: PathBuf,
    #[command(flatten)]
    log: properties::Kafka,
    /// The pipeline's name: it names everything in Kafka.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "millstream",
        env = "MILLSTREAM_PIPELINE",
        value_parser = pipeline,
    )]
    pipeline: String,
    #[command(flatten)]
    pg: postgres::Args,
    /// Where HTTP listens; port 0: any free one, said in the ready line.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9464", env = "MILLSTREAM_HTTP_LISTEN")]
    http_listen: String,
    #[command(flatten)]
    tls: tls::Args,
    /// How long after its first record an epoch closes; it grows longer while another one is being committed.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "50ms",
        env = "MILLSTREAM_EPOCH_INTERVAL",
        value_parser = duration::duration,
    )]
    epoch_interval: Duration,
    /// How often the state is stored, if it has changed.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        env = "MILLSTREAM_CHECKPOINT_INTERVAL",
        value_parser = duration::positive,
    )]
    checkpoint_interval: Duration,
    /// How many checkpoints are kept.
    #[arg(
        long,
        value_name = "N",
        default_value = "2",
        env = "MILLSTREAM_CHECKPOINTS_KEPT",
        value_parser = clap::value_parser!(u32).range(1..=1000),
    )]
    checkpoints_kept: u32,
    /// How much memory may be taken: 512MB, 4GB [default: 60 % of the machine's, or of its cgroup's limit]. State that does not fit is read from disk
    #[arg(long, value_name = "SIZE", env = "MILLSTREAM_MEMORY_LIMIT", value_parser = memory::size)]
    memory_limit: Option<u64>,
    /// Threads that process epochs, 1 to 64 [default: half of the cores that it may use, 1 to 8].
    #[arg(
        long,
        value_name = "N",
        env = "MILLSTREAM_WORKERS",
        value_parser = clap::value_parser!(u32).range(1..=64),
    )]
    workers: Option<u32>,
    /// SQL files, applied in the order given; of folders the files *.sql by name. Only CREATE and SET.
    #[arg(value_name = "FILE.sql | FOLDER")]
    files: Vec<PathBuf>,
}

/// Where failpoints are set.
const FAILPOINTS: &str = "MILLSTREAM_FAILPOINTS";

/// A name that topics can begin with.
fn pipeline(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=200).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(name.to_string());
    }
    Err("it begins the names of topics: 1 to 200 letters, digits, '.', '_' and '-'".to_string())
}

/// Runs the pipeline.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    if let Some(path) = &args.config {
        tracing::info!("settings of {}, under the flags and the environment", path.display());
    }
    let properties::Kafka { kafka, kafka_property } = args.log;
    if kafka.is_none() && !kafka_property.is_empty() {
        return Err(Failure::usage("--kafka-property is for Kafka: give --kafka as well, or leave it out"));
    }
    let kafka_properties = properties::resolve(&kafka_property)?;
    let files = files::read(&args.files)?;
    let pg = args.pg.settings()?;
    let tls = args.tls.read()?;
    let engine = EngineConfig {
        pipeline: args.pipeline,
        epoch_interval: args.epoch_interval,
        epoch_rows_max: EPOCH_ROWS_MAX,
        checkpoint_interval: args.checkpoint_interval,
        checkpoints_kept: args.checkpoints_kept as usize,
        brokers: kafka.clone(),
    };
    let settings = Settings {
        data: args.data,
        kafka,
        kafka_properties,
        http_listen: vec![args.http_listen],
        pg,
        tls,
        engine,
        memory: args.memory_limit.unwrap_or_else(memory::by_default),
        workers: args.workers.map_or_else(workers::by_default, |workers| workers as usize),
        faults: failpoints()?,
    };
    let faults = settings.faults.clone();
    let ended = Process::start(settings, &files, Shared::ask_to_stop).and_then(|process| {
        process.announce();
        process.join()
    });
    if faults.is_on() {
        let hits: Vec<String> = faults.hits().iter().map(|(name, hits)| format!("{name}={hits}")).collect();
        tracing::info!("failpoints reached: {}", hits.join(" "));
    }
    ended
}

/// Where the process is to fail, by the environment: for tests.
fn failpoints() -> Result<Failpoints, Failure> {
    match std::env::var(FAILPOINTS) {
        Ok(text) if !text.is_empty() => {
            tracing::warn!("{FAILPOINTS} is set: this process fails on purpose");
            Failpoints::parse(&text).map_err(|why| Failure::usage(format!("{FAILPOINTS}: {why}")))
        }
        _ => Ok(Failpoints::default()),
    }
}
