//! Random rows of all types through a sink and back through a source: the same contents, for every envelope.
#![allow(clippy::unwrap_used)]

use arrow::datatypes::i256;
use plan::{Envelope, SinkEnvelope};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::{SinkEncoder, SinkEpoch, SinkNames};
use zset::{ColumnType, Delta, Epoch, RowCodec, RowType, TimestampMs, consolidate};

use crate::model::{Table, columns};

const ALL: &[(&str, &str)] = &[
    ("id", "integer!"),
    ("k", "text!"),
    ("bo", "boolean"),
    ("s", "smallint"),
    ("b", "bigint"),
    ("r", "real"),
    ("d", "double precision"),
    ("n", "numeric(38,10)"),
    ("n2", "numeric(5,5)"),
    ("w", "numeric(76,20)"),
    ("t", "text"),
    ("vc", "varchar(12)"),
    ("by", "bytea"),
    ("da", "date"),
    ("ti", "time"),
    ("ts", "timestamp(6)"),
    ("ts3", "timestamp(3)"),
    ("tz", "timestamptz(6)"),
    ("u", "uuid"),
    ("j", "jsonb"),
];

fn string(rng: &mut ChaCha8Rng, most: usize) -> String {
    const LETTERS: &[&str] =
        &["a", "Z", "\"", "\\", "\n", "\u{1}", "\u{7f}", "é", "🎉", "/", " ", "{", "\u{2028}", "\u{fffd}", "0"];
    (0..rng.random_range(0..=most)).map(|_| LETTERS[rng.random_range(0..LETTERS.len())]).collect()
}

fn json(rng: &mut ChaCha8Rng, depth: usize) -> serde_json::Value {
    match rng.random_range(0..if depth > 3 { 4 } else { 6 }) {
        0 => serde_json::Value::Null,
        1 => rng.random::<bool>().into(),
        2 => rng.random_range(-1_000_000i64..1_000_000).into(),
        3 => string(rng, 5).into(),
        4 => (0..rng.random_range(0..4)).map(|_| json(rng, depth + 1)).collect::<Vec<_>>().into(),
        _ => serde_json::Value::Object(
            (0..rng.random_range(0..4)).map(|_| (string(rng, 3), json(rng, depth + 1))).collect(),
        ),
    }
}

/// Days from 4713 BC to the year 294246, most of them near us.
fn day(rng: &mut ChaCha8Rng) -> i64 {
    if rng.random_ratio(1, 4) { rng.random_range(-2_440_588..106_751_982) } else { rng.random_range(-30_000..30_000) }
}

/// A random value as a JSON token in some form that its type accepts.
fn token(rng: &mut ChaCha8Rng, ty: ColumnType) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        quoted(&String::from_utf8(out).unwrap())
    };
    match ty {
        ColumnType::Boolean => rng.random::<bool>().to_string(),
        ColumnType::SmallInt => rng.random::<i16>().to_string(),
        ColumnType::Int => rng.random::<i32>().to_string(),
        ColumnType::BigInt => quoted(&rng.random::<i64>().to_string()),
        ColumnType::Real => match f32::from_bits(rng.random()) {
            value if value.is_finite() => format!("{value:?}"),
            value => quoted(if value.is_nan() { "NaN" } else { "-Infinity" }),
        },
        ColumnType::Double => match f64::from_bits(rng.random()) {
            value if value.is_finite() => format!("{value:?}"),
            _ => quoted("Infinity"),
        },
        ColumnType::Numeric { precision, scale } => {
            let digits = rng.random_range(1..=precision);
            let text: String = (0..digits).map(|_| char::from(b'0' + rng.random_range(0..10))).collect();
            let value = i256::from_string(&text).unwrap();
            let mut out = if rng.random() { b"-".to_vec() } else { Vec::new() };
            schemas::text::write_numeric256(value, scale, &mut out);
            let text = String::from_utf8(out).unwrap();
            if rng.random() { quoted(&text) } else { text }
        }
        ColumnType::Text => quoted(&string(rng, 30)),
        ColumnType::Varchar(most) => quoted(&string(rng, most as usize)),
        ColumnType::Bytea => {
            let bytes: String = (0..rng.random_range(0..20)).map(|_| format!("{:02x}", rng.random::<u8>())).collect();
            quoted(&format!("\\x{bytes}"))
        }
        ColumnType::Date => written(&{
            let day = day(rng) as i32;
            move |out| schemas::text::write_date(day, out)
        }),
        ColumnType::Time => written(&{
            let micros = rng.random_range(0..=86_400_000_000);
            move |out| schemas::text::write_time(micros, out)
        }),
        ColumnType::Timestamp(digits) | ColumnType::TimestampTz(digits) => {
            let unit = 10i64.pow(6 - u32::from(digits));
            let micros = (day(rng) * 86_400_000_000 + rng.random_range(0..86_400_000_000)) / unit * unit;
            let utc = matches!(ty, ColumnType::TimestampTz(_));
            written(&move |out: &mut Vec<u8>| schemas::text::write_timestamp(micros, utc, out))
        }
        ColumnType::Uuid => {
            let text = format!("{:032x}", (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64()));
            quoted(&text.to_uppercase())
        }
        ColumnType::Jsonb => {
            let document = json(rng, 0).to_string();
            if document == "null" || rng.random() { quoted(&document) } else { jsonb_token(&document) }
        }
    }
}

/// A document as it is, unless it is a string, which is read as the text of a document.
fn jsonb_token(document: &str) -> String {
    if document.starts_with('"') { serde_json::to_string(document).unwrap() } else { document.to_string() }
}

