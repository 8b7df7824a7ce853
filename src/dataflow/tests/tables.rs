//! What defines a table, as far as its contents go by it.

use plan::{Envelope, Options, SourceDef, StartAt, StreamDef, TableDef, TableId, TableKind};
use zset::{Epoch, RowType};

pub fn source(columns: RowType, key: &[usize]) -> TableDef {
    let source = SourceDef {
        connector: "log".into(),
        topic: "t".into(),
        more_topics: Vec::new(),
        dlq_topic: "t.dlq".into(),
        envelope: Envelope::Debezium,
        start: StartAt::Earliest,
        partitions: 1,
        stored: true,
        own: None,
        include: Vec::new(),
        options: Options::default(),
    };
    TableDef {
        id: TableId(1),
        name: "t".into(),
        columns,
        key: key.to_vec(),
        kind: TableKind::Source(source),
        sql: String::new(),
        created: Epoch(1),
    }
}

pub fn stream(columns: RowType, key: &[usize]) -> TableDef {
    let kind = TableKind::Stream(StreamDef {
        query: String::new(),
        inputs: vec![],
        input_columns: vec![],
        input_positions: vec![],
        fingerprint: 0,
        append_only: false,
        max_consecutive_errors: 0,
    });
    TableDef { kind, ..source(columns, key) }
}
