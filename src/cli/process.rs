//! A pipeline in this process, from the lock on its data folder to the end of its loop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::Log;
use dataflow::Planner;
use fault::Failpoints;
use kafka::{KafkaConfig, KafkaLog};
use local::LocalLog;
use runtime::{DataDir, Engine, EngineConfig, EngineError, Handle, Parts, Phase, Shared, Threads};
use serve::pg::{ListenError, PgDoor};
use serve::{Door, LogDoor, Tls};
use sql::SqlPlanner;
use tokio::runtime::Runtime;
use zset::TimestampMs;

use super::connectors::Beside;
use super::files::SqlFile;
use super::postgres::PgSettings;
use super::progress::Progress;
use super::{Failure, memory, signals, workers};

/// How long is waited for the loop at a time, before it is asked whether it still runs.
const GLANCE: Duration = Duration::from_millis(100);

/// How long answers that are being sent may take to be cut off at the end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// How long clients may take to hear that this is the end.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// The stack of threads that plan statements, which walk them as deep as the longest chain of operators that is taken. Only what
/// is used of it costs memory.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// What a pipeline is started with.
#[derive(Debug)]
pub(super) struct Settings {
    pub data: PathBuf,
    /// Kafka's brokers; else the embedded log.
    pub kafka: Option<String>,
    /// Properties for its client.
    pub kafka_properties: BTreeMap<String, String>,
    /// The addresses to listen on: the first that is free.
    pub http_listen: Vec<String>,
    pub pg: PgSettings,
    /// The certificate of the listeners.
    pub tls: Option<Tls>,
    pub engine: EngineConfig,
    /// How much memory may be taken.
    pub memory: u64,
    /// Threads that process epochs.
    pub workers: usize,
    /// Where it is to fail: for tests.
    pub faults: Failpoints,
}

/// A running pipeline.
pub(super) struct Process {
    pub http: SocketAddr,
    pub pg: SocketAddr,
    pub shared: Arc<Shared>,
    pub handle: Handle,
    pub log: Arc<LogDoor>,
    pg_door: Arc<PgDoor>,
    engine: JoinHandle<Result<(), EngineError>>,
    /// HTTP and signals live here.
    runtime: Runtime,
}

impl Process {
    /// Opens everything and starts the loop. `stop` is called by the first signal, also while this still opens.
    pub fn start(
        mut settings: Settings,
        files: &[SqlFile],
        stop: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("serve")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| Failure::while_doing("cannot start threads", error))?;
        let shared = Arc::new(Shared::default());
        let stopped = Arc::clone(&shared);
        signals::watch(&runtime, move || stop(&stopped))?;
        let dir = DataDir::lock(&settings.data)?;
        let PgSettings { listen: pg_listen, limits, password } = std::mem::take(&mut settings.pg);
        let tls = settings.tls.take();
        let door = Arc::new(Door::new(Arc::clone(&shared), password.clone()));
        let http = listen(&runtime, &settings.http_listen, &door, tls.as_ref())?;
        let sql = Arc::new(SqlPlanner::new());
        let planner: Arc<dyn Planner> = Arc::clone(&sql) as _;
        let pg_door =
            PgDoor::new(Arc::clone(&shared), Arc::clone(&planner), sql, limits, password).with_tls(tls.as_ref());
        let pg_door = Arc::new(pg_door);
        let pg = listen_pg(&runtime, &pg_listen, &pg_door)?;
        let embedded = settings.kafka.is_none();
        let log = open_log(&settings, &dir)?;
        let log_door = Arc::new(LogDoor::new(Arc::clone(&log), settings.engine.epoch_topic(), embedded));
        door.set_log(Arc::clone(&log_door));
        let parts = Parts {
            log,
            connectors: Arc::new(Beside { faults: settings.faults.clone() }),
            planner: Arc::clone(&planner),
            clock: Arc::new(now),
            scheduler: Arc::new(Threads),
            random_id: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            memory: memory::budget(settings.memory),
            workers: workers::start(settings.workers)?,
            faults: settings.faults.clone(),
        };
        let progress = Progress::watch(&shared);
        let mut engine = Engine::open(settings.engine, parts, dir, Arc::clone(&shared))?;
        files.iter().try_for_each(|file| apply(&mut engine, file, &*planner))?;
        drop(progress);
        let handle = engine.handle();
        door.set_engine(handle.clone());
        pg_door.set_engine(handle.clone());
        let engine = std::thread::Builder::new()
            .name("engine".to_string())
            .stack_size(STACK_BYTES)
            // The engine goes with its loop: whoever still waits for an answer of it then gets one.
            .spawn(move || {
                let mut engine = engine;
                engine.run()
            })
            .map_err(|error| Failure::while_doing("cannot start the engine's thread", error))?;
        Ok(Self { http, pg, shared, handle, log: log_door, pg_door, engine, runtime })
    }

    /// Prints the ready line as soon as the pipeline serves; `false` if it ended before.
    pub fn announce(&self) -> bool {
        // Sinks to standard output wait for it: the ready line comes first.
        let mut out = std::io::stdout().lock();
        while !self.shared.wait_phase(&Phase::Serving, Instant::now() + GLANCE) {
            if self.has_ended() {
                return false;
            }
        }
        let line = format!("millstream ready pg={} http={} epoch={}\n", self.pg, self.http, self.shared.epoch().0);
        use std::io::Write as _;
        if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!("cannot write the ready line to standard output: {error}");
        }
        tracing::info!(pg = %self.pg, http = %self.http, epoch = %self.shared.epoch().0, "ready");
        true
    }

    /// Whether the loop has ended.
    pub fn has_ended(&self) -> bool {
        self.engine.is_finished()
    }

    /// Waits for the end of the loop.
    pub fn join(self) -> Result<(), Failure> {
        let Self { handle, log, pg_door, engine, runtime, .. } = self;
        let ended = engine.join();
        // Clients are told that this is the end.
        let _ = runtime.block_on(async { tokio::time::timeout(GOODBYE_MAX, pg_door.close()).await });
        drop((handle, log, pg_door));
        // The last holders of the log are answers that are being sent. RocksDB aborts if it is still open when the process
        // ends, so they are cut off, and waited for; a moment is enough.
        runtime.shutdown_timeout(SHUTDOWN_MAX);
        match ended {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err(Failure::other(
                "the engine's thread panicked, which is a bug of millstream (its message is above); what was committed is \
                 safe, and the next start recovers it",
            )),
        }
    }
}

