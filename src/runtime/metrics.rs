//! Counters and gauges, in the names and units of Prometheus. All names begin with `millstream_`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::TopicPartition;
use fault::Failpoints;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use state::{Budget, CheckpointStats, Part};
use zset::{Epoch, Partition};

use crate::sink::Output;
use crate::{QueryMetrics, Shared};

type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// See the module.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Of clients and their statements.
    pub queries: QueryMetrics,
    pub(crate) epoch: Gauge,
    pub(crate) epochs: Counter,
    pub(crate) epoch_time: FloatGauge,
    /// Over all sources.
    received: Counter,
    records_in: Family<Labels, Counter>,
    bytes_in: Family<Labels, Counter>,
    pub(crate) missing_retractions: Counter,
    key_moves: Family<Labels, Counter>,
    pub(crate) transactions_aborted: Counter,
    pub(crate) checkpoint_errors: Counter,
    pub(crate) process_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    checkpoints: Counter,
    checkpoint_epoch: Gauge,
    checkpoint_time: FloatGauge,
    checkpoint_bytes: Counter,
    journal_bytes: Gauge,
    journal_missed_bytes: Gauge,
    checkpoint_seconds: Histogram,
    checkpoint_age: FloatGauge,
    checkpoint_pause_max: FloatGauge,
    dead_letters: Family<Labels, Counter>,
    sources_halted: Family<Labels, Gauge>,
    rows_changed: Family<Labels, Counter>,
    refresh_errors: Family<Labels, Counter>,
    rows: Family<Labels, Gauge>,
    in_error: Family<Labels, Gauge>,
    lag: Family<Labels, Gauge>,
    lag_seconds: Family<Labels, FloatGauge>,
    epoch_age: FloatGauge,
    phase_seconds: Family<Labels, Histogram>,
    operator_rows: Family<Labels, Counter>,
    state_rows: Family<Labels, Gauge>,
    state_bytes: Family<Labels, Gauge>,
    memory: Gauge,
    memory_parts: Family<Labels, Gauge>,
    memory_limit: Gauge,
    records_out: Family<Labels, Counter>,
    bytes_out: Family<Labels, Counter>,
    outbox_rows: Family<Labels, Gauge>,
    outbox_epoch: Family<Labels, Gauge>,
    outbox_retries: Family<Labels, Counter>,
    resynchronising: Family<Labels, Gauge>,
    failpoint_hits: Family<Labels, Counter>,
    failpoints: OnceLock<Failpoints>,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("millstream")),
            queries: QueryMetrics::default(),
            epoch: Gauge::default(),
            epochs: Counter::default(),
            epoch_time: FloatGauge::default(),
            received: Counter::default(),
            records_in: Family::default(),
            bytes_in: Family::default(),
            missing_retractions: Counter::default(),
            key_moves: Family::default(),
            transactions_aborted: Counter::default(),
            checkpoint_errors: Counter::default(),
            process_seconds: buckets(),
            commit_seconds: buckets(),
            checkpoints: Counter::default(),
            checkpoint_epoch: Gauge::default(),
            checkpoint_time: FloatGauge::default(),
            checkpoint_bytes: Counter::default(),
            journal_bytes: Gauge::default(),
            journal_missed_bytes: Gauge::default(),
            checkpoint_seconds: buckets(),
            checkpoint_age: FloatGauge::default(),
            checkpoint_pause_max: FloatGauge::default(),
            dead_letters: Family::default(),
            sources_halted: Family::default(),
            rows_changed: Family::default(),
            refresh_errors: Family::default(),
            rows: Family::default(),
            in_error: Family::default(),
            lag: Family::default(),
            lag_seconds: Family::default(),
            epoch_age: FloatGauge::default(),
            phase_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0001, 2.0, 18))),
            operator_rows: Family::default(),
            state_rows: Family::default(),
            state_bytes: Family::default(),
            memory: Gauge::default(),
            memory_parts: Family::default(),
            memory_limit: Gauge::default(),
            records_out: Family::default(),
            bytes_out: Family::default(),
            outbox_rows: Family::default(),
            outbox_epoch: Family::default(),
            outbox_retries: Family::default(),
            resynchronising: Family::default(),
            failpoint_hits: Family::default(),
            failpoints: OnceLock::new(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let r = &mut *registry;
        self.queries.register(r);
        r.register("epoch", "The last committed epoch", self.epoch.clone());
        r.register("epochs", "Epochs committed since the start", self.epochs.clone());
        r.register_with_unit("epoch_time", "The last epoch's time, since 1970", Unit::Seconds, self.epoch_time.clone());
        r.register("records_in", "Records read from source topics", self.records_in.clone());
        r.register_with_unit("in", "Key and value bytes read from source topics", Unit::Bytes, self.bytes_in.clone());
        r.register("missing_retractions", "Retractions of rows that were not there", self.missing_retractions.clone());
        let help = "Times that a key of a source came from another partition than before";
        r.register("source_key_moves", help, self.key_moves.clone());
        r.register("transactions_aborted", "Transactions aborted and made again", self.transactions_aborted.clone());
        r.register_with_unit("epoch_process", "Time to process an epoch", Unit::Seconds, self.process_seconds.clone());
        r.register_with_unit("epoch_commit", "Time to commit an epoch", Unit::Seconds, self.commit_seconds.clone());
        r.register("checkpoints", "Checkpoints made since the start", self.checkpoints.clone());
        r.register("checkpoint_errors", "Checkpoints that failed", self.checkpoint_errors.clone());
        r.register("checkpoint_epoch", "The epoch of the newest checkpoint", self.checkpoint_epoch.clone());
        r.register_with_unit("checkpoint", "Block bytes written", Unit::Bytes, self.checkpoint_bytes.clone());
        let help = "What was read since the oldest checkpoint of topics that may lose it";
        r.register_with_unit("journal", help, Unit::Bytes, self.journal_bytes.clone());
        let help = "What was read so and could not be written there, and no checkpoint has";
        r.register_with_unit("journal_missed", help, Unit::Bytes, self.journal_missed_bytes.clone());
        r.register_with_unit("checkpoint", "Time to make a checkpoint", Unit::Seconds, self.checkpoint_seconds.clone());
        r.register_with_unit("checkpoint_age", "Since the newest one", Unit::Seconds, self.checkpoint_age.clone());
        let help = "The longest that the loop stood still for one since the start";
        r.register_with_unit("checkpoint_pause_max", help, Unit::Seconds, self.checkpoint_pause_max.clone());
        r.register("dead_letters", "Records that could not be decoded", self.dead_letters.clone());
        r.register(
            "source_halted",
            "1 while a source is not read, because of what it met",
            self.sources_halted.clone(),
        );
        r.register("rows_changed", "Rows of consolidated deltas", self.rows_changed.clone());
        r.register("refresh_errors", "Refreshes that failed", self.refresh_errors.clone());
        r.register("rows", "Rows in a table", self.rows.clone());
        r.register("in_error", "1 if a table is in ERROR", self.in_error.clone());
        r.register("source_lag_records", "Offsets between position and end", self.lag.clone());
        let help = "Age of the last record in the tables, while there are more";
        r.register_with_unit("source_lag", help, Unit::Seconds, self.lag_seconds.clone());
        r.register_with_unit("epoch_age", "Since the last epoch's time", Unit::Seconds, self.epoch_age.clone());
        let help = "Time of an epoch by phase: decode, refresh, encode, commit";
        r.register_with_unit("epoch_phase", help, Unit::Seconds, self.phase_seconds.clone());
        r.register("operator_rows_out", "Rows that an operator gave since the start", self.operator_rows.clone());
        r.register("state_rows", "Entries of a table's arrangements, operators included", self.state_rows.clone());
        let help = "Bytes of a table's arrangements, operators included";
        r.register_with_unit("state", help, Unit::Bytes, self.state_bytes.clone());
        r.register_with_unit("memory_resident", "Memory that the process has", Unit::Bytes, self.memory.clone());
        let help = "Memory by what it is taken for";
        r.register_with_unit("memory", help, Unit::Bytes, self.memory_parts.clone());
        let help = "Memory that may be taken, if there is a limit";
        r.register_with_unit("memory_limit", help, Unit::Bytes, self.memory_limit.clone());
        r.register("sink_records", "Records written by a sink; of a blackhole, rows", self.records_out.clone());
        r.register_with_unit("sink", "Key and value bytes written by a sink", Unit::Bytes, self.bytes_out.clone());
        r.register("sink_outbox_rows", "Keys that wait for a sink's target", self.outbox_rows.clone());
        r.register(
            "sink_confirmed_epoch",
            "The epoch up to which a sink's target has everything",
            self.outbox_epoch.clone(),
        );
        let help = "1 while a sink's target is to be compared with its table, or is being";
        r.register("sink_resynchronising", help, self.resynchronising.clone());
        r.register("failpoint_hits", "Times that a failpoint was reached", self.failpoint_hits.clone());
        r.register("sink_retries", "Times that a sink's target did not take rows", self.outbox_retries.clone());
    }

    /// All metrics, as Prometheus reads them.
    pub fn text(&self, shared: &Shared) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        // What was dropped is not shown any more.
        self.rows.clear();
        self.in_error.clear();
        self.lag.clear();
        self.lag_seconds.clear();
        for (name, status) in shared.tables() {
            self.rows.get_or_create(&table(&name)).set(status.rows);
            self.in_error.get_or_create(&table(&name)).set(i64::from(status.error.is_some()));
        }
        for ((name, topic, partition), status) in shared.sources() {
            let labels = of_partition(name, topic, partition);
            let lag = (status.end.0 - status.position.0).max(0);
            self.lag.get_or_create(&labels).set(lag);
            let age = status.last.map_or(0.0, |last| (now - last.0 as f64 / 1000.0).max(0.0));
            self.lag_seconds.get_or_create(&labels).set(if lag > 0 { age } else { 0.0 });
        }
        self.epoch_age.set((now - self.epoch_time.get()).max(0.0));
        self.memory.set(resident_bytes() as i64);
        let made = self.checkpoint_time.get();
        self.checkpoint_age.set(if made > 0.0 { now - made } else { 0.0 });
        for (name, hits) in self.failpoints.get().map(Failpoints::hits).unwrap_or_default() {
            self.failpoint_hits.get_or_create(&vec![("name", name.to_string())]).inner().store(hits, Ordering::Relaxed);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string can always be written to");
        text
    }

    /// Shows how often failpoints are reached.
    pub(crate) fn watch_failpoints(&self, failpoints: &Failpoints) {
        // An engine that is opened again under the same metrics has the same failpoints.
        let _ = self.failpoints.set(failpoints.clone());
    }

    pub(crate) fn checkpoint_done(&self, epoch: Epoch, stats: &CheckpointStats) {
        self.checkpoints.inc();
        self.checkpoint_epoch.set(epoch.0 as i64);
        self.checkpoint_bytes.inc_by(stats.bytes);
        self.checkpoint_seconds.observe(stats.duration.as_secs_f64());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        self.checkpoint_time.set(now);
    }

    /// The loop stood still for a checkpoint.
    pub(crate) fn stood_still(&self, time: Duration) {
        self.checkpoint_pause_max.set(self.checkpoint_pause_max.get().max(time.as_secs_f64()));
    }

    pub(crate) fn journal(&self, bytes: u64, missed: u64) {
        self.journal_bytes.set(bytes as i64);
        self.journal_missed_bytes.set(missed as i64);
    }

    pub(crate) fn keys_moved(&self, name: &str, times: u64) {
        self.key_moves.get_or_create(&table(name)).inc_by(times);
    }

    pub(crate) fn dead_letters(&self, name: &str, count: u64) {
        self.dead_letters.get_or_create(&table(name)).inc_by(count);
    }

    pub(crate) fn halted(&self, name: &str, halted: bool) {
        self.sources_halted.get_or_create(&table(name)).set(i64::from(halted));
    }

    pub(crate) fn rows_changed(&self, name: &str, count: u64) {
        self.rows_changed.get_or_create(&table(name)).inc_by(count);
    }

    pub(crate) fn refresh_failed(&self, name: &str) {
        self.refresh_errors.get_or_create(&table(name)).inc();
    }

    /// Records of one partition of a source, and their bytes.
    pub(crate) fn received(&self, name: &str, at: &TopicPartition, records: u64, bytes: u64) {
        let labels = of_partition(name.to_string(), at.topic.to_string(), at.partition);
        self.received.inc_by(records);
        self.records_in.get_or_create(&labels).inc_by(records);
        self.bytes_in.get_or_create(&labels).inc_by(bytes);
    }

    /// How long a phase of an epoch took.
    pub(crate) fn phase(&self, phase: &'static str, took: Duration) {
        self.phase_seconds.get_or_create(&vec![("phase", phase.to_string())]).observe(took.as_secs_f64());
    }

    /// What memory is taken for.
    pub(crate) fn memory(&self, budget: &Budget) {
        for part in Part::ALL {
            self.memory_parts.get_or_create(&vec![("part", part.name().to_string())]).set(budget.taken(part) as i64);
        }
        self.memory_limit.set(i64::try_from(budget.limit()).unwrap_or(0));
    }

    /// What a table keeps, and what its operators gave.
    pub(crate) fn state(&self, name: &str, rows: u64, bytes: u64) {
        self.state_rows.get_or_create(&table(name)).set(rows as i64);
        self.state_bytes.get_or_create(&table(name)).set(bytes as i64);
    }

    pub(crate) fn operator(&self, name: &str, operator: String, rows: u64) {
        let labels = vec![("table", name.to_string()), ("operator", operator)];
        self.operator_rows.get_or_create(&labels).inner().store(rows, Ordering::Relaxed);
    }

    /// What a sink made of an epoch.
    pub(crate) fn sent(&self, sink: &str, output: &Output) {
        let elsewhere = match output {
            Output::Lines(_, count) | Output::Count(count) => *count,
            Output::Keyed(changes) => changes.keys.len() as u64,
            Output::Records(_) | Output::Released(_) | Output::Waits(_) => 0,
        };
        if elsewhere > 0 {
            self.records_out.get_or_create(&of_sink(sink)).inc_by(elsewhere);
        }
        let size = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len) as u64;
        let mut sums: BTreeMap<&TopicPartition, (u64, u64)> = BTreeMap::new();
        for record in output.in_transaction() {
            let sum = sums.entry(&record.to).or_default();
            sum.0 += 1;
            sum.1 += size(&record.key) + size(&record.value);
        }
        for (at, (records, bytes)) in sums {
            let place = [("topic", at.topic.to_string()), ("partition", at.partition.to_string())];
            let labels = of_sink(sink).into_iter().chain(place).collect();
            self.records_out.get_or_create(&labels).inc_by(records);
            self.bytes_out.get_or_create(&labels).inc_by(bytes);
        }
    }

    pub(crate) fn outbox(&self, sink: &str, rows: u64, epoch: Option<Epoch>) {
        self.outbox_rows.get_or_create(&of_sink(sink)).set(rows as i64);
        self.outbox_epoch.get_or_create(&of_sink(sink)).set(epoch.map_or(0, |epoch| epoch.0 as i64));
    }

    pub(crate) fn resynchronises(&self, sink: &str, so: bool) {
        self.resynchronising.get_or_create(&of_sink(sink)).set(i64::from(so));
    }

    pub(crate) fn outbox_retried(&self, sink: &str) {
        self.outbox_retries.get_or_create(&of_sink(sink)).inc();
    }

    pub(crate) fn forget_outbox(&self, sink: &str) {
        self.outbox_rows.remove(&of_sink(sink));
        self.outbox_epoch.remove(&of_sink(sink));
        self.outbox_retries.remove(&of_sink(sink));
        self.resynchronising.remove(&of_sink(sink));
    }

    /// Values of counters and gauges by name, for tests and the demo.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        [("epochs", self.epochs.get()), ("records_in", self.received.get()), ("checkpoints", self.checkpoints.get())]
            .into()
    }
}

fn of_partition(table: String, topic: String, partition: Partition) -> Labels {
    vec![("table", table), ("topic", topic), ("partition", partition.to_string())]
}

/// The resident memory of this process, where the system tells it.
pub fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * PAGE_BYTES)
}

fn of_sink(name: &str) -> Labels {
    vec![("sink", name.to_string())]
}

fn table(name: &str) -> Labels {
    vec![("table", name.to_string())]
}
