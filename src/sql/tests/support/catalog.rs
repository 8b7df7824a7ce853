//! Asks catalog queries of ours and of a PostgreSQL, and shows both answers as texts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use dataflow::{Action, Limits, Planner, Prepared, Queries, ResultType, StatementError, View, Work};
use plan::Catalog;
use postgres::{Client, SimpleQueryMessage};
use sql::SqlPlanner;
use zset::{ColumnType, Epoch, TimestampMs};

/// A query that a client was seen to send.
pub struct Recorded {
    /// What made it send it.
    pub label: String,
    pub sql: String,
    /// The values of $1, $2, ...
    pub values: Vec<String>,
    /// Whether PostgreSQL refused it.
    pub refused: bool,
}

/// The recorded queries of a file, and the oids in them by the names of what they are of.
pub fn recorded(text: &str) -> (Vec<Recorded>, BTreeMap<String, String>) {
    let mut oids = BTreeMap::new();
    for line in text.lines() {
        if let Some((oid, name)) = line.strip_prefix("--   oid ").and_then(|rest| rest.split_once(' ')) {
            oids.insert(oid.to_string(), name.to_string());
        }
    }
    let body = text.split_once("\n\n").map_or("", |(_, body)| body);
    let queries = body.split("\n;\n").filter(|block| !block.trim().is_empty()).map(query).collect();
    (queries, oids)
}

fn query(block: &str) -> Recorded {
    let mut lines: Vec<&str> = block.trim().lines().collect();
    let label = lines.remove(0).trim_start_matches("-- ").to_string();
    let mut out = Recorded { label, sql: String::new(), values: Vec::new(), refused: false };
    if let Some(values) = lines[0].strip_prefix("-- parameters: ") {
        out.values = values
            .split(", $")
            .map(|value| {
                let (_, quoted) = value.split_once(" = ").expect("$1 = 'value'");
                quoted.trim_matches('\'').to_string()
            })
            .collect();
        lines.remove(0);
    } else if lines[0].starts_with("-- ERROR") {
        out.refused = true;
        lines.remove(0);
    }
    out.sql = lines.join("\n");
    out
}

/// An answer: the columns' names and types, and rows as texts; or the SQLSTATE.
pub type Answer = Result<(Vec<(String, u32)>, Vec<Vec<Option<String>>>), String>;

pub fn catalog(statements: &str) -> Catalog {
    let planner = SqlPlanner::new();
    let mut catalog = Catalog::default();
    for statement in planner.split(statements).expect("statements") {
        let planned = planner.plan(&statement, &catalog).unwrap_or_else(|e| panic!("{statement}: {e}"));
        match planned.action {
            Action::CreateTable(def) | Action::CreateStream { def, .. } => catalog.add_table(def).expect("a new name"),
            Action::CreateSink(def) => catalog.add_sink(def).expect("a new name"),
            other => panic!("{statement}: {other:?}"),
        }
    }
    catalog
}

/// The type by which a client is told of a column.
fn oid(ty: ResultType) -> u32 {
    match ty {
        ResultType::Column(ty) => match ty {
            ColumnType::Boolean => 16,
            ColumnType::SmallInt => 21,
            ColumnType::Int => 23,
            ColumnType::BigInt => 20,
            ColumnType::Real => 700,
            ColumnType::Double => 701,
            ColumnType::TimestampTz(_) => 1184,
            _ => 25,
        },
        ResultType::Oid => 26,
        ResultType::Name => 19,
        ResultType::Char => 18,
        ResultType::Interval => 1186,
        ResultType::TextArray => 1009,
        ResultType::Int2Vector => 22,
        ResultType::OidVector => 30,
    }
}

pub fn prepare(catalog: &Catalog, sql: &str) -> Result<Prepared, StatementError> {
    SqlPlanner::new().prepare(sql, catalog, &[])
}

/// Limits that a large query does not keep to, and the SQLSTATE that says so.
pub fn too_little() -> [(Limits, &'static str); 3] {
    let plenty = Limits { deadline: None, memory_bytes: 64 << 20, cancelled: Arc::default(), session: Arc::default() };
    let cancelled = Limits { cancelled: Arc::new(AtomicBool::new(true)), ..plenty.clone() };
    let late = Limits { deadline: Some(Instant::now()), ..plenty.clone() };
    let soon = Instant::now() + Duration::from_secs(20);
    let small = Limits { memory_bytes: 1 << 20, deadline: Some(soon), ..plenty };
    [(cancelled, "57014"), (late, "57014"), (small, "53200")]
}

pub fn ours(catalog: &Catalog, sql: &str, values: &[String]) -> Answer {
    run(
        catalog,
        sql,
        values,
        &Limits { deadline: None, memory_bytes: 64 << 20, cancelled: Arc::default(), session: Arc::default() },
    )
}

pub fn run(catalog: &Catalog, sql: &str, values: &[String], limits: &Limits) -> Answer {
    let code = |e: StatementError| format!("{}: {}", e.sqlstate, e.message);
    let prepared = prepare(catalog, sql).map_err(code)?;
    let Work::Read(read) = &prepared.work else { return Err(format!("not a query: {:?}", prepared.work)) };
    let view = View {
        epoch: Epoch(7),
        timestamp: TimestampMs(1_700_000_000_000),
        catalog: Arc::new(catalog.clone()),
        tables: Arc::default(),
        sequences: Arc::default(),
        memory: Arc::default(),
    };
    let values: Vec<Option<String>> = values.iter().cloned().map(Some).collect();
    let mut rows = Vec::new();
    for batch in read.run(&values, &Arc::new(view), limits).map_err(code)? {
        let batch = batch.map_err(code)?;
        assert_eq!(batch.num_columns(), prepared.columns.len(), "{sql}");
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| text(column, row)).collect());
        }
    }
    Ok((prepared.columns.iter().map(|column| (column.name.clone(), oid(column.ty))).collect(), rows))
}

fn text(column: &ArrayRef, row: usize) -> Option<String> {
    use arrow::datatypes::DataType;
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Boolean => if column.as_boolean().value(row) { "t" } else { "f" }.to_string(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_string(),
    })
}

pub fn theirs(client: &mut Client, sql: &str, values: &[String]) -> Answer {
    let mut sql = sql.to_string();
    for (at, value) in values.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", at + 1), &format!("'{value}'"));
    }
    let code = |e: postgres::Error| match e.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => e.to_string(),
    };
    let types = client.prepare(&sql).map_err(code)?;
    let columns = types.columns().iter().map(|column| (column.name().to_string(), column.type_().oid())).collect();
    let mut rows = Vec::new();
    for message in client.simple_query(&sql).map_err(code)? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_string)).collect());
        }
    }
    Ok((columns, rows))
}
