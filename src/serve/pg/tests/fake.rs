//! Queries that are made up: `rows N [then fail]`, `stubborn` (runs until it is cancelled), `panic`; and `held`, a statement of the
//! engine that is done when the test lets it be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use api::{Connectors, Lines, LogError, Target, TargetError, TargetSpec, Transport};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use dataflow::{
    Action, Limits, Planned, Planner, Prepared, Queries, Read, ResultColumn, ResultType, Rows, Show, StatementError,
    View, Work,
};
use plan::{Catalog, Options, SinkDef, SourceDef};
use zset::ColumnType;

/// See the module; and what its queries did.
#[derive(Debug, Default)]
pub struct Fake {
    pub rows: Arc<AtomicU64>,
    pub running: Arc<AtomicU64>,
    /// Whether a held statement is at work, and whether it may go on.
    pub held: AtomicBool,
    pub go_on: AtomicBool,
}

fn error(message: &str) -> StatementError {
    StatementError {
        sqlstate: "22012",
        message: message.to_string(),
        hint: None,
        detail: None,
        position: None,
        about: None,
    }
}

impl Planner for Fake {
    fn split(&self, text: &str) -> Result<Vec<String>, StatementError> {
        Ok(vec![text.to_string()])
    }

    fn plan(&self, _: &str, _: &Catalog) -> Result<Planned, StatementError> {
        self.held.store(true, Ordering::SeqCst);
        while !self.go_on.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Ok(Planned { action: Action::Show(Show::Tables), notices: Vec::new() })
    }
}

impl Queries for Fake {
    fn prepare(&self, statement: &str, _: &Catalog, _: &[Option<ColumnType>]) -> Result<Prepared, StatementError> {
        assert!(statement != "panic in prepare", "a panic that the test wants");
        if statement == "held" {
            let column = |(name, ty): &(&str, ColumnType)| ResultColumn {
                name: (*name).to_string(),
                ty: ResultType::Column(*ty),
            };
            let columns = Show::Tables.columns().iter().map(column).collect();
            return Ok(Prepared { parameters: vec![], columns, notices: vec![], work: Work::Engine });
        }
        let column = ResultColumn { name: "n".to_string(), ty: ResultType::Column(ColumnType::BigInt) };
        let read = FakeRead { text: statement.to_string(), rows: self.rows.clone(), running: self.running.clone() };
        Ok(Prepared { parameters: vec![], columns: vec![column], notices: vec![], work: Work::Read(Arc::new(read)) })
    }

    fn text(&self, _: ColumnType, values: &ArrayRef) -> Result<ArrayRef, StatementError> {
        let numbers = values.as_primitive::<Int64Type>();
        Ok(Arc::new(numbers.iter().map(|n| n.map(|n| n.to_string())).collect::<StringArray>()))
    }
}

#[derive(Debug)]
struct FakeRead {
    text: String,
    rows: Arc<AtomicU64>,
    running: Arc<AtomicU64>,
}

/// One, as long as it lives.
struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Read for FakeRead {
    fn run(&self, _: &[Option<String>], _: &Arc<View>, limits: &Limits) -> Result<Rows, StatementError> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.running.clone());
        assert!(self.text != "panic", "a panic that the test wants");
        let mut words = self.text.split_whitespace();
        if words.next() == Some("stubborn") {
            while !limits.cancelled.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            return Err(error("cancelled"));
        }
        let total: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let fails = words.next().is_some();
        let (made, rows) = (self.rows.clone(), total);
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let mut at = 0;
        let batches = std::iter::from_fn(move || {
            let _ = &running;
            if at == rows {
                return (fails && at > 0).then(|| {
                    at += 1;
                    Err(error("division by zero"))
                });
            }
            if at > rows {
                return None;
            }
            let count = (rows - at).min(1000);
            let numbers = Int64Array::from_iter_values((at..at + count).map(|n| n as i64));
            at += count;
            made.fetch_add(count, Ordering::SeqCst);
            Some(Ok(RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers)]).unwrap()))
        });
        Ok(Box::new(batches))
    }
}

/// There is nothing beside the log.
pub struct NoConnectors;

impl Connectors for NoConnectors {
    fn transport(&self, _: &SourceDef) -> Result<Option<Arc<dyn Transport>>, LogError> {
        Ok(None)
    }

    fn target(&self, _: &TargetSpec) -> Result<Box<dyn Target>, TargetError> {
        unreachable!("no test has a sink")
    }

    fn lines(&self, _: &TargetSpec) -> Result<Box<dyn Lines>, TargetError> {
        unreachable!("no test has a sink")
    }

    fn check(&self, _: &SinkDef) -> Result<(), String> {
        Ok(())
    }

    fn without_secrets(&self, options: &Options) -> Options {
        options.clone()
    }
}
