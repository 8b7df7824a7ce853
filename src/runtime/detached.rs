//! Detached sinks: those that write outside of the pipeline's log, and so not in the epoch's transaction. Nothing of an epoch
//! reaches them before it is committed; what they have already, they are not given again.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Lines, Progress, TargetError, TargetSpec};
use dataflow::StatementError;
use plan::{EpochRecord, SinkConnector, SinkDef, SinkId, TableDef};
use schemas::SinkEpoch;
use serde::{Deserialize, Serialize};
use state::{Arrangement, ArrangementId, Law};
use zset::Epoch;

use crate::backlog::{Backlog, BacklogState};
use crate::outbox::{Decision, Mine, Opened, Outbox, OutboxState, Start, decide};
use crate::sink::{self, Output, Sink, Way};
use crate::stage::Staged;
use crate::{Engine, EngineError};

/// A sink's file. Epochs are appended as soon as they are committed.
pub(crate) struct FileSink {
    lines: Box<dyn Lines>,
    /// How far the file is.
    progress: Option<Progress>,
}

/// A sink's state outside of its arrangements.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkState {
    pub id: SinkId,
    pub error: Option<String>,
    /// The last epoch in its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Epoch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outbox: Option<OutboxState>,
    /// What waits for its topic; a topic's sink in error without it gets nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backlog: Option<BacklogState>,
}

impl Sink {
    /// What a checkpoint keeps of it.
    pub fn state(&self) -> SinkState {
        let mut state =
            SinkState { id: self.def.id, error: self.error.clone(), written: None, outbox: None, backlog: None };
        match &self.way {
            Way::Direct => {}
            Way::Topic(backlog) => state.backlog = backlog.state(),
            Way::Outbox(outbox) => state.outbox = Some(outbox.state()),
            Way::File(file) => state.written = file.written(),
        }
        state
    }

    /// Whether an epoch that is replayed may not have reached it yet.
    fn may_lack(&self, epoch: Epoch) -> bool {
        match &self.way {
            Way::Direct => false,
            Way::Topic(backlog) => backlog.waits(),
            Way::Outbox(_) => true,
            Way::File(file) => file.written() < Some(epoch),
        }
    }
}

impl FileSink {
    fn written(&self) -> Option<Epoch> {
        self.progress.as_ref().map(|progress| progress.epoch)
    }

    /// Appends the lines of an epoch, unless the file has them.
    fn append(&mut self, lines: &[u8], after: Progress) -> Result<(), TargetError> {
        if self.written() >= Some(after.epoch) {
            return Ok(());
        }
        self.lines.append(lines, &after)?;
        self.progress = Some(after);
        Ok(())
    }
}

impl Engine {
    /// The way of a sink that is being made by a statement. Its target is opened: what it refuses fails the statement; one
    /// that is away is told of, and waited for.
    pub(crate) fn new_way(&self, def: &SinkDef, table: &TableDef) -> Result<(Way, Vec<String>), EngineError> {
        let refused = |error: TargetError| {
            let message = format!("sink {}: {error}", def.name);
            EngineError::from(StatementError {
                sqlstate: "58030",
                message,
                hint: None,
                detail: None,
                position: None,
                about: None,
            })
        };
        let mut notices = Vec::new();
        let spec = self.target_spec(def, table);
        if let Err(why) = self.parts.connectors.check(def) {
            return Err(refused(TargetError::Refused(why)));
        }
        let way = match def.connector {
            SinkConnector::Log => Way::Topic(Box::new(Backlog::new(def, &mut self.made()))),
            SinkConnector::Stdout | SinkConnector::Blackhole => Way::Direct,
            SinkConnector::File => {
                let file = self.open_file(&spec).map_err(refused)?;
                if file.progress.is_some() {
                    let why = "the file has the lines of an earlier sink of this name, and all rows would come once more; \
                               remove it with its .progress, or give another path";
                    return Err(refused(TargetError::Refused(why.to_string())));
                }
                Way::File(file)
            }
            SinkConnector::Postgres => {
                let mut outbox = self.new_outbox(def, table);
                let opened = self.parts.connectors.target(&spec).and_then(|mut target| {
                    let progress = target.open()?;
                    match decide(&self.mine(def), progress.as_ref(), (None, None), self.chain.epoch.next()) {
                        Decision::Refuse(why) => Err(TargetError::Refused(why)),
                        Decision::Apply | Decision::Skip => Ok(Opened { target, progress }),
                    }
                });
                match opened {
                    Ok(opened) => {
                        if opened.progress.is_some() {
                            notices.push(
                                "an earlier sink of this name has filled the table: rows of it that were deleted since then stay \
                                 there; empty the table and create the sink again if it is to equal its source"
                                    .to_string(),
                            );
                        }
                        outbox.keep(opened);
                    }
                    Err(TargetError::Retriable(why)) => {
                        notices.push(format!("the target does not answer, the rows wait for it: {why}"));
                    }
                    Err(error @ TargetError::Refused(_)) => return Err(refused(error)),
                }
                Way::Outbox(Box::new(outbox))
            }
        };
        Ok((way, notices))
    }

