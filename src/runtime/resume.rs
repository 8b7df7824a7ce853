//! ALTER STREAM TABLE ... RESUME: a suspended stream table, and those below that were suspended with it, are made anew from all
//! that their inputs hold, in an epoch of their own.
//!
//! What they gained and lost since they were suspended is the epoch's delta, and goes to their sinks; it is all that has to be in
//! memory at once, unless a piece fails (`populate`). One that fails stays as it is, and what reads it; the first of them failing is
//! the statement's failure. The record names those that were made anew, and replay makes the same ones.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::{Action, StatementError};
use plan::{CatalogChange, InputRange, Outcome, TableDef, TableId, TableKind};
use zset::{RowCodec, RowError, TimestampMs, consolidate};

use crate::backfill::Anew;
use crate::dead_letter::first_chars;
use crate::stage::{ERROR_CHARS_MAX, Staged};
use crate::table::Table;
use crate::{Engine, EngineError};

/// What comes of resuming tables, before they are in the place of what they were.
pub(crate) struct Resumed {
    tables: Anew,
    backfill: Vec<InputRange>,
    failed: Vec<Failed>,
}

/// A table that cannot be made anew.
struct Failed {
    table: TableId,
    sqlstate: &'static str,
    why: String,
}

impl Engine {
    /// Resumes a table; answers what the user is told besides.
    pub(crate) fn resume(&mut self, id: TableId) -> Result<Vec<String>, EngineError> {
        let tables = self.resumable(id)?;
        let (mut staged, resumed) = self.stage_resume(&tables, self.now())?;
        if let Some(failed) = resumed.failed.iter().find(|failed| failed.table == id) {
            return Err(self.cannot_resume(failed));
        }
        let mut notices = Vec::new();
        for Failed { table, why, .. } in &resumed.failed {
            notices.push(format!("stream table {} is SUSPENDED still: {why}", self.tables[table].def.name));
            self.keep_suspended(&mut staged, *table, first_chars(why.clone(), ERROR_CHARS_MAX));
        }
        self.stage_sinks(&mut staged);
        let change = CatalogChange::ResumeStreams {
            tables: resumed.tables.keys().copied().collect(),
            backfill: resumed.backfill.clone(),
        };
        self.commit(staged, Some(change))?;
        let read_again: Vec<TableId> = resumed.backfill.iter().map(|range| range.table).collect();
        self.install_resumed(resumed);
        self.publish_status();
        self.keep_read_again(&read_again)?;
        Ok(notices)
    }

    /// Stages what a record says was resumed.
    pub(crate) fn replay_resume(
        &mut self,
        tables: &[TableId],
        outcomes: &BTreeMap<TableId, Outcome>,
        timestamp: TimestampMs,
        backfill: &[InputRange],
    ) -> Result<(Staged, Resumed), EngineError> {
        let (mut staged, resumed) = self.stage_resume(tables, timestamp)?;
        if let Some(failed) = resumed.failed.first() {
            return Err(self.cannot_resume(failed));
        }
        self.compare_backfill("that was resumed", &resumed.backfill, backfill)?;
        for (id, outcome) in outcomes {
            if let Outcome::Suspended(text) = outcome {
                self.keep_suspended(&mut staged, *id, text.clone());
            }
        }
        Ok((staged, resumed))
    }

    /// Puts tables that were made anew in the place of what they were.
    pub(crate) fn install_resumed(&mut self, resumed: Resumed) {
        self.tables.extend(resumed.tables);
    }

