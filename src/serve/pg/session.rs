//! One client's session: what it has prepared and opened, its settings, and the way through its messages.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use tokio::sync::watch;

use super::PgDoor;
use super::cancel::{Stop, Ticket};
use super::conn::{Conn, MESSAGE_BYTES_MAX};
use super::error::{Failure, PgError, Result, notice};
use super::extended::Portal;
use super::frame::Frame;
use super::settings::{Changed, Settings};
use super::start::{introduce, say_goodbye};
use super::statement::Statement;
use super::transaction::{Block, State};

/// See the module.
pub(crate) struct Session {
    pub conn: Conn,
    pub door: Arc<PgDoor>,
    pub settings: Settings,
    /// By name; the unnamed one under "".
    pub statements: HashMap<String, Arc<Statement>>,
    pub portals: HashMap<String, Portal>,
    /// The transaction that it is in.
    pub block: Option<Block>,
    /// What sequences gave to it.
    pub sequences: Arc<dataflow::SequenceSession>,
    ticket: Ticket,
    leaving: watch::Receiver<bool>,
    /// An error was sent: messages are skipped up to Sync.
    skips: bool,
    /// The message at work is one of those that a Sync ends.
    pub in_pipeline: bool,
    /// It was said that it is ready, and nothing was asked since.
    idle: bool,
}

/// What bounds one statement.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub stop: Arc<Stop>,
    pub deadline: Option<Instant>,
}

impl Bounds {
    /// An error of a statement's own thread. It says in its own words that it was stopped.
    pub fn in_words(&self, error: PgError) -> PgError {
        match error.sqlstate {
            "57014" if self.stop.is_asked() => cancelled(),
            "57014" => timed_out(),
            _ => error,
        }
    }
}

impl Session {
    pub fn enter(conn: Conn, door: Arc<PgDoor>, settings: Settings, leaving: watch::Receiver<bool>) -> Self {
        let ticket = door.sessions.enter();
        Self {
            conn,
            door,
            settings,
            statements: HashMap::new(),
            portals: HashMap::new(),
            block: None,
            sequences: Arc::default(),
            ticket,
            leaving,
            skips: false,
            in_pipeline: false,
            idle: false,
        }
    }

    /// Serves it to its end.
    pub async fn run(mut self) {
        let door = Arc::clone(&self.door);
        let _counted = door.metrics().connection();
        introduce(&mut self.conn, &self.settings, self.ticket.number, self.ticket.secret);
        self.ready();
        if let Err(Failure::Error(error)) = self.messages().await {
            // Let go before the client is told: its threads end meanwhile.
            self.portals.clear();
            self.ticket.idle();
            say_goodbye(&mut self.conn, *error).await;
        }
    }

