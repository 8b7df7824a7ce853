//! One run: an engine on a simulated log and a real data folder, stepped by one thread, and the model beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::Log;
use dataflow::{Planned, Planner, StatementError};
use fault::Failpoints;
use plan::Catalog;
use sql::SqlPlanner;
use state::Budget;
use workers::Workers;
use zset::{Epoch, TimestampMs};

use super::dice::Dice;
use super::log::SimLog;
use super::model::{Checked, Definitions, Model, ensure};
use super::rows::{Row, Rows, add, add_delta};
use super::sinks::Envelope;
use super::sources::Kind;
use super::stage::Stage;
use crate::run::Gathered;
use crate::tests::database::Database;
use crate::{DataDir, Engine, EngineConfig, EngineError, Parts, Shared};

/// What writes the topic of a source table.
pub struct Producer {
    pub kind: Kind,
    pub partitions: usize,
    /// The rows as it believes them to be.
    pub seen: Rows,
}

/// See the module.
pub struct World {
    pub dir: tempfile::TempDir,
    pub log: SimLog,
    pub stage: Stage,
    pub faults: Failpoints,
    pub engine: Option<Engine>,
    pub gathered: Gathered,
    pub model: Model,
    /// The model after each transaction.
    pub history: Vec<Model>,
    pub definitions: Definitions,
    pub producers: BTreeMap<String, Producer>,
    /// The checkpoints that were whole when the process died.
    pub whole: Vec<u64>,
    /// The epochs whose records were deleted before an older folder was put back: those below this.
    pub gone_below: u64,
    /// Copies of the data folder that were made on the way, with the epoch of their newest checkpoint.
    pub copies: Vec<(u64, PathBuf)>,
    /// How many were made.
    pub copied: usize,
    pub trace: Vec<String>,
    pub counts: Counts,
    /// What a version makes of SQL that understands some of it otherwise.
    pub misread: Option<(&'static str, &'static str)>,
    /// The database of detached sinks.
    pub database: Database,
    /// The log has lost what the database had.
    pub database_is_ahead: bool,
    epoch_rows_max: usize,
    planner: Arc<SqlPlanner>,
    clock: Arc<AtomicI64>,
    compared: Option<u64>,
    /// What helps the engine; also the smallest work is cut.
    pub workers: Workers,
    /// What may be in memory: nothing, little, everything.
    memory: u64,
}

/// A version of millstream.
struct Version {
    planner: Arc<SqlPlanner>,
    misread: Option<(&'static str, &'static str)>,
}

impl Planner for Version {
    fn split(&self, text: &str) -> Result<Vec<String>, StatementError> {
        self.planner.split(text)
    }

    fn plan(&self, statement: &str, catalog: &Catalog) -> Result<Planned, StatementError> {
        match self.misread {
            Some((from, to)) => self.planner.plan(&statement.replace(from, to), catalog),
            None => self.planner.plan(statement, catalog),
        }
    }
}

/// What a run did.
#[derive(Debug, Default, Clone)]
pub struct Counts(pub BTreeMap<&'static str, usize>);

impl Counts {
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| *self.0.entry(what).or_default() += times);
    }
}

