//! Statements: each change of the catalog is an epoch of its own.

use dataflow::{Action, Eval, Planned, StatementError};
use plan::{CatalogChange, Graph, Outcome, SinkId, TableDef, TableId, TableKind};
use zset::TimestampMs;

use crate::stage::Staged;
use crate::table::Table;
use crate::{Engine, EngineError, Reply};

/// Where a text of statements comes from: files may only build up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    File,
    Session,
}

impl Engine {
    /// Applies the statements of a file: only CREATE and SET; what exists with the same definition is skipped.
    pub fn apply_file(&mut self, text: &str) -> Result<Vec<Reply>, EngineError> {
        self.execute(text, Origin::File)
    }

    /// Runs the statements of a text one after another; stops at the first that fails.
    pub(crate) fn execute(&mut self, text: &str, origin: Origin) -> Result<Vec<Reply>, EngineError> {
        let statements = self.parts.planner.split(text)?;
        statements.iter().map(|statement| self.statement(statement, origin)).collect()
    }

    fn statement(&mut self, statement: &str, origin: Origin) -> Result<Reply, EngineError> {
        let planned = self.plan_without_passwords(statement)?;
        let builds = matches!(
            planned.action,
            Action::CreateTable(_)
                | Action::CreateStream { .. }
                | Action::CreateSink(_)
                | Action::Exists { .. }
                | Action::Set { .. }
        );
        if origin == Origin::File && !builds {
            let error = StatementError {
                sqlstate: "0A000",
                message: format!("only CREATE and SET can be in a file, not: {}", first_words(statement)),
                hint: Some(
                    "a file says what there is to be; change a running pipeline by statements of a client".into(),
                ),
                detail: None,
                position: None,
                about: None,
            };
            return Err(error.into());
        }
        let mut reply = self.act(planned.action)?;
        reply.notices.extend(planned.notices);
        Ok(reply)
    }

