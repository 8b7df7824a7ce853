//! A target that does what it is told to: it is away, refuses, loses answers, holds. Otherwise it is a table with its
//! progress, changed in one step, as a database does it. Files are real.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use api::{Connectors, Lines, LogError, Progress, Target, TargetError, TargetRows, TargetSpec, Transport};
use arrow::array::RecordBatch;
use local::{FileTransport, LinesFile};
use plan::{Options, SinkDef, SourceDef};
use schemas::RowWriter;
use zset::RowType;

use super::wait;

/// What an apply does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not happen, and nobody knows.
    DieBefore,
    /// It happens, and nobody knows.
    DieAfter,
}

/// What is in the database, and what is to go wrong.
#[derive(Debug, Default)]
pub struct State {
    /// Rows by key, both as JSON.
    pub rows: BTreeMap<String, String>,
    pub progress: Option<Progress>,
    /// Of the next applies, one each.
    pub faults: VecDeque<Fault>,
    /// It does not answer.
    pub away: bool,
    /// An apply waits in the middle.
    pub hold: bool,
    /// So many do not all the same.
    pub passes: usize,
    /// It refuses rows, for this reason.
    pub refuses: Option<String>,
    /// The epoch, deletes and upserts of every apply that happened.
    pub applied: Vec<(u64, usize, usize)>,
    /// Applies that were begun.
    pub tried: usize,
    /// Times that it was compared with its table.
    pub resynchronised: usize,
    /// Applies that have not ended.
    pub in_hand: usize,
    /// The `url` of the last target that was made.
    pub url: Option<String>,
}

/// A database, and all that knows how to reach it.
#[derive(Clone, Default)]
pub struct Database {
    inner: Arc<(Mutex<State>, Condvar)>,
}

impl Database {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.inner.0.lock().unwrap()
    }

    /// Changes something.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.inner.1.notify_all();
    }

    /// Waits until something is so.
    pub fn wait(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let deadline = wait::deadline();
        let mut state = self.state();
        while !holds(&state) {
            let left = deadline.checked_duration_since(Instant::now());
            let left = left.unwrap_or_else(|| panic!("{what}: {state:?}"));
            state = self.inner.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the rows are these values, sorted.
    pub fn wait_rows(&self, rows: &[&str]) {
        self.wait(&format!("{rows:?}"), |state| {
            let mut there: Vec<&str> = state.rows.values().map(String::as_str).collect();
            there.sort_unstable();
            there == rows
        });
    }
}

impl Connectors for Database {
    fn transport(&self, source: &SourceDef) -> Result<Option<Arc<dyn Transport>>, LogError> {
        match source.connector.as_str() {
            "file" => Ok(Some(Arc::new(FileTransport::new(source)?))),
            _ => Ok(None),
        }
    }

    fn target(&self, spec: &TargetSpec) -> Result<Box<dyn Target>, TargetError> {
        self.set(|state| state.url = spec.sink.options.get("url").map(str::to_string));
        Ok(Box::new(Table { database: self.clone(), spec: spec.clone() }))
    }

    fn lines(&self, spec: &TargetSpec) -> Result<Box<dyn Lines>, TargetError> {
        Ok(Box::new(LinesFile::new(spec)?))
    }

    fn check(&self, _: &SinkDef) -> Result<(), String> {
        Ok(())
    }

    fn without_secrets(&self, options: &Options) -> Options {
        options.clone()
    }
}

struct Table {
    database: Database,
    spec: TargetSpec,
}

impl Table {
    fn answer(&self) -> Result<MutexGuard<'_, State>, TargetError> {
        let state = self.database.state();
        if state.away { Err(TargetError::Retriable("the database is away".into())) } else { Ok(state) }
    }

    fn keys(&self) -> RowType {
        RowType(self.spec.sink.key.iter().map(|&at| self.spec.columns.0[at].clone()).collect())
    }
}

fn texts(columns: &RowType, positions: &[usize], batch: &RecordBatch) -> Vec<String> {
    let writer = RowWriter::new(columns, positions);
    let bound = writer.bind(batch);
    let text = |at| {
        let mut text = Vec::new();
        bound.write(at, &mut text);
        String::from_utf8(text).unwrap()
    };
    (0..batch.num_rows()).map(text).collect()
}

impl Target for Table {
    fn open(&mut self) -> Result<Option<Progress>, TargetError> {
        Ok(self.answer()?.progress.clone())
    }

    fn apply(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        self.take(rows, before, after, false)
    }

    fn resynchronise(
        &mut self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        self.take(rows, before, after, true)
    }
}

impl Table {
    fn take(
        &self,
        rows: &mut dyn Iterator<Item = Result<TargetRows, TargetError>>,
        before: Option<&Progress>,
        after: &Progress,
        different: bool,
    ) -> Result<(), TargetError> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for rows in rows {
            let TargetRows { deletes, upserts } = rows?;
            assert!(deletes.num_rows() == 0 || come.is_empty(), "all deletes come before the first upsert");
            let all: Vec<usize> = (0..self.spec.columns.0.len()).collect();
            let key: Vec<usize> = (0..self.spec.sink.key.len()).collect();
            gone.extend(texts(&self.keys(), &key, &deletes));
            let keys = texts(&self.spec.columns, &self.spec.sink.key, &upserts);
            come.extend(keys.into_iter().zip(texts(&self.spec.columns, &all, &upserts)));
        }
        self.database.set(|state| {
            state.tried += 1;
            state.in_hand += 1;
        });
        self.database.wait("it may go on", |state| !state.hold || state.passes > 0);
        self.database.set(|state| state.passes = state.passes.saturating_sub(1));
        if different {
            let state = self.database.state();
            come.retain(|(key, row)| gone.contains(key) || state.rows.get(key) != Some(row));
        }
        let result = self.commit(&gone, come, before, after);
        self.database.set(|state| {
            state.in_hand -= 1;
            state.resynchronised += usize::from(different && result.is_ok());
        });
        result
    }
}

impl Table {
    fn commit(
        &self,
        gone: &[String],
        come: Vec<(String, String)>,
        before: Option<&Progress>,
        after: &Progress,
    ) -> Result<(), TargetError> {
        let mut state = self.answer()?;
        if let Some(why) = &state.refuses {
            return Err(TargetError::Refused(why.clone()));
        }
        if state.progress.as_ref() != before {
            return Err(TargetError::Retriable(format!("the progress is {:?}, and not {before:?}", state.progress)));
        }
        let fault = state.faults.pop_front();
        if fault == Some(Fault::DieBefore) {
            return Err(TargetError::Retriable("it died before".into()));
        }
        state.applied.push((after.epoch.0, gone.len(), come.len()));
        gone.iter().for_each(|key| drop(state.rows.remove(key)));
        state.rows.extend(come);
        state.progress = Some(after.clone());
        if fault == Some(Fault::DieAfter) { Err(TargetError::Retriable("it died after".into())) } else { Ok(()) }
    }
}
