//! What records and catalogs promise: nothing unknown is skipped, nothing that others stand on is dropped.

#![allow(clippy::unwrap_used)]

use zset::{Column, ColumnType, Digest, Epoch, Generation, Offset, Partition, Range, RowType, TimestampMs};

use crate::*;

fn record() -> EpochRecord {
    EpochRecord {
        version: RECORD_VERSION,
        incarnation: "i".into(),
        generation: Generation(3),
        epoch: Epoch(7),
        previous: "ab".into(),
        timestamp: TimestampMs(1_700_000_000_000),
        inputs: vec![InputRange {
            table: TableId(1),
            topic: "t".into(),
            partition: Partition(2),
            range: Range { start: Offset(4), end: Offset(9) },
            count: 3,
            hash: "cd".into(),
            dead_letters: 1,
            last: LastRecord { offset: Offset(8), timestamp: TimestampMs(5), hash: "ef".into() },
        }],
        tables: vec![
            TableOutcome { table: TableId(1), outcome: Outcome::Digest(Digest(0x1234)) },
            TableOutcome { table: TableId(2), outcome: Outcome::Error("division by zero".into()) },
        ],
        catalog: None,
        sequences: Vec::new(),
        mended: None,
        sinks: vec![SinkFailure { sink: SinkId(4), reason: "too large".into(), for_good: false, written: None }],
        released: Vec::new(),
        halts: Vec::new(),
    }
}

/// The bytes are on disk and in topics: they may change only with the version.
#[test]
fn record_bytes_are_pinned() {
    let text = String::from_utf8(record().encode()).unwrap();
    assert_eq!(
        text,
        r#"{"version":3,"incarnation":"i","generation":3,"epoch":7,"previous":"ab","timestamp":1700000000000,"inputs":[{"table":1,"topic":"t","partition":2,"range":{"start":4,"end":9},"count":3,"hash":"cd","dead_letters":1,"last":{"offset":8,"timestamp":5,"hash":"ef"}}],"tables":[{"table":1,"outcome":{"digest":"00000000000000000000000000001234"}},{"table":2,"outcome":{"error":"division by zero"}}],"sinks":[{"sink":4,"reason":"too large"}]}"#
    );
    assert_eq!(EpochRecord::decode(text.as_bytes()).unwrap(), record());
}

