//! `millstream epochs`: what was decided about every epoch, a line each, and whether the records are a whole chain: numbered
//! without gap, each naming the hash of the one before. The log is only read.
//!
//! An embedded log is in a data folder, which a running process has locked; a topic of Kafka is read beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::Log;
use kafka::{KafkaConfig, KafkaLog};
use local::LocalLog;
use runtime::DataDir;
use runtime::inspect::{self, Links, Names, describe};
use serde_json::json;
use serde_json::value::RawValue;
use zset::{Epoch, Offset};

use super::{Failure, moment, out, properties};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The data folder. With --kafka it may be left out; its checkpoints are compared with the records.
    #[arg(long, value_name = "DIR", env = "MILLSTREAM_DATA", required_unless_present = "kafka")]
    data: Option<PathBuf>,
    /// The first epoch that is shown; all are checked.
    #[arg(long, value_name = "N", default_value = "0")]
    from: u64,
    /// JSON lines: {"offset", "hash", "troubles", "record"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: properties::Kafka,
    /// The pipeline's name; else that of the data folder.
    #[arg(long, value_name = "NAME", env = "MILLSTREAM_PIPELINE")]
    pipeline: Option<String>,
}

/// Does it.
pub(super) fn epochs(args: Args) -> Result<(), Failure> {
    let data = match &args.data {
        // A log of Kafka is there without it.
        Some(data) if args.log.kafka.is_none() => Some(DataDir::existing(data)?),
        other => other.as_deref().filter(|data| DataDir::existing(data).is_ok()),
    };
    let checkpoints = data.map(Checkpoints::read).transpose()?.unwrap_or_default();
    match (&args.log.kafka, data) {
        (Some(brokers), _) => {
            let pipeline = args.pipeline.clone().unwrap_or_else(|| in_folder(data));
            let config = KafkaConfig {
                brokers: brokers.clone(),
                pipeline: pipeline.clone(),
                properties: properties::resolve(&args.log.kafka_property)?,
            };
            show(&KafkaLog::connect(&config)?, &pipeline, &checkpoints, &args)
        }
        (None, Some(data)) => {
            let dir = DataDir::lock(data).map_err(|error| {
                let failure = Failure::from(error);
                let topic = format!("{}.epochs", in_folder(Some(data)));
                let way = format!("a running process shows its records too: millstream topic read {topic}");
                Failure { message: format!("{}; {way}", failure.message), ..failure }
            })?;
            if !dir.log().is_dir() {
                return Err(Failure::other(format!(
                    "there is no embedded log in {}: the pipeline is on Kafka; give --kafka",
                    data.display()
                )));
            }
            let pipeline = args.pipeline.clone().unwrap_or_else(|| in_folder(Some(data)));
            show(&LocalLog::open(&dir.log())?, &pipeline, &checkpoints, &args)
        }
        (None, None) => Err(Failure::usage("give --data, or --kafka and --pipeline")),
    }
}

/// The pipeline that a data folder belongs to.
fn in_folder(data: Option<&Path>) -> String {
    let text = data.and_then(|data| std::fs::read(data.join("identity.json")).ok()).unwrap_or_default();
    let identity: Option<runtime::Identity> = serde_json::from_slice(&text).ok();
    identity.map_or_else(|| "millstream".to_string(), |identity| identity.pipeline)
}

/// What the checkpoints of the folder say of records.
#[derive(Default)]
struct Checkpoints {
    names: Names,
    hashes: BTreeMap<Epoch, String>,
}

impl Checkpoints {
    fn read(data: &Path) -> Result<Self, Failure> {
        let mut checkpoints = Self::default();
        for line in inspect::list(data)? {
            checkpoints.hashes.extend(line.hash.map(|hash| (line.epoch, hash)));
            line.catalog.iter().for_each(|catalog| checkpoints.names.add(catalog));
        }
        Ok(checkpoints)
    }
}

fn show(log: &dyn Log, pipeline: &str, checkpoints: &Checkpoints, args: &Args) -> Result<(), Failure> {
    let (mut links, mut names) = (Links::default(), checkpoints.names.clone());
    let (mut seen, mut broken, mut wrong) = (0u64, Vec::new(), None);
    out(|out| {
        let mut line = |offset: Offset, bytes: &[u8]| -> std::io::Result<()> {
            let looked = links.next(bytes);
            let mut troubles = looked.troubles;
            let epoch = looked.record.as_ref().map(|record| record.epoch);
            if let Some(hash) =
                epoch.and_then(|epoch| checkpoints.hashes.get(&epoch)).filter(|hash| **hash != looked.hash)
            {
                troubles
                    .push(format!("the checkpoint of this epoch was made after record {hash}: it is of another log"));
            }
            seen += 1;
            broken.extend(troubles.iter().map(|trouble| format!("offset {offset}: {trouble}")));
            if let Some(record) = &looked.record {
                names.learn(record);
            }
            if epoch.is_some_and(|epoch| epoch.0 < args.from) && troubles.is_empty() {
                return Ok(());
            }
            if args.json {
                let raw = std::str::from_utf8(bytes).ok().and_then(|text| RawValue::from_string(text.to_string()).ok());
                let told = json!({ "offset": offset.0, "hash": looked.hash, "troubles": troubles });
                let record = raw.as_ref().map_or("null", |raw| raw.get());
                let told = told.to_string();
                return writeln!(out, "{},\"record\":{record}}}", &told[..told.len() - 1]);
            }
            match &looked.record {
                Some(record) => {
                    let told = describe(record, &names);
                    writeln!(out, "epoch {}  {}  {told}", record.epoch, moment(record.timestamp))?;
                }
                None => writeln!(out, "offset {offset}  not an epoch record")?,
            }
            troubles.iter().try_for_each(|trouble| writeln!(out, "    BROKEN: {trouble}"))
        };
        let mut failed = None;
        let read = inspect::each_record(log, &format!("{pipeline}.epochs"), &mut |offset, bytes| {
            failed = line(offset, bytes).err();
            failed.is_none()
        });
        wrong = read.err();
        failed.map_or(Ok(()), Err)
    })?;
    if let Some(error) = wrong {
        return Err(error.into());
    }
    if broken.is_empty() {
        eprintln!("{seen} epoch records, a whole chain");
        return Ok(());
    }
    Err(Failure::other(format!(
        "the chain of {seen} epoch records is broken in {} places: {}; someone else has written to the topic, or records are \
         missing: restore the topic, or start anew with another --data folder and --pipeline name",
        broken.len(),
        broken.join("; ")
    )))
}
