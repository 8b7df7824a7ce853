//! Scripts of statements with their answers (`*.slt`), run over our own wire protocol, and over PostgreSQL's: what a script
//! says is what PostgreSQL answers, except where it says `onlyif millstream`.
//!
//! `SLT=name` runs one script.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::{Client, NoTls, SimpleQueryMessage};
use sqllogictest::{DBOutput, DefaultColumnType, Runner};

use crate::support::process::Process;

/// Longer than a start takes.
const START_MAX: Duration = Duration::from_secs(60);

/// A database as the scripts see it.
struct Database {
    client: Client,
    engine: &'static str,
}

/// An error of a statement, with its SQLSTATE.
#[derive(Debug)]
struct Failure(postgres::Error);

impl std::error::Error for Failure {}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(error) = self.0.as_db_error() else { return write!(f, "{}", self.0) };
        write!(f, "{}: {}", error.code().code(), error.message())?;
        error.detail().map_or(Ok(()), |detail| write!(f, " DETAIL: {detail}"))?;
        // Hints are ours to choose.
        Ok(())
    }
}

impl sqllogictest::DB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let messages = self.client.simple_query(sql).map_err(Failure)?;
        let (mut rows, mut columns, mut count) = (Vec::new(), None, 0);
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(description) => columns = Some(description.len()),
                SimpleQueryMessage::Row(row) => rows.push((0..row.len()).map(|at| cell(row.get(at))).collect()),
                SimpleQueryMessage::CommandComplete(affected) => count = affected,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows },
            None => DBOutput::StatementComplete(count),
        })
    }

    fn engine_name(&self) -> &str {
        self.engine
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.0.as_db_error()?.code().code().to_string())
    }
}

fn cell(text: Option<&str>) -> String {
    match text {
        None => "NULL".to_string(),
        Some("") => "(empty)".to_string(),
        Some(text) => text.to_string(),
    }
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let only = std::env::var("SLT").ok();
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .filter(|path| only.as_ref().is_none_or(|only| path.file_stem().is_some_and(|stem| stem == only.as_str())))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are scripts");
    files
}

fn run(script: &Path, engine: &'static str, connect: impl Fn() -> Client + Clone + Send + Sync + 'static) {
    let mut runner = Runner::new(move || {
        let client = connect();
        async move { Ok(Database { client, engine }) }
    });
    runner.add_label(engine);
    if let Err(error) = runner.run_file(script) {
        panic!("{engine}: {}", error.display(false));
    }
}

#[test]
fn scripts_say_what_millstream_answers() {
    for script in scripts() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let data = data.to_str().unwrap();
        let arguments = ["run", "--data", data, "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        let process = Process::start(&arguments, &dir.path().join("millstream.log"));
        let address = process.ready_on("pg", START_MAX).expect("it is ready");
        let (host, port) = address.rsplit_once(':').unwrap();
        let url = format!("host={host} port={port} user=me dbname=millstream");
        run(&script, "millstream", move || Client::connect(&url, NoTls).unwrap());
    }
}

#[test]
fn scripts_say_what_postgresql_answers() {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES")
        .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
    for script in scripts() {
        let schema = format!("slt_{}_{}", script.file_stem().unwrap().to_str().unwrap(), std::process::id());
        let mut client = Client::connect(&url, NoTls).unwrap();
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
        let (of_script, inside) = (url.clone(), schema.clone());
        run(&script, "postgresql", move || {
            let mut client = Client::connect(&of_script, NoTls).unwrap();
            let settings = format!(
                "SET search_path = {inside}; SET timezone = 'UTC'; SET extra_float_digits = 1; \
                 SET client_min_messages = warning"
            );
            client.batch_execute(&settings).unwrap();
            client
        });
        client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).unwrap();
    }
}