fn row(rng: &mut ChaCha8Rng, columns: &RowType, id: i32, k: &str) -> String {
    let mut fields = vec![format!("\"id\":{id}"), format!("\"k\":{}", serde_json::to_string(k).unwrap())];
    for column in &columns.0[2..] {
        let token = if rng.random_ratio(1, 6) { "null".to_string() } else { token(rng, column.ty) };
        fields.push(format!("\"{}\":{token}", column.name));
    }
    format!("{{{}}}", fields.join(","))
}

/// A delta of decoded rows.
fn delta(columns: &RowType, rows: &[(String, i64)]) -> Delta {
    let mut reader = Table::new(columns.clone(), &[], Envelope::Append, &[]);
    let records: Vec<(Option<&str>, Option<&str>)> = rows.iter().map(|(row, _)| (None, Some(row.as_str()))).collect();
    let changes = reader.decode(&records);
    assert_eq!(reader.reasons(), Vec::<&str>::new());
    let codec = RowCodec::new(changes.rows.schema());
    consolidate(&Delta::new(changes.rows, rows.iter().map(|(_, weight)| *weight).collect::<Vec<_>>().into()), &codec)
}

fn run(seed: u64, sink: SinkEnvelope, source: Envelope, keyed: bool) {
    println!("seed {seed}, {sink:?} to {source:?}, keyed: {keyed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let columns = columns(ALL);
    let names = SinkNames { pipeline: "p".into(), table: "t".into() };
    let key: Vec<usize> = if keyed { vec![1, 0] } else { Vec::new() };
    let encoder = SinkEncoder::new(&columns, &key, sink, rng.random(), &names);
    let given = [("decimal_handling_mode", "string"), ("replica_identity", "full")];
    let key_names: &[&str] = if keyed { &["k", "id"] } else { &[] };
    let mut copy = Table::new(columns.clone(), key_names, source, &given);
    // What the table holds, by key, as it was given.
    let mut held: Vec<(i32, String)> = Vec::new();
    for epoch in 0..12 {
        let mut changes: Vec<(String, i64)> = Vec::new();
        let mut touched = Vec::new();
        for _ in 0..rng.random_range(1..20) {
            let id = rng.random_range(0..15);
            if touched.contains(&id) {
                continue;
            }
            touched.push(id);
            if let Some(at) = held.iter().position(|(other, _)| *other == id) {
                changes.push((held.remove(at).1, -1));
            }
            if rng.random_ratio(2, 3) {
                let new = row(&mut rng, &columns, id, if id % 2 == 0 { "é\"" } else { "" });
                changes.push((new.clone(), 1));
                held.push((id, new));
            }
        }
        let at = SinkEpoch { epoch: Epoch(epoch), timestamp: TimestampMs(epoch as i64), snapshot: epoch == 0 };
        let records = encoder.encode(&delta(&columns, &changes), &at);
        let owned = |part: Option<bytes::Bytes>| part.map(|part| part.to_vec());
        let records: Vec<_> = records.into_iter().map(|record| (owned(record.key), owned(record.value))).collect();
        copy.feed_bytes(&records);
        assert_eq!(copy.reasons(), Vec::<&str>::new(), "seed {seed}");
        let rows: Vec<(String, i64)> = held.iter().map(|(_, row)| (row.clone(), 1)).collect();
        assert_eq!(copy.rows(), sorted(&columns, &delta(&columns, &rows)), "seed {seed}, epoch {epoch}");
    }
    assert_eq!(copy.missing_retractions, 0);
}

fn sorted(columns: &RowType, delta: &Delta) -> Vec<String> {
    let all: Vec<usize> = (0..columns.0.len()).collect();
    let writer = schemas::RowWriter::new(columns, &all);
    let bound = writer.bind(delta.batch());
    let mut rows: Vec<String> = (0..delta.len())
        .map(|row| {
            let mut out = Vec::new();
            bound.write(row, &mut out);
            String::from_utf8(out).unwrap()
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn rows_survive_sink_and_source() {
    let seeds: Vec<u64> = match std::env::var("MILLSTREAM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..20).collect(),
    };
    for seed in seeds {
        run(seed, SinkEnvelope::Upsert, Envelope::Upsert, true);
        run(seed, SinkEnvelope::Debezium, Envelope::Debezium, true);
        run(seed, SinkEnvelope::Debezium, Envelope::Debezium, false);
    }
}

#[test]
fn garbage_is_a_dead_letter_never_a_panic() {
    let seed: u64 = std::env::var("MILLSTREAM_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let columns = columns(ALL);
    let mut tables = [
        Table::new(columns.clone(), &["id"], Envelope::Upsert, &[]),
        Table::new(columns.clone(), &["id"], Envelope::Debezium, &[]),
        Table::new(columns.clone(), &[], Envelope::Append, &[]),
    ];
    for _ in 0..3000 {
        let mut bytes = row(&mut rng, &columns, 1, "k").into_bytes();
        if rng.random() {
            bytes = [b"{\"op\":\"u\",\"after\":".as_slice(), &bytes, b"}"].concat();
        }
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] = b"{}[]\",:\\-+.eE0n"[rng.random_range(0..15)],
                _ => bytes.truncate(at.max(1)),
            }
        }
        let key = rng.random::<bool>().then(|| bytes[..bytes.len() / 2].to_vec());
        for table in &mut tables {
            table.feed_bytes(&[(key.clone(), Some(bytes.clone())), (Some(bytes.clone()), None)]);
        }
    }
    for table in &tables {
        assert!(table.dead.len() > 100);
        for letter in &table.dead {
            assert!(!letter.reason.is_empty() && letter.reason.len() < 800, "{}", letter.reason);
        }
    }
}
