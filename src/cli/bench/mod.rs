//! `millstream bench`: a query over generated data, through the statements of a client, with epochs, commits and checkpoints; and
//! what it cost. The data are where they are read before the clock starts, and the result is read after it has stopped.

mod counts;
mod data;
mod latency;
mod load;
mod memory;
mod meter;
mod options;
mod pipeline;
mod queries;
mod report;
mod result;
mod sink;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::Log;
use kafka::{KafkaConfig, KafkaLog};
use local::LocalLog;
use runtime::DataDir;

use super::{Failure, out};
use counts::Counts;
use latency::Times;
use memory::MemoryLog;
use meter::Moment;
pub(super) use options::Args;
use options::{Settings, SourceKind};
use pipeline::{End, Pipeline};
use report::Report;
use result::Contents;

/// Runs the bench.
pub(super) fn bench(args: Args) -> Result<(), Failure> {
    let settings = options::settings(&args)?;
    if let Some(folder) = &args.lines {
        return load::into_files(&settings.data, &settings.script.topics, folder);
    }
    if let Some(folder) = &args.load {
        let log = open_log(&settings, folder)?;
        return load::fill(&*log, &settings.data, &settings.script.topics, &settings.places);
    }
    let folder = Folder::new(args.data.clone())?;
    let report = measure(&settings, &folder.path)?;
    let text = if args.json { format!("{}\n", report.json()) } else { report.text() };
    out(|out| out.write_all(text.as_bytes()))
}

/// A data folder: one that is kept, or one for this run alone.
struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        let kept = given.is_some();
        let temporary = || std::env::temp_dir().join(format!("millstream-bench-{}", uuid::Uuid::new_v4()));
        let path = given.unwrap_or_else(temporary);
        if std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::usage(format!(
                "--data: {} is not empty; a run begins with an empty folder: give another, or delete it",
                path.display()
            )));
        }
        Ok(Self { path, kept })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn open_log(settings: &Settings, folder: &Path) -> Result<Arc<dyn Log>, Failure> {
    if let Some(brokers) = &settings.engine.brokers {
        let config = KafkaConfig {
            brokers: brokers.clone(),
            pipeline: settings.engine.pipeline.clone(),
            properties: settings.kafka_properties.clone(),
        };
        return Ok(Arc::new(KafkaLog::connect(&config)?));
    }
    let log: Arc<dyn Log> = Arc::new(LocalLog::open(&DataDir::lock(folder)?.log())?);
    Ok(log)
}

/// The log of the run, with the data in it.
fn filled_log(settings: &Settings, folder: &Path) -> Result<Arc<dyn Log>, Failure> {
    let topics = &settings.script.topics;
    if settings.pace.is_some() {
        let log = open_log(settings, folder)?;
        load::make(&*log, topics, &settings.places)?;
        return Ok(log);
    }
    match settings.source {
        SourceKind::Memory => {
            let records = load::in_memory(&settings.data, topics, &settings.places)?;
            Ok(Arc::new(MemoryLog::over(open_log(settings, folder)?, records)))
        }
        SourceKind::Log | SourceKind::Kafka => {
            load::in_another_process(folder)?;
            open_log(settings, folder)
        }
    }
}

fn measure(settings: &Settings, folder: &Path) -> Result<Report, Failure> {
    let log = filled_log(settings, folder)?;
    meter::settle()?;
    meter::forget_peak();
    let pipeline = Pipeline::start(
        settings.engine.clone(),
        (settings.workers as usize, settings.memory),
        folder,
        Arc::clone(&log),
    )?;
    let observed = observe(settings, &log, &pipeline);
    // Also after a failure: nothing may write to the folder that is deleted.
    let stopped = pipeline.stop();
    let report = observed?;
    stopped.map(|()| report)
}

/// Runs the statements over all events, and takes down what that cost and came to.
fn observe(settings: &Settings, log: &Arc<dyn Log>, pipeline: &Pipeline) -> Result<Report, Failure> {
    let before = Counts::of(&pipeline.shared);
    let begun = Moment::now()?;
    pipeline.execute(&settings.script.statements)?;
    let latency = feed(settings, log, pipeline)?;
    let done = Moment::now()?;
    pipeline.handle.checkpoint()?;
    let stored = Moment::now()?;
    let peak_bytes = meter::peak_bytes()?;
    let counts = Counts::of(&pipeline.shared);
    let contents = Contents::read(&pipeline.handle)?;
    let sink_contents = match &settings.places.sink {
        Some(topic) => Some(sink::read_until(&**log, topic, &contents)?),
        None => None,
    };
    let since = |name: &str| (counts.sum(name) - before.sum(name)) as u64;
    nothing_was_left_out(&counts)?;
    Ok(Report {
        name: settings.name.clone(),
        source: settings.source.name(),
        sink: settings.sink.name(),
        workers: settings.workers,
        rows: since("millstream_records_in_total"),
        bytes: since("millstream_in_bytes_total"),
        run: done.since(&begun),
        last_checkpoint: stored.since(&done),
        peak_bytes,
        // Each statement is an epoch too.
        epochs: since("millstream_epochs_total").saturating_sub(settings.script.statements.len() as u64),
        checkpoints: since("millstream_checkpoints_total"),
        checkpoint_bytes: since("millstream_checkpoint_bytes_total"),
        checkpoint_pause_seconds: counts.sum("millstream_checkpoint_pause_max_seconds"),
        rows_changed: since("millstream_rows_changed_total"),
        phases: counts.by("millstream_epoch_phase_seconds_sum", "phase"),
        contents,
        sink_contents,
        latency,
    })
}

/// Lets the pipeline have all events: those that are there, or those that come at a pace.
fn feed(settings: &Settings, log: &Arc<dyn Log>, pipeline: &Pipeline) -> Result<Option<Times>, Failure> {
    let Settings { data, places, script, .. } = settings;
    if let (Some(pace), Some(sink)) = (settings.pace, &places.sink) {
        return latency::run((log, pipeline), (data, &script.topics, places), (pace, sink)).map(Some);
    }
    let ends = script.topics.iter().map(|topic| End::of(&**log, *topic, places)).collect::<Result<Vec<_>, _>>()?;
    pipeline.wait_for(&ends).map(|()| None)
}

/// A record that became a dead letter would be fast, and wrong.
fn nothing_was_left_out(counts: &Counts) -> Result<(), Failure> {
    for name in ["millstream_dead_letters_total", "millstream_missing_retractions_total"] {
        let count = counts.sum(name);
        if count > 0.0 {
            return Err(Failure::other(format!("{name} is {count}: the data do not fit the sources, which is a bug")));
        }
    }
    Ok(())
}
