//! The judge: a real PostgreSQL, in a schema of the test's own.

use std::collections::BTreeMap;

use postgres::{Client, NoTls, SimpleQueryMessage};
use zset::RowType;

use super::cells::{self, Rows};

/// A connection whose tables are in a schema of its own, which goes with it.
pub struct Judge {
    client: Client,
    schema: String,
}

impl Judge {
    /// Connects to the PostgreSQL that `tests/run` starts.
    pub fn connect(schema: &str) -> Self {
        let url = std::env::var("MILLSTREAM_TEST_POSTGRES")
            .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
        let mut client = Client::connect(&url, NoTls).expect("PostgreSQL answers");
        client
            .batch_execute(&format!(
                "SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; \
                 SET search_path = {schema}; SET timezone = 'UTC'; SET extra_float_digits = 1"
            ))
            .expect("a schema can be made");
        Self { client, schema: schema.to_string() }
    }

    /// Runs statements that must succeed.
    pub fn run(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("PostgreSQL refuses: {error:?}\n{sql}");
        }
    }

    /// Runs statements; the SQLSTATE and message if they fail.
    pub fn try_run(&mut self, sql: &str) -> Result<(), (String, String)> {
        self.client.batch_execute(sql).map_err(|error| match error.as_db_error() {
            Some(db) => (db.code().code().to_string(), db.message().to_string()),
            None => panic!("PostgreSQL went away: {error}"),
        })
    }

    /// The rows of a query, as a multiset of comparable cells; an error's SQLSTATE and message.
    pub fn rows(&mut self, query: &str, columns: &RowType) -> Result<Rows, (String, String)> {
        let messages = self.client.simple_query(query).map_err(|error| match error.as_db_error() {
            Some(db) => (db.code().code().to_string(), db.message().to_string()),
            None => panic!("PostgreSQL went away: {error}\n{query}"),
        })?;
        let mut rows: Rows = BTreeMap::new();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            assert_eq!(row.len(), columns.0.len(), "as many columns as PostgreSQL: {query}");
            let cells = columns.0.iter().enumerate().map(|(at, column)| cells::of_postgres(column.ty, row.get(at)));
            *rows.entry(cells.collect()).or_default() += 1;
        }
        Ok(rows)
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.client.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema));
    }
}
