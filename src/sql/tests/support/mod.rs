//! Evaluates a stream table's query that reads no table, through the public API alone: a second, simple engine for
//! VALUES, projections, filters and UNION ALL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, i256,
};
use chrono::{Datelike, NaiveDate};
use dataflow::{Action, Eval, Planner, StatementError};
use plan::{Catalog, Graph, NodeKind, TableDef};
use sql::SqlPlanner;
use zset::{Column, ColumnType, RowError};

/// Why there is no answer.
#[derive(Debug)]
pub enum Refused {
    /// The statement was refused.
    Statement(StatementError),
    /// A row failed.
    Row(RowError),
}

impl Refused {
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Statement(e) => e.sqlstate,
            Self::Row(e) => e.sqlstate,
        }
    }
}

/// A planned query.
pub struct Query {
    pub def: TableDef,
    graph: Graph<Arc<dyn Eval>>,
}

pub fn plan(query: &str) -> Result<Query, Refused> {
    let statement = format!("CREATE STREAM TABLE x AS {query}");
    let planned = SqlPlanner::new().plan(&statement, &Catalog::default()).map_err(Refused::Statement)?;
    match planned.action {
        Action::CreateStream { def, graph } => Ok(Query { def, graph }),
        other => panic!("not a stream table: {other:?}"),
    }
}

fn batch_of(columns: Vec<ArrayRef>, schema: arrow::datatypes::SchemaRef, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).expect("columns of the node's types")
}

impl Query {
    pub fn run(&self) -> Result<RecordBatch, Refused> {
        let mut done: Vec<RecordBatch> = Vec::new();
        for node in &self.graph.nodes {
            let schema = node.output.schema();
            let eval = |e: &Arc<dyn Eval>, batch: &RecordBatch| e.eval(batch).map_err(Refused::Row);
            let batch = match &node.kind {
                NodeKind::Values { rows } => {
                    let empty = batch_of(vec![], Arc::new(arrow::datatypes::Schema::empty()), 1);
                    let mut parts = Vec::new();
                    for row in rows {
                        let columns = row.iter().map(|e| eval(e, &empty)).collect::<Result<Vec<_>, _>>()?;
                        parts.push(batch_of(columns, Arc::clone(&schema), 1));
                    }
                    concat_batches(&schema, &parts).expect("rows of one type")
                }
                NodeKind::Project { input, expressions } => {
                    let input = &done[input.0 as usize];
                    let columns = expressions.iter().map(|e| eval(e, input)).collect::<Result<Vec<_>, _>>()?;
                    batch_of(columns, schema, input.num_rows())
                }
                NodeKind::Filter { input, predicate } => {
                    let input = &done[input.0 as usize];
                    let keep = eval(predicate, input)?;
                    let keep: BooleanArray = keep.as_boolean().iter().map(|v| Some(v == Some(true))).collect();
                    filter_record_batch(input, &keep).expect("a mask of the batch's length")
                }
                NodeKind::Union { inputs } => {
                    let parts: Vec<RecordBatch> = inputs
                        .iter()
                        .map(|input| {
                            let batch = &done[input.0 as usize];
                            batch_of(batch.columns().to_vec(), Arc::clone(&schema), batch.num_rows())
                        })
                        .collect();
                    concat_batches(&schema, &parts).expect("inputs of one type")
                }
                other => panic!("the harness has no {other:?}"),
            };
            done.push(batch);
        }
        Ok(done.pop().expect("a node"))
    }

    /// Rows as texts that [`canonical`] texts of PostgreSQL are compared with.
    pub fn rows(&self) -> Result<Vec<Vec<Option<String>>>, Refused> {
        let batch = self.run()?;
        let columns = &self.def.columns.0;
        Ok((0..batch.num_rows())
            .map(|row| columns.iter().zip(batch.columns()).map(|(c, a)| text(c, a, row)).collect())
            .collect())
    }
}

fn decimal(value: i256, scale: i8) -> String {
    let digits = format!("{:0>width$}", value.wrapping_abs().to_string(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let sign = if value.is_negative() { "-" } else { "" };
    canonical_numeric(&format!("{sign}{whole}.{fraction}"))
}

/// Without zeros behind the point.
pub fn canonical_numeric(text: &str) -> String {
    if !text.contains('.') {
        return text.to_string();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A day as PostgreSQL prints it, whatever the year; and whether it is BC.
fn day(days: i64) -> (String, bool) {
    // the calendar repeats after 400 years; chrono knows those around 1970
    let cycle = 146_097;
    let (cycles, rest) = (days.div_euclid(cycle), days.rem_euclid(cycle));
    let date = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date") + chrono::TimeDelta::days(rest);
    let year = i64::from(date.year()) + cycles * 400;
    let (shown, bc) = if year > 0 { (year, false) } else { (1 - year, true) };
    (format!("{shown:04}-{:02}-{:02}", date.month(), date.day()), bc)
}

fn moment(micros: i64) -> String {
    let (date, bc) = day(micros.div_euclid(86_400_000_000));
    let rest = micros.rem_euclid(86_400_000_000);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let time = format!("{:02}:{:02}:{:02}.{fraction:06}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{date} {time}{}", if bc { " BC" } else { "" })
}

/// A value, printed here and not by the code under test.
pub fn text(column: &Column, array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match column.ty {
        ColumnType::Boolean => array.as_boolean().value(row).to_string(),
        ColumnType::SmallInt => array.as_primitive::<Int16Type>().value(row).to_string(),
        ColumnType::Int => array.as_primitive::<Int32Type>().value(row).to_string(),
        ColumnType::BigInt => array.as_primitive::<Int64Type>().value(row).to_string(),
        ColumnType::Real => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        ColumnType::Double => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        ColumnType::Numeric { precision, scale } if precision <= 38 => {
            decimal(i256::from_i128(array.as_primitive::<Decimal128Type>().value(row)), scale)
        }
        ColumnType::Numeric { scale, .. } => decimal(array.as_primitive::<Decimal256Type>().value(row), scale),
        ColumnType::Bytea => {
            let hex: Vec<String> = array.as_binary::<i32>().value(row).iter().map(|b| format!("{b:02x}")).collect();
            format!("\\x{}", hex.concat())
        }
        ColumnType::Date => {
            let (date, bc) = day(i64::from(array.as_primitive::<Date32Type>().value(row)));
            format!("{date}{}", if bc { " BC" } else { "" })
        }
        ColumnType::Time => {
            let micros = array.as_primitive::<Time64MicrosecondType>().value(row);
            moment(micros)[11..].to_string()
        }
        ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
            moment(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Uuid | ColumnType::Jsonb => {
            array.as_string::<i32>().value(row).to_string()
        }
    })
}
