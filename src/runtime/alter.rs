//! ALTER TABLE of a table of our own: an epoch of its own, in which the rows are rewritten.
//!
//! The records of the topic stay as they are: each range of them is decoded by the columns of its time, for replay takes
//! the epochs in their order. The stream tables above were planned on the columns of their time, and go on seeing those:
//! what they are given is projected ([`seen_by`]). A column that goes is NULL for them from then on; that none of them
//! comes to other rows by that is not believed but tried.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use dataflow::{About, Alter, ColumnChange, Contents, StatementError, contents_id};
use plan::{CatalogChange, SinkConnector, SinkDef, SinkEnvelope, StreamDef, TableDef, TableId, TableKind};
use zset::{Delta, RowType, TimestampMs};

use crate::own::key_text;
use crate::stage::Staged;
use crate::table::{Refresh, Table};
use crate::{Engine, EngineError};

/// A delta of a table as a stream table sees it, whose query was planned on the columns of its time.
pub(crate) fn seen_by(stream: &StreamDef, input: TableId, delta: &Delta) -> Delta {
    let Some(at) = stream.inputs.iter().position(|id| *id == input) else { return delta.clone() };
    let Some(planned) = stream.input_columns.get(at) else { return delta.clone() };
    let positions = stream.input_positions.get(at);
    if positions.is_none() && planned.0.len() == delta.batch().num_columns() {
        return delta.clone();
    }
    project(delta, planned, &positions.cloned().unwrap_or_else(|| identity(planned)))
}

fn identity(columns: &RowType) -> Vec<Option<usize>> {
    (0..columns.0.len()).map(Some).collect()
}

fn project(delta: &Delta, columns: &RowType, positions: &[Option<usize>]) -> Delta {
    let column = |(column, at): (&zset::Column, &Option<usize>)| match at {
        Some(at) => Arc::clone(delta.batch().column(*at)),
        None => new_null_array(&column.ty.arrow(), delta.len()),
    };
    let columns_now = columns.0.iter().zip(positions).map(column).collect();
    delta.with_batch(batch(columns.schema(), columns_now, delta.len()))
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).expect("columns of the table's types")
}

/// What ALTER TABLE makes of the catalog and the state, before it is so.
pub(crate) struct Altered {
    table: Table,
    /// The stream tables above, as they see it from now on.
    readers: Vec<TableDef>,
}

impl Engine {
    pub(crate) fn alter(&mut self, alter: &Alter) -> Result<(), EngineError> {
        self.refuse_nulls(alter)?;
        self.refuse_targets(alter)?;
        let (staged, altered) = self.stage_alter(alter, self.now())?;
        let change = CatalogChange::AlterTable { id: alter.table, sql: alter.sql.clone() };
        self.commit(staged, Some(change))?;
        self.install_altered(altered);
        self.publish_status();
        Ok(())
    }

    /// A column that may not be NULL needs a value for the rows that are there.
    fn refuse_nulls(&self, alter: &Alter) -> Result<(), EngineError> {
        let table = &self.tables[&alter.table];
        let ColumnChange::Add { column, value, .. } = &alter.change else { return Ok(()) };
        if column.nullable || table.contents.rows() == 0 || value.is_valid(0) {
            return Ok(());
        }
        Err(StatementError {
            sqlstate: "23502",
            message: format!("column \"{}\" of relation \"{}\" contains null values", column.name, table.def.name),
            hint: Some("give it a DEFAULT, or leave NOT NULL out".to_string()),
            detail: None,
            position: None,
            about: None,
        }
        .into())
    }

    /// The table that a sink's target has would have other columns.
    fn refuse_targets(&self, alter: &Alter) -> Result<(), EngineError> {
        // A row that goes is named by all its columns in a sink without a key: it would not be the row that was sent.
        let fills = matches!(&alter.change, ColumnChange::Add { value, .. } if value.is_valid(0));
        let breaks = |sink: &SinkDef| {
            sink.connector == SinkConnector::Postgres
                || (fills && sink.key.is_empty() && sink.envelope == SinkEnvelope::Debezium)
        };
        let mut sinks = self.catalog.sinks();
        let Some(sink) = sinks.find(|sink| sink.input == alter.table && breaks(sink)) else { return Ok(()) };
        let name = &self.tables[&alter.table].def.name;
        Err(StatementError {
            sqlstate: "2BP01",
            message: format!("cannot alter table \"{name}\" because sink \"{}\" has its columns", sink.name),
            hint: Some("drop the sink, alter the table and its target, and create the sink again".to_string()),
            detail: None,
            position: None,
            about: None,
        }
        .into())
    }

    /// Rewrites a table's rows. Nothing but what is staged changes before [`Engine::install_altered`].
    pub(crate) fn stage_alter(
        &mut self,
        alter: &Alter,
        timestamp: TimestampMs,
    ) -> Result<(Staged, Altered), EngineError> {
        let readers = self.readers_of_altered(alter)?;
        let mut staged = Staged::at(timestamp);
        if let Err(error) = self.try_readers(&mut staged, alter, &readers) {
            self.discard(&staged);
            return Err(error);
        }
        let table = self.rewritten(alter)?;
        Ok((staged, Altered { table, readers }))
    }

    /// Puts an altered table in the place of what it was.
    pub(crate) fn install_altered(&mut self, altered: Altered) {
        let Altered { table, readers } = altered;
        for def in readers.into_iter().chain([table.def.clone()]) {
            if let Some(reader) = self.tables.get_mut(&def.id) {
                reader.def = def.clone();
            }
            self.catalog.replace_table(def);
        }
        let id = table.def.id;
        for sink in self.sinks.values_mut().filter(|sink| sink.def.input == id) {
            sink.altered(&table.def, &self.config.pipeline);
        }
        self.tables.insert(id, table);
    }

