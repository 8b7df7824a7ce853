//! Speed is structural, and counted: records are written with less than one heap allocation in four rows, and read with less than one
//! a row, whatever the type, the envelope and the changes; but for documents.
#![allow(clippy::unwrap_used)]

use plan::{Envelope, Options, SinkEnvelope};
use schemas::{DecoderSpec, RawRecord, SinkEncoder, SinkEpoch, SinkNames, SinkRecord};
use testkit::{Generator, Row, Value, allocations};
use zset::{Column, ColumnType, Delta, Epoch, RowType, TimestampMs};

#[global_allocator]
static ALLOCATOR: testkit::Counting = testkit::Counting;

const ROWS: i64 = 1_000;
/// A document is taken apart and put in order when it is read.
const PER_DOCUMENT: usize = 12;

const TYPES: [&str; 20] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric(12,2)",
    "numeric(38,10)",
    "numeric(76,20)",
    "text",
    "varchar(12)",
    "bytea",
    "date",
    "time",
    "timestamp(6)",
    "timestamp(3)",
    "timestamptz(6)",
    "timestamptz(3)",
    "uuid",
    "jsonb",
];

/// What a sink writes, and what a source reads that has the same records.
const ENVELOPES: [(SinkEnvelope, Envelope, &[usize]); 4] = [
    (SinkEnvelope::Upsert, Envelope::Upsert, &[0]),
    (SinkEnvelope::Upsert, Envelope::Append, &[0]),
    (SinkEnvelope::Debezium, Envelope::Debezium, &[0]),
    (SinkEnvelope::Debezium, Envelope::Debezium, &[]),
];

fn columns(ty: ColumnType) -> RowType {
    RowType(vec![Column::new("id", ColumnType::BigInt, false), Column::new("value", ty, true)])
}

/// New rows, or each row of before and another one of its key.
fn delta(columns: &RowType, updates: bool) -> Delta {
    let mut generator = Generator::new(columns.clone());
    (generator.values, generator.extremes) = (1_000, 0.0);
    let mut rng = testkit::rng(7);
    let mut value = |id: i64| match columns.0[1].ty {
        ColumnType::Jsonb => Value::text(format!("{{\"of\": \"key\", \"id\": {id}, \"all\": [1, 2.50, null]}}")),
        _ => generator.value(&mut rng, &columns.0[1]),
    };
    let mut row = |id: i64| -> Row { vec![Value::Int(id), value(id)] };
    let rows: Vec<(Row, i64)> = (0..ROWS)
        .flat_map(|id| {
            let mut of_key = vec![(row(id), 1)];
            if updates {
                of_key.push((row(id), -1));
            }
            of_key
        })
        .collect();
    testkit::delta(columns, &rows)
}

fn encode(columns: &RowType, envelope: SinkEnvelope, key: &[usize], delta: &Delta) -> (Vec<SinkRecord>, u64) {
    let names = SinkNames { pipeline: "p".into(), table: "t".into() };
    let encoder = SinkEncoder::new(columns, key, envelope, true, &names);
    let at = SinkEpoch { epoch: Epoch(1), timestamp: TimestampMs(1), snapshot: false };
    allocations(|| encoder.encode(delta, &at))
}

/// How often memory was asked for to read the records, and how many rows they had. The first batch is another one.
fn decode(columns: &RowType, envelope: Envelope, key: &[usize], records: &[SinkRecord]) -> (u64, usize) {
    let given = [("decimal_handling_mode", "string"), ("replica_identity", "full")];
    let options = Options(given.map(|(name, value)| (name.to_string(), value.to_string())).into());
    let key = if envelope == Envelope::Append { &[] } else { key };
    let mut decoder = schemas::decoder(&DecoderSpec { table: "t", columns, key, envelope, options: &options }).unwrap();
    let raw = |record: &SinkRecord| (record.key.clone(), record.value.clone());
    let owned: Vec<_> = records.iter().map(raw).collect();
    let records: Vec<RawRecord<'_>> =
        owned.iter().map(|(key, value)| RawRecord::new(key.as_deref(), value.as_deref())).collect();
    decoder.decode(&records);
    let (decoded, asked) = allocations(|| decoder.decode(&records));
    assert!(decoded.dead.is_empty(), "what a sink writes can be read: {}", decoded.dead[0].reason);
    (asked, decoded.changes.ops.len())
}

#[test]
fn memory_is_not_asked_for_row_by_row() {
    let mut wrong = Vec::new();
    for ty in TYPES.map(|ty| ty.parse::<ColumnType>().unwrap()) {
        let columns = columns(ty);
        for updates in [false, true] {
            let delta = delta(&columns, updates);
            for (sink, source, key) in ENVELOPES {
                let how = if updates { "updates" } else { "inserts" };
                let (records, written) = encode(&columns, sink, key, &delta);
                let (read, rows) = decode(&columns, source, key, &records);
                assert!(rows >= ROWS as usize, "{rows} rows");
                let of = format!("{ty}, {how}, {sink:?} to {source:?}, key {key:?}");
                println!("{of}: {written} allocations to write, {read} to read {rows} rows");
                let most = if ty == ColumnType::Jsonb { PER_DOCUMENT * rows } else { rows };
                if written >= ROWS as u64 / 4 || read >= most as u64 {
                    wrong.push(format!("{of}: {written} to write, {read} to read"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "allocations of {ROWS} rows:\n{}", wrong.join("\n"));
}
