//! Running a prepared statement, whichever way it came: the read, the write, the engine's, the session's.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use dataflow::{Limits, ResultType, View, Work, Written};
use pgwire::messages::copy::CopyDone;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use plan::Catalog;
use runtime::{Handle, Reply};

use super::answer::{Answer, Encoder, Rows, Tag};
use super::binary::{Format, texts};
use super::error::{PgError, Result};
use super::read::{Place, Reading, Slot};
use super::row::RowEncoder;
use super::session::{Bounds, Session, cancelled};
use super::statement::{Source, Statement};
use super::write::{Attempt, Guard, Writing};

impl Session {
    /// Prepares a statement for the last epoch's catalog.
    pub async fn prepare(&mut self, bounds: &Bounds, source: Source, given: Vec<u32>) -> Result<Statement> {
        let catalog = Arc::clone(&self.glimpse(self.door.engine()?).catalog);
        let queries = Arc::clone(&self.door.queries);
        let thread = tokio::task::spawn_blocking(move || Statement::prepare(&*queries, source, catalog, given));
        let mut statement = self.attend(bounds, thread).await?.map_err(PgError::internal)??;
        if let Work::Session(dataflow::Session::Execute { name, .. }) = &statement.prepared.work {
            statement.columns.clone_from(&self.statement(name)?.columns);
        }
        Ok(statement)
    }

    /// The statement, prepared anew if the catalog is another one by now.
    pub async fn current(
        &mut self,
        bounds: &Bounds,
        statement: Arc<Statement>,
        catalog: &Arc<Catalog>,
    ) -> Result<Arc<Statement>> {
        if statement.is_for(catalog) {
            return Ok(statement);
        }
        let (queries, catalog) = (Arc::clone(&self.door.queries), Arc::clone(catalog));
        let thread = tokio::task::spawn_blocking(move || statement.again(&*queries, catalog));
        Ok(Arc::new(self.attend(bounds, thread).await?.map_err(PgError::internal)??))
    }

