//! Measures the cost of decoding and encoding a row: `cargo run --release -p millstream-schemas --example row_cost`. It
//! judges nothing.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use plan::{Envelope, Options, SinkEnvelope};
use schemas::{DecoderSpec, RawRecord, SinkEncoder, SinkEpoch, SinkNames};
use zset::{Column, Delta, Epoch, RowType, TimestampMs};

const ROWS: usize = 65_536;

fn main() {
    let list = [
        ("id", "bigint"),
        ("customer", "text"),
        ("amount", "numeric(12,2)"),
        ("paid", "boolean"),
        ("created_at", "timestamptz(6)"),
        ("score", "double precision"),
    ];
    let columns =
        RowType(list.iter().map(|(name, ty)| Column::new(*name, ty.parse().unwrap(), *name != "id")).collect());
    let given = Options([("decimal_handling_mode".to_string(), "string".to_string())].into());
    let row = |id: usize| {
        format!(
            r#"{{"id":{id},"customer":"customer {}","amount":"{}.{:02}","paid":{},"created_at":"2024-01-15T10:{:02}:{:02}.123456Z","score":{}.25}}"#,
            id % 1000,
            id % 9999,
            id % 100,
            id.is_multiple_of(2),
            id % 60,
            id % 60,
            id % 77
        )
    };
    let source = r#""source":{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795255981913,"snapshot":"first","db":"shop","sequence":"[null,\"39346928\"]","ts_us":1795255981913257,"ts_ns":1795255981913257000,"schema":"public","table":"types_num","txId":919,"lsn":39346928,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null"#;
    let plain: Vec<String> = (0..ROWS).map(row).collect();
    let debezium: Vec<String> =
        (0..ROWS).map(|id| format!(r#"{{"before":null,"after":{},{source},"op":"c","ts_ms":1}}"#, row(id))).collect();
    let mut delta = None;
    for (envelope, values) in [(Envelope::Append, &plain), (Envelope::Upsert, &plain), (Envelope::Debezium, &debezium)]
    {
        let key = if envelope == Envelope::Append { &[][..] } else { &[0] };
        let spec = DecoderSpec { table: "t", columns: &columns, key, envelope, options: &given };
        let mut decoder = schemas::decoder(&spec).unwrap();
        let keys: Vec<String> = (0..ROWS).map(|id| format!("{{\"id\":{id}}}")).collect();
        let record = |(key, value): (&'_ String, &'_ String)| (key.clone(), value.clone());
        let owned: Vec<(String, String)> = keys.iter().zip(values).map(record).collect();
        let records: Vec<RawRecord<'_>> =
            owned.iter().map(|(key, value)| RawRecord::new(Some(key.as_bytes()), Some(value.as_bytes()))).collect();
        let best = (0..5).map(|_| {
            let start = Instant::now();
            let decoded = decoder.decode(&records);
            let took = start.elapsed();
            assert_eq!((decoded.dead.len(), decoded.changes.ops.len()), (0, ROWS));
            delta = Some(Delta::inserts(decoded.changes.rows));
            took
        });
        let nanos = best.min().unwrap().as_nanos() as usize / ROWS;
        println!("decode {envelope:?}: {nanos} ns a row of {} bytes", values[ROWS / 2].len());
    }
    let names = SinkNames { pipeline: "p".into(), table: "t".into() };
    for envelope in [SinkEnvelope::Upsert, SinkEnvelope::Debezium] {
        let encoder = SinkEncoder::new(&columns, &[0], envelope, true, &names);
        let at = SinkEpoch { epoch: Epoch(1), timestamp: TimestampMs(1), snapshot: false };
        let best = (0..5).map(|_| {
            let start = Instant::now();
            assert_eq!(encoder.encode(delta.as_ref().unwrap(), &at).len(), ROWS);
            start.elapsed()
        });
        println!("encode {envelope:?}: {} ns a row", best.min().unwrap().as_nanos() as usize / ROWS);
    }
}