    /// Plans a statement as it will be logged: without the passwords of its options.
    fn plan_without_passwords(&self, statement: &str) -> Result<Planned, EngineError> {
        let hidden = self.secrets.hide(statement);
        match self.parts.planner.plan(&hidden, &self.catalog) {
            Ok(planned) => {
                self.secrets.keep()?;
                Ok(planned)
            }
            Err(error) if hidden == statement => Err(error.into()),
            // As it was said, so that the error points to the right place; and what was made with its password in the text is
            // there still.
            Err(error) => match self.parts.planner.plan(statement, &self.catalog) {
                Ok(planned) if matches!(planned.action, Action::Exists { .. }) => Ok(planned),
                Ok(_) => Err(error.into()),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn act(&mut self, action: Action) -> Result<Reply, EngineError> {
        let reply = self.act_unpublished(action)?;
        if self.catalog_seen.is_none() {
            self.publish_status();
        }
        Ok(reply)
    }

    fn act_unpublished(&mut self, action: Action) -> Result<Reply, EngineError> {
        match action {
            Action::Alter(alter) => {
                self.alter(&alter)?;
                Ok(done("ALTER TABLE"))
            }
            Action::AlterSource(alter) => {
                self.alter_source(&alter)?;
                Ok(done("ALTER TABLE"))
            }
            Action::ReplayDeadLetters { table, force } => self.replay_dead_letters(table, force),
            Action::ShowDeadLetters { table, limit } => self.show_dead_letters(table, limit),
            Action::Resume { table } => {
                let notices = self.resume(table)?;
                Ok(Reply { notices, ..done("ALTER STREAM TABLE") })
            }
            Action::Mend(mend) => {
                let notices = self.mend(&mend)?;
                Ok(Reply { notices, ..done("ALTER TABLE") })
            }
            Action::CreateTable(def) => {
                let notices = self.create_source(def)?;
                Ok(Reply { notices, ..done("CREATE TABLE") })
            }
            Action::CreateStream { def, graph } => {
                self.create_stream(def, &graph)?;
                Ok(done("CREATE STREAM TABLE"))
            }
            Action::CreateSink(def) => {
                let notices = self.create_sink(def)?;
                Ok(Reply { notices, ..done("CREATE SINK") })
            }
            Action::Exists { name } => {
                let notices = vec![format!("relation \"{name}\" already exists, skipping")];
                Ok(Reply { notices, ..done("CREATE") })
            }
            Action::Drop { sink, name, cascade } => {
                let tag = match self.catalog.table_named(&name) {
                    _ if sink => "DROP SINK",
                    Some(table) if !table.is_stored() => "DROP SOURCE",
                    Some(TableDef { kind: TableKind::Stream(_), .. }) => "DROP STREAM TABLE",
                    _ => "DROP TABLE",
                };
                self.drop(sink, &name, cascade)?;
                Ok(done(tag))
            }
            Action::Nothing => Ok(done("DROP")),
            Action::Set { .. } => Ok(done("SET")),
            Action::Show(show) => Ok(self.show(show)),
        }
    }

    fn create_stream(&mut self, mut def: TableDef, graph: &Graph<std::sync::Arc<dyn Eval>>) -> Result<(), EngineError> {
        def.created = self.chain.epoch.next();
        let (table, staged) = self.stage_stream(def.clone(), graph, self.now())?;
        let change = CatalogChange::CreateTable {
            id: def.id,
            sql: def.sql.clone(),
            fingerprint: graph.fingerprint(),
            start: Vec::new(),
            backfill: staged.backfill.clone(),
            topics: Vec::new(),
        };
        let read_again: Vec<TableId> = staged.backfill.iter().map(|range| range.table).collect();
        let mut catalog = self.catalog.clone();
        catalog.add_table(def.clone())?;
        self.tables.insert(def.id, table);
        if let Err(error) = self.commit(staged, Some(change)) {
            self.tables.remove(&def.id);
            return Err(error);
        }
        self.catalog = catalog;
        self.publish_status();
        self.keep_read_again(&read_again)
    }

    /// A new stream table, complete: its first refresh, over all that its inputs hold, is staged.
    pub(crate) fn stage_stream(
        &self,
        def: TableDef,
        graph: &Graph<std::sync::Arc<dyn Eval>>,
        timestamp: TimestampMs,
    ) -> Result<(Table, Staged), EngineError> {
        let TableKind::Stream(stream) = &def.kind else { unreachable!("CREATE STREAM TABLE makes a stream table") };
        for input in &stream.inputs {
            let input = &self.tables[input];
            if let Some(trouble) = input.trouble() {
                let message = format!("table {} {trouble}", input.def.name);
                let hint = Some("mend it first: a table made now would start from old contents".to_string());
                return Err(StatementError {
                    sqlstate: "55000",
                    message,
                    hint,
                    detail: None,
                    position: None,
                    about: None,
                }
                .into());
            }
        }
        self.populate(&def, graph, timestamp)
    }

    fn drop(&mut self, sink: bool, name: &str, cascade: bool) -> Result<(), EngineError> {
        let change = CatalogChange::Drop { sink, name: name.to_string(), cascade };
        let mut catalog = self.catalog.clone();
        let gone = drop_from(&mut catalog, sink, name, cascade)?;
        self.commit(Staged::at(self.now()), Some(change))?;
        self.catalog = catalog;
        self.forget(gone);
        Ok(())
    }

    /// Drops as a record says.
    pub(crate) fn replay_drop(&mut self, sink: bool, name: &str, cascade: bool) -> Result<(), EngineError> {
        let gone = drop_from(&mut self.catalog, sink, name, cascade)?;
        self.forget(gone);
        Ok(())
    }

    fn forget(&mut self, (sinks, tables): (Vec<SinkId>, Vec<TableId>)) {
        for sink in sinks {
            if let Some(sink) = self.sinks.remove(&sink) {
                self.shared.metrics.forget_outbox(&sink.def.name);
            }
        }
        for table in tables {
            self.sources.remove(&table);
            self.forget_topic(table);
            self.end_halt(table);
            if let Some(table) = self.tables.remove(&table) {
                self.retire(&table.def);
            }
            self.positions.retain(|(owner, _), _| *owner != table);
        }
        self.publish_status();
    }
}

/// Compares the outcome of a table made again with the record of its making.
pub(crate) fn same_outcome(staged: &Staged, id: TableId, recorded: Option<&Outcome>) -> bool {
    staged.outcomes.get(&id) == recorded
}

type Gone = (Vec<SinkId>, Vec<TableId>);

fn drop_from(catalog: &mut plan::Catalog, sink: bool, name: &str, cascade: bool) -> Result<Gone, EngineError> {
    if sink {
        return Ok((vec![catalog.drop_sink(name)?.id], Vec::new()));
    }
    let (sinks, tables) = catalog.drop_table(name, cascade)?;
    Ok((sinks.iter().map(|sink| sink.id).collect(), tables.iter().map(|table| table.id).collect()))
}

fn done(tag: &str) -> Reply {
    Reply { tag: tag.to_string(), ..Reply::default() }
}

fn first_words(statement: &str) -> String {
    statement.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}
