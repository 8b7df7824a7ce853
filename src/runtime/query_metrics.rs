//! Counters of clients and their statements: `millstream_pg_...`.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, &'static str)>;

/// See the module.
#[derive(Debug, Clone)]
pub struct QueryMetrics {
    connections: Gauge,
    connected: Counter,
    running: Gauge,
    queries: Family<Labels, Counter>,
    errors: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
}

/// Something that is counted until this is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for QueryMetrics {
    fn default() -> Self {
        Self {
            connections: Gauge::default(),
            connected: Counter::default(),
            running: Gauge::default(),
            queries: Family::default(),
            errors: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 18))),
        }
    }
}

impl QueryMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("pg_connections", "Clients of the PostgreSQL protocol", self.connections.clone());
        registry.register("pg_connections_opened", "Clients since the start", self.connected.clone());
        registry.register("pg_queries_running", "Reads and writes at work", self.running.clone());
        registry.register("pg_queries", "Statements by kind: read, write, engine, session", self.queries.clone());
        registry.register("pg_query_errors", "Statements that failed, by kind", self.errors.clone());
        let help = "Time of a statement, to its last row sent";
        registry.register_with_unit("pg_query", help, Unit::Seconds, self.seconds.clone());
    }

    /// A client has come.
    pub fn connection(&self) -> Counted {
        self.connected.inc();
        self.connections.inc();
        Counted(self.connections.clone())
    }

    /// A read or write has begun.
    pub fn running(&self) -> Counted {
        self.running.inc();
        Counted(self.running.clone())
    }

    /// A statement has ended.
    pub fn done(&self, kind: &'static str, took: Duration, failed: bool) {
        let labels = vec![("kind", kind)];
        self.queries.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        if failed {
            self.errors.get_or_create(&labels).inc();
        }
    }
}
