//! The figures of a run, for people and as JSON.

use serde_json::{Map, Value, json};

use super::latency::Times;
use super::meter::Used;
use super::result::Contents;

/// What was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub name: String,
    pub source: &'static str,
    pub sink: &'static str,
    /// Threads that process epochs.
    pub workers: u32,
    /// Records of the sources' topics, and the bytes of their keys and values.
    pub rows: u64,
    pub bytes: u64,
    /// From the first statement until the last row is committed.
    pub run: Used,
    /// The checkpoint behind it, which stores what no other has.
    pub last_checkpoint: Used,
    pub peak_bytes: u64,
    pub epochs: u64,
    pub checkpoints: u64,
    pub checkpoint_bytes: u64,
    /// The longest that the loop stood still for one.
    pub checkpoint_pause_seconds: f64,
    /// Rows of the consolidated changes of all tables and sources.
    pub rows_changed: u64,
    /// Seconds of the loop by phase of an epoch.
    pub phases: Vec<(String, f64)>,
    pub contents: Contents,
    /// Of what a reader of the sink's topic puts together, if there is one.
    pub sink_contents: Option<Contents>,
    /// How long events were on their way, if they came at a pace: then speed and CPU time are not the engine's.
    pub latency: Option<Times>,
}

impl Report {
    fn cpu_seconds(&self) -> f64 {
        self.run.cpu.as_secs_f64() + self.last_checkpoint.cpu.as_secs_f64()
    }

    fn rows_per_cpu_second(&self) -> f64 {
        self.rows as f64 / self.cpu_seconds().max(0.01)
    }

    fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.run.wall.as_secs_f64().max(0.001)
    }

    fn bytes_per_changed_row(&self) -> f64 {
        self.checkpoint_bytes as f64 / self.rows_changed.max(1) as f64
    }

    /// One object.
    pub fn json(&self) -> Value {
        let phases: Map<String, Value> =
            self.phases.iter().map(|(name, seconds)| (name.clone(), json!(rounded(*seconds)))).collect();
        let alone = self.latency.is_none().then_some(());
        json!({
            "bench": self.name,
            "source": self.source,
            "sink": self.sink,
            "workers": self.workers,
            "rows": self.rows,
            "bytes": self.bytes,
            "seconds": rounded(self.run.wall.as_secs_f64()),
            "cpu_seconds": rounded(self.cpu_seconds()),
            "last_checkpoint_cpu_seconds": rounded(self.last_checkpoint.cpu.as_secs_f64()),
            "rows_per_second": alone.map(|()| self.rows_per_second().round()),
            "rows_per_cpu_second": alone.map(|()| self.rows_per_cpu_second().round()),
            "peak_rss_bytes": self.peak_bytes,
            "epochs": self.epochs,
            "checkpoints": self.checkpoints,
            "checkpoint_bytes": self.checkpoint_bytes,
            "checkpoint_pause_seconds": self.checkpoint_pause_seconds,
            "rows_changed": self.rows_changed,
            "bytes_per_changed_row": rounded(self.bytes_per_changed_row()),
            "phase_seconds": phases,
            "result_rows": self.contents.rows,
            "result_hash": self.contents.hash.to_string(),
            "sink_rows": self.sink_contents.map(|contents| contents.rows),
            "latency": self.latency.as_ref().map(Times::json),
            "sink_hash": self.sink_contents.map(|contents| contents.hash.to_string()),
        })
    }

    /// Some lines.
    pub fn text(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        let phases: Vec<String> = self.phases.iter().map(|(name, seconds)| format!("{name} {seconds:.2} s")).collect();
        let speed = match &self.latency {
            None => format!(
                "speed       {:.0} rows/s, {:.0} rows per CPU-second\n",
                self.rows_per_second(),
                self.rows_per_cpu_second()
            ),
            Some(times) => times.text(),
        };
        let by = if self.workers > 1 { format!(", {} workers", self.workers) } else { String::new() };
        let sink = match &self.sink_contents {
            Some(contents) => format!("\nsink        {} rows, hash {}", contents.rows, contents.hash),
            None => String::new(),
        };
        format!(
            "bench       {} from {} to {}{by}\n\
             rows        {} in, {:.0} MiB\n\
             {speed}\
             time        {:.2} s; {:.2} CPU-seconds, of them {:.2} for the last checkpoint\n\
             memory      {:.0} MiB at most\n\
             epochs      {}; {phases}\n\
             checkpoints {}, {:.1} MiB, {:.1} bytes per changed row ({} rows)\n\
             result      {} rows, hash {}{sink}\n",
            self.name,
            self.source,
            self.sink,
            self.rows,
            mib(self.bytes),
            self.run.wall.as_secs_f64(),
            self.cpu_seconds(),
            self.last_checkpoint.cpu.as_secs_f64(),
            mib(self.peak_bytes),
            self.epochs,
            self.checkpoints,
            mib(self.checkpoint_bytes),
            self.bytes_per_changed_row(),
            self.rows_changed,
            self.contents.rows,
            self.contents.hash,
            phases = phases.join(", "),
        )
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
