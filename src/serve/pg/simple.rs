//! The simple protocol: a query string of any number of statements, up to the first that fails. One is on its own; several are
//! one transaction, unless they begin and end others.

use std::time::Instant;

use pgwire::messages::response::EmptyQueryResponse;

use super::answer::Tag;
use super::error::{PgError, Result};
use super::session::{Bounds, Session};
use super::statement::Source;
use super::transaction::State;

impl Session {
    /// Runs a query string.
    pub async fn simple(&mut self, text: &str) -> Result<()> {
        self.statements.remove("");
        match self.state() {
            State::Idle | State::Implicit => self.portals.clear(),
            State::Open | State::Failed => drop(self.portals.remove("")),
        }
        let sources = self.split(text)?;
        if sources.is_empty() {
            self.door.engine()?;
            let bounds = self.begin();
            self.end_implicit(&bounds).await?;
            self.conn.put(&EmptyQueryResponse::new());
        }
        let several = sources.len() > 1;
        let mut sources = sources.into_iter().peekable();
        while let Some(source) = sources.next() {
            if several {
                self.begin_implicit();
            }
            let bounds = self.begin();
            let (began, mut kind) = (Instant::now(), source.kind());
            let done = self.simple_statement(&bounds, source, &mut kind, sources.peek().is_none()).await;
            self.count(kind, began, done.is_err());
            done?;
        }
        Ok(())
    }

    async fn simple_statement(
        &mut self,
        bounds: &Bounds,
        source: Source,
        kind: &mut &'static str,
        is_last: bool,
    ) -> Result<()> {
        self.may_run(&source)?;
        let statement = std::sync::Arc::new(self.prepare(bounds, source, Vec::new()).await?);
        *kind = statement.kind();
        if !statement.prepared.parameters.is_empty() {
            let hint = "values are given with the extended protocol, or by PREPARE and EXECUTE";
            return Err(PgError::new("42P02", "there is no parameter $1").hint(hint).into());
        }
        let mut answer = self.run_statement(bounds, statement.clone(), Vec::new(), &[]).await?;
        let mut sent = 0;
        if let Some(rows) = &mut answer.rows {
            if answer.tag != Tag::Copy {
                self.conn.put(&statement.description(&[]));
            }
            sent = self.send_rows(bounds, rows, usize::MAX).await?.0;
        }
        if is_last {
            // It is done when its transaction is.
            self.end_implicit(bounds).await?;
        }
        self.complete(&answer.tag, sent);
        Ok(())
    }

    /// The statements of a query string, with their places in it.
    pub fn split(&self, text: &str) -> Result<Vec<Source>> {
        let whole = Source::whole(text);
        let texts = self.door.planner.split(text).map_err(|error| PgError::of_statement(error, &whole))?;
        let (mut at, mut before) = (0, 0);
        let locate = |statement: String| {
            // They are pieces of the text, in order.
            let found = text[at..].find(&statement).unwrap_or(0);
            before += text[at..at + found].chars().count();
            let source = Source { before: Some(before), text: statement };
            before += source.text.chars().count();
            at += found + source.text.len();
            source
        };
        Ok(texts.into_iter().map(locate).collect())
    }
}
