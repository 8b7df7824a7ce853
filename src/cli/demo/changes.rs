//! Changes as Debezium sends them for tables with the default replica identity: a create and an update carry the new row
//! and no old one, a delete carries of the old row the key, and a tombstone follows it.

use serde_json::Value;

/// The fields of a row in the order of its table: name, value.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// The JSON lines to be written to one topic.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub text: Vec<u8>,
    pub records: u64,
}

/// A table as the source database has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub table: &'static str,
    /// How many of the fields, from the first, are the key.
    pub key: usize,
}

impl Lines {
    /// A row is there that was not.
    pub fn create(&mut self, source: Source, row: &Fields, now_ms: i64) {
        self.change(source, row, "c", "null", &object(row), now_ms);
    }

    /// A row is another one.
    pub fn update(&mut self, source: Source, row: &Fields, now_ms: i64) {
        self.change(source, row, "u", "null", &object(row), now_ms);
    }

    /// A row is gone.
    pub fn delete(&mut self, source: Source, row: &Fields, now_ms: i64) {
        let known = |(at, (name, value)): (usize, &(&'static str, Value))| {
            (*name, if at < source.key { value.clone() } else { Value::Null })
        };
        let before: Fields = row.iter().enumerate().map(known).collect();
        self.change(source, row, "d", &object(&before), "null", now_ms);
        self.line(&object(&row[..source.key]), "null");
    }

    fn change(&mut self, source: Source, row: &Fields, op: &str, before: &str, after: &str, now_ms: i64) {
        let value = format!(
            "{{\"before\":{before},\"after\":{after},\"source\":{{\"version\":\"3.6.3.Final\",\"connector\":\"postgresql\",\
             \"name\":\"shop\",\"ts_ms\":{now_ms},\"snapshot\":\"false\",\"db\":\"shop\",\"schema\":\"public\",\
             \"table\":\"{}\"}},\"transaction\":null,\"op\":\"{op}\",\"ts_ms\":{now_ms}}}",
            source.table
        );
        self.line(&object(&row[..source.key]), &value);
    }

    fn line(&mut self, key: &str, value: &str) {
        self.text.extend_from_slice(format!("{{\"key\":{key},\"value\":{value}}}\n").as_bytes());
        self.records += 1;
    }
}

fn object(fields: &[(&'static str, Value)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}