    /// The table, and those that are suspended because of it alone; in topological order.
    fn resumable(&self, id: TableId) -> Result<Vec<TableId>, EngineError> {
        let table = &self.tables[&id];
        let name = &table.def.name;
        if !table.suspended {
            let (state, hint) = match &table.error {
                Some(_) => {
                    ("in ERROR", "it is tried again when its input changes: mend the row that SHOW STREAM TABLES names")
                }
                None => ("ACTIVE", "there is nothing to resume"),
            };
            return Err(refused(format!("stream table {name} is not SUSPENDED, it is {state}"), hint.to_string()));
        }
        let mut going: BTreeSet<TableId> = BTreeSet::new();
        for (candidate, table) in self.tables.range(id..).filter(|(_, table)| table.suspended) {
            let TableKind::Stream(stream) = &table.def.kind else { continue };
            let blocking = stream.inputs.iter().find(|input| self.is_stuck(**input) && !going.contains(input));
            if *candidate != id && (blocking.is_some() || !stream.inputs.iter().any(|input| going.contains(input))) {
                continue;
            }
            if let Some(blocking) = blocking {
                let input = &self.tables[blocking];
                let trouble = input.trouble().unwrap_or_default();
                let message =
                    format!("cannot resume stream table {name}: table {}, which it reads, {trouble}", input.def.name);
                let hint = match input.suspended {
                    true => format!("resume that one, and this follows: ALTER STREAM TABLE {} RESUME", input.def.name),
                    false => "mend that one first".to_string(),
                };
                return Err(refused(message, hint));
            }
            going.insert(*candidate);
        }
        Ok(going.into_iter().collect())
    }

    fn is_stuck(&self, id: TableId) -> bool {
        self.tables[&id].error.is_some()
    }

    fn stage_resume(&self, tables: &[TableId], timestamp: TimestampMs) -> Result<(Staged, Resumed), EngineError> {
        let mut staged = Staged::at(timestamp);
        let mut resumed = Resumed { tables: Anew::new(), backfill: Vec::new(), failed: Vec::new() };
        for id in tables {
            let old = &self.tables[id];
            let TableKind::Stream(stream) = &old.def.kind else { continue };
            let above = stream.inputs.iter().find(|input| resumed.failed.iter().any(|failed| failed.table == **input));
            if let Some(above) = above {
                let name = &self.tables[above].def.name;
                let why = format!("table {name}, which it reads, is SUSPENDED");
                resumed.failed.push(Failed { table: *id, sqlstate: "55000", why });
                continue;
            }
            match self.planned_again(&old.def, &resumed.tables)? {
                Ok((table, read)) => {
                    let codec = RowCodec::new(old.def.columns.schema());
                    let delta = old.contents.difference(&table.contents, &mut || self.shared.go_on())?;
                    let delta = consolidate(&delta, &codec);
                    staged.keep(*id, delta, &codec, true);
                    resumed.backfill.extend(read);
                    resumed.tables.insert(*id, table);
                }
                Err(error) => {
                    resumed.failed.push(Failed { table: *id, sqlstate: error.sqlstate, why: error.to_string() });
                }
            }
        }
        Ok((staged, resumed))
    }

    /// A stream table as its query makes it now, and what was read again for it; or why it cannot be made.
    fn planned_again(
        &self,
        def: &TableDef,
        anew: &Anew,
    ) -> Result<Result<(Table, Vec<InputRange>), RowError>, EngineError> {
        let TableKind::Stream(stream) = &def.kind else { unreachable!("only stream tables are made anew") };
        let planned = self.parts.planner.plan(&def.sql, &self.catalog.as_planned(stream).without(def.id))?;
        let Action::CreateStream { graph, .. } = planned.action else {
            return Err(EngineError::Recovery(format!("cannot plan {} again from its SQL: {}", def.name, def.sql)));
        };
        self.make_anew(def, &graph, anew)
    }

    fn keep_suspended(&mut self, staged: &mut Staged, id: TableId, error: String) {
        if let Some(table) = self.tables.get_mut(&id) {
            table.stage_suspended(error.clone());
            staged.touched.insert(id);
            staged.outcomes.insert(id, Outcome::Suspended(error));
        }
    }

    fn cannot_resume(&self, failed: &Failed) -> EngineError {
        StatementError {
            sqlstate: failed.sqlstate,
            message: format!("cannot resume stream table {}: {}", self.tables[&failed.table].def.name, failed.why),
            hint: Some(
                "mend the row at its source, or DROP the stream table and CREATE it so that it allows for it".into(),
            ),
            detail: None,
            position: None,
            about: None,
        }
        .into()
    }
}

fn refused(message: String, hint: String) -> EngineError {
    StatementError { sqlstate: "55000", message, hint: Some(hint), detail: None, position: None, about: None }.into()
}