    /// The stream tables that read a table, with the places that its columns will have for them.
    fn readers_of_altered(&self, alter: &Alter) -> Result<Vec<TableDef>, EngineError> {
        let ColumnChange::Drop { at: gone } = alter.change else { return Ok(Vec::new()) };
        let mut readers: Vec<TableDef> = self.catalog.readers(alter.table).cloned().collect();
        for def in &mut readers {
            if let Some(trouble) = self.tables.get(&def.id).and_then(Table::trouble) {
                return Err(StatementError {
                    sqlstate: "55000",
                    message: format!("stream table \"{}\", which reads the table, {trouble}", def.name),
                    hint: Some("mend it first, or drop it: rows wait for it that have the column".to_string()),
                    detail: None,
                    position: None,
                    about: None,
                }
                .into());
            }
            let TableKind::Stream(stream) = &mut def.kind else { continue };
            if stream.input_positions.is_empty() {
                stream.input_positions = stream.input_columns.iter().map(identity).collect();
            }
            for (input, positions) in stream.inputs.iter().zip(&mut stream.input_positions) {
                if *input == alter.table {
                    for position in positions {
                        *position = position.filter(|at| *at != gone).map(|at| at - usize::from(at > gone));
                    }
                }
            }
        }
        Ok(readers)
    }

    /// Gives the stream tables above what a column that goes changes for them: NULL for the value of every row. Their own
    /// rows must stay the same.
    fn try_readers(&mut self, staged: &mut Staged, alter: &Alter, readers: &[TableDef]) -> Result<(), EngineError> {
        for after in readers {
            let before = self.tables[&after.id].def.clone();
            let (TableKind::Stream(before), TableKind::Stream(stream)) = (&before.kind, &after.kind) else { continue };
            if before.inputs.iter().position(|id| *id == alter.table).is_none_or(|at| !loses(before, stream, at)) {
                continue;
            }
            let rows =
                self.contents_of(&[alter.table])?.remove(&alter.table).expect("the contents that were asked for");
            let now = seen_by(stream, alter.table, &rewritten_rows(alter, &rows));
            let parts = [seen_by(before, alter.table, &rows).negated(), now];
            let delta = Delta::sum(parts[0].schema(), &parts);
            staged.touched.insert(after.id);
            let table = self.tables.get_mut(&after.id).expect("the table is there");
            match table.stage_refresh(BTreeMap::from([(alter.table, delta)]))? {
                Refresh::Done(delta) if delta.is_empty() => {}
                Refresh::Done(_) | Refresh::Failed(_) => {
                    return Err(StatementError {
                        sqlstate: "2BP01",
                        message: format!(
                            "cannot drop the column because stream table \"{}\" depends on it",
                            after.name
                        ),
                        hint: Some("drop the stream table first".to_string()),
                        detail: None,
                        position: None,
                        about: None,
                    }
                    .into());
                }
            }
        }
        Ok(())
    }

    /// A table with its columns changed, and all its rows.
    fn rewritten(&self, alter: &Alter) -> Result<Table, EngineError> {
        let (table, def) = (&self.tables[&alter.table], &alter.def);
        let arrangement = self.store.arrangement(contents_id(def.id), Contents::law(def));
        let mut contents = Contents::with_rows(def, arrangement, 0);
        for part in table.contents.read(&table.contents.snapshot()) {
            contents.fill(&rewritten_rows(alter, &part?));
        }
        if let Some((at, values)) = contents.duplicate()? {
            return Err(duplicated(def, at, &values));
        }
        contents.commit();
        let source = def.source().expect("only tables of our own are altered");
        let mut rewritten = Table::source(def.clone(), source, contents)?;
        rewritten.own = table.own.as_ref().map(|own| own.altered(def, &self.config.pipeline));
        Ok(rewritten)
    }
}

/// The rows that are there break a constraint that is added.
fn duplicated(def: &TableDef, at: usize, values: &RecordBatch) -> EngineError {
    let unique = &def.uniques()[at];
    StatementError {
        sqlstate: "23505",
        message: format!("could not create unique index \"{}\"", unique.name),
        hint: None,
        detail: Some(format!("{} is duplicated.", key_text::values(def, &unique.columns, values.columns(), 0))),
        position: None,
        about: About::constraint(&def.name, &unique.name),
    }
    .into()
}

fn rewritten_rows(alter: &Alter, rows: &Delta) -> Delta {
    let mut columns = rows.batch().columns().to_vec();
    match &alter.change {
        ColumnChange::Add { value, .. } => {
            let always_the_one = UInt32Array::from_value(0, rows.len());
            columns.push(take(value, &always_the_one, None).expect("there is one value"));
        }
        ColumnChange::Drop { at } => drop(columns.remove(*at)),
        ColumnChange::Rename { .. } | ColumnChange::Constraints => {}
    }
    rows.with_batch(batch(alter.def.columns.schema(), columns, rows.len()))
}

/// Whether a stream table sees less of its input after than before.
fn loses(before: &StreamDef, after: &StreamDef, input: usize) -> bool {
    let seen = |stream: &StreamDef| match stream.input_positions.get(input) {
        Some(positions) => positions.iter().flatten().count(),
        None => stream.input_columns.get(input).map_or(0, |columns| columns.0.len()),
    };
    seen(after) < seen(before)
}
