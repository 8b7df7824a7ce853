//! The simple protocol: a query string of any number of statements, each on its own, up to the first that fails.

use std::time::Instant;

use pgwire::messages::response::EmptyQueryResponse;

use super::error::{PgError, Result};
use super::session::{Bounds, Session};
use super::statement::Source;

impl Session {
    /// Runs a query string.
    pub async fn simple(&mut self, text: &str) -> Result<()> {
        self.statements.remove("");
        self.portals.clear();
        let sources = self.split(text)?;
        if sources.is_empty() {
            self.door.engine()?;
            self.conn.put(&EmptyQueryResponse::new());
        }
        for source in sources {
            let bounds = self.begin();
            let (began, mut kind) = (Instant::now(), source.kind());
            let done = self.simple_statement(&bounds, source, &mut kind).await;
            self.count(kind, began, done.is_err());
            done?;
        }
        Ok(())
    }

    async fn simple_statement(&mut self, bounds: &Bounds, source: Source, kind: &mut &'static str) -> Result<()> {
        let statement = std::sync::Arc::new(self.prepare(bounds, source, Vec::new()).await?);
        *kind = statement.kind();
        if !statement.prepared.parameters.is_empty() {
            let hint = "values are given with the extended protocol, or by PREPARE and EXECUTE";
            return Err(PgError::new("42P02", "there is no parameter $1").hint(hint).into());
        }
        let mut answer = self.run_statement(bounds, statement.clone(), Vec::new(), &[]).await?;
        let mut sent = 0;
        if let Some(rows) = &mut answer.rows {
            self.conn.put(&statement.description(&[]));
            sent = self.send_rows(bounds, rows, usize::MAX).await?.0;
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
