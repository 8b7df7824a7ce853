//! The planner that the engine is given: text and catalog in, a planned statement out. It keeps nothing.

use dataflow::{Planned, Planner, StatementError};
use plan::Catalog;

use crate::{statements, text};

/// Plans statements with DataFusion.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqlPlanner;

impl SqlPlanner {
    /// A planner.
    pub fn new() -> Self {
        Self
    }
}

impl Planner for SqlPlanner {
    fn split(&self, text: &str) -> Result<Vec<String>, StatementError> {
        text::split(text)
    }

    fn plan(&self, statement: &str, catalog: &Catalog) -> Result<Planned, StatementError> {
        statements::plan(statement, catalog)
    }
}
