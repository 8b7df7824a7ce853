//! A session with PostgreSQL in which nothing is waited for without end: a target that takes what is sent and never answers (a proxy
//! that has lost its server, a server that is stopped) is told of, and its connection given up.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, Row, Socket, Statement};

use crate::connect::connect;
use crate::error::Failure;

/// How long each answer may take, unless the url says otherwise (`tcp_user_timeout`).
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Values of a statement.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// See the module. One in which a step has failed is dropped.
pub(crate) struct Session {
    client: Client,
    answer_max: Duration,
    /// The connection lives in it, and goes with it.
    runtime: Runtime,
}

impl Session {
    /// Connects.
    pub fn connect<T>(config: &Config, tls: T) -> Result<Self, Failure>
    where
        T: MakeTlsConnect<Socket> + Clone,
        T::Stream: Send + 'static,
    {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::retriable(format!("cannot connect: {error}")))?;
        let (client, connection) = match runtime.block_on(connect(config, &tls)) {
            Ok(connected) => connected,
            Err(failure) => {
                // A name that is still being looked up is not waited for.
                runtime.shutdown_background();
                return Err(failure);
            }
        };
        // Its error is that of the step that waits for it.
        runtime.spawn(async { drop(connection.await) });
        let answer_max = config.get_tcp_user_timeout().copied().unwrap_or(ANSWER_MAX);
        Ok(Self { client, answer_max, runtime })
    }

    /// Runs statements without parameters.
    pub fn batch(&mut self, step: &str, sql: &str) -> Result<(), Failure> {
        self.answer(step, self.client.batch_execute(sql))
    }

    /// The rows of a query.
    pub fn rows(&mut self, step: &str, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Failure> {
        self.answer(step, self.client.query(sql, parameters))
    }

    /// The row of a query that gives one or none.
    pub fn row(&mut self, step: &str, sql: &str, parameters: Parameters<'_>) -> Result<Option<Row>, Failure> {
        self.answer(step, self.client.query_opt(sql, parameters))
    }

    /// Runs a statement; how many rows it changed.
    pub fn execute(&mut self, step: &str, sql: &str, parameters: Parameters<'_>) -> Result<u64, Failure> {
        self.answer(step, self.client.execute(sql, parameters))
    }

    /// Runs a prepared statement.
    pub fn run(&mut self, step: &str, statement: &Statement, parameters: Parameters<'_>) -> Result<u64, Failure> {
        self.answer(step, self.client.execute(statement, parameters))
    }

    /// Prepares a statement.
    pub fn prepare(&mut self, step: &str, sql: &str, types: &[Type]) -> Result<Statement, Failure> {
        self.answer(step, self.client.prepare_typed(sql, types))
    }

    fn answer<R>(&self, step: &str, answer: impl Future<Output = Result<R, Error>>) -> Result<R, Failure> {
        match self.runtime.block_on(async { timeout(self.answer_max, answer).await }) {
            Ok(answer) => answer.map_err(|error| Failure::of(step, error)),
            Err(_) => Err(Failure::silent(step, self.answer_max)),
        }
    }
}
