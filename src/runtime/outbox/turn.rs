//! Outboxes in the loop: each turn gives the targets what is due, holds what waits against its bound, and hears what became of it.

use api::TargetError;
use plan::SinkId;
use state::StateError;
use zset::Epoch;

use super::bound::{Phase, Verdict, judge};
use super::{Confirmed, Outbox, Report, Whole};
use crate::Engine;
use crate::sink::{Sink, Way};

impl Engine {
    /// Gives every target that is free what was gathered for it. One that has been away for too long is brought together with
    /// its table when it is back.
    pub(crate) fn turn_detached(&mut self) {
        let committed = self.chain.epoch;
        let mut broken = Vec::new();
        for (id, sink) in self.sinks.iter_mut().filter(|(_, sink)| sink.error.is_none()) {
            let Way::Outbox(outbox) = &mut sink.way else { continue };
            let (name, rows) = (&sink.def.name, self.tables[&sink.def.input].contents.rows());
            if let Err(reason) = turn_outbox(name, outbox, committed, rows) {
                broken.push((*id, reason));
                continue;
            }
            self.shared.metrics.outbox(name, outbox.pending_of(rows), outbox.frontier(committed));
            self.shared.metrics.resynchronises(name, outbox.resynchronises());
        }
        broken.into_iter().for_each(|(id, reason)| self.break_sink(id, reason));
    }

    /// What the thread of a target reports.
    pub(crate) fn hear(&mut self, id: SinkId, report: Report) {
        let Some(Sink { def, way: Way::Outbox(outbox), error: None, .. }) = self.sinks.get_mut(&id) else { return };
        match report {
            Report::Confirmed(mark) => {
                let trouble = outbox.trouble().cloned();
                let Some(confirmed) = outbox.confirm(mark) else { return };
                if let Some(trouble) = trouble {
                    tracing::info!(sink = %def.name, epoch = %mark, "the target takes rows again, after: {trouble}");
                }
                if confirmed == Confirmed::Resynchronised {
                    tracing::info!(sink = %def.name, epoch = %mark, "sink {} is resynchronised", def.name);
                }
                self.shared.metrics.outbox(&def.name, outbox.pending(), outbox.frontier(self.chain.epoch));
            }
            Report::Reached => {
                let contents = &self.tables[&def.input].contents;
                outbox.reached(self.chain.epoch, Whole { reader: contents.reader(), snapshot: contents.snapshot() });
            }
            Report::Failed(error) => {
                self.shared.metrics.outbox_retried(&def.name);
                if outbox.refuse(error.clone()) {
                    match error {
                        TargetError::Retriable(why) => {
                            tracing::warn!(sink = %def.name, "sink {} waits: {why}", def.name)
                        }
                        TargetError::Refused(why) => tracing::error!(
                            sink = %def.name,
                            "sink {} is in ERROR, its rows are kept and tried again: {why}", def.name
                        ),
                    }
                }
            }
        }
    }
}

/// Gives a target what is due, and holds what waits against its bound; answers why the sink cannot go on.
fn turn_outbox(name: &str, outbox: &mut Outbox, committed: Epoch, rows: i64) -> Result<(), String> {
    let unreadable = |error: StateError| {
        format!(
            "cannot read its outbox: {error}; DROP SINK {name}, empty its table there, and CREATE it again, which fills it from \
             the start"
        )
    };
    outbox.turn(committed).map_err(unreadable)?;
    let waiting = outbox.waiting(rows);
    let why = || outbox.trouble().map_or("it is too slow".to_string(), TargetError::to_string);
    match judge(waiting) {
        Verdict::Keep => {}
        Verdict::Resynchronise if waiting.phase == Phase::Comparing => {
            tracing::warn!(
                sink = %name,
                "{} keys have changed while the target of sink {name} was compared with the table, more than {}: it is compared again",
                waiting.keys, waiting.most()
            );
            outbox.mark();
            outbox.turn(committed).map_err(unreadable)?;
        }
        Verdict::Resynchronise => {
            tracing::warn!(
                sink = %name,
                "{} keys wait for the target of sink {name}, more than outbox_rows_max = {} ({}): they are dropped, and it is \
                 compared with the table when it can be reached",
                waiting.keys, waiting.rows_max, why()
            );
            outbox.mark();
            outbox.turn(committed).map_err(unreadable)?;
        }
        Verdict::GiveUp => {
            return Err(format!(
                "{} rows have gone that the target may have, more than can be kept in mind ({}, {}); they were dropped: when \
                 it is mended, DROP SINK {name}, empty its table there, and CREATE it again, which fills it from the start",
                waiting.keys,
                waiting.gone_max,
                why()
            ));
        }
    }
    if outbox.is_orphaned() {
        return Err(format!(
            "the thread of its target has panicked, which is a bug of millstream (its message is in the log); DROP SINK {name}, \
             empty its table there, and CREATE it again, which fills it from the start"
        ));
    }
    Ok(())
}