    /// What makes arrangements that are new.
    fn made(&self) -> impl FnMut(ArrangementId, Law) -> Arrangement {
        |id, law| self.store.arrangement(id, law)
    }

    /// The outbox of a new sink. More rows than may wait in it are not sent by it.
    fn new_outbox(&self, def: &SinkDef, table: &TableDef) -> Outbox {
        let mut outbox = Outbox::new(def, &table.columns, &mut self.made());
        outbox.begin(self.tables[&def.input].contents.rows());
        outbox
    }

    /// The way of a sink whose making is replayed: what its target says now is told by its status.
    pub(crate) fn replayed_sink(&self, def: &SinkDef) -> Sink {
        let table = &self.tables[&def.input].def;
        let (way, error) = match def.connector {
            SinkConnector::Postgres => (Way::Outbox(Box::new(self.new_outbox(def, table))), None),
            SinkConnector::File => self.file_or_error(def, table, None),
            SinkConnector::Log => (Way::Topic(Box::new(Backlog::new(def, &mut self.made()))), None),
            SinkConnector::Stdout | SinkConnector::Blackhole => (Way::Direct, None),
        };
        let mut sink = Sink::new(def.clone(), table, &self.config.pipeline, 1, way);
        sink.error = error;
        sink
    }

    /// A sink of a checkpoint.
    pub(crate) fn restored_sink(
        &self,
        def: &SinkDef,
        state: Option<&SinkState>,
        take: &mut dyn FnMut(ArrangementId, Law) -> Arrangement,
    ) -> Sink {
        let table = &self.tables[&def.input].def;
        let broken = state.and_then(|state| state.error.clone());
        let (way, error) = match (def.connector, state.and_then(|state| state.outbox.as_ref())) {
            (SinkConnector::Postgres, Some(outbox)) => {
                (Way::Outbox(Box::new(Outbox::restored(def, &table.columns, outbox, take))), broken)
            }
            (SinkConnector::Postgres, None) => {
                (Way::Outbox(Box::new(Outbox::new(def, &table.columns, &mut self.made()))), broken)
            }
            (SinkConnector::File, _) if broken.is_some() => (Way::Direct, broken),
            (SinkConnector::File, _) => self.file_or_error(def, table, state.and_then(|state| state.written)),
            (SinkConnector::Log, _) => {
                let backlog = match state.and_then(|state| state.backlog.as_ref()) {
                    Some(backlog) => Backlog::restored(def, backlog, take),
                    None if broken.is_some() => Backlog::closed(def, &mut self.made()),
                    None => Backlog::new(def, &mut self.made()),
                };
                (Way::Topic(Box::new(backlog)), broken)
            }
            (SinkConnector::Stdout | SinkConnector::Blackhole, _) => (Way::Direct, broken),
        };
        let mut sink = Sink::new(def.clone(), table, &self.config.pipeline, 1, way);
        sink.error = error;
        sink
    }

