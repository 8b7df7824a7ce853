//! Bind: a statement gets its values, each from its own format to text, and its answer's formats.

use std::sync::Arc;

use pgwire::messages::extendedquery::BindComplete;

use super::binary::Format;
use super::error::{PgError, Result};
use super::extended::{Portal, Progress};
use super::frame::Bind;
use super::parameter;
use super::session::Session;
use super::statement::Statement;

impl Session {
    pub async fn bind(&mut self, bind: Bind) -> Result<()> {
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(PgError::new("42P03", format!("cursor \"{}\" already exists", bind.portal)).into());
        }
        self.portals.remove(&bind.portal);
        let statement = self.refreshed(&bind.statement).await?;
        self.may_run(&statement.source)?;
        let portal = Portal {
            values: values(&statement, &bind)?,
            formats: formats(&statement, &bind.result_formats)?,
            statement,
            progress: Progress::Ready,
        };
        self.portals.insert(bind.portal, portal);
        self.conn.put(&BindComplete::new());
        Ok(())
    }

    /// A statement by its name, prepared anew if the catalog has changed.
    async fn refreshed(&mut self, name: &str) -> Result<Arc<Statement>> {
        let statement = self.statement(name)?;
        let catalog = Arc::clone(&self.glimpse(self.door.engine()?).catalog);
        if statement.is_for(&catalog) {
            return Ok(statement);
        }
        let bounds = self.begin();
        let current = self.current(&bounds, statement, &catalog).await?;
        self.statements.insert(name.to_string(), Arc::clone(&current));
        Ok(current)
    }
}

fn values(statement: &Statement, bind: &Bind) -> Result<Vec<Option<String>>, PgError> {
    let wanted = statement.prepared.parameters.len();
    if bind.values.len() != wanted {
        return Err(PgError::protocol(format!(
            "bind message supplies {} parameters, but prepared statement \"{}\" requires {wanted}",
            bind.values.len(),
            bind.statement
        )));
    }
    if bind.formats.len() > 1 && bind.formats.len() != wanted {
        let message = format!("bind message has {} parameter formats but {wanted} parameters", bind.formats.len());
        return Err(PgError::protocol(message));
    }
    let value = |(at, value): (usize, &Option<bytes::Bytes>)| {
        let format = bind.formats.get(at).or(bind.formats.first()).copied().unwrap_or(0);
        value.as_ref().map(|bytes| parameter::text(statement.parameter_oid(at), format, bytes, at + 1)).transpose()
    };
    bind.values.iter().enumerate().map(value).collect()
}

/// None is text for all, one is for all.
fn formats(statement: &Statement, codes: &[i16]) -> Result<Vec<Format>, PgError> {
    let wanted = statement.columns.len();
    if codes.len() > 1 && codes.len() != wanted {
        let message = format!("bind message has {} result formats but query has {wanted} columns", codes.len());
        return Err(PgError::protocol(message));
    }
    let format = |code: i16| match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        _ => Err(PgError::new("22023", format!("unsupported format code: {code}"))),
    };
    (0..wanted).map(|at| codes.get(at).or(codes.first()).map_or(Ok(Format::Text), |code| format(*code))).collect()
}
