//! Random source tables: what is changed in PostgreSQL by SQL is changed in the topic by a record.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::value::{self, Type, Value};

/// How a table's topic says what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    DebeziumKeyed,
    DebeziumFull,
    Upsert,
    Append,
}

/// A record: key and value.
pub type Record = (Option<String>, Option<String>);

/// A source table and the rows it has.
#[derive(Debug)]
pub struct Table {
    pub name: String,
    pub kind: Kind,
    pub columns: Vec<(String, Type)>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub fn random(rng: &mut ChaCha8Rng, number: usize) -> Self {
        let kinds = [Kind::DebeziumKeyed, Kind::DebeziumKeyed, Kind::DebeziumFull, Kind::Upsert, Kind::Append];
        let kind = kinds[rng.random_range(0..kinds.len())];
        let mut columns = vec![("id".to_string(), Type::Int)];
        for at in 0..rng.random_range(2..6) {
            columns.push((format!("c{at}"), value::ALL[rng.random_range(0..value::ALL.len())]));
        }
        Self { name: format!("t{number}"), kind, columns, rows: Vec::new() }
    }

    fn keyed(&self) -> bool {
        matches!(self.kind, Kind::DebeziumKeyed | Kind::Upsert)
    }

    fn columns_sql(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, ty)| format!("{name} {}", ty.sql())).collect();
        let key = if self.keyed() { ", PRIMARY KEY (id)" } else { "" };
        format!("{}{key}", columns.join(", "))
    }

    pub fn create_postgres(&self) -> String {
        format!("CREATE TABLE {} ({})", self.name, self.columns_sql())
    }

    pub fn create_millstream(&self) -> String {
        let envelope = match self.kind {
            Kind::DebeziumKeyed => "envelope = 'debezium', decimal_handling_mode = 'string'",
            Kind::DebeziumFull => "envelope = 'debezium', decimal_handling_mode = 'string', replica_identity = 'full'",
            Kind::Upsert => "envelope = 'upsert'",
            Kind::Append => "envelope = 'append'",
        };
        let (name, columns) = (&self.name, self.columns_sql());
        format!(
            "CREATE TABLE {name} ({columns}) WITH (connector = 'log', topic = '{name}', format = 'json', {envelope}, partitions = 2)"
        )
    }

    /// One random change: the SQL for PostgreSQL and the records for the topic.
    pub fn change(&mut self, rng: &mut ChaCha8Rng) -> (String, Vec<Record>) {
        let kind = rng.random_range(0..10);
        if self.kind == Kind::Append || self.rows.is_empty() || kind < 5 {
            return self.insert(rng);
        }
        let at = rng.random_range(0..self.rows.len());
        if kind < 8 { self.update(rng, at) } else { self.delete(at) }
    }

    fn insert(&mut self, rng: &mut ChaCha8Rng) -> (String, Vec<Record>) {
        let mut row: Vec<Value> = self.columns.iter().map(|(_, ty)| value::value(rng, *ty)).collect();
        row[0] = value::not_null(rng, Type::Int);
        if self.keyed()
            && let Some(at) = self.rows.iter().position(|other| other[0] == row[0])
        {
            return self.replace(at, row);
        }
        let values: Vec<&str> = row.iter().map(|value| value.sql.as_str()).collect();
        let sql = format!("INSERT INTO {} VALUES ({});", self.name, values.join(", "));
        let record = match self.kind {
            Kind::Upsert => (Some(self.key(&row)), Some(self.json(&row))),
            Kind::Append => (None, Some(self.json(&row))),
            Kind::DebeziumKeyed => (Some(self.key(&row)), Some(self.event("c", None, Some(&row)))),
            Kind::DebeziumFull => (None, Some(self.event("c", None, Some(&row)))),
        };
        self.rows.push(row);
        (sql, vec![record])
    }

    fn update(&mut self, rng: &mut ChaCha8Rng, at: usize) -> (String, Vec<Record>) {
        let mut row = self.rows[at].clone();
        for (value, (_, ty)) in row.iter_mut().zip(&self.columns).skip(1) {
            if rng.random_bool(0.5) {
                *value = value::value(rng, *ty);
            }
        }
        self.replace(at, row)
    }

    fn replace(&mut self, at: usize, row: Vec<Value>) -> (String, Vec<Record>) {
        let sets: Vec<String> =
            self.columns.iter().zip(&row).map(|((name, _), value)| format!("{name} = {}", value.sql)).collect();
        let sql = format!("UPDATE {} SET {} WHERE {};", self.name, sets.join(", "), self.one(&self.rows[at]));
        let record = match self.kind {
            Kind::Upsert => (Some(self.key(&row)), Some(self.json(&row))),
            Kind::DebeziumKeyed => (Some(self.key(&row)), Some(self.event("u", None, Some(&row)))),
            _ => (None, Some(self.event("u", Some(&self.rows[at]), Some(&row)))),
        };
        self.rows[at] = row;
        (sql, vec![record])
    }

    fn delete(&mut self, at: usize) -> (String, Vec<Record>) {
        let row = self.rows.swap_remove(at);
        let sql = format!("DELETE FROM {} WHERE {};", self.name, self.one(&row));
        let records = match self.kind {
            Kind::Upsert => vec![(Some(self.key(&row)), None)],
            Kind::DebeziumKeyed => {
                // Under the default replica identity only the key of the old row is sent.
                let mut before = vec![Value::null(); row.len()];
                before[0] = row[0].clone();
                let key = Some(self.key(&row));
                vec![(key.clone(), Some(self.event("d", Some(&before), None))), (key, None)]
            }
            _ => vec![(None, Some(self.event("d", Some(&row), None))), (None, None)],
        };
        (sql, records)
    }

    /// A condition that holds for one row with these values.
    fn one(&self, row: &[Value]) -> String {
        if self.keyed() {
            return format!("id = {}", row[0].sql);
        }
        let equal: Vec<String> = self
            .columns
            .iter()
            .zip(row)
            .map(|((name, ty), value)| format!("{name} IS NOT DISTINCT FROM {}::{}", value.sql, ty.sql()))
            .collect();
        format!("ctid = (SELECT ctid FROM {} WHERE {} LIMIT 1)", self.name, equal.join(" AND "))
    }

    fn key(&self, row: &[Value]) -> String {
        format!("{{\"id\":{}}}", row[0].json)
    }

    fn json(&self, row: &[Value]) -> String {
        let fields: Vec<String> =
            self.columns.iter().zip(row).map(|((name, _), value)| format!("\"{name}\":{}", value.json)).collect();
        format!("{{{}}}", fields.join(","))
    }

    fn event(&self, op: &str, before: Option<&[Value]>, after: Option<&[Value]>) -> String {
        let part = |row: Option<&[Value]>| {
            row.map_or("null".to_string(), |row| {
                let columns = self.columns.iter().zip(row);
                let fields: Vec<String> =
                    columns.map(|((name, _), value)| format!("\"{name}\":{}", value.debezium)).collect();
                format!("{{{}}}", fields.join(","))
            })
        };
        format!(
            "{{\"before\":{},\"after\":{},\"source\":{{\"table\":\"{}\"}},\"op\":\"{op}\",\"ts_ms\":1}}",
            part(before),
            part(after),
            self.name
        )
    }
}