/// Memory, where the system has it as a folder.
fn folder() -> tempfile::TempDir {
    let shm = std::path::Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 0);
        let log = SimLog::default();
        log.behaviour(|behaviour| {
            behaviour.gaps = dice.chance(50);
            behaviour.dice = Some(Dice::of(seed, 1));
        });
        Self {
            dir: folder(),
            log,
            stage: Stage::new(),
            faults: Failpoints::counting(),
            engine: None,
            gathered: Gathered::default(),
            model: Model::default(),
            history: Vec::new(),
            definitions: Definitions::default(),
            producers: BTreeMap::new(),
            whole: Vec::new(),
            gone_below: 0,
            copies: Vec::new(),
            copied: 0,
            trace: Vec::new(),
            counts: Counts::default(),
            misread: None,
            database: Database::default(),
            database_is_ahead: false,
            epoch_rows_max: if dice.chance(50) { 30 } else { 3 },
            planner: Arc::new(SqlPlanner::new()),
            clock: Arc::new(AtomicI64::new(1_700_000_000_000)),
            compared: None,
            // Most runs are of one thread; the others come to the same, so that a seed is still one run.
            memory: match dice.below(3) {
                0 => 0,
                1 => 40_000,
                _ => u64::MAX,
            },
            workers: match dice.below(4) {
                0 => Workers::eager(2 + 2 * dice.below(2)).unwrap(),
                _ => Workers::default(),
            },
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// For the trace of steps.
    pub fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    /// Starts the engine on what there is.
    pub fn open(&mut self) -> Result<(), EngineError> {
        self.stage = Stage::new();
        self.faults = Failpoints::counting();
        let clock = Arc::clone(&self.clock);
        let parts = Parts {
            log: Arc::new(self.log.clone()),
            connectors: Arc::new(self.database.clone()),
            planner: Arc::new(Version { planner: Arc::clone(&self.planner), misread: self.misread }),
            clock: Arc::new(move || TimestampMs(clock.fetch_add(1, Ordering::SeqCst))),
            scheduler: Arc::new(self.stage.clone()),
            random_id: Arc::new(|| "an incarnation".to_string()),
            memory: Arc::new(Budget::new(self.memory)),
            workers: self.workers.clone(),
            faults: self.faults.clone(),
        };
        let config = EngineConfig {
            pipeline: "p".to_string(),
            epoch_interval: Duration::from_millis(10),
            epoch_rows_max: self.epoch_rows_max,
            checkpoint_interval: Duration::from_millis(400),
            checkpoints_kept: 2,
            brokers: None,
        };
        let dir = DataDir::lock(&self.data())?;
        self.engine = Some(Engine::open(config, parts, dir, Arc::new(Shared::default()))?);
        self.counts.count("starts");
        Ok(())
    }

    /// How often it was started.
    pub fn starts(&self) -> usize {
        self.counts.0.get("starts").copied().unwrap_or(0)
    }

    /// The process dies, wherever it is.
    pub fn die(&mut self) {
        if let Some(engine) = &self.engine {
            self.whole = engine.store.checkpoints().into_iter().map(|epoch| epoch.0).collect();
        }
        self.stage.die();
        self.engine = None;
        self.gathered = Gathered::default();
        self.stage.clear();
        self.compared = None;
        self.log.behaviour(|behaviour| {
            behaviour.commits.clear();
            behaviour.refuse = None;
            (behaviour.reads_fail, behaviour.topics_fail) = (0, 0);
        });
    }

    /// Lets the engine work. It may end where its commit is in doubt, or where it is told to fail, and nowhere else.
    pub fn drive<T: Default>(
        &mut self,
        work: impl FnOnce(&mut Engine, &mut Gathered) -> Result<T, EngineError>,
    ) -> Checked<T> {
        let engine = self.engine.as_mut().ok_or("there is no engine")?;
        match work(engine, &mut self.gathered) {
            Ok(done) => Ok(done),
            Err(error) => {
                let text = error.to_string();
                let expected = matches!(error, EngineError::InDoubt(_)) || text.contains("failpoint");
                ensure(expected, || format!("the engine ended: {text}"))?;
                self.note(format!("  it ended: {text}"));
                self.counts.count("ended by a fault");
                self.die();
                self.reopen()?;
                Ok(T::default())
            }
        }
    }

    /// Starts again after an end that damaged nothing.
    pub fn reopen(&mut self) -> Checked {
        self.open().map_err(|error| format!("it does not start again: {error}"))?;
        self.settle()
    }

    /// The model follows the log, and the engine must agree with it.
    pub fn settle(&mut self) -> Checked {
        for transaction in self.log.transactions(self.model.followed) {
            self.model.follow(&transaction, &self.log, &self.definitions)?;
            self.history.push(self.model.clone());
            self.counts.count("epochs");
            if self.model.last.as_ref().is_some_and(|record| !record.released.is_empty()) {
                self.counts.count("epochs that wrote what had waited");
            }
        }
        let epoch = self.model.epoch();
        if self.engine.as_ref().is_some_and(Engine::is_in_flight) {
            // The state is that of an epoch which is on its way; readers are at one that was.
            self.counts.count("looks while a commit was on its way");
            return self.compare_view().map_err(|error| format!("while epoch {epoch} may be on its way: {error}"));
        }
        if self.engine.is_some() && self.compared != Some(epoch) {
            self.compare().map_err(|error| format!("after epoch {epoch}: {error}"))?;
            self.compared = Some(epoch);
        }
        Ok(())
    }

    fn compare(&self) -> Checked {
        let Some(engine) = &self.engine else { return Ok(()) };
        let (model, chain) = (&self.model, &engine.chain);
        ensure(chain.epoch == Epoch(model.epoch()), || format!("the engine is at epoch {}", chain.epoch))?;
        ensure(chain.hash == model.hash, || "the engine knows another record".to_string())?;
        ensure(engine.shared.view().epoch == chain.epoch, || "readers are at another epoch".to_string())?;
        self.compare_view()?;
        for (id, expected) in &model.tables {
            let (name, error) = (&expected.name, &engine.tables[id].error);
            ensure(error.is_some() == expected.in_error, || format!("table {name} has the error {error:?}"))?;
        }
        let mut next: BTreeMap<_, i64> = engine.positions.iter().map(|(at, p)| (*at, p.next.0)).collect();
        next.retain(|at, position| model.positions.contains_key(at) || *position > 0);
        ensure(next == model.positions, || format!("positions are {next:?}, and not {:?}", model.positions))?;
        self.compare_database()?;
        for sink in model.sinks.values() {
            if sink.envelope == Envelope::Detached && self.database_is_ahead {
                continue;
            }
            let found = engine.sinks.values().find(|found| found.def.name == sink.name);
            let found = found.ok_or_else(|| format!("there is no sink {}", sink.name))?;
            ensure(found.is_out() == sink.dead, || format!("sink {} is in error: {:?}", sink.name, found.error))?;
            ensure(sink.dead || sink.is_behind() || found.error.is_none(), || {
                format!("sink {} lacks nothing, and is in error: {:?}", sink.name, found.error)
            })?;
            let waits = found.backlog().is_some_and(|backlog| backlog.waits());
            ensure(waits == (sink.is_behind() && !sink.dead), || {
                format!("sink {} is behind: {}, and records wait: {waits}", sink.name, sink.is_behind())
            })?;
        }
        Ok(())
    }

    /// What readers see is one committed epoch.
    fn compare_view(&self) -> Checked {
        let Some(engine) = &self.engine else { return Ok(()) };
        let view = engine.shared.view();
        let then = self.history.iter().rev().find(|model| model.epoch() == view.epoch.0);
        let model = then.ok_or_else(|| format!("readers are at epoch {}", view.epoch))?;
        let (mine, theirs): (Vec<_>, Vec<_>) = (model.tables.keys().collect(), view.tables.keys().collect());
        ensure(mine == theirs, || format!("there are tables {theirs:?}, and not {mine:?}"))?;
        for (id, expected) in &model.tables {
            let (table, name) = (&view.tables[id], &expected.name);
            let mut rows = Rows::new();
            for delta in table.read() {
                add_delta(&mut rows, &delta.map_err(|error| error.to_string())?);
            }
            let what = || format!("table {name}, {:?}, holds {rows:?}, and not {:?}", expected.fills, expected.rows);
            ensure(rows == expected.rows, what)?;
            ensure(table.rows == rows.values().sum::<i64>(), || format!("table {name} counts {} rows", table.rows))?;
        }
        Ok(())
    }

    /// What a detached sink has applied is the table at that epoch, and no epoch that is not committed.
    fn compare_database(&self) -> Checked {
        let sink = self.model.sinks.values().find(|sink| sink.envelope == Envelope::Detached);
        let (Some(sink), false) = (sink, self.database_is_ahead) else { return Ok(()) };
        let state = self.database.state();
        let Some(progress) = &state.progress else { return Ok(()) };
        let then = self.history.iter().find(|model| model.epoch() == progress.epoch.0);
        let then = then.ok_or_else(|| format!("the database is at epoch {}", progress.epoch))?;
        let Some((_, table)) = then.named(&sink.table) else { return Ok(()) };
        let mut rows = Rows::new();
        for row in state.rows.values() {
            add(&mut rows, Row::parse_bytes(row.as_bytes()).ok_or("a row of the database")?, 1);
        }
        ensure(rows == table.rows, || {
            format!("the database is at epoch {} and holds {rows:?}, and not {:?}", progress.epoch, table.rows)
        })
    }

    /// Whether no topic of a sink lacks records that wait for it.
    pub fn sinks_are_even(&self) -> bool {
        self.model.sinks.values().all(|sink| sink.dead || !sink.is_behind())
    }

    /// Whether the database has all there is.
    pub fn database_is_done(&self) -> bool {
        let sink = self.model.sinks.values().find(|sink| sink.envelope == Envelope::Detached);
        let Some(sink) = sink.filter(|sink| !sink.dead && !self.database_is_ahead) else { return true };
        let state = self.database.state();
        let rows = state.rows.values().filter_map(|row| Row::parse_bytes(row.as_bytes())).map(|row| (row, 1));
        self.model.named(&sink.table).is_none_or(|(_, table)| rows.collect::<Rows>() == table.rows)
    }

    /// Whether a source has been read to the end of its topic.
    pub fn is_read(&self, name: &str) -> bool {
        let Some((id, _)) = self.model.named(name) else { return true };
        let state = self.log.lock();
        let mut parts = state.topics[name].parts.iter().enumerate();
        parts.all(|(partition, part)| {
            let position = self.model.positions.get(&(id, zset::Partition(partition as i32))).copied();
            part.find(position.unwrap_or(0)) == part.records.len()
        })
    }

    /// The producers' topics are there before anybody reads them.
    pub fn make_topic(&self, name: &str, partitions: u32) {
        let kind = api::TopicKind::Plain;
        let spec = api::TopicSpec { topic: name.to_string(), partitions, replication: None, kind };
        self.log.make_topic(&spec).unwrap();
    }
}
