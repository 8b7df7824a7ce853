//! The view that every reader sees: all stored tables as they are after a committed epoch. It is lists of batches, so that
//! making one copies no row, and reading one holds up nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow::{TableRows, View};
use plan::{Catalog, TableId};
use zset::{Epoch, TimestampMs};

use crate::Engine;
use crate::own::Own;
use crate::table::Table;

/// What there is to see before anything is open.
pub(crate) fn empty() -> Arc<View> {
    Arc::new(View {
        epoch: Epoch(0),
        timestamp: TimestampMs(0),
        catalog: Arc::new(Catalog::default()),
        tables: Arc::new(BTreeMap::new()),
        sequences: Arc::default(),
        memory: Arc::default(),
    })
}

impl Engine {
    /// The view of the last committed epoch.
    pub(crate) fn view(&mut self) -> Arc<View> {
        let catalog = self.catalog_seen.get_or_insert_with(|| Arc::new(self.catalog.clone()));
        let stored = self.tables.iter().filter(|(_, table)| table.def.is_stored());
        let tables: BTreeMap<TableId, TableRows> = stored.map(|(id, table)| (*id, rows(table))).collect();
        Arc::new(View {
            epoch: self.chain.epoch,
            timestamp: self.chain.timestamp,
            catalog: Arc::clone(catalog),
            tables: Arc::new(tables),
            sequences: Arc::clone(&self.sequences_taken),
            memory: Arc::clone(&self.parts.memory),
        })
    }
}

fn rows(table: &Table) -> TableRows {
    let contents = &table.contents;
    TableRows {
        reader: contents.reader(),
        snapshot: contents.snapshot(),
        rows: contents.rows(),
        uniques: contents.uniques(),
        last: table.own.as_ref().map(Own::last).unwrap_or_default(),
        trouble: table.trouble().map(Into::into),
    }
}
