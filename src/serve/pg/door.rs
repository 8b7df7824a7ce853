//! What the connections have in common: the engine once it is there, the limits, the locks of tables, who is connected.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use dataflow::{Planner, Queries};
use plan::TableId;
use runtime::{Handle, Phase, QueryMetrics, Shared};
use tokio::sync::{RwLock, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::auth::Password;
use super::cancel::Sessions;
use super::error::PgError;
use super::read::WAITING_MAX;
use crate::Tls;

/// The bounds that statements and connections are held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgLimits {
    /// How long a statement may take, unless the session says otherwise; zero: as long as it takes.
    pub statement_timeout: Duration,
    /// Bytes that one query may hold.
    pub query_memory_bytes: usize,
    /// Queries that run at the same time; others wait.
    pub queries_max: usize,
    /// Connections at the same time; others are refused.
    pub connections_max: usize,
}

impl Default for PgLimits {
    fn default() -> Self {
        Self {
            statement_timeout: Duration::from_secs(60),
            query_memory_bytes: 256 << 20,
            queries_max: 16,
            connections_max: 100,
        }
    }
}

/// What connections are served from.
pub struct PgDoor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) planner: Arc<dyn Planner>,
    pub(crate) queries: Arc<dyn Queries>,
    pub(crate) limits: PgLimits,
    pub(crate) password: Option<Password>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) running: Arc<Semaphore>,
    /// Places of queries that wait for their clients.
    pub(crate) waiting: Arc<Semaphore>,
    /// Whether connections are to end; they have a receiver each.
    pub(crate) leaving: watch::Sender<bool>,
    engine: OnceLock<Handle>,
    locks: Mutex<HashMap<TableId, Arc<RwLock<()>>>>,
}

impl PgDoor {
    /// A door that says `starting up` until it is given the engine.
    pub fn new(
        shared: Arc<Shared>,
        planner: Arc<dyn Planner>,
        queries: Arc<dyn Queries>,
        limits: PgLimits,
        password: Option<Password>,
    ) -> Self {
        Self {
            shared,
            planner,
            queries,
            password,
            tls: None,
            sessions: Arc::default(),
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            running: Arc::new(Semaphore::new(limits.queries_max)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            limits,
            leaving: watch::Sender::new(false),
            engine: OnceLock::new(),
            locks: Mutex::default(),
        }
    }

    /// Takes encrypted connections too, and from other machines none else.
    pub fn with_tls(self, tls: Option<&Tls>) -> Self {
        Self { tls: tls.map(Tls::acceptor), ..self }
    }

    /// The engine is about to run. The first call counts.
    pub fn set_engine(&self, handle: Handle) {
        let _ = self.engine.set(handle);
    }

    /// Ends all connections, each told why, and returns when they have let go of what they read.
    pub async fn close(&self) {
        self.leaving.send_replace(true);
        self.leaving.closed().await;
    }

    /// The engine, while it serves; else what a client is told.
    pub(crate) fn engine(&self) -> Result<&Handle, PgError> {
        match (PgError::of_phase(&self.shared.phase()), self.engine.get()) {
            (None, Some(handle)) => Ok(handle),
            (Some(error), _) => Err(error),
            (None, None) => Err(PgError::fatal("57P03", "the database system is starting up")),
        }
    }

    /// Whether connections are to be closed: nothing is served any more.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.shared.phase(), Phase::Stopping | Phase::Fenced | Phase::Failed(_))
    }

    pub(crate) fn metrics(&self) -> &QueryMetrics {
        &self.shared.metrics.queries
    }

    /// The lock of a table: shared by writes that may meet with a conflict, exclusive for one that has met with too many.
    pub(crate) fn lock_of(&self, table: TableId) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of dropped tables go when nobody has them.
        if locks.len() > 1024 {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(locks.entry(table).or_default())
    }
}

impl fmt::Debug for PgDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgDoor({:?})", self.limits)
    }
}
