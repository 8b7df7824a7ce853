//! What rows cost: arrays to unnest, as we send them, against COPY into a temporary table that is merged from there.
//!
//! `MILLSTREAM_TEST_POSTGRES=postgres://... cargo run --release -p millstream-postgres --example upsert_cost`
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Progress, Target, TargetRows, TargetSpec};
use arrow::array::{ArrayRef, Decimal128Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use plan::{Options, SinkConnector, SinkDef, SinkEnvelope, SinkId, TableId};
use postgres::{Client, NoTls};
use postgres_target::PostgresTarget;
use zset::{Column, ColumnType, Epoch, Generation, RowType};

const CHUNK: i32 = 8192;

fn columns() -> RowType {
    RowType(vec![
        Column::new("id", ColumnType::Int, false),
        Column::new("name", ColumnType::Text, true),
        Column::new("amount", ColumnType::Numeric { precision: 12, scale: 2 }, true),
        Column::new("at", ColumnType::TimestampTz(6), true),
    ])
}

fn rows(ids: std::ops::Range<i32>) -> TargetRows {
    let columns = columns();
    let names = ids.clone().map(|id| format!("customer number {id}"));
    let amounts = Decimal128Array::from_iter_values(ids.clone().map(|id| i128::from(id) * 101));
    let at = TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| 1_700_000_000_000_000 + i64::from(id)));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(at.with_timezone("UTC")),
    ];
    TargetRows {
        deletes: RecordBatch::new_empty(RowType(vec![columns.0[0].clone()]).schema()),
        upserts: RecordBatch::try_new(columns.schema(), arrays).unwrap(),
    }
}

fn chunks(count: i32, size: i32) -> impl Iterator<Item = std::ops::Range<i32>> {
    (0..count).step_by(size as usize).map(move |start| start..(start + size).min(count))
}

fn by_unnest(url: &str, transactions: i32, count: i32) -> Duration {
    let options = [("url", url), ("table", "upsert_cost")].map(|(name, value)| (name.to_string(), value.to_string()));
    let spec = TargetSpec {
        pipeline: "cost".into(),
        incarnation: "i".into(),
        sink: SinkDef {
            id: SinkId(1),
            name: "cost".into(),
            input: TableId(1),
            connector: SinkConnector::Postgres,
            topic: String::new(),
            partitions: 1,
            replication: None,
            envelope: SinkEnvelope::Upsert,
            key: vec![0],
            tombstones: true,
            options: Options(options.into()),
            sql: String::new(),
            created: Epoch(1),
        },
        columns: columns(),
    };
    let mut target = PostgresTarget::new(&spec).unwrap();
    let mut before = target.open().unwrap();
    let prepared: Vec<TargetRows> = chunks(count, CHUNK).map(rows).collect();
    let started = Instant::now();
    for _ in 0..transactions {
        let epoch = Epoch(before.as_ref().map_or(1, |progress| progress.epoch.0 + 1));
        let after = Progress { incarnation: "i".into(), generation: Generation(1), epoch };
        target.apply(&mut prepared.iter().cloned().map(Ok), before.as_ref(), &after).unwrap();
        before = Some(after);
    }
    started.elapsed()
}

fn by_copy(client: &mut Client, transactions: i32, count: i32) -> Duration {
    client.batch_execute("CREATE TEMP TABLE IF NOT EXISTS staged (LIKE upsert_cost) ON COMMIT DELETE ROWS").unwrap();
    let text: Vec<String> = chunks(count, CHUNK)
        .map(|ids| {
            ids.fold(String::new(), |mut text, id| {
                let cents = i64::from(id) * 101;
                let _ = writeln!(
                    text,
                    "{id}\tcustomer number {id}\t{}.{:02}\t2023-11-14 22:13:20.{id:06}+00",
                    cents / 100,
                    cents % 100
                );
                text
            })
        })
        .collect();
    let started = Instant::now();
    for _ in 0..transactions {
        let mut transaction = client.transaction().unwrap();
        transaction.execute("UPDATE millstream_progress SET epoch = epoch WHERE pipeline = 'cost'", &[]).unwrap();
        let mut copy = transaction.copy_in("COPY staged FROM STDIN").unwrap();
        text.iter().for_each(|chunk| copy.write_all(chunk.as_bytes()).unwrap());
        copy.finish().unwrap();
        transaction
            .batch_execute(
                "INSERT INTO upsert_cost SELECT * FROM staged ON CONFLICT (id) DO UPDATE \
                 SET name = excluded.name, amount = excluded.amount, at = excluded.at",
            )
            .unwrap();
        transaction.commit().unwrap();
    }
    started.elapsed()
}

fn main() {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES").expect("MILLSTREAM_TEST_POSTGRES names a PostgreSQL");
    let mut client = Client::connect(&url, NoTls).unwrap();
    let clean = "DROP TABLE IF EXISTS upsert_cost; DELETE FROM millstream_progress WHERE pipeline = 'cost'";
    by_unnest(&url, 1, 1);
    for (what, transactions, count, anew) in
        [("100,000 new rows", 1, 100_000, true), ("the same again", 1, 100_000, false), ("20 rows", 500, 20, false)]
    {
        let mut measured = Vec::new();
        for copy in [false, true] {
            if anew {
                client.batch_execute(clean).unwrap();
                by_unnest(&url, 1, 1);
            }
            client.batch_execute("VACUUM ANALYZE upsert_cost").unwrap();
            measured.push(match copy {
                false => by_unnest(&url, transactions, count),
                true => by_copy(&mut client, transactions, count),
            });
        }
        let each = |duration: Duration| duration / transactions as u32;
        println!("{what}: unnest {:.2?}, copy {:.2?} a transaction", each(measured[0]), each(measured[1]));
    }
    client.batch_execute(clean).unwrap();
}
