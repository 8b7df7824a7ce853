//! Reconciliation: the rows of a source become what its whole topic says. What differs is an ordinary delta of an epoch of its own:
//! stream tables and sinks come by it as by any other.

use plan::{Mended, MendedPosition, Mending, TableId};
use zset::Partition;

use super::apply::Change;
use super::whole::Failed;
use crate::feed::Feed;
use crate::{Engine, EngineError};

impl Engine {
    /// Reconciles a source with its topic, and reads on behind what was read.
    pub(super) fn reconcile(&mut self, id: TableId, what: &str) -> Result<(), EngineError> {
        let Some(table) = self.tables.get(&id) else { return Ok(()) };
        tracing::warn!(table = %table.def.name, "{what}; the topic is read whole, and the rows become what it says");
        self.reconcile_by(id, Mending::Reconciled, what)?.or_else(|why| {
            self.lose(id, &format!("{what}; and it cannot be read whole: {why}"));
            Ok(())
        })
    }

    /// The same, whoever wants it. What the topic does not let us do is answered; nothing has changed then.
    pub(super) fn reconcile_by(
        &mut self,
        id: TableId,
        way: Mending,
        reason: &str,
    ) -> Result<Result<(), String>, EngineError> {
        self.sources.remove(&id);
        if way == Mending::Reconciled {
            match self.cannot_be_whole(id) {
                Ok(None) => {}
                Ok(Some(why)) => return Ok(Err(why)),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        let whole = match self.read_whole(id, None) {
            Ok(whole) => whole,
            Err(Failed::Topic(why)) => return Ok(Err(why)),
            Err(Failed::Engine(error)) => return Err(error),
        };
        let positions = self.no_less(id, whole.positions)?;
        let mended = Mended { table: id, way, reason: reason.to_string(), positions };
        let change = Change { contents: Some(whole.table.contents), dead: whole.dead };
        self.commit_mended(mended, change, whole.began)?;
        Ok(Ok(()))
    }

    /// The position of a file that is gone stays: it was read as far as it was. A partition of a topic is not gone by itself.
    pub(super) fn no_less(
        &self,
        id: TableId,
        mut positions: Vec<MendedPosition>,
    ) -> Result<Vec<MendedPosition>, EngineError> {
        let Some(source) = self.tables[&id].source_def() else { return Ok(positions) };
        if !Feed::of(&self.parts, source)?.transport.partitions_go() {
            return Ok(positions);
        }
        let there: Vec<Partition> = positions.iter().map(|position| position.partition).collect();
        let gone = self.positions_of(id).filter(|(partition, _)| !there.contains(partition));
        positions.extend(gone.map(|(partition, position)| position.mended(partition)));
        positions.sort_by_key(|position| position.partition);
        Ok(positions)
    }
}
