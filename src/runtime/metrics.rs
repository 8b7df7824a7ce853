//! Counters and gauges, in the names and units of Prometheus. All names begin with `millstream_`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use api::OutRecord;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use state::CheckpointStats;
use zset::Epoch;

use crate::Shared;

type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// See the module.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    pub(crate) epoch: Gauge,
    pub(crate) epochs: Counter,
    pub(crate) epoch_time: FloatGauge,
    pub(crate) records_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) missing_retractions: Counter,
    pub(crate) transactions_aborted: Counter,
    pub(crate) checkpoint_errors: Counter,
    pub(crate) process_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    checkpoints: Counter,
    checkpoint_epoch: Gauge,
    checkpoint_time: FloatGauge,
    checkpoint_bytes: Counter,
    checkpoint_seconds: Histogram,
    checkpoint_age: FloatGauge,
    dead_letters: Family<Labels, Counter>,
    rows_changed: Family<Labels, Counter>,
    refresh_errors: Family<Labels, Counter>,
    rows: Family<Labels, Gauge>,
    in_error: Family<Labels, Gauge>,
    lag: Family<Labels, Gauge>,
    records_out: Family<Labels, Counter>,
    bytes_out: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("millstream")),
            epoch: Gauge::default(),
            epochs: Counter::default(),
            epoch_time: FloatGauge::default(),
            records_in: Counter::default(),
            bytes_in: Counter::default(),
            missing_retractions: Counter::default(),
            transactions_aborted: Counter::default(),
            checkpoint_errors: Counter::default(),
            process_seconds: buckets(),
            commit_seconds: buckets(),
            checkpoints: Counter::default(),
            checkpoint_epoch: Gauge::default(),
            checkpoint_time: FloatGauge::default(),
            checkpoint_bytes: Counter::default(),
            checkpoint_seconds: buckets(),
            checkpoint_age: FloatGauge::default(),
            dead_letters: Family::default(),
            rows_changed: Family::default(),
            refresh_errors: Family::default(),
            rows: Family::default(),
            in_error: Family::default(),
            lag: Family::default(),
            records_out: Family::default(),
            bytes_out: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let r = &mut *registry;
        r.register("epoch", "The last committed epoch", self.epoch.clone());
        r.register("epochs", "Epochs committed since the start", self.epochs.clone());
        r.register_with_unit("epoch_time", "The last epoch's time, since 1970", Unit::Seconds, self.epoch_time.clone());
        r.register("records_in", "Records read from source topics", self.records_in.clone());
        r.register_with_unit("in", "Key and value bytes read from source topics", Unit::Bytes, self.bytes_in.clone());
        r.register("missing_retractions", "Retractions of rows that were not there", self.missing_retractions.clone());
        r.register("transactions_aborted", "Transactions aborted and made again", self.transactions_aborted.clone());
        r.register_with_unit("epoch_process", "Time to process an epoch", Unit::Seconds, self.process_seconds.clone());
        r.register_with_unit("epoch_commit", "Time to commit an epoch", Unit::Seconds, self.commit_seconds.clone());
        r.register("checkpoints", "Checkpoints made since the start", self.checkpoints.clone());
        r.register("checkpoint_errors", "Checkpoints that failed", self.checkpoint_errors.clone());
        r.register("checkpoint_epoch", "The epoch of the newest checkpoint", self.checkpoint_epoch.clone());
        r.register_with_unit("checkpoint", "Block bytes written", Unit::Bytes, self.checkpoint_bytes.clone());
        r.register_with_unit("checkpoint", "Time to make a checkpoint", Unit::Seconds, self.checkpoint_seconds.clone());
        r.register_with_unit("checkpoint_age", "Since the newest one", Unit::Seconds, self.checkpoint_age.clone());
        r.register("dead_letters", "Records that could not be decoded", self.dead_letters.clone());
        r.register("rows_changed", "Rows of consolidated deltas", self.rows_changed.clone());
        r.register("refresh_errors", "Refreshes that failed", self.refresh_errors.clone());
        r.register("rows", "Rows in a table", self.rows.clone());
        r.register("in_error", "1 if a table is in ERROR", self.in_error.clone());
        r.register("source_lag_records", "Offsets between position and end", self.lag.clone());
        r.register("sink_records", "Records written by a sink", self.records_out.clone());
        r.register_with_unit("sink", "Key and value bytes written by a sink", Unit::Bytes, self.bytes_out.clone());
    }

    /// All metrics, as Prometheus reads them.
    pub fn text(&self, shared: &Shared) -> String {
        for (name, status) in shared.tables() {
            self.rows.get_or_create(&table(&name)).set(status.rows);
            self.in_error.get_or_create(&table(&name)).set(i64::from(status.error.is_some()));
        }
        for ((name, topic, partition), status) in shared.sources() {
            let labels = vec![("table", name), ("topic", topic), ("partition", partition.to_string())];
            self.lag.get_or_create(&labels).set((status.end.0 - status.position.0).max(0));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let made = self.checkpoint_time.get();
        self.checkpoint_age.set(if made > 0.0 { now - made } else { 0.0 });
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string can always be written to");
        text
    }

    pub(crate) fn checkpoint_done(&self, epoch: Epoch, stats: &CheckpointStats) {
        self.checkpoints.inc();
        self.checkpoint_epoch.set(epoch.0 as i64);
        self.checkpoint_bytes.inc_by(stats.bytes);
        self.checkpoint_seconds.observe(stats.duration.as_secs_f64());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        self.checkpoint_time.set(now);
    }

    pub(crate) fn dead_letters(&self, name: &str, count: u64) {
        self.dead_letters.get_or_create(&table(name)).inc_by(count);
    }

    pub(crate) fn rows_changed(&self, name: &str, count: u64) {
        self.rows_changed.get_or_create(&table(name)).inc_by(count);
    }

    pub(crate) fn refresh_failed(&self, name: &str) {
        self.refresh_errors.get_or_create(&table(name)).inc();
    }

    pub(crate) fn sent(&self, sink: &str, records: &[OutRecord]) {
        let labels = vec![("sink", sink.to_string())];
        let size = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len) as u64;
        self.records_out.get_or_create(&labels).inc_by(records.len() as u64);
        self.bytes_out.get_or_create(&labels).inc_by(records.iter().map(|r| size(&r.key) + size(&r.value)).sum());
    }

    /// Values of counters and gauges by name, for tests and the demo.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        [
            ("epochs", self.epochs.get()),
            ("records_in", self.records_in.get()),
            ("bytes_in", self.bytes_in.get()),
            ("checkpoints", self.checkpoints.get()),
        ]
        .into()
    }
}

fn table(name: &str) -> Labels {
    vec![("table", name.to_string())]
}
