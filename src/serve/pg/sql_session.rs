//! Statements about the session itself: its settings and its prepared statements.

use std::sync::Arc;

use dataflow::{Session as About, Work};
use zset::ColumnType;

use super::answer::{Answer, Tag};
use super::binary::Format;
use super::error::{PgError, Result};
use super::session::{Bounds, Session};
use super::statement::{Source, Statement};
use super::types::parameter_oid;

impl Session {
    /// Runs one.
    pub async fn about_session(
        &mut self,
        bounds: &Bounds,
        about: About,
        statement: &Statement,
        formats: &[Format],
    ) -> Result<Answer> {
        match about {
            About::Set { name, value, local } => {
                self.set_setting(&name, value.as_deref(), local)?;
                Ok(Answer::tag(if statement.source.first_word() == "RESET" { "RESET" } else { "SET" }))
            }
            About::Show { name } => self.show(&name, statement, formats),
            About::Block(said) => self.block_statement(bounds, said, &statement.source).await,
            About::Characteristics(modes) => {
                self.set_characteristics(modes)?;
                Ok(Answer::tag("SET"))
            }
            About::Discard => {
                if self.block.is_some() {
                    return Err(PgError::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
                }
                Ok(self.discard())
            }
            About::DiscardSequences => {
                self.sequences.forget();
                Ok(Answer::tag("DISCARD SEQUENCES"))
            }
            About::Done { tag } => Ok(Answer::tag(tag)),
            About::Deallocate { name: None } => {
                self.statements.clear();
                Ok(Answer::tag("DEALLOCATE ALL"))
            }
            About::Deallocate { name: Some(name) } => {
                self.statement(&name)?;
                self.statements.remove(&name);
                Ok(Answer::tag("DEALLOCATE"))
            }
            About::Prepare { name, types, statement } => self.sql_prepare(bounds, name, &types, statement).await,
            About::Execute { name, values } => self.sql_execute(bounds, &name, values, formats).await,
        }
    }

    fn show(&self, name: &str, statement: &Statement, formats: &[Format]) -> Result<Answer> {
        let rows = if name == "all" {
            let row = |(name, value): (&str, &str)| vec![Some(name.to_string()), Some(value.to_string()), None];
            self.settings.all().map(row).collect()
        } else {
            vec![vec![Some(self.settings.show(name)?.1)]]
        };
        self.text_rows(statement, formats, rows, Tag::Fixed("SHOW".to_string()))
    }

    /// As if the client had just come.
    fn discard(&mut self) -> Answer {
        let changed = self.settings.reset();
        self.report(changed);
        self.statements.clear();
        self.sequences.forget();
        Answer::tag("DISCARD ALL")
    }

    async fn sql_prepare(
        &mut self,
        bounds: &Bounds,
        name: String,
        types: &[ColumnType],
        text: String,
    ) -> Result<Answer> {
        if self.statements.contains_key(&name) {
            return Err(PgError::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
        }
        let given = types.iter().map(|ty| parameter_oid(0, *ty)).collect();
        let statement = self.prepare(bounds, Source { text, before: None }, given).await?;
        if !matches!(statement.prepared.work, Work::Read(_) | Work::Write(_)) {
            let error = PgError::new("42601", "only SELECT, VALUES, INSERT, UPDATE and DELETE can be prepared");
            return Err(error.hint("send the statement as it is").into());
        }
        self.statements.insert(name, Arc::new(statement));
        Ok(Answer::tag("PREPARE"))
    }

    async fn sql_execute(
        &mut self,
        bounds: &Bounds,
        name: &str,
        values: Vec<Option<String>>,
        formats: &[Format],
    ) -> Result<Answer> {
        let statement = self.statement(name)?;
        let wanted = statement.prepared.parameters.len();
        if values.len() != wanted {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {wanted} parameters but got {}.", values.len());
            return Err(PgError::new("42601", message).detail(detail).into());
        }
        // They could name each other in a circle.
        if matches!(statement.prepared.work, Work::Session(About::Execute { .. })) {
            return Err(PgError::new("0A000", format!("prepared statement \"{name}\" is an EXECUTE itself")).into());
        }
        Box::pin(self.run_statement(bounds, statement, values, formats)).await
    }
}