    /// A prepared statement by its name.
    pub fn statement(&self, name: &str) -> Result<Arc<Statement>> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_string(),
                _ => format!("prepared statement \"{name}\" does not exist"),
            };
            PgError::new("26000", message).into()
        })
    }

    /// Runs a statement; a read only begins, and gives its rows as they are taken.
    pub async fn run_statement(
        &mut self,
        bounds: &Bounds,
        statement: Arc<Statement>,
        values: Vec<Option<String>>,
        formats: &[Format],
    ) -> Result<Answer> {
        let handle = self.door.engine()?.clone();
        self.may_run(&statement.source)?;
        let view = match &statement.prepared.work {
            // What a stream table should be is asked of the epoch, not of what is written over it.
            Work::Read(_) if statement.source.first_word() == "VERIFY" => handle.view(),
            Work::Read(_) | Work::CopyOut(_) => self.view(&handle),
            Work::Write(_) if self.block.is_some() => self.view(&handle),
            _ => self.glimpse(&handle),
        };
        let statement = self.current(bounds, statement, &view.catalog).await?;
        if !matches!(statement.prepared.work, Work::Engine) {
            statement.prepared.notices.iter().for_each(|text| self.notice(text.clone()));
        }
        match &statement.prepared.work {
            Work::Nothing => Ok(Answer { rows: None, tag: Tag::Empty }),
            Work::Read(read) => {
                let reading = Reading {
                    read: Arc::clone(read),
                    values,
                    view,
                    limits: self.limits(bounds),
                    encoder: self.encoder(&statement, formats),
                    source: statement.source.clone(),
                    slot: Slot::new(self.place(bounds).await?),
                };
                Ok(reading.start(tag_of_read(&statement)))
            }
            Work::CopyOut(copy) => {
                let types = copy.columns.iter().map(|column| column.ty);
                let encoder = RowEncoder::copy(Arc::clone(&self.door.queries), types, Arc::clone(&copy.format));
                let reading = Reading {
                    read: Arc::clone(&copy.read),
                    values,
                    view,
                    limits: self.limits(bounds),
                    encoder: Arc::new(encoder),
                    source: statement.source.clone(),
                    slot: Slot::new(self.place(bounds).await?),
                };
                self.begin_copy_out(copy)?;
                Ok(reading.start(Tag::Copy))
            }
            Work::CopyIn(_) => self.copy_in(bounds, &handle, statement).await,
            Work::Write(_) => self.write(bounds, &handle, statement, values, formats).await,
            Work::Engine => self.tell_engine(bounds, handle, &statement, formats).await,
            Work::Jobs => {
                let Reply { tag, rows, .. } = handle.jobs();
                self.text_rows(&statement, formats, rows, Tag::Fixed(tag))
            }
            Work::Session(about) => self.about_session(bounds, about.clone(), &statement, formats).await,
        }
    }

    /// Evaluates and writes, again and again until no other statement was first.
    pub async fn write(
        &mut self,
        bounds: &Bounds,
        handle: &Handle,
        mut statement: Arc<Statement>,
        values: Vec<Option<String>>,
        formats: &[Format],
    ) -> Result<Answer> {
        self.may_change(&statement)?;
        if self.block.is_some() {
            let Work::Write(write) = &statement.prepared.work else {
                return Err(PgError::internal("a write is none any more").into());
            };
            let writing = Writing {
                write: Arc::clone(write),
                values,
                limits: self.limits(bounds),
                source: statement.source.clone(),
            };
            let written = self.write_in_block(bounds, handle, writing).await?;
            return self.written(&statement, written, formats);
        }
        let _place = self.place(bounds).await?;
        for number in 0.. {
            let Work::Write(write) = &statement.prepared.work else { break };
            let lock = self.door.lock_of(write.table());
            let guard = self.attend(bounds, Guard::take(lock, number)).await?;
            // Behind the lock: whoever had it has its epoch in the view.
            let view = handle.view();
            statement = self.current(bounds, statement, &view.catalog).await?;
            let Work::Write(write) = &statement.prepared.work else { break };
            let writing = Writing {
                write: Arc::clone(write),
                values: values.clone(),
                limits: self.limits(bounds),
                source: statement.source.clone(),
            };
            let attempt = attempt(bounds, writing, handle.clone(), view, guard).await?;
            if let Attempt::Done(written) = attempt {
                return self.written(&statement, written, formats);
            }
            if bounds.stop.is_asked() {
                return Err(cancelled().into());
            }
        }
        Err(PgError::internal("a write is none any more").into())
    }

    /// What a write answers.
    fn written(&self, statement: &Statement, written: Written, formats: &[Format]) -> Result<Answer> {
        let tag = Tag::Fixed(written.tag);
        if statement.columns.is_empty() {
            return Ok(Answer { rows: None, tag });
        }
        Ok(Answer::batches(&self.encoder(statement, formats), &written.returning, tag)?)
    }

    /// Gives a statement to the engine's loop. Once it is there it is not taken back, so its end is waited for.
    async fn tell_engine(
        &mut self,
        bounds: &Bounds,
        handle: Handle,
        statement: &Statement,
        formats: &[Format],
    ) -> Result<Answer> {
        // What has no rows to show changes something, and is an epoch of its own.
        if statement.columns.is_empty() || statement.source.first_word() == "REPLAY" {
            self.may_change(statement)?;
            self.stand_alone(bounds, &statement.source).await?;
        }
        let text = statement.source.text.clone();
        let thread = tokio::task::spawn_blocking(move || handle.execute(text));
        let replies = thread.await.map_err(PgError::internal)?;
        let mut replies = replies.map_err(|error| PgError::of_engine(error, &statement.source))?;
        let Some(Reply { tag, notices, columns, rows }) = replies.pop() else {
            return Ok(Answer { rows: None, tag: Tag::Empty });
        };
        notices.into_iter().for_each(|text| self.notice(text));
        if statement.columns.is_empty() {
            return Ok(Answer::tag(tag));
        }
        if columns.len() != statement.columns.len() {
            return Err(PgError::internal(format!("{tag} was described otherwise than it came: {columns:?}")).into());
        }
        self.text_rows(statement, formats, rows, Tag::Fixed(tag))
    }

    /// An answer of rows of text.
    pub fn text_rows(
        &self,
        statement: &Statement,
        formats: &[Format],
        rows: Vec<Vec<Option<String>>>,
        tag: Tag,
    ) -> Result<Answer> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (at, column) in statement.columns.iter().enumerate() {
            let data_type = match column.ty {
                ResultType::Column(ty) => ty.arrow(),
                _ => DataType::Utf8,
            };
            let values = texts(rows.iter().map(|row| row.get(at).cloned().flatten()));
            columns.push(arrow::compute::cast(&values, &data_type).map_err(PgError::internal)?);
            fields.push(Field::new(&column.name, data_type, true));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(PgError::internal)?;
        Ok(Answer::batches(&self.encoder(statement, formats), &[batch], tag)?)
    }

    /// A place among the running queries, which may have to be waited for.
    pub async fn place(&mut self, bounds: &Bounds) -> Result<Place> {
        let running = Arc::clone(&self.door.running);
        let permit = self.attend(bounds, running.acquire_owned()).await?.map_err(PgError::internal)?;
        Ok(Place { _permit: permit, _counted: self.door.metrics().running() })
    }

    pub fn limits(&self, bounds: &Bounds) -> Limits {
        Limits {
            deadline: bounds.deadline,
            memory_bytes: self.door.limits.query_memory_bytes,
            cancelled: Arc::clone(&bounds.stop.flag),
            session: Arc::clone(&self.sequences),
        }
    }

    pub fn encoder(&self, statement: &Statement, formats: &[Format]) -> Encoder {
        let format = |at| formats.get(at).copied().unwrap_or(Format::Text);
        let columns = statement.columns.iter().enumerate().map(|(at, column)| (column.ty, format(at)));
        Arc::new(RowEncoder::new(Arc::clone(&self.door.queries), columns.collect()))
    }

    /// An error if the session said that it changes nothing.
    pub fn may_change(&self, statement: &Statement) -> Result<()> {
        if self.settings.is_read_only() {
            let word = match statement.source.command().as_str() {
                "SELECT" if statement.source.text.to_ascii_uppercase().contains("FOR") => {
                    "SELECT FOR UPDATE".to_string()
                }
                "COPY" => "COPY FROM".to_string(),
                command => command.to_string(),
            };
            let error = PgError::new("25006", format!("cannot execute {word} in a read-only transaction"));
            let hint = match self.block {
                Some(_) => "begin a transaction that is READ WRITE",
                None => "SET default_transaction_read_only = off",
            };
            return Err(error.hint(hint).into());
        }
        Ok(())
    }

    /// Sends rows: so many at most. Answers how many it were, and whether there are no more. Rows that are all there tell of
    /// what is done: they are not cancelled any more.
    pub async fn send_rows(&mut self, bounds: &Bounds, rows: &mut Rows, rows_max: usize) -> Result<(usize, bool)> {
        let done = Bounds { stop: Arc::default(), deadline: None };
        let bounds = if rows.source.is_some() { bounds } else { &done };
        let mut sent = 0;
        while sent < rows_max {
            if !self.attend(bounds, rows.next()).await?.map_err(|error| bounds.in_words(error))? {
                return Ok((sent, true));
            }
            if let Some(chunk) = rows.chunks.front_mut() {
                let (bytes, count) = chunk.take(rows_max - sent);
                self.conn.put_bytes(&bytes);
                sent += count;
            }
            self.send(bounds).await?;
        }
        Ok((sent, false))
    }

    /// Says that a statement is done.
    pub fn complete(&mut self, tag: &Tag, rows: usize) {
        match tag {
            Tag::Fixed(tag) => self.conn.put(&CommandComplete::new(tag.clone())),
            Tag::Rows => self.conn.put(&CommandComplete::new(format!("SELECT {rows}"))),
            Tag::Copy => {
                self.conn.put(&CopyDone::new());
                self.conn.put(&CommandComplete::new(format!("COPY {rows}")));
            }
            Tag::Empty => self.conn.put(&EmptyQueryResponse::new()),
        }
    }

    /// Counts a statement.
    pub fn count(&self, kind: &'static str, began: Instant, failed: bool) {
        self.door.metrics().done(kind, began.elapsed(), failed);
    }
}

/// Tries once to write. It is waited for to the end: a statement is not told to be cancelled whose epoch commits. Until the
/// rows are with the engine, its thread sees that it was cancelled, or that its time is over.
async fn attempt(bounds: &Bounds, writing: Writing, handle: Handle, view: Arc<View>, guard: Guard) -> Result<Attempt> {
    let thread = tokio::task::spawn_blocking(move || {
        let _held = guard;
        writing.attempt(&handle, &view)
    });
    Ok(thread.await.map_err(PgError::internal)?.map_err(|error| bounds.in_words(error))?)
}

fn tag_of_read(statement: &Statement) -> Tag {
    match statement.source.first_word().as_str() {
        word @ ("EXPLAIN" | "SHOW" | "VERIFY") => Tag::Fixed(word.to_string()),
        _ => Tag::Rows,
    }
}