/// Takes the first address that is free.
fn listen(runtime: &Runtime, addresses: &[String], door: &Arc<Door>, tls: Option<&Tls>) -> Result<SocketAddr, Failure> {
    let mut refused = None;
    for address in addresses {
        match runtime.block_on(serve::listen(address, Arc::clone(door), tls)) {
            Ok(bound) => {
                if !bound.ip().is_loopback() {
                    let how = if tls.is_some() { "by HTTPS" } else { "unencrypted, also the password" };
                    tracing::warn!(%bound, "HTTP is open to other machines {how}; health and metrics ask for no password");
                }
                return Ok(bound);
            }
            Err(error) => refused = Some((address, error)),
        }
    }
    let message = match refused {
        Some((address, error)) => {
            format!("cannot listen for HTTP on {address}: {error}; give --http-listen another address (port 0: any)")
        }
        None => "there is no address to listen on for HTTP; give --http-listen".to_string(),
    };
    Err(Failure::other(message))
}

/// Takes the first address that is free.
fn listen_pg(runtime: &Runtime, addresses: &[String], door: &Arc<PgDoor>) -> Result<SocketAddr, Failure> {
    let mut refused = None;
    for address in addresses {
        match runtime.block_on(serve::pg::listen(address, Arc::clone(door))) {
            Ok(bound) => return Ok(bound),
            Err(ListenError::Io(error)) => refused = Some((address, error)),
            Err(error @ ListenError::NoPassword(_)) => return Err(Failure::usage(format!("--pg-listen: {error}"))),
        }
    }
    let message = match refused {
        Some((address, error)) => format!(
            "cannot listen for the PostgreSQL protocol on {address}: {error}; give --pg-listen another address (port 0: any)"
        ),
        None => "there is no address to listen on for the PostgreSQL protocol; give --pg-listen".to_string(),
    };
    Err(Failure::other(message))
}

fn open_log(settings: &Settings, dir: &DataDir) -> Result<Arc<dyn Log>, Failure> {
    let Some(brokers) = &settings.kafka else {
        return Ok(Arc::new(LocalLog::open_with(&dir.log(), settings.faults.clone())?));
    };
    let config = KafkaConfig {
        brokers: brokers.clone(),
        pipeline: settings.engine.pipeline.clone(),
        properties: settings.kafka_properties.clone(),
    };
    Ok(Arc::new(KafkaLog::connect_with(&config, settings.faults.clone())?))
}

/// Applies a file, statement by statement, so that an error can say where it is.
fn apply(engine: &mut Engine, file: &SqlFile, planner: &dyn Planner) -> Result<(), Failure> {
    for statement in file.statements(planner)? {
        match engine.apply_file(&statement.text) {
            Ok(replies) => {
                for notice in replies.iter().flat_map(|reply| &reply.notices) {
                    tracing::info!("{}: {notice}", file.name);
                }
            }
            Err(EngineError::Statement(error)) => {
                return Err(Failure::usage(file.statement_error(&statement, &error)));
            }
            Err(other) => {
                let Failure { code, message } = other.into();
                return Err(Failure { code, message: format!("applying {}:{}: {message}", file.name, statement.line) });
            }
        }
    }
    Ok(())
}

/// The clock.
pub(super) fn now() -> TimestampMs {
    TimestampMs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}
