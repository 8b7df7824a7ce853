//! The extended protocol: statements are prepared, bound to values as portals, described, and run in parts.

use std::sync::Arc;
use std::time::Instant;

use dataflow::{Session as About, Work};
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{CloseComplete, ParseComplete, PortalSuspended};

use super::answer::{Answer, Tag};
use super::binary::Format;
use super::error::{PgError, Result};
use super::session::{Bounds, Session};
use super::statement::Statement;

/// A statement with its values, and how far it has come.
#[derive(Debug)]
pub(crate) struct Portal {
    pub statement: Arc<Statement>,
    pub values: Vec<Option<String>>,
    pub formats: Vec<Format>,
    pub progress: Progress,
}

/// How far a portal has come.
#[derive(Debug)]
pub(crate) enum Progress {
    Ready,
    /// Rows are left.
    Open(Bounds, Answer),
    Done {
        had_rows: bool,
    },
}

impl Drop for Portal {
    fn drop(&mut self) {
        // Its thread need not find further rows.
        if let Progress::Open(bounds, _) = &self.progress {
            bounds.stop.ask();
        }
    }
}

impl Session {
    pub async fn parse(&mut self, name: String, query: String, given: Vec<u32>) -> Result<()> {
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&name) {
            return Err(PgError::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
        }
        let mut sources = self.split(&query)?;
        let source = sources.pop().unwrap_or_default();
        if !sources.is_empty() {
            return Err(PgError::new("42601", "cannot insert multiple commands into a prepared statement").into());
        }
        self.may_run(&source)?;
        let (bounds, began, kind) = (self.begin(), Instant::now(), source.kind());
        let prepared = self.prepare(&bounds, source, given).await;
        if prepared.is_err() {
            // It will not come to be run: it is counted here.
            self.count(kind, began, true);
        }
        self.statements.insert(name, Arc::new(prepared?));
        self.conn.put(&ParseComplete::new());
        Ok(())
    }

    pub fn describe_statement(&mut self, name: &str) -> Result<()> {
        let statement = self.statement(name)?;
        let oids = (0..statement.prepared.parameters.len()).map(|at| statement.parameter_oid(at)).collect();
        self.conn.put(&ParameterDescription::new(oids));
        self.describe(&statement, &[]);
        Ok(())
    }

    pub fn describe_portal(&mut self, name: &str) -> Result<()> {
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        let (statement, formats) = (Arc::clone(&portal.statement), portal.formats.clone());
        self.describe(&statement, &formats);
        Ok(())
    }

    fn describe(&mut self, statement: &Statement, formats: &[Format]) {
        if statement.columns.is_empty() && !is_read(statement) {
            self.conn.put(&NoData::new());
        } else {
            self.conn.put(&statement.description(formats));
        }
    }

    pub fn close(&mut self, portal: bool, name: &str) -> Result<()> {
        // What is not there is closed already.
        if portal {
            self.portals.remove(name);
        } else {
            self.statements.remove(name);
        }
        self.conn.put(&CloseComplete::new());
        Ok(())
    }

    pub async fn execute(&mut self, name: &str, rows_max: usize) -> Result<()> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let (began, kind) = (Instant::now(), portal.statement.kind());
        let done = self.execute_portal(name, &mut portal, rows_max).await;
        self.count(kind, began, done.is_err());
        done?;
        self.portals.insert(name.to_string(), portal);
        Ok(())
    }

    async fn execute_portal(&mut self, name: &str, portal: &mut Portal, rows_max: usize) -> Result<()> {
        let (bounds, mut answer) = match std::mem::replace(&mut portal.progress, Progress::Done { had_rows: true }) {
            Progress::Ready => {
                // A write that nothing follows is on its own, and evaluated again if another one was first.
                if self.block.is_none() && may_write(&portal.statement) && !self.syncs_next().await? {
                    self.begin_implicit();
                }
                let bounds = self.begin();
                let values = std::mem::take(&mut portal.values);
                let formats = portal.formats.clone();
                let answer = self.run_statement(&bounds, Arc::clone(&portal.statement), values, &formats).await?;
                (bounds, answer)
            }
            Progress::Open(bounds, answer) => {
                self.resume(&bounds);
                if let Some(source) = answer.rows.as_ref().and_then(|rows| rows.source.as_ref())
                    && source.slot.is_waiting()
                {
                    source.slot.run(self.place(&bounds).await?);
                }
                (bounds, answer)
            }
            Progress::Done { had_rows: true } => {
                self.complete(&Tag::Rows, 0);
                return Ok(());
            }
            Progress::Done { had_rows: false } => {
                let message = format!("portal \"{name}\" cannot be run: it has run already");
                return Err(PgError::new("55000", message).into());
            }
        };
        let Some(rows) = &mut answer.rows else {
            portal.progress = Progress::Done { had_rows: false };
            self.complete(&answer.tag, 0);
            return Ok(());
        };
        // COPY runs to its end, as in PostgreSQL.
        let is_copy = answer.tag == Tag::Copy;
        let rows_max = if is_copy { usize::MAX } else { rows_max };
        let (sent, finished) = self.send_rows(&bounds, rows, rows_max).await?;
        if is_copy {
            portal.progress = Progress::Done { had_rows: false };
        }
        if finished {
            self.complete(&answer.tag, sent);
        } else {
            rows.source.iter().for_each(|source| source.slot.wait(&self.door.waiting));
            portal.progress = Progress::Open(bounds, answer);
            self.conn.put(&PortalSuspended::new());
        }
        Ok(())
    }
}

fn may_write(statement: &Statement) -> bool {
    matches!(statement.prepared.work, Work::Write(_) | Work::Session(About::Execute { .. }))
}

/// A SELECT without columns has rows all the same.
fn is_read(statement: &Statement) -> bool {
    matches!(statement.prepared.work, dataflow::Work::Read(_))
}

fn no_portal(name: &str) -> PgError {
    PgError::new("34000", format!("portal \"{name}\" does not exist"))
}