    /// Until the client leaves, or must.
    async fn messages(&mut self) -> Result<()> {
        self.flush().await?;
        loop {
            let Some(message) = self.message().await? else { return Ok(()) };
            self.idle = false;
            let (kind, body) = message?;
            if self.skips && kind != b'S' && kind != b'X' {
                continue;
            }
            self.in_pipeline = Frame::is_extended(kind);
            let done = match Frame::read(kind, body) {
                Ok(Frame::Terminate) => return Ok(()),
                Ok(frame) => self.serve(frame).await,
                Err(error) => Err(error.into()),
            };
            self.ticket.idle();
            match done {
                Ok(()) if self.conn.is_full() => self.flush().await?,
                Ok(()) => {}
                Err(Failure::Error(error)) if !error.fatal => {
                    self.fail_block();
                    self.conn.put(&error.response());
                    if Frame::is_extended(kind) {
                        self.skips = true;
                    } else {
                        self.ready();
                    }
                    self.flush().await?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The next message.
    async fn message(&mut self) -> Result<Option<std::result::Result<(u8, bytes::Bytes), PgError>>> {
        let mut leaving = self.leaving.clone();
        let in_block = self.idle && matches!(self.state(), State::Open | State::Failed);
        let patience = self.settings.idle_in_transaction_timeout().filter(|_| in_block);
        let deadline = patience.map(|patience| Instant::now() + patience);
        tokio::select! {
            message = self.conn.message(MESSAGE_BYTES_MAX) => Ok(message?),
            _ = leaving.wait_for(|leaving| *leaving) => Err(PgError::leaving().into()),
            () = until(deadline) => {
                Err(PgError::fatal("25P03", "terminating connection due to idle-in-transaction timeout").into())
            }
        }
    }

    /// Whether the client's next message ends those that are one transaction.
    pub async fn syncs_next(&mut self) -> Result<bool> {
        let mut leaving = self.leaving.clone();
        tokio::select! {
            syncs = self.conn.syncs_next() => Ok(syncs?),
            _ = leaving.wait_for(|leaving| *leaving) => Err(PgError::leaving().into()),
        }
    }

    async fn serve(&mut self, frame: Frame) -> Result<()> {
        match frame {
            Frame::Query(text) => {
                self.simple(&text).await?;
                self.ready();
                self.flush().await
            }
            Frame::Parse { name, query, types } => self.parse(name, query, types).await,
            Frame::Bind(bind) => self.bind(bind).await,
            Frame::Describe { portal: true, name } => self.describe_portal(&name),
            Frame::Describe { portal: false, name } => self.describe_statement(&name),
            Frame::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Frame::Close { portal, name } => self.close(portal, &name),
            Frame::Flush => self.flush().await,
            Frame::Sync => {
                self.skips = false;
                self.sync().await?;
                self.ready();
                self.flush().await
            }
            Frame::FunctionCall => Err(PgError::new("0A000", "function calls by message are not supported")
                .hint("call it in a SELECT")
                .into()),
            Frame::Copy | Frame::Terminate => Ok(()),
        }
    }

    /// The end of messages that were one transaction, unless they are in a block.
    async fn sync(&mut self) -> Result<()> {
        let bounds = self.begin();
        match self.end_implicit(&bounds).await {
            Err(Failure::Error(error)) if !error.fatal => self.conn.put(&error.response()),
            done => done?,
        }
        if self.block.is_none() {
            // What is open is open in a transaction.
            self.portals.clear();
        }
        Ok(())
    }

    /// A statement begins: it can be cancelled, and its time runs.
    pub fn begin(&self) -> Bounds {
        let deadline = self.settings.statement_timeout().map(|timeout| Instant::now() + timeout);
        Bounds { stop: self.ticket.begin(), deadline }
    }

    /// A statement goes on.
    pub fn resume(&self, bounds: &Bounds) {
        self.ticket.resume(&bounds.stop);
    }

    /// The client's next message within a statement.
    pub async fn next_message(&mut self, bounds: &Bounds) -> Result<(u8, bytes::Bytes)> {
        let mut leaving = self.leaving.clone();
        let failure = tokio::select! {
            message = self.conn.message(MESSAGE_BYTES_MAX) => return Ok(message?.ok_or(Failure::Gone)??),
            failure = interrupted(bounds, &mut leaving) => failure,
        };
        bounds.stop.ask();
        Err(failure)
    }

    /// Waits for something, unless the statement is stopped, its time is over, the client goes or the process leaves.
    /// `work` may be dropped while it waits.
    pub async fn attend<T>(&mut self, bounds: &Bounds, work: impl Future<Output = T>) -> Result<T> {
        let mut leaving = self.leaving.clone();
        let failure = tokio::select! {
            done = work => return Ok(done),
            failure = interrupted(bounds, &mut leaving) => failure,
            () = self.conn.gone() => Failure::Gone,
        };
        bounds.stop.ask();
        Err(failure)
    }

    /// Sends what there is, if it is enough, at the client's pace.
    pub async fn send(&mut self, bounds: &Bounds) -> Result<()> {
        if !self.conn.is_full() {
            return Ok(());
        }
        let mut leaving = self.leaving.clone();
        let failure = tokio::select! {
            sent = self.conn.flush() => return Ok(sent?),
            failure = interrupted(bounds, &mut leaving) => failure,
        };
        bounds.stop.ask();
        Err(failure)
    }

    /// Sends all that there is.
    pub async fn flush(&mut self) -> Result<()> {
        let mut leaving = self.leaving.clone();
        tokio::select! {
            sent = self.conn.flush() => Ok(sent?),
            _ = leaving.wait_for(|leaving| *leaving) => Err(PgError::leaving().into()),
        }
    }

    fn ready(&mut self) {
        self.idle = true;
        self.conn.put(&ReadyForQuery::new(match self.state() {
            State::Idle | State::Implicit => TransactionStatus::Idle,
            State::Open => TransactionStatus::Transaction,
            State::Failed => TransactionStatus::Error,
        }));
    }

    pub fn notice(&mut self, message: String) {
        self.conn.put(&notice("NOTICE", "00000", message));
    }

    pub fn warning(&mut self, sqlstate: &str, message: String) {
        self.conn.put(&notice("WARNING", sqlstate, message));
    }

    /// Tells the client of settings that changed.
    pub fn report(&mut self, changed: Changed) {
        if let Some(warning) = changed.warning {
            self.warning("01000", warning);
        }
        for (name, value) in changed.reported {
            self.conn.put(&pgwire::messages::startup::ParameterStatus::new(name.to_string(), value));
        }
    }
}

/// Returns when a statement must end, with the reason.
async fn interrupted(bounds: &Bounds, leaving: &mut watch::Receiver<bool>) -> Failure {
    let error = tokio::select! {
        () = bounds.stop.asked() => cancelled(),
        () = until(bounds.deadline) => timed_out(),
        _ = leaving.wait_for(|leaving| *leaving) => PgError::leaving(),
    };
    error.into()
}

pub(crate) fn cancelled() -> PgError {
    PgError::new("57014", "canceling statement due to user request")
}

fn timed_out() -> PgError {
    PgError::new("57014", "canceling statement due to statement timeout")
        .hint("SET statement_timeout gives it more time; 0: as much as it needs")
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
