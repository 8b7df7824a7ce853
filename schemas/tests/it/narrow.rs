//! Reading fewer columns, and reading a record by what is known of the one before: the same verdict on every record, the same rows, the same
//! values in the columns that are read, as one who looks at each record for the first time finds, in all columns.
#![allow(clippy::unwrap_used)]

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use plan::Envelope::{Append, Debezium, Upsert};
use plan::{Envelope, Include, Options};
use schemas::{Decoded, Decoder, DecoderSpec, RawRecord, WATCHED_RECORDS};
use testkit::{Choices, spoil};
use zset::RowType;

use crate::model::{Bytes, columns, options};

const COLUMNS: &[(&str, &str)] = &[
    ("id", "bigint!"),
    ("a", "numeric(12,3)"),
    ("b", "text"),
    ("c", "timestamp(6)"),
    ("d", "double precision!"),
    ("e", "boolean"),
    ("f", "bytea"),
    ("g", "jsonb"),
    ("h", "date!"),
    ("i", "uuid"),
    ("j", "varchar(5)!"),
    ("k", "integer"),
    ("m", "smallint!"),
    ("o", "bigint!"),
    ("p", "text"),
];

const ROWS: &[&str] = &[
    r#"{"id":1,"a":"12.345","b":"x\u00e9","c":"2024-01-15T10:00:00.123456","d":1.5e3,"e":true,"f":"AQID","g":"{\"x\":[1,2]}","h":"2024-01-15","i":"6f1e0b1e-8f54-4b9c-9a6b-0d1f6c2f7a11","j":"fünf ","k":-2147483648,"m":7,"p":"a text that is longer than a block of bytes, and plain"}"#,
    r#"{"id":123456789,"a":12.5,"b":"plain","c":null,"d":"NaN","e":null,"f":"","g":"1","h":"infinity","i":null,"j":"x","k":2147483648,"m":-32768,"p":null}"#,
    r#"{"id":999999999999999999,"x":{"id":[2]},"d":0,"h":"2024-01-15","j":"","m":32767}"#,
    r#"{"id":9223372036854775807,"id":2,"d":0,"h":"2024-01-15","j":"","m":4}"#,
    r#"{ "id" : 12345678 , "d":1,"h":"2024-01-15","j":"toolong","m":0, "schema":1 }"#,
    r#"{"schema":null,"payload":{"id":5,"d":1,"h":"2024-01-15","j":"","m":0}}"#,
    r#"{"id":5,"d":1,"h":"2024-01-15","j":"__debezium_unavailable_value","m":0,"b":"__debezium_unavailable_value"}"#,
];

const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"-",
    b"1e999",
    b"00",
    b"12345678",
    b"18446744073709551616",
    b"\"NaN\"",
    b"\"op\":\"d\"",
    b"\"before\":",
    b"\"after\":",
    b"\"id\":",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"{\"a\":",
    b"\"__debezium_unavailable_value\"",
    b",,",
    b" ",
    b"99999-12-31T00:00:00",
];

const MODES: &[(&str, &str)] = &[("decimal_handling_mode", "string"), ("time_precision_mode", "isostring")];

struct Kind {
    columns: RowType,
    key: Vec<usize>,
    envelope: Envelope,
    options: Options,
}

fn kind(kind: usize) -> Kind {
    let of = |key: &[usize], envelope, given: &[(&str, &str)]| Kind {
        columns: columns(COLUMNS),
        key: key.to_vec(),
        envelope,
        options: options(given),
    };
    match kind {
        0 | 1 => of(&[], Append, &[]),
        2 => of(&[0], Append, &[]),
        3 => of(&[0], Upsert, &[]),
        4 => of(&[0], Debezium, MODES),
        _ => of(&[], Debezium, &[MODES, &[("replica_identity", "full")]].concat()),
    }
}

impl Kind {
    fn decoder(&self) -> Box<dyn Decoder> {
        let Self { columns, key, envelope, options } = self;
        let spec = DecoderSpec { table: "t", columns, key, envelope: *envelope, options };
        // A table without a key cannot include anything where rows are retracted: it decodes that column instead.
        let included = match (envelope, key.as_slice()) {
            (Debezium, []) => &[][..],
            _ => &[(13, Include::Offset)],
        };
        schemas::sliced(&spec, included).unwrap()
    }

