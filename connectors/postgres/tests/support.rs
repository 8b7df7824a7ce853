//! A schema of a test's own, sinks into it, and rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use api::{Progress, Target, TargetError, TargetRows, TargetSpec};
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use plan::{Options, SinkConnector, SinkDef, SinkEnvelope, SinkId, TableId};
use postgres::{Client, NoTls, SimpleQueryMessage};
use zset::{Column, ColumnType, Epoch, Generation, RowType};

use crate::PostgresTarget;

/// A schema, dropped at the end.
pub struct World {
    pub url: String,
    pub schema: String,
    pub client: Client,
}

impl World {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("MILLSTREAM_TEST_POSTGRES")
            .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
        let schema = format!("sink_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let mut client = Client::connect(&url, NoTls).unwrap();
        client
            .batch_execute(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}; SET TimeZone = 'UTC'"))
            .unwrap();
        Self { url, schema, client }
    }

    pub fn run(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap();
    }

    /// The rows of a query as text, NULL as `NULL`.
    pub fn rows(&mut self, query: &str) -> Vec<Vec<String>> {
        let messages = self.client.simple_query(query).unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_string()).collect()).collect()
    }

    /// A sink into a table of the schema.
    pub fn spec(&self, table: &str, columns: &RowType, key: &[usize]) -> TargetSpec {
        let options = [("url", self.url.clone()), ("table", format!("{}.{table}", self.schema))];
        TargetSpec {
            pipeline: "p".into(),
            incarnation: "i".into(),
            sink: SinkDef {
                id: SinkId(1),
                name: "s".into(),
                input: TableId(1),
                connector: SinkConnector::Postgres,
                topic: String::new(),
                partitions: 1,
                replication: None,
                envelope: SinkEnvelope::Upsert,
                key: key.to_vec(),
                tombstones: true,
                options: Options(options.map(|(name, value)| (name.to_string(), value)).into()),
                sql: String::new(),
                created: Epoch(1),
            },
            columns: columns.clone(),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.client.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.schema));
    }
}

/// `id INT NOT NULL, name TEXT`, by id.
pub fn columns() -> RowType {
    RowType(vec![Column::new("id", ColumnType::Int, false), Column::new("name", ColumnType::Text, true)])
}

/// Keys of [`columns`] that are gone.
pub fn gone(ids: &[i32]) -> TargetRows {
    rows(ids, &[])
}

/// Rows of [`columns`] that are there.
pub fn there(upserts: &[(i32, &str)]) -> TargetRows {
    rows(&[], upserts)
}

fn rows(deletes: &[i32], upserts: &[(i32, &str)]) -> TargetRows {
    let all = columns();
    let key: ArrayRef = Arc::new(Int32Array::from(deletes.to_vec()));
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(upserts.iter().map(|(id, _)| *id)));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(upserts.iter().map(|(_, name)| *name)));
    TargetRows { deletes: batch(&RowType(vec![all.0[0].clone()]), vec![key]), upserts: batch(&all, vec![ids, names]) }
}

pub fn batch(columns: &RowType, arrays: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(columns.schema(), arrays).unwrap()
}

pub fn progress(generation: u64, epoch: u64) -> Progress {
    Progress { incarnation: "i".into(), generation: Generation(generation), epoch: Epoch(epoch) }
}

pub fn open(spec: &TargetSpec) -> (PostgresTarget, Option<Progress>) {
    let mut target = PostgresTarget::new(spec).unwrap();
    let progress = target.open().unwrap();
    (target, progress)
}

/// Why a target is refused.
pub fn refusal(spec: &TargetSpec) -> String {
    match PostgresTarget::new(spec).and_then(|mut target| target.open()) {
        Err(TargetError::Refused(why)) => why,
        other => panic!("it is not refused: {other:?}"),
    }
}

/// Applies rows: the next epoch after `before`, of generation 1.
pub fn apply(
    target: &mut PostgresTarget,
    rows: Vec<TargetRows>,
    before: Option<u64>,
    after: u64,
) -> Result<(), TargetError> {
    let before = before.map(|epoch| progress(1, epoch));
    target.apply(&mut rows.into_iter().map(Ok), before.as_ref(), &progress(1, after))
}
