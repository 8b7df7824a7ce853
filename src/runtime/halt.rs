//! Halted sources: one that cannot go on, or must not, is not read; it says why in SHOW SOURCES, and all else goes on.
//!
//! A halt lasts over restarts: it is in the epoch record that brought it about, and in every checkpoint. It ends by an
//! ALTER TABLE alone, which is an epoch too. What a halted source had read beyond its positions is read again then.

use plan::{SourceHalt, TableId};

use crate::Engine;

impl Engine {
    /// Stops reading a source.
    pub(crate) fn halt(&mut self, halt: &SourceHalt) {
        let Some(table) = self.tables.get(&halt.table) else { return };
        let name = &table.def.name;
        tracing::error!(table = %name, "source {name} is halted: {}", halt.reason);
        self.shared.metrics.halted(name, true);
        self.sources.remove(&halt.table);
        self.halts.insert(halt.table, halt.reason.clone());
    }

    /// Forgets that a source is halted; [`Engine::start_source`] reads on.
    pub(crate) fn end_halt(&mut self, id: TableId) {
        if self.halts.remove(&id).is_some()
            && let Some(table) = self.tables.get(&id)
        {
            tracing::info!(table = %table.def.name, "source {} goes on", table.def.name);
            self.shared.metrics.halted(&table.def.name, false);
        }
    }
}
