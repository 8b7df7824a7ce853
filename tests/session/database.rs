//! A database seen through its wire protocol: Millstream's or PostgreSQL's, by the same client and the same calls.

use postgres::error::DbError;
use postgres::{Client, NoTls, SimpleQueryMessage};

/// What a statement answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Rows as texts, in order, and how many rows the tag says.
    Done { rows: Vec<Vec<Option<String>>>, count: u64 },
    /// The SQLSTATE and the message.
    Failed { code: String, message: String },
}

/// A connection.
pub struct Database {
    client: Client,
    name: &'static str,
}

impl Database {
    /// Connects.
    pub fn connect(name: &'static str, url: &str) -> Self {
        let client = Client::connect(url, NoTls).unwrap_or_else(|error| panic!("cannot connect to {name}: {error:?}"));
        Self { client, name }
    }

    /// Runs one statement.
    pub fn run(&mut self, sql: &str) -> Answer {
        match self.client.simple_query(sql) {
            Ok(messages) => {
                let (mut rows, mut count) = (Vec::new(), 0);
                for message in messages {
                    match message {
                        SimpleQueryMessage::Row(row) => {
                            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_string)).collect());
                        }
                        SimpleQueryMessage::CommandComplete(affected) => count = affected,
                        _ => {}
                    }
                }
                Answer::Done { rows, count }
            }
            Err(error) => match error.as_db_error() {
                Some(error) => failed(error),
                None => panic!("{} went away: {error:?}\n{sql}", self.name),
            },
        }
    }

    /// Runs one statement that must succeed.
    pub fn must(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self.run(sql) {
            Answer::Done { rows, .. } => rows,
            Answer::Failed { code, message } => panic!("{} refuses: {code} {message}\n{sql}", self.name),
        }
    }

    /// The names and types of a query's columns. PostgreSQL's varchar without a length is our text.
    pub fn columns(&mut self, query: &str) -> Result<Vec<(String, String)>, String> {
        let prepared = self.client.prepare(query).map_err(|error| error.to_string())?;
        let ty = |name: &str| if name == "varchar" { "text".to_string() } else { name.to_string() };
        Ok(prepared.columns().iter().map(|c| (c.name().to_string(), ty(c.type_().name()))).collect())
    }
}

fn failed(error: &DbError) -> Answer {
    Answer::Failed { code: error.code().code().to_string(), message: error.message().to_string() }
}