    fn open_file(&self, spec: &TargetSpec) -> Result<FileSink, TargetError> {
        let mut lines = self.parts.connectors.lines(spec)?;
        let progress = lines.open()?;
        Ok(FileSink { lines, progress })
    }

    /// Opens a sink's file, in which epochs up to `written` must be.
    fn file_or_error(&self, def: &SinkDef, table: &TableDef, written: Option<Epoch>) -> (Way, Option<String>) {
        let error = match self.open_file(&self.target_spec(def, table)) {
            Ok(file) if file.written() >= written => return (Way::File(file), None),
            Ok(file) => {
                let epoch =
                    |epoch: Option<Epoch>| epoch.map_or("no epoch".to_string(), |epoch| format!("epoch {epoch}"));
                format!(
                    "the file is at {}, and was at {} before: it was put back or made anew; put the newer one back, or DROP \
                     SINK and CREATE it again with another path",
                    epoch(file.written()),
                    epoch(written)
                )
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(sink = %def.name, "sink {} is in ERROR: {error}", def.name);
        (Way::Direct, Some(error))
    }

    fn target_spec(&self, def: &SinkDef, table: &TableDef) -> TargetSpec {
        TargetSpec {
            pipeline: self.config.pipeline.clone(),
            incarnation: self.chain.incarnation.clone(),
            sink: def.clone(),
            columns: table.columns.clone(),
        }
    }

    fn mine(&self, def: &SinkDef) -> Mine {
        Mine {
            pipeline: self.config.pipeline.clone(),
            sink: def.name.clone(),
            incarnation: self.chain.incarnation.clone(),
            generation: self.chain.generation,
            start: self.chain.epoch,
        }
    }

    fn progress(&self, epoch: Epoch) -> Progress {
        Progress { incarnation: self.chain.incarnation.clone(), generation: self.chain.generation, epoch }
    }

    /// What the sinks make of the staged deltas of an epoch that is replayed, but for what its transaction had.
    pub(crate) fn stage_detached(&self, staged: &mut Staged, record: &EpochRecord) {
        let epoch = self.chain.epoch.next();
        for (id, sink) in &self.sinks {
            let Some(delta) = staged.deltas.get(&sink.def.input) else { continue };
            if sink.is_out() {
                continue;
            }
            if sink.may_lack(epoch) {
                staged.outputs.push((*id, sink.encode(delta, epoch, staged.timestamp, false)));
            } else if record.sinks.iter().any(|failure| failure.sink == *id && !failure.for_good) {
                let at = SinkEpoch { epoch, timestamp: staged.timestamp, snapshot: false };
                staged.outputs.push((*id, sink.waits(delta, &at)));
            }
        }
    }

    /// What a new sink makes of all rows of its table.
    pub(crate) fn stage_filling(&self, staged: &mut Staged, sink: &Sink) -> Result<(), EngineError> {
        self.parts.faults.reach("populate")?;
        let epoch = self.chain.epoch.next();
        let input = &self.tables[&sink.def.input];
        match &sink.way {
            Way::Outbox(outbox) if outbox.resynchronises() => return Ok(()),
            Way::Topic(_) => return self.stage_first_rows(staged, sink),
            Way::Outbox(_) | Way::Direct | Way::File(_) => {}
        }
        for part in input.contents.read(&input.contents.snapshot()) {
            staged.outputs.push((sink.def.id, sink.encode(&part?, epoch, staged.timestamp, true)));
        }
        Ok(())
    }

    /// As [`Engine::stage_filling`], for a sink whose making is replayed.
    pub(crate) fn stage_filling_again(&self, staged: &mut Staged, sink: &Sink) -> Result<(), EngineError> {
        if sink.error.is_none() && sink.may_lack(self.chain.epoch.next()) {
            return self.stage_filling(staged, sink);
        }
        Ok(())
    }

    /// Hands the output of an epoch that is committed to its sinks. (What is in its transaction is there already.)
    pub(crate) fn deliver(&mut self, outputs: Vec<(SinkId, Output)>) -> Result<(), EngineError> {
        let mut files: BTreeMap<SinkId, Vec<u8>> = BTreeMap::new();
        for (id, output) in outputs {
            let Some(sink) = self.sinks.get_mut(&id) else { continue };
            sink.sent += match (output, &mut sink.way) {
                (Output::Waits(entries), Way::Topic(backlog)) => {
                    backlog.gather(&entries, Some(Epoch(self.chain.epoch.0.saturating_sub(1))));
                    0
                }
                (Output::Keyed(changes), Way::Outbox(outbox)) => {
                    self.parts.faults.reach("outbox-gather")?;
                    outbox.gather(&changes);
                    changes.keys.len() as u64
                }
                (Output::Lines(lines, count), Way::File(_)) => {
                    files.entry(id).or_default().extend(lines);
                    count
                }
                (Output::Lines(lines, count), _) => {
                    sink::print(&lines);
                    count
                }
                (Output::Records(records) | Output::Released(records), _) => records.len() as u64,
                (Output::Count(count), _) => count,
                (Output::Keyed(_), _) => unreachable!("only an outbox gathers keys"),
                (Output::Waits(_), _) => unreachable!("only a sink with a topic has a backlog"),
            };
        }
        for (id, lines) in files {
            let after = self.progress(self.chain.epoch);
            let Some(sink) = self.sinks.get_mut(&id) else { continue };
            let Way::File(file) = &mut sink.way else { continue };
            if let Err(error) = file.append(&lines, after) {
                self.break_sink(id, error.to_string());
            }
        }
        Ok(())
    }

    /// A sink gets nothing more, and what waits for it is dropped.
    pub(crate) fn break_sink(&mut self, id: SinkId, reason: String) {
        self.fail_sink(&plan::SinkFailure { sink: id, reason, for_good: true, written: None });
        if let Some(Sink { def, way: Way::Outbox(outbox), .. }) = self.sinks.get_mut(&id) {
            outbox.close();
            self.shared.metrics.forget_outbox(&def.name);
        }
    }

    /// Recovery is done: starts the threads of all targets.
    pub(crate) fn start_detached(&mut self) -> Result<(), EngineError> {
        let ids: Vec<SinkId> = self.sinks.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.start_target(id))
    }

    /// Starts the thread of a sink's target, if it has one. A file is at work already.
    pub(crate) fn start_target(&mut self, id: SinkId) -> Result<(), EngineError> {
        let Some(sink) = self.sinks.get(&id).filter(|sink| sink.error.is_none()) else { return Ok(()) };
        let (def, committed) = (sink.def.clone(), self.chain.epoch);
        if let Way::File(file) = &sink.way
            && file.written() > Some(committed)
        {
            let (at, pipeline) = (file.written().unwrap_or_default(), &self.config.pipeline);
            let reason = format!(
                "the file is at epoch {at}, ahead of pipeline \"{pipeline}\", which is at epoch {committed}: was the data folder \
                 restored from a backup? DROP SINK and CREATE it again with another path"
            );
            self.break_sink(id, reason);
            return Ok(());
        }
        let start = Start {
            id,
            mine: self.mine(&def),
            spec: self.target_spec(&def, &self.tables[&def.input].def),
            connectors: self.parts.connectors.clone(),
            events: self.events_in.clone(),
            scheduler: Arc::clone(&self.parts.scheduler),
        };
        if let Some(Sink { way: Way::Outbox(outbox), .. }) = self.sinks.get_mut(&id) {
            outbox.start(start).map_err(|error| {
                EngineError::Log(format!("cannot start a thread for the target of sink {}: {error}", def.name))
            })?;
        }
        Ok(())
    }
}