    /// A record of it.
    fn sample(&self, choices: &mut Choices<'_>) -> Bytes {
        let row = choices.of(ROWS);
        let row = if self.envelope == Debezium && self.key.is_empty() {
            row.replacen('{', r#"{"o":1,"#, 1)
        } else {
            row.into()
        };
        let event = |op: &str, before: &str, after: &str| {
            format!(r#"{{"before":{before},"after":{after},"source":{{"lsn":1}},"op":"{op}"}}"#).into_bytes()
        };
        let key = Some(br#"{"id":1}"#.to_vec());
        match (self.envelope, choices.below(4)) {
            (Append, _) => (key, Some(row.into_bytes())),
            (Upsert, 0) => (key, None),
            (Upsert, _) => (key, Some(row.into_bytes())),
            (Debezium, 0) => (key, Some(event("u", &row, &row))),
            (Debezium, 1) => (key, Some(event("d", &row, "null"))),
            (Debezium, _) => (key, Some(event("c", "null", &row))),
        }
    }
}

fn decode(decoder: &mut dyn Decoder, records: &[Bytes], read: Option<&[bool]>) -> Decoded {
    let raw = records.iter().map(|(key, value)| RawRecord::new(key.as_deref(), value.as_deref()));
    decoder.decode_columns(&raw.collect::<Vec<_>>(), read)
}

/// A column of which every value is this one.
fn repeated(value: &ArrayRef, rows: usize) -> ArrayRef {
    take(&value.slice(0, 1), &UInt32Array::from(vec![0; rows]), None).unwrap()
}

#[track_caller]
fn same(found: &Decoded, wanted: &Decoded, read: Option<&[bool]>, columns: &RowType) {
    assert_eq!(found.dead, wanted.dead);
    assert_eq!(found.changes.ops, wanted.changes.ops);
    assert_eq!(found.changes.origin, wanted.changes.origin);
    assert_eq!(found.changes.keep, wanted.changes.keep);
    assert_eq!(found.changes.rows.schema(), wanted.changes.rows.schema());
    for (at, column) in columns.0.iter().enumerate() {
        let (found, wanted) = (found.changes.rows.column(at), wanted.changes.rows.column(at));
        match read.is_none_or(|read| read[at]) {
            true => assert_eq!(found, wanted, "{}", column.name),
            false if found.is_empty() => {}
            false => {
                assert_eq!(found, &repeated(found, wanted.len()), "{}", column.name);
                assert_eq!(found.is_null(0), column.nullable, "{}", column.name);
            }
        }
    }
}

#[test]
fn fuzz_records_read_in_part_or_by_the_one_before() {
    let (mut good, mut bad) = (0, 0);
    bolero::check!().with_iterations(400).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let kind = kind(choices.below(6));
        let mut records: Vec<Bytes> = Vec::new();
        // Alike, so that the next is like the one before, and now and then another, or a bad one.
        while records.len() < 12 {
            let sample = kind.sample(&mut choices);
            let spoilt = choices.below(3) == 0;
            records.extend(vec![sample.clone(); 1 + choices.below(3)]);
            if spoilt {
                let value = sample.1.as_deref().map(|value| spoil(value, WORDS, &mut choices));
                records.push((sample.0.clone(), value));
                records.push(sample);
            }
        }
        let read: Vec<bool> = (0..COLUMNS.len()).map(|at| kind.key.contains(&at) || choices.below(2) == 0).collect();
        // Who still watches names reads every one of them.
        let wanted = decode(&mut *kind.decoder(), &records, None);
        (good, bad) = (good + wanted.changes.ops.len(), bad + wanted.dead.len());
        let mut decoder = kind.decoder();
        let watched = vec![records[0].clone(); WATCHED_RECORDS as usize];
        decode(&mut *decoder, &watched, None);
        for read in [None, Some(read.as_slice()), Some(&[false; COLUMNS.len()].map(|_| false)), None] {
            let read = read.filter(|read| kind.key.iter().all(|at| read[*at]));
            same(&decode(&mut *decoder, &records, read), &wanted, read, &kind.columns);
        }
    });
    assert!(good > 100 && bad > 100, "{good} rows and {bad} dead letters: both are to be compared");
}

/// What a column that nobody reads would refuse.
#[test]
fn a_column_that_nobody_reads_is_judged() {
    let kind = kind(0);
    let row = |field: &str| {
        let fields = r#""id":1,"d":1,"h":"2024-01-15","j":"x","m":1"#;
        (None, Some(format!("{{{fields},{field}}}").into_bytes()))
    };
    let records = [
        row(r#""k":1"#),
        row(r#""k":2147483648"#),
        row(r#""k":"x""#),
        row(r#""m":null"#),
        row(r#""j":"toolong""#),
        row(r#""g":"{""#),
        row(r#""b":"\u0000""#),
        row(r#""h":"2024-02-30""#),
        row(r#""a":"1234567890.1""#),
    ];
    let mut decoder = kind.decoder();
    decode(&mut *decoder, &vec![records[0].clone(); WATCHED_RECORDS as usize], None);
    let found = decode(&mut *decoder, &records, Some(&[false; COLUMNS.len()]));
    let columns: Vec<_> = found.dead.iter().filter_map(|letter| letter.column.as_deref()).collect();
    assert_eq!(columns, ["k", "k", "m", "j", "g", "b", "h", "a"]);
    assert_eq!(found.changes.ops.len(), 1);
    same(&found, &decode(&mut *kind.decoder(), &records, None), Some(&[false; COLUMNS.len()]), &kind.columns);
}

/// Records that are like the one before but for one thing.
#[test]
fn a_record_like_the_one_before_is_judged() {
    const BASE: &[u8] = br#"{"id":1,"b":"a text, plain","d":1,"h":"2024-01-15","j":"x","k":7,"m":1}"#;
    let with = |from: &[u8], to: &[u8]| -> Bytes {
        let at = BASE.windows(from.len()).position(|part| part == from).unwrap();
        (None, Some([&BASE[..at], to, &BASE[at + from.len()..]].concat()))
    };
    let good = [
        with(br#""k":7"#, br#""k":null"#),
        with(br#""k":7,"#, b""),
        with(br#""m":1}"#, br#""m":1 } "#),
        with(br#""m":1}"#, br#""m":1,"p":"more"}"#),
        with(b"plain", b"pl\\u00e4in"),
        with(b"plain", "plän".as_bytes()),
        with(br#""k":7"#, br#""k":-2147483648"#),
    ];
    let bad = [
        with(br#""d":1"#, br#""d":null"#),
        with(br#""d":1,"#, b""),
        with(b"plain", b"pl\xffin"),
        with(b"a text, plain", b"a text that is longer than a block of bytes, and not pl\xff\xfein"),
        with(b"plain", b"pl\x01in"),
        with(br#""k":7"#, br#""k":07"#),
        with(br#""k":7"#, br#""k":2147483648"#),
        with(br#""m":1}"#, br#""m":1}}"#),
        with(br#""m":1}"#, br#""m":1"#),
        with(br#""m":1}"#, br#""m":1} x"#),
        with(br#""m":1"#, br#""m":1,"m":40000"#),
    ];
    let kind = kind(0);
    let mut decoder = kind.decoder();
    let base = (None, Some(BASE.to_vec()));
    decode(&mut *decoder, &vec![base.clone(); WATCHED_RECORDS as usize], None);
    for (records, dead) in [(&good[..], 0), (&bad[..], 1)] {
        for record in records {
            let records = [base.clone(), record.clone(), base.clone()];
            let wanted = decode(&mut *kind.decoder(), &records, None);
            assert_eq!(wanted.dead.len(), dead, "{:?}", String::from_utf8_lossy(record.1.as_deref().unwrap()));
            for read in [None, Some(&[false; COLUMNS.len()][..])] {
                same(&decode(&mut *decoder, &records, read), &wanted, read, &kind.columns);
            }
        }
    }
}
