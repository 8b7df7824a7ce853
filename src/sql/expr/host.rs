//! What an expression may ask of the statement it stands in. A definition answers with refusals alone; a client's query has
//! parameters, subqueries, columns of the queries around it, and a moment at which it is asked.

use datafusion::sql::sqlparser::ast;
use zset::ColumnType;

use super::{Typed, absent, bind};
use crate::error::{Result, unsupported};
use crate::query::Scope;

/// What a subquery in an expression is asked.
pub(crate) enum Asked {
    /// Its one value.
    Value,
    /// Whether it has rows.
    Exists,
    /// How a value stands to its values: `x op ANY (...)`, `x op ALL (...)`.
    Quantified { left: Typed, op: datafusion::logical_expr::Operator, all: bool },
}

/// See the module.
pub(crate) trait Host {
    /// Tells the user something besides.
    fn note(&mut self, notice: &str);

    /// Whether a client asks, once, about one moment.
    fn is_client(&self) -> bool {
        false
    }

    /// `$n`.
    fn parameter(&mut self, name: &str) -> Result<Typed> {
        Err(unsupported(format!("the parameter {name}"), "write the value: a definition has no parameters"))
    }

    /// A column of a query around this one; `None`: there is none of this name.
    fn outer(&mut self, table: Option<&str>, name: &str) -> Result<Option<Typed>> {
        let _ = (table, name);
        Ok(None)
    }

    /// The moment the statement is asked about.
    fn now(&mut self) -> Result<Typed> {
        Err(absent::refused("now"))
    }

    /// A subquery over the columns of a scope.
    fn subquery(&mut self, scope: &Scope, query: &ast::Query, asked: Asked, shown: &str) -> Result<Typed> {
        let _ = (scope, query, asked);
        Err(bind::subquery(shown))
    }
}

impl Host for Vec<String> {
    fn note(&mut self, notice: &str) {
        if !self.iter().any(|n| n == notice) {
            self.push(notice.to_string());
        }
    }
}

/// The functions about the session that a client may ask for, and their answers.
pub(crate) fn session_function(name: &str) -> Option<(String, ColumnType)> {
    let text = match name {
        "version" => format!("PostgreSQL 15.0 (Millstream {})", env!("CARGO_PKG_VERSION")),
        "current_database" | "current_catalog" | "current_user" | "session_user" | "user" | "current_role" => {
            "millstream".to_string()
        }
        "current_schema" => "public".to_string(),
        _ => return None,
    };
    Some((text, ColumnType::Text))
}
