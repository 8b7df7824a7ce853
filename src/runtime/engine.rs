//! The engine: all parts of one pipeline in one place, owned by one thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use api::Writer;
use dataflow::{SequenceMarks, Sequences};
use plan::{Catalog, LastRecord, SinkId, TableId};
use state::Store;
use zset::{Epoch, Generation, Offset, Partition, TimestampMs};

use crate::checkpoint::Background;
use crate::courtesy::Courtesy;
use crate::ends::Ends;
use crate::flight::Flight;
use crate::journal::Journal;
use crate::mend::{Doubt, Keepings};
use crate::own::Retired;
use crate::run::Event;
use crate::secrets::Vault;
use crate::sink::Sink;
use crate::source::Source;
use crate::table::Table;
use crate::{DataDir, EngineConfig, Handle, Parts, Shared};

/// See the module.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) parts: Parts,
    pub(crate) store: Arc<Store>,
    /// `None` while a commit is on its way.
    pub(crate) writer: Option<Box<dyn Writer>>,
    /// The commit that is on its way.
    pub(crate) flight: Option<Flight>,
    /// Whether the state has an epoch that was not committed: nothing is stored of it any more.
    pub(crate) ahead: bool,
    pub(crate) catalog: Catalog,
    /// The catalog as readers have it; `None`: it changed.
    pub(crate) catalog_seen: Option<Arc<Catalog>>,
    pub(crate) tables: BTreeMap<TableId, Table>,
    pub(crate) sinks: BTreeMap<SinkId, Sink>,
    /// The passwords of statements.
    pub(crate) secrets: Arc<Vault>,
    /// Where sequences are by the epoch records.
    pub(crate) sequences: SequenceMarks,
    /// What clients take the values of sequences from.
    pub(crate) sequences_taken: Arc<Sequences>,
    /// Whether a commit is begun and not at its end: what it has may be committed.
    pub(crate) committing: bool,
    pub(crate) positions: BTreeMap<(TableId, Partition), Position>,
    pub(crate) sources: BTreeMap<TableId, Source>,
    /// Sources that are not read, and why.
    pub(crate) halts: BTreeMap<TableId, String>,
    /// Up to where dropped tables of our own had written their topics.
    pub(crate) retired: Retired,
    /// Partition counts of the dead-letter topics that were written to since the start.
    pub(crate) dead_letter_partitions: BTreeMap<String, u32>,
    /// Sources that are not read because their topics are not what was read of them, and why.
    pub(crate) lost: BTreeMap<TableId, String>,
    /// Sources that could not be read on, and were not looked at yet.
    pub(crate) doubts: BTreeMap<TableId, Doubt>,
    /// When readers were last started again of sources whose topics look as they did.
    pub(crate) retried: BTreeMap<TableId, Instant>,
    /// What the topics of the sources that are read lose by themselves.
    pub(crate) keepings: BTreeMap<TableId, Keepings>,
    /// Those of which nobody could see that, of one topic at least.
    pub(crate) unknown_keepings: BTreeSet<TableId>,
    pub(crate) ends: Ends,
    /// When they were last noted.
    pub(crate) ends_noted: Instant,
    pub(crate) journal: Journal,
    /// Whether the sources wait for a checkpoint.
    pub(crate) held: bool,
    pub(crate) chain: Chain,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: Receiver<Event>,
    pub(crate) events_in: Sender<Event>,
    pub(crate) background: Background,
    pub(crate) courtesy: Courtesy,
    pub(crate) last_checkpoint: (Epoch, Instant),
    pub(crate) _dir: DataDir,
}

/// How far a source partition is in the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// Where reading began: what is before was never in the table.
    pub start: Offset,
    /// The next offset.
    pub next: Offset,
    /// The last record that was read, to know the topic again.
    pub last: Option<LastRecord>,
    /// How many records were read.
    pub records: u64,
    /// How many of them became dead letters.
    pub dead_letters: u64,
    /// Its topic was not there, which the user accepted: it is read on from here when it is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// The end of the chain of epoch records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub incarnation: String,
    pub generation: Generation,
    /// The last committed epoch.
    pub epoch: Epoch,
    /// The hash of its record.
    pub hash: String,
    /// The offset of its record in the epoch topic.
    pub offset: Offset,
    /// Its time: epochs never go back in time.
    pub timestamp: TimestampMs,
}

impl Position {
    /// Where reading begins.
    pub fn at(next: Offset) -> Self {
        Self { start: next, next, ..Self::default() }
    }
}

impl Engine {
    /// A way to this engine from other threads. Statements are answered once [`Engine::run`] runs.
    pub fn handle(&self) -> Handle {
        Handle { events: self.events_in.clone(), shared: Arc::clone(&self.shared) }
    }

    /// Where a source is, by partition.
    pub(crate) fn positions_of(&self, id: TableId) -> impl Iterator<Item = (Partition, &Position)> {
        let range = (id, Partition::FIRST)..=(id, Partition::LAST);
        self.positions.range(range).map(|((_, partition), position)| (*partition, position))
    }

    /// The time that passes.
    pub(crate) fn instant(&self) -> Instant {
        self.parts.scheduler.now()
    }

    /// The time of the next epoch: the clock's, but never before the last epoch's.
    pub(crate) fn now(&self) -> TimestampMs {
        (self.parts.clock)().max(self.last_time())
    }
}
