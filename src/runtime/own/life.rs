//! What a table of our own is given when it is made, and what is remembered of it when it is dropped.

use plan::{SequenceId, SequenceMark, TableDef};
use zset::{Offset, Partition};

use super::Own;
use crate::Engine;
use crate::table::Table;

impl Engine {
    /// Gives a table of our own what writes its records.
    pub(crate) fn equip(&self, table: &mut Table, partitions: usize) {
        if let Some(source) = table.def.source().filter(|source| source.is_own()) {
            table.own = Some(Own::new(&table.def, source, &self.config.pipeline, partitions as u32));
        }
    }

    /// What an epoch's record says of a sequence is so.
    pub(crate) fn mark_sequence(&mut self, mark: &SequenceMark) {
        let SequenceId { table, slot } = mark.sequence;
        let of = self.catalog.table(table).and_then(|table| table.sequences().iter().find(|of| of.slot == slot));
        if let Some(of) = of {
            self.sequences.apply(mark, of);
            self.sequences_taken.committed(mark, of);
        }
    }

    /// Remembers how far a table that is dropped has written its topic.
    pub(crate) fn retire(&mut self, def: &TableDef) {
        self.sequences.forget(def.id);
        self.sequences_taken.forget(def.id);
        let Some(source) = def.source().filter(|source| source.is_own()) else { return };
        let positions: Vec<(Partition, Offset)> =
            self.positions_of(def.id).map(|(partition, position)| (partition, position.next)).collect();
        for (partition, next) in positions {
            self.retired.insert((source.topic.clone(), partition), next);
        }
    }
}