#[test]
fn every_catalog_change_comes_back() {
    let changes = [
        CatalogChange::CreateTable {
            id: TableId(1),
            sql: "s".into(),
            fingerprint: 9,
            start: vec![(Partition(0), Offset(0)), (Partition(1), Offset(5))],
            backfill: Vec::new(),
            topics: vec!["a".into(), "b".into()],
        },
        CatalogChange::AddTopics { id: TableId(1), topics: vec!["c".into()] },
        CatalogChange::CreateTable {
            id: TableId(2),
            sql: "s".into(),
            fingerprint: 9,
            start: Vec::new(),
            backfill: record().inputs,
            topics: Vec::new(),
        },
        CatalogChange::AlterTable { id: TableId(1), sql: "s".into() },
        CatalogChange::ReplayDeadLetters { table: TableId(1), force: true, ranges: record().inputs, more: true },
        CatalogChange::CreateSink { id: SinkId(2), sql: "s".into() },
        CatalogChange::ResumeStreams { tables: vec![TableId(2), TableId(3)], backfill: record().inputs },
        CatalogChange::Drop { sink: false, name: "n".into(), cascade: true },
    ];
    for change in changes {
        let halts = vec![SourceHalt { table: TableId(1), reason: "bad".into() }];
        let record = EpochRecord { catalog: Some(change), halts, ..record() };
        assert_eq!(EpochRecord::decode(&record.encode()).unwrap(), record);
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let text = String::from_utf8(record().encode()).unwrap();
    let refused = |text: String, word: &str| {
        let error = EpochRecord::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(text.replacen("{\"version\"", "{\"surprise\":1,\"version\"", 1), "surprise");
    refused(text.replacen("\"table\":1", "\"surprise\":1,\"table\":1", 1), "surprise");
    refused(
        text.replacen("\"version\":3", "\"version\":4", 1),
        "is version 4, and this millstream knows versions 2 to 3: a newer",
    );
    refused(
        text.replacen("\"version\":3", "\"version\":1", 1),
        "version 1, and this millstream knows versions 2 to 3: start the older",
    );
    refused(text[..text.len() - 3].to_string(), "damaged");
}

/// A whole epoch topic as the version before wrote it: every kind of change of the catalog, inputs, dead letters, an error. It is
/// read as it is: the chain of hashes is over these very bytes, which are never written anew.
#[test]
fn records_of_version_2_are_read() {
    let lines: Vec<&str> = include_str!("samples/records-2.jsonl").lines().collect();
    let (mut previous, mut tables) = (String::new(), 0);
    for (epoch, line) in lines.iter().enumerate() {
        let record = EpochRecord::decode(line.as_bytes()).unwrap();
        assert_eq!((record.version, record.epoch, &record.previous), (2, Epoch(epoch as u64), &previous));
        assert_eq!(
            String::from_utf8(record.encode()).unwrap(),
            *line,
            "no field that came since shows where it is not set"
        );
        previous = EpochRecord::hash(line.as_bytes());
        tables += record.tables.len();
    }
    assert_eq!((lines.len(), tables), (21, 18));
}

fn table(catalog: &mut Catalog, name: &str, inputs: &[TableId]) -> TableId {
    let id = TableId(catalog.next_id());
    let kind = TableKind::Stream(StreamDef {
        query: String::new(),
        inputs: inputs.to_vec(),
        input_columns: Vec::new(),
        input_positions: Vec::new(),
        fingerprint: 0,
        append_only: false,
        max_consecutive_errors: 0,
    });
    let columns = RowType(vec![Column::new("a", ColumnType::Int, true)]);
    let def = TableDef { id, name: name.into(), columns, key: vec![], kind, sql: String::new(), created: Epoch(1) };
    catalog.add_table(def).unwrap();
    id
}

fn sink(catalog: &mut Catalog, name: &str, input: TableId) {
    let id = SinkId(catalog.next_id());
    let def = SinkDef {
        id,
        name: name.into(),
        input,
        connector: SinkConnector::Blackhole,
        topic: String::new(),
        partitions: 1,
        replication: None,
        envelope: SinkEnvelope::Debezium,
        key: vec![],
        tombstones: true,
        options: Options::default(),
        sql: String::new(),
        created: Epoch(1),
    };
    catalog.add_sink(def).unwrap();
}

#[test]
fn a_drop_names_its_dependents_and_cascades_to_all_of_them() {
    let mut catalog = Catalog::default();
    let a = table(&mut catalog, "a", &[]);
    let b = table(&mut catalog, "b", &[a]);
    let c = table(&mut catalog, "c", &[a, b]);
    sink(&mut catalog, "s", c);
    table(&mut catalog, "other", &[]);
    let error = catalog.drop_table("a", false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot drop a because b, c, s depend on it; drop them first, or say DROP ... CASCADE"
    );
    let (sinks, tables) = catalog.drop_table("a", true).unwrap();
    let names = |tables: &[TableDef]| tables.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&tables), ["c", "b", "a"]);
    assert_eq!(sinks.len(), 1);
    assert_eq!(catalog.tables().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn a_query_is_planned_again_on_the_columns_of_then() {
    let columns =
        |names: &[&str]| RowType(names.iter().map(|name| Column::new(*name, ColumnType::Int, true)).collect());
    let mut catalog = Catalog::default();
    let a = table(&mut catalog, "a", &[]);
    let v = table(&mut catalog, "v", &[a]);
    let mut input = catalog.table(a).unwrap().clone();
    // x, id and y were there; x went, y is called z now, and w came.
    (input.columns, input.key) = (columns(&["id", "z", "w"]), vec![0]);
    catalog.replace_table(input);
    let mut def = catalog.table(v).unwrap().clone();
    let TableKind::Stream(stream) = &mut def.kind else { panic!("a stream table") };
    stream.input_columns = vec![columns(&["x", "id", "y"])];
    stream.input_positions = vec![vec![None, Some(0), Some(1)]];
    let then = catalog.as_planned(stream);
    let then = then.table(a).unwrap();
    assert_eq!((&then.columns, &then.key), (&columns(&["x", "id", "y"]), &vec![1]));
}

#[test]
fn ids_are_never_given_twice() {
    let mut catalog = Catalog::default();
    table(&mut catalog, "a", &[]);
    let last = table(&mut catalog, "b", &[]);
    catalog.drop_table("b", false).unwrap();
    assert!(catalog.next_id() > last.0);
}

#[test]
fn a_name_is_given_once() {
    let mut catalog = Catalog::default();
    let a = table(&mut catalog, "a", &[]);
    sink(&mut catalog, "s", a);
    assert!(catalog.name_taken("s"));
    assert_eq!(catalog.drop_table("s", false).unwrap_err(), CatalogError::Missing("s".into()));
    assert_eq!(catalog.drop_sink("a").unwrap_err(), CatalogError::Missing("a".into()));
}
