//! ALTER TABLE ... SET, RESET and RESUME of a source: an epoch of its own. Records are decoded by the options of their time,
//! for replay takes the epochs in their order. A halted source goes on from where it stopped.

use dataflow::AlterSource;
use plan::{CatalogChange, TableKind};

use crate::stage::Staged;
use crate::table::{Table, Work};
use crate::{Engine, EngineError};

impl Engine {
    pub(crate) fn alter_source(&mut self, alter: &AlterSource) -> Result<(), EngineError> {
        let (id, work) = (alter.def.id, self.redecoding(alter)?);
        let change = CatalogChange::AlterTable { id, sql: alter.sql.clone() };
        self.commit(Staged::at(self.now()), Some(change))?;
        self.install_altered_source(alter, work);
        if !self.sources.contains_key(&id) {
            self.look_again(id)?;
        }
        self.publish_status();
        Ok(())
    }

    /// What decodes a source's records from now on.
    pub(crate) fn redecoding(&self, alter: &AlterSource) -> Result<Work, EngineError> {
        let TableKind::Source(source) = &alter.def.kind else { unreachable!("only sources have such options") };
        Ok(Work::Source(Table::decoder(&alter.def, source)?))
    }

    /// Makes the change so; the source is read on by [`Engine::start_source`].
    pub(crate) fn install_altered_source(&mut self, alter: &AlterSource, work: Work) {
        let id = alter.def.id;
        if let Some(table) = self.tables.get_mut(&id) {
            table.def = alter.def.clone();
            table.work = work;
            table.letters.begin_minute();
        }
        self.catalog.replace_table(alter.def.clone());
        self.catalog_seen = None;
        self.end_halt(id);
    }
}
