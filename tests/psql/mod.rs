//! The PostgreSQL protocol as users meet it: psql, four drivers, and a client that speaks the protocol's messages itself.

mod batches;
mod constraints;
mod copy;
mod drivers;
mod messages;
mod raw;
mod shell;
mod starting;
mod terminal;
mod tokio_postgres;
mod transactions;
mod types;
mod writes;

use std::path::Path;

use crate::cli::support::Running;

/// A pipeline with nothing in it.
pub fn start(dir: &Path) -> Running {
    Running::start(dir, "")
}

/// How drivers are told where it is.
pub fn config(running: &Running) -> String {
    let (host, port) = running.pg.rsplit_once(':').unwrap();
    format!("host={host} port={port} user=ann dbname=shop")
}

/// A connection of tokio-postgres, without its asynchrony.
pub fn connect(running: &Running) -> postgres::Client {
    postgres::Client::connect(&config(running), postgres::NoTls).unwrap_or_else(|error| panic!("{error:?}"))
}

/// SQLSTATE and message of an error.
pub fn refusal(error: &postgres::Error) -> (String, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("not an error of the server: {error:?}"));
    (error.code().code().to_string(), error.message().to_string())
}
