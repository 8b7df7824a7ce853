//! ALTER STREAM TABLE ... RESUME: a suspended stream table, and those below that were suspended with it, are made anew from all
//! that their inputs hold, in an epoch of their own.
//!
//! What they gained and lost since they were suspended is the epoch's delta, and goes to their sinks. One that fails stays as it
//! is, and what reads it; the first of them failing is the statement's failure. The record names those that were made anew,
//! and replay makes the same ones.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::{Action, Contents, StatementError, TableFlow, contents_id};
use plan::{CatalogChange, InputRange, Outcome, TableDef, TableId, TableKind};
use state::Arrangement;
use zset::{Delta, RowCodec, TimestampMs, consolidate};

use crate::dead_letter::first_chars;
use crate::stage::{ERROR_CHARS_MAX, Staged};
use crate::table::{Refresh, Table};
use crate::{Engine, EngineError, alter};

/// Tables that are made anew, before they are in the place of what they were.
pub(crate) struct Resumed {
    tables: BTreeMap<TableId, Table>,
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
        for (id, mut table) in resumed.tables {
            table.commit();
            self.tables.insert(id, table);
        }
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
        let mut resumed = Resumed { tables: BTreeMap::new(), backfill: Vec::new(), failed: Vec::new() };
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
            let (inputs, read) = self.inputs_of(old, &resumed.tables)?;
            let mut table = self.made_anew(&old.def)?;
            let at_work = self.shared.jobs.begin("population", &old.def.name, None, "operators");
            match table.stage_refresh_watched(inputs, &mut |done, total| at_work.reach(done, total))? {
                Refresh::Done(rows) => {
                    let codec = RowCodec::new(old.def.columns.schema());
                    let mut parts = vec![rows];
                    for part in old.contents.read(&old.contents.snapshot()) {
                        parts.push(part?.negated());
                    }
                    let delta = consolidate(&Delta::sum(old.def.columns.schema(), &parts), &codec);
                    staged.keep(*id, delta, &codec, true);
                    resumed.backfill.extend(read);
                    resumed.tables.insert(*id, table);
                }
                Refresh::Failed(error) => {
                    resumed.failed.push(Failed { table: *id, sqlstate: error.sqlstate, why: error.to_string() });
                }
            }
        }
        Ok((staged, resumed))
    }

    /// All that the inputs of a table hold, as its query was planned on them; of those that are made anew, what they will hold.
    fn inputs_of(
        &self,
        table: &Table,
        anew: &BTreeMap<TableId, Table>,
    ) -> Result<(BTreeMap<TableId, Delta>, Vec<InputRange>), EngineError> {
        let TableKind::Stream(stream) = &table.def.kind else { unreachable!("only stream tables have inputs") };
        let (mut inputs, mut ranges) = (BTreeMap::new(), Vec::new());
        for id in &stream.inputs {
            let rows = match anew.get(id) {
                Some(table) => {
                    let parts = table.contents.read(&table.contents.staged()).collect::<Result<Vec<_>, _>>()?;
                    Delta::sum(table.def.columns.schema(), &parts)
                }
                None => {
                    let (mut rows, read) = self.all_of(&[*id])?;
                    ranges.extend(read);
                    rows.remove(id).expect("the rows that were asked for")
                }
            };
            inputs.insert(*id, alter::seen_by(stream, *id, &rows));
        }
        Ok((inputs, ranges))
    }

    /// A stream table as it is, without rows and state.
    fn made_anew(&self, def: &TableDef) -> Result<Table, EngineError> {
        let TableKind::Stream(stream) = &def.kind else { unreachable!("only stream tables are made anew") };
        let planned = self.parts.planner.plan(&def.sql, &self.catalog.as_planned(stream).without(def.id))?;
        let Action::CreateStream { graph, .. } = planned.action else {
            return Err(EngineError::Recovery(format!("cannot plan {} again from its SQL: {}", def.name, def.sql)));
        };
        let flow = TableFlow::new(def.id, &graph, &mut Arrangement::new);
        let arrangement = Arrangement::new(contents_id(def.id), Contents::law(def));
        let mut table =
            Table::stream(def.clone(), Contents::with_rows(def, arrangement, 0), flow, &mut Arrangement::new);
        table.blind = self.blind(&stream.inputs);
        Ok(table)
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
